"""Virtual time: what is to happen, in the order of time; at the same time, in the order it was asked for."""

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any


class EventQueue:
    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms
        self._waiting: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._asked = 0

    def at(self, at_ms: int, do: Callable[..., None], *args: Any) -> None:
        heappush(self._waiting, (max(at_ms, self.now_ms), self._asked, do, args))
        self._asked += 1

    def run(self, until_ms: int) -> None:
        """All that is due until then, `until_ms` included."""
        waiting = self._waiting
        while waiting and waiting[0][0] <= until_ms:
            self.now_ms, _, do, args = heappop(waiting)
            do(*args)
        self.now_ms = until_ms
