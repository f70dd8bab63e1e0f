"""Tasks that run beside their owner, and end with it."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Background:
    """Tasks are held here, for the loop itself holds none (Python's documentation of asyncio.create_task)."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` from the loop's next turn on."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def cancel(self) -> None:
        """End all of them, and wait until they have."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
