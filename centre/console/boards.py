"""The board as all operators see it: read and made once per change and language, however many look."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from centre.console import board as html
from centre.intake import BOARD_BELL
from centre.log import now_ms
from centre.work import desk
from centre.work.views import Board
from centre.worker import Bells, Worker

ESCALATE_TICK_S = 0.5
_OLD_S = 5.0  # another process (a command) may have changed something, and rings no bell
_YOUNG_S = 0.2  # a flood of alarms is read five times a second, not a thousand


@dataclass(slots=True)
class Snapshot:
    """The board at one moment, and how it reads."""

    board: Board
    levels: dict[str, int]  # of escalation, by incident_id
    bell: asyncio.Event  # rings when it is no longer true
    made_at_s: float  # of the clock that nobody sets: set back an hour, no board is an hour young
    _lists: dict[str, str] = field(default_factory=dict)

    def listed(self, language: str) -> str:
        """As HTML."""
        if language not in self._lists:
            self._lists[language] = html.render(self.board, language, self.levels)
        return self._lists[language]

    def state(self) -> dict[str, Any]:
        """What the page's script is told beside the HTML."""
        cards = self.board.waiting + self.board.taken + self.board.closed
        return {
            "untaken": len(self.board.waiting) + self.board.hidden,
            "duress": self.board.duress_waits,
            "level": max(self.levels.values(), default=0),
            "versions": {card.incident_id: card.version for card in cards},
        }


class Boards:
    def __init__(self, worker: Worker, bells: Bells, escalate_s: int) -> None:
        self._worker, self._bells, self._escalate_s = worker, bells, escalate_s
        self._now: Snapshot | None = None
        self._reading = asyncio.Lock()

    async def now(self) -> Snapshot:
        """As it is: nothing that has happened before the call is missing. Raises as the worker does."""
        async with self._reading:
            age_s = time.monotonic() - self._now.made_at_s if self._now else _OLD_S
            if self._now is None or self._now.bell.is_set() or age_s >= _OLD_S:
                await asyncio.sleep(max(0.0, _YOUNG_S - age_s))
                bell = self._bells.bell(BOARD_BELL)
                board = await self._worker(desk.board)
                levels = html.levels(board, now_ms(), self._escalate_s)
                fresh = Snapshot(board, levels, bell, time.monotonic())
                if self._now is not None and (board, levels) == (self._now.board, self._now.levels):
                    fresh._lists = self._now._lists
                self._now = fresh
            return self._now

    async def escalate(self) -> None:
        """A job: rings for all pages when an alarm that nobody takes has got louder."""
        shown = self._now
        if shown and html.levels(shown.board, now_ms(), self._escalate_s) != shown.levels:
            self._bells.ring(BOARD_BELL)
