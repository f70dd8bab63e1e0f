"""The centre over HTTPS. Trust comes from the label alone: the pin in its QR text, then that one CA.

CentreError
  CentreDown     no connection, no answer in time, 5xx: it will come back
  TlsWrong       somebody answers who is not the centre that we enrolled with
  Refused        the centre said no (RFC 9457); `reason` is its word
  NotACentre     an answer that no centre gives: HTML, a redirect, more than 64 KiB
"""

import asyncio
import hashlib
import hmac
import json
import re
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from yarl import URL

from wire import receipts

ANSWER_BYTES_MAX = 64 * 1024
LINE_BYTES_MAX = 4 * 1024
GOODBYE_S = 0.25
CONNECT_S_MAX = 5.0
ANSWER_S_MAX = 15.0
# The centre's heartbeat is 15 s; three missed ones are a dead stream.
STREAM_SILENCE_S_MAX = 50.0

_WORD = re.compile(r"[a-z0-9_]{1,40}", re.ASCII)
# Said of this bridge or of this press, not of the moment: telling again will not help by itself.
_TRANSIENT_STATUS = (408, 425, 429)


class CentreError(Exception):
    """`reason` is a word for programs, the text a sentence for people; `permanent`: see courier."""

    permanent = False

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class CentreDown(CentreError):
    pass


class TlsWrong(CentreError):
    pass


class Refused(CentreError):
    def __init__(self, status: int, reason: str, title: str) -> None:
        super().__init__(reason, f"the centre refused: {title or reason} ({status})")
        self.status = status
        self.permanent = status not in _TRANSIENT_STATUS


class NotACentre(CentreError):
    pass


@dataclass(frozen=True, slots=True)
class Label:
    """What the QR text says: `<centre>/e#<code>.<SHA-256 of the CA's public key>`."""

    centre: str
    code: str
    pin: bytes

    def __repr__(self) -> str:
        return f"Label({self.centre})"


def parse_label(text: str) -> Label:
    """Raises ValueError with a sentence for the user."""
    match = re.fullmatch(r"(https://[^\s#?]+)/e#([A-Z2-7]{20})\.([0-9a-f]{64})", text.strip(), re.ASCII)
    if not match:
        raise ValueError("this is not a label's text: https://CENTRE/e#CODE.PIN is expected, in quotes")
    centre, code, pin = match.groups()
    try:
        url = URL(centre)
        good = bool(url.host) and url.user is None and url.password is None
    except ValueError:
        good = False
    if not good:
        raise ValueError(f"the label names no centre that can be reached: {centre}")
    return Label(centre, code, bytes.fromhex(pin))


def spki_sha256(pem: bytes) -> bytes:
    """SHA-256 of the certificate's SubjectPublicKeyInfo; raises ValueError for what is no certificate."""
    key = x509.load_pem_x509_certificate(pem).public_key()
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


@dataclass(frozen=True, slots=True)
class Answer:
    """200 or 201 to an alarm."""

    incident: str
    stage: int
    proof: bytes
    known: bool
    dropped: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Receipt:
    """One event of an incident's stream."""

    event_id: str
    stage: int
    proof: bytes


class Centre:
    """One centre, one pool of connections, one CA. `ca_pem` None: nothing is verified (`fetch_ca` only)."""

    def __init__(self, url: str, ca_pem: str | None, answer_s_max: float = ANSWER_S_MAX) -> None:
        self._url = url.rstrip("/")
        if ca_pem is None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        else:
            context = ssl.create_default_context(cadata=ca_pem)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._session = aiohttp.ClientSession(
            # Presses are hours apart: a kept connection would be a dead one, and cost the first try.
            connector=aiohttp.TCPConnector(ssl=context, limit=128, force_close=True),
            timeout=aiohttp.ClientTimeout(total=answer_s_max, sock_connect=CONNECT_S_MAX),
            headers={"User-Agent": "amr-bridge", "Accept-Encoding": "identity"},
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # 64 KiB are 64 KiB
            trust_env=False,
        )

    async def __aenter__(self) -> "Centre":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()
        # Connections that were let go are still saying goodbye (TLS close_notify); aiohttp does not wait.
        await asyncio.sleep(GOODBYE_S)

    async def fetch_ca(self, pin: bytes) -> str:
        """The CA's certificate, if its public key is the one that the label names; else TlsWrong."""
        async with self._request("GET", "/ca.pem") as response:
            body = await _body(response)
            if response.status != 200:
                raise _refusal(response.status, body)
        try:
            same = hmac.compare_digest(spki_sha256(body), pin)
        except ValueError:
            raise NotACentre("no_ca", f"{self._url}/ca.pem is not a certificate") from None
        if not same:
            raise TlsWrong(
                "pin_mismatch",
                "the certificate authority at this address is not the one on the label; nothing was sent",
            )
        # One certificate, as checked: whatever else is in the file must not become trusted.
        return x509.load_pem_x509_certificate(body).public_bytes(Encoding.PEM).decode()

    async def enrol(self, code: str, pin: str | None, duress_pin: str | None) -> dict[str, Any]:
        """Use up the label's code; the answer as the centre gave it (settings.py reads it)."""
        pins = {"pin": pin, "duress_pin": duress_pin}
        body = {"code": code} | {name: value for name, value in pins.items() if value is not None}
        _, answer = await self._post("/v1/enrolments", body, None, (201,))
        return answer

    async def post_alarm(self, token: str, alarm: dict[str, Any]) -> Answer:
        """The centre has the press on disk when this returns."""
        status, answer = await self._post("/v1/alarms", alarm, token, (200, 201))
        try:
            receipt, dropped = answer["receipt"], answer.get("dropped") or []
            return Answer(
                _text(answer["incident"]),
                *_proven(receipt),
                known=status == 200,
                dropped=tuple(f"{_text(item['field'])}: {_text(item['reason'])}" for item in dropped[:8]),
            )
        except (KeyError, TypeError, ValueError):
            raise _no_centre("an answer that is not one to an alarm") from None

    async def receipts(self, token: str, incident: str, last_event_id: str | None) -> AsyncGenerator[Receipt]:
        """Later stages as they happen; ends when the centre ends the stream (after CLOSED)."""
        headers = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream"}
        if last_event_id is not None:
            headers["Last-Event-ID"] = last_event_id
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_S_MAX, sock_read=STREAM_SILENCE_S_MAX
        )
        path = URL("/v1/incidents") / incident / "receipts"
        async with self._request("GET", path.raw_path, headers=headers, timeout=timeout) as response:
            if response.status != 200:
                raise _refusal(response.status, await _body(response))
            if response.content_type != "text/event-stream":
                raise _no_centre("a stream that is not one of events")
            events = EventStream()
            async for chunk in response.content.iter_any():
                for event_id, data in events.feed(chunk):
                    try:
                        yield Receipt(_text(event_id), *_proven(json.loads(data)))
                    except (KeyError, TypeError, ValueError, RecursionError):
                        raise _no_centre("an event that is not a receipt") from None

    async def _post(
        self, path: str, body: dict[str, Any], token: str | None, good: tuple[int, ...]
    ) -> tuple[int, dict[str, Any]]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self._request("POST", path, json=body, headers=headers) as response:
            raw = await _body(response)
            if response.status not in good:
                raise _refusal(response.status, raw)
            try:
                answer = json.loads(raw)
            except (ValueError, RecursionError):
                answer = None
            if not isinstance(answer, dict):
                raise _no_centre("an answer that is not JSON")
            return response.status, answer

    @asynccontextmanager
    async def _request(
        self, method: str, path: str, **options: Any
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        """A request whose every failure, up to the last byte read, is a CentreError."""
        url = URL(self._url + path, encoded=True)
        try:
            async with self._session.request(method, url, allow_redirects=False, **options) as response:
                yield response
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError) as error:
            raise TlsWrong("tls_wrong", _tls_sentence(self._url, error)) from None
        except (TimeoutError, aiohttp.ServerTimeoutError):
            raise CentreDown("centre_timeout", f"the centre does not answer in time: {self._url}") from None
        except aiohttp.ClientResponseError:
            raise _no_centre("an answer that is not HTTP as expected") from None
        except (aiohttp.ClientError, OSError):
            raise CentreDown("centre_down", f"the centre cannot be reached: {self._url}") from None


class EventStream:
    """Server-sent events (HTML standard, 9.2.6) from bytes; lines and events are bounded."""

    def __init__(self) -> None:
        self._rest = b""
        self._id = ""
        self._type = ""
        self._data: list[str] = []
        self._after_cr = False

    def feed(self, chunk: bytes) -> list[tuple[str, str]]:
        """`(id, data)` of each event of type `receipt` that `chunk` completes. Raises NotACentre."""
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        self._after_cr = chunk.endswith(b"\r") if chunk else self._after_cr
        lines = (self._rest + chunk).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._rest = lines.pop()
        if any(len(line) > LINE_BYTES_MAX for line in (*lines, self._rest)):
            raise _no_centre("a line longer than 4 KiB")
        return [event for line in lines if (event := self._line(line.decode("utf-8", "replace")))]

    def _line(self, line: str) -> tuple[str, str] | None:
        if not line:
            kind, data = self._type, "\n".join(self._data)
            self._type, self._data = "", []
            return (self._id, data) if kind == "receipt" and data else None
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "id" and "\0" not in value:
            self._id = value
        elif field == "event":
            self._type = value
        elif field == "data":
            self._data.append(value)
            if sum(map(len, self._data)) > ANSWER_BYTES_MAX:
                raise _no_centre("an event longer than 64 KiB")
        return None


async def _body(response: aiohttp.ClientResponse) -> bytes:
    body = b""
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > ANSWER_BYTES_MAX:
            raise _no_centre("an answer longer than 64 KiB")
    return body


def _refusal(status: int, body: bytes) -> CentreError:
    """What an answer means that is not the one we wanted."""
    if status >= 500:
        return CentreDown("centre_failing", f"the centre cannot take it now ({status})")
    if status < 400:
        return _no_centre(f"a redirect, or no body ({status})")
    try:
        problem = json.loads(body)
        reason, title = problem["reason"], problem.get("title", "")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return _no_centre(f"a page instead of a problem report ({status})")
    if not (isinstance(reason, str) and _WORD.fullmatch(reason)):
        return _no_centre(f"a refusal without a reason ({status})")
    # The title goes to a terminal: printable and short.
    words = "".join(c for c in title if c.isprintable())[:100] if isinstance(title, str) else ""
    return Refused(status, reason, words)


def _proven(receipt: dict[str, Any]) -> tuple[int, bytes]:
    """Stage and proof; the proof itself only the button can check."""
    stage, proof = receipt["stage"], bytes.fromhex(receipt["proof"])
    if type(stage) is not int or not receipts.RECEIVED <= stage <= receipts.CLOSED:
        raise ValueError("no such stage")
    if len(proof) != receipts.PROOF_BYTES:
        raise ValueError("not a proof")
    return stage, proof


def _text(value: object) -> str:
    if not (isinstance(value, str) and 0 < len(value) <= 100 and value.isprintable()):
        raise ValueError("not a word")
    return value


def _no_centre(what: str) -> NotACentre:
    return NotACentre("not_a_centre", f"what answers there is not a centre: {what}")


def _tls_sentence(url: str, error: aiohttp.ClientConnectorError) -> str:
    cause = getattr(error, "certificate_error", None) or error.os_error
    why = getattr(cause, "verify_message", "") or "the TLS handshake failed"
    return f"the answer at {url} does not come from our centre: {why}; nothing was sent"
