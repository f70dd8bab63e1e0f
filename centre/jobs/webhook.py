"""The sender of the webhook: a dispatch system is told of each incident, however often it has to be tried.

What is told lies on disk (work/webhook.py); this only brings it over, a few at once, and never in the way of
an alarm. HTTPS with the receiver's certificate checked; no redirect is followed; its answer is not read.
"""

import asyncio
import secrets
import ssl
import time
from dataclasses import dataclass

import aiohttp

from centre.platform.home import CannotServe, Home
from centre.platform.log import Log
from centre.platform.log_throttle import LogThrottle
from centre.platform.worker import AFTER, Worker
from centre.rules import webhook
from centre.settings import Settings
from centre.work import webhook as queue
from centre.work.webhook import WebhookEvent

SECRETS_FILE = "webhook.secrets"
SEND_S = 1.0


def secrets_of(home: Home) -> list[str]:
    """Return what both sides know, the newest first; one is made where there is none. Raises CannotServe."""
    text = home.secret(SECRETS_FILE, lambda: _text([_new_secret()]))
    lines = text.decode("ascii", "replace").split()
    try:
        _keys(lines)
    except ValueError:
        lines = []
    if not 0 < len(lines) <= webhook.SECRETS_MAX:
        why = f"must hold 1 to {webhook.SECRETS_MAX} lines whsec_..., the newest first"
        raise CannotServe(f"{home.path / SECRETS_FILE} {why}")
    return lines


def rotate(home: Home) -> str | None:
    """Add a secret, and sign with those before as well; None where too many sign already.

    Raises CannotServe.
    """
    known = secrets_of(home)
    if len(known) == webhook.SECRETS_MAX:
        return None
    home.write(SECRETS_FILE, _text([_new_secret(), *known]))
    return secrets_of(home)[0]


def retire(home: Home) -> int:
    """Sign with the newest secret alone; return how many were dropped. Raises CannotServe."""
    newest, *others = secrets_of(home)
    home.write(SECRETS_FILE, _text([newest]))
    return len(others)


def _new_secret() -> str:
    return webhook.secret(secrets.token_bytes(webhook.KEY_BYTES))


def _text(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _keys(lines: list[str]) -> list[bytes]:
    return [webhook.key_of(line) for line in lines]


@dataclass(frozen=True, slots=True)
class Receiver:
    """Who is told, the home with what both sign with, and whom we believe to be it."""

    url: str
    home: Home
    context: ssl.SSLContext
    answer_s_max: float


def receiver(home: Home, settings: Settings) -> Receiver | None:
    """Return who is told, None where nobody is. Raises CannotServe."""
    if not settings.webhook:
        return None
    try:
        context = ssl.create_default_context(cafile=settings.webhook_ca)
    except OSError as error:  # ssl.SSLError is one
        why = error.strerror or str(error)
        raise CannotServe(f"--webhook-ca {settings.webhook_ca} cannot be used: {why}") from error
    secrets_of(home)  # it is made, or refused, before anything is served
    return Receiver(settings.webhook, home, context, settings.webhook_s)


class Sender:
    def __init__(self, worker: Worker, log: Log, receiver: Receiver | None) -> None:
        self._worker, self._log, self._receiver = worker, log, receiver
        self._trouble = LogThrottle(log)
        self._session: aiohttp.ClientSession | None = None

    async def send(self) -> None:
        """Send all that is due: of each incident one at a time, in order."""
        if self._receiver is None:
            return
        await self._worker(queue.clock_set_back, lane=AFTER)
        while batch := await self._worker(queue.due, lane=AFTER):
            if await self._worker(queue.is_full, lane=AFTER):
                text = "too much waits of one button and phone: what comes of it is not told to the webhook"
                self._trouble("webhook_full", text)
            try:
                keys = _keys(secrets_of(self._receiver.home))  # anew: they change while we serve
            except CannotServe as error:
                self._trouble("webhook_failing", str(error))
                return
            await asyncio.gather(*(self._send(event, self._receiver, keys) for event in batch))

    async def _send(self, event: WebhookEvent, receiver: Receiver, keys: list[bytes]) -> None:
        why = await self._post(event, receiver, keys)
        if why is None:
            await self._worker(queue.delivered, event, lane=AFTER)
            self._trouble.over("webhook_failing", "the webhook takes what it is told again")
        elif await self._worker(queue.failed, event, lane=AFTER):
            text = f"incident {event.incident_id} ({event.kind}) was never taken: {why}"
            self._log("trouble", reason="webhook_given_up", text=text)
        else:
            self._trouble("webhook_failing", f"the webhook does not take what it is told: {why}")

    async def _post(self, event: WebhookEvent, receiver: Receiver, keys: list[bytes]) -> str | None:
        """Post one event; return None where it was taken, else why not."""
        if self._session is None:
            connector = aiohttp.TCPConnector(ssl=receiver.context, limit=queue.SEND_AT_MOST)
            timeout = aiohttp.ClientTimeout(total=receiver.answer_s_max)
            self._session = aiohttp.ClientSession(
                connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
            )
        signed = webhook.headers(keys, event.event_id, int(time.time()), event.body)
        headers = {"Content-Type": "application/json"} | signed
        try:
            async with self._session.post(
                receiver.url, data=event.body, headers=headers, allow_redirects=False
            ) as response:
                return None if 200 <= response.status < 300 else f"it answers {response.status}"
        except TimeoutError:
            return f"no answer within {receiver.answer_s_max:.0f} s"
        except aiohttp.ClientSSLError:
            return "its certificate is not to be believed"
        except Exception as error:  # whatever it is: tried again as late as after any other failure
            return type(error).__name__

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
