"""Sees whether the centre can take an alarm now, so that no board is called live while it cannot."""

import asyncio
import sqlite3

from centre.platform.change_signals import ChangeSignals
from centre.platform.log import Log
from centre.platform.worker import AFTER, Worker
from centre.rules.refusals import Refused
from centre.work import store_check

CHECK_S = 4.0
ANSWER_S_MAX = 6.0  # with CHECK_S and a page's own second below the 15 s within which the board says so


class StoreCheck:
    def __init__(self, worker: Worker, signals: ChangeSignals, log: Log) -> None:
        self._worker, self._signals, self._log = worker, signals, log
        self.takes_alarms = True

    async def look(self) -> None:
        """Try to write; where that has changed, tell the log and all boards."""
        why = await self._try()
        if (why is None) != self.takes_alarms:
            self.takes_alarms = why is None
            text = "alarms are taken again" if why is None else f"no alarm can be taken: {why}"
            self._log("trouble", reason="store_unavailable", text=text, over=why is None)
            self._signals.board_changed()

    async def _try(self) -> str | None:
        """Return why an alarm could not be stored, or None."""
        try:
            async with asyncio.timeout(ANSWER_S_MAX):
                await self._worker(store_check.write, lane=AFTER)
        except sqlite3.Error as error:
            return f"the database refuses: {error}"
        except TimeoutError:
            return f"the database gives no answer within {ANSWER_S_MAX:.0f} s"
        except Refused:
            return "too much waits for the database"
        return None
