"""What the centre does by itself with what is over: it counts its months, and erases it. One at a time."""

import asyncio

from centre.platform.worker import SPARE, Worker
from centre.settings import Settings
from centre.work import attempt_counters, dispatch, figures, login_attempts, retention


class Housekeeping:
    """Two jobs: what is erased becomes an outcome, and while a month is counted it would count twice."""

    def __init__(self, worker: Worker, looks: Worker, settings: Settings) -> None:
        """Make the jobs. `looks`: a thread that only reads, for which no alarm waits."""
        self._worker, self._looks = worker, looks
        self._terms = settings.keep_positions_days, settings.keep_incidents_days
        self._other_terms = settings.keep_losses_days, settings.keep_sessions_days
        self._one_at_a_time = asyncio.Lock()

    async def erase_due(self) -> None:
        async with self._one_at_a_time:
            while await self._worker(retention.erase_due, *self._terms, lane=SPARE):
                pass
            while await self._worker(retention.erase_records, *self._other_terms, lane=SPARE):
                pass
            await self._worker(dispatch.forget, lane=SPARE)
            await self._worker(retention.forget, lane=SPARE)

    async def make_figures(self) -> None:
        """Of all months that are over, a little in each turn of its thread: others look there too."""
        async with self._one_at_a_time:
            while (counting := await self._worker(figures.due, lane=SPARE)) is not None:
                for turn in counting.turns:
                    while await self._looks(turn, lane=SPARE):
                        pass
                await self._worker(figures.keep, counting, lane=SPARE)

    async def tidy_after_strangers(self) -> None:
        """Note what strangers did by its number, and bound what they leave."""
        await self._worker(attempt_counters.due, lane=SPARE)
        await self._worker(login_attempts.forget, lane=SPARE)
