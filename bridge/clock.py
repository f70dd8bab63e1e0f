"""The clocks: the wall's, which anybody may set, and those that nobody sets.

What the bridge decides goes by the latter. The wall's is for people and for the journal, so how it is set
matters once, at a restart.
"""

import time

from bridge.ports import Clock

# Goes on while the machine sleeps: on Linux and Android, on macOS; on Windows time.monotonic() does.
_BOOTTIME: int | None = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))


def now_ms() -> int:
    """Return the time since 1970, as this machine believes."""
    return int(time.time() * 1000)


class System:
    """This machine's clocks, as `ports.Clock`."""

    def now_ms(self) -> int:
        return now_ms()

    def monotonic_s(self) -> float:
        return time.monotonic()

    def monotonic_ms(self) -> int:
        return int(self.monotonic_s() * 1000)

    def boottime_ms(self) -> int:
        return int((time.monotonic() if _BOOTTIME is None else time.clock_gettime(_BOOTTIME)) * 1000)


def to_wall_ms(clock: Clock, boottime_ms: int) -> int:
    """Return when that was, since 1970."""
    return boottime_ms + clock.now_ms() - clock.boottime_ms()


def from_wall_ms(clock: Clock, at_ms: int) -> int:
    """Return `at_ms`, since 1970, by the clock that nobody sets.

    The wall's may have been set back since: it was no later than now.
    """
    return clock.boottime_ms() - max(clock.now_ms() - at_ms, 0)
