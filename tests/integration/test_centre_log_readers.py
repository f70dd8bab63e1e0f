"""A reader of the log that stands still holds up no alarm, and does not keep the centre from ending."""

import asyncio
import fcntl
import json
import os
import pty
import signal
import socket
import ssl
import termios
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TextIO

import pytest

from centre.platform import tls
from centre.platform.home import Home
from tests.integration.parts import ROOT, amr_centre, imported
from tests.unit.centre.parts import Hand, Phone, phone_of

HAND = Hand()
PRESSES = 60
PIPE_BYTES = 4096  # the least that Linux gives a pipe
PAUSE_S = 0.1
WAIT_S = 60


@asynccontextmanager
async def unread(home: Path, output: int, *options: str) -> AsyncIterator[Phone]:
    """Start a centre that writes where nobody reads; give a phone that has enrolled; end it by SIGTERM."""
    imported(home, HAND)
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *amr_centre("serve", "--home", home, "--port", port, *options), cwd=ROOT, stdout=output, stderr=output
    )
    try:
        ca_pem = tls.development(Home(home)).pem.decode()
        await until_it_serves(port, ca_pem)
        async with phone_of(f"https://127.0.0.1:{port}", ca_pem) as phone:
            await phone.enrol(HAND)
            yield phone
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(WAIT_S):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def free_port() -> int:
    """Return a port that nobody has: where nothing of the log can be read, nobody says which it is."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


async def until_it_serves(port: int, ca_pem: str) -> None:
    context = ssl.create_default_context(cadata=ca_pem)
    async with asyncio.timeout(WAIT_S):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
            except OSError:
                await asyncio.sleep(PAUSE_S)
            else:
                writer.close()
                return


async def all_are_answered(phone: Phone) -> None:
    """More presses than the log's reader has room for, and refusals, whose lines go the same way."""
    for counter in range(1, PRESSES + 1):
        async with asyncio.timeout(WAIT_S):
            assert (await phone.post(HAND.alarm(counter)))[0] == 201
    assert (await phone.ask("GET", "/ca.pem"))[0] == 200


@contextmanager
def pipe() -> Iterator[tuple[TextIO, TextIO]]:
    """Give a small pipe: its reader, its writer."""
    reader, writer = os.pipe()
    with open(reader) as lines, open(writer, "w") as held:
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        yield lines, held


@contextmanager
def full_pipe() -> Iterator[int]:
    """Give a pipe that has no room, and that nobody reads: a log daemon that stands still."""
    with pipe() as (_, held):
        writer = held.fileno()
        os.set_blocking(writer, False)
        with suppress(BlockingIOError):
            while True:
                os.write(writer, b"\n")
        os.set_blocking(writer, True)
        yield writer


@contextmanager
def stopped_terminal() -> Iterator[int]:
    """Give a terminal in which somebody has pressed Ctrl-S."""
    controller, terminal = pty.openpty()
    with open(controller, "rb+", buffering=0), open(terminal, "rb+", buffering=0):
        termios.tcflow(terminal, termios.TCOOFF)
        yield terminal


@pytest.mark.parametrize("output", [full_pipe, stopped_terminal])
@pytest.mark.parametrize("options", [(), ("--json-log",)], ids=["stderr", "stdout"])
async def test_whoever_does_not_read_the_log_holds_up_no_alarm(
    tmp_path: Path, output: Callable[[], AbstractContextManager[int]], options: tuple[str, ...]
) -> None:
    """Presses are answered, and SIGTERM ends the centre with 0."""
    with output() as descriptor:
        async with unread(tmp_path, descriptor, *options) as phone:
            await all_are_answered(phone)


async def test_whoever_reads_again_finds_what_was_logged_meanwhile(tmp_path: Path) -> None:
    """Each press that was answered has its line."""
    with pipe() as (lines, held):
        async with unread(tmp_path, held.fileno(), "--json-log") as phone:
            await all_are_answered(phone)
            held.close()  # then the centre's end is the end of what is read
            reading = asyncio.create_task(asyncio.to_thread(lines.readlines))
        written = [json.loads(line) for line in await reading]
    assert [line["counter"] for line in written if line["what"] == "received"] == list(range(1, PRESSES + 1))
