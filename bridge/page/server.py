"""The page's HTTP server. It decides nothing: what it shows and does is the running bridge's."""

import asyncio
import json
import logging
import os
import re
import time
from collections.abc import Awaitable, Callable, Coroutine
from html import escape
from pathlib import Path
from string import Template
from types import TracebackType
from typing import Any, Self, TypeVar

from aiohttp import web

from bridge.model import Key
from bridge.page import words
from bridge.page.guard import HEADERS, ConnectionLimit, Guard
from bridge.page.view import view
from bridge.ports import Log, PageBridge
from bridge.reporting.log import place

POLL_S_MAX = 25.0
POLLS_MAX = 8
CALL_OFFS_MAX = 2
BODY_BYTES_MAX = 1024
STOP_S_MAX = 0.5
PIN = re.compile(r"[0-9]{4,8}", re.ASCII)

# Without the secret there is a shell without a word in it, and nothing else.
_FILES = {
    "/page.js": ("page.js", "text/javascript"),
    "/page.css": ("page.css", "text/css"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
# aiohttp would write a traceback for each piece of garbage that anybody sends; our own mistakes are
# told by `_mistake`.
_SILENT = logging.getLogger("bridge.page.http")
_SILENT.disabled = True
_T = TypeVar("_T")
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class PageError(Exception):
    """The page cannot be served; `reason` is a word for programs, the text a sentence for people."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class _Refused(Exception):
    """What our own page should not have asked."""

    def __init__(self, status: int, reason: str, text: str) -> None:
        super().__init__(text)
        self.status, self.reason = status, reason


class Page:
    """Serves the page: `async with Page(...) as page:`, until the block ends. Raises PageError.

    `secret`: 22 to 128 of A-Z a-z 0-9 _ -, see guard.py. `port` 0 takes any. `language` empty: the
    browser's. `name`: what the page calls the button; anybody on this machine can read it.
    """

    def __init__(
        self,
        bridge: PageBridge,
        secret: str,
        *,
        port: int,
        name: str = words.NAME,
        language: str | None = None,
        log: Log | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        poll_s_max: float = POLL_S_MAX,
    ) -> None:
        self._bridge, self._secret, self._name, self._language = bridge, secret, name, language
        self._port, self._log = port, log
        self._guard = Guard(secret, clock, sleep)
        self._poll_s_max = poll_s_max
        self._connection_limit: ConnectionLimit | None = None
        self._polls: set[asyncio.Task[None]] = set()
        self._checks: set[asyncio.Task[bool]] = set()  # one at most
        self._call_offs: set[asyncio.Task[str]] = set()
        here = Path(__file__).parent
        shell = Template((here / "page.html").read_text("utf-8")).substitute(name=escape(name))
        self._open = {"/": (shell, "text/html"), "/manifest.webmanifest": _manifest(name)}
        self._open |= {
            path: ((here / file).read_text("utf-8"), kind) for path, (file, kind) in _FILES.items()
        }
        self._asked: dict[tuple[str, str], _Handler] = {
            ("GET", "/words"): self._words,
            ("GET", "/status"): self._status,
            ("POST", "/check"): self._check,
            ("POST", "/undo"): self._undo,
        }

    @property
    def address(self) -> str:
        """Return where the protected person opens it; it carries the secret, and belongs in no log."""
        return f"http://127.0.0.1:{self._port}/#{self._secret}"

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        app.router.add_route("*", "/{path:.*}", self._answer)
        app.on_response_prepare.append(_set_headers)
        # A poll whose reader has gone is not waited for.
        self._runner = web.AppRunner(
            app, access_log=None, logger=_SILENT, shutdown_timeout=STOP_S_MAX, handler_cancellation=True
        )
        await self._runner.setup()
        assert self._runner.server is not None
        self._connection_limit = ConnectionLimit(self._runner.server)
        try:
            self._listening = await asyncio.get_running_loop().create_server(
                self._connection_limit, "127.0.0.1", self._port, backlog=16
            )
        except OSError as error:
            await self._runner.cleanup()
            raise PageError(
                "page_port_taken",
                f"the page cannot be shown: port {self._port} of 127.0.0.1 is not to be had "
                f"({os.strerror(error.errno or 0)}). Set another page.port, and make a new address for "
                "the page: whoever has the port may have read the old one.",
            ) from None
        self._port = self._listening.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listening.close()
        tasks: list[asyncio.Task[Any]] = [*self._polls, *self._call_offs, *self._checks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        connections = self._runner.server.connections if self._runner.server else []
        transports = [connection.transport for connection in connections]
        await self._runner.cleanup()
        for transport in transports:
            if transport is not None:
                transport.abort()
        await asyncio.sleep(0)  # they are closed by the loop's next turn

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        """Answer every request: nothing can be asked that is not guarded."""
        try:
            if not self._guard.is_ours(request, self._port):
                return web.Response(status=403)
            if request.method in ("GET", "HEAD") and request.path in self._open:
                text, kind = self._open[request.path]
                return web.Response(text=text, content_type=kind)
            if not await self._guard.knows(request):
                # Also where there is no such path: a stranger does not learn which there are.
                return web.Response(status=401, headers={"WWW-Authenticate": "Bearer"})
            return await self._asked_by_us(request)
        except _Refused as refused:
            problem = {"reason": refused.reason, "title": str(refused)}
            return web.json_response(problem, status=refused.status)
        except web.HTTPException as error:  # aiohttp's own: a body that is too long
            return web.Response(status=error.status)
        except Exception as error:
            self._mistake(error)
            return web.json_response({"reason": "internal", "title": "a mistake of our own"}, status=500)

    async def _asked_by_us(self, request: web.Request) -> web.StreamResponse:
        assert self._connection_limit is not None
        self._connection_limit.proven(request)
        handler = self._asked.get((request.method, request.path))
        if handler is None:
            raise _Refused(404, "unknown_path", "there is no such path")
        return await handler(request)

    def _mistake(self, error: BaseException) -> None:
        """Tell where it happened; not what it says, which may quote what was typed."""
        if self._log is not None:
            text = f"a mistake of the page's own: {place(error)}"
            self._log("trouble", where="page", reason="internal", text=text)

    # -- what it may be asked ---------------------------------------------------------------------

    def _language_of(self, request: web.Request) -> str:
        accepted = request.headers.get("Accept-Language", "")
        return words.choose(request.query.get("language"), self._language, accepted)

    async def _words(self, request: web.Request) -> web.Response:
        language = self._language_of(request)
        return web.json_response(
            {"language": language, "languages": words.LANGUAGES, "words": words.page(language, self._name)}
        )

    async def _status(self, request: web.Request) -> web.Response:
        """Answer at once, or as soon as it is not what the page has seen, or after 25 s."""
        seen = request.query.get("seen", "")
        if re.fullmatch(r"[0-9]{1,15}", seen, re.ASCII):
            if len(self._polls) >= POLLS_MAX:
                raise _Refused(503, "busy", "too many pages are open")
            change = self._begin(self._bridge.changed(int(seen)), self._polls)
            try:
                await asyncio.wait([change], timeout=self._poll_s_max)
            finally:
                change.cancel()
        return web.json_response(view(self._bridge.status(), self._language_of(request), self._name))

    async def _check(self, _request: web.Request) -> web.Response:
        """Ask the centre once for all who want to know meanwhile."""
        if not self._checks:
            self._begin(self._bridge.check(), self._checks)
        [check] = self._checks
        return web.json_response({"ok": await _outcome(check)})

    async def _undo(self, request: web.Request) -> web.Response:
        """Return the centre's outcome: whether the PIN was the one or the other is not to be seen here."""
        key, pin = _read_undo(await _json(request))
        if not any(_is(button.last_press, key) for button in self._bridge.status().buttons):
            raise _Refused(404, "unknown_press", "this is not a press that the page shows")
        if len(self._call_offs) >= CALL_OFFS_MAX:
            raise _Refused(503, "busy", "one is on its way already")
        # It goes on when the page is closed meanwhile: it was given, and the page may not be seen again.
        call_off = self._begin(self._bridge.call_off(key, pin), self._call_offs)
        return web.json_response({"outcome": await _outcome(call_off)})

    def _begin(self, work: Coroutine[Any, Any, _T], among: set[asyncio.Task[_T]]) -> asyncio.Task[_T]:
        """Start a task of its own: whoever asked for it may go away."""

        def ended(task: asyncio.Task[_T]) -> None:
            among.discard(task)
            if not task.cancelled() and (error := task.exception()) is not None:
                self._mistake(error)

        task = asyncio.create_task(work)
        among.add(task)
        task.add_done_callback(ended)
        return task


async def _outcome(task: asyncio.Task[_T]) -> _T:
    await asyncio.wait([task])  # which, when it is cancelled itself, leaves the task alone
    if task.cancelled() or task.exception() is not None:
        raise _Refused(500, "internal", "a mistake of our own")  # and told by the task's own end
    return task.result()


async def _set_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.pop("Server", None)
    response.headers.update(HEADERS)


def _manifest(name: str) -> tuple[str, str]:
    icon = {"src": "/icon.svg", "sizes": "any", "type": "image/svg+xml", "purpose": "any"}
    data = {"name": name, "short_name": name, "start_url": "/", "scope": "/", "display": "standalone"}
    colours = {"background_color": "#f3f5f7", "theme_color": "#f3f5f7"}
    return json.dumps(data | colours | {"icons": [icon]}), "application/manifest+json"


async def _json(request: web.Request) -> dict[str, Any]:
    if request.content_type != "application/json":
        raise _Refused(415, "not_json", "a body of application/json is expected")
    try:
        body = json.loads(await request.read())
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise _Refused(400, "not_json", "the body is not a JSON object")
    return body


def _read_undo(body: dict[str, Any]) -> tuple[Key, str]:
    """Read which press is called off, and the PIN. Raises _Refused without a word of what was typed."""
    key = Key(body.get("tag"), body.get("event"), body.get("counter"))  # type: ignore[arg-type]
    if not (isinstance(key.device_id, str) and type(key.event) is int and type(key.counter) is int):
        raise _Refused(422, "bad_press", "tag, event and counter name the press")
    pin = body.get("pin")
    if not (isinstance(pin, str) and PIN.fullmatch(pin)):
        raise _Refused(422, "bad_pin", "a PIN is 4 to 8 digits")
    return key, pin


def _is(press: Any, key: Key) -> bool:
    return press is not None and (press.device_id, press.event, press.counter) == key
