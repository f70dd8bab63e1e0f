"""A post that connects before its body is there: the handshakes go on while the journal writes.

Nothing is sent before the body: aiohttp sends headers together with the first bytes of one that is generated.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

import aiohttp

# The disk has two seconds; then the body comes, or it never will.
BODY_S_MAX = 3.0


class EarlyPost:
    """`send(body)` makes the request; it is begun at once, and waits for its body for so long as it may."""

    def __init__(
        self, send: Callable[[AsyncGenerator[bytes]], Coroutine[Any, Any, aiohttp.ClientResponse]]
    ) -> None:
        self._body: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._response = asyncio.create_task(send(self._chunks()))
        self._response.add_done_callback(_ended)

    @property
    def is_waiting(self) -> bool:
        """Return whether a body can still be sent."""
        return not self._body.done() and not self._response.done()

    async def _chunks(self) -> AsyncGenerator[bytes]:
        async with asyncio.timeout(BODY_S_MAX):
            body = await self._body
        yield body

    async def send(self, body: bytes) -> aiohttp.ClientResponse:
        """Send the body; return the response as the request itself would."""
        self._body.set_result(body)
        return await self._response

    async def cancel(self) -> None:
        """Let go of the connection."""
        self._response.cancel()
        await asyncio.wait([self._response])


def _ended(response: asyncio.Task[aiohttp.ClientResponse]) -> None:
    """Take its exception: whoever sends a body gets it too, and who sends none need not know."""
    if not response.cancelled():
        response.exception()
