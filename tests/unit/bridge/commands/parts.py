"""What the tests of the bridge's commands share: no radio, a library that breaks, a terminal."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, Self

from bleak.backends.scanner import BaseBleakScanner
from bleak.exc import BleakBluetoothNotAvailableError, BleakBluetoothNotAvailableReason


class NoRadio(BaseBleakScanner):
    """A machine without Bluetooth, which says so at once."""

    def __init__(self, *_: Any, **__: Any) -> None:
        return

    async def start(self) -> None:
        raise BleakBluetoothNotAvailableError("none", BleakBluetoothNotAvailableReason.NO_BLUETOOTH)

    async def stop(self) -> None:
        return


CRASH = """
# What a library may do to us: fail in the middle, with everything that it was given in its error's text.
import threading
import aiohttp

real = aiohttp.ClientSession._request

async def fail(self, method, url, **options):
    if method == "GET":
        return await real(self, method, url, **options)

    def in_thread():
        raise RuntimeError(f"{method} {url} {options}")
    threading.Thread(target=in_thread).start()
    raise RuntimeError(f"{method} {url} {options}")

aiohttp.ClientSession._request = fail
"""


# A program that has the terminal for its own asks for PINs there, and Ctrl-C is for it.
_ON_TERMINAL = "import os, sys; os.login_tty(0); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"


class Terminal:
    """`amr-bridge` on a terminal (pty(7)), as somebody sits before it."""

    def __init__(self, *words: object, env: Mapping[str, str] | None = None) -> None:
        self._ours, theirs = os.openpty()
        argv = [sys.executable, "-c", _ON_TERMINAL, "-m", "bridge", *map(str, words)]
        self._program = subprocess.Popen(argv, stdin=theirs, env=os.environ | dict(env or {}))
        os.close(theirs)
        self.text = ""
        self._read = 0  # so much of the text has been waited for

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._program.kill()
        await asyncio.to_thread(self._program.wait)
        os.close(self._ours)

    async def see(self, words: str) -> None:
        """Wait until `words` are there, behind those that were waited for before."""
        while (at := self.text.find(words, self._read)) < 0:
            piece = await asyncio.to_thread(self._piece)
            assert piece, f"{words!r} never came: {self.text!r}"
            self.text += piece
        self._read = at + len(words)

    def type(self, keys: str) -> None:
        """Press keys; a line feed is Return, the character 3 is Ctrl-C."""
        os.write(self._ours, keys.encode())

    async def end(self) -> int:
        """Read to the end, and return the exit code."""
        while piece := await asyncio.to_thread(self._piece):
            self.text += piece
        return await asyncio.to_thread(self._program.wait)

    def _piece(self) -> str:
        try:
            return os.read(self._ours, 4096).decode()
        except OSError:  # EIO: nobody has the terminal any more
            return ""
