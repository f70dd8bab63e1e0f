"""One address of the centre: HTTPS to it and to nobody else; every failure is a CentreError with its cause.

A certificate that is not valid *now*, by this machine's clock, is most often a wrong clock: a phone
whose battery was empty wakes up years ago. An alarm must not fail by that. So the handshake asks for all
but the time, and before anything is sent the dates of the certificate in hand are judged here: by our
clock, or by the centre's own (its Date header) where that is known to differ. A handshake that failed by
the time would be taken for a failure of that one network address, and hidden by the silence of another.

Where the CA's own certificate is what has ended, the centre is asked for the present one (/ca.pem), over a
connection that our CA vouches for in all but the time. It is taken if it has the key that was pinned.
"""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple
from weakref import WeakSet

import aiohttp
from aiohttp.abc import AbstractResolver
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from cryptography import x509
from yarl import URL

from bridge.centre.authority import pem_of, pinned, spki_sha256
from bridge.centre.early_post import EarlyPost
from bridge.centre.errors import CentreDown, CentreError, TlsWrong, no_centre
from bridge.reporting.log import place

ANSWER_BYTES_MAX = 64 * 1024
GOODBYE_S_MAX = 0.25
CONNECT_S_MAX = 5.0
ANSWER_S_MAX = 15.0
PROBE_S_MAX = 3.0
# Certificates and receipts do not mind less; a person reads it in minutes.
CLOCK_SKEW_S_MAX = 120.0

_NO_CHECK_TIME = 0x200000  # OpenSSL's X509_V_FLAG_NO_CHECK_TIME


class _NotNow(aiohttp.ClientError):
    """The certificate is the centre's, and not valid now by any clock that we know."""

    def __init__(self, leaf: "_Validity", ca: "_Validity") -> None:
        super().__init__("not valid now")
        self.leaf, self.ca = leaf, ca

    @property
    def validity(self) -> "_Validity":
        """Return when both of them are valid."""
        return _Validity(max(self.leaf.from_s, self.ca.from_s), min(self.leaf.to_s, self.ca.to_s))


class _Validity(NamedTuple):
    """From when to when a certificate is valid; seconds since 1970."""

    from_s: float
    to_s: float

    def holds(self, at_s: float) -> bool:
        return self.from_s <= at_s <= self.to_s


class _Connector(aiohttp.TCPConnector):
    """Has each connection's certificate judged before anything is sent by it; `judge` may raise."""

    def __init__(self, judge: Callable[[dict[str, Any]], None], **options: Any) -> None:
        super().__init__(**options)
        self._judge = judge
        self._protocols = WeakSet[ResponseHandler]()

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 -- aiohttp's shape
    ) -> Connection:
        connection = await super().connect(req, traces, timeout)
        try:
            assert connection.protocol is not None, "it is new"
            assert connection.transport is not None, "it is new"
            self._protocols.add(connection.protocol)
            self._judge(connection.transport.get_extra_info("peercert") or {})
        except BaseException:
            connection.close()
            raise
        return connection

    async def say_goodbye(self) -> None:
        """Wait for connections that were let go and still say so (TLS close_notify); aiohttp does not."""
        closing = [closed for protocol in self._protocols if (closed := protocol.closed) is not None]
        if closing:
            await asyncio.wait(closing, timeout=GOODBYE_S_MAX)
            for closed in closing:
                if closed.done():
                    closed.exception()


class Endpoint:
    """One address. `ca_pem` None: nothing is verified (to fetch the CA's certificate, and for nothing else).

    `resolver` finds the address of the name; None is the system's.
    """

    def __init__(
        self,
        url: str,
        ca_pem: str | None,
        answer_s_max: float = ANSWER_S_MAX,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self.skew_s: float | None = None  # how far the centre's clock is ahead of ours
        self._ahead_s = 0.0  # the same, while it is so much that certificates are judged by it
        ca = None if ca_pem is None else x509.load_pem_x509_certificate(ca_pem.encode())
        self._ca = None if ca is None else _validity_of(ca)
        self._pin = b"" if ca is None else spki_sha256(ca)
        self._context = _context(ca_pem)
        self._connector = _Connector(self._judge, **_options(self._context, resolver))
        self._session = _session(self._connector, answer_s_max)
        # It asks for the time and for the CA's certificate, and says nothing.
        self._asking_connector = _Connector(lambda _certificate: None, **_options(self._context, resolver))
        self._asking_session = _session(self._asking_connector, answer_s_max)
        self._early: EarlyPost | None = None
        self._early_request: tuple[str, str, Any] = ("", "", None)  # method, path, headers

    async def close(self) -> None:
        """Let go of all connections."""
        if self._early is not None:
            await self._early.cancel()
        for session, connector in (
            (self._session, self._connector),
            (self._asking_session, self._asking_connector),
        ):
            await session.close()
            await connector.say_goodbye()

    def prepare(self, path: str, headers: dict[str, str]) -> None:
        """Connect for a post like this one, which is about to come. It says nothing, and fails silently."""
        if self._early is not None and self._early.is_waiting:
            return
        options: dict[str, Any] = {"headers": headers | {"Content-Type": "application/json"}}
        self._early = EarlyPost(
            lambda body: self._send(self._session, "POST", path, options | {"data": body})
        )
        self._early_request = ("POST", path, headers)

    @asynccontextmanager
    async def request(self, method: str, path: str, **options: Any) -> AsyncGenerator[aiohttp.ClientResponse]:
        """Send a request whose every failure, up to the last byte read, is a CentreError."""
        with _named(self.url):
            try:
                response = await self._send_early_or_now(method, path, options)
            except _NotNow as error:
                await self._look_again(error)
                response = await self._send(self._session, method, path, options)
            async with response:
                self._note_clock(response)
                yield response

    async def _send_early_or_now(
        self, method: str, path: str, options: dict[str, Any]
    ) -> aiohttp.ClientResponse:
        early, request = self._early, (method, path, options.get("headers"))
        if early is not None and early.is_waiting and request == self._early_request:
            return await early.send(json.dumps(options["json"]).encode())
        return await self._send(self._session, method, path, options)

    async def _send(
        self, session: aiohttp.ClientSession, method: str, path: str, options: dict[str, Any]
    ) -> aiohttp.ClientResponse:
        return await session.request(
            method, URL(self.url + path, encoded=True), allow_redirects=False, **options
        )

    def _judge(self, certificate: dict[str, Any]) -> None:
        """Raise _NotNow for a certificate that is not valid now; its chain has been checked."""
        if self._ca is None:
            return
        leaf = _Validity(
            ssl.cert_time_to_seconds(certificate["notBefore"]),
            ssl.cert_time_to_seconds(certificate["notAfter"]),
        )
        self._need_validity(_NotNow(leaf, self._ca))

    def _need_validity(self, error: _NotNow) -> None:
        now_s = time.time()
        times_s = (now_s, now_s + self._ahead_s) if self._ahead_s else (now_s,)
        if not any(error.validity.holds(at_s) for at_s in times_s):
            raise error

    async def _look_again(self, error: _NotNow) -> None:
        """Return if our clock, or our copy of the CA's certificate, is what is wrong; else raise `error`."""
        async with await self._send(self._asking_session, "GET", "/ca.pem", {}) as response:
            theirs_s = _date_s(response)
            self._take_renewed(await body_of(response))
        assert self._ca is not None, "certificates are judged"
        error = _NotNow(error.leaf, self._ca)
        with suppress(_NotNow):
            self._need_validity(error)
            return
        if theirs_s is None or not error.validity.holds(theirs_s):
            raise error
        ahead_s = theirs_s - time.time()
        if abs(ahead_s) < CLOCK_SKEW_S_MAX:
            raise error
        self._ahead_s = ahead_s

    def _take_renewed(self, pem: bytes) -> None:
        """Trust the CA's present certificate, if it has the pinned key and ends later than ours."""
        try:
            certificate = pinned(pem, self._pin)
        except ValueError:
            return
        if certificate is None or self._ca is None or _validity_of(certificate).to_s <= self._ca.to_s:
            return
        self._context.load_verify_locations(cadata=pem_of(certificate))
        self._ca = _validity_of(certificate)

    def _note_clock(self, response: aiohttp.ClientResponse) -> None:
        theirs_s = _date_s(response)
        self.skew_s = None if theirs_s is None else theirs_s - time.time()
        if self.skew_s is not None and abs(self.skew_s) < CLOCK_SKEW_S_MAX:
            self._ahead_s = 0.0

    async def is_captive(self, port: int) -> bool:
        """Return whether this network answers in the centre's place, to have somebody log in first.

        Portals take plain HTTP over (RFC 8952); the centre has nothing there.
        """
        host = URL(self.url).host
        timeout = aiohttp.ClientTimeout(total=PROBE_S_MAX)
        try:
            url = URL.build(scheme="http", host=host or "", port=port)
            async with (
                aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session,
                session.get(url, allow_redirects=False) as response,
            ):
                if response.status == 511:  # RFC 6585: network authentication required
                    return True
                if 300 <= response.status < 400:
                    return URL(response.headers.get("Location", "")).host not in (None, host)
                return response.status == 200 and response.content_type == "text/html"
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return False


def _validity_of(certificate: x509.Certificate) -> _Validity:
    return _Validity(
        certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
    )


def _context(ca_pem: str | None) -> ssl.SSLContext:
    if ca_pem is None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context = ssl.create_default_context(cadata=ca_pem)
        # What a bridge takes is set here, not by Python's version: 3.13 began to refuse a certificate that
        # lacks extensions, and to trust a CA that is not its own root (python/cpython#107361). An update of
        # the phone must never make a good centre a stranger, and who pins a CA trusts that one.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _options(context: ssl.SSLContext, resolver: AbstractResolver | None) -> dict[str, Any]:
    # Presses are hours apart: a kept connection would be a dead one, and cost the first try.
    return {"ssl": context, "limit": 128, "force_close": True, "resolver": resolver}


def _session(connector: aiohttp.TCPConnector, answer_s_max: float) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=answer_s_max, sock_connect=CONNECT_S_MAX),
        headers={"User-Agent": "amr-bridge", "Accept-Encoding": "identity"},
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,  # 64 KiB are 64 KiB
        trust_env=False,
    )


@contextmanager
def _named(url: str) -> Iterator[None]:
    """Raise each failure as its CentreError: whatever one address does, it costs that address alone."""
    try:
        yield
    except CentreError:
        raise
    except _NotNow as error:
        begins = error.validity.from_s > time.time()
        text = f"the certificate at {url} {'is not valid yet' if begins else 'has expired'}; nothing was sent"
        raise TlsWrong("certificate_expired", f"{text}; whoever runs the centre must renew it") from None
    except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError) as error:
        raise TlsWrong("tls_wrong", _tls_sentence(url, error)) from None
    except aiohttp.ClientConnectorDNSError:
        text = f"the name in {url} cannot be found: is this machine online?"
        raise CentreDown("no_network", text) from None
    except (TimeoutError, aiohttp.ServerTimeoutError):
        raise CentreDown("centre_timeout", f"the centre does not answer in time: {url}") from None
    except aiohttp.ClientResponseError:
        raise no_centre("an answer that is not HTTP as expected") from None
    except (aiohttp.ClientError, OSError):
        raise CentreDown("centre_down", f"the centre cannot be reached: {url}") from None
    except Exception as error:  # a name that cannot be encoded, a resolver that answers with nothing
        text = f"the centre cannot be reached: {url} (a mistake: {place(error)})"
        raise CentreDown("internal", text) from None


async def body_of(response: aiohttp.ClientResponse) -> bytes:
    """Return the body, if it is not too long; raises NotACentre."""
    body = b""
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > ANSWER_BYTES_MAX:
            raise no_centre("an answer longer than 64 KiB")
    return body


def _date_s(response: aiohttp.ClientResponse) -> float | None:
    try:
        return parsedate_to_datetime(response.headers["Date"]).astimezone(UTC).timestamp()
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _tls_sentence(url: str, error: aiohttp.ClientConnectorError) -> str:
    why = _verify_message(error)
    return f"the answer at {url} does not come from our centre: {why}; nothing was sent"


def _verify_message(error: aiohttp.ClientConnectorError | aiohttp.ClientConnectorCertificateError) -> str:
    cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", None)
    return getattr(cause, "verify_message", "") or "the TLS handshake failed"
