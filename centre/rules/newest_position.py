"""The newest position of an alarm: the one definition for card, sheet, map, webhook and CAP. Pure.

Each phone speaks for itself. Of one phone's positions the newest without a doubt (a mark `jump` or
`implausible`) counts; a doubtful one counts only where none without a doubt is recent. What is newer is told
by the centre's own clock, and where that was set, by the order in which positions came: no phone can date its
position ahead of its arrival, nor is the arrival of one ahead of that of the next. A revoked phone is asked
only where there is no other. Where two phones have lately said that they are far apart, both positions are
given, and neither is the newest.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from centre.rules.incidents import Fix

DOUBTS = ("jump", "implausible")
RECENT_MS = (
    300_000  # a position without a doubt is preferred to a doubtful one that is newer by so much at most
)
DIFFER_MS = 1_800_000  # two phones are compared where they have spoken within so long of each other
APART_M, MOVES_M_PER_S = 500.0, 30.0  # beyond both circles, and what a car can have gone in between
EARTH_RADIUS_M = 6_371_009.0


@dataclass(frozen=True, slots=True)
class Position:
    """A fix as a bridge has posted it."""

    fix: Fix
    bridge_id: str | None
    received_at_ms: int
    number: int = 0  # rises as they come
    is_revoked: bool = False  # its bridge is
    arrived_ms: int | None = None  # when it came, by our clock as it has been set since; None: it was not

    @property
    def at_ms(self) -> int:
        """When it was measured, by our clock."""
        return moment_ms(self.fix, self._arrived_ms)

    @property
    def old_ms(self) -> int:
        """How old it was when it came."""
        return max(0, self._arrived_ms - self.at_ms)

    @property
    def _arrived_ms(self) -> int:
        return self.received_at_ms if self.arrived_ms is None else self.arrived_ms

    @property
    def is_doubtful(self) -> bool:
        return any(mark in DOUBTS for mark in self.fix.marks)


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest position; and where another phone has said something else, that."""

    position: Position
    other: Position | None = None


def moment_ms(fix: Fix, arrived_ms: int) -> int:
    """Return when a fix was measured: by its age where that is told, else never later than it came."""
    if fix.age_s is not None:
        return arrived_ms - round(fix.age_s * 1000)
    return min(fix.taken_at_ms, arrived_ms)


def newest(positions: Iterable[Position]) -> Newest | None:
    """Return the newest of an alarm's positions, or None where there is none.

    It is enough to give, of each bridge and each set of marks, the newest.
    """
    every = list(positions)
    believed = [position for position in every if not position.is_revoked] or every
    if not believed:
        return None
    of_phone: dict[str | None, list[Position]] = {}
    for position in believed:
        of_phone.setdefault(position.bridge_id, []).append(position)
    first = _best(believed)
    others = [_best(own) for phone, own in of_phone.items() if phone != first.bridge_id]
    differing = [other for other in others if _differ(first, other)]
    return Newest(first, max(differing, key=_order) if differing else None)


def _best(positions: Sequence[Position]) -> Position:
    latest = max(positions, key=_order)
    certain = [
        position
        for position in positions
        if not position.is_doubtful and latest.at_ms - position.at_ms <= RECENT_MS
    ]
    return max(certain, key=_order) if certain else latest


def _order(position: Position) -> tuple[int, int]:
    return position.at_ms, position.number


def _differ(one: Position, other: Position) -> bool:
    """Whether the same person cannot have been at both."""
    between_ms = abs(one.at_ms - other.at_ms)
    if between_ms > DIFFER_MS:
        return False
    reach_m = one.fix.radius_m + other.fix.radius_m + APART_M + MOVES_M_PER_S * between_ms / 1000
    return distance_m(one.fix, other.fix) > reach_m


def distance_m(one: Fix, other: Fix) -> float:
    """Return how far apart two positions are."""
    return metres_between((one.lat, one.lon), (other.lat, other.lon))


def metres_between(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Return how far apart two points are, each latitude and longitude in degrees (haversine)."""
    lat_1, lat_2 = math.radians(one[0]), math.radians(other[0])
    half_lat, half_lon = (lat_2 - lat_1) / 2, math.radians(other[1] - one[1]) / 2
    chord = math.sin(half_lat) ** 2 + math.cos(lat_1) * math.cos(lat_2) * math.sin(half_lon) ** 2
    return 2 * EARTH_RADIUS_M * math.asin(min(1.0, math.sqrt(chord)))
