"""Disks: a database that keeps what was committed over a kill, and over a power cut only what was synced.

The database is SQLite's own, in memory, opened from the image of one that has been migrated already. A
commit under `synchronous = FULL` is on the disk when it returns; under anything less the system writes it
some time later, and a power cut before that takes it away.
"""

import sqlite3
from collections.abc import Callable
from typing import Any

from sim.virtual.time import Killed

DISK_S = 0.004  # at most, for a call that has to do with it; unless it is slow
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

    def connect(self, _path: object) -> sqlite3.Connection:
        """As often as a process likes; it is one file."""
        self._synced = True  # SQLite's default
        return self._db

    def cut_power(self) -> None:
        """What was not written back is gone."""
        self.fence()
        before, self._before = self._durable(), None
        if before is not None:
            self._db.deserialize(before)

    def fence(self) -> None:
        """Whoever used it is dead; an open transaction ends as if it had never begun."""
        self._fenced, self.kill_in = True, None
        if self._db.in_transaction:
            sqlite3.Connection.execute(self._db, "ROLLBACK")

    def open(self) -> None:
        """For the next process."""
        self._fenced = False

    def dispose(self) -> None:
        sqlite3.Connection.close(self._db)

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """What would still be there after a power cut at this moment, as an auditor reads it."""
        durable = self._durable()
        db: sqlite3.Connection = self._db
        if durable is not None:
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
            if not self._synced and self._durable() is None:
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
