"""Copies in the making: the home knows where each is, so that a program that is killed leaves none behind.

They hold what a whole backup or an export holds. In the home lies `.draft-…`, a link to each; who makes one
holds a lock on it, which the system lets go of with the program.
"""

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from centre.platform.home import Home

BESIDE = ("", "-wal", "-shm", "-journal")  # what SQLite keeps beside a file in use
_LINK = ".draft-"


@contextmanager
def draft(home: Home, target: Path, *, is_folder: bool = False) -> Iterator[Path]:
    """Give a file (0600) or a folder beside `target` for its making, gone in the end whatever happens.

    Raises OSError.
    """
    remove_left(home)
    tag = secrets.token_hex(4)
    path, link = target.absolute().with_name(f".{target.name}.{tag}"), home.path / f"{_LINK}{tag}"
    link.symlink_to(path)
    try:
        if is_folder:
            path.mkdir(mode=0o700)
        descriptor = os.open(path, os.O_RDONLY if is_folder else os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield path
        finally:
            os.close(descriptor)
    finally:
        _remove(path)
        link.unlink(missing_ok=True)


def remove_left(home: Home) -> list[str]:
    """Remove what killed programs have left; return a sentence for each, also for what is out of reach."""
    told = []
    for link in sorted(home.path.glob(f"{_LINK}*")):
        with contextlib.suppress(OSError):  # another program has just removed it
            path = Path(os.readlink(link))
            if not path.parent.is_dir():
                told.append(f"an unfinished copy may lie at {path}, which cannot be reached: remove it")
            elif not path.exists():
                link.unlink()
            elif not _is_in_use(path):
                _remove(path)
                link.unlink()
                told.append(f"an unfinished copy of a program that was killed was removed: {path}")
    return told


def _is_in_use(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
        return
    for suffix in BESIDE:
        path.with_name(path.name + suffix).unlink(missing_ok=True)
