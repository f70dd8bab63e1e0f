"""The sender of the webhook: a dispatch system is told of each incident, however often it has to be tried.

What is told lies on disk (work/webhook.py); this only brings it over, a few at once, and never in the way of
an alarm. HTTPS with the receiver's certificate checked; no redirect is followed; its answer is not read.
"""

import asyncio
import secrets
import ssl
import time
from dataclasses import dataclass, field

import aiohttp

from centre.platform.home import CannotServe, Home
from centre.platform.log import Log
from centre.platform.log_throttle import LogThrottle
from centre.platform.worker import AFTER, Worker
from centre.rules import webhook
from centre.settings import Settings
from centre.work import webhook as queue
from centre.work.webhook import WebhookEvent

KEY_FILE = "webhook.key"
SEND_S = 1.0


def key_of(home: Home) -> bytes:
    """Return the key that both sides know; made once, as hexadecimal digits to copy. Raises CannotServe."""
    text = home.secret(KEY_FILE, lambda: secrets.token_hex(webhook.KEY_BYTES).encode() + b"\n")
    try:
        key = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        key = b""
    if len(key) != webhook.KEY_BYTES:
        raise CannotServe(f"{home.path / KEY_FILE} must hold {2 * webhook.KEY_BYTES} hexadecimal digits")
    return key


@dataclass(frozen=True, slots=True)
class Receiver:
    """Who is told, what both sign with, and whom we believe to be it."""

    url: str
    key: bytes = field(repr=False)
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
    return Receiver(settings.webhook, key_of(home), context, settings.webhook_s)


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
            await asyncio.gather(*(self._send(event, self._receiver) for event in batch))

    async def _send(self, event: WebhookEvent, receiver: Receiver) -> None:
        why = await self._post(event, receiver)
        if why is None:
            await self._worker(queue.delivered, event, lane=AFTER)
        elif await self._worker(queue.failed, event, lane=AFTER):
            text = f"incident {event.incident_id} ({event.kind}) was never taken: {why}"
            self._log("trouble", reason="webhook_given_up", text=text)
        else:
            self._trouble("webhook_failing", f"the webhook does not take what it is told: {why}")

    async def _post(self, event: WebhookEvent, receiver: Receiver) -> str | None:
        """Post one event; return None where it was taken, else why not."""
        if self._session is None:
            connector = aiohttp.TCPConnector(ssl=receiver.context, limit=queue.SEND_AT_MOST)
            timeout = aiohttp.ClientTimeout(total=receiver.answer_s_max)
            self._session = aiohttp.ClientSession(
                connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
            )
        now_s = int(time.time())
        headers = {
            "Content-Type": "application/json",
            "X-AMR-Timestamp": str(now_s),
            "X-AMR-Signature": webhook.signature(receiver.key, now_s, event.body),
        }
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
