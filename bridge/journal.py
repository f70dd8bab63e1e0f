"""The journal: what the bridge has heard, on disk before anything else is done with it.

Synchronous; the wiring gives it one thread. One row per press, whole, written again at each step:
rows only go forward (`journal.sql`), so what could not be written stays in `_pending` and is
written with the next row, late but right. The wiring's memory rules while the bridge runs; the
journal is what is left after a kill.
"""

import errno
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bridge.model import Alive, Press

SCHEMA_VERSION = 1
BUSY_TIMEOUT_S = 5.0
_SUFFIXES = ("", "-wal", "-shm")

DISK_FULL, READ_ONLY, CORRUPT, UNWRITABLE = "disk_full", "read_only", "journal_corrupt", "journal_unwritable"
_REASONS = {
    sqlite3.SQLITE_FULL: DISK_FULL,
    sqlite3.SQLITE_READONLY: READ_ONLY,
    sqlite3.SQLITE_CANTOPEN: READ_ONLY,
    sqlite3.SQLITE_PERM: READ_ONLY,
    sqlite3.SQLITE_CORRUPT: CORRUPT,
    sqlite3.SQLITE_NOTADB: CORRUPT,
    sqlite3.SQLITE_ERROR: CORRUPT,  # its tables are not ours
}


def _statements() -> dict[str, str]:
    parts = Path(__file__).with_name("journal.sql").read_text(encoding="utf-8").split("-- name: ")[1:]
    return {name: body for name, _, body in (part.partition("\n") for part in parts)}


_SQL = _statements()


class Journal:
    """Presses and alive counters in one SQLite file. Not thread-safe: one thread calls it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db: sqlite3.Connection | None = None
        self._pending: dict[tuple[Any, ...], tuple[str, dict[str, Any]]] = {}

    @property
    def pending(self) -> int:
        """How many rows are in memory alone; 0 when all is on disk."""
        return len(self._pending)

    def write(self, *rows: Press | Alive) -> str | None:
        """Put `rows` and all that is pending on disk. None when they are; else the reason, and they wait.

        Pending rows are bounded by the number of presses and devices, for a later state of a row
        takes its earlier one's place.
        """
        for row in rows:
            if isinstance(row, Press):
                values = asdict(row) | {"fix": None if row.fix is None else json.dumps(row.fix)}
                self._pending[row.key] = ("keep_press", values)
            else:
                self._pending[("alive", row.device_id)] = ("keep_alive", asdict(row))
        try:
            with self._transaction() as db:
                for name, values in self._pending.values():
                    db.execute(_SQL[name], values)
        except (sqlite3.Error, OSError) as error:
            return self._failed(error)
        self._pending.clear()
        return None

    def load(self) -> tuple[list[Press], list[Alive], str | None]:
        """All that is on disk, in the order in which it was heard, and what was wrong with it."""
        reason = None
        for _ in range(2):  # a corrupt file is kept aside, and then an empty one answers
            try:
                db = self._connect()
                if db.execute("PRAGMA quick_check").fetchall() != [{"quick_check": "ok"}]:
                    reason = self._set_aside()
                    continue
                presses = [_press(row) for row in db.execute(_SQL["presses"])]
                return presses, [Alive(**row) for row in db.execute(_SQL["alives"])], reason
            except (sqlite3.Error, OSError, TypeError, ValueError) as error:
                reason = self._failed(error)
                if reason != CORRUPT:
                    break
        return [], [], reason

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _connect(self) -> sqlite3.Connection:
        if self._db is None:
            # Made by us and not by SQLite, whose files are readable by all (umask).
            self._path.touch(mode=0o600) if self._path.parent.is_dir() else None
            db = sqlite3.connect(self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
            self._db = db
            db.row_factory = _as_dict
            db.execute("PRAGMA journal_mode = WAL").fetchall()
            db.execute("PRAGMA synchronous = FULL")
            db.executescript(
                f"BEGIN IMMEDIATE; {_SQL['schema']} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT"
            )
        return self._db

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        db = self._connect()
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise

    def _failed(self, error: Exception) -> str:
        if isinstance(error, OSError):
            reason = DISK_FULL if error.errno == errno.ENOSPC else READ_ONLY
        elif isinstance(error, sqlite3.Error):
            reason = _REASONS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, UNWRITABLE)
        else:
            reason = CORRUPT  # a row that is not what the schema promises
        if reason == CORRUPT:
            return self._set_aside()
        self.close()  # opened anew at the next write: the disk may have come back
        return reason

    def _set_aside(self) -> str:
        """Keep the corrupt file under another name; the next connection starts an empty one."""
        self.close()
        number = 1
        while (aside := Path(f"{self._path}.corrupt-{number}")).exists():
            number += 1
        try:
            for suffix in _SUFFIXES:
                part = Path(f"{self._path}{suffix}")
                if part.exists():
                    part.rename(f"{aside}{suffix}")
        except OSError:
            return UNWRITABLE
        return CORRUPT


def read_presses(path: Path) -> list[Press]:
    """What is in the journal of a bridge that may be running; nothing where it cannot be read."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as db:
            db.row_factory = _as_dict
            return [_press(row) for row in db.execute(_SQL["presses"])]
    except (sqlite3.Error, TypeError, ValueError):
        return []


def _as_dict(cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip((column[0] for column in cursor.description), row, strict=True))


def _press(row: dict[str, Any]) -> Press:
    row["fix"] = None if row["fix"] is None else json.loads(row["fix"])
    return Press(**row)
