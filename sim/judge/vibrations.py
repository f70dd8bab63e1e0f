"""What a hand feels: from the motor's switching to the patterns of the protected person's guide.

It knows the guide and not the firmware: the number of pulses and their length are all that a hand has.
"""

from collections.abc import Iterable
from typing import NamedTuple

from sim.judge.events import WorldEvent

TAKEN, NOT_CONFIRMED = "taken", "not_confirmed"
RECEIVED, ACKNOWLEDGED, DISPATCHED, CLOSED = range(1, 5)
# (pulses, whether they are long ones). A count that a hand knows twice differs by length alone.
_PATTERNS: dict[tuple[int, bool], str | int] = {
    (1, False): TAKEN,
    (2, False): RECEIVED,
    (3, False): ACKNOWLEDGED,
    (4, False): DISPATCHED,
    (1, True): CLOSED,
    (3, True): NOT_CONFIRMED,
}
# Between the guide's lengths, with room for a clock that is off and for a machine that is busy: one pulse is
# of 60 or 700 ms, several are of 120 or 450.
_LONG_ALONE_MS, _LONG_MS = 500.0, 285.0
# Longer than the pauses within a pattern (160 ms; 250 between long pulses), shorter than between two (400).
_PAUSE_MS = 330.0
# After the first or second pulse of such a length only more of the same can come: no need to hurry.
_OF_THREE_MS, _PAUSE_OF_THREE_MS = (380.0, 600.0), 700.0
# No pattern has more pulses of that length: after the last one nothing is awaited.
_WHOLE = ((3, True), (4, False))
_TAKEN_MS = 90.0  # and no other one has so short a pulse
_NOT_TAKEN_MS = 110.0


class Vibration(NamedTuple):
    """`pattern` is TAKEN, NOT_CONFIRMED, a stage, or None for what the guide does not know."""

    from_ms: float
    at_ms: float
    pattern: str | int | None


class VibrationReader:
    """The one that holds a button: it is told what happens to that button, and says what it has felt."""

    def __init__(self) -> None:
        self._pulses: list[tuple[float, float]] = []
        self._on_ms: float | None = None

    def take(self, event: WorldEvent) -> Vibration | None:
        """Return the pattern that was over before this; one that lost its power half way is none."""
        found = None
        is_cut = event.what in ("power", "reset", "boot")
        if self._on_ms is None and (self._is_over(event.at_ms) or (is_cut and self._is_whole())):
            found = self.end()
        if event.what == "feels":  # a world without a motor says what its patterns mean
            return Vibration(event.at_ms, event.at_ms, event.data["pattern"])
        if event.what == "motor":
            if event.data["on"]:
                self._on_ms = event.at_ms
            elif self._on_ms is not None:
                self._pulses.append((self._on_ms, event.at_ms))
                self._on_ms = None
                if self._is_next_after_taken():  # told late, the pause between the two seems too short
                    found, self._pulses = _pattern(self._pulses[:1]), self._pulses[1:]
        elif is_cut:
            self._pulses, self._on_ms = [], None
        return found

    def end(self) -> Vibration | None:
        """Nothing more comes."""
        pulses, self._pulses = self._pulses, []
        return _pattern(pulses) if pulses and self._on_ms is None else None

    def _is_whole(self) -> bool:
        if not self._pulses:
            return False
        is_taken = len(self._pulses) == 1 and _longest_ms(self._pulses) < _TAKEN_MS
        return is_taken or (len(self._pulses), _is_long(self._pulses)) in _WHOLE

    def _is_next_after_taken(self) -> bool:
        lengths_ms = [off - on for on, off in self._pulses]
        return len(lengths_ms) == 2 and lengths_ms[0] < _TAKEN_MS and lengths_ms[1] > _NOT_TAKEN_MS

    def _is_over(self, at_ms: float) -> bool:
        if not self._pulses:
            return False
        least_ms, most_ms = _OF_THREE_MS
        of_three = len(self._pulses) < 3 and least_ms <= _longest_ms(self._pulses) < most_ms
        return at_ms - self._pulses[-1][1] > (_PAUSE_OF_THREE_MS if of_three else _PAUSE_MS)


def vibrations(events: Iterable[WorldEvent]) -> list[Vibration]:
    """Of one button."""
    reader = VibrationReader()
    patterns = [reader.take(event) for event in events]
    return [one for one in (*patterns, reader.end()) if one]


def _pattern(pulses: list[tuple[float, float]]) -> Vibration:
    return Vibration(pulses[0][0], pulses[-1][1], _PATTERNS.get((len(pulses), _is_long(pulses))))


def _is_long(pulses: list[tuple[float, float]]) -> bool:
    lengths_ms = sorted(off - on for on, off in pulses)
    return lengths_ms[len(pulses) // 2] >= (_LONG_ALONE_MS if len(pulses) == 1 else _LONG_MS)


def _longest_ms(pulses: list[tuple[float, float]]) -> float:
    return max(off - on for on, off in pulses)
