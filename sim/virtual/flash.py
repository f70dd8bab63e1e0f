"""A button's memory: flash files that are replaced as a whole or not at all, and RTC memory.

littlefs keeps the old file until the new one is complete. The power may fail at each operation on the way:
when the file is opened, when it is written, and right after it was closed.
"""

import errno
from typing import Literal


class PowerCut(BaseException):
    """The battery is out in the middle of an operation."""


class Flash:
    """`cut_in`: that many more operations of writing, then PowerCut; None: never."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.fails = False
        self.cut_in: int | None = None

    def open(self, path: str, mode: str = "rb") -> "_File":
        if mode == "wb":
            if self.fails:
                raise OSError(errno.EIO, "flash")
            self.operation()
            return _File(self, path, None)
        if path not in self.files:
            raise OSError(errno.ENOENT, path)
        return _File(self, path, self.files[path])

    def operation(self) -> None:
        if self.cut_in is not None:
            self.cut_in -= 1
            if self.cut_in < 0:
                self.cut_in = None
                raise PowerCut


class _File:
    def __init__(self, flash: Flash, path: str, content: bytes | None) -> None:
        self._flash, self._path, self._content = flash, path, content
        self._written = b""

    def __enter__(self) -> "_File":
        return self

    def __exit__(self, kind: object, *_: object) -> Literal[False]:
        if kind is None and self._content is None:
            self._flash.files[self._path] = self._written
            self._flash.operation()
        return False

    def read(self) -> bytes:
        assert self._content is not None
        return self._content

    def write(self, data: bytes) -> None:
        self._flash.operation()
        self._written += bytes(data)


class Rtc:
    """Survives deep sleep and resets, not the loss of power."""

    def __init__(self) -> None:
        self._content = b""

    def memory(self, content: bytes | None = None) -> bytes:
        if content is not None:
            self._content = bytes(content)
        return self._content
