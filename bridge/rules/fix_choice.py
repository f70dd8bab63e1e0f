"""The best fix at hand, and what is to be said against it. Pure: time is an argument.

A fix is as old as the time since it came, by the clock that nobody sets: neither the phone's clock nor the
receiver's changes any choice here. Of one source the last that came is the newest, unless it repeats its own
time: then it came when that time was first said.

Of each source three fixes are kept: the last good one, the one that jumped, the one that cannot be. The
best is the lowest of this list; within a line, the one that is least far off by now (its radius, and its
age at the speed that the source last moved with, at least a walk), then the source that was named first:

    measured, came within 60 s
    measured, came within 1 h            marked `stale`
    stated (MANUAL)                      a place that somebody named says nothing of where the phone is now
    measured, older                      marked `stale`
    jumped                               marked `jump`
    cannot be                            marked `implausible`

So nothing that is marked hides what is not, and with nothing else at hand the operator gets even the worst,
marked. Sources are not held against each other: which of two that disagree is wrong, nobody here knows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bridge.model import MARKS, Fix
from bridge.rules.accuracy import WALK_M_S, age_ms, apart_m, expected_error_m, is_on_earth, taken_ms

STALE_MS = 60_000
LAST_KNOWN_MS = 3_600_000
# A helicopter's speed. No car, no train but the fastest: who is further than that was not there before.
JUMP_M_S = 70.0
LATE_MS = 1_000  # what came together need not have been measured together
RADIUS_M_MAX = 100_000.0
# What the centre takes: half the equator, and years of four digits.
RADIUS_M_BOUND = 20_037_508.0
TAKEN_MS_END = 253_370_764_800_000
METHODS = ("GNSS", "WIFI", "CELL", "NETWORK", "MANUAL")
# Around 0, 0, where the sea is and receivers are that know nothing.
NOWHERE_DEG = 0.001
# Over less than this, the noise of two fixes looks like speed.
SPEED_MS_MIN = 10_000


class Selector:
    """`sources` are all that may be offered, in the order that decides between equals."""

    def __init__(self, sources: Sequence[str]) -> None:
        self._origins = {name: _Origin() for name in sources}

    def offer(self, fix: Fix) -> None:
        """Take a fix that a source gives; what the centre would refuse is not kept (docs/api.md, "fix")."""
        assert fix.source in self._origins, "the wiring names every source"
        assert fix.arrived_ms is not None, "whoever receives a fix says when it came"
        if _is_readable(fix):
            self._origins[fix.source].take(fix)

    def latest(self, boottime_ms: int) -> Fix | None:
        """Return the best by now, with its marks; None without any."""
        ranked = [
            (*_rank(fix, boottime_ms, origin.speed_m_s), order, fix)
            for order, origin in enumerate(self._origins.values())
            for fix in origin.all(boottime_ms)
        ]
        return min(ranked, key=lambda entry: entry[:-1])[-1] if ranked else None


@dataclass(slots=True)
class _Origin:
    """What is kept of one source."""

    good: Fix | None = None
    jumped: Fix | None = None
    odd: Fix | None = None
    newest: Fix | None = None
    since: Fix | None = None  # where the speed is measured from
    speed_m_s: float = WALK_M_S

    def take(self, fix: Fix) -> None:
        if self.newest is not None and fix.taken_at == self.newest.taken_at:
            fix = replace(fix, arrived_ms=min(_arrived_ms(fix), _arrived_ms(self.newest)))
        self.newest = fix
        if _is_implausible(fix):
            self.odd = fix
        elif self.good is None or _is_reachable(self.good, fix):
            self._accept(fix)
        elif self.jumped is not None and _is_reachable(self.jumped, fix):
            self.since = None  # twice at the same new place: it was the old one that was wrong
            self._accept(fix)
        else:
            self.jumped = fix

    def _accept(self, fix: Fix) -> None:
        self.good, self.jumped, self.odd = fix, None, None
        passed_ms = 0 if self.since is None else _arrived_ms(fix) - _arrived_ms(self.since)
        if self.since is None or not 0 <= passed_ms <= STALE_MS:
            self.since, self.speed_m_s = fix, WALK_M_S
        elif passed_ms >= SPEED_MS_MIN:
            self.speed_m_s = max(WALK_M_S, apart_m(self.since, fix) / passed_ms * 1000)
            self.since = fix

    def all(self, boottime_ms: int) -> Iterator[Fix]:
        for fix, mark in ((self.good, None), (self.jumped, "jump"), (self.odd, "implausible")):
            if fix is not None:
                yield _marked(fix, mark, boottime_ms)


def _arrived_ms(fix: Fix) -> int:
    assert fix.arrived_ms is not None, "offer() takes no other"
    return fix.arrived_ms


def _is_readable(fix: Fix) -> bool:
    """Return whether the centre can read it, by its own bounds: a position that it refuses costs a post."""
    try:
        at_ms = taken_ms(fix)
    except (ValueError, OverflowError):
        return False
    has_bounds = 0 <= fix.radius_m <= RADIUS_M_BOUND and 0 <= fix.confidence <= 100
    return (
        0 <= at_ms < TAKEN_MS_END and has_bounds and fix.method in METHODS and is_on_earth(fix.lat, fix.lon)
    )


def _is_implausible(fix: Fix) -> bool:
    """Return whether it is what receivers say when they do not know: nowhere (0, 0), exactly, anywhere."""
    nowhere = abs(fix.lat) < NOWHERE_DEG and abs(fix.lon) < NOWHERE_DEG
    return nowhere or not 0 < fix.radius_m <= RADIUS_M_MAX


def _is_reachable(start: Fix, end: Fix) -> bool:
    if end.method == "MANUAL":
        return True
    passed_ms = max(LATE_MS, abs(_arrived_ms(end) - _arrived_ms(start)))
    return apart_m(start, end) <= JUMP_M_S * passed_ms / 1000


def _marked(fix: Fix, mark: str | None, boottime_ms: int) -> Fix:
    marks = {*fix.marks, mark}
    if fix.method != "MANUAL" and age_ms(fix, boottime_ms) > STALE_MS:
        marks.add("stale")
    return replace(fix, marks=tuple(mark for mark in MARKS if mark in marks))


def _rank(fix: Fix, boottime_ms: int, speed_m_s: float) -> tuple[int, float]:
    """Return the line of the list above, then metres."""
    if "implausible" in fix.marks:
        line = 5
    elif "jump" in fix.marks:
        line = 4
    elif fix.method == "MANUAL":
        line = 2
    elif "stale" in fix.marks:
        line = 1 if age_ms(fix, boottime_ms) <= LAST_KNOWN_MS else 3
    else:
        line = 0
    return line, expected_error_m(fix, boottime_ms, speed_m_s)
