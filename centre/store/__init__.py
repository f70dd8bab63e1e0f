"""The centre's memory: one SQLite file. Synchronous, and used from one thread; the wiring sees to that.

Every `with store.transaction():` is on disk when it ends (WAL, synchronous=FULL) or has not happened; within
a `with store.group():` it is when the group ends.
"""

import hashlib
import os
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from centre.store.interface import Storage

# PRAGMA user_version counts the files of this list that have been run. One that is out is never changed.
MIGRATIONS = (Path(__file__).with_name("schema.sql"),)
PRAGMAS = (
    *("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"),
    # A reader that stayed lets the write-ahead log grow; when it has gone, the file becomes small again.
    "journal_size_limit = 4194304",
)
LOCKED_STEP_S = 0.5
BUSY_TIMEOUT_S = 5.0  # another process (an import) may hold the file for so long

Row = sqlite3.Row


class OtherVersion(Exception):
    """The database was made neither by this version nor by one that it knows; the text follows its name."""


@cache
def _queries() -> dict[str, str]:
    """Return the named queries of all files in `queries/`, one for each subject."""
    found: dict[str, str] = {}
    for path in sorted((Path(__file__).parent / "queries").glob("*.sql")):
        parts = re.split(r"^-- name: (\w+)\n", path.read_text("utf-8"), flags=re.MULTILINE)
        for name, text in zip(parts[1::2], parts[2::2], strict=True):
            assert name not in found, name
            found[name] = text
    return found


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _statements(script: str) -> Iterator[str]:
    """Yield one by one: `executescript` would commit the transaction that holds a migration together."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def connect_shared(path: str) -> sqlite3.Connection:
    """Connect beside others."""
    return sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)


def connect_alone(path: str) -> sqlite3.Connection:
    """Connect where no other program does: no file is made for the index (sqlite.org/wal.html, 8)."""
    db = connect_shared(path)
    db.execute("PRAGMA locking_mode = EXCLUSIVE")
    return db


def takes_no_file(error: BaseException | None) -> bool:
    """Return whether SQLite says that the disk gave it no room, whatever it wanted to do."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)


class Store:
    def __init__(
        self,
        path: str,
        connect: Callable[[str], sqlite3.Connection] = connect_shared,
        migrations: Sequence[Path] = MIGRATIONS,
    ) -> None:
        """Open or make the file. `connect(path)`: with isolation_level None.

        Raises OtherVersion, sqlite3.Error.
        """
        self._queries, self._migrations = _queries(), migrations
        self.db = connect(path)
        self.db.row_factory = sqlite3.Row
        self._locked_s = BUSY_TIMEOUT_S
        self._grouped = self._begun = self._half_done = False
        self._part = _PartOfGroup(self)
        self._path = None if path == ":memory:" else path
        try:
            self._prepare()
        except BaseException:
            self.db.close()
            raise

    def _prepare(self) -> None:
        self._version()  # before anything is written into a file that is not ours
        self._file = self._file_at_path()
        for pragma in PRAGMAS:
            self.db.execute(f"PRAGMA {pragma}")
        self._migrate()

    def _version(self) -> int:
        """Return how many files of the list it was made by. Raises OtherVersion where by others."""
        version: int = self.db.execute("PRAGMA user_version").fetchone()[0]
        tables = {row[0] for row in self.db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if version == 0 and not tables:
            return 0
        if "schema_files" not in tables:
            raise OtherVersion("was made by a version before the first release, or by another program")
        if version > len(self._migrations):
            raise OtherVersion(
                f"was made by a newer version ({version}, this one knows {len(self._migrations)})"
            )
        made_by = [row[0] for row in self.db.execute("SELECT sha256 FROM schema_files ORDER BY version")]
        if made_by != [_sha256(file) for file in self._migrations[:version]]:
            raise OtherVersion("was made by a version that was never released")
        return version

    def _migrate(self) -> None:
        if self._version() == len(self._migrations):
            return  # and who only looks waits for nobody who writes
        with self.transaction():
            for version in range(self._version(), len(self._migrations)):
                file = self._migrations[version]
                for statement in _statements(file.read_text("utf-8")):
                    self.db.execute(statement)
                self.db.execute("INSERT INTO schema_files VALUES (?, ?)", (version + 1, _sha256(file)))
            self.db.execute(f"PRAGMA user_version = {len(self._migrations)}")

    def _file_at_path(self) -> tuple[int, int] | None:
        if self._path is None:
            return None
        try:
            status = os.stat(self._path)
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _check_file(self) -> None:
        """Raise where the open file is no longer the one that the next start will open.

        What is written into a file that was removed, or that another was put in the place of, is lost.
        """
        if self._file_at_path() != self._file:
            raise sqlite3.OperationalError("its file was removed or replaced while it was open: start anew")

    def wait_at_most(self, locked_s: float) -> None:
        """Set how long the next transaction waits for who holds the database; to within half a second."""
        locked_s = max(0.0, locked_s)
        if abs(locked_s - self._locked_s) > LOCKED_STEP_S or (locked_s == 0) != (self._locked_s == 0):
            self._locked_s = locked_s
            self.db.execute(f"PRAGMA busy_timeout = {round(locked_s * 1000)}")

    def transaction(self) -> AbstractContextManager[None]:
        return self._part if self._grouped else self._whole()

    @contextmanager
    def _whole(self) -> Iterator[None]:
        if self.db.in_transaction:  # one within another is part of it, and fails with it
            yield
            return
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._check_file()
            self.db.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise

    @contextmanager
    def group(self) -> Iterator[None]:
        """Let the transactions within share one commit: on disk when the group ends without raising.

        None of them can be undone alone: where `is_spoilt`, leave it by raising, and do each again by itself.
        """
        assert not self._grouped
        self._grouped, self._begun, self._half_done = True, False, False
        try:
            yield
            self._check_file()
            if self.db.in_transaction:
                self.db.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        finally:
            self._grouped = False

    def begin_part(self) -> int:
        """Begin a transaction of a group; return what `end_part` is to be told."""
        if not self._begun:  # the first that writes: a group that only reads locks nothing
            self.db.execute("BEGIN IMMEDIATE")
            self._begun = True
        return self.db.total_changes

    def end_part(self, changes: int, failed: bool) -> None:
        if failed:  # a savepoint would undo it, but copies every page that is written
            self._half_done = self._half_done or self.db.total_changes != changes

    @property
    def is_spoilt(self) -> bool:
        """Return whether some of this group was done by half, or SQLite has rolled it back (a full disk)."""
        return self._half_done or (self._begun and not self.db.in_transaction)

    def _roll_back(self) -> None:
        if self.db.in_transaction:  # a full disk has rolled back already
            self.db.execute("ROLLBACK")

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Show one state of the database to all that is read; what others write meanwhile is not seen."""
        if self.db.in_transaction:  # of a group: that is one
            yield
            return
        self.db.execute("BEGIN")
        try:
            yield
        finally:
            self.db.execute("ROLLBACK")

    def run(self, query: str, **values: Any) -> int:
        """Execute a named query that writes; return the number of rows it changed."""
        return self.db.execute(self._queries[query], values).rowcount

    def one(self, query: str, **values: Any) -> Row | None:
        row: Row | None = self.db.execute(self._queries[query], values).fetchone()
        return row

    def each(self, query: str, **values: Any) -> Iterator[Row]:
        """Yield rows as they are asked for: of what may not fit into memory."""
        yield from self.db.execute(self._queries[query], values)

    def all(self, query: str, **values: Any) -> list[Row]:
        return self.db.execute(self._queries[query], values).fetchall()

    def close(self) -> None:
        self.db.close()


class _PartOfGroup:
    """One transaction after the other, or within another: a generator would cost more than a query."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._changes: list[int] = []  # when each began that has not ended

    def __enter__(self) -> None:
        self._changes.append(self._store.begin_part())

    def __exit__(self, kind: object, *_: object) -> None:
        self._store.end_part(self._changes.pop(), kind is not None)


def as_storage(store: Store) -> Storage:
    """Return it as a Storage, which mypy checks: whatever has these methods may take its place."""
    return store
