"""What a hand on a button feels, told as soon as the pattern is over."""

import asyncio
from collections.abc import Callable

from sim.judge.events import WorldEvent
from sim.judge.vibrations import Vibration, VibrationReader
from wire import receipts

_GAP_S = 0.8  # longer than any pause within a pattern, on a busy machine too


class VibrationListener:
    """Reads one button's events; calls `on_pattern(name)` for each pattern."""

    def __init__(self, on_pattern: Callable[[str], None]) -> None:
        self._on_pattern = on_pattern
        self._reader = VibrationReader()
        self._pause: asyncio.TimerHandle | None = None

    def take(self, event: WorldEvent) -> None:
        """Read one event; others than those of the motor and of power are passed over."""
        if event.what not in ("motor", "power", "reset", "boot"):
            return
        self._tell(self._reader.take(event))
        if self._pause:
            self._pause.cancel()
        if event.what == "motor" and not event.data["on"]:
            self._pause = asyncio.get_running_loop().call_later(_GAP_S, self._end)

    def _end(self) -> None:
        self._tell(self._reader.end())

    def _tell(self, vibration: Vibration | None) -> None:
        if vibration is None:
            return
        pattern = vibration.pattern
        name = receipts.NAMES[pattern] if isinstance(pattern, int) else pattern
        self._on_pattern(name or "a pattern of no meaning")
