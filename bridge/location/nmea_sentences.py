"""NMEA 0183 in bytes: where its sentences are, and what each says of one moment. Pure.

A sentence is found from the last `$` or `!` before a `*hh`, and its checksum decides. Whatever else is on the
line is passed over: binary packets of receivers that speak both (UBX, RTCM 3, CASIC), tag blocks, half
sentences, noise. 82 bytes is what NMEA allows a talker; receivers have sent more for years, so the bound here
only protects the memory.

Each field is read on its own and only where it is used: one that is odd costs nothing but itself.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from bridge.location import satellites
from bridge.rules.accuracy import METRES_PER_HDOP, SIGMAS, radius_m
from bridge.rules.receiver_time import DAY_MS

SENTENCE_BYTES_MAX = 1024
_BODY = rb"[$!]([^$!*\x00-\x1f\x7f-\xff]{1,%d})" % (SENTENCE_BYTES_MAX - 4)
_SENTENCE = re.compile(_BODY + rb"\*([0-9A-Fa-f]{2})")
_BEGUN = re.compile(rb"(?:" + _BODY + rb"(?:\*[0-9A-Fa-f]?)?|[$!])\Z")
_CLOCK = re.compile(r"(\d\d)(\d\d)(\d\d)(?:\.(\d*))?", re.ASCII)
_DEGREES = re.compile(r"(\d{1,3})(\d\d(?:\.\d*)?)", re.ASCII)

# Where each sentence has its latitude (then N or S, longitude, E or W), the better told one last.
PLACES = {"GLL": 1, "RMC": 3, "GNS": 2, "GGA": 2}
TIMES = {"GLL": 5, "RMC": 1, "GNS": 1, "GGA": 1, "GST": 1}


class SentenceFinder:
    """Takes bytes as they come and gives the sentences whose checksum is right."""

    def __init__(self) -> None:
        self.bad = 0  # sentences with a wrong checksum
        self._rest = b""

    def feed(self, chunk: bytes) -> list[list[str]]:
        """Return the sentences that are whole by now, each as its fields."""
        waiting = self._rest + chunk
        sentences: list[list[str]] = []
        end = 0
        for match in _SENTENCE.finditer(waiting):
            end = match.end()
            if checksum(match[1]) == int(match[2], 16):
                sentences.append(match[1].decode("ascii").split(","))
            else:
                self.bad += 1
        # What may still become a sentence is at the end, and no longer than one can be.
        begun = _BEGUN.search(waiting, max(end, len(waiting) - SENTENCE_BYTES_MAX))
        self._rest = b"" if begun is None else begun[0]
        return sentences


def checksum(body: bytes) -> int:
    """Return the exclusive or of all bytes."""
    total = 0
    for byte in body:
        total ^= byte
    return total


def kind(sentence: Sequence[str]) -> str:
    """Return what sentence it is, without who says it: GGA for GPGGA and GNGGA; a maker's own as it is."""
    name = sentence[0]
    return name if name.startswith("P") else name[2:]


def time_ms(sentence: Sequence[str]) -> int | None:
    """Return the time of day that one of TIMES is about, in ms; None where it says none."""
    return read_clock(_field(sentence, TIMES[kind(sentence)]))


def read_clock(text: str) -> int | None:
    """Return `hhmmss.ss` as milliseconds of the day; None where it is none."""
    match = _CLOCK.fullmatch(text)
    if match is None:
        return None
    hours, minutes, seconds = (int(part) for part in match.groups()[:3])
    if hours > 23 or minutes > 59 or seconds > 60:
        return None
    fraction_ms = round(float(f"0.{match[4] or 0}") * 1000)
    return min(((hours * 60 + minutes) * 60 + seconds) * 1000 + fraction_ms, DAY_MS)


def dated(sentence: Sequence[str]) -> tuple[date, int] | None:
    """Return the day and the time of day that RMC or ZDA says; None where it says none, or is not valid."""
    if kind(sentence) == "ZDA":
        clock = read_clock(_field(sentence, 1))
        day, month, year = (_field(sentence, number) for number in (2, 3, 4))
    elif kind(sentence) == "RMC" and _field(sentence, 2) == "A":
        clock, text = read_clock(_field(sentence, 1)), _field(sentence, 9)
        day, month, year = text[:2], text[2:4], f"20{text[4:]}"
    else:
        return None
    try:
        return None if clock is None else (date(int(year), int(month), int(day)), clock)
    except ValueError:
        return None


@dataclass(slots=True)
class Moment:
    """What the receiver has said of one time of day, in however many sentences."""

    time_ms: int | None = None
    is_valid: bool = False  # a sentence vouches for the place
    is_void: bool = False  # a sentence says that there is none, or none from satellites
    kinds: set[str] = field(default_factory=set)
    _places: dict[str, tuple[float, float]] = field(default_factory=dict)
    _hdop: float | None = None
    _sigmas_m: tuple[float | None, ...] = ()

    def add(self, sentence: Sequence[str]) -> None:
        """Take in another sentence about this moment."""
        what = kind(sentence)
        self.kinds.add(what)
        if what == "GST":
            # The greater axis; some say only north and east.
            major_m, north_m, east_m = (_number(_field(sentence, number)) for number in (3, 6, 7))
            self._sigmas_m = (major_m, max(north_m or 0.0, east_m or 0.0))
            return
        self._judge(what, sentence)
        if what in ("GGA", "GNS"):
            self._hdop = _number(_field(sentence, 8))
        place = read_place(sentence[PLACES[what] : PLACES[what] + 4])
        if place is not None:
            self._places[what] = place

    def _judge(self, what: str, sentence: Sequence[str]) -> None:
        if what == "GGA":
            quality = _number(_field(sentence, 6))
            word = None if quality is None else satellites.is_quality_of_satellites(int(quality))
        elif what == "GNS":  # of each constellation its own: an empty one says nothing of the others
            modes = _field(sentence, 6)
            word = satellites.is_mode_of_satellites(modes) if modes else None
        else:
            status, mode = (2, 12) if what == "RMC" else (6, 7)
            modes = _field(sentence, mode)
            word = _field(sentence, status) == "A" and (not modes or satellites.is_mode_of_satellites(modes))
        # A receiver that only goes on from its last place may still call that a fix, of no satellite.
        counts = what in ("GGA", "GNS") and word is not None
        if counts and _number(_field(sentence, 7)) == 0:
            word = False
        self.is_valid |= word is True
        self.is_void |= word is False

    def place(self) -> tuple[float, float] | None:
        """Return latitude and longitude as the sentence has them that says them best; None without."""
        if self.is_void or not self.is_valid:
            return None
        return next((self._places[what] for what in reversed(PLACES) if what in self._places), None)

    def radius_m(self) -> float:
        """Return the circle of 95 %: by GST's sigmas, else by the dilution, else the widest."""
        sigmas_m = (None if sigma_m is None else sigma_m * SIGMAS for sigma_m in self._sigmas_m)
        return radius_m(*sigmas_m, None if self._hdop is None else self._hdop * METRES_PER_HDOP)


def read_place(fields: Sequence[str]) -> tuple[float, float] | None:
    """Return `ddmm.mm,N,dddmm.mm,E` in degrees; None where any of the four is not exactly that."""
    if len(fields) < 4:
        return None
    north = _degrees(fields[0], fields[1], "NS", 90)
    east = _degrees(fields[2], fields[3], "EW", 180)
    return None if north is None or east is None else (north, east)


def _degrees(text: str, hemisphere: str, hemispheres: str, degrees_max: int) -> float | None:
    match = _DEGREES.fullmatch(text)
    if match is None or len(hemisphere) != 1 or hemisphere not in hemispheres:
        return None
    degrees, minutes = int(match[1]), float(match[2])
    value = degrees + minutes / 60
    if minutes >= 60 or value > degrees_max:
        return None
    return value if hemisphere == hemispheres[0] else -value


def _field(sentence: Sequence[str], number: int) -> str:
    """Return a field; empty where the sentence ends before it."""
    return sentence[number].strip() if number < len(sentence) else ""


def _number(text: str) -> float | None:
    """Return a finite number; None where it is blank or none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
