"""The board as all operators see it: read and made once per change and language, however many look."""

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from centre.console import board_html as html
from centre.platform.change_signals import ChangeSignals
from centre.platform.log import now_ms
from centre.platform.worker import Worker
from centre.work import board as work
from centre.work.board import Board

ESCALATE_TICK_S = 0.5
_OLD_S = 5.0  # another process (a command) may have changed something, and sends no signal
_TURN_S = 0.002  # of the loop, for cards: then others who wait have theirs
_YOUNG_S = 0.2  # a flood of alarms is read five times a second, not a thousand


@dataclass(frozen=True, slots=True)
class Listed:
    """How a board reads for one user; `event` is what streams say of it, as JSON without its end."""

    html: str
    event: str


@dataclass(slots=True)
class Snapshot:
    """The board at one moment, and how it reads."""

    board: Board
    levels: dict[str, int]  # of escalation, by incident_id
    changed: asyncio.Event  # set when it is no longer true
    made_at_s: float  # of the clock that nobody sets: set back an hour, no board is an hour young
    _lists: dict[tuple[str, str], "Listed"] = field(default_factory=dict)

    def state(self, actor: str) -> dict[str, Any]:
        """Return what the page's script is told beside the HTML, for who looks."""
        mine = self.board.owned.get(actor, 0)
        cards = self.board.waiting + self.board.taken + self.board.closed
        return {
            "untaken": len(self.board.waiting) + self.board.hidden,
            "open": self.board.open_count,
            "mine": mine,
            "others": len(self.board.taken) + self.board.taken_hidden - mine,
            "duress": self.board.duress_waits,
            "level": max((self.levels[card.incident_id] for card in self.board.waiting), default=0),
            "versions": {card.incident_id: card.version for card in cards},
        }


class BoardCache:
    def __init__(self, worker: Worker, signals: ChangeSignals, escalate_s: int) -> None:
        self._worker, self._signals, self._escalate_s = worker, signals, escalate_s
        self._now: Snapshot | None = None
        self._made: dict[str, dict[html.Item, Markup]] = {}  # by language: what stood there the last time
        self._reading = asyncio.Lock()

    async def now(self) -> Snapshot:
        """As it is: nothing that has happened before the call is missing. Raises as the worker does."""
        async with self._reading:
            age_s = time.monotonic() - self._now.made_at_s if self._now else _OLD_S
            if self._now is None or self._now.changed.is_set() or age_s >= _OLD_S:
                await asyncio.sleep(max(0.0, _YOUNG_S - age_s))
                changed = self._signals.of_board()
                board = await self._worker(work.board)
                levels = html.levels(board, now_ms(), self._escalate_s)
                fresh = Snapshot(board, levels, changed, time.monotonic())
                if self._now is not None and (board, levels) == (self._now.board, self._now.levels):
                    fresh._lists = self._now._lists
                self._now = fresh
            return self._now

    async def listed(self, snapshot: Snapshot, language: str, actor: str = "") -> Listed:
        """Return the board as `actor` sees it.

        Each card is made once for what it shows; an alarm that comes meanwhile waits for few of them.
        """
        listed = snapshot._lists.get((language, actor))
        if listed is None:
            before, rendered, begun_s = self._made.get(language, {}), {}, time.monotonic()
            for item in html.items(snapshot.board, snapshot.levels):
                rendered[item] = before.get(item) or html.render_item(item, language)
                if time.monotonic() - begun_s > _TURN_S:
                    await asyncio.sleep(0)
                    begun_s = time.monotonic()
            self._made[language] = rendered
            text = html.joined(snapshot.board, language, rendered.items(), actor)
            event = json.dumps({"html": text} | snapshot.state(actor))
            listed = snapshot._lists[language, actor] = Listed(text, event.removesuffix("}"))
        return listed

    async def escalate(self) -> None:
        """Wake all pages when an alarm that nobody takes has got louder. A job."""
        shown = self._now
        if shown and html.levels(shown.board, now_ms(), self._escalate_s) != shown.levels:
            self._signals.board_changed()
