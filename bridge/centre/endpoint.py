"""One address of the centre: HTTPS to it and to nobody else; every failure is a CentreError with its cause.

A certificate that is not valid *now*, by this machine's clock, is most often a wrong clock: a phone
whose battery was empty wakes up years ago. An alarm must not fail by that, so the same chain is then
taken without the time, if the centre's own clock (its Date header) finds its certificate valid.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
from yarl import URL

from bridge.centre.errors import CentreDown, TlsWrong, no_centre

ANSWER_BYTES_MAX = 64 * 1024
GOODBYE_S = 0.25
CONNECT_S_MAX = 5.0
ANSWER_S_MAX = 15.0
PROBE_S_MAX = 3.0
# Certificates and receipts do not mind less; a person reads it in minutes.
CLOCK_SKEW_S_MAX = 120.0

# OpenSSL's X509_V_FLAG_NO_CHECK_TIME, X509_V_ERR_CERT_NOT_YET_VALID and _HAS_EXPIRED.
_NO_CHECK_TIME = 0x200000
_NOT_NOW = (9, 10)


class Endpoint:
    """`ca_pem` None: nothing is verified (to fetch the CA's certificate, and for nothing else)."""

    def __init__(self, url: str, ca_pem: str | None, answer_s_max: float = ANSWER_S_MAX) -> None:
        self.url = url.rstrip("/")
        self.skew_s: float | None = None  # how far the centre's clock is ahead of ours
        self._session = _session(_context(ca_pem), answer_s_max)
        self._timeless_context = None if ca_pem is None else _context(ca_pem, _NO_CHECK_TIME)
        self._timeless = (
            None if self._timeless_context is None else _session(self._timeless_context, answer_s_max)
        )
        self._clock_is_wrong = False

    async def close(self) -> None:
        await self._session.close()
        if self._timeless is not None:
            await self._timeless.close()

    @asynccontextmanager
    async def request(self, method: str, path: str, **options: Any) -> AsyncGenerator[aiohttp.ClientResponse]:
        """A request whose every failure, up to the last byte read, is a CentreError."""
        with _named(self.url):
            if self._clock_is_wrong:
                assert self._timeless is not None
                session = self._timeless
            else:
                session = self._session
            try:
                response = await self._send(session, method, path, options)
            except aiohttp.ClientConnectorCertificateError as error:
                if _verify_code(error) not in _NOT_NOW or self._timeless is None:
                    raise
                await self._need_a_wrong_clock(error)
                response = await self._send(self._timeless, method, path, options)
            async with response:
                self._note_clock(response)
                yield response

    async def _send(
        self, session: aiohttp.ClientSession, method: str, path: str, options: dict[str, Any]
    ) -> aiohttp.ClientResponse:
        return await session.request(
            method, URL(self.url + path, encoded=True), allow_redirects=False, **options
        )

    async def _need_a_wrong_clock(self, error: aiohttp.ClientConnectorCertificateError) -> None:
        """Returns if it is our clock, and not the certificate, that is wrong; else raises `error`."""
        assert self._timeless is not None
        certificate = await self._certificate()
        async with await self._send(self._timeless, "GET", "/ca.pem", {}) as response:
            theirs_s = _date_s(response)
        if theirs_s is None:
            raise error
        valid_from_s = ssl.cert_time_to_seconds(certificate["notBefore"])
        valid_to_s = ssl.cert_time_to_seconds(certificate["notAfter"])
        if not valid_from_s <= theirs_s <= valid_to_s or abs(theirs_s - time.time()) < CLOCK_SKEW_S_MAX:
            raise error
        self._clock_is_wrong = True

    async def _certificate(self) -> dict[str, Any]:
        """The one that is shown there, its chain checked but for the time."""
        url = URL(self.url)
        assert self._timeless_context is not None
        async with asyncio.timeout(CONNECT_S_MAX):
            _, writer = await asyncio.open_connection(
                url.host, url.port, ssl=self._timeless_context, server_hostname=url.host
            )
        certificate: dict[str, Any] = writer.get_extra_info("peercert")
        writer.close()
        return certificate

    def _note_clock(self, response: aiohttp.ClientResponse) -> None:
        theirs_s = _date_s(response)
        self.skew_s = None if theirs_s is None else theirs_s - time.time()
        if self.skew_s is not None and abs(self.skew_s) < CLOCK_SKEW_S_MAX:
            self._clock_is_wrong = False

    async def is_captive(self, port: int) -> bool:
        """Whether this network answers in the centre's place, to have somebody log in first.

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


def _context(ca_pem: str | None, flags: int = 0) -> ssl.SSLContext:
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
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | flags
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _session(context: ssl.SSLContext, answer_s_max: float) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        # Presses are hours apart: a kept connection would be a dead one, and cost the first try.
        connector=aiohttp.TCPConnector(ssl=context, limit=128, force_close=True),
        timeout=aiohttp.ClientTimeout(total=answer_s_max, sock_connect=CONNECT_S_MAX),
        headers={"User-Agent": "amr-bridge", "Accept-Encoding": "identity"},
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,  # 64 KiB are 64 KiB
        trust_env=False,
    )


@contextmanager
def _named(url: str) -> Iterator[None]:
    """Every failure gets its CentreError."""
    try:
        yield
    except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError) as error:
        if _verify_code(error) in _NOT_NOW:
            text = f"the certificate at {url} is not valid now: {_verify_message(error)}; nothing was sent"
            raise TlsWrong("certificate_expired", f"{text}; whoever runs the centre must renew it") from None
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


async def body_of(response: aiohttp.ClientResponse) -> bytes:
    """Bounded; raises NotACentre."""
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


def _verify_code(error: aiohttp.ClientConnectorError | aiohttp.ClientConnectorCertificateError) -> int:
    cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", None)
    return int(getattr(cause, "verify_code", 0))


def _tls_sentence(url: str, error: aiohttp.ClientConnectorError) -> str:
    why = _verify_message(error)
    return f"the answer at {url} does not come from our centre: {why}; nothing was sent"


def _verify_message(error: aiohttp.ClientConnectorError | aiohttp.ClientConnectorCertificateError) -> str:
    cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", None)
    return getattr(cause, "verify_message", "") or "the TLS handshake failed"
