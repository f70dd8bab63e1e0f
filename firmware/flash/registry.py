"""The registry: the file of buttons that the centre imports, one JSON line each. It holds their roots."""

import contextlib
import fcntl
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any

import platformdirs

from firmware.flash.errors import CommandError


def default_registry() -> Path:
    """Return the registry in this system's folder for a program's data, outside of every project."""
    return platformdirs.user_data_path("amr-button", appauthor=False) / "registry.jsonl"


def refuse_in_work_tree(path: Path) -> None:
    """Raise CommandError where `path` lies in a git work tree: one `git add .` would publish it."""
    for folder in path.absolute().parents:
        if (folder / ".git").exists():
            raise CommandError(
                f"{path} lies in the git work tree {folder}, and keys must never be published: without "
                f"--registry and --label they go to {default_registry().parent}; or name a folder elsewhere"
            )


class Registry:
    """Hold the file, private and ours alone while open; a context manager. Raises CommandError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = -1
        self._is_new = False

    def __enter__(self) -> "Registry":
        self._is_new = not self.path.exists()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as error:
            raise CommandError(f"cannot write {self.path}: {error.strerror}") from None
        try:
            if os.fstat(self._file).st_mode & 0o077:
                raise CommandError(f"{self.path} can be read by others; make it private with chmod 600")
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise CommandError(
                f"{self.path} is in use by another program; close that and try again"
            ) from None
        except BaseException:
            os.close(self._file)
            raise
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._is_new and not os.fstat(self._file).st_size:
            self.path.unlink()
        os.close(self._file)

    def has(self, device_id: str) -> bool:
        """Return whether a line names this button."""
        for text in self.path.read_text(errors="replace").splitlines():
            with contextlib.suppress(ValueError, AttributeError):
                if json.loads(text).get("device_id") == device_id:
                    return True
        return False

    def append(self, line: dict[str, Any]) -> None:
        """Append one line, on disk; or none. Raises CommandError."""
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
            raise CommandError(f"cannot write {self.path}: {error.strerror}") from None
