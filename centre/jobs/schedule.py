"""What the centre does by itself: each job every so often, never at the cost of an alarm."""

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable

from centre.platform.log import Log
from centre.rules.refusals import Refused

Job = Callable[[], Awaitable[object]]


class Jobs:
    """A job that fails is told, and tried again at its next turn; the others go on."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._jobs: list[tuple[float, float, Job]] = []
        self._tasks: list[asyncio.Task[None]] = []

    def add(self, every_s: float, job: Job, *, first_s: float = 0.0) -> None:
        """Add a job, which does its own waiting for the store (`lane=SPARE`); `first_s`: after the start."""
        self._jobs.append((first_s, every_s, job))

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._repeat(*job)) for job in self._jobs]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _repeat(self, first_s: float, every_s: float, job: Job) -> None:
        await asyncio.sleep(first_s)
        while True:
            try:
                await job()
            except Refused:
                pass  # alarms come first
            except sqlite3.Error as error:
                self._log("trouble", reason="store_unavailable", text=f"the database refuses: {error}")
            except Exception:
                logging.getLogger("centre").exception("a mistake of ours in a job")
                self._log("trouble", reason="internal", text="a mistake of ours; stderr has the trace")
            await asyncio.sleep(every_s)
