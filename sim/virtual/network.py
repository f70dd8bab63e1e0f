"""The ways between phones and the centre: late, lost, cut, half open, lied on; the same JSON either way.

A phone's endpoint is bridge/centre/endpoint.py's own but for the socket (`VirtualEndpoint`). What comes to
the centre is answered by its own routes (centre.py here). Between them is what networks do, to each phone.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from random import Random
from typing import Any, Protocol

from bridge.centre.client import STREAM_SILENCE_S_MAX
from bridge.centre.endpoint import ANSWER_S_MAX, CONNECT_S_MAX, Endpoint
from bridge.centre.errors import CentreDown, TlsWrong
from sim.virtual.time import Time

FINE = "fine"
# How a phone's network may be otherwise, by the keys of sim/faults.py. No network; nobody answers at the
# centre's address; packets vanish (a link that is half open); the answer is lost, after the centre has done
# what was asked; a proxy that fails; a login page, a lying answer and a redirect of a captive portal;
# somebody else's certificate; every request arrives twice.
GONE, REFUSED, SILENT, UNANSWERED = "network_gone", "network_cut", "network_hangs", "answers_lost"
FAILING, CAPTIVE, LYING, REDIRECT = "centre_answers", "network_captive", "network_lies", "network_redirects"
STRANGE_TLS, TWICE = "certificate_foreign", "requests_doubled"
TROUBLES = (GONE, REFUSED, SILENT, UNANSWERED, FAILING, CAPTIVE, LYING, REDIRECT, STRANGE_TLS, TWICE)
_ANSWERED_BY_OTHERS = {
    FAILING: (502, "text/html", b"<h1>Bad gateway</h1>"),
    CAPTIVE: (200, "text/html", b"<h1>Welcome to our free Wi-Fi</h1>"),
    LYING: (200, "application/json", b'{"status": "ok"}'),
    REDIRECT: (302, "text/html", b""),
}
LATENCY_S = 0.03


class Server(Protocol):
    """The centre, as the network sees it."""

    is_up: bool

    def serve(self, exchange: "Exchange") -> None: ...
    def now_s(self) -> float: ...


class Exchange:
    """One request and its answer, as the centre's side sees them; chunks arrive in order."""

    def __init__(
        self,
        network: "Network",
        phone: str,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.phone, self.method, self.path, self.headers, self.body = phone, method, path, headers, body
        self._network, self._loop = network, loop
        self.response: asyncio.Future[Response] = loop.create_future()
        self.is_open = True  # the phone still reads
        self._is_stuck = False  # packets were lost until both ends gave up
        self._arrives_s = 0.0

    def answer(self, status: int, content_type: str, body: bytes) -> None:
        """All of it."""
        response = Response(status, content_type, self)
        response.feed(body)
        response.feed(None)
        self._send(self._head, response)

    def begin(self, status: int, content_type: str) -> "Response":
        """Of a stream: what follows is sent by `more`."""
        response = Response(status, content_type, self)
        self._send(self._head, response)
        return response

    def more(self, response: "Response", chunk: bytes | None) -> None:
        self._send(response.feed, chunk)

    def reset(self, latency_s: float | None = None) -> None:
        """The connection is gone."""
        self._network.later(self.phone, self._lost, latency_s)

    def _send(self, deliver: Callable[..., None], *what: Any) -> None:
        """In order, after a while; unless the network loses it."""
        self._arrives_s = max(self._arrives_s, self._network.arrival_s(self.phone))
        self._network.time.at(self._arrives_s, self._deliver, deliver, *what)

    def _deliver(self, deliver: Callable[..., None], *what: Any) -> None:
        mode = self._network.mode(self.phone)
        self._is_stuck |= mode == SILENT
        if mode == UNANSWERED or mode in (GONE, REFUSED):
            self._lost()
        elif not self._is_stuck:
            deliver(*what)

    def _head(self, response: "Response") -> None:
        if not self.response.done():
            self.response.set_result(response)

    def _lost(self) -> None:
        if not self.is_open:
            return
        if not self.response.done():
            self.response.set_exception(_down("centre_down"))
        elif not self.response.cancelled() and self.response.exception() is None:
            self.response.result().break_off()


class Response:
    """What the bridge reads of aiohttp's."""

    def __init__(self, status: int, content_type: str, exchange: Exchange) -> None:
        self.status, self.content_type, self._exchange = status, content_type, exchange
        self._chunks: list[bytes | None] = []
        self._broken = False
        self._news: asyncio.Future[None] | None = None
        self.content = self

    def feed(self, chunk: bytes | None) -> None:
        """None: that was all."""
        self._chunks.append(chunk)
        self._wake()

    def break_off(self) -> None:
        self._broken = True
        self._wake()

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    async def iter_any(self) -> AsyncGenerator[bytes]:
        while True:
            while self._chunks:
                chunk = self._chunks.pop(0)
                if chunk is None:
                    return
                yield chunk
            if self._broken:
                raise _down("centre_down")
            self._news = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(STREAM_SILENCE_S_MAX):
                    await self._news
            except TimeoutError:
                raise _down("centre_timeout") from None


class Network:
    """How each phone's network is now: `modes` where it is not fine, `statuses` with which others answer, and
    up to `slow_s` that each way takes longer."""

    def __init__(self, time: Time, random: Random) -> None:
        self.time, self._random = time, random
        self.modes: dict[str, str] = {}
        self.slow_s: dict[str, float] = {}
        self.statuses: dict[str, int] = {}
        self.server: Server | None = None
        self._open: dict[Exchange, None] = {}

    def mode(self, phone: str) -> str:
        return self.modes.get(phone, FINE)

    def arrival_s(self, phone: str) -> float:
        """Return when something that is sent now arrives."""
        slow_s = self.slow_s.get(phone, 0.0) * self._random.random()
        return self.time.now_s + LATENCY_S * (0.5 + self._random.random()) + slow_s

    def later(
        self, phone: str, work: Callable[..., None], latency_s: float | None = None, *what: Any
    ) -> None:
        """Do something when what is sent now arrives."""
        at_s = self.arrival_s(phone) if latency_s is None else self.time.now_s + latency_s
        self.time.at(at_s, work, *what)

    def server_died(self) -> None:
        """Its kernel says so to all who are connected."""
        for exchange in list(self._open):
            exchange.reset()

    async def exchange(
        self, phone: str, method: str, path: str, headers: Mapping[str, str], body: bytes, answer_s_max: float
    ) -> tuple[Exchange, Response]:
        """The response's beginning. Raises CentreError as endpoint.py does."""
        mode = self.mode(phone)
        if mode == GONE:
            raise _down("no_network")
        if mode == STRANGE_TLS:
            await asyncio.sleep(LATENCY_S)
            raise TlsWrong("tls_wrong", "the answer does not come from our centre; nothing was sent")
        exchange = Exchange(self, phone, method, path, headers, body, asyncio.get_running_loop())
        self._open[exchange] = None
        self.later(phone, self._arrive, None, exchange)
        if mode == TWICE and method == "POST":
            twin = Exchange(self, phone, method, path, headers, body, exchange._loop)
            twin.is_open = False
            self.later(phone, self._arrive, None, twin)
        try:
            async with asyncio.timeout(CONNECT_S_MAX if mode == SILENT else answer_s_max):
                return exchange, await exchange.response
        except TimeoutError:
            self.close(exchange)
            raise _down("centre_timeout") from None
        except BaseException:
            self.close(exchange)
            raise

    def close(self, exchange: Exchange) -> None:
        """The phone reads no more of it."""
        exchange.is_open = False
        self._open.pop(exchange, None)

    def _arrive(self, exchange: Exchange) -> None:
        mode = self.mode(exchange.phone)
        if mode == SILENT:
            return
        if mode in _ANSWERED_BY_OTHERS:
            status, content_type, body = _ANSWERED_BY_OTHERS[mode]
            exchange.answer(self.statuses.get(exchange.phone, status), content_type, body)
        elif mode in (REFUSED, GONE) or self.server is None or not self.server.is_up:
            exchange.reset()
        else:
            self.server.serve(exchange)


class VirtualEndpoint(Endpoint):
    """One address of the centre, over a Network. `now_s()` is the phone's clock."""

    def __init__(self, network: Network, phone: str, now_s: Callable[[], float]) -> None:
        self.url, self.skew_s = "https://centre.invalid", None
        self._network, self._phone, self._now_s = network, phone, now_s

    def prepare(self, path: str, headers: dict[str, str]) -> None:
        """Do nothing: the handshakes are no event here."""

    async def close(self) -> None:
        """Connections are let go by those who made them."""

    @asynccontextmanager
    async def request(self, method: str, path: str, **options: Any) -> AsyncGenerator[Any]:
        body = json.dumps(options["json"]).encode() if "json" in options else b""
        exchange, response = await self._network.exchange(
            self._phone, method, path, options.get("headers", {}), body, ANSWER_S_MAX
        )
        try:
            if self._network.server is not None:
                self.skew_s = self._network.server.now_s() - self._now_s()
            yield response
        finally:
            self._network.close(exchange)

    async def is_captive(self, port: int) -> bool:  # noqa: ARG002 -- the endpoint's shape
        await asyncio.sleep(LATENCY_S)
        return self._network.mode(self._phone) in (CAPTIVE, LYING, REDIRECT)


def _down(reason: str) -> CentreDown:
    return CentreDown(reason, f"the virtual network says: {reason}")
