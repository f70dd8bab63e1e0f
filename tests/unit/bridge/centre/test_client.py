"""Whom the bridge trusts, what it believes, and what it calls each failure; against a real TLS server."""

import asyncio
import ipaddress
import json
import socket
import ssl
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from typing import Any

import pytest
import trustme
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from bridge.centre import client
from bridge.centre.client import Centre
from bridge.centre.endpoint import Endpoint
from bridge.centre.errors import CentreDown, CentreError, CentreRefused, NotACentre, TlsWrong
from bridge.centre.stream import EventStream
from bridge.settings import https_urls
from tests.unit.bridge.parts import ENROLMENT, TOKEN, Authority, Handler, TestCentre, problem, serve

ALARM = {"device_id": "A" * 16, "event": 1, "counter": 1, "code": "00"}
GOOD = {"incident": "i1", "receipt": {"stage": 1, "proof": "ab" * 16}, "dropped": []}


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def always(response: Any) -> Handler:
    async def handler(_request: web.Request) -> web.StreamResponse:
        made: web.StreamResponse = response()
        return made

    return handler


async def post(authority: Authority, handler: Handler, pem: bytes | None = None) -> client.Answer:
    trusted = (pem or authority.pem).decode()
    async with serve(authority, {("POST", "/v1/alarms"): handler}) as url, Centre(url, trusted) as centre:
        return await centre.post_alarm(TOKEN, ALARM)


async def test_an_alarm_is_received(authority: Authority) -> None:
    """201 is a new press, 200 a known one; the token goes along, and what was dropped comes back."""
    seen = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((request.headers["Authorization"], await request.json()))
        body = GOOD | {"dropped": [{"field": "fix", "reason": "lat_out_of_range"}]}
        return web.json_response(body, status=201)

    answer = await post(authority, handler)
    assert seen == [(f"Bearer {TOKEN}", ALARM)]
    assert answer == client.Answer("i1", 1, bytes.fromhex("ab" * 16), False, ("fix: lat_out_of_range",))
    assert (await post(authority, always(lambda: web.json_response(GOOD)))).known


async def test_another_ca_is_tls_wrong_and_gets_nothing(authority: Authority) -> None:
    """Its server never sees the request."""
    asked: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response(GOOD)

    with pytest.raises(TlsWrong, match="nothing was sent") as caught:
        await post(Authority(), handler, pem=authority.pem)
    assert caught.value.reason == "tls_wrong"
    assert asked == []


class PlainAuthority(Authority):
    """A CA as many in use, without key usage and identifiers, which Python 3.13 refuses of itself."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a plain CA")])
        usage = x509.BasicConstraints(ca=True, path_length=None)
        self.pem = self._signed(self._key, self._name, usage).public_bytes(Encoding.PEM)

    def server_context(self, host: str = "127.0.0.1", years: int = 0) -> ssl.SSLContext:
        assert not years
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a plain centre")])
        hosts = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))])
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile() as file:
            file.write(pem + self._signed(key, name, hosts).public_bytes(Encoding.PEM))
            file.flush()
            context.load_cert_chain(file.name)
        return context

    def _signed(
        self, key: ec.EllipticCurvePrivateKey, name: x509.Name, extension: x509.ExtensionType
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(self._name, name, key.public_key(), x509.random_serial_number())
        valid = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        return valid.add_extension(extension, critical=False).sign(self._key, hashes.SHA256())


async def test_no_version_of_python_makes_a_good_centre_a_stranger() -> None:
    """What a bridge accepts of a certificate does not grow stricter by an update of the phone's system."""
    assert not (await post(PlainAuthority(), always(lambda: web.json_response(GOOD, status=201)))).known


async def test_a_pinned_ca_needs_no_root_above_it() -> None:
    """Most chains end with an intermediate CA: that one is pinned and trusted."""
    assert not (
        await post(
            Authority(trustme.CA().create_child_ca()), always(lambda: web.json_response(GOOD, status=201))
        )
    ).known


async def test_a_certificate_for_another_host_is_tls_wrong(authority: Authority) -> None:
    """The right CA is not enough: the name is checked."""
    async with serve(authority, {}, host="192.0.2.1") as url, Centre(url, authority.pem.decode()) as centre:
        with pytest.raises(TlsWrong):
            await centre.post_alarm(TOKEN, ALARM)


async def test_the_ca_is_taken_only_with_the_labels_pin(authority: Authority) -> None:
    """No trust on first use: another key is refused before any secret is sent."""
    other = Authority()
    for pem, pin, good in (
        (authority.pem, authority.pin, True),
        (other.pem, authority.pin, False),
        (other.pem + authority.pem, authority.pin, False),
    ):
        routes = {("GET", "/ca.pem"): always(lambda pem=pem: web.Response(body=pem))}
        async with serve(authority, routes) as url, Centre(url, None) as stranger:
            if good:
                assert (await stranger.fetch_ca(pin)).encode() == authority.pem
            else:
                with pytest.raises(TlsWrong) as caught:
                    await stranger.fetch_ca(pin)
                assert caught.value.reason == "pin_mismatch"


async def test_a_second_certificate_in_the_file_is_not_trusted(authority: Authority) -> None:
    """Only the one whose key was compared is kept."""
    routes = {("GET", "/ca.pem"): always(lambda: web.Response(body=authority.pem + Authority().pem))}
    async with serve(authority, routes) as url, Centre(url, None) as stranger:
        assert (await stranger.fetch_ca(authority.pin)).encode() == authority.pem


def _html() -> web.Response:
    return web.Response(text="<html>Welcome to our hotel</html>", content_type="text/html")


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        (_html, NotACentre),
        (lambda: web.Response(text="[]", content_type="application/json"), NotACentre),
        (lambda: web.Response(text="[" * 60_000, content_type="application/json"), NotACentre),
        (lambda: web.json_response({"incident": "i"}), NotACentre),
        (lambda: web.json_response(GOOD | {"incident": "x" * 5000}), NotACentre),
        (lambda: web.json_response(GOOD | {"incident": "\x1b[2J"}), NotACentre),
        (lambda: web.json_response(GOOD | {"receipt": {"stage": 9, "proof": "ab" * 16}}), NotACentre),
        (lambda: web.json_response(GOOD | {"receipt": {"stage": 1, "proof": "ab"}}), NotACentre),
        (lambda: web.json_response(GOOD | {"receipt": {"stage": True, "proof": "ab" * 16}}), NotACentre),
        (lambda: web.Response(status=204), NotACentre),
        (lambda: web.Response(status=404, text="<html>", content_type="text/html"), NotACentre),
        (lambda: web.json_response({"reason": "NOT A WORD\n"}, status=404), NotACentre),
        (lambda: web.json_response(["reason"], status=404), NotACentre),
        (lambda: web.Response(status=500), CentreDown),
        (lambda: problem(503, "busy"), CentreDown),
        (lambda: problem(404, "unknown_device"), CentreRefused),
        (lambda: problem(429, "slow_down"), CentreRefused),
    ],
)
async def test_every_wrong_answer_has_its_name(authority: Authority, response: Any, kind: type) -> None:
    """Down, refused and not-a-centre are told apart, never an exception of another kind."""
    with pytest.raises(CentreError) as caught:
        await post(authority, always(response))
    assert type(caught.value) is kind


async def test_a_refusal_says_why_and_whether_it_is_for_good(authority: Authority) -> None:
    """The problem's reason is the bridge's reason; a title cannot write on a terminal."""
    with pytest.raises(CentreRefused) as caught:
        await post(authority, always(lambda: problem(403, "revoked", "\x1b[31mgone\n")))
    assert (caught.value.reason, caught.value.permanent, "\x1b" in str(caught.value)) == (
        "revoked",
        True,
        False,
    )
    with pytest.raises(CentreRefused) as caught:
        await post(authority, always(lambda: problem(429, "slow_down")))
    assert not caught.value.permanent


async def test_a_redirect_is_not_followed(authority: Authority) -> None:
    """The alarm, with its token, goes nowhere else."""
    asked: list[str] = []

    async def elsewhere(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response(GOOD)

    routes = {
        ("POST", "/v1/alarms"): always(lambda: web.Response(status=307, headers={"Location": "/elsewhere"})),
        ("POST", "/elsewhere"): elsewhere,
    }
    async with serve(authority, routes) as url, Centre(url, authority.pem.decode()) as centre:
        with pytest.raises(NotACentre, match="redirect"):
            await centre.post_alarm(TOKEN, ALARM)
    assert asked == []


async def test_an_endless_answer_is_cut_off(authority: Authority) -> None:
    """64 KiB are read, then no more."""

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b" " * 8192)
        except ConnectionError:
            return response

    async with asyncio.timeout(60):
        with pytest.raises(NotACentre, match="64 KiB"):
            await post(authority, handler)


async def test_a_compressed_answer_does_not_unfold(authority: Authority) -> None:
    """64 KiB on the wire cannot become a gigabyte in memory."""

    async def handler(_request: web.Request) -> web.StreamResponse:
        response = web.json_response({"x": " " * 10_000_000})
        response.enable_compression(web.ContentCoding.gzip)
        return response

    with pytest.raises(NotACentre):
        await post(authority, handler)


async def test_nobody_there_and_no_tls_are_told_apart(authority: Authority) -> None:
    """A closed port is down; a port that speaks no TLS is wrong; one that says nothing is slow."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        async with Centre(url, authority.pem.decode(), answer_s_max=0.3) as centre:
            with pytest.raises(CentreDown) as caught:
                await centre.post_alarm(TOKEN, ALARM)
    assert caught.value.reason == "centre_timeout"
    async with Centre(url, authority.pem.decode()) as centre:
        with pytest.raises(CentreDown) as caught:
            await centre.post_alarm(TOKEN, ALARM)
    assert caught.value.reason == "centre_down"

    def answer_in_the_clear(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        writer.close()

    plain = await asyncio.start_server(answer_in_the_clear, "127.0.0.1")
    url = f"https://127.0.0.1:{plain.sockets[0].getsockname()[1]}"
    async with plain, Centre(url, authority.pem.decode()) as centre:
        with pytest.raises(TlsWrong):
            await centre.post_alarm(TOKEN, ALARM)


async def test_receipts_stream_and_resume(authority: Authority) -> None:
    """Every stage comes once; after a break, only what is new; after CLOSED the stream ends."""
    centre_side = TestCentre(stages={"1-1-1": [1, 2]})
    async with serve(authority, centre_side.routes) as url, Centre(url, authority.pem.decode()) as centre:
        stream = centre.receipts(TOKEN, "1-1-1", None)
        first, second = await anext(stream), await anext(stream)
        await stream.aclose()
        assert [first.stage, second.stage] == [1, 2]
        centre_side.advance("1-1-1", 3)
        centre_side.advance("1-1-1", 4)
        rest = [receipt.stage async for receipt in centre.receipts(TOKEN, "1-1-1", second.event_id)]
        assert rest == [3, 4]


async def test_a_stream_that_is_none_is_not_a_centre(authority: Authority) -> None:
    """HTML, refusals and events that are no receipts, each by its name."""

    def stream(text: str) -> web.Response:
        return web.Response(text=text, content_type="text/event-stream")

    cases: list[tuple[Any, type]] = [
        (_html, NotACentre),
        (lambda: problem(404, "unknown_incident"), CentreRefused),
        (lambda: stream("id: 1\nevent: receipt\ndata: {}\n\n"), NotACentre),
        (lambda: stream("event: receipt\ndata: " + "x" * 5000), NotACentre),
    ]
    for response, kind in cases:
        routes = {("GET", "/v1/incidents/{id}/receipts"): always(response)}
        async with serve(authority, routes) as url, Centre(url, authority.pem.decode()) as centre:
            with pytest.raises(kind):
                await anext(centre.receipts(TOKEN, "i", None))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_are_read_however_they_are_cut(size: int) -> None:
    """Heartbeats, other events, CR and CRLF, in pieces of any size."""
    data = json.dumps({"stage": 2})
    text = (
        ": heartbeat\n\n"
        f"id: 7\r\nevent: receipt\r\ndata: {data}\r\n\r\n"
        "event: other\ndata: x\n\n"
        f"id:8\revent:receipt\rdata:{data}\r\r"
        "event: receipt\n\n"
        "id: 9\nevent: receipt\ndata: a\ndata: b\n\n"
        "id: 10\nevent: receipt\ndata: not finished\n"
    ).encode()
    stream = EventStream()
    events = [event for at in range(0, len(text), size) for event in stream.feed(text[at : at + size])]
    assert events == [("7", data), ("8", data), ("9", "a\nb")]


def test_lines_and_events_are_bounded() -> None:
    """A line of 4 KiB and an event of 64 KiB are the most that is kept."""
    with pytest.raises(NotACentre):
        EventStream().feed(b"x" * 5000)
    many = b"".join(b"data: " + b"x" * 4000 + b"\n" for _ in range(20))
    with pytest.raises(NotACentre):
        EventStream().feed(many)


def test_a_label_is_read_and_nothing_else_is() -> None:
    """Exactly the text of a label; the message shows what is expected, not the secret."""
    label = client.parse_label(f"https://centre.example:8443/e#{ENROLMENT}.{'0a' * 32}\n")
    assert (label.centre, label.code, label.pin) == ("https://centre.example:8443", ENROLMENT, b"\x0a" * 32)
    assert ENROLMENT not in repr(label)
    for wrong in (
        "",
        "hello",
        f"http://centre.example/e#{ENROLMENT}.{'0a' * 32}",
        f"https://centre.example/e#{ENROLMENT}.{'0a' * 31}",
        f"https://centre.example/e#{ENROLMENT.lower()}.{'0a' * 32}",
        f"https://user:secret@centre.example/e#{ENROLMENT}.{'0a' * 32}",
        f"https://centre.example:99999/e#{ENROLMENT}.{'0a' * 32}",
    ):
        with pytest.raises(ValueError, match="label") as caught:
            client.parse_label(wrong)
        assert ENROLMENT not in str(caught.value)


# -- several addresses of one centre -----------------------------------------------------------------


async def test_where_one_address_fails_the_other_takes_the_alarm(authority: Authority) -> None:
    """In the same try; and the next post goes first to the one that answered."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        dead = f"https://127.0.0.1:{nobody.getsockname()[1]}"
    asked: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response(GOOD)

    async with (
        serve(authority, {("POST", "/v1/alarms"): handler}) as url,
        Centre([dead, url], authority.pem.decode()) as centre,
    ):
        assert (await centre.post_alarm(TOKEN, ALARM)).incident == "i1"
        assert (await centre.post_alarm(TOKEN, ALARM)).incident == "i1"
    assert len(asked) == 2


async def test_an_address_that_says_nothing_does_not_hold_the_alarm_up(authority: Authority) -> None:
    """A hung node: after a while the other one is asked as well, and its answer counts."""
    hung = asyncio.Event()

    async def silent(_request: web.Request) -> web.Response:
        await hung.wait()
        return web.json_response(GOOD)

    async with (
        serve(authority, {("POST", "/v1/alarms"): silent}) as one,
        serve(authority, {("POST", "/v1/alarms"): always(lambda: web.json_response(GOOD))}) as other,
        Centre([one, other], authority.pem.decode(), answer_s_max=300, hedge_s=0.1) as centre,
    ):
        async with asyncio.timeout(60):
            assert (await centre.post_alarm(TOKEN, ALARM)).incident == "i1"
        hung.set()


@pytest.mark.parametrize(
    "wrong", [lambda: problem(404, "unknown_device"), lambda: web.json_response({"ok": True})]
)
async def test_one_wrong_address_costs_no_alarm(
    authority: Authority, wrong: Callable[[], web.Response]
) -> None:
    """A node that says no, or yes to everything, speaks for itself alone: another one may take it."""
    async with (
        serve(authority, {("POST", "/v1/alarms"): always(wrong)}) as one,
        serve(authority, {("POST", "/v1/alarms"): always(lambda: web.json_response(GOOD))}) as other,
        Centre([one, other], authority.pem.decode()) as centre,
    ):
        for _ in range(2):
            assert (await centre.post_alarm(TOKEN, ALARM)).incident == "i1"


async def test_what_the_centre_says_counts_more_than_an_address_that_is_down(authority: Authority) -> None:
    """Refused at one and dead at the other: the person must hear that the enrolment is revoked."""
    routes = {("POST", "/v1/alarms"): always(lambda: problem(403, "revoked"))}
    async with serve(authority, routes) as url:
        for urls in ([url, "https://127.0.0.1:9"], ["https://127.0.0.1:9", url]):
            async with Centre(urls, authority.pem.decode()) as centre:
                with pytest.raises(CentreRefused, match="403"):
                    await centre.post_alarm(TOKEN, ALARM)


async def test_a_pin_is_tried_once(authority: Authority) -> None:
    """Two addresses, one of them slow: a wrong PIN costs one try and not two, or a slip locks the PIN."""
    tried: list[str] = []

    async def slow(request: web.Request) -> web.Response:
        tried.append(request.path)
        await asyncio.sleep(0.2)
        return problem(403, "wrong_pin")

    routes = {("POST", "/v1/call-offs"): slow}
    async with (
        serve(authority, routes) as one,
        serve(authority, routes) as other,
        Centre([one, other], authority.pem.decode(), hedge_s=0) as centre,
    ):
        with pytest.raises(CentreRefused, match="403"):
            await centre.post_call_off(TOKEN, {"pin": "9999"})
    assert len(tried) == 1


# -- clocks and portals --------------------------------------------------------------------------------


def dated(years: float) -> dict[str, str]:
    """Return the Date header of a machine whose clock is so far ahead of ours."""
    return {"Date": format_datetime(datetime.now(UTC) + timedelta(days=365 * years), usegmt=True)}


@pytest.mark.parametrize("years", [-6, 6])
async def test_a_wrong_clock_of_ours_does_not_keep_an_alarm_back(authority: Authority, years: int) -> None:
    """The centre's certificate is valid by the centre's clock: it goes, and how far we are off is known."""
    routes = {
        ("GET", "/ca.pem"): always(lambda: web.Response(body=b"", headers=dated(years))),
        ("POST", "/v1/alarms"): always(lambda: web.json_response(GOOD, headers=dated(years))),
    }
    async with serve(authority, routes, years=years) as url, Centre(url, authority.pem.decode()) as centre:
        assert (await centre.post_alarm(TOKEN, ALARM)).incident == "i1"
        assert centre.skew_s is not None
        assert abs(centre.skew_s / (365 * 86400) - years) < 0.01


async def test_an_expired_certificate_is_refused_by_name(authority: Authority) -> None:
    """Its own clock agrees with ours, so it is the certificate that is wrong. Nothing is sent."""
    posted: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        posted.append(request.path)
        return web.json_response(GOOD)

    routes = {
        ("GET", "/ca.pem"): always(lambda: web.Response(body=b"")),
        ("POST", "/v1/alarms"): handler,
    }
    async with serve(authority, routes, years=-1) as url, Centre(url, authority.pem.decode()) as centre:
        with pytest.raises(TlsWrong, match="expired") as caught:
            await centre.post_alarm(TOKEN, ALARM)
    assert caught.value.reason == "certificate_expired"
    assert posted == []


async def test_another_ca_with_another_clock_is_still_another_ca(authority: Authority) -> None:
    """Whoever is not the centre gains nothing by a clock that disagrees with ours."""
    routes = {
        ("GET", "/ca.pem"): always(lambda: web.Response(body=b"", headers=dated(6))),
        ("POST", "/v1/alarms"): always(lambda: web.json_response(GOOD)),
    }
    async with serve(Authority(), routes, years=6) as url, Centre(url, authority.pem.decode()) as centre:
        with pytest.raises(TlsWrong):
            await centre.post_alarm(TOKEN, ALARM)


def signed(ca: trustme.CA, days: int, by: trustme.CA | None = None) -> str:
    """Return another certificate for the CA's key, signed by it or by another, that ends in so many days."""
    now = datetime.now(UTC)
    certificate = x509.load_pem_x509_certificate(ca.cert_pem.bytes())
    builder = x509.CertificateBuilder(
        certificate.issuer,
        certificate.subject,
        certificate.public_key(),
        x509.random_serial_number(),
        now - timedelta(days=400),
        now + timedelta(days=days),
        list(certificate.extensions),
    )
    key = load_pem_private_key((by or ca).private_key_pem.bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def renewed(pem: str) -> dict[tuple[str, str], Any]:
    return {
        ("GET", "/ca.pem"): always(lambda: web.Response(text=pem)),
        ("POST", "/v1/alarms"): always(lambda: web.json_response(GOOD)),
    }


async def test_a_ca_that_was_renewed_with_its_key_is_trusted_on() -> None:
    """The phone was enrolled with the old certificate: the alarm goes, and the next one, too."""
    ca = trustme.CA()
    async with serve(Authority(ca), renewed(signed(ca, 400))) as url, Centre(url, signed(ca, -1)) as centre:
        for _ in range(2):
            assert (await centre.post_alarm(TOKEN, ALARM)).incident == "i1"


@pytest.mark.parametrize("shown", ["another's", "forged", "old", "none"])
async def test_no_other_certificate_takes_the_place_of_a_ca_that_has_ended(shown: str) -> None:
    """Another key; the pinned key in a certificate that it has not signed; an old one; none."""
    ca, other = trustme.CA(), trustme.CA()
    pem = {
        "another's": signed(other, 400),
        "forged": signed(ca, 400, by=other),
        "old": signed(ca, -1),
        "none": "<html>",
    }[shown]
    async with serve(Authority(ca), renewed(pem)) as url, Centre(url, signed(ca, -1)) as centre:
        with pytest.raises(TlsWrong) as caught:
            await centre.post_alarm(TOKEN, ALARM)
    assert caught.value.reason == "certificate_expired"


class Names(AbstractResolver):
    """Resolves every name to these addresses, or fails."""

    def __init__(
        self, *addresses: str, error: Exception | None = None, asked: asyncio.Event | None = None
    ) -> None:
        self._addresses, self._error, self._asked = addresses, error, asked

    async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> list[ResolveResult]:
        if self._asked is not None:
            self._asked.set()
        if self._error is not None:
            raise self._error
        return [
            ResolveResult(
                hostname=host, host=address, port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        """Nothing is held."""


@contextmanager
def silent(address: str, port: int) -> Iterator[None]:
    """Hold a port that no connection gets through to: its queue is full, and packets vanish."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind((address, port))
        server.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex((address, port))
        yield


@pytest.mark.skipif(sys.platform != "linux", reason="a full queue drops packets on Linux alone")
@pytest.mark.parametrize("order", [("127.0.0.1", "127.0.0.2"), ("127.0.0.2", "127.0.0.1")])
@pytest.mark.parametrize("years", [-6, 0, 6])
async def test_a_silent_address_of_a_name_hides_no_certificate(
    authority: Authority, order: tuple[str, str], years: int
) -> None:
    """A dead host of a pair, and a phone whose battery was empty: the alarm goes as with one address."""
    routes = {
        ("GET", "/ca.pem"): always(lambda: web.Response(body=b"", headers=dated(years))),
        ("POST", "/v1/alarms"): always(lambda: web.json_response(GOOD, headers=dated(years))),
    }
    async with serve(authority, routes, host="centre.example", years=years) as url:
        port = int(url.rpartition(":")[2])
        named = partial(Endpoint, resolver=Names(*order))
        with silent("127.0.0.2", port):
            async with Centre(
                f"https://centre.example:{port}", authority.pem.decode(), endpoint=named
            ) as centre:
                for _ in range(3):
                    assert (await centre.post_alarm(TOKEN, ALARM)).incident == "i1"


async def test_a_clock_that_was_set_right_needs_no_other(authority: Authority) -> None:
    """What was learnt of the centre's clock is forgotten when both agree; then an old certificate is one."""
    years = [6.0]
    routes = {
        ("GET", "/ca.pem"): always(lambda: web.Response(body=b"", headers=dated(years[0]))),
        ("POST", "/v1/alarms"): always(lambda: web.json_response(GOOD, headers=dated(years[0]))),
    }
    async with serve(authority, routes, years=6) as url, Centre(url, authority.pem.decode()) as centre:
        await centre.post_alarm(TOKEN, ALARM)
        years[0] = 0.0
        await centre.post_alarm(TOKEN, ALARM)  # the answer says that the clocks agree now
        with pytest.raises(TlsWrong) as caught:
            await centre.post_alarm(TOKEN, ALARM)
    assert caught.value.reason == "certificate_expired"


@pytest.mark.parametrize(
    "error",
    [RuntimeError("nothing"), UnicodeError("label empty"), KeyError(1), RecursionError(), MemoryError()],
)
async def test_whatever_one_address_does_costs_that_address_alone(
    authority: Authority, error: Exception
) -> None:
    """A good address that is slow is waited for; and the failure has a name where there is no other."""

    failed = asyncio.Event()

    async def slow(_request: web.Request) -> web.Response:
        await failed.wait()
        return web.json_response(GOOD)

    def endpoint(url: str, ca_pem: str | None, answer_s_max: float) -> Endpoint:
        resolver = Names(error=error, asked=failed) if "odd" in url else None
        return Endpoint(url, ca_pem, answer_s_max, resolver)

    pem = authority.pem.decode()
    async with (
        serve(authority, {("POST", "/v1/alarms"): slow}) as url,
        Centre([url, "https://odd.example"], pem, hedge_s=0, endpoint=endpoint) as centre,
        Centre("https://odd.example", pem, endpoint=endpoint) as odd,
    ):
        assert (await centre.post_alarm(TOKEN, ALARM)).incident == "i1"
        with pytest.raises(CentreDown):
            await odd.post_alarm(TOKEN, ALARM)
        with pytest.raises(CentreDown):
            await anext(odd.receipts(TOKEN, "i1", None))


async def test_a_name_that_cannot_be_asked_for_costs_no_good_address(authority: Authority) -> None:
    """Such a name is refused where it is set; one of an older enrolment is an address that is down."""

    async def slow(_request: web.Request) -> web.Response:
        await asyncio.sleep(0.2)
        return web.json_response(GOOD)

    async with (
        serve(authority, {("POST", "/v1/alarms"): slow}) as url,
        Centre([url, "https://centre..example"], authority.pem.decode(), hedge_s=0) as centre,
    ):
        assert (await centre.post_alarm(TOKEN, ALARM)).incident == "i1"
    for name in ("centre..example", "c" * 64 + ".example"):
        with pytest.raises(ValueError, match=r"allowed|label"):
            https_urls([f"https://{name}"])
        with pytest.raises(ValueError, match="no centre"):
            client.parse_label(f"https://{name}/e#{ENROLMENT}.{'0' * 64}")


async def test_clocks_that_agree_are_not_worth_a_word(authority: Authority) -> None:
    """Seconds are nobody's business; minutes are."""
    for years, told in ((0.0, False), (1 / 365 / 24, True)):
        routes = {("POST", "/v1/alarms"): always(lambda: web.json_response(GOOD, headers=dated(years)))}  # noqa: B023
        async with serve(authority, routes) as url, Centre(url, authority.pem.decode()) as centre:
            await centre.post_alarm(TOKEN, ALARM)
            assert (centre.skew_s is not None) == told


@pytest.mark.parametrize(
    ("answer", "captive"),
    [
        (web.Response(status=302, headers={"Location": "http://login.hotel.example/"}), True),
        (web.Response(status=511, text="log in"), True),
        (web.Response(text="<form>", content_type="text/html"), True),
        (web.Response(status=302, headers={"Location": "https://127.0.0.1/"}), False),
        (web.Response(status=404), False),
    ],
)
async def test_a_portal_is_told_from_a_centre_that_is_down(
    authority: Authority, answer: web.Response, captive: bool
) -> None:
    """A network that wants somebody to log in answers plain HTTP itself; the centre has nothing there."""
    application = web.Application()
    application.router.add_get("/", always(lambda: answer))
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    async with Centre("https://127.0.0.1:1", authority.pem.decode(), portal_port=port) as centre:
        with pytest.raises(CentreDown) as caught:
            await centre.post_alarm(TOKEN, ALARM)
        explained = await centre.explain(caught.value)
    await runner.cleanup()
    assert (explained.reason == "captive_portal") == captive


async def test_a_name_that_nobody_knows_is_no_network(authority: Authority) -> None:
    """Told from a centre that is there and does not answer."""
    async with Centre("https://centre.invalid", authority.pem.decode()) as centre:
        with pytest.raises(CentreDown) as caught:
            await centre.post_alarm(TOKEN, ALARM)
    assert caught.value.reason == "no_network"


# -- signs of life, call-offs, positions -------------------------------------------------------------


async def ask(authority: Authority, path: str, answer: Any, what: str, *arguments: Any) -> Any:
    routes = {("POST", path): always(answer)}
    async with serve(authority, routes) as url, Centre(url, authority.pem.decode()) as centre:
        return await getattr(centre, what)(TOKEN, *arguments)


@pytest.mark.parametrize(("asked", "taken"), [(60, 60), (-5, 10), (10**9, 3600)])
async def test_the_centre_sets_the_pace_within_reason(authority: Authority, asked: int, taken: int) -> None:
    """A hostile or mistaken one can neither have us flood it nor fall silent."""
    body = {"next_in_s": asked, "counters": {"A" * 16: {"press": 3, "alive": 99}}}
    answer = await ask(authority, "/v1/alive", lambda: web.json_response(body), "post_alive", {})
    assert answer == client.AliveAnswer(taken, {"A" * 16: (3, 99)})


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"next_in_s": "60", "counters": {}},
        {"next_in_s": 60, "counters": []},
        {"next_in_s": 60, "counters": {"A": {"press": -1, "alive": 0}}},
        {"next_in_s": 60, "counters": {"A": {"press": 1, "alive": 2**31}}},
    ],
)
async def test_an_answer_to_a_sign_of_life_that_is_none_is_named(authority: Authority, body: Any) -> None:
    """Counters of the spare range would move the prediction to where nothing comes any more."""
    with pytest.raises(NotACentre):
        await ask(authority, "/v1/alive", lambda: web.json_response(body), "post_alive", {})


async def test_a_sign_of_life_that_is_shed_is_no_failure(authority: Authority) -> None:
    """The centre lives, and says that it has no time."""
    with pytest.raises(CentreRefused) as caught:
        await ask(authority, "/v1/alive", lambda: problem(503, "shed"), "post_alive", {})
    assert (caught.value.reason, caught.value.permanent) == ("shed", False)


async def test_a_wrong_pin_comes_back_by_name(authority: Authority) -> None:
    """What the protected person is told hangs on the reason alone."""
    with pytest.raises(CentreRefused) as caught:
        await ask(authority, "/v1/call-offs", lambda: problem(403, "wrong_pin"), "post_call_off", {})
    assert caught.value.reason == "wrong_pin"


# -- a post whose connection is made before -------------------------------------------------------------


async def test_a_prepared_alarm_goes_over_the_connection_that_is_there(authority: Authority) -> None:
    """Nothing is on it before the alarm itself is posted; the next one has a connection of its own."""
    heard: list[bytes] = []

    async def handler(request: web.Request) -> web.Response:
        heard.append(await request.read())
        return web.json_response(GOOD, status=201)

    async with (
        serve(authority, {("POST", "/v1/alarms"): handler}) as url,
        Centre(url, authority.pem.decode()) as centre,
    ):
        centre.prepare_alarm(TOKEN)
        await asyncio.sleep(0.3)
        assert heard == []
        assert (await centre.post_alarm(TOKEN, ALARM)).incident == "i1"
        assert (await centre.post_alarm(TOKEN, ALARM)).incident == "i1"
    assert [json.loads(body) for body in heard] == [ALARM, ALARM]


async def test_another_bridges_alarm_does_not_go_out_under_a_token_that_was_prepared(
    authority: Authority,
) -> None:
    """Two buttons of two enrolments: each post has its own credential."""
    tokens: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        tokens.append(request.headers["Authorization"])
        return web.json_response(GOOD, status=201)

    async with (
        serve(authority, {("POST", "/v1/alarms"): handler}) as url,
        Centre(url, authority.pem.decode()) as centre,
    ):
        centre.prepare_alarm("one")
        await centre.post_alarm("other", ALARM)
        await centre.post_alarm("one", ALARM)
    assert tokens == ["Bearer other", "Bearer one"]


async def test_a_connection_that_could_not_be_prepared_costs_nothing(authority: Authority) -> None:
    """The centre comes back between the two: the alarm is taken at the first try."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with Centre(f"https://127.0.0.1:{port}", authority.pem.decode()) as centre:
        centre.prepare_alarm(TOKEN)
        await asyncio.sleep(0.2)
        routes = {("POST", "/v1/alarms"): always(lambda: web.json_response(GOOD, status=201))}
        async with serve(authority, routes, port=port):
            assert (await centre.post_alarm(TOKEN, ALARM)).incident == "i1"


async def test_nothing_is_said_to_a_stranger_over_a_prepared_connection(authority: Authority) -> None:
    """Somebody else's certificate: the alarm is not sent, and the reason is told when it is posted."""
    posts: list[str] = []

    async def handler(_request: web.Request) -> web.Response:
        posts.append("post")
        return web.json_response(GOOD, status=201)

    stranger = Authority()
    async with (
        serve(stranger, {("POST", "/v1/alarms"): handler}) as url,
        Centre(url, authority.pem.decode()) as centre,
    ):
        centre.prepare_alarm(TOKEN)
        await asyncio.sleep(0.2)
        with pytest.raises(TlsWrong):
            await centre.post_alarm(TOKEN, ALARM)
    assert posts == []


async def test_an_alarm_that_never_comes_is_no_request(authority: Authority) -> None:
    """The bridge stops meanwhile: the centre has heard nothing."""
    posts: list[str] = []

    async def handler(_request: web.Request) -> web.Response:
        posts.append("post")
        return web.json_response(GOOD, status=201)

    async with serve(authority, {("POST", "/v1/alarms"): handler}) as url:
        async with Centre(url, authority.pem.decode()) as centre:
            centre.prepare_alarm(TOKEN)
            await asyncio.sleep(0.2)
        await asyncio.sleep(0.1)
    assert posts == []
