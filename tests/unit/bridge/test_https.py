"""Whom the bridge trusts, what it believes, and what it calls each failure; against a real TLS server."""

import asyncio
import json
import socket
from typing import Any

import pytest
from aiohttp import web

from bridge import https
from bridge.https import Centre, CentreDown, CentreError, EventStream, NotACentre, Refused, TlsWrong
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


async def post(authority: Authority, handler: Handler, pem: bytes | None = None) -> https.Answer:
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
    assert answer == https.Answer("i1", 1, bytes.fromhex("ab" * 16), False, ("fix: lat_out_of_range",))
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
        (lambda: problem(404, "unknown_device"), Refused),
        (lambda: problem(429, "slow_down"), Refused),
    ],
)
async def test_every_wrong_answer_has_its_name(authority: Authority, response: Any, kind: type) -> None:
    """Down, refused and not-a-centre are told apart, never an exception of another kind."""
    with pytest.raises(CentreError) as caught:
        await post(authority, always(response))
    assert type(caught.value) is kind


async def test_a_refusal_says_why_and_whether_it_is_for_good(authority: Authority) -> None:
    """The problem's reason is the bridge's reason; a title cannot write on a terminal."""
    with pytest.raises(Refused) as caught:
        await post(authority, always(lambda: problem(403, "revoked", "\x1b[31mgone\n")))
    assert (caught.value.reason, caught.value.permanent, "\x1b" in str(caught.value)) == (
        "revoked",
        True,
        False,
    )
    with pytest.raises(Refused) as caught:
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

    async with asyncio.timeout(5):
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
        (lambda: problem(404, "unknown_incident"), Refused),
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
    label = https.parse_label(f"https://centre.example:8443/e#{ENROLMENT}.{'0a' * 32}\n")
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
            https.parse_label(wrong)
        assert ENROLMENT not in str(caught.value)
