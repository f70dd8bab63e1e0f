"""The thread that does the store's synchronous work for tasks: three lanes, each with a bound.

What waits in a lane is done in one go and committed once (group commit): the disk is waited for once, however
many alarms come together, and nobody is answered before it. Where one of a group fails half way, or the
commit does, all of the group is undone and each is done again by itself: nobody fails because of a neighbour,
nor has read what was never stored.
"""

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

from centre.rules.refusals import Refused
from centre.store import BUSY_TIMEOUT_S, Store
from centre.work.core import Core

# What waits in a lower lane is done only when nothing waits in a higher one. Alarms, and what operators
# see and do; positions and call-offs; heartbeats.
ALARMS, AFTER, SPARE = range(3)
LANES = ((1000, "busy"), (1000, "busy"), (64, "shed"))  # how many may wait, and the refusal of one more
GROUP_MAX = 64  # jobs of one commit
GROUP_S_MAX = 0.010  # then no further job is begun before the commit
STANDS_S_MAX = 0.010  # so long, and no longer, the loop stands still for alarms
T = TypeVar("T")


class _Job:
    """Something to do, and what became of it."""

    __slots__ = ("alone", "asked_s", "error", "future", "lane", "result", "work")

    def __init__(self, future: "asyncio.Future[Any]", work: Callable[[], Any], lane: int) -> None:
        self.future, self.work, self.lane = future, work, lane
        self.asked_s = time.monotonic()
        self.alone = False  # it is done again, after its group was undone
        self.result: Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        self.error = None
        try:
            self.result = self.work()
        except BaseException as error:  # whoever waits for it is told
            self.error = error


class Worker:
    """`await worker(presses.take_alarm, ...)` runs it in the store's own thread, in order in its lane.

    On disk when it returns, as if it had been alone. It may be done twice, if the first time is undone.
    """

    def __init__(
        self, make: Callable[[], Core], *, stores: bool = True, locked_s_max: float = BUSY_TIMEOUT_S
    ) -> None:
        """`make` is called in the thread: SQLite's connections do not like to travel.

        `stores`: the loop stands still while alarms are stored; it does not for who only looks. Where another
        process holds the database, nobody waits longer than `locked_s_max` since asking, however many wait.
        """
        self._locked_s_max = locked_s_max
        self._stores = stores
        self._lanes: tuple[deque[_Job], ...] = tuple(deque() for _ in LANES)
        self._calls: SimpleQueue[bool] = SimpleQueue()  # begin a group; False: do all that is left, and end
        self._is_busy = False  # a group is being done
        self._will_call = False  # for one, in the loop's next turn
        self._did = threading.Event()  # the jobs of the group; it is being committed now
        opened: Future[Core] = Future()
        self._thread = threading.Thread(target=self._work, args=(make, opened), name="store")
        self._thread.start()
        try:
            self._core = opened.result()
        except BaseException:
            self._thread.join()
            raise

    async def __call__(self, method: Callable[..., T], *arguments: Any, lane: int = ALARMS) -> T:
        """Do it in the thread.

        Raises what `method` raises, and Refused("busy" | "shed") rather than queue without end.
        """
        at_most, reason = LANES[lane]
        if len(self._lanes[lane]) >= at_most:
            raise Refused(reason)
        self._loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = self._loop.create_future()
        self._lanes[lane].append(_Job(future, partial(method, self._core, *arguments), lane))
        self._call_soon()
        return await future

    def close(self) -> None:
        """End, when all that waits is done."""
        self._calls.put(False)
        self._thread.join()

    def _call_soon(self) -> None:
        """Begin a group soon: once for all that comes in a turn of the loop, behind one in the making."""
        if not self._is_busy and not self._will_call:
            self._will_call = True
            self._loop.call_soon(self._call)

    def _call(self) -> None:
        """Begin a group.

        Two threads of Python only take the interpreter from each other, at every query: while alarms are
        being stored the loop stands still, for a moment. It does not wait for the disk.
        """
        self._will_call, self._is_busy = False, True
        self._did.clear()
        self._calls.put(True)
        if self._stores and self._lanes[ALARMS]:
            self._did.wait(STANDS_S_MAX)

    def _done(self, group: list[_Job]) -> None:
        self._is_busy = False
        _answer(deque(sorted(group, key=lambda job: job.lane)))
        if self._highest() is not None:
            self._call_soon()

    def _work(self, make: Callable[[], Core], opened: "Future[Core]") -> None:
        try:
            core = make()
        except BaseException as error:
            opened.set_exception(error)
            return
        opened.set_result(core)
        while self._calls.get():
            self._do_group(core)
        while self._highest() is not None:
            self._do_group(core)
        core.store.close()

    def _do_group(self, core: Core) -> None:
        group: list[_Job] = []
        while not group and (lane := self._highest()) is not None:
            group = self._group(core.store, lane)
        self._did.set()
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._done, group)

    def _highest(self) -> int | None:
        """Return the lane whose turn it is, or None."""
        return next((lane for lane, waiting in enumerate(self._lanes) if waiting), None)

    def _group(self, store: Store, lane: int) -> list[_Job]:
        """Do what waits in that lane, until a lower one's turn comes or the group is full, and commit it.

        What comes meanwhile in a higher lane is done next, in the same group: it waits for no other commit.
        Empty where it had to be undone: they wait again, each to be done alone.
        """
        group: list[_Job] = []
        until_s = time.monotonic() + GROUP_S_MAX
        try:
            with store.group():
                while len(group) < GROUP_MAX:
                    turn = self._highest()
                    if turn is None or turn > lane or (turn == lane and time.monotonic() > until_s):
                        break
                    lane, waiting = turn, self._lanes[turn]
                    if group and (waiting[0].alone or group[0].alone):
                        break
                    job = waiting.popleft()
                    if job.future.cancelled():
                        continue
                    group.append(job)
                    if self._stores:
                        store.wait_at_most(self._locked_s_max - (time.monotonic() - job.asked_s))
                    job.run()
                    if store.is_spoilt:
                        raise job.error or AssertionError
                self._did.set()
        except BaseException as error:
            if len(group) == 1:
                group[0].error = group[0].error or error
                return group
            for job in reversed(group):
                job.alone = True
                self._lanes[job.lane].appendleft(job)
            return []
        return group


def _answer(group: deque[_Job]) -> None:
    """Answer who waits; one heartbeat in a turn of the loop, so that alarms are heard between them."""
    while group:
        job = group.popleft()
        if not job.future.cancelled():
            if job.error is None:
                job.future.set_result(job.result)
            else:
                job.future.set_exception(job.error)
        if group and job.lane == SPARE:
            job.future.get_loop().call_soon(_answer, group)
            return
