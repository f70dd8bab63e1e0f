"""Advertising reports out of a btsnoop capture (btmon's, Android's): HCI events in H1 or H4 framing.

A record is `original length:u32 || included length:u32 || flags:u32 || drops:u32 || time:u64 || packet`, all
big-endian, the time in microseconds since the year 0. Bumble reads the events.
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
_H1, _H4 = 1001, 1002
_OTHERS = {1003: "BCSP", 1004: "H5 (three-wire)", 2001: "Linux monitor", 2002: "simulator"}
_RECORD = struct.Struct(">IIIIQ")
_PACKET_BYTES_MAX = 1 << 16
_RECEIVED, _COMMAND_OR_EVENT = 0x01, 0x02
_BACK_MS_MAX = 1000.0  # as far as times may go back: several threads wrote them
_LEGACY_MAP = hci.HCI_LE_Extended_Advertising_Report_Event.LEGACY_PDU_TYPE_MAP


@dataclass
class Skipped:
    """What is in a capture and could not be used."""

    packets: int = 0


def read(file: BinaryIO, skipped: Skipped) -> Iterator[Heard]:
    """Raises Unreadable with the record. An event that is cut or nonsense is counted in `skipped`."""
    framing = _framing(file.read(16))
    first_us: int | None = None
    last_ms = 0.0
    for number, flags, time_us, packet, whole in _records(file):
        first_us = time_us if first_us is None else first_us
        at_ms = (time_us - first_us) / 1000
        if at_ms < last_ms - _BACK_MS_MAX or at_ms > LENGTH_MS_MAX:
            raise Unreadable(f"record {number}: its time is {at_ms:.0f} ms, that before it {last_ms:.0f} ms")
        last_ms = max(last_ms, at_ms)
        event = _event(framing, flags, packet)
        if event is None:
            continue
        reports = _reports(event, last_ms) if whole else None
        if reports is None:
            skipped.packets += 1
        else:
            yield from reports


def _framing(header: bytes) -> int:
    if len(header) < 16 or not header.startswith(_MAGIC):
        raise Unreadable("this is no btsnoop capture: it does not begin like one")
    version, framing = struct.unpack(">II", header[8:])
    if version != _VERSION:
        raise Unreadable(f"btsnoop version {version}; version {_VERSION} can be read")
    if framing not in (_H1, _H4):
        name = _OTHERS.get(framing, str(framing))
        raise Unreadable(f"its packets are framed as {name}; H1 and H4 can be read")
    return int(framing)


def _records(file: BinaryIO) -> Iterator[tuple[int, int, int, bytes, bool]]:
    """`(number, flags, time_us, packet, it is whole)`."""
    number = 0
    while head := file.read(_RECORD.size):
        number += 1
        if len(head) < _RECORD.size:
            raise Unreadable(f"record {number}: the capture ends in the middle of it")
        original, included, flags, _, time_us = _RECORD.unpack(head)
        if included > min(original, _PACKET_BYTES_MAX):
            raise Unreadable(f"record {number}: a packet of {included} bytes cannot be")
        packet = file.read(included)
        if len(packet) < included:
            raise Unreadable(f"record {number}: the capture ends in the middle of it")
        yield number, flags, time_us, packet, included == original


def _event(framing: int, flags: int, packet: bytes) -> bytes | None:
    """The HCI event in H4 framing; None: it is something else."""
    if framing == _H4:
        return packet if packet[:1] == bytes((hci.HCI_EVENT_PACKET,)) else None
    both = _RECEIVED | _COMMAND_OR_EVENT
    return bytes((hci.HCI_EVENT_PACKET,)) + packet if flags & both == both else None


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
