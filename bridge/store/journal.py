"""The journal: what the bridge has heard, on disk before anything else is done with it.

Synchronous; the wiring gives it one thread. One row per press, whole, written again at each step:
rows only go forward (`journal.sql`), so what could not be written stays in `_pending` and is
written with the next row, late but right. The wiring's memory rules while the bridge runs; the
journal is what is left after a kill.
"""

import contextlib
import errno
import json
import os
import re
import shutil
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from bridge.model import (
    Health,
    JournalContents,
    JournalReason,
    Key,
    Press,
    Record,
    Waypoint,
    fix_to_keep,
)
from bridge.rules.expected_codes import BEHIND
from bridge.store import journal_rows
from wire.codes import SPARE_FIRST

KEEP_MS = 30 * 86_400_000
BUSY_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 1.0  # of who only looks; who writes holds nobody up for longer
_SUFFIXES = ("", "-wal", "-shm")

DISK_FULL, READ_ONLY = JournalReason.DISK_FULL, JournalReason.READ_ONLY
CORRUPT, UNWRITABLE = JournalReason.CORRUPT, JournalReason.UNWRITABLE
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
    """Read journal.sql, without its comments.

    SQLite keeps the text of each table: one flipped bit at a comment's end would make a comment of a column.
    """
    parts = Path(__file__).with_name("journal.sql").read_text(encoding="utf-8").split("-- name: ")[1:]
    named = (part.partition("\n") for part in parts)
    return {name: re.sub(r"[ ]*--.*", "", body) for name, _, body in named}


_SQL = _statements()
# PRAGMA user_version counts those that have been run. One that is out is never changed.
_MIGRATIONS = (_SQL["version 1"],)


# Python decodes SQLite's complaints, too, and they may quote what is no text.
_FAILURES = (sqlite3.Error, OSError, UnicodeDecodeError)


def _open_for_reading(path: Path) -> sqlite3.Connection:
    """Open a journal that a bridge is writing, or that lies on a disk that takes nothing.

    Without its write-ahead log there, SQLite cannot read such a file but as one that never changes
    (sqlite.org/wal.html, "Read-Only Databases"). Raises sqlite3.Error.
    """
    for options in ("mode=ro", "mode=ro&immutable=1"):
        db = sqlite3.connect(f"{path.resolve().as_uri()}?{options}", uri=True, timeout=READ_TIMEOUT_S)
        db.row_factory = _as_dict
        try:
            # So SQLite reads a file that was cut short, and one with a damaged line in its schema, too.
            db.execute("PRAGMA writable_schema = ON")
            db.execute("PRAGMA schema_version").fetchall()
            return db
        except (sqlite3.Error, UnicodeDecodeError) as error:
            db.close()
            refusal = error
    raise refusal


def _open(path: Path) -> sqlite3.Connection:
    if path.parent.is_dir():  # made by us and not by SQLite, whose files are readable by all (umask)
        path.touch(mode=0o600)
    return sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)


class Journal:
    """Keeps presses, their fixes on the way, and what buttons say, in one SQLite file. For one thread.

    `connect(path)` opens the file, with isolation_level None.
    """

    def __init__(self, path: Path, connect: Callable[[Path], sqlite3.Connection] = _open) -> None:
        self._path, self._open = path, connect
        self._db: sqlite3.Connection | None = None
        self._pending: dict[tuple[Any, ...], tuple[str, dict[str, Any]]] = {}
        self._pins: set[Key] = set()  # of presses whose PIN is on disk
        self._traces = True  # of PINs that are of no more use, maybe, in the write-ahead log
        self._repaired = Path(f"{path}.repaired")  # a whole new file, which is to take a damaged one's place

    @property
    def pending(self) -> int:
        """Return how many rows are in memory alone; 0 when all is on disk."""
        return len(self._pending)

    def write(self, *rows: Record) -> JournalReason | None:
        """Put `rows` and all that is pending on disk; return None, or the reason why they wait in memory.

        Pending rows are bounded by the number of presses, devices and waypoints, for a later state of
        a row takes its earlier one's place.
        """
        try:
            self._write(rows)
        except _FAILURES as error:
            return self._failed(error)
        return None

    def _write(self, rows: Iterable[Record]) -> None:
        """Write `rows` and all that is pending. Raises sqlite3.Error, OSError."""
        for row in rows:
            identity, name, values = _statement(row)
            self._pending[identity] = (name, values)
        with self._transaction() as db:
            for name, values in self._pending.values():
                db.execute(_SQL[name], values)
        self._note_pins()
        self._pending.clear()
        self._forget_pins()

    def _note_pins(self) -> None:
        for name, values in self._pending.values():
            if name == "keep_press":
                key = Key(values["device_id"], values["event"], values["counter"])
                self._traces |= key in self._pins
                (self._pins.add if values["pin"] else self._pins.discard)(key)

    def _forget_pins(self) -> None:
        """Leave no trace of a PIN that has gone to the centre.

        secure_delete does it in the database, this in the log beside it; while somebody else reads there, the
        next write does it.
        """
        if not self._traces or self._db is None:
            return
        with contextlib.suppress(sqlite3.Error):
            busy_ms = self._db.execute("PRAGMA busy_timeout").fetchone()["timeout"]
            try:
                self._db.execute("PRAGMA busy_timeout = 0").fetchall()
                self._traces = bool(self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()["busy"])
            finally:
                self._db.execute(f"PRAGMA busy_timeout = {busy_ms}").fetchall()

    def load(self, now_ms: int) -> JournalContents:
        """Return all that can be read, in the order in which it was heard, and what was wrong with it.

        A damaged file is kept aside, and a new one begun with what can be read of it. What is over by 30 days
        at `now_ms` is forgotten.
        """
        try:
            self._finish_repair()
            db = self._connect()
            contents = journal_rows.read(db, now_ms)
            is_sound = _is_sound(db)
        except _FAILURES as error:
            reason, is_sound = self._reason(error), False
            if reason is not CORRUPT:
                self.close()
                return replace(read_contents(self._path, now_ms), reason=reason)
            contents = read_contents(self._path, now_ms)
        if not is_sound or contents.unreadable:
            contents = self._repair(contents)
            if contents.reason is not CORRUPT:
                return contents
        self._pins = {press.key for press in contents.presses if press.pin}
        self._prune(now_ms)
        self._forget_pins()  # of a run that was killed
        return contents

    def _repair(self, contents: JournalContents) -> JournalContents:
        """Begin a new file with `contents`, and keep the damaged one aside.

        Whoever is killed meanwhile has lost nothing: the next run goes on. Where there is no room for a new
        file, the damaged one stays as it is.
        """
        self.close()
        begun = Path(f"{self._path}.begun")
        try:
            for suffix in _SUFFIXES:
                Path(f"{begun}{suffix}").unlink(missing_ok=True)
            with closing(type(self)(begun, self._open)) as journal:
                journal._write(journal_rows.records(contents))
            begun.replace(self._repaired)
            self._finish_repair()
        except _FAILURES as error:
            reason = self._reason(error)
            return replace(contents, reason=UNWRITABLE if reason is CORRUPT else reason)
        return replace(contents, reason=CORRUPT)

    def _finish_repair(self) -> None:
        """Put the new file in the damaged one's place, if there is a new one. Raises OSError."""
        if self._repaired.exists():
            self._move_aside()
            self._repaired.rename(self._path)

    def _prune(self, now_ms: int) -> None:
        values = {"before_ms": now_ms - KEEP_MS, "behind": BEHIND, "spare_first": SPARE_FIRST}
        with contextlib.suppress(sqlite3.Error), self._transaction() as db:  # it can wait
            db.execute(_SQL["prune"], values)

    def close(self) -> None:
        """Close the file; the next write opens it again."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def _connect(self) -> sqlite3.Connection:
        if self._db is None:
            self._db = db = self._open(self._path)
            db.row_factory = _as_dict
            db.execute("PRAGMA journal_mode = WAL").fetchall()
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA secure_delete = ON").fetchall()
            _migrate(db)
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

    def _failed(self, error: Exception) -> JournalReason:
        """Have the next write begin anew: the disk may have come back by then, or a new file is there."""
        reason = self._reason(error)
        self.close()
        if reason is CORRUPT:
            # Memory knows better when a press was heard, and of two moments the earlier one stays.
            return self._repair(read_contents(self._path, journal_rows.WALL_MS_MAX)).reason or CORRUPT
        return reason

    def _reason(self, error: Exception) -> JournalReason:
        if isinstance(error, UnicodeDecodeError):
            return CORRUPT
        if isinstance(error, OSError):
            return DISK_FULL if error.errno == errno.ENOSPC else READ_ONLY
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_READONLY and self._may_be_written():  # its damaged header alone says so
            return CORRUPT
        reason = _REASONS.get(code, UNWRITABLE)
        is_full = reason is UNWRITABLE and self._is_full()  # its -shm file could not even be made
        return DISK_FULL if is_full else reason

    def _may_be_written(self) -> bool:
        return self._path.exists() and all(os.access(it, os.W_OK) for it in (self._path, self._path.parent))

    def _is_full(self) -> bool:
        try:
            return shutil.disk_usage(self._path.parent).free == 0
        except OSError:
            return False

    def _move_aside(self) -> None:
        """Keep the file under another name; the next connection starts an empty one. Raises OSError.

        The log goes first: beside another database SQLite would take it for that one's.
        """
        number = 1
        while (aside := Path(f"{self._path}.corrupt-{number}")).exists():
            number += 1
        for suffix in reversed(_SUFFIXES):
            part = Path(f"{self._path}{suffix}")
            if part.exists():
                part.rename(f"{aside}{suffix}")


def _migrate(db: sqlite3.Connection, migrations: tuple[str, ...] = _MIGRATIONS) -> None:
    version = db.execute("PRAGMA user_version").fetchone()["user_version"]
    if version > len(migrations):
        if _schema(db) != _our_schema(migrations):
            raise sqlite3.OperationalError("made by a newer bridge")
        error = sqlite3.DatabaseError("a version that nobody has made: its number is damaged")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error
    if version < len(migrations):
        statements = "".join(migrations[version:])
        db.executescript(f"BEGIN IMMEDIATE; {statements} PRAGMA user_version = {len(migrations)}; COMMIT")


def _our_schema(migrations: tuple[str, ...]) -> list[dict[str, str]]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.row_factory = _as_dict
        db.executescript("".join(migrations))
        return _schema(db)


def _schema(db: sqlite3.Connection) -> list[dict[str, str]]:
    return db.execute("SELECT sql FROM sqlite_master ORDER BY rowid").fetchall()


def _is_sound(db: sqlite3.Connection) -> bool:
    """Return whether the file is whole, and SQLite understands each of our statements by its schema.

    Raises sqlite3.Error.
    """
    db.text_factory = bytes  # a complaint may quote what is no text
    try:
        verdict = db.execute("PRAGMA quick_check").fetchall()
    finally:
        db.text_factory = str
    nothing: dict[str, None] = defaultdict(lambda: None)
    for name, statement in _SQL.items():
        if not name.startswith("version"):
            db.execute(f"EXPLAIN {statement}", nothing).fetchall()
    return verdict == [{"quick_check": b"ok"}]


def _statement(row: Record) -> tuple[tuple[Any, ...], str, dict[str, Any]]:
    """Return `(identity, name, values)`: what writes `row`."""
    if isinstance(row, Press):
        values = asdict(row) | {"fix": None if row.fix is None else json.dumps(fix_to_keep(row.fix))}
        return row.key, "keep_press", values
    if isinstance(row, Waypoint):
        values = row.key._asdict() | {"taken_at": row.taken_at, "fix": json.dumps(fix_to_keep(row.fix))}
        return (*row.key, row.taken_at), "drop_waypoint" if row.sent else "keep_waypoint", values
    if isinstance(row, Health):
        return (
            ("health", row.device_id),
            "keep_health",
            asdict(row)
            | {
                "faults": " ".join(row.faults),
                "hearing": " ".join(map(str, row.hearing)),
            },
        )
    return ("alive", row.device_id), "keep_alive", asdict(row)


def read_presses(path: Path) -> list[Press]:
    """Return the presses in the journal of a bridge that may be running; none where it cannot be read."""
    return read_contents(path, 0).presses


def read_contents(path: Path, now_ms: int) -> JournalContents:
    """Return what can be read without writing anything; nothing where the file cannot even be opened."""
    try:
        with closing(_open_for_reading(path)) as db:
            return journal_rows.read(db, now_ms)
    except _FAILURES:
        return JournalContents()


def _as_dict(cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip((column[0] for column in cursor.description), row, strict=True))
