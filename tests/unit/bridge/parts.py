"""What the bridge's tests stand on: a small CA, a TLS server that says what a test wants, a log to read."""

import asyncio
import datetime
import hashlib
import json
import random
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trustme
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bridge.model import Device
from bridge.store.journal import Journal
from centre.api.connection_limit import close
from tests.parts import at_end
from wire import codes, receipts
from wire.keys import Mac, derive

ENROLMENT = "ABCDEFGHIJKLMNOPQRST"
TOKEN = "token-of-a-test"  # noqa: S105 -- opens nothing


def dice(seed: int) -> random.Random:
    """Chance that a failing test can be replayed with."""
    return random.Random(seed)


def device(number: int = 1, **changes: Any) -> Device:
    """Return a button whose root is 32 times its number."""
    root = bytes([number]) * 32
    keys = {f"k_{label}": derive(root, label) for label in ("code", "heard", "state")}
    fields: dict[str, Any] = {
        "epoch": 0,
        "alive_period_s": 900,
        "press_counter": 0,
        "alive_counter": 0,
        "token": TOKEN,
    }
    return Device(**({"device_id": f"DEVICE{'ABCDEFGHIJ'[number]}" + "A" * 9, **keys, **fields} | changes))


def proof(number: int, stage: int, event: int, counter: int) -> bytes:
    return receipts.proof(Mac(derive(bytes([number]) * 32, "receipt")), stage, event, counter)


class Authority:
    """A CA, and certificates for 127.0.0.1."""

    def __init__(self, ca: trustme.CA | None = None) -> None:
        self._ca = ca or trustme.CA()
        self.pem = self._ca.cert_pem.bytes()
        public_key = x509.load_pem_x509_certificate(self.pem).public_key()
        spki = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.pin = hashlib.sha256(spki).digest()

    def server_context(self, host: str = "127.0.0.1", years: int = 0) -> ssl.SSLContext:
        """Return a context whose certificate is valid a day before and after, so many years from now."""
        now = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=365 * years)
        valid = now - datetime.timedelta(days=1), now + datetime.timedelta(days=1)
        certificate = self._ca.issue_cert(host, not_before=valid[0], not_after=valid[1])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        return context


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serve(
    authority: Authority,
    routes: Mapping[tuple[str, str], Handler],
    host: str = "127.0.0.1",
    port: int = 0,
    years: int = 0,
) -> AsyncIterator[str]:
    """Serve `routes` over real HTTPS; give its URL.

    `host` is what its certificate says, which is valid so many `years` from now.
    """
    application = web.Application()
    for (method, path), handler in routes.items():
        application.router.add_route(method, path, handler)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=authority.server_context(host, years))
    await site.start()
    server = site._server
    assert isinstance(server, asyncio.Server)
    try:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        await close(runner)


def problem(status: int, reason: str, title: str = "a title") -> web.Response:
    body = {"type": "about:blank", "title": title, "status": status, "detail": "", "reason": reason}
    return web.json_response(body, status=status, content_type="application/problem+json")


@dataclass
class TestCentre:
    """A centre with a list instead of a disk: one incident per press, receipts with true proofs.

    `answers` are taken in turn before it answers by itself.
    """

    __test__ = False

    posts: list[dict[str, Any]] = field(default_factory=list)
    answers: list[Callable[[], web.Response]] = field(default_factory=list)
    stages: dict[str, list[int]] = field(default_factory=dict)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    alives: list[dict[str, Any]] = field(default_factory=list)
    call_offs: list[dict[str, Any]] = field(default_factory=list)
    fixes: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    counters: dict[str, dict[str, int]] = field(default_factory=dict)
    pins: tuple[str, ...] = ("1234", "4321")
    hangs: asyncio.Event | None = None  # signs of life get no answer until it is set
    call_offs_wait: asyncio.Event | None = None  # nor do call-offs until this is
    fixes_fail: bool = False
    revoked: bool = False  # this bridge's enrolment is: its signs of life are refused

    @property
    def routes(self) -> dict[tuple[str, str], Handler]:
        return {
            ("POST", "/v1/alarms"): self._alarm,
            ("GET", "/v1/incidents/{id}/receipts"): self._receipts,
            ("POST", "/v1/incidents/{id}/fixes"): self._fixes,
            ("POST", "/v1/call-offs"): self._call_off,
            ("POST", "/v1/alive"): self._alive,
        }

    async def _fixes(self, request: web.Request) -> web.Response:
        new = (await request.json())["fixes"]
        if self.fixes_fail:
            return web.Response(status=500)
        kept = self.fixes.setdefault(request.match_info["id"], [])
        fresh = [fix for fix in new if fix not in kept]
        kept += fresh
        return web.json_response({"stored": len(fresh), "known": len(new) - len(fresh)})

    async def _call_off(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.call_offs.append(body)
        if self.call_offs_wait is not None:
            await self.call_offs_wait.wait()
        if body["pin"] not in self.pins:
            return problem(403, "wrong_pin")
        return web.json_response({"incident": "i", "tracking_s": 900})

    async def _alive(self, request: web.Request) -> web.Response:
        self.alives.append(await request.json())
        if self.revoked:
            return problem(403, "revoked")
        if self.hangs is not None:
            await self.hangs.wait()
        return web.json_response({"next_in_s": 60, "counters": self.counters})

    def advance(self, incident: str, stage: int) -> None:
        self.stages[incident].append(stage)
        self.news.set()
        self.news = asyncio.Event()

    async def _alarm(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.posts.append(body)
        if self.answers:
            return self.answers.pop(0)()
        number = "ABCDEFGHIJ".index(body["device_id"][6])
        k_code = Mac(derive(bytes([number]) * 32, "code"))
        codes.check(bytes.fromhex(body["code"]), k_code, body["event"], body["counter"])
        incident = f"{number}-{body['event']}-{body['counter']}"
        known = incident in self.stages
        stage = max(self.stages.setdefault(incident, [receipts.RECEIVED]))
        receipt = {"stage": stage, "proof": proof(number, stage, body["event"], body["counter"]).hex()}
        answer = {"incident": incident, "receipt": receipt, "dropped": []}
        return web.json_response(answer, status=200 if known else 201)

    async def _receipts(self, request: web.Request) -> web.StreamResponse:
        incident = request.match_info["id"]
        number, event, counter = (int(part) for part in incident.split("-"))
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        sent = int(request.headers.get("Last-Event-ID", "0"))
        while True:
            for sequence, stage in list(enumerate(self.stages[incident], 1))[sent:]:
                data = {"stage": stage, "proof": proof(number, stage, event, counter).hex(), "at": ""}
                text = f"id: {sequence}\nevent: receipt\ndata: {json.dumps(data)}\n\n"
                await stream.write(text.encode())
                sent = sequence
                if stage == receipts.CLOSED:
                    return stream
            await self.news.wait()


class Lines:
    """A log that a test reads; it keeps the places that `bridge.log.Log` would print."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []
        self._news = asyncio.Event()

    def __call__(self, what: str, **fields: Any) -> None:
        self.lines.append((what, fields))
        self._news.set()
        self._news = asyncio.Event()

    def of(self, what: str) -> list[dict[str, Any]]:
        return [fields for name, fields in self.lines if name == what]

    async def wait_for(self, what: str, count: int = 1, limit_s: float = 60, **match: Any) -> dict[str, Any]:
        """Return the `count`th line of this kind whose fields match."""
        try:
            async with asyncio.timeout(limit_s):
                while True:
                    news = self._news
                    found = [f for f in self.of(what) if match.items() <= f.items()]
                    if len(found) >= count:
                        return found[count - 1]
                    await news.wait()
        except TimeoutError:
            raise AssertionError(f"no {what} {match}; only {self.lines}") from None


def journal_at(path: Path) -> Journal:
    """Open a journal until the test ends."""
    journal = Journal(path)
    at_end.callback(journal.close)
    return journal


def write_private(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return path


def remount(disk: Path, how: str) -> None:
    """Make a disk read-only (`ro`) or writable again (`rw`), as Linux does to one with errors."""
    subprocess.run(["/bin/mount", "-o", f"remount,{how}", str(disk)], check=True, capture_output=True)
