"""A small dispatch system: told of alarms by webhook, believing the centre alone, it acts back by its API."""

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
import ssl
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import aiohttp
from aiohttp import web

from centre.platform import tls
from centre.platform.home import Home

NAME = "dispatch-system"
PATROL = "Zulu 12"
PATH = "/amr"
SKEW_S_MAX = 300
AGAIN_S = 1.0
Happened = Callable[..., None]


class NotBelieved(Exception):
    """A webhook whose signature, or time, is not right."""


def verified(secret: str, headers: Mapping[str, str], body: bytes, now_s: float) -> dict[str, object]:
    """Return what a webhook tells (Standard Webhooks). Raises NotBelieved."""
    event_id, at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not at.isascii() or not at.isdigit() or abs(now_s - int(at)) > SKEW_S_MAX:
        raise NotBelieved("its time is not now")
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = hmac.new(key, f"{event_id}.{at}.".encode() + body, hashlib.sha256).digest()
    right = f"v1,{base64.b64encode(mac).decode()}"
    signatures = headers.get("webhook-signature", "").split()
    if not any(hmac.compare_digest(right.encode(), one.encode()) for one in signatures):
        raise NotBelieved("its signature is not the centre's")
    told: dict[str, object] = json.loads(body)
    return told


class DispatchSystem:
    """`happened("dispatch-system", what, ...)` is told of what it is told, and of what it does."""

    def __init__(self, home: Path, happened: Happened) -> None:
        self._home, self._happened = Home(home), happened
        self._runner: web.AppRunner | None = None
        self._told: dict[str, list[str]] = {}  # by incident: the events, each once
        self._ids: set[str] = set()
        self._news = asyncio.Event()
        self._secret = self._centre = self._token = ""
        self._trust: ssl.SSLContext | None = None

    async def open(self) -> tuple[str, Path]:
        """Listen; return the address for the webhook, and the certificate to believe."""
        certificate = tls.own_certificate(self._home, "127.0.0.1")
        app = web.Application()
        app.router.add_post(PATH, self._hook)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=certificate.context)
        await site.start()
        port = self._runner.addresses[0][1]
        return f"https://127.0.0.1:{port}{PATH}", certificate.authority.path

    def join(self, centre: str, ca: Path, secret: str, token: str) -> None:
        """Learn where the centre is, what it signs with, and what it knows us by."""
        self._centre, self._secret, self._token = centre, secret, token
        self._trust = ssl.create_default_context(cafile=ca)

    async def close(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _hook(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            told = verified(self._secret, request.headers, body, time.time())
        except NotBelieved as no:
            self._happened(NAME, "does not believe the webhook", reason=str(no))
            return web.Response(status=401)
        event_id, event, incident = str(told["id"]), str(told["event"]), str(told["incident"])
        if event_id not in self._ids:
            self._ids.add(event_id)
            self._told.setdefault(incident, []).append(event)
            self._happened(NAME, "told", does=event, incident=incident)
            self._news.set()
            self._news = asyncio.Event()
        return web.Response(status=204)

    async def act(self, incident: str, verb: str, **body: str) -> None:
        """Act on an alarm, once the webhook has told of it; again and again, by one key, until it is done.

        Raises aiohttp.ClientResponseError where the centre says no.
        """
        while incident not in self._told:
            await self._news.wait()
        key = secrets.token_hex(8)
        body |= {"patrol": PATROL} if verb == "dispatch" else {}
        headers = {"Authorization": f"Bearer {self._token}", "Idempotency-Key": key}
        url = f"{self._centre}/v1/dispatch/{incident}/{verb}"
        connector = aiohttp.TCPConnector(ssl=self._trust or True)
        async with aiohttp.ClientSession(connector=connector, raise_for_status=True) as session:
            while True:
                try:
                    async with session.post(url, json=body, headers=headers):
                        break
                except aiohttp.ClientConnectionError:
                    await asyncio.sleep(AGAIN_S)
        self._happened(NAME, "has done", does=verb, incident=incident)
