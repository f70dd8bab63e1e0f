"""The clocks: the wall's, which anybody may set, and those that nobody sets."""

import time

from bridge.ports import Clock


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

    def ahead_ms(self) -> int:
        boottime: int | None = getattr(time, "CLOCK_BOOTTIME", None)
        return 0 if boottime is None else int((time.time() - time.clock_gettime(boottime)) * 1000)


class Steady:
    """The clock by which one alarm is followed: the wall's when that began, and monotonic from then on.

    A wall clock that is set must neither end it nor make it endless. One such clock for all alarms would
    not do: it falls behind whenever the machine sleeps.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead_ms = clock.now_ms() - clock.tick_ms()

    def now_ms(self) -> int:
        return self._clock.tick_ms() + self._ahead_ms
