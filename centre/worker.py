"""The bridge between tasks and the synchronous work: one thread, three queues, each with a bound."""

import asyncio
import itertools
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import PriorityQueue
from typing import Any, TypeVar

from centre.core import Core
from centre.rules.refusals import Refused

# What waits in a lower lane is done only when nothing waits in a higher one. Alarms, and what operators
# see and do; positions and call-offs; signs of life.
ALARMS, AFTER, SPARE = range(3)
LANES = ((1000, "busy"), (1000, "busy"), (32, "shed"))  # how many may wait, and the refusal of one more
_LAST = len(LANES)
T = TypeVar("T")


class Worker:
    """`await worker(presses.take_alarm, ...)` runs it in the store's own thread, in order in its lane."""

    def __init__(self, make: Callable[[], Core]) -> None:
        """`make` is called in the thread: SQLite's connections do not like to travel."""
        self._queue: PriorityQueue[tuple[int, int, Future[Any], Callable[[], Any] | None]] = PriorityQueue()
        self._numbers = itertools.count()
        self._waiting = [0] * len(LANES)
        self._thread = threading.Thread(target=self._work, name="store")
        self._thread.start()
        try:
            self._core: Core = self._put(ALARMS, make).result()
        except BaseException:
            self._stop()
            raise

    async def __call__(self, method: Callable[..., T], *arguments: Any, lane: int = ALARMS) -> T:
        """Raises what `method` raises, and Refused("busy" | "shed") rather than queue without end."""
        at_most, reason = LANES[lane]
        if self._waiting[lane] >= at_most:
            raise Refused(reason)
        self._waiting[lane] += 1
        try:
            return await asyncio.wrap_future(self._put(lane, partial(method, self._core, *arguments)))
        finally:
            self._waiting[lane] -= 1

    def _put(self, lane: int, work: Callable[[], T]) -> "Future[T]":
        future: Future[T] = Future()
        self._queue.put((lane, next(self._numbers), future, work))
        return future

    def _work(self) -> None:
        while True:
            _, _, future, work = self._queue.get()
            if work is None:
                return
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(work())
            except BaseException as error:  # whoever waits for it is told
                future.set_exception(error)
            del future, work

    def _stop(self) -> None:
        self._queue.put((_LAST, next(self._numbers), Future(), None))
        self._thread.join()

    def close(self) -> None:
        self._put(_LAST, self._core.store.close).result()
        self._stop()


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
