"""Server-sent events (HTML standard, 9.2): bounded in number, with heartbeats, ended when we stop."""

import asyncio
import contextlib
import sqlite3
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping

from aiohttp import web

from centre.rules.refusals import Refused

HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
}
WRITE_S_MAX = 20.0  # a reader that takes nothing for so long is gone


class Streams:
    """Count how many are open, by whom."""

    def __init__(
        self,
        total_max: int,
        per_caller_max: int,
        respond: Callable[[Mapping[str, str]], web.StreamResponse] | None = None,
    ) -> None:
        """`respond(headers)` makes the response that a stream is written to; None: aiohttp's."""
        self._total_max, self._per_caller_max = total_max, per_caller_max
        self._respond = respond or (lambda headers: web.StreamResponse(headers=headers))
        self._open: Counter[str] = Counter()
        self.stopping = False

    def count(self, caller: str) -> int:
        """Return how many somebody has open."""
        return self._open[caller]

    @contextlib.asynccontextmanager
    async def open(self, request: web.Request, caller: str) -> AsyncGenerator["Stream"]:
        """Open one more. Raises Refused("too_many_streams").

        Whatever goes wrong once it has begun ends it, as there is no second answer: the reader comes
        back and resumes.
        """
        if self._open.total() >= self._total_max or self._open[caller] >= self._per_caller_max:
            raise Refused("too_many_streams")
        self._open[caller] += 1
        try:
            stream = Stream(self._respond(HEADERS))
            await stream.response.prepare(request)
            with contextlib.suppress(ConnectionError, TimeoutError, Refused, sqlite3.Error):
                yield stream
        finally:
            self._open[caller] -= 1
            if not self._open[caller]:
                del self._open[caller]


class Stream:
    def __init__(self, response: web.StreamResponse) -> None:
        self.response = response

    async def send(self, event: str, data: str, seq: int | None = None) -> None:
        """Send one event. `data` must be one line, as JSON is."""
        assert "\n" not in data
        head = "" if seq is None else f"id: {seq}\n"
        await self._write(f"{head}event: {event}\ndata: {data}\n\n")

    async def heartbeat(self) -> None:
        await self._write(":\n\n")

    async def _write(self, text: str) -> None:
        async with asyncio.timeout(WRITE_S_MAX):
            await self.response.write(text.encode())
