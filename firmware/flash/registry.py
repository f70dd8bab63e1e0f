"""The registry: the file of buttons that the centre imports, one JSON line each. It holds their roots."""

import contextlib
import fcntl
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any

from firmware.flash.refused import Refused


class Registry:
    """The file, private and ours alone while open; a context manager. Raises Refused."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = -1

    def __enter__(self) -> "Registry":
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as error:
            raise Refused(f"cannot write {self.path}: {error.strerror}") from None
        try:
            if os.fstat(self._file).st_mode & 0o077:
                raise Refused(f"{self.path} can be read by others; make it private with chmod 600")
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise Refused(f"{self.path} is in use by another program; close that and try again") from None
        except BaseException:
            os.close(self._file)
            raise
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        os.close(self._file)

    def has(self, device_id: str) -> bool:
        """Whether a line names this button."""
        for text in self.path.read_text(errors="replace").splitlines():
            with contextlib.suppress(ValueError, AttributeError):
                if json.loads(text).get("device_id") == device_id:
                    return True
        return False

    def append(self, line: dict[str, Any]) -> None:
        """One line more, on disk; or none. Raises Refused."""
        before = os.fstat(self._file).st_size
        begun = before == 0 or os.pread(self._file, 1, before - 1) == b"\n"
        data = (b"" if begun else b"\n") + json.dumps(line).encode() + b"\n"
        try:
            if os.write(self._file, data) != len(data):
                raise OSError(28, "no space left on the disk")
            os.fsync(self._file)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, before)
            raise Refused(f"cannot write {self.path}: {error.strerror}") from None
