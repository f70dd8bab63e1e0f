"""Supervision: looks for what is lost, in the last lane; and for alarms that nobody takes."""

import time
from collections.abc import Callable

from centre.platform.change_signals import ChangeSignals
from centre.platform.log import Log
from centre.platform.worker import AFTER, SPARE, Worker
from centre.rules.supervision import WatchWindow
from centre.settings import Settings
from centre.work import supervision, webhook
from centre.work.core import Core

LOOK_S, ESCALATE_S = 5.0, 1.0


def monotonic_ms() -> int:
    """Return monotonic time in ms."""
    return time.monotonic_ns() // 1_000_000


class SupervisionJob:
    def __init__(self, worker: Worker, signals: ChangeSignals, log: Log, settings: Settings) -> None:
        self._worker, self._signals, self._log = worker, signals, log
        self._alive_s = settings.alive_s
        self._watch_window: WatchWindow | None = None

    async def look(self) -> None:
        """Look until nothing is due; between two portions everything else has its turn."""
        more = True
        while more:
            since_ms = await self._look_at_clocks()
            looked = await self._worker(supervision.look, since_ms, self._alive_s, lane=SPARE)
            more = looked.more
            if looked.silent_at_once:
                text = f"{looked.silent_at_once} bridges fell silent at once: probably our own network"
                self._log("trouble", reason="many_silent", text=text)
            if looked.found or looked.ended:
                self._log("losses", found=looked.found, ended=looked.ended)
                self._signals.board_changed()

    async def _look_at_clocks(self) -> int:
        """Return since when silence counts."""
        now_ms = await self._worker(_now_ms, lane=SPARE)
        if self._watch_window is None:
            self._watch_window = WatchWindow.begin(now_ms, monotonic_ms())
            await self._worker(supervision.clock_set_back, lane=SPARE)
        elif self._watch_window.look(now_ms, monotonic_ms()):
            await self._worker(supervision.clock_set_back, lane=SPARE)
            text = "the clock was set, or we stood still: silence is counted anew from now"
            self._log("trouble", reason="clock", text=text)
        return self._watch_window.watching_since_ms


def _now_ms(core: Core) -> int:
    return core.now_ms()


class Escalation:
    """An alarm that nobody took in time goes beyond this room: into the log, and to whom a webhook tells."""

    def __init__(
        self,
        worker: Worker,
        signals: ChangeSignals,
        log: Log,
        settings: Settings,
        is_attended: Callable[[], bool],
    ) -> None:
        """`is_attended`: whether somebody is at a desk; where nobody is, no alarm waits for its steps."""
        self._worker, self._signals, self._log = worker, signals, log
        self._after_s, self._is_attended = settings.escalate_s, is_attended

    async def look(self) -> None:
        after_s = self._after_s if self._is_attended() else 0
        for escalated in await self._worker(webhook.escalate, after_s, lane=AFTER):
            self._log(
                "escalated",
                incident=escalated.incident_id,
                device_id=escalated.device_id,
                counter=escalated.counter,
            )
            self._signals.board_changed()
