"""What a hand feels: from the motor's switching to the patterns that the wearer's guide describes.

It knows the guide and not the firmware: the number of pulses and their length are all that a hand has.
"""

from collections.abc import Iterable
from typing import NamedTuple

from sim.happening import Happening

TAKEN, NOT_CONFIRMED = "taken", "not confirmed"
RECEIVED, ACKNOWLEDGED, DISPATCHED, CLOSED = range(1, 5)
# Pulses, and how long each is (ms, with room for a clock that is some percent off).
_PATTERNS: dict[tuple[int, int], str | int] = {
    (1, 60): TAKEN,
    (2, 120): RECEIVED,
    (3, 120): ACKNOWLEDGED,
    (4, 120): DISPATCHED,
    (1, 700): CLOSED,
    (3, 450): NOT_CONFIRMED,
}
_LENGTHS_MS = (60, 120, 450, 700)
_PAUSE_MS = 330.0  # longer than any pause within a pattern


class Felt(NamedTuple):
    """`what` is TAKEN, NOT_CONFIRMED, a stage, or None for what the guide does not know."""

    from_ms: float
    at_ms: float
    what: str | int | None


def felt(happenings: Iterable[Happening]) -> list[Felt]:
    """Of one button. A pattern that lost its power or its program half way is none."""
    found: list[Felt] = []
    pulses: list[tuple[float, float]] = []
    on_ms: float | None = None
    for happening in happenings:
        at_ms = happening.at_ms
        if pulses and on_ms is None and at_ms - pulses[-1][1] > _PAUSE_MS:
            found.append(_pattern(pulses))
            pulses = []
        if happening.what == "motor":
            if happening.data["on"]:
                on_ms = at_ms
            elif on_ms is not None:
                pulses.append((on_ms, at_ms))
                on_ms = None
        elif happening.what in ("power", "reset", "boot"):
            pulses, on_ms = [], None
    if pulses and on_ms is None:
        found.append(_pattern(pulses))
    return found


def _pattern(pulses: list[tuple[float, float]]) -> Felt:
    longest_ms = max(off - on for on, off in pulses)
    length_ms = min(_LENGTHS_MS, key=lambda known: abs(known - longest_ms))
    return Felt(pulses[0][0], pulses[-1][1], _PATTERNS.get((len(pulses), length_ms)))
