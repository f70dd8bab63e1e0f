"""The journal's thread: rows go to disk one after the other, and what cannot be written waits in memory."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bridge.model import JournalContents, JournalReason, Key, Record
from bridge.ports import Clock, Store
from bridge.reporting.alerts import Alerts

DISK_S_MAX = 2.0
DISK_AGAIN_S = 5.0
CLOSE_S_MAX = 3.0
_TEXTS = {
    JournalReason.DISK_FULL: "the disk is full; presses go on from memory and are written when there is room",
    JournalReason.READ_ONLY: "the journal cannot be written (read-only?); presses go on from memory",
    JournalReason.CORRUPT: "the journal was damaged; it is kept beside the new one, as *.corrupt-*",
    JournalReason.SLOW: "the disk does not answer; presses go on from memory",
    JournalReason.UNWRITABLE: "the journal cannot be written; presses go on from memory",
}


class JournalWriter:
    """Writes rows in a thread of its own.

    `everything()` gives all rows; `on_late(contents)` brings what the journal holds, where that could not be
    read at the start.
    """

    def __init__(
        self,
        journal: Store,
        clock: Clock,
        alerts: Alerts,
        everything: Callable[[], Iterable[Record]],
        on_late: Callable[[JournalContents], None],
    ) -> None:
        self._journal, self._clock, self._alerts = journal, clock, alerts
        self._everything, self._on_late = everything, on_late
        # Called when codes are on disk that were not.
        self.on_kept: Callable[[Iterable[Key]], None] = lambda _: None
        self._pool = ThreadPoolExecutor(1, "journal")
        self._work: asyncio.Future[JournalReason | None] | None = None
        self._unread = False  # what an earlier run has left there: presses that wait, maybe
        self._unkept: set[Key] = set()  # heard, and not on disk yet
        self._submitted: set[Key] = set()  # of these, handed to the thread

    async def load(self) -> JournalContents:
        loop = asyncio.get_running_loop()
        kept = await loop.run_in_executor(self._pool, self._journal.load, self._clock.now_ms())
        if kept.reason:
            self._trouble(kept.reason)
        self._unread = kept.reason not in (None, JournalReason.CORRUPT)
        return kept

    async def close(self) -> None:
        """Bounded: a disk that hangs must not keep the next bridge from starting."""
        closing = asyncio.get_running_loop().run_in_executor(self._pool, self._journal.close)
        await asyncio.wait([closing], timeout=CLOSE_S_MAX)
        self._pool.shutdown(wait=closing.done(), cancel_futures=True)

    def heard(self, key: Key) -> None:
        """`is_kept(key)` is not so before it has been written."""
        self._unkept.add(key)

    def is_kept(self, key: Key) -> bool:
        return key not in self._unkept

    def keep(self, *rows: Record, keys: Iterable[Key] = ()) -> Coroutine[Any, Any, None]:
        """Hand `rows` to the thread now, and with them `keys`; rows are written in the order of these calls.

        What is returned ends when they are on disk. Where that cannot be, it says so and ends all the same:
        one goes on from memory.
        """
        self._submitted.update(keys)
        is_stuck = self._work is not None and not self._work.done()
        submitted = frozenset(self._submitted)
        loop = asyncio.get_running_loop()
        work = self._work = loop.run_in_executor(self._pool, self._journal.write, *rows)
        work.add_done_callback(lambda done: self._done(done, submitted))
        return self._await(work, 0.0 if is_stuck and "disk" in self._alerts else DISK_S_MAX)

    async def _await(self, work: asyncio.Future[JournalReason | None], limit_s: float) -> None:
        await asyncio.wait([work], timeout=limit_s)
        if not work.done():
            self._trouble(JournalReason.SLOW)

    def _done(self, work: asyncio.Future[JournalReason | None], submitted: frozenset[Key]) -> None:
        if work.cancelled():
            return
        reason = JournalReason.UNWRITABLE if work.exception() else work.result()
        if reason:
            self._trouble(reason)
            if reason is JournalReason.CORRUPT:  # a new file has been begun: put in it all that we know
                self._again = asyncio.ensure_future(self.keep(*self._everything()))
            return
        self._alerts.over("disk")
        self._submitted -= submitted
        now_kept = self._unkept & submitted
        if now_kept:
            self._unkept -= submitted
            self.on_kept(now_kept)

    async def retry(self) -> None:
        """For as long as it runs, what could not be written is tried again."""
        while True:
            await asyncio.sleep(DISK_AGAIN_S)
            if self._unread:
                kept = await self.load()
                if not self._unread:
                    self._on_late(kept)
            if "disk" in self._alerts:
                await self.keep()

    def _trouble(self, reason: JournalReason) -> None:
        self._alerts.tell("disk", reason, _TEXTS[reason])
