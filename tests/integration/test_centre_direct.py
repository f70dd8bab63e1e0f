"""Buttons without a phone, over real datagrams and real TLS."""

import asyncio
import contextlib
import os
import socket
import ssl
from pathlib import Path

import pytest

from centre.app import running
from centre.commands import main
from centre.platform.home import CannotServe, Home
from centre.rules import access
from centre.settings import Settings
from centre.work import cases
from tests.unit.centre.api.parts import Button
from tests.unit.centre.parts import Hand, Lines, Phone, Serving, centre, core_at, granted, signed_in
from tests.unit.centre.work.parts import FILE
from wire import direct, receipts

HAND, OTHER = Hand(1), Hand(2)
OCTETS = {"Content-Type": "application/octet-stream"}


class Datagrams(asyncio.DatagramProtocol):
    """A socket of a button: what came back, in order."""

    def __init__(self) -> None:
        self.came: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002
        self.came.put_nowait(data)


async def socket_to(serving: Serving) -> tuple[asyncio.DatagramTransport, Datagrams]:
    loop = asyncio.get_running_loop()
    assert serving.direct_port is not None
    return await loop.create_datagram_endpoint(Datagrams, remote_addr=("127.0.0.1", serving.direct_port))


async def next_of(datagrams: Datagrams) -> bytes:
    async with asyncio.timeout(30):
        return await datagrams.came.get()


async def test_a_datagram_is_answered_by_one_half_as_long(tmp_path: Path) -> None:
    """Junk before it, of every length, gets no word, and keeps nobody waiting."""
    async with centre(tmp_path, HAND, direct_port=0) as (serving, _):
        transport, datagrams = await socket_to(serving)
        for length in (0, 1, 63, 64, 127, 128, 129, 1472, 65507):
            transport.sendto(bytes(length))
        button = Button(HAND)
        frame = button.frame()
        transport.sendto(frame)
        answered = await next_of(datagrams)
        assert len(answered) == len(frame) // 2
        assert button.open(frame, answered).receipt[0] == receipts.RECEIVED
        assert datagrams.came.empty()
        transport.close()


async def test_news_reaches_the_port_that_asked_last(tmp_path: Path) -> None:
    """A router gives the button another port while it waits: there it hears, and at the old one nothing."""
    async with centre(tmp_path, HAND, direct_port=0) as (serving, phone):
        (old, at_old), (new, at_new) = await socket_to(serving), await socket_to(serving)
        button = Button(HAND)
        frame = button.frame()
        old.sendto(frame)
        button.open(frame, await next_of(at_old))
        old.sendto(button.frame(direct.POLL, wait_s=20))
        asked = button.frame(direct.POLL, wait_s=20)
        new.sendto(asked)
        await take(serving, phone)
        assert button.open(asked, await next_of(at_new)).receipt[0] == receipts.ACKNOWLEDGED
        assert at_old.came.empty()
        old.close()
        new.close()


async def take(serving: Serving, phone: Phone) -> None:
    """Let an operator take the only alarm at the console."""
    await phone.ask("GET", serving.console_url.removeprefix(serving.url))
    _, page = await phone.ask("GET", "/console")
    incident = page.partition("/console/incidents/")[2][:20]
    status, _ = await phone.ask("POST", f"/console/incidents/{incident}/acknowledge")
    assert status in (200, 303)


async def test_the_same_frame_is_answered_as_a_post(tmp_path: Path) -> None:
    """Over TLS, with a length, the same press as by the datagram before."""
    async with centre(tmp_path, HAND, direct_port=0) as (serving, phone):
        transport, datagrams = await socket_to(serving)
        button = Button(HAND)
        frame = button.frame()
        transport.sendto(frame)
        button.open(frame, await next_of(datagrams))
        frame = button.frame(carrier=direct.WIFI_HTTPS)
        async with phone.session.post(f"{serving.url}/v1/direct", data=frame, headers=OCTETS) as response:
            assert (response.status, response.content_type) == (200, OCTETS["Content-Type"])
            assert response.headers["Content-Length"] == "64"
            assert button.open(frame, await response.read()).receipt[0] == receipts.RECEIVED
        transport.close()


async def post(serving: Serving, phone: Phone, frame: bytes) -> bytes:
    async with phone.session.post(f"{serving.url}/v1/direct", data=frame, headers=OCTETS) as response:
        assert response.status == 200
        return await response.read()


async def test_the_case_says_what_fails_and_the_board_does_not(tmp_path: Path) -> None:
    """A SIM that is refused, and the carriers as they are: for the case manager, not for operators."""
    async with centre(tmp_path, HAND) as (serving, phone):
        core = core_at(tmp_path)
        manager = signed_in(core, access.CASE_MANAGER, zone="5340", login="other")
        case_id = cases.open_case(core, manager, FILE)
        granted(core, manager, case_id, HAND)
        button = Button(HAND)
        frame = button.frame(direct.CHECKIN, errors=direct.SIM << 4, signal=-71)
        button.open(frame, await post(serving, phone, frame))
        pages = {}
        for role, path in ((access.CASE_MANAGER, f"/console/cases/{case_id}"), (access.OPERATOR, "/console")):
            await phone.ask("GET", serving.entrance(role, zone="5340").removeprefix(serving.url))
            _, pages[role] = await phone.ask("GET", path)
        assert "The SIM card no longer works" in pages[access.CASE_MANAGER]
        assert "-71 dBm" in pages[access.CASE_MANAGER]
        await phone.ask("GET", serving.entrance(access.CASE_MANAGER, zone="5340").removeprefix(serving.url))
        _, listed = await phone.ask("GET", "/console/cases")
        assert "The SIM card no longer works" in listed
        assert "SIM" not in pages[access.OPERATOR]


async def test_junk_keeps_no_press_out(tmp_path: Path) -> None:
    """Beside a stream of datagrams that are of no button, or bear an overheard name, a press is received."""
    async with centre(tmp_path, HAND, direct_port=0) as (serving, _):
        (junk, _junk), (transport, datagrams) = await socket_to(serving), await socket_to(serving)
        button = Button(HAND)
        frame = button.frame()
        is_over = asyncio.Event()

        async def flood() -> None:
            while not is_over.is_set():
                for _ in range(50):
                    junk.sendto(os.urandom(128))
                    junk.sendto(frame[:8] + os.urandom(120))
                await asyncio.sleep(0)

        flooding = asyncio.create_task(flood())
        answered = b""
        while not answered:  # as a button does: what was lost is sent again
            transport.sendto(frame)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    answered = await datagrams.came.get()
        is_over.set()
        await flooding
        assert button.open(frame, answered).receipt[0] == receipts.RECEIVED
        junk.close()
        transport.close()


async def test_after_a_restore_every_button_is_answered(tmp_path: Path) -> None:
    """Out of yesterday's backup: buttons that are a day further are heard at their first frame."""
    hands = [Hand(n) for n in range(1, 9)]
    buttons = [Button(hand) for hand in hands]
    home, copy = ("--home", str(tmp_path / "home")), str(tmp_path / "yesterday.sqlite")
    async with centre(tmp_path / "home", *hands) as (serving, phone):
        for button in buttons[:4]:
            await post(serving, phone, button.frame(direct.CHECKIN))
        assert await asyncio.to_thread(main, ["backup", copy, *home]) == 0
    assert main(["restore", copy, *home]) == 0
    async with centre(tmp_path / "home") as (serving, phone):
        for number, button in enumerate(buttons):
            frame = button.next_session(40 + 30 * number).frame()
            assert button.open(frame, await post(serving, phone, frame)).receipt[0] == receipts.RECEIVED


async def said(serving: Serving, head: str, body: bytes, *, closes: bool = True) -> bytes:
    """Send a request as it is; return all that comes back."""
    context = ssl.create_default_context(cadata=serving.authority.pem.decode())
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # all that a button speaks
    host, port = serving.url.removeprefix("https://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
    close = "Connection: close\r\n" if closes else ""
    writer.write(f"{head}\r\nHost: a\r\n{close}".encode() + body)
    async with asyncio.timeout(30):
        answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.slow
async def test_http_that_is_not_as_written_is_refused(tmp_path: Path) -> None:
    """Another type, chunks, no length, half a frame and silence, another method: nothing is stored."""
    async with centre(tmp_path, HAND) as (serving, _):
        frame = Button(HAND).frame()
        of_frame = b"Content-Type: application/octet-stream\r\nContent-Length: 128\r\n\r\n"
        chunked = b"Content-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n80\r\n"
        post = "POST /v1/direct HTTP/1.1"
        for head, body, status in (
            (post, of_frame.replace(b"octet-stream", b"json") + frame, b"400"),
            (post, chunked + frame + b"\r\n0\r\n\r\n", b"400"),
            (post, b"Content-Type: application/octet-stream\r\n\r\n", b"400"),
            (post, of_frame.replace(b"128", b"127") + frame[:127], b"400"),
            (post, of_frame + bytes(128), b"400"),
            (post, of_frame + frame[:127], b"408"),
            ("GET /v1/direct HTTP/1.1", b"\r\n", b"405"),
            ("POST /v1/direct HTTP/1.0", of_frame + frame, b"200"),  # an old one is understood
        ):
            assert (await said(serving, head, body)).split(maxsplit=2)[1] == status, body


async def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    """A sentence with the address, the port and why; and nothing is left open."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(
            CannotServe, match=f"cannot listen on 127.0.0.1 UDP port {port}: address already in use"
        ):
            async with running(Home(tmp_path), log=Lines(), settings=Settings(port=0, direct_port=port)):
                raise AssertionError("it serves")
