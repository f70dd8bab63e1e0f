"""The database, copied while it is in use, and taken back. Keys are not in it (docs/administrator.md)."""

import os
import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from centre.platform.drafts import draft
from centre.platform.home import Home
from centre.platform.sealing import Broken, Sealer
from centre.store import OtherVersion, Store
from centre.work import event_log, verify_log
from centre.work.core import Core

BESIDE = ("-wal", "-shm")  # what SQLite keeps beside a file in use
PATIENCE_S = 60.0  # SQLite lets nobody queue, and a busy centre comes first: no alarm waits for a backup


class NotWhole(Exception):
    """A file that is no whole database of this centre; the text is a sentence."""


def backup(home: Home, core: Core, to: Path, key: Ed25519PublicKey) -> list[str]:
    """One state of the database, whole and checked, under the name `to`, which must not be taken.

    What its log lacks: one sentence each. Raises NotWhole, FileExistsError, OSError, sqlite3.Error.
    """
    core.store.wait_at_most(PATIENCE_S)
    with core.store.transaction():
        event_log.note(core, "backed_up", event_log.COMMAND)
    with draft(home, to) as copied:
        with closing(sqlite3.connect(copied)) as copy:
            core.store.db.backup(copy)  # at one go: who writes meanwhile does not make it begin again
        findings = list(_check(copied, core.sealer, key))
        _to_disk(copied)
        to.hardlink_to(copied)  # and not `rename`, which would replace a file silently
    _to_disk(to.parent)
    return findings


def restore(home: Home, file: Path, sealer: Sealer, key: Ed25519PublicKey, *, anyway: bool) -> list[str]:
    """Put `file` in the database's place; the old one stays beside it. Nothing else may use the home.

    What its log lacks: one sentence each; unless `anyway`, then nothing was done.
    Raises NotWhole, OSError, sqlite3.Error.
    """
    for suffix in BESIDE:
        if file.with_name(file.name + suffix).exists():
            raise NotWhole(f"{file.name}{suffix} lies beside it: it is a database in use, and no backup")
    with draft(home, home.database) as copied:
        shutil.copyfile(file, copied)
        findings = list(_check(copied, sealer, key))
        if findings and not anyway:
            return findings
        _note_restored(copied, sealer)
        _to_disk(copied)
        _put_aside(home.database)
        copied.replace(home.database)
    _to_disk(home.path)
    return findings


def _check(file: Path, sealer: Sealer, key: Ed25519PublicKey) -> Iterator[str]:
    """Check a copy. Raises NotWhole where it cannot be used at all."""
    try:
        with closing(sqlite3.connect(file)) as raw:
            verdict = raw.execute("PRAGMA integrity_check(1)").fetchone()[0]
            version = raw.execute("PRAGMA user_version").fetchone()[0]
        if verdict != "ok":
            raise NotWhole(f"it is damaged: {verdict}")
        if version == 0:
            raise NotWhole("it is not a centre's database")
        store = Store(str(file))
    except OtherVersion as error:
        raise NotWhole(f"it {error}") from error
    except sqlite3.DatabaseError as error:
        raise NotWhole(f"it is not a whole database: {error}") from error
    try:
        yield from verify_log.verify(Core(store, sealer), key, verify_log.Seen())
    except Broken as error:
        raise NotWhole(f"the sealing key of this home does not open it: {error}") from error
    finally:
        store.close()


def _note_restored(file: Path, sealer: Sealer) -> None:
    store = Store(str(file))
    try:
        core = Core(store, sealer)
        with store.transaction():
            event_log.note(core, "restored", event_log.COMMAND)
            store.run("restore_direct_sessions")  # buttons are further than it knows
    finally:
        store.close()


def _put_aside(database: Path) -> None:
    """Keep the old one under another name. At a kill in between, the old one is still in its place."""
    if not database.exists():
        return
    try:
        with closing(sqlite3.connect(database)) as old:
            old.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error:
        pass  # it may be why we are here: it is kept as it is
    aside = database.with_name(f"{database.name}.before-{secrets.token_hex(4)}")
    aside.hardlink_to(database)
    for suffix in BESIDE:  # what is in them belongs to the old file; to the new one it would be damage
        beside = database.with_name(database.name + suffix)
        if beside.exists():
            beside.rename(aside.with_name(aside.name + suffix))


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
