"""Those who only hold connections, by the means they have, keep no alarm out."""

import asyncio
import os
import socket
import ssl
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from centre.platform import tls
from centre.platform.home import Home
from tests.integration.parts import imported, served
from tests.unit.centre.parts import Hand, Phone, Serving, centre, phone_of

HAND = Hand()
WAIT_S = 60  # for what comes in far less; a test that waits so long has failed
HEAD = b"POST /v1/alarms HTTP/1.1\r\nHost: centre\r\n"

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def held(serving: Serving, *, secured: bool = True, sends: bytes = b"") -> Ends:
    """Open a connection that somebody holds."""
    url = urlsplit(serving.url)
    context = ssl.create_default_context(cadata=serving.authority.pem.decode()) if secured else None
    reader, writer = await asyncio.open_connection(url.hostname, url.port, ssl=context)
    writer.write(sends)
    await writer.drain()
    return reader, writer


async def cut(ends: Ends) -> bytes:
    """Return what came on it until the centre has ended it."""
    reader, writer = ends
    async with asyncio.timeout(WAIT_S):
        try:
            return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.transport.abort()


async def is_taken(serving: Serving, phone: Phone, counter: int) -> bool:
    """Send an alarm on a connection of its own, as a phone that comes from nowhere."""
    async with asyncio.timeout(WAIT_S), phone_of(serving.url, serving.authority.pem.decode()) as new:
        new.headers = phone.headers
        status, _ = await new.post(HAND.alarm(counter))
        return status == 201


async def test_an_alarm_comes_in_however_many_hold_a_connection(tmp_path: Path) -> None:
    """More idle ones than may be held: the oldest end, the alarm is taken."""
    async with centre(tmp_path, HAND, connections=8) as (serving, phone), AsyncExitStack() as ended:
        await phone.enrol(HAND)
        ends = [await held(serving) for _ in range(24)]
        for _, writer in ends:
            ended.callback(writer.transport.abort)
        assert await is_taken(serving, phone, 1)
        assert [await cut(old) for old in ends[:16]] == [b""] * 16
        assert not ends[-1][0].at_eof()


async def test_who_never_begins_a_handshake_counts_from_the_first_moment(tmp_path: Path) -> None:
    """Of those the oldest end first, beyond a quarter of all; connections that are established stay."""
    async with centre(tmp_path, HAND, connections=8) as (serving, phone), AsyncExitStack() as ended:
        ended.push_async_callback(asyncio.sleep, 0)  # in which aborted ones end
        await phone.enrol(HAND)
        established = [await held(serving) for _ in range(4)]
        silent = [await held(serving, secured=False) for _ in range(24)]
        for _, writer in established + silent:
            ended.callback(writer.transport.abort)
        assert await is_taken(serving, phone, 1)
        assert [await cut(old) for old in silent[:20]] == [b""] * 20
        assert not any(reader.at_eof() for reader, _ in established)


async def test_alarms_come_in_beside_idle_connections_and_a_flood_of_unfinished_handshakes(
    tmp_path: Path,
) -> None:
    """In a process that may open few files; which says so, and to how many connections that leads."""
    imported(tmp_path, HAND)
    async with (
        served(tmp_path, "--connections", 1000, files_max=128) as (process, phone),
        AsyncExitStack() as ended,
    ):
        ended.push_async_callback(asyncio.sleep, 0)
        line = await process.next_line()
        assert (line["what"], line["reason"]) == ("trouble", "open_files")
        assert "at most 64 connections are held, not 1000" in line["text"]
        await phone.enrol(HAND)
        serving = Serving(phone.url, tls.development(Home(tmp_path)), (), tmp_path)
        ends = [await held(serving) for _ in range(80)]
        for counter in range(1, 21):
            for sends in (b"", b"\x16\x03\x01", b"", b"\x16") * 3:
                ends.append(await held(serving, secured=False, sends=sends))
            assert await is_taken(serving, phone, counter)
        for _, writer in ends:
            ended.callback(writer.transport.abort)


async def test_a_head_that_never_ends_is_cut(tmp_path: Path) -> None:
    """However slowly its bytes come; alarms are taken meanwhile."""
    async with centre(tmp_path, HAND, idle_s=1.0) as (serving, phone):
        await phone.enrol(HAND)
        slow = [await held(serving, sends=HEAD + b"X-Slow: ") for _ in range(30)]

        async def drip(writer: asyncio.StreamWriter) -> None:
            while not writer.is_closing():
                writer.write(b"x")
                await asyncio.sleep(0.05)

        drips = [asyncio.create_task(drip(writer)) for _, writer in slow]
        assert await is_taken(serving, phone, 1)
        assert await asyncio.gather(*(cut(ends) for ends in slow)) == [b""] * 30
        await asyncio.gather(*drips)


async def test_a_connection_that_asks_for_nothing_more_is_cut(tmp_path: Path) -> None:
    """After an answer as before one."""
    async with centre(tmp_path, HAND, idle_s=0.3) as (serving, _):
        answered = await held(serving, sends=b"GET /ca.pem HTTP/1.1\r\nHost: centre\r\n\r\n")
        silent = await held(serving)
        assert (await cut(answered)).startswith(b"HTTP/1.1 200")
        assert await cut(silent) == b""


async def test_a_handshake_that_is_never_finished_is_cut(tmp_path: Path) -> None:
    """Nothing is sent, or the beginning of a record; alarms are taken meanwhile."""
    async with centre(tmp_path, HAND, handshake_s=1.0) as (serving, phone):
        await phone.enrol(HAND)
        begun = [await held(serving, secured=False, sends=sent) for sent in (b"", b"\x16\x03\x01") * 15]
        assert await is_taken(serving, phone, 1)
        assert await asyncio.gather(*(cut(ends) for ends in begun)) == [b""] * 30


def bids_no_goodbye(serving: Serving) -> ssl.SSLSocket:
    """Return a connection that has its answer, and the centre's goodbye."""
    url = urlsplit(serving.url)
    context = ssl.create_default_context(cadata=serving.authority.pem.decode())
    plain = socket.create_connection((str(url.hostname), url.port or 0), WAIT_S)
    peer = context.wrap_socket(plain, server_hostname=url.hostname)
    peer.sendall(b"GET /ca.pem HTTP/1.1\r\nHost: centre\r\nConnection: close\r\n\r\n")
    while peer.recv(65536):
        pass
    return peer


async def test_a_centre_that_ends_waits_for_nobodys_goodbye(tmp_path: Path) -> None:
    """What it has accepted is closed when it has ended."""
    async with centre(tmp_path) as (serving, _):
        peer = await asyncio.to_thread(bids_no_goodbye, serving)
    with peer, socket.socket(fileno=os.dup(peer.fileno())) as below:
        below.settimeout(WAIT_S)
        assert below.recv(1) == b""


async def test_a_head_that_is_too_large_is_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One line, or many; the connection ends, and no trace of it fills a disk."""
    with caplog.at_level("ERROR"):
        await _large(tmp_path)
    assert not caplog.records


async def _large(tmp_path: Path) -> None:
    async with centre(tmp_path, HAND) as (serving, phone):
        await phone.enrol(HAND)
        for lines in (b"X-Large: " + b"x" * 20_000, b"\r\n".join(b"X-%d: x" % n for n in range(500))):
            answer = await cut(await held(serving, sends=HEAD + lines + b"\r\n\r\n"))
            assert answer == b"" or b" 400 " in answer[:16]  # TCP drops an answer where more was on its way
        assert await is_taken(serving, phone, 1)


async def test_requests_sent_without_waiting_for_answers_hold_up_nobody_else(tmp_path: Path) -> None:
    """Thousands on one connection that reads none of the answers."""
    async with centre(tmp_path, HAND) as (serving, phone):
        await phone.enrol(HAND)
        _, writer = await held(serving)
        writer.write((HEAD + b"Content-Length: 2\r\n\r\n{}") * 5_000)
        assert await is_taken(serving, phone, 1)
        writer.transport.abort()
