"""A board's MicroPython prompt at a serial port. mpremote speaks to it; what goes wrong on the way
becomes a sentence that says what to do.
"""

import binascii
import contextlib
import errno
import os
import re
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any

import serial
from mpremote import transport_serial
from mpremote.transport import TransportError, TransportExecError
from mpremote.transport_serial import SerialTransport

from firmware.board.config import IDENTITY_FILE, PROMPT_MS
from firmware.flash.errors import CommandError
from firmware.flash.port import check_port
from firmware.flash.restart import GONE, restarted

# It prints bytes that it did not expect, as after a reset; what went wrong is said in a sentence.
transport_serial.print = lambda *_, **__: None

_SILENCE_S = 5  # a board that says nothing for so long while we wait is gone
_PROMPT_S = 3  # from Ctrl-C and a soft reset to the prompt
_BOOT_S = 3
_PERSON_S = 20
_CATCH_S = 0.03
_READ_S = 2  # for one byte that mpremote waits for
_RESTART_S = 60  # from a restart to deep sleep: a sign of life takes some seconds
_BACK_S = 5  # for a port that is part of the chip to come back after a restart
_CHUNK_BYTES = 512
_CABLE_ERRORS = (None, errno.EIO, errno.ENXIO, errno.ENODEV, errno.EBADF, errno.ENOTTY)
# littlefs without room for one more name says 36: the name is too long.
_FULL = re.compile(r"OSError: (\[Errno )?(28|36)\b")
# The button's watchdog cannot be stopped, but set anew: this one lets us finish. Collecting early keeps room
# for what is typed.
_CALM = f"""
import gc, os
gc.threshold(4096)
try:
    import machine
    machine.WDT(timeout={PROMPT_MS})
except Exception:
    pass
"""
_HASHES = """
import hashlib, binascii
for n in {names!r}:
    h = hashlib.sha256()
    try:
        f = open(n, 'rb')
    except OSError:
        continue
    while True:
        b = f.read(512)
        if not b:
            break
        h.update(b)
    f.close()
    print(n, binascii.hexlify(h.digest()).decode())
"""
_WALK = """
def w(d):
    for e in os.ilistdir(d):
        p = d + '/' + e[0]
        if e[1] & 0x4000:
            w(p)
        else:
            print(p)
for d in {folders!r}:
    try:
        w(d)
    except OSError:
        pass
"""
_MAKE_FOLDERS = """
for d in {folders!r}:
    try:
        os.mkdir(d)
    except OSError as e:
        if e.errno != 17:
            raise
"""
_REMOVE = """
try:
    f.close()
except Exception:
    pass
for n in {names!r}:
    try:
        os.remove(n)
    except OSError:
        pass
"""
_RENAME = """
for a, b in {pairs!r}:
    os.rename(a, b)
"""


class BoardFull(CommandError):
    """The board's file system has no room."""


class Link:
    """The prompt of the board at `port`, its program stopped; a context manager that ends in a reset.

    Where all went well it also sees the board back at work, and says so.

    `wait_s`: how long the port may take to appear, after a programmer has restarted the board.
    """

    def __init__(self, port: str, *, wait_s: int = 0, say: Callable[[str], None] = print) -> None:
        self.port = port
        self._say = say
        self._is_gone = False
        self._wait_s = wait_s
        self._transport: Any = None

    def __enter__(self) -> "Link":
        self._transport = _open(self.port, self._wait_s)
        try:
            self._interrupt()
            self.run(_CALM)
        except BaseException:
            self._shut()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        try:
            with contextlib.suppress(CommandError), self._speaking():
                self._transport.exec_raw_no_follow("import machine\nmachine.reset()")
                time.sleep(0.1)  # for the last byte to leave before the port closes
            if kind is None:
                self._say(restarted(self.port, self._heard()))
        finally:
            self._shut()

    def run(
        self, code: str, on_line: Callable[[str], None] | None = None, *, silence_s: float = _SILENCE_S
    ) -> str:
        """Return what `code` prints, never the code, which may hold a key. Raises CommandError, BoardFull."""
        lines = _Lines(on_line)
        with self._speaking():
            _, error = self._transport.exec_raw(code, timeout=silence_s, data_consumer=lines.feed)
            if error:
                raise TransportExecError("", error.decode(errors="replace"))
        return lines.text()

    def clear(self) -> None:
        """Begin anew at the prompt, with an empty heap. Raises CommandError."""
        if not self._enter():
            raise self._gone()
        self.run(_CALM)

    def read(self, name: str) -> bytes | None:
        """A small file, or None where there is none."""
        code = f"import binascii\ntry:\n print(binascii.hexlify(open({name!r},'rb').read()).decode())\n"
        said = self.run(code + "except OSError:\n print('-')").strip()
        return None if said == "-" else binascii.unhexlify(said)

    def device_id(self) -> str:
        """Return who the board is; empty if it has no (readable) identity. The root stays on it."""
        code = f"import json\ntry:\n print(json.load(open({IDENTITY_FILE!r}))['device_id'])\n"
        return self.run(code + "except (OSError, ValueError, KeyError, TypeError):\n pass\n").strip()

    def write(self, name: str, content: bytes) -> None:
        """A file on the board. Raises BoardFull, CommandError."""
        with self._speaking():
            self._transport.fs_writefile(name, content, chunk_size=_CHUNK_BYTES)

    def hashes(self, names: Iterable[str]) -> dict[str, str]:
        """SHA-256 (hex) of those files that are there."""
        said = self.run(_HASHES.format(names=list(names)))
        return {line.rsplit(" ", 1)[0]: line.rsplit(" ", 1)[1] for line in said.split("\n") if line}

    def files(self, folders: Iterable[str]) -> list[str]:
        """All files below these folders."""
        return self.run(_WALK.format(folders=list(folders))).split()

    def make_folders(self, folders: Iterable[str]) -> None:
        self.run(_MAKE_FOLDERS.format(folders=list(folders)))

    def remove(self, names: Iterable[str]) -> None:
        """Those of the files that are there."""
        self.run(_REMOVE.format(names=list(names)))

    def rename(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Each over what stood there, in this order, in one go."""
        self.run(_RENAME.format(pairs=list(pairs)))

    # -- the wire ----------------------------------------------------------------------

    def _interrupt(self) -> None:
        """Stop the program and clear the heap. A board in deep sleep hears nothing: it is reset first."""
        if self._enter():
            return
        if self._pull_reset() and self._catch(_BOOT_S) and self._enter():
            return
        self._say(f"no answer at {self.port}: press RESET on the board now, or tap its button")
        if self._catch(_PERSON_S) and self._enter():
            return
        raise CommandError(
            f"no MicroPython prompt at {self.port}: run this again and press RESET while it waits; else, is "
            "this the board's port, and the interpreter on the board (flash --image)?"
        )

    def _heard(self) -> Iterator[str]:
        """Yield each line that the board prints; GONE is the last where the port goes away."""
        end_s = time.monotonic() + _RESTART_S
        rest = b""
        while time.monotonic() < end_s:
            try:
                port = self._transport.serial
                rest += port.read(port.in_waiting or 1)
            except OSError:
                self._shut()
                try:
                    self._transport = _open(self.port, _BACK_S)
                except CommandError:
                    yield GONE
                    return
                continue
            *lines, rest = rest.split(b"\n")
            for line in lines:
                yield line.decode(errors="replace").strip()

    def _enter(self) -> bool:
        """Whether the raw prompt came, after a soft reset, on Ctrl-C."""
        with self._speaking():
            try:
                self._transport.enter_raw_repl(soft_reset=True, timeout_overall=_PROMPT_S)
                return True
            except TransportError:
                return False

    def _catch(self, until_s: float) -> bool:
        """Ctrl-C again and again, so that one arrives between the start of the board and its next sleep."""
        end_s = time.monotonic() + until_s
        heard = b""
        with self._speaking():
            while time.monotonic() < end_s:
                self._transport.serial.write(b"\x03")
                time.sleep(_CATCH_S)
                heard = (heard + self._transport.serial.read(self._transport.serial.in_waiting))[-100:]
                if heard.endswith((b">>> ", b">")):
                    return True
        return False

    def _pull_reset(self) -> bool:
        """EN low by RTS, as on every ESP32 board with a USB bridge; False: this port has no such line."""
        try:
            self._transport.serial.dtr = False
            self._transport.serial.rts = True
            time.sleep(0.1)
            self._transport.serial.rts = False
        except OSError:
            return False
        return True

    def _shut(self) -> None:
        with contextlib.suppress(OSError):
            self._transport.close()

    @contextlib.contextmanager
    def _speaking(self) -> Iterator[None]:
        if self._is_gone:
            raise self._gone()  # do not wait for it again
        try:
            yield
        except TransportExecError as error:
            last = (error.error_output.strip().splitlines() or ["nothing"])[-1]
            if _FULL.search(last):
                raise self._full() from None
            raise CommandError(f"the board at {self.port} failed: {last}") from None
        except (TransportError, serial.SerialException, struct.error):
            raise self._gone() from None
        except OSError as error:  # of the port, or mpremote's word for one on the board
            if error.errno in (errno.ENOSPC, errno.ENAMETOOLONG):
                raise self._full() from None
            if error.errno in _CABLE_ERRORS:
                raise self._gone() from None
            raise CommandError(f"the board at {self.port} failed: {os.strerror(error.errno or 0)}") from None

    def _full(self) -> BoardFull:
        return BoardFull(
            f"the file system of the board at {self.port} is full: remove what is not ours "
            f"(mpremote connect {self.port} fs ls) and run this again"
        )

    def _gone(self) -> CommandError:
        self._is_gone = True
        return CommandError(
            f"the board at {self.port} stopped answering: it was unplugged or has reset; "
            "check cable and power, and run this again: it finishes what it began"
        )


class _Transport(SerialTransport):  # type: ignore[misc]  # not typed
    """mpremote's, with our patience for its own file commands too."""

    def exec_raw(self, command: str, timeout: float = _SILENCE_S, data_consumer: Any = None) -> Any:
        return super().exec_raw(command, timeout=timeout, data_consumer=data_consumer)


class _Lines:
    """Bytes as they come, to whole lines for `on_line`."""

    def __init__(self, on_line: Callable[[str], None] | None) -> None:
        self._on_line = on_line
        self._all = bytearray()
        self._begun = 0

    def feed(self, data: bytes) -> None:
        self._all += data.replace(b"\x04", b"")
        while (end := self._all.find(b"\n", self._begun)) >= 0:
            line = bytes(self._all[self._begun : end]).decode(errors="replace").rstrip("\r")
            self._begun = end + 1
            if self._on_line:
                self._on_line(line)

    def text(self) -> str:
        return self._all.decode(errors="replace").replace("\r\n", "\n")


def _open(port: str, wait_s: int) -> Any:
    until_s = time.monotonic() + wait_s
    try:
        while True:
            try:
                transport = _Transport(port, timeout=_READ_S)
                break
            except TransportError:
                if time.monotonic() >= until_s:
                    raise
                time.sleep(0.5)
    except TransportError:
        check_port(port)
        raise CommandError(f"{port} was not ready: run this again") from None
    except (OSError, ValueError) as error:
        raise CommandError(f"{port} cannot be opened as a serial port ({error})") from None
    transport.serial.write_timeout = _SILENCE_S
    return transport
