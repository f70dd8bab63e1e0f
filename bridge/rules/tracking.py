"""Which fixes of an alarm go to the centre, and when. Pure: time is an argument.

    press        20 s        every_s        every_s             2 h, or CLOSED
      |-----------|-------------|-------------|--- - - - --------|
    what there    the best      the best that was not
    is goes with  so far        sent yet
    the alarm; the first better one as soon as it comes

The 20 s are Advanced Mobile Location's (ETSI TS 103 625): the time that a receiver is given for its first
fix. A fix is sent once; where there is no new one, the next one goes as soon as it comes. A call-off shortens
what is left to 15 min, whichever PIN it came with: who looks on must see no difference. The 2 h are those in
which the bridge runs: how long it did not is known by the phone's clock alone, and anybody may set that.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from bridge.model import FOLLOWED_MS, Fix
from bridge.rules.accuracy import expected_error_m

FIRST_MS = 20_000
CALLED_OFF_MS = 15 * 60_000
EVERY_S_MIN, EVERY_S_MAX = 1, 600
# How often to look for a fix that is awaited.
LOOK_MS = 1_000
# Clearly better is half as far off, and by more than the 28 m that somebody walks in 20 s: else the one early
# refinement would be used up by a good fix that only grew older.
BETTER, BETTER_M = 0.5, 30.0

T = TypeVar("T")


class Track:
    """One alarm's trail. `first` went with the alarm; times are ms of the clock by which fixes arrive.

    `end_ms`: None is 2 h after the press.
    """

    def __init__(
        self, first: Fix | None, pressed_at_ms: int, every_s: int = 10, end_ms: int | None = None
    ) -> None:
        assert EVERY_S_MIN <= every_s <= EVERY_S_MAX, "the settings say so to the user"
        self._every_ms = every_s * 1000
        self._slot_ms = self._first_slot_ms = pressed_at_ms + FIRST_MS
        self._end_ms = pressed_at_ms + FOLLOWED_MS if end_ms is None else end_ms
        self._best_sent = first
        self._refined = False
        # One per slot and two early ones at most, so this is bounded by the two hours.
        self._sent = set() if first is None else {_identity(first)}

    def due(self, now_ms: int, best: Fix | None) -> Fix | None:
        """Return the fix to send now, or None; it counts as sent. `best` is what the selector has."""
        if best is None or self.ended(now_ms) or _identity(best) in self._sent:
            return None
        if now_ms >= self._slot_ms:
            passed = (now_ms - self._first_slot_ms) // self._every_ms
            self._slot_ms = self._first_slot_ms + (passed + 1) * self._every_ms
        elif self._is_early() and self._is_better(now_ms, best):
            self._refined = self._best_sent is not None  # the first at all may still be refined
        else:
            return None
        self._best_sent = best
        self._sent.add(_identity(best))
        return best

    def next_ms(self, now_ms: int) -> int | None:
        """Return when to ask again; None when it has ended."""
        if self.ended(now_ms):
            return None
        awaited = now_ms >= self._slot_ms or (self._is_early() and not self._refined)
        at_ms = now_ms + LOOK_MS if awaited else self._slot_ms
        if now_ms < self._slot_ms:
            at_ms = min(at_ms, self._slot_ms)
        return min(at_ms, self._end_ms)

    def ended(self, now_ms: int) -> bool:
        return now_ms >= self._end_ms

    def left_ms(self, now_ms: int) -> int:
        """Return for how long it goes on."""
        return max(0, self._end_ms - now_ms)

    def call_off(self, now_ms: int) -> None:
        """End it soon. The first call-off counts; none makes it longer."""
        self._end_ms = min(self._end_ms, now_ms + CALLED_OFF_MS)

    def close(self) -> None:
        """End it: the operator has closed the incident."""
        self._end_ms = 0

    def _is_early(self) -> bool:
        return self._slot_ms == self._first_slot_ms

    def _is_better(self, now_ms: int, fix: Fix) -> bool:
        than = self._best_sent
        if than is None:
            return True
        if self._refined or (fix.marks and not than.marks):
            return False
        if than.marks and not fix.marks:
            return True
        off_m, than_off_m = expected_error_m(fix, now_ms), expected_error_m(than, now_ms)
        return off_m <= min(BETTER * than_off_m, than_off_m - BETTER_M)


def _identity(fix: Fix) -> tuple[str, str, float, float]:
    """Return what makes it the same fix, whatever marks it has got by now."""
    return fix.source, fix.taken_at, fix.lat, fix.lon


def thin(fixes: Sequence[T], keep: int, at_ms: Callable[[T], int]) -> list[T]:
    """Return at most `keep` of `fixes` (oldest first), for days without a centre.

    Dense at the new end, sparser the older, first and last always. `at_ms` says when one was taken.

    Taken out is, one by one, whichever leaves the smallest gap for its age; so thinning as each comes
    and thinning all at the end leave the same kind of trace. The cost is len(fixes) for each one taken out.
    """
    assert keep >= 2
    left = list(fixes)
    times = [at_ms(fix) for fix in left]
    newest = max(times)  # sources take turns, so the last one need not be it
    while len(left) > keep:
        out = min(
            range(1, len(left) - 1),
            # 1 ms: several may be as new as the newest. The index makes it the older of two equals.
            key=lambda i: ((times[i + 1] - times[i - 1]) / (newest - times[i] + 1), i),
        )
        del left[out], times[out]
    return left
