"""Who is at a desk: operators whose page is live now, and whether any of them would take an alarm. Pure.

A page that has the board open says every 20 s that it is there, and whether it can sound; one that says
nothing for GONE_MS, or whose stream has ended, is no desk any more. Times are of a clock that nobody sets.
"""

from dataclasses import dataclass
from enum import StrEnum

from centre.rules.access import Caller

GONE_MS = 90_000
NOBODY_MS = 60_000  # a page that is loaded anew, a centre that has just started: so long is no news


class Attendance(StrEnum):
    """Whether somebody would take what comes now."""

    ATTENDED = "attended"
    ALL_AWAY = "all_away"
    NOBODY = "nobody"


@dataclass(slots=True)
class Desk:
    """One operator's session with a live board."""

    name: str
    is_away: bool
    seen_ms: int
    sounded_ms: int | None = None  # when one of its pages last said that it can be heard

    def is_silent(self, now_ms: int) -> bool:
        return self.sounded_ms is None or now_ms - self.sounded_ms >= GONE_MS


class Roster:
    def __init__(self, begun_ms: int) -> None:
        self._desks: dict[str, Desk] = {}  # by session
        self._last_ms = begun_ms  # when somebody was last there

    def come(self, caller: Caller, now_ms: int) -> None:
        """Add a desk whose stream begins, or goes on: what it was is kept."""
        known = self._desks.setdefault(caller.session, Desk(caller.name, caller.is_away, now_ms))
        known.name, known.is_away = caller.name, caller.is_away

    def hear(self, caller: Caller, now_ms: int, *, sounds: bool) -> None:
        """Note that a page of a desk is there; a page without a stream makes no desk."""
        desk = self._desks.get(caller.session)
        if desk is not None:
            desk.seen_ms = now_ms
            desk.sounded_ms = now_ms if sounds else desk.sounded_ms

    def leave(self, session: str, now_ms: int) -> None:
        """Drop a desk whose last stream has ended."""
        if self._desks.pop(session, None):
            self._last_ms = now_ms

    def at(self, now_ms: int) -> list[Desk]:
        """Return those who are at a desk now, by name."""
        there = [desk for desk in self._desks.values() if now_ms - desk.seen_ms < GONE_MS]
        return sorted(there, key=lambda desk: desk.name.casefold())

    def attendance(self, now_ms: int) -> Attendance:
        there = self.at(now_ms)
        if there:
            self._last_ms = now_ms
            return Attendance.ALL_AWAY if all(desk.is_away for desk in there) else Attendance.ATTENDED
        is_long = now_ms - self._last_ms >= NOBODY_MS
        return Attendance.NOBODY if is_long else Attendance.ATTENDED
