"""The serial port of a board: a pseudo-terminal that `mpremote` and terminal programs open.

The interpreter brings its prompt, raw REPL and raw paste; the UART around it brings what a board has
beyond that: Ctrl-C that interrupts a program, line ends, a cable that can be pulled.
"""

import asyncio
import contextlib
import ctypes
import functools
import itertools
import os
import re
import select
import signal
import tempfile
import tty
from collections.abc import Callable
from pathlib import Path

_LOOK_S = 0.02  # how soon a client that opens the port is noticed
_UNREAD_S = 1.0  # a client that reads nothing for so long loses what comes
_TYPED_BYTES_MAX = 4096
_STOP_S = 0.0002
_STRIKE_S = 0.001
_STRIKES = 100  # then, a program that never waits is interrupted where it is
# x86-64, the only Linux for which there is an interpreter: read; poll select nanosleep restart_syscall
# clock_nanosleep pselect6 ppoll epoll_wait
_READ, _WAITS = 0, frozenset({7, 23, 35, 219, 230, 270, 271, 232})
_LIBC = ctypes.CDLL(None)
_CTRL_A, _CTRL_C = b"\x01", b"\x03"
_RAW, _FRIENDLY = b"raw REPL; CTRL-B to exit\r\n", b'Type "help()" for more information.\r\n'


class Port:
    """A pseudo-terminal. Nothing is kept for a client that is not there."""

    def __init__(self, typed: Callable[[bytes], None]) -> None:
        self._typed = typed
        self._master, slave = os.openpty()
        tty.setraw(slave)
        self.device = os.ttyname(slave)
        os.close(slave)
        os.set_blocking(self._master, False)
        self._poll = select.poll()
        self._poll.register(self._master, select.POLLIN)
        self._looks: asyncio.TimerHandle | None = None
        self._look()

    def close(self) -> None:
        if self._looks:
            self._looks.cancel()
        asyncio.get_running_loop().remove_reader(self._master)
        asyncio.get_running_loop().remove_writer(self._master)
        os.close(self._master)
        self._master = -1

    @property
    def _is_open(self) -> bool:
        """Whether a client has it open, or has left something to read."""
        events = dict(self._poll.poll(0)).get(self._master, 0) if self._master >= 0 else select.POLLHUP
        return bool(events & select.POLLIN) or not events & select.POLLHUP

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        if self._is_open:
            loop.add_reader(self._master, self._read)
        else:
            self._looks = loop.call_later(_LOOK_S, self._look)

    def _read(self) -> None:
        try:
            data = os.read(self._master, 1024)
        except BlockingIOError:
            return
        except OSError:  # the client has closed it
            asyncio.get_running_loop().remove_reader(self._master)
            self._look()
            return
        self._typed(data)

    async def send(self, data: bytes) -> None:
        while data and self._is_open:
            try:
                data = data[os.write(self._master, data) :]
            except BlockingIOError:
                if not await self._can_write():
                    return
            except OSError:
                return

    async def _can_write(self) -> bool:
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_writer(self._master, ready.set)
        try:
            await asyncio.wait_for(ready.wait(), _UNREAD_S)
        except TimeoutError:
            return False
        finally:
            if self._master >= 0:
                loop.remove_writer(self._master)
        return True


_numbers = itertools.count()


@functools.cache
def _ports() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(prefix="amr-ports-")


class Uart:
    """What is between a port and the interpreter. It outlives both."""

    def __init__(self, name: str) -> None:
        self._link = Path(_ports().name) / f"{name}-{next(_numbers)}"
        self._port: Port | None = None
        self.stdin = self._keys = -1  # the two ends of a pipe, while the board is on
        self._last = b""  # of what the interpreter has written
        self.raw = False  # whether the prompt is a raw REPL, which a soft reset stays in
        self.pid: int | None = None  # of the interpreter, once it has booted
        self._strike: asyncio.Task[None] | None = None
        self._holds = False
        self._later = b""

    # ---- the cable

    @property
    def path(self) -> Path | None:
        """What a client opens: a link, so that the name stays when the cable is plugged in again."""
        return self._link if self._port else None

    def plug(self) -> Path:
        if not self._port:
            self._port = Port(self._typed)
            self._link.symlink_to(self._port.device)
        return self._link

    def unplug(self) -> None:
        if self._port:
            self._link.unlink()
            self._port.close()
            self._port = None

    # ---- a program's life

    def start(self, *, soft: bool) -> None:
        """A program is about to start. After a soft reset, what was typed meanwhile still counts."""
        if not soft or self._keys < 0:
            self.end()
            self.stdin, self._keys = os.pipe()
            os.set_blocking(self._keys, False)
        if self.raw:
            self._type(_CTRL_A)

    def end(self) -> None:
        """The board is off."""
        self.raw = False
        if self._strike:
            self._strike.cancel()
        if self._keys >= 0:
            os.close(self.stdin)
            os.close(self._keys)
        self.stdin = self._keys = -1

    async def said(self, chunk: bytes) -> None:
        """The interpreter has written `chunk`."""
        heard = self._last + chunk
        raw, friendly = heard.rfind(_RAW), heard.rfind(_FRIENDLY)
        if raw != friendly:
            self.raw = raw > friendly
        # The line ends that a board makes of what programs print.
        before = b"\r" if self._last.endswith(b"\r") else b""
        cooked = re.sub(rb"(?<!\r)\n", b"\r\n", before + chunk)[len(before) :]
        self._last = heard[-len(_FRIENDLY) :]
        if self._port:
            await self._port.send(cooked)

    # ---- keys

    def _typed(self, data: bytes) -> None:
        for part in re.split(b"(\x03)", data):
            if part == _CTRL_C and self.interrupt():
                continue
            if self._strike:
                self._later = (self._later + part)[:_TYPED_BYTES_MAX]  # not for the program that ends
            else:
                self._type(part)

    def _type(self, data: bytes) -> None:
        with contextlib.suppress(BlockingIOError):  # nobody reads: as on a board, the rest is lost
            if self._keys >= 0:
                os.write(self._keys, data)

    # ---- Ctrl-C

    def interrupt(self) -> bool:
        """KeyboardInterrupt in the running program; False where it takes none, as at the prompt."""
        if self.pid is None or not _takes_interrupts(self.pid):
            return False
        if self._strike is None:
            self._strike = asyncio.get_running_loop().create_task(self._strike_soon(self.pid))
        return True

    async def hold(self) -> None:
        """Called before a request of the program is answered: while it waits, it can be interrupted."""
        if self._strike:
            self._holds = True
            await asyncio.wait((self._strike,))
            self._holds = False

    async def _strike_soon(self, pid: int) -> None:
        """MicroPython on unix raises KeyboardInterrupt wherever its SIGINT arrives, in the middle of the
        allocator, too. So it is stopped, looked at, and interrupted where it waits for something."""
        try:
            for tries_left in reversed(range(_STRIKES)):
                with contextlib.suppress(OSError):  # it has ended
                    if self.pid != pid or await self._struck(pid, anywhere=not tries_left):
                        return
                await asyncio.sleep(_STRIKE_S)
        finally:
            self._strike = None
            self._type(self._later)
            self._later = b""

    async def _struck(self, pid: int, *, anywhere: bool) -> bool:
        os.kill(pid, signal.SIGSTOP)
        try:
            while _state(pid) not in "TZX":  # noqa: ASYNC110  # the kernel tells nobody
                await asyncio.sleep(_STOP_S)
            if not _takes_interrupts(pid):
                return True  # its program has just ended
            if anywhere or self._waits(pid):
                _LIBC.tgkill(pid, pid, signal.SIGINT)
                return True
            return False
        finally:
            os.kill(pid, signal.SIGCONT)

    def _waits(self, pid: int) -> bool:
        """Whether it sleeps, polls, reads its stdin, or waits for an answer that we hold."""
        call, *arguments = Path(f"/proc/{pid}/syscall").read_text().split()
        if int(call) == _READ:
            return self._holds or int(arguments[0], 16) == 0
        return int(call) in _WAITS


def _takes_interrupts(pid: int) -> bool:
    """Whether MicroPython handles SIGINT at this moment: see its mp_hal_set_interrupt_char."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    caught = next((line for line in status.splitlines() if line.startswith("SigCgt")), "SigCgt 0")
    return bool(int(caught.split()[1], 16) & 1 << signal.SIGINT - 1)


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
