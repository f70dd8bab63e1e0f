"""A recording as text: JSON lines. docs/testers.md describes the same. It touches only the file it is given.

    {"kind": "amr-adverts", "version": 1, "source": "air"}
    {"at_ms": 12.5, "rssi_dbm": -47, "address": "C3:...", "address_type": "random", "kind": "ADV_IND",
     "data": "0201..."}     (on one line)
    ...
    {"end": true, "adverts": 1}

The last line is how one knows that none is missing. Nothing in a file is believed before it was checked.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any, BinaryIO, TextIO

from sim.radio.adverts import ADDRESS_TYPES, KINDS, RSSI_UNKNOWN, Heard
from sim.recording.pseudonyms import Pseudonyms

KIND, VERSION = "amr-adverts", 1
SOURCES = ("air", "scenario", "adapter", "btsnoop")
DATA_BYTES_MAX = 1650  # what extended advertising allows (Core 6.0, Vol 4, Part E, 7.8.54)
LINE_BYTES_MAX = 8192
LENGTH_MS_MAX = 31 * 86_400_000
_ADDRESS = re.compile(r"([0-9A-F]{2}:){5}[0-9A-F]{2}", re.ASCII)
_HEX = re.compile(r"([0-9a-f]{2})*", re.ASCII)
_BTSNOOP = b"btsnoop\0"


class Unreadable(ValueError):
    """It cannot be used; the text says where and why."""


class Writer:
    """Everything that is written is a pseudonym; `close` writes the last line."""

    def __init__(self, file: TextIO, source: str, pseudonyms: Pseudonyms) -> None:
        assert source in SOURCES
        self._file, self._pseudonyms = file, pseudonyms
        self.adverts = 0
        self._last_ms = 0.0
        self._line({"kind": KIND, "version": VERSION, "source": source})

    def take(self, heard: Heard) -> None:
        # Scanners stamp what they hear when they come to it: never earlier than the one before.
        self._last_ms = max(self._last_ms, round(heard.at_ms, 3))
        said = self._pseudonyms.of(heard)._asdict()
        self._line(said | {"at_ms": self._last_ms, "data": said["data"].hex()})
        self.adverts += 1

    def close(self) -> None:
        self._line({"end": True, "adverts": self.adverts})
        self._file.flush()

    def _line(self, fields: dict[str, Any]) -> None:
        self._file.write(json.dumps(fields) + "\n")


def read(file: BinaryIO) -> Iterator[Heard]:
    """All that was heard, in its order; raises Unreadable at the line that is wrong."""
    _check_header(file.readline(LINE_BYTES_MAX + 1))
    number, adverts, last_ms = 1, 0, 0.0
    while line := file.readline(LINE_BYTES_MAX + 1):
        number += 1
        fields = _fields(line, number)
        if "end" in fields:
            _check_end(fields, adverts, file.readline(LINE_BYTES_MAX + 1), number)
            return
        heard = _heard(fields, number)
        if heard.at_ms < last_ms:
            told = f"at_ms is {heard.at_ms:g}, and {last_ms:g} in the line before"
            raise Unreadable(f"line {number}: {told}: its lines are not in their order")
        last_ms = heard.at_ms
        adverts += 1
        yield heard
    raise Unreadable(f"line {number}: it ends here without a last line: it was cut, or is still written")


def _check_header(line: bytes) -> None:
    if line.startswith(_BTSNOOP):
        raise Unreadable("this is a btsnoop capture; amr-sim record --btsnoop makes a recording of it")
    if not line:
        raise Unreadable("line 1: it is empty")
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict) or "kind" not in fields:
        raise Unreadable(f"line 1: this is no recording; the first line of one says its kind, {KIND!r}")
    if fields["kind"] != KIND:
        raise Unreadable(f"line 1: a recording of kind {fields['kind']!r:.40}; {KIND!r} can be played")
    if fields.get("version") != VERSION or type(fields["version"]) is not int:
        told = f"version {fields.get('version')!r:.20} of {KIND!r}"
        raise Unreadable(f"line 1: {told}; this program reads version {VERSION}")


def _check_end(fields: dict[str, Any], adverts: int, after: bytes, number: int) -> None:
    if fields != {"end": True, "adverts": fields.get("adverts")}:
        raise Unreadable(f'line {number}: the last line is {{"end": true, "adverts": N}}')
    if fields["adverts"] != adverts or type(fields["adverts"]) is not int:
        told = f"{fields['adverts']!r:.20} adverts are told, {adverts} are there"
        raise Unreadable(f"line {number}: {told}: lines are missing, or too many")
    if after:
        raise Unreadable(f"line {number + 1}: something stands after the last line")


def _fields(line: bytes, number: int) -> dict[str, Any]:
    if len(line) > LINE_BYTES_MAX:
        raise Unreadable(f"line {number}: longer than {LINE_BYTES_MAX} bytes")
    if not line.endswith(b"\n"):
        raise Unreadable(f"line {number}: it was cut in the middle of this line")
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        raise Unreadable(f"line {number}: not JSON in UTF-8") from None
    if not isinstance(fields, dict):
        raise Unreadable(f"line {number}: not a JSON object")
    return fields


def _heard(fields: dict[str, Any], number: int) -> Heard:
    for name in Heard._fields:
        if name not in fields:
            raise Unreadable(f"line {number}: `{name}` is missing")
        good, allowed = _CHECKS[name]
        if not good(fields[name]):
            raise Unreadable(f"line {number}: `{name}` is {fields[name]!r:.40}; {allowed}")
    if extra := sorted(set(fields) - set(Heard._fields)):
        raise Unreadable(f"line {number}: there is no `{extra[0]:.40}`; there are {', '.join(Heard._fields)}")
    return Heard(**(fields | {"data": bytes.fromhex(fields["data"])}))


def _is_time(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and 0 <= value <= LENGTH_MS_MAX  # type: ignore[arg-type,operator]


def _is_rssi(value: object) -> bool:
    return type(value) is int and (-127 <= value <= 20 or value == RSSI_UNKNOWN)


_CHECKS = {
    "at_ms": (_is_time, "milliseconds from 0 to 31 days are expected"),
    "rssi_dbm": (_is_rssi, "-127 to 20 are expected, or 127 for unknown"),
    "address": (
        lambda value: isinstance(value, str) and bool(_ADDRESS.fullmatch(value)),
        "AA:BB:CC:DD:EE:FF is expected",
    ),
    "address_type": (lambda value: value in ADDRESS_TYPES, f"{', '.join(ADDRESS_TYPES)} are expected"),
    "kind": (lambda value: value in KINDS, f"{', '.join(KINDS)} are expected"),
    "data": (
        lambda value: (
            isinstance(value, str) and len(value) <= 2 * DATA_BYTES_MAX and bool(_HEX.fullmatch(value))
        ),
        f"at most {DATA_BYTES_MAX} bytes as lower-case hex are expected",
    ),
}
