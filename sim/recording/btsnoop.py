"""Advertising reports out of a btsnoop capture: HCI events in H1 or H4 framing (Android's), or in btmon's.

A record is `original length:u32 || included length:u32 || flags:u32 || drops:u32 || time:u64 || packet`, all
big-endian, the time in microseconds since the year 0. btmon's flags are `adapter:u16 || opcode:u16` (BlueZ,
`src/shared/btsnoop.h`). Bumble reads the events.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from bumble import hci

from sim.radio.adverts import KINDS, Heard
from sim.recording.lines import LENGTH_MS_MAX, Unreadable

_MAGIC = b"btsnoop\0"
_VERSION = 1
_H1, _H4, _MONITOR = 1001, 1002, 2001
_OTHERS = {1003: "BCSP", 1004: "H5 (three-wire)", 2002: "simulator"}
_RECORD = struct.Struct(">IIIIQ")
_PACKET_BYTES_MAX = 1 << 16
_RECEIVED, _COMMAND_OR_EVENT = 0x01, 0x02
_MONITOR_EVENT = 3
_BACK_MS_MAX = 1000.0  # as far as times may go back: several threads wrote them
_LEGACY_MAP = hci.HCI_LE_Extended_Advertising_Report_Event.LEGACY_PDU_TYPE_MAP


@dataclass
class Skipped:
    """Count what is in a capture and could not be used."""

    packets: int = 0
    clock_steps: int = 0
    rest_bytes: int = 0


def read(file: BinaryIO, skipped: Skipped) -> Iterator[Heard]:
    """Yield the reports of all whole records; what is left out is counted in `skipped`.

    Raises Unreadable where the file is no such capture, or none of its records is whole.
    """
    framing = _framing(file.read(16))
    times = _Times(skipped)
    for flags, time_us, packet, is_whole in _records(file, skipped):
        at_ms = times.at_ms(time_us)
        event = _event(framing, flags, packet)
        if event is None:
            continue
        reports = _reports(event, at_ms) if is_whole else None
        if reports is None:
            skipped.packets += 1
        else:
            yield from reports


class _Times:
    """The records' times since the first; where the clock was set, the next stretch follows at once."""

    def __init__(self, skipped: Skipped) -> None:
        self._skipped = skipped
        self._zero_us: float | None = None
        self._last_ms = 0.0

    def at_ms(self, time_us: int) -> float:
        if self._zero_us is None:
            self._zero_us = time_us
        at_ms = (time_us - self._zero_us) / 1000
        if not self._last_ms - _BACK_MS_MAX <= at_ms <= LENGTH_MS_MAX:
            self._skipped.clock_steps += 1
            self._zero_us, at_ms = time_us - self._last_ms * 1000, self._last_ms
        self._last_ms = max(self._last_ms, at_ms)
        return self._last_ms


def _framing(header: bytes) -> int:
    if len(header) < 16 or not header.startswith(_MAGIC):
        raise Unreadable("this is no btsnoop capture: it does not begin like one")
    version, framing = struct.unpack(">II", header[8:])
    if version != _VERSION:
        raise Unreadable(f"btsnoop version {version}; version {_VERSION} can be read")
    if framing not in (_H1, _H4, _MONITOR):
        name = _OTHERS.get(framing, str(framing))
        raise Unreadable(f"its packets are framed as {name}; H1, H4 and btmon's can be read")
    return int(framing)


def _records(file: BinaryIO, skipped: Skipped) -> Iterator[tuple[int, int, bytes, bool]]:
    """Yield `(flags, time_us, packet, it is whole)`, up to the first record that is cut or cannot be."""
    number = 0
    while head := file.read(_RECORD.size):
        packet, included, original = b"", 0, 0
        if len(head) == _RECORD.size:
            original, included, flags, _, time_us = _RECORD.unpack(head)
            if included <= min(original, _PACKET_BYTES_MAX):
                packet = file.read(included)
        if len(head) < _RECORD.size or len(packet) < included:
            if number == 0:
                raise Unreadable("its first record is cut, or cannot be")
            skipped.rest_bytes = (
                len(head) + len(packet) + sum(map(len, iter(lambda: file.read(1 << 16), b"")))
            )
            return
        number += 1
        yield flags, time_us, packet, included == original


def _event(framing: int, flags: int, packet: bytes) -> bytes | None:
    """Return the HCI event in H4 framing; None: it is something else."""
    if framing == _H4:
        return packet if packet[:1] == bytes((hci.HCI_EVENT_PACKET,)) else None
    both = _RECEIVED | _COMMAND_OR_EVENT
    is_event = flags & 0xFFFF == _MONITOR_EVENT if framing == _MONITOR else flags & both == both
    return bytes((hci.HCI_EVENT_PACKET,)) + packet if is_event else None


def _reports(packet: bytes, at_ms: float) -> list[Heard] | None:
    """None where it cannot be read; nothing where it is no advertising report."""
    if len(packet) < 4 or packet[1] != hci.HCI_LE_META_EVENT or packet[3] not in _REPORTS:
        return []
    if packet[2] != len(packet) - 3:
        return None
    try:
        event = hci.HCI_Packet.from_bytes(packet)
        assert isinstance(
            event, hci.HCI_LE_Advertising_Report_Event | hci.HCI_LE_Extended_Advertising_Report_Event
        )
        return [
            Heard(
                at_ms,
                report.rssi,
                report.address.to_string(with_type_qualifier=False),
                "public" if report.address.is_public else "random",
                _kind(report),
                bytes(report.data),
            )
            for report in event.reports
        ]
    except Exception:  # whatever a broken packet does to its reader
        return None


_REPORTS = (
    hci.HCI_LE_ADVERTISING_REPORT_EVENT,
    hci.HCI_LE_EXTENDED_ADVERTISING_REPORT_EVENT,
)


def _kind(report: object) -> str:
    if isinstance(report, hci.HCI_LE_Advertising_Report_Event.Report):
        kind = report.event_type
    else:
        assert isinstance(report, hci.HCI_LE_Extended_Advertising_Report_Event.Report)
        kind = _LEGACY_MAP.get(report.event_type & 0x0F, -1) if report.event_type & 0x10 else -1
    return KINDS[kind] if 0 <= kind < len(KINDS) - 1 else "unknown"
