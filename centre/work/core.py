"""What all work of the centre has in hand: the store, the sealer, the clock, the event log. One thread.

The work itself is plain functions in `centre.work`, each with a Core first: `take_alarm(core, ...)`.
Whatever writes has it on disk when it returns, and has stored nothing when it raises.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TypeVar

from centre.platform import sealing
from centre.platform.home import CannotServe, Home
from centre.platform.log import now_ms
from centre.platform.sealing import Sealer
from centre.store import MIGRATIONS, OtherVersion, Row, Store, connect_alone, connect_shared

SEALING_KEY = "sealing.key"
T = TypeVar("T")


def typed(kind: type[T], row: Row) -> T:
    """Return a row as a dataclass, each field from the column of its name: no row leaves `work/`."""
    return kind(**{field.name: row[field.name] for field in fields(kind)})  # type: ignore[arg-type]


def content_name(seq: int) -> str:
    """Return what the content of a log entry is sealed as."""
    return f"log:{seq}"


class Core:
    def __init__(
        self, store: Store, sealer: Sealer, clock_ms: Callable[[], float] = now_ms, *, tells: bool = False
    ) -> None:
        """Open what all work has in hand. `tells`: somebody is told of incidents (work/webhook.py).

        Raises sealing.Broken where the sealing key is not the one the database was made with.
        """
        self.store, self.sealer, self.clock_ms, self.tells = store, sealer, clock_ms, tells
        if not self._opens():
            raise sealing.Broken("nothing that is sealed opens with it")

    def now_ms(self) -> int:
        return int(self.clock_ms())

    def _opens(self) -> bool:
        """Whether it is the key: a damaged row or two are no other key. The log, where no button is here."""
        samples = [(row["device_id"], row["root_sealed"]) for row in self.store.all("some_devices")] or [
            (content_name(row["seq"]), row["sealed"]) for row in self.store.all("some_contents")
        ]
        for name, sealed in samples:
            with contextlib.suppress(sealing.Broken):
                self.sealer.unseal(name, sealed)
                return True
        return not samples

    def root(self, device: Row) -> bytes:
        """Of a row with `device_id` and `root_sealed`. Raises sealing.Broken."""
        return self.sealer.unseal(device["device_id"], device["root_sealed"])


def open_core(
    home: Home,
    clock_ms: Callable[[], float] = now_ms,
    *,
    tells: bool = False,
    migrations: Sequence[Path] = MIGRATIONS,
    is_alone: bool = False,
) -> Core:
    """Open the store with its sealing key. Raises CannotServe; call it in the thread that will use it.

    `is_alone`: no other program uses it, so that nothing need be written to read it.
    """
    if home.database.exists() and not (home.path / SEALING_KEY).exists():
        raise CannotServe(f"{home.path / SEALING_KEY} is missing: the buttons' roots cannot be opened")
    key = home.secret(SEALING_KEY, sealing.new_key)
    try:
        home.make_database()
        with contextlib.ExitStack() as refused:
            connect = connect_alone if is_alone else connect_shared
            store = Store(str(home.database), connect, migrations)
            refused.callback(store.close)
            core = Core(store, Sealer(key), clock_ms, tells=tells)
            refused.pop_all()
            return core
    except (sealing.Broken, ValueError) as error:
        raise CannotServe(f"{home.path / SEALING_KEY} is the wrong key: {error}") from error
    except OtherVersion as error:
        raise CannotServe(f"{home.database} {error}: it is left as it is") from error
    except (sqlite3.Error, OSError) as error:
        raise CannotServe(f"cannot use {home.database}: {error}") from error


def is_older(home: Home, migrations: Sequence[Path] = MIGRATIONS) -> bool:
    """Return whether to open it is to take it over into this version's schema."""
    if not home.database.exists():
        return False
    with contextlib.closing(sqlite3.connect(home.database)) as db:
        version: int = db.execute("PRAGMA user_version").fetchone()[0]
    return version < len(migrations)


def open_reader(home: Home) -> Core:
    """Open a reader of what is committed: WAL locks no reader out. Nothing is written with it.

    In the loop's own thread for point queries, which take microseconds; in a thread for the others.
    """
    core = open_core(home)
    for pragma in ("query_only = ON", "busy_timeout = 0"):
        core.store.db.execute(f"PRAGMA {pragma}")
    return core
