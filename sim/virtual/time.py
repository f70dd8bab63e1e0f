"""Virtual time: one clock that jumps to whatever is due next, and an event loop for each process on it.

Within one loop callbacks run in the order in which they became ready, as asyncio promises. Between
loops, and between timers that are due at the same instant, nothing is promised: there the seed decides.
"""

import asyncio
import contextvars
import heapq
import itertools
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

_UNWIND_TURNS_MAX = 2000
_UNWIND_ROUNDS_MAX = 20


class Killed(BaseException):
    """SIGKILL in the middle of a synchronous call; no `except Exception` of the victim sees it."""


class Handle:
    """A callback that waits for its time or its turn; what `call_later` and its like return."""

    __slots__ = ("_args", "_callback", "_context", "_is_cancelled", "loop")

    def __init__(
        self,
        loop: "Loop | None",
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: contextvars.Context | None,
    ) -> None:
        self.loop, self._callback, self._args, self._context = loop, callback, args, context
        self._is_cancelled = False

    def cancel(self) -> None:
        self._is_cancelled = True

    def cancelled(self) -> bool:
        return self._is_cancelled

    def run(self) -> None:
        if self._is_cancelled:
            return
        if self._context is None:
            self._callback(*self._args)
            return
        try:
            self._context.run(self._callback, *self._args)
        except Exception as error:
            assert self.loop is not None
            self.loop.call_exception_handler({"message": "a callback failed", "exception": error})


class Time:
    """The clock of a world, in seconds from 0; whatever happens in it, happens from here."""

    def __init__(self, random: Random) -> None:
        self.now_s = 0.0
        self._random = random
        self._timers: list[tuple[float, float, int, Handle]] = []
        self._numbers = itertools.count()
        self._ready: list[Loop] = []

    def at(self, when_s: float, callback: Callable[..., object], *args: Any) -> Handle:
        """Call something of the world itself, which is no process's."""
        return self.add(when_s, Handle(None, callback, args, None))

    def after(self, delay_s: float, callback: Callable[..., object], *args: Any) -> Handle:
        return self.add(self.now_s + delay_s, Handle(None, callback, args, None))

    def add(self, when_s: float, handle: Handle) -> Handle:
        heapq.heappush(
            self._timers,
            (max(when_s, self.now_s), self._random.random(), next(self._numbers), handle),
        )
        return handle

    def ready(self, loop: "Loop") -> None:
        """`loop` has something to do now."""
        self._ready.append(loop)

    def run(self, until_s: float) -> None:
        """All that happens up to then."""
        ready, timers, random = self._ready, self._timers, self._random
        around = events._get_running_loop()  # a world may be played within a real loop
        try:
            while True:
                while ready:
                    place = random.randrange(len(ready)) if len(ready) > 1 else 0
                    loop = ready[place]
                    if not loop.turn():
                        ready.remove(loop)
                if not timers or timers[0][0] > until_s:
                    self.now_s = until_s
                    return
                when_s, _, _, handle = heapq.heappop(timers)
                if handle.cancelled():
                    continue
                self.now_s = when_s
                if handle.loop is None:
                    events._set_running_loop(None)
                    handle.run()
                else:
                    handle.loop.push(handle)
        finally:
            events._set_running_loop(around)


def _settle(future: "asyncio.Future[Any]", value: Any, error: Exception | None) -> None:
    if not future.done():
        future.set_result(value) if error is None else future.set_exception(error)


class Loop(asyncio.AbstractEventLoop):
    """One process's event loop. `disk_s()` is how long a call in another thread takes; `on_mistake(text)` is
    told of what nobody caught."""

    def __init__(self, time: Time, disk_s: Callable[[], float], on_mistake: Callable[[str], None]) -> None:
        self._time, self._disk_s, self._on_mistake = time, disk_s, on_mistake
        self._ready: deque[Handle] = deque()
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._dead = self._is_unwinding = False
        self._thread_free_s = 0.0

    # -- what the clock calls ---------------------------------------------------------------------

    def push(self, handle: Handle) -> None:
        if self._dead and not self._is_unwinding:
            return
        if not self._ready and not self._is_unwinding:
            self._time.ready(self)
        self._ready.append(handle)

    def turn(self) -> bool:
        """Run what is first; whether there is more."""
        ready = self._ready
        if self._dead:
            ready.clear()
        if not ready:
            return False
        events._set_running_loop(self)
        ready.popleft().run()
        return bool(ready)

    def halt(self) -> None:
        """Nothing of this process runs from here on; `kill` is still to come."""
        self._dead = True

    def kill(self) -> None:
        """Nothing of this process runs from here on.

        Its coroutines are unwound, so that nothing of them is left to be collected later; whoever kills
        has closed all that they could still reach.
        """
        self._dead = self._is_unwinding = True
        self._ready.clear()
        running = events._get_running_loop()
        events._set_running_loop(self)
        try:
            current = asyncio.current_task(self)
            for _ in range(_UNWIND_ROUNDS_MAX):
                tasks = [task for task in self._tasks if task is not current and not task.done()]
                if not tasks:
                    break
                for task in tasks:
                    task.cancel()
                for _ in range(_UNWIND_TURNS_MAX):
                    if not self._ready:
                        break
                    self._ready.popleft().run()
        finally:
            events._set_running_loop(running)
            self._is_unwinding = False
            for task in self._tasks:
                task._log_destroy_pending = False  # type: ignore[attr-defined]
            self._ready.clear()

    @property
    def is_dead(self) -> bool:
        return self._dead

    # -- what asyncio calls -----------------------------------------------------------------------

    def time(self) -> float:
        return self._time.now_s

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> Handle:
        handle = Handle(self, callback, args, context or contextvars.copy_context())
        self.push(handle)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> Handle:
        return self.call_at(self._time.now_s + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> Handle:
        handle = Handle(self, callback, args, context or contextvars.copy_context())
        return handle if self._dead else self._time.add(when, handle)

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]
        self,
        coro: Coroutine[Any, Any, Any],
        *,
        name: str | None = None,
        context: contextvars.Context | None = None,
    ) -> "asyncio.Task[Any]":
        task = asyncio.Task(coro, loop=self, name=name or "", context=context)
        self._tasks[task] = None
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.pop(task, None)

    def run_in_executor(  # type: ignore[override]
        self,
        executor: object,  # noqa: ARG002 -- asyncio's shape; there is one other thread
        func: Callable[..., Any],
        *args: Any,
    ) -> "asyncio.Future[Any]":
        """In another thread: one call after the other, each somewhere within the time that it takes."""
        future = self.create_future()
        start_s = max(self._time.now_s, self._thread_free_s)
        took_s = self._disk_s()
        self._thread_free_s = start_s + took_s
        self.call_at(start_s + took_s / 2, self._work, future, func, args, took_s / 2)
        return future

    def _work(
        self, future: "asyncio.Future[Any]", func: Callable[..., Any], args: tuple[Any, ...], rest_s: float
    ) -> None:
        if future.cancelled():
            return
        try:
            value, error = func(*args), None
        except Killed:
            return
        except Exception as raised:
            value, error = None, raised
        if not self._dead:
            self.call_later(rest_s, _settle, future, value, error)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self._dead:
            self._on_mistake(f"{context.get('message')}: {context.get('exception')!r}")

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False


class Clock:
    """A phone's clock: `set_ms` is how far somebody has set it."""

    def __init__(self, time: Time, epoch_ms: int) -> None:
        self._time, self._epoch_ms = time, epoch_ms
        self.set_ms, self._drift, self._since_s = 0, 0.0, 0.0

    def set_drift(self, share: float) -> None:
        """It is so much too fast from now on."""
        self.set_ms += int((self._time.now_s - self._since_s) * self._drift * 1000)
        self._since_s, self._drift = self._time.now_s, share

    def now_ms(self) -> int:
        off_ms = (self._time.now_s - self._since_s) * self._drift * 1000
        return self._epoch_ms + int(self._time.now_s * 1000 + off_ms) + self.set_ms

    def monotonic_s(self) -> float:
        return self._time.now_s

    def monotonic_ms(self) -> int:
        return int(self._time.now_s * 1000)

    def boottime_ms(self) -> int:
        return self.monotonic_ms()
