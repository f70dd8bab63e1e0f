"""The database grows with the program, and keeps what is in it."""

import contextlib
import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from centre.platform.sealing import Sealer, new_key
from centre.rules.incidents import read, read_fixes
from centre.store import MIGRATIONS, OtherVersion, Store
from centre.work import board as desk
from centre.work import buttons, presses, verify_log
from centre.work.core import Core
from tests.unit.centre.parts import FIX, Hand, signed_in, store_at
from wire import codes, receipts

HAND = Hand()
# A file of the schema that is out is never changed: a database that was made by it would be refused. Add one.
# Until 0.1.0 is out, the first one may still change, and its hash here with it.
SHA256 = {"schema.sql": "74772f3f50d8d5441069cd3f81d1e80c38de7a5e664ce39809ecde9e908183e8"}


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "centre.sqlite")


@pytest.fixture
def sealer() -> Sealer:
    return Sealer(new_key())


@pytest.fixture
def filled(path: str, sealer: Sealer) -> Iterator[Core]:
    """Yield a centre's database of this version: a button, its bridge, two alarms, one of them taken."""
    core = Core(store_at(path), sealer, lambda: 1_000.0)
    buttons.import_buttons(core, [HAND.registered])
    bridge = buttons.bridge_of(core, str(buttons.enrol(core, HAND.enrolment_code, None, None)["token"]))
    first, _ = (presses.take_alarm(core, bridge, read(HAND.alarm(counter))) for counter in (1, 2))
    presses.add_fixes(core, bridge, first.incident_id, read_fixes({"fixes": [FIX]}))
    desk.advance(core, signed_in(core), first.incident_id, receipts.ACKNOWLEDGED)
    yield core
    core.store.close()


def next_version(folder: Path, script: str) -> tuple[Path, ...]:
    """Return the list of files of a version that comes after this one."""
    (folder / "next.sql").write_text(script)
    return (*MIGRATIONS, folder / "next.sql")


def test_a_file_of_the_schema_that_is_out_is_not_changed() -> None:
    """Else a database that was made by it is another one, with the same number."""
    assert {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in MIGRATIONS} == SHA256


def test_the_next_version_takes_a_database_over_whole(
    filled: Core, path: str, sealer: Sealer, tmp_path: Path
) -> None:
    """All that was there is there, what is new can be used, the log is as it was written and goes on."""
    before = [
        row
        for row in filled.store.db.iterdump()
        if row.startswith("INSERT INTO") and "schema_files" not in row
    ]
    script = (
        "ALTER TABLE incidents ADD COLUMN dispatcher TEXT;\nCREATE TABLE patrols (patrol_id TEXT) STRICT;"
    )
    core = Core(Store(path, migrations=next_version(tmp_path, script)), sealer, lambda: 2_000.0)
    columns = [row["name"] for row in core.store.db.execute("PRAGMA table_info(incidents)")]
    assert columns[-1] == "dispatcher"
    after = list(core.store.db.iterdump())
    assert all(row in after for row in before if "incidents" not in row)
    assert core.store.db.execute("SELECT count(*), count(dispatcher) FROM incidents").fetchone()[:] == (2, 0)
    assert core.store.db.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS) + 1
    buttons.revoke_button(core, HAND.device_id)
    assert list(verify_log.verify(core, Ed25519PrivateKey.generate().public_key(), verify_log.Seen())) == []
    assert core.store.db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    assert core.store.db.execute("PRAGMA foreign_key_check").fetchall() == []
    core.store.close()
    with pytest.raises(OtherVersion, match="newer"):
        Store(path)


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("CREATE TABLE devices (something TEXT);", "already exists"),
        ("UPDATE log SET at_ms = 0;", "append-only"),
        ("DELETE FROM log;", "append-only"),
    ],
)
def test_a_version_that_cannot_take_it_over_leaves_it_as_it_was(
    filled: Core, path: str, tmp_path: Path, statement: str, why: str
) -> None:
    """It is one transaction, and the log is append-only for it, too: this version can still use it."""
    before = list(filled.store.db.iterdump())
    migrations = next_version(tmp_path, f"CREATE TABLE patrols (patrol_id TEXT);\n{statement}")
    with pytest.raises(sqlite3.Error, match=why):
        Store(path, migrations=migrations)
    assert list(filled.store.db.iterdump()) == before
    Store(path).close()


def test_a_database_made_by_another_text_of_a_file_is_refused(path: str, tmp_path: Path) -> None:
    """A file that was edited after it was used: the numbers are the same, the tables may not be."""
    migrations = next_version(tmp_path, "CREATE TABLE patrols (patrol_id TEXT) STRICT;")
    Store(path, migrations=migrations).close()
    Store(path, migrations=migrations).close()
    with pytest.raises(OtherVersion, match="never released"):
        Store(path, migrations=next_version(tmp_path, "CREATE TABLE patrols (patrol TEXT) STRICT;"))


def test_the_stage_of_an_incident_is_a_law_of_the_database(filled: Core) -> None:
    """It follows the receipts, whoever writes them, and never goes back."""
    store = filled.store
    for stage in (4, 3):
        store.db.execute(
            "INSERT INTO receipts (incident_id, stage, proof, at_ms) SELECT incident_id, ?, x'00', 12"
            " FROM incidents WHERE counter = 2",
            (stage,),
        )
    incident = store.one("incident_of_press", device_id=HAND.device_id, event=codes.ALARM, counter=2)
    assert incident is not None
    assert incident["stage"] == receipts.CLOSED


def copied(path: Path) -> None:
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    copy.replace(path)


@pytest.mark.parametrize(
    "befall", [Path.unlink, copied, lambda path: path.parent.rename(path.parent.with_name("elsewhere"))]
)
def test_what_the_next_start_would_not_find_is_not_said_to_be_on_disk(
    tmp_path: Path, befall: Callable[[Path], object]
) -> None:
    """The file under an open database is removed, replaced by a copy, or moved with its home: it refuses."""
    home = tmp_path / "home"
    home.mkdir()
    store = Store(str(home / "centre.sqlite"))
    befall(home / "centre.sqlite")
    with pytest.raises(sqlite3.OperationalError, match="removed or replaced"), store.transaction():
        store.db.execute("INSERT INTO schema_files VALUES (9, '')")
    with pytest.raises(sqlite3.OperationalError, match="removed or replaced"), store.group():
        pass
    assert store.db.execute("SELECT count(*) FROM schema_files").fetchone()[0] == len(MIGRATIONS)
    store.close()


@pytest.mark.parametrize("grouped", [False, True])
def test_a_transaction_within_another_is_part_of_it(path: str, grouped: bool) -> None:
    """Where the outer one fails, the inner one is undone with it; else both are on disk at once."""
    store = store_at(path)

    def both(fails: bool) -> None:
        with store.group() if grouped else contextlib.nullcontext():
            with store.transaction():
                store.run("set_tally", kind="outer", why="", waiting=1, noted_at_ms=1)
                with store.transaction():
                    store.run("set_tally", kind="inner", why="", waiting=1, noted_at_ms=1)
                if fails:
                    raise ValueError
            assert not store.is_spoilt

    with pytest.raises(ValueError):  # noqa: PT011 -- our own
        both(fails=True)
    assert store.all("tallies_waiting") == []
    both(fails=False)
    assert {row["kind"] for row in store.all("tallies_waiting")} == {"outer", "inner"}


def test_a_reader_that_stayed_leaves_no_large_file_behind(path: str) -> None:
    """The write-ahead log grows while it reads; when it has gone, the next writes make it small again."""
    store, log = Store(path), Path(f"{path}-wal")

    def write(count: int) -> None:
        for _ in range(count):
            with store.transaction():
                store.db.execute("UPDATE schema_files SET sha256 = hex(randomblob(100000))")

    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM schema_files").fetchone()
        write(50)
        assert log.stat().st_size > 8 << 20
    write(3)
    assert log.stat().st_size <= 4 << 20
    store.close()
