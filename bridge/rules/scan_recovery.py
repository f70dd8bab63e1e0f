"""What to do about a scan that hears nothing, or does not begin. Pure: the time is an argument.

    a scan that does not begin     again after 1, 2, 4, 4 ... s, each from a known state
    a minute without any advert    the scan is begun anew
    5 min                          people are told that nothing is heard at all
    10, 20, 40 min ... 6 h         the adapter is switched off and on, if that is allowed and disturbs nobody

Some adapters go deaf without a word and only come back by a power cycle. Where nobody else's devices are,
silence is nothing special: so the patience with the next silence is twice the longest that an advert has
ended, unless it was a power cycle that ended it.
"""

from typing import NamedTuple

AGAIN_S_MIN, AGAIN_S_MAX = 1.0, 4.0
TELL_MS = 5 * 60_000
CYCLE_MS, CYCLE_MS_MAX = 10 * 60_000, 6 * 3_600_000
PATIENCE_MS_MAX = 6 * 3_600_000
# What is heard so soon after a power cycle is heard because of it.
CURED_MS = 120_000


class Step(NamedTuple):
    """What a look at a scan asks for, besides beginning it anew."""

    tell: bool = False  # people are told that nothing is heard
    power_cycle: bool = False


class ScanRecovery:
    """Keeps how long nothing has been heard; `advert_ms` is when the last advert was, by the same clock."""

    def __init__(self) -> None:
        self.again_s = AGAIN_S_MIN
        self.is_told = False
        self._since_ms: int | None = None  # nothing was heard from then on
        self._patience_ms = TELL_MS
        self._cycle_ms = CYCLE_MS
        self._cycled_ms: int | None = None

    def failed(self) -> float:
        """Return in how many seconds a scan that did not begin, or has ended, is tried again."""
        again_s, self.again_s = self.again_s, min(2 * self.again_s, AGAIN_S_MAX)
        self._forget()
        return again_s

    def began(self, now_ms: int) -> None:
        """Note that a scan has begun; those that are begun anew belong to the first."""
        self.again_s = AGAIN_S_MIN
        if self._since_ms is None:
            self._since_ms = now_ms

    def heard(self, advert_ms: int) -> bool:
        """Return whether an advert has ended a silence that people were told of."""
        if self._since_ms is None or advert_ms <= self._since_ms:
            return False
        was_told = self.is_told
        if self._cycled_ms is None or advert_ms - self._cycled_ms > CURED_MS:
            patience_ms = min(2 * (advert_ms - self._since_ms), PATIENCE_MS_MAX)
            self._patience_ms = max(self._patience_ms, patience_ms)
        self._forget()
        self._since_ms = advert_ms
        return was_told

    def silent(self, now_ms: int) -> Step:
        """Return what to do about a scan that has heard nothing for a while."""
        if self._since_ms is None:
            return Step()
        silent_ms = now_ms - self._since_ms
        tell = not self.is_told and silent_ms >= self._patience_ms
        self.is_told |= tell
        cycled_ms = self._since_ms if self._cycled_ms is None else self._cycled_ms
        cycle = silent_ms >= self._patience_ms and now_ms - cycled_ms >= self._cycle_ms
        if cycle:
            self._cycled_ms, self._cycle_ms = now_ms, min(2 * self._cycle_ms, CYCLE_MS_MAX)
        return Step(tell, cycle)

    def _forget(self) -> None:
        self._since_ms, self.is_told = None, False
        self._cycle_ms, self._cycled_ms = CYCLE_MS, None
