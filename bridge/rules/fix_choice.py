"""The best fix at hand, and what is to be said against it. Pure: time is an argument.

Of each source three fixes are kept: the last good one, the one that jumped, the one that cannot be. The
best is the lowest of this list; within a line, the one that is least far off by now (its radius, and its
age at the speed that the source last moved with, at least a walk), then the source that was named first:

    measured, taken within 60 s
    measured, taken within 1 h           marked `stale`
    stated (MANUAL)                      a place that somebody named says nothing of where she is now
    measured, older                      marked `stale`
    jumped                               marked `jump`
    cannot be                            marked `implausible`

So nothing that is marked hides what is not, and with nothing else at hand the operator gets even the worst,
marked. Sources are not held against each other: which of two that disagree is wrong, nobody here knows.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bridge.model import MARKS, Fix
from bridge.rules.accuracy import WALK_M_S, apart_m, expected_error_m, is_on_earth, taken_ms

STALE_MS = 60_000
LAST_KNOWN_MS = 3_600_000
# A helicopter's speed. No car, no train but the fastest: who is further than that was not there before.
JUMP_M_S = 70.0
ROUNDED_MS = 1_000  # many say only the second
# A receiver's clock is exact, the phone's need not be; what is further ahead is a mistake of one of them.
AHEAD_MS_MAX = 10_000
RADIUS_M_MAX = 100_000.0
# Around 0, 0, where the sea is and receivers are that know nothing.
NOWHERE_DEG = 0.001
# Over less than this, the noise of two fixes looks like speed.
SPEED_MS_MIN = 10_000


class Selector:
    """`sources` are all that may be offered, in the order that decides between equals."""

    def __init__(self, sources: Sequence[str]) -> None:
        self._origins = {name: _Origin() for name in sources}

    def offer(self, fix: Fix, now_ms: int) -> None:
        """A fix that a source gives. Whatever is not on Earth, or has no time, is not kept."""
        assert fix.source in self._origins, "the wiring names every source"
        if _is_readable(fix):
            self._origins[fix.source].take(fix, now_ms)

    def latest(self, now_ms: int) -> Fix | None:
        """The best at `now_ms`, with its marks."""
        ranked = [
            (*_rank(fix, now_ms, origin.speed_m_s), order, fix)
            for order, origin in enumerate(self._origins.values())
            for fix in origin.all(now_ms)
        ]
        return min(ranked, key=lambda entry: entry[:-1])[-1] if ranked else None


@dataclass(slots=True)
class _Origin:
    """What is kept of one source."""

    good: Fix | None = None
    jumped: Fix | None = None
    odd: Fix | None = None
    since: Fix | None = None  # where the speed is measured from
    speed_m_s: float = WALK_M_S

    def take(self, fix: Fix, now_ms: int) -> None:
        if _is_implausible(fix, now_ms):
            self.odd = fix
        elif self.good is None or _is_reachable(self.good, fix):
            self._accept(fix, now_ms)
        elif self.jumped is not None and _is_reachable(self.jumped, fix):
            self.good = self.since = None  # twice at the same new place: it was the old one that was wrong
            self._accept(fix, now_ms)
        else:
            self.jumped = fix

    def _accept(self, fix: Fix, now_ms: int) -> None:
        if self.good is not None and taken_ms(fix) < taken_ms(self.good) <= now_ms + AHEAD_MS_MAX:
            return  # comes late; there is a newer one
        self.good, self.jumped, self.odd = fix, None, None
        passed_ms = 0 if self.since is None else taken_ms(fix) - taken_ms(self.since)
        if self.since is None or not 0 <= passed_ms <= STALE_MS:
            self.since, self.speed_m_s = fix, WALK_M_S
        elif passed_ms >= SPEED_MS_MIN:
            self.speed_m_s = max(WALK_M_S, apart_m(self.since, fix) / passed_ms * 1000)
            self.since = fix

    def all(self, now_ms: int) -> Iterator[Fix]:
        if self.good is not None:
            ahead = taken_ms(self.good) > now_ms + AHEAD_MS_MAX  # the clock was set back since
            yield _marked(self.good, "implausible" if ahead else None, now_ms)
        if self.jumped is not None:
            yield _marked(self.jumped, "jump", now_ms)
        if self.odd is not None:
            yield _marked(self.odd, "implausible", now_ms)


def _is_readable(fix: Fix) -> bool:
    try:
        taken_ms(fix)
    except ValueError:
        return False
    return is_on_earth(fix.lat, fix.lon) and math.isfinite(fix.radius_m)


def _is_implausible(fix: Fix, now_ms: int) -> bool:
    """What receivers say when they do not know: nowhere (0, 0), exactly, anywhere, or in the future."""
    nowhere = abs(fix.lat) < NOWHERE_DEG and abs(fix.lon) < NOWHERE_DEG
    return nowhere or not 0 < fix.radius_m <= RADIUS_M_MAX or taken_ms(fix) > now_ms + AHEAD_MS_MAX


def _is_reachable(start: Fix, end: Fix) -> bool:
    if end.method == "MANUAL":
        return True
    passed_ms = max(ROUNDED_MS, abs(taken_ms(end) - taken_ms(start)))
    return apart_m(start, end) <= JUMP_M_S * passed_ms / 1000


def _marked(fix: Fix, mark: str | None, now_ms: int) -> Fix:
    marks = {*fix.marks, mark}
    if fix.method != "MANUAL" and now_ms - taken_ms(fix) > STALE_MS:
        marks.add("stale")
    return replace(fix, marks=tuple(mark for mark in MARKS if mark in marks))


def _rank(fix: Fix, now_ms: int, speed_m_s: float) -> tuple[int, float]:
    """The line of the list above, then metres."""
    if "implausible" in fix.marks:
        line = 5
    elif "jump" in fix.marks:
        line = 4
    elif fix.method == "MANUAL":
        line = 2
    elif "stale" in fix.marks:
        line = 1 if now_ms - taken_ms(fix) <= LAST_KNOWN_MS else 3
    else:
        line = 0
    return line, expected_error_m(fix, now_ms, speed_m_s)
