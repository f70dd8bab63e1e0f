"""The clocks: the wall's, which anybody may set, and those that nobody sets.

What the bridge decides goes by the latter. The wall's is for people and for the journal, so how it is set
matters once, at a restart.
"""

import time

from bridge.ports import Clock

# Goes on while the machine sleeps: on Linux and Android, on macOS; on Windows time.monotonic() does.
_STEADY: int | None = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))


def now_ms() -> int:
    """Since 1970, as this machine believes."""
    return int(time.time() * 1000)


class System:
    """This machine's own; `ports.Clock`."""

    def now_ms(self) -> int:
        return now_ms()

    def tick_s(self) -> float:
        return time.monotonic()

    def tick_ms(self) -> int:
        return int(self.tick_s() * 1000)

    def steady_ms(self) -> int:
        return int((time.monotonic() if _STEADY is None else time.clock_gettime(_STEADY)) * 1000)


def told_ms(clock: Clock, steady_ms: int) -> int:
    """When that was, since 1970."""
    return steady_ms + clock.now_ms() - clock.steady_ms()


def kept_ms(clock: Clock, at_ms: int) -> int:
    """`at_ms` since 1970, as it was told, by the steady clock. The wall's may have been set back since: it
    was no later than now."""
    return clock.steady_ms() - max(clock.now_ms() - at_ms, 0)


class Steady:
    """The clock by which one alarm is followed: the wall's when that began, and steady from then on.

    A wall clock that is set must neither end it nor make it endless. Positions say when they were taken by
    the wall's, so each alarm begins with that.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead_ms = clock.now_ms() - clock.steady_ms()

    def now_ms(self) -> int:
        return self._clock.steady_ms() + self._ahead_ms
