"""What the integration tests share: programs as processes, a box of boards, a board's flash."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import littlefs
from littlefs import LittleFS

from centre.work import buttons
from firmware.board.config import SETTINGS
from firmware.board.memory import sealed
from firmware.flash.build import BLOCK_BYTES, BLOCK_COUNT
from sim.board.board import Board, BoardEvent, erase_flash
from sim.radio.air import Air
from tests.unit.centre.parts import FIX, Hand, Phone, core_at, entrance, phone_of

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
IDENTITY = ("identity.json", "config.json", "press.bin", "alive.bin")
AGE_IS_LOWER_BOUND = 0x40  # of the stage in press.bin (firmware/board/memory.py)
Watch = Callable[[str], object]


def amr_centre(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "centre", *map(str, arguments)]


async def run(*arguments: object) -> tuple[int, str, str]:
    """Run one command in a process of its own; return its exit code, stdout and stderr."""
    pipe = subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *amr_centre(*arguments), cwd=ROOT, stdout=pipe, stderr=pipe
    )
    out, error = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), error.decode()


class Served:
    def __init__(self, process: asyncio.subprocess.Process, console_url: str) -> None:
        self.process, self.console_url = process, console_url

    async def next_line(self) -> dict[str, Any]:
        """Return the next line of its log."""
        assert self.process.stdout is not None
        line: dict[str, Any] = json.loads(await self.process.stdout.readline())
        return line


@asynccontextmanager
async def served(
    home: Path, *options: object, files_max: int | None = None
) -> AsyncIterator[tuple[Served, Phone]]:
    """Serve a centre as a process, with so many open files if it says so, and give a phone."""
    limited = [] if files_max is None else ["sh", "-c", f'ulimit -n {files_max}; exec "$@"', "sh"]
    process = await asyncio.create_subprocess_exec(
        *limited,
        *amr_centre("serve", "--home", home, "--port", 0, "--json-log", *options),
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        line = json.loads(await process.stdout.readline())
        assert line["what"] == "listening"
        ca_pem = Path(line["ca"]).read_text()
        async with phone_of(line["url"], ca_pem) as phone:
            yield Served(process, entrance(home, line["url"])), phone
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def imported(home: Path, *hands: Hand) -> None:
    """Import buttons beside the process that may be serving this home."""
    core = core_at(home)
    buttons.import_buttons(core, (hand.registered for hand in hands))
    core.store.close()


async def next_board(events: AsyncIterator[tuple[str, str, Any]]) -> Any:
    """Return the next board; on a busy machine the stream says meanwhile that it is alive."""
    async for _, event, data in events:
        if event == "board":
            return data
    raise AssertionError("the stream has ended")


@dataclass
class Ran:
    code: int
    out: str
    err: str


class Box:
    """Boards with erased flash, each at a port, and a laptop with `amr-button`."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.registry_file = home / "amr-button" / "registry.jsonl"
        self.air = Air()
        self.boards: list[Board] = []
        self.lines: dict[str, list[str]] = {}
        self.seen: list[BoardEvent] = []
        self.presses: dict[str, tuple[int, int, int]] = {}  # device_id -> counter, event, stage, where not 0
        self._said = asyncio.Event()

    async def board(self, *, zephyr: bool = False, flash: bytes | None = None) -> Board:
        name = f"board{len(self.boards)}"
        image = self.home / name
        erase_flash(image)
        if flash:
            (image / "flash.img").write_bytes(flash)
        board = Board(self.air, name, image, zephyr=zephyr, on_event=self._see)
        self.boards.append(board)
        board.plug()
        board.set_adc(SETTINGS["battery_gpio"][0], 1_900_000)  # 3.8 V behind the divider
        await board.power_on()
        return board

    async def button(
        self, *arguments: str, board: Board | None = None, watch: Watch = len, typed: str = ""
    ) -> Ran:
        """Run `amr-button` in the box's folder."""
        port = ["--port", str(board.port)] if board else []
        return await self.run("amr-button", *arguments, *port, watch=watch, typed=typed)

    async def run(self, program: str, *arguments: str, watch: Watch = len, typed: str = "") -> Ran:
        """Run one of our commands; `watch` sees each line that it prints, stdin has what is `typed`."""
        process = await asyncio.create_subprocess_exec(
            BIN / program,
            *arguments,
            cwd=self.home,
            env=os.environ | {"XDG_DATA_HOME": str(self.home)},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdin.write(typed.encode())
        process.stdin.close()
        out = ""
        async for line in process.stdout:
            out += line.decode()
            watch(line.decode())
            if b"press RESET" in line:  # a sleeping board, at a port without the line that resets it
                await next(board for board in self.boards if str(board.port) in line.decode()).reset()
        err = await process.stderr.read()
        return Ran(await process.wait(), out, err.decode())

    async def done(self, *arguments: str, board: Board | None = None, typed: str = "") -> str:
        """Run `amr-button`, which must succeed; return what it prints."""
        ran = await self.button(*arguments, board=board, typed=typed)
        assert ran.code == 0, ran
        assert not ran.err
        return ran.out

    async def refused(self, *arguments: str, board: Board | None = None, typed: str = "") -> str:
        """Run `amr-button`, which must fail with one sentence; return that."""
        ran = await self.button(*arguments, board=board, typed=typed)
        assert ran.code == 1, ran
        (sentence,) = ran.err.splitlines()
        return sentence

    async def says(self, board: Board, words: str) -> str:
        """Return the next line that the board prints which begins with these words."""
        async with asyncio.timeout(60):
            while True:
                lines = self.lines.get(board.name, [])
                while lines:
                    line = lines.pop(0)
                    if line.startswith(words + " "):
                        return line
                self._said.clear()
                await self._said.wait()

    def files(self, board: Board) -> dict[str, bytes]:
        """Return the files on the board's flash at this moment."""
        disk = LittleFS(block_size=BLOCK_BYTES, block_count=BLOCK_COUNT, mount=False)
        disk.context.buffer = bytearray((self.home / board.name / "flash.img").read_bytes())
        disk.mount()
        found = {}
        for folder, _, names in disk.walk("/"):
            for name in names:
                path = f"{folder.rstrip('/')}/{name}"
                with disk.open(path, "rb") as file:
                    found[path.lstrip("/")] = file.read()
        return found

    def put(self, board: Board, name: str, content: bytes) -> None:
        """Write a file to the flash of a board that is off."""
        path = self.home / board.name / "flash.img"
        disk = LittleFS(block_size=BLOCK_BYTES, block_count=BLOCK_COUNT, mount=False)
        disk.context.buffer = bytearray(path.read_bytes())
        disk.mount()
        with disk.open(name, "wb") as file:
            file.write(content)
        path.write_bytes(bytes(disk.context.buffer))

    def registry(self) -> list[dict[str, Any]]:
        path = self.registry_file
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def is_whole(self, board: Board) -> bool:
        """Return whether it is a button of the registry, with all its files; else it must be none at all."""
        files = self.files(board)
        if "identity.json" not in files:
            return False
        identity = json.loads(files["identity.json"])
        (line,) = [line for line in self.registry() if line["device_id"] == identity["device_id"]]
        assert line["root"] == identity["root"]
        assert set(IDENTITY) <= set(files)
        counter, event, stage = self.presses.get(identity["device_id"], (0, 0, 0))
        # A start after a power loss also notes that the age of the press is a lower bound.
        stages = (stage, stage | AGE_IS_LOWER_BOUND)
        assert files["press.bin"] in [sealed(">IBB", counter, event, one) for one in stages]
        return True

    def _see(self, event: BoardEvent) -> None:
        self.seen.append(event)
        if event.kind == "serial":
            self.lines.setdefault(event.board, []).append(event.data["line"])
            self._said.set()


def make_image(directory: Path, main: str, **files: str) -> Path:
    """Write a flash with these programs on it, as the integrator's tool does."""
    fs = littlefs.LittleFS(block_size=4096, block_count=128, disk_version=0x00020000)
    for name, text in {"main": main, **files}.items():
        with fs.open(f"{name}.py", "wb") as file:
            file.write(text.encode())
    (directory / "flash.img").write_bytes(bytes(fs.context.buffer))
    return directory


async def alarm(phone: Phone, counter: int = 1) -> str:
    """Press the first button; return the incident."""
    _, answer = await phone.post(Hand().alarm(counter, fix=FIX))
    return str(answer["incident"])


async def act(
    phone: Phone, incident: str, what: str, form: dict[str, str] | None = None, **headers: str
) -> tuple[int, Any]:
    """Post a form of the console about one incident."""
    headers = {"Origin": phone.url} | headers
    return await phone.ask("POST", f"/console/incidents/{incident}/{what}", headers=headers, data=form)


async def enter(phone: Phone, console_url: str) -> None:
    """Sign in by an address that is good once."""
    async with phone.session.get(console_url) as response:
        assert response.status == 200
        assert str(response.url) == f"{phone.url}/console"  # the key is no longer in the address
