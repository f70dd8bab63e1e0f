"""The bridge between tasks and the synchronous service: one thread, one queue with a bound."""

import asyncio
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from centre.refusals import Refused
from centre.service import Service

QUEUE_MAX = 1000
T = TypeVar("T")


class Worker:
    """`await worker(Service.take_alarm, ...)` runs it in the service's own thread, in order."""

    def __init__(self, make: Callable[[], Service]) -> None:
        """`make` is called in the thread: SQLite's connections do not like to travel."""
        self._pool = ThreadPoolExecutor(1, "store")
        self._waiting = 0
        try:
            self._service = self._pool.submit(make).result()
        except BaseException:
            self._pool.shutdown()
            raise

    async def __call__(self, method: Callable[..., T], *arguments: Any) -> T:
        """Raises what `method` raises, and Refused("busy") rather than queue without end."""
        if self._waiting >= QUEUE_MAX:
            raise Refused("busy")
        self._waiting += 1
        try:
            work = partial(method, self._service, *arguments)
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        self._pool.submit(self._service.store.close).result()
        self._pool.shutdown()


class Bells:
    """Memory signals that carry nothing: whoever is woken reads the table, so none can be missed.

    Take the bell *before* reading: `bell = bells.bell(name)`, read, then wait for it.
    """

    def __init__(self) -> None:
        # Weak: a bell that nobody holds is no longer there to be rung.
        self._bells: weakref.WeakValueDictionary[str, asyncio.Event] = weakref.WeakValueDictionary()

    def bell(self, name: str) -> asyncio.Event:
        event = self._bells.get(name)
        if event is None:
            event = self._bells[name] = asyncio.Event()
        return event

    def ring(self, *names: str) -> None:
        for name in names:
            event = self._bells.pop(name, None)
            if event is not None:
                event.set()

    def ring_all(self) -> None:
        self.ring(*list(self._bells))
