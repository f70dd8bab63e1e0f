"""What a hand feels: from the motor's switching to the patterns that the wearer's guide describes.

It knows the guide and not the firmware: the number of pulses and their length are all that a hand has.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sim.happening import Happening

TAKEN, NOT_CONFIRMED = "taken", "not_confirmed"
RECEIVED, ACKNOWLEDGED, DISPATCHED, CLOSED = range(1, 5)
# Pulses, and whether they are long: each is to be told apart in a pocket.
_PATTERNS: dict[tuple[int, bool], str | int] = {
    (1, False): TAKEN,
    (2, False): RECEIVED,
    (3, False): ACKNOWLEDGED,
    (4, False): DISPATCHED,
    (1, True): CLOSED,
    (3, True): NOT_CONFIRMED,
}
_LONG_MS = 300.0  # short are 60 and 120, long 450 and 700; a busy machine switches the motor late
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
            found.append(_felt(pulses))
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
        found.append(_felt(pulses))
    return found


def pattern(lengths_ms: Sequence[float]) -> str | int | None:
    """What pulses of these lengths mean to a hand."""
    is_long = sorted(lengths_ms)[len(lengths_ms) // 2] > _LONG_MS
    return _PATTERNS.get((len(lengths_ms), is_long))


def _felt(pulses: list[tuple[float, float]]) -> Felt:
    return Felt(pulses[0][0], pulses[-1][1], pattern([off - on for on, off in pulses]))
