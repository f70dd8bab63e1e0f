"""Disks: a database that keeps what was committed over a kill, and over a power cut only what was synced.

The database is SQLite's own, in memory, opened from the image of one that has been migrated already. A
commit under `synchronous = FULL` is on the disk when it returns; under anything less the system writes it
some time later, and a power cut before that takes it away. One that is damaged becomes a file, so that the
program can repair it as on a phone.
"""

import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

from sim.virtual.time import Killed

DISK_S = 0.004  # at most, for a call that has to do with it; unless it is slow
_SECTOR, _TRIES = 512, 50
WRITTEN_BACK_S = 30.0  # Linux: dirty_expire_centisecs


class Disk:
    """`now_s()` is the world's clock. `kill_in`: that many more statements, then `on_kill()` and Killed."""

    def __init__(self, image: bytes, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._db = sqlite3.connect(":memory:", isolation_level=None, factory=_Connection)
        self._db.disk = self
        self._db.deserialize(image)
        self._fenced = False
        self.is_full = False
        self.kill_in: int | None = None
        self.on_kill: Callable[[], None] = lambda: None
        self._synced = False
        self._changes = 0  # of the database, when the transaction began
        self._before: tuple[float, bytes] | None = None  # since when, and what is on the disk for sure
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self.path = Path("database.sqlite")

    @property
    def is_file(self) -> bool:
        """Return whether it has been damaged, and is a file since."""
        return self._folder is not None

    def connect(self, path: Path | str) -> sqlite3.Connection:
        """As often as a process likes; it is one file."""
        self._synced = True  # SQLite's default
        if self.is_file:
            Path(path).touch(mode=0o600)
            self._db = sqlite3.connect(path, isolation_level=None, factory=_Connection)
            self._db.disk = self
        return self._db

    def damage(self, tables: Sequence[str], random: Random) -> None:
        """Damage a bit or a sector, so that a plain SELECT still reads every row of `tables`."""
        image = self.path.read_bytes() if self.is_file else self._db.serialize()
        damaged = _damaged(image, tables, random)
        if not self.is_file:
            self._folder = tempfile.TemporaryDirectory(prefix="amr-disk-")
            self.path = Path(self._folder.name) / self.path
            sqlite3.Connection.close(self._db)
        self.path.write_bytes(damaged)

    def cut_power(self) -> None:
        """What was not written back is gone."""
        self.fence()
        if self.is_file:
            return
        before, self._before = self._durable(), None
        if before is not None:
            self._db.deserialize(before)

    def fence(self) -> None:
        """Whoever used it is dead; an open transaction ends as if it had never begun."""
        self._fenced, self.kill_in = True, None
        if self.is_file:
            sqlite3.Connection.close(self._db)
        elif self._db.in_transaction:
            sqlite3.Connection.execute(self._db, "ROLLBACK")

    def open(self) -> None:
        """For the next process."""
        self._fenced = False

    def dispose(self) -> None:
        sqlite3.Connection.close(self._db)
        if self._folder is not None:
            self._folder.cleanup()

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """What would still be there after a power cut at this moment, as an auditor reads it."""
        durable = None if self.is_file else self._durable()
        db: sqlite3.Connection = self._db
        if self.is_file:
            db = sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True)
        elif durable is not None:
            db = sqlite3.connect(":memory:")
            db.deserialize(durable)
        cursor = db.cursor()
        cursor.row_factory = None
        try:
            return cursor.execute(sql, values).fetchall()
        finally:
            cursor.close()
            if db is not self._db:
                db.close()

    def _durable(self) -> bytes | None:
        """None: all of it."""
        if self._before is None or self._now_s() - self._before[0] >= WRITTEN_BACK_S:
            return None
        return self._before[1]

    # -- what the connection tells ----------------------------------------------------------------

    def before(self, statement: str) -> None:
        if self._fenced:
            raise _error("nobody is left to ask", sqlite3.SQLITE_IOERR)
        if self.kill_in is not None:
            self.kill_in -= 1
            if self.kill_in < 0:
                self.kill_in = None
                self.on_kill()
                raise Killed
        if statement.startswith("COMMIT"):
            if self.is_full and self._db.total_changes != self._changes:
                raise _error("database or disk is full", sqlite3.SQLITE_FULL)
        elif statement.startswith("BEGIN"):
            self._changes = self._db.total_changes
            if not self._synced and not self.is_file and self._durable() is None:
                self._before = (self._now_s(), self._db.serialize())
        elif statement.startswith("PRAGMA synchronous"):
            self._synced = statement.rpartition("=")[2].strip() in ("FULL", "EXTRA")


def _error(text: str, code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    return error


class _Connection(sqlite3.Connection):
    """A handle on the disk; to close it closes no disk."""

    disk: Disk

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        if sql != "ROLLBACK":
            self.disk.before(sql)
        return super().execute(sql, parameters)

    def close(self) -> None:
        if self.in_transaction:
            super().execute("ROLLBACK")
        if self.disk.is_file:
            super().close()


def _damaged(image: bytes, tables: Sequence[str], random: Random) -> bytes:
    """Return the image with a flipped bit, or a sector of zeros or noise, where there was something."""
    whole = _rows(image, tables)
    assert whole is not None, "it is sound"
    used = [offset for offset, byte in enumerate(image) if byte]
    for _ in range(_TRIES):
        damaged, offset = bytearray(image), random.choice(used)
        start = offset - offset % _SECTOR
        kind = random.choice(("bit", "bit", "zeros", "noise"))
        if kind == "bit":
            damaged[offset] ^= 1 << random.randrange(8)
        else:
            noise = random.randbytes(_SECTOR)
            damaged[start : start + _SECTOR] = noise if kind == "noise" else bytes(_SECTOR)
        if _rows(bytes(damaged), tables) == whole:
            return bytes(damaged)
    return image


def _rows(image: bytes, tables: Sequence[str]) -> list[Any] | None:
    """Return all rows as a plain SELECT reads them; None where it cannot."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.text_factory = bytes
        try:
            # In memory there is no write-ahead log (sqlite.org/fileformat.html, bytes 18 and 19).
            db.deserialize(image[:18] + b"\x01\x01" + image[20:])
            db.execute("PRAGMA writable_schema = ON")
            return [db.execute(f"SELECT * FROM {table}").fetchall() for table in tables]  # noqa: S608 -- ours
        except (sqlite3.Error, UnicodeDecodeError):  # the name of a column may be no text
            return None
