"""A board's serial port: the real `mpremote` at the real interpreter, and what pulls them apart."""

import asyncio
import hashlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import serial

from firmware.board.config import SETTINGS
from firmware.flash.provision import provision
from sim.board.board import Board, BoardEvent, erase_flash
from sim.radio.air import Air
from tests.integration.parts import make_image

MOTOR = 4
BUTTON = SETTINGS["button_gpio"][0]


class AtBoard:
    """A board with a cable, the one who has it in hand, and what was seen."""

    def __init__(self, image: Path) -> None:
        self.seen: list[BoardEvent] = []
        self._news = asyncio.Event()
        self.board = Board(Air(), "button", image, on_event=self._see)
        self.port = self.board.plug()

    def _see(self, event: BoardEvent) -> None:
        self.seen.append(event)
        self._news.set()

    def kinds(self) -> list[str]:
        return [event.kind for event in self.seen]

    def lines(self) -> list[str]:
        return [event.data["line"] for event in self.seen if event.kind == "serial"]

    async def until(self, happened: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not happened():
                self._news.clear()
                await self._news.wait()

    async def start_mpremote(self, *words: str | Path) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "mpremote", "connect", str(self.port), *map(str, words)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )

    async def mpremote(self, *words: str | Path) -> str:
        """What it prints; it has to succeed."""
        process = await self.start_mpremote(*words)
        said = (await process.communicate())[0].decode()
        assert process.returncode == 0, said + "\n".join(self.lines())
        return said.replace("\r", "")

    async def key(self, keys: bytes, answer: bytes) -> bytes:
        """Type `keys` as a terminal program does, and read until `answer`."""

        def talk() -> bytes:
            with serial.Serial(str(self.port), timeout=60) as port:
                port.write(keys)
                return bytes(port.read_until(answer))

        return await asyncio.to_thread(talk)


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Call it with programs, or with nothing for an erased flash: a board that is on."""
    made: list[AtBoard] = []

    async def on(main: str | None = None, **files: str) -> AtBoard:
        if main is None:
            erase_flash(tmp_path)
        elif main:
            make_image(tmp_path, main, **files)
        made.append(AtBoard(tmp_path))
        await made[-1].board.power_on()
        return made[-1]

    yield on
    for one in made:
        await one.board.power_off()
        one.board.unplug()


async def test_an_erased_board_is_formatted_and_answers(at: Callable[..., Any]) -> None:
    """MicroPython formats the flash at its first start; names live until the next soft reset."""
    board = await at()
    assert await board.mpremote("exec", "import machine; x = 5; print(machine.reset_cause())") == "5\n"
    assert await board.mpremote("resume", "exec", "print(x, __name__)") == "5 __main__\n"
    assert "boot.py" in await board.mpremote("fs", "ls")


async def test_a_file_comes_back_with_the_same_hash(at: Callable[..., Any], tmp_path: Path) -> None:
    board = await at()
    ours, back = tmp_path / "ours.bin", tmp_path / "back.bin"
    ours.write_bytes(bytes(range(256)) * 24 + b"\r\n\x03\x04\n")
    await board.mpremote("fs", "mkdir", "d", "+", "fs", "cp", ours, ":d/ours.bin")
    told = await board.mpremote("fs", "sha256sum", ":d/ours.bin", "+", "fs", "cp", ":d/ours.bin", back)
    assert hashlib.sha256(ours.read_bytes()).hexdigest() in told
    assert back.read_bytes() == ours.read_bytes()
    await board.board.power_off()
    await board.board.power_on()
    assert "ours.bin" in await board.mpremote("fs", "ls", ":d")
    await board.mpremote("fs", "rm", ":d/ours.bin")
    assert "ours.bin" not in await board.mpremote("fs", "ls", ":d")


async def test_a_soft_reset_runs_the_programs_again(at: Callable[..., Any]) -> None:
    """From the prompt boot.py and main.py, from raw REPL boot.py alone, as on a board; memory, pins stay."""
    board = await at(
        "import machine\nm = machine.RTC().memory()\nmachine.RTC().memory(m + b'x')\n"
        "print('main', machine.reset_cause(), m)\n"
        f"if not m: machine.Pin({MOTOR}, machine.Pin.OUT, value=1)\n",
        boot="print('boot')",
    )
    await board.until(lambda: "main 1 b''" in board.lines())
    said = await board.key(b"\r\x04", b"main 5 b'x'\r\n")
    assert b"MPY: soft reboot\r\nboot\r\nmain 5" in said
    await board.mpremote("soft-reset")
    assert board.lines().count("boot") == 3
    assert [line for line in board.lines() if line.startswith("main")] == ["main 1 b''", "main 5 b'x'"]
    moved = [event.data["level"] for event in board.seen if event.kind == "pin"]
    assert moved == [1]
    await board.mpremote("reset")
    await board.until(lambda: "main 2 b'xx'" in board.lines())


@pytest.mark.parametrize(
    "busy",
    ["while True: pass", "import time\nwhile True: time.sleep(9)", "import sys\nsys.stdin.read(99)"],
    ids=["computes", "sleeps", "reads"],
)
async def test_ctrl_c_ends_a_program(at: Callable[..., Any], busy: str) -> None:
    """Whatever it does; its names are there at the prompt."""
    board = await at("n = 7\n" + busy)
    assert await board.mpremote("resume", "exec", "print(n)") == "7\n"
    assert any(line.startswith("KeyboardInterrupt") for line in board.lines())


async def test_ctrl_c_reaches_the_prompt_from_our_firmware(at: Callable[..., Any], tmp_path: Path) -> None:
    """At whatever moment after its start; its flash stays whole, and the button works again after a reset."""
    provision(
        tmp_path,
        registry=tmp_path / "registry",
        board="esp32",
        centre=None,
        ca=None,
        again=False,
        settings={},
    )
    board = await at("")
    board.board.set_pin(BUTTON, 0)  # a press keeps it awake for as long as mpremote takes to come
    files = await board.mpremote("fs", "sha256sum", ":identity.json")
    for late_s in (0.0, 0.01, 0.05, 0.3, 0.7):
        await board.board.reset()
        board.seen.clear()
        await board.until(lambda: any(line.startswith("boot ") for line in board.lines()))
        await asyncio.sleep(late_s)
        assert await board.mpremote("fs", "sha256sum", ":identity.json") == files
        assert "sleep" not in board.kinds()
    await board.board.reset()
    await board.until(lambda: any(line.startswith("advert ") for line in board.lines()))


async def test_a_sleeping_board_is_silent_until_it_is_reset(at: Callable[..., Any]) -> None:
    """The port stays through deep sleep, and what was typed into it is gone."""
    board = await at("import machine\nif machine.reset_cause() != 2: machine.deepsleep()\nprint('up')")
    await board.until(lambda: board.board.asleep)

    def ask() -> bytes:
        with serial.Serial(str(board.port), timeout=0.3) as port:
            port.write(b"\r\x03\r\x01")
            return bytes(port.read(100))

    assert await asyncio.to_thread(ask) == b""
    await board.board.reset()
    await board.until(lambda: "up" in board.lines())
    assert await board.mpremote("resume", "exec", "print(1)") == "1\n"


async def test_a_wake_goes_on_at_the_same_port(at: Callable[..., Any]) -> None:
    """Whoever has it open hears what the board says next."""
    board = await at(
        "import esp32, machine\nif machine.reset_cause() != 4:\n"
        f" esp32.wake_on_ext0(machine.Pin({BUTTON}, machine.Pin.IN, machine.Pin.PULL_UP), 0)\n"
        " machine.deepsleep()\nprint('woken')"
    )
    await board.until(lambda: board.board.asleep)
    loop = asyncio.get_running_loop()

    def listen() -> bytes:
        with serial.Serial(str(board.port), timeout=60) as port:
            loop.call_soon_threadsafe(board.board.set_pin, BUTTON, 0)
            return bytes(port.read_until(b"woken\r\n"))

    assert (await asyncio.to_thread(listen)).endswith(b"woken\r\n")


async def test_a_pulled_cable_is_an_error_to_the_client(at: Callable[..., Any], tmp_path: Path) -> None:
    """In the middle of a copy; the board's other files are intact, and the port comes back by its name."""
    board = await at()
    (tmp_path / "kept").write_bytes(b"kept")
    (tmp_path / "large").write_bytes(os.urandom(200_000))
    await board.mpremote("fs", "cp", tmp_path / "kept", ":kept")
    copying = await board.start_mpremote("fs", "cp", tmp_path / "large", ":large")
    await asyncio.sleep(0.8)
    assert copying.returncode is None
    board.board.unplug()
    assert board.board.port is None
    async with asyncio.timeout(60):
        said = (await copying.communicate())[0]
    assert copying.returncode != 0, said
    assert board.board.is_on
    assert board.board.plug() == board.port
    assert await board.mpremote("fs", "cat", ":kept") == "kept"


async def test_power_fails_while_a_file_is_written(at: Callable[..., Any]) -> None:
    """The port stays and is silent; with power, the board starts from its flash, and forgets the raw REPL."""
    board = await at()
    await board.mpremote("exec", "with open('old', 'w') as file: file.write('old')")  # closed: it is on flash
    await board.board.cut_power_at_write(3)
    await board.key(b"\r\x01open('new', 'w').write('new' * 1000)\x04", b"OK")
    await board.until(lambda: "cut" in board.kinds())
    assert board.board.port
    await board.board.power_on()
    await board.until(lambda: board.kinds().count("main") == 2)
    assert await board.mpremote("fs", "cat", ":old") == "old"


async def test_what_a_program_prints_reaches_a_client_that_is_slow(at: Callable[..., Any]) -> None:
    """Nothing is lost while somebody listens, and nothing kept while nobody does."""
    board = await at("print('before')")
    await board.until(lambda: "before" in board.lines())
    said = await board.key(b"for i in range(1000): print('line', i)\r\r\r", b"line 999\r\n")
    assert b"before" not in said
    assert [line for line in said.split(b"\r\n") if line.startswith(b"line")] == [
        b"line %d" % n for n in range(1000)
    ]


async def test_the_watchdog_goes_on_at_the_prompt(at: Callable[..., Any]) -> None:
    """As on an ESP32, where nothing stops it: neither Ctrl-C nor a soft reset."""
    board = await at("import machine\nif machine.reset_cause() == 1: machine.WDT(timeout=3000)")
    await board.until(lambda: "idle" in board.kinds())
    await board.key(b"\r\x04", b"soft reboot")
    await board.until(lambda: [e.data["cause"] for e in board.seen if e.kind == "reset"] == [5, 3])


@pytest.mark.slow
async def test_amr_sim_board_becomes_a_button_on_a_laptop(tmp_path: Path) -> None:
    """As the guide has it, without hardware: flash, provision and self-test; its battery is measured.

    It sleeps when a command has ended, so the next one asks for RESET: `r`.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sim.app", "board", "--image", tmp_path / "board", "--battery-mv", "3700"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin
    assert process.stdout
    port = (await process.stdout.readline()).decode().strip()
    ready = (sys.executable, "-c", "from firmware.flash.app import console; console()")
    words = ("fleet", "--table", tmp_path / "table.csv", "--registry", tmp_path / "registry.jsonl")
    client = await asyncio.create_subprocess_exec(*ready, *words, "--ports", port)
    assert await client.wait() == 0
    tested = await asyncio.create_subprocess_exec(
        *(*ready, "selftest", "--port", port, "--json", tmp_path / "report.json"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert tested.stdout
    assert b"press RESET" in await tested.stdout.readline()
    process.stdin.write(b"r\n")
    assert (await tested.communicate())[0].endswith(b"it sleeps and answers\n")
    assert tested.returncode == 0
    items = {item["name"]: item for item in json.loads((tmp_path / "report.json").read_text())["items"]}
    assert items["battery"] == {"name": "battery", "result": "pass", "detail": "3700 mV"}
    process.send_signal(signal.SIGINT)
    assert await process.wait() == 0


async def test_amr_sim_board_keeps_one_board(tmp_path: Path) -> None:
    """It prints the port, resets on SIGUSR1, takes pin levels, and ends on Ctrl-C."""
    image = tmp_path / "made"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sim.app", "board", "--image", str(image), "--gpio", "33=0"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin
    assert process.stdout
    port = (await process.stdout.readline()).decode().strip()
    assert await process.stdout.readline() == b"power on=True\n"

    async def pins() -> bytes:
        client = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "mpremote", "connect", port, "exec"),
            "from machine import Pin; print(Pin(33).value(), Pin(32, Pin.IN, Pin.PULL_UP).value())",
            stdout=asyncio.subprocess.PIPE,
        )
        return (await client.communicate())[0]

    assert await pins() == b"0 1\r\n"
    assert await process.stdout.readline() == b"reset cause=5\n"
    process.stdin.write(b"32=0\n")
    assert await pins() == b"0 0\r\n"
    assert await process.stdout.readline() == b"reset cause=5\n"
    process.send_signal(signal.SIGUSR1)
    assert await process.stdout.readline() == b"reset cause=2\n"
    process.send_signal(signal.SIGINT)
    assert await process.wait() == 0
    assert not Path(port).exists()
