"""Sees whether somebody is at a desk: an alarm that nobody would see goes beyond this room at once."""

from collections.abc import Callable

from centre.jobs.supervision import monotonic_ms
from centre.platform.change_signals import ChangeSignals
from centre.platform.log import Log
from centre.platform.worker import AFTER, Worker
from centre.rules.access import Caller
from centre.rules.desks import Attendance, Desk, Roster
from centre.work import event_log
from centre.work.core import Core

LOOK_S = 5.0
_TEXTS = {
    Attendance.ATTENDED: "somebody is at a desk again",
    Attendance.ALL_AWAY: "all desks are set away",
    Attendance.NOBODY: "no desk is live: nobody would see an alarm",
}


class DeskWatch:
    def __init__(
        self,
        worker: Worker,
        signals: ChangeSignals,
        log: Log,
        clock_ms: Callable[[], int] = monotonic_ms,
    ) -> None:
        self._worker, self._signals, self._log, self._clock_ms = worker, signals, log, clock_ms
        self._roster = Roster(clock_ms())
        self.attendance = Attendance.ATTENDED

    def come(self, caller: Caller) -> None:
        """Count a desk: its stream begins, or goes on."""
        self._roster.come(caller, self._clock_ms())

    def hear(self, caller: Caller, *, sounds: bool) -> None:
        """Note that a page of a desk is there, and whether it can sound."""
        self._roster.hear(caller, self._clock_ms(), sounds=sounds)

    def leave(self, session: str) -> None:
        """Drop a desk whose last stream has ended."""
        self._roster.leave(session, self._clock_ms())

    def is_attended(self) -> bool:
        """Return whether somebody would see an alarm."""
        return self.attendance is not Attendance.NOBODY

    def desks(self) -> list[tuple[Desk, bool]]:
        """Return those who are at a desk now, and whether each is silent."""
        now_ms = self._clock_ms()
        return [(desk, desk.is_silent(now_ms)) for desk in self._roster.at(now_ms)]

    async def look(self) -> None:
        """Tell both logs and all boards when somebody is at a desk no more, or again. A job."""
        now = self._roster.attendance(self._clock_ms())
        if now is self.attendance:
            return
        self.attendance = now
        self._log("trouble", reason="desks", text=_TEXTS[now], over=now is Attendance.ATTENDED)
        self._signals.board_changed()
        await self._worker(_note, now, lane=AFTER)


def _note(core: Core, attendance: Attendance) -> None:
    with core.store.transaction():
        event_log.note(core, "desks", event_log.CENTRE, attendance=attendance)
