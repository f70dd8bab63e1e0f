"""The journal: what the bridge has heard, on disk before anything else is done with it.

Synchronous; the wiring gives it one thread. One row per press, whole, written again at each step:
rows only go forward (`journal.sql`), so what could not be written stays in `_pending` and is
written with the next row, late but right. The wiring's memory rules while the bridge runs; the
journal is what is left after a kill.
"""

import contextlib
import errno
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bridge.model import (
    Alive,
    CallOff,
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
from wire.codes import SPARE_FIRST

KEEP_MS = 30 * 86_400_000
BUSY_TIMEOUT_S = 5.0
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
    parts = Path(__file__).with_name("journal.sql").read_text(encoding="utf-8").split("-- name: ")[1:]
    return {name: body for name, _, body in (part.partition("\n") for part in parts)}


_SQL = _statements()
# PRAGMA user_version counts those that have been run. One that is out is never changed.
_MIGRATIONS = (_SQL["version 1"],)
# What reading raises of a file or a row that is not what the schema promises.
_UNREADABLE = (sqlite3.Error, OSError, TypeError, ValueError, LookupError)


def _open_for_reading(path: Path) -> sqlite3.Connection:
    """Open a journal that a bridge is writing, or that lies on a disk that takes nothing.

    Without its write-ahead log there, SQLite cannot read such a file but as one that never changes
    (sqlite.org/wal.html, "Read-Only Databases"). Raises sqlite3.Error.
    """
    for options in ("mode=ro", "mode=ro&immutable=1"):
        db = sqlite3.connect(f"{path.resolve().as_uri()}?{options}", uri=True)
        db.row_factory = _as_dict
        try:
            db.execute("PRAGMA schema_version").fetchall()
            return db
        except sqlite3.OperationalError as error:
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

    @property
    def pending(self) -> int:
        """Return how many rows are in memory alone; 0 when all is on disk."""
        return len(self._pending)

    def write(self, *rows: Record) -> JournalReason | None:
        """Put `rows` and all that is pending on disk; return None, or the reason why they wait in memory.

        Pending rows are bounded by the number of presses, devices and waypoints, for a later state of
        a row takes its earlier one's place.
        """
        for row in rows:
            identity, name, values = _statement(row)
            self._pending[identity] = (name, values)
        try:
            with self._transaction() as db:
                for name, values in self._pending.values():
                    db.execute(_SQL[name], values)
        except (sqlite3.Error, OSError) as error:
            return self._failed(error)
        self._note_pins()
        self._pending.clear()
        self._forget_pins()
        return None

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
            try:
                self._db.execute("PRAGMA busy_timeout = 0").fetchall()
                self._traces = bool(self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()["busy"])
            finally:
                self._db.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000:.0f}").fetchall()

    def load(self, now_ms: int) -> JournalContents:
        """Return all that is on disk, in the order in which it was heard, and what was wrong with it.

        What is over by 30 days at `now_ms` is forgotten.
        """
        reason = None
        for _ in range(2):  # a corrupt file is kept aside, and then an empty one answers
            try:
                db = self._connect()
                if db.execute("PRAGMA quick_check").fetchall() != [{"quick_check": "ok"}]:
                    reason = self._set_aside()
                    continue
                kept = _read(db, reason)
                self._pins = {press.key for press in kept.presses if press.pin}
                self._prune(now_ms)
                self._forget_pins()  # of a run that was killed
                return kept
            except _UNREADABLE as error:
                reason = self._failed(error)
                if reason != CORRUPT:
                    break
        return self._load_unwritable(reason)

    def _load_unwritable(self, reason: JournalReason | None) -> JournalContents:
        """Return what a journal that takes nothing gives all the same: presses wait in it, maybe."""
        with contextlib.suppress(*_UNREADABLE), closing(_open_for_reading(self._path)) as db:
            return _read(db, reason)
        return JournalContents(reason=reason)

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
        if isinstance(error, OSError):
            reason = DISK_FULL if error.errno == errno.ENOSPC else READ_ONLY
        elif isinstance(error, sqlite3.Error):
            reason = _REASONS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, UNWRITABLE)
            if reason == UNWRITABLE and self._is_full():  # its -shm file could not even be made
                reason = DISK_FULL
        else:
            reason = CORRUPT  # a row that is not what the schema promises
        if reason == CORRUPT:
            return self._set_aside()
        self.close()  # opened anew at the next write: the disk may have come back
        return reason

    def _is_full(self) -> bool:
        try:
            return shutil.disk_usage(self._path.parent).free == 0
        except OSError:
            return False

    def _set_aside(self) -> JournalReason:
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


def _migrate(db: sqlite3.Connection, migrations: tuple[str, ...] = _MIGRATIONS) -> None:
    version = db.execute("PRAGMA user_version").fetchone()["user_version"]
    if version > len(migrations):
        raise sqlite3.OperationalError("made by a newer bridge")
    if version < len(migrations):
        statements = "".join(migrations[version:])
        db.executescript(f"BEGIN IMMEDIATE; {statements} PRAGMA user_version = {len(migrations)}; COMMIT")


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


def _read(db: sqlite3.Connection, reason: JournalReason | None = None) -> JournalContents:
    return JournalContents(
        [_press(row) for row in db.execute(_SQL["presses"])],
        [Alive(**row) for row in db.execute(_SQL["alives"])],
        [_health(row) for row in db.execute(_SQL["healths"])],
        [_waypoint(row) for row in db.execute(_SQL["waypoints"])],
        reason,
    )


def read_presses(path: Path) -> list[Press]:
    """Return the presses in the journal of a bridge that may be running; none where it cannot be read."""
    try:
        with closing(_open_for_reading(path)) as db:
            return [_press(row) for row in db.execute(_SQL["presses"])]
    except _UNREADABLE:
        return []


def _as_dict(cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip((column[0] for column in cursor.description), row, strict=True))


def _press(row: dict[str, Any]) -> Press:
    # A damaged field costs itself alone, and not every press that waits here.
    row["call_off"] = CallOff(row["call_off"]) if row["call_off"] in set(CallOff) else CallOff.NONE
    try:
        row["fix"] = None if row["fix"] is None else json.loads(row["fix"])
    except ValueError:
        row["fix"] = None
    flags = {name: bool(row[name]) for name in ("age_is_lower_bound", "age_told")}
    return Press(**(row | flags))


def _health(row: dict[str, Any]) -> Health:
    faults, hearing = tuple(row["faults"].split()), tuple(map(float, row["hearing"].split()))
    return Health(row["device_id"], bool(row["low"]), row["battery_mv"], faults, hearing)


def _waypoint(row: dict[str, Any]) -> Waypoint:
    key = Key(row["device_id"], row["event"], row["counter"])
    return Waypoint(key, row["taken_at"], json.loads(row["fix"]))
