"""The clocks: the wall's, which anybody may set, and those that nobody sets."""

import time


def now_ms() -> int:
    """Since 1970, as this machine believes."""
    return int(time.time() * 1000)


def tick_ms() -> int:
    """Monotonic; on Linux it stands still while the machine sleeps."""
    return int(time.monotonic() * 1000)


def ahead_ms() -> int:
    """How far the wall clock is ahead of one that nobody sets, and that goes on while the machine sleeps.
    0 where there is none: Linux alone has it."""
    boottime: int | None = getattr(time, "CLOCK_BOOTTIME", None)
    return 0 if boottime is None else int((time.time() - time.clock_gettime(boottime)) * 1000)


class Steady:
    """The clock by which one alarm is followed: the wall's when that began, and monotonic from then on.

    A wall clock that is set must neither end it nor make it endless. One such clock for all alarms would
    not do: it falls behind whenever the machine sleeps.
    """

    def __init__(self) -> None:
        self._ahead_ms = now_ms() - tick_ms()

    def now_ms(self) -> int:
        return tick_ms() + self._ahead_ms
