"""The way from one phone to the centre, and what may go wrong on it while it is used.

A TCP port on 127.0.0.1. TLS passes through untouched, except where something else answers in the centre's
place: a login page, an expired certificate, a load balancer that has lost its servers.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from aiohttp import web

from centre.platform import tls
from centre.platform.home import Home

_CHUNK = 16 * 1024
_LOGIN = "<!doctype html><title>Free Wi-Fi</title><h1>Welcome! Please sign in.</h1>"


@dataclass
class Way:
    """How the way is just now; Network.set changes it, and cuts off what is open."""

    is_cut: bool = False  # refuses, at once
    hangs: bool = False  # takes everything and answers nothing
    latency_ms: int = 0  # each way
    stand_in: str = ""  # who answers instead of the centre: captive, foreign, expired, loses, or a status


class Network:
    def __init__(self, centre: tuple[str, int], home: Path, scratch: Path) -> None:
        """`home`: the centre's own, whose CA the stand-ins may use; `scratch`: a folder for foreign ones."""
        self._centre, self._home, self._scratch = centre, home, scratch
        self.way = Way()
        self._open: set[asyncio.Task[None]] = set()
        self._stand_ins: dict[str, tuple[web.AppRunner, tuple[str, int]]] = {}
        self._server: asyncio.Server | None = None

    async def open(self) -> int:
        """The port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def set(self, **changed: object) -> None:
        """As in Way. What is under way is cut off."""
        for name, value in changed.items():
            assert hasattr(self.way, name)
            setattr(self.way, name, value)
        if self.way.stand_in and self.way.stand_in not in self._stand_ins:
            self._stand_ins[self.way.stand_in] = await self._start(self.way.stand_in)
        for task in list(self._open):
            task.cancel()

    async def close(self) -> None:
        if self._server:
            self._server.close()
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        for runner, _ in self._stand_ins.values():
            await runner.cleanup()

    # -- bytes ---------------------------------------------------------------------------------------

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._open.add(task)
        try:
            if not self.way.is_cut:
                await self._carry(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # the way has changed, or one end is gone
        finally:
            self._open.discard(task)
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.way.hangs:
            while await reader.read(_CHUNK):
                pass
            return
        where = self._stand_ins[self.way.stand_in][1] if self.way.stand_in else self._centre
        there, back = await asyncio.open_connection(*where)
        try:
            await asyncio.gather(self._pass(reader, back), self._pass(there, writer))
        finally:
            back.transport.abort()

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while chunk := await self._take(source):
            if self.way.latency_ms:
                await asyncio.sleep(self.way.latency_ms / 1000)
            sink.write(chunk)
            await sink.drain()
        with contextlib.suppress(OSError):
            sink.write_eof() if sink.can_write_eof() else None

    async def _take(self, source: asyncio.StreamReader) -> bytes:
        """Take what has come, empty at the end."""
        return await source.read(_CHUNK)

    # -- who answers instead ------------------------------------------------------------------------

    async def _start(self, kind: str) -> tuple[web.AppRunner, tuple[str, int]]:
        """`(runner, address)` of a stand-in."""
        answer, context = self._answer(kind), self._context(kind)
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        host, port = runner.addresses[0][:2]
        return runner, (host, port)

    def _answer(self, kind: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        if kind == "loses":
            return self._lose
        if kind == "lies":
            return _always(200, '{"status": "ok"}', "application/json")
        if kind.isdecimal():
            return _always(int(kind), "<h1>Try again</h1>")
        return _always(200, _LOGIN)

    async def _lose(self, request: web.Request) -> web.StreamResponse:
        """The centre is asked, and its answer lost on the way."""
        trust = ssl.create_default_context(cafile=self._home / tls.CA_FILE)
        url = f"https://{self._centre[0]}:{self._centre[1]}{request.path_qs}"
        headers = {name: value for name, value in request.headers.items() if name != "Host"}
        async with aiohttp.ClientSession() as session:
            timeout = aiohttp.ClientTimeout(total=5)
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                await session.request(
                    request.method,
                    url,
                    data=await request.read(),
                    headers=headers,
                    ssl=trust,
                    timeout=timeout,
                )
        assert request.transport
        request.transport.abort()
        return web.Response()

    def _context(self, kind: str) -> ssl.SSLContext:
        if kind in ("captive", "foreign"):
            return tls.development_context(Home(self._scratch / "foreign"), "127.0.0.1")
        days_old = tls.LEAF_DAYS + 1 if kind == "expired" else 0
        return tls.development_context(
            Home(self._home), "127.0.0.1", days_old=days_old, name=f"leaf-{kind}.pem"
        )


def _always(
    status: int, page: str, content_type: str = "text/html"
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=page, content_type=content_type)

    return answer
