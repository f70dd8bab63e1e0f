"""The centre's own directory: database, keys, certificates. Directories 0700, files 0600."""

import contextlib
import errno
import fcntl
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path

DATABASE = "centre.sqlite"
SPARE = "spare"
SPARE_BYTES = 256 * 1024  # the index of the write-ahead log, and a few entries of it
PROBE_BYTES = 64 * 1024
OTHERS = stat.S_IRWXG | stat.S_IRWXO


class CannotServe(Exception):
    """Something of ours is not as it must be; the text is a sentence for the person who runs us."""


class Home:
    def __init__(self, path: Path) -> None:
        """Make the directory. Raises CannotServe where it cannot be made or written."""
        self.path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise CannotServe(f"cannot make the directory {path}: {error.strerror}") from error
        if not os.access(path, os.W_OK | os.X_OK):
            raise CannotServe(f"cannot write in the directory {path}")

    @property
    def database(self) -> Path:
        return self.path / DATABASE

    def secret(self, name: str, make: Callable[[], bytes]) -> bytes:
        """Return the content of the file `name`; it is made once, by whichever process comes first."""
        path = self.path / name
        if not path.exists():
            self.write(name, make(), replace=False)
        try:
            if path.stat().st_mode & OTHERS:
                raise CannotServe(f"{path} is open to others; run: chmod 600 {path}")
            return path.read_bytes()
        except OSError as error:
            raise CannotServe(f"cannot read {path}: {error.strerror}") from error

    def write(self, name: str, content: bytes, *, replace: bool = True) -> Path:
        """Write a whole file 0600, on disk before it has its name; an old one stays or is replaced."""
        path = self.path / name
        if replace and _is(path, content):
            return path
        draft = self.path / f".{name}.{secrets.token_hex(4)}"
        try:
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                self._hand_over(file.fileno())
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            if replace:
                draft.replace(path)
            else:
                try:
                    path.hardlink_to(draft)  # fails where the name exists: the first one wins
                except FileExistsError:
                    pass
                finally:
                    draft.unlink()
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise CannotServe(f"cannot write {path}: {error.strerror}") from error
        return path

    def is_full(self) -> bool:
        """Return whether the disk takes nothing more."""
        probe = self.path / f".probe.{secrets.token_hex(4)}"
        try:
            with open(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(bytes(PROBE_BYTES))
        except OSError as error:
            return error.errno in (errno.ENOSPC, errno.EDQUOT)
        finally:
            with contextlib.suppress(OSError):
                probe.unlink(missing_ok=True)
        return False

    def keep_spare(self, *, gives_up: bool = False) -> bool:
        """Keep some room for a start on a full disk, for SQLite needs some to read, too.

        Return whether the disk is full; `gives_up`: then that room is made.
        """
        spare = self.path / SPARE
        is_full = self.is_full()
        with contextlib.suppress(OSError, CannotServe):
            if is_full and gives_up:
                spare.unlink(missing_ok=True)
            elif not (is_full or spare.exists()):
                self.write(SPARE, os.urandom(SPARE_BYTES))
        return is_full

    def make_database(self) -> None:
        """Make an empty file for the database, where there is none. Raises OSError.

        One that is there is not opened: to close it would let go of all locks that this process has on it,
        and another process could take away the write-ahead log (sqlite.org/howtocorrupt.html, 2.2).
        """
        if self.database.exists():
            return
        descriptor = os.open(self.database, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._hand_over(descriptor)
        finally:
            os.close(descriptor)

    def _hand_over(self, descriptor: int) -> None:
        """Give what root makes to whom the home belongs: else a centre that is not root's cannot read it."""
        if os.geteuid() == 0:
            owner = self.path.stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)

    def check_modes(self) -> None:
        """Raise CannotServe where others may read what is here."""
        for path, mode in ((self.path, "700"), (self.database, "600")):
            if path.exists() and path.stat().st_mode & OTHERS:
                raise CannotServe(f"{path} is open to others; run: chmod {mode} {path}")

    def lock(self) -> int:
        """Hold this home for one `serve`; the system lets go when the process ends, however it ends."""
        path = self.path / "serve.lock"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            self._hand_over(descriptor)
        except OSError as error:
            raise CannotServe(f"cannot write {path}: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise CannotServe(f"another amr-centre already serves {self.path}") from None
        return descriptor


def _is(path: Path, content: bytes) -> bool:
    """Return whether the file has this content already: a full disk would not take it again."""
    try:
        return path.read_bytes() == content
    except OSError:
        return False


def default_path() -> Path:
    """Return where the home is unless somebody says another place."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share"
    return Path(base) / "amr-centre"
