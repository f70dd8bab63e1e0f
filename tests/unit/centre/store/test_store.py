"""The database grows with the program, and keeps what is in it."""

import sqlite3
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import centre.store
from centre.platform.sealing import Sealer, new_key
from centre.rules.incidents import CloseReason, read, read_fixes
from centre.store import Store
from centre.work import board as desk
from centre.work import buttons, presses, verify_log
from centre.work.core import Core
from tests.unit.centre.parts import FIX, Hand, incidents_of, signed_in
from wire import codes, receipts

HAND = Hand()
SCHEMA_1 = Path(centre.store.__file__).with_name("schema.sql")


def version_1(path: str, sealer: Sealer) -> None:
    """A database as the first version made and filled it: a button, its bridge, two alarms, a test."""
    db = sqlite3.connect(path)
    db.executescript(SCHEMA_1.read_text("utf-8"))
    sealed = sealer.seal(HAND.device_id, HAND.root)
    db.execute(
        "INSERT INTO devices VALUES (?, 'button', 'esp32', ?, 0, 900, 17, ?, ?, 5, NULL)",
        (HAND.device_id, sealed, "scrypt$pin", "scrypt$duress"),
    )
    db.execute("INSERT INTO bridges VALUES ('BRIDGE22', 'token', 6, NULL)")
    db.execute("INSERT INTO bridge_devices VALUES ('BRIDGE22', ?)", (HAND.device_id,))
    db.execute("INSERT INTO enrolments VALUES ('code', ?, 9, 6, 'BRIDGE22')", (HAND.device_id,))
    for incident, event, counter, stages in (("a", 1, 1, (1, 2)), ("b", 1, 2, (1,)), ("c", 2, 3, (1,))):
        db.execute(
            "INSERT INTO incidents VALUES (?, ?, ?, ?, 10, 0)", (incident, HAND.device_id, event, counter)
        )
        db.execute(
            "INSERT INTO alarms VALUES (?, 'BRIDGE22', 'ble', 8, 0.5, 9, 64, 'Pixel', 10, 11, 3)", (incident,)
        )
        db.execute(
            "INSERT INTO fixes VALUES (NULL, ?, ?, 'BRIDGE22', 'GNSS', 50.5, 4.5, 18, 68, 9, 10)",
            (HAND.device_id, incident),
        )
        for stage in stages:
            db.execute("INSERT INTO receipts VALUES (NULL, ?, ?, x'00', 10)", (incident, stage))
    db.execute("PRAGMA user_version = 1")
    db.commit()
    db.close()


def test_a_database_of_version_1_is_taken_over_whole(tmp_path: Path) -> None:
    """Buttons, PINs, bridges, alarms, positions and receipts are all there, and what is new works on them."""
    path, sealer = str(tmp_path / "x.sqlite"), Sealer(new_key())
    version_1(path, sealer)
    core = Core(Store(path), sealer, lambda: 1_000.0)

    (button,) = buttons.all_buttons(core)
    assert (button["pin_hash"], button["duress_pin_hash"]) == ("scrypt$pin", "scrypt$duress")
    assert (button["alive_counter"], button["bridges"], button["capabilities"]) == (17, 1, None)
    (bridge,) = buttons.all_bridges(core)
    assert (bridge["bridge_id"], bridge["device_ids"]) == ("BRIDGE22", HAND.device_id)
    board = desk.board(core)
    assert [alarm.incident_id for alarm in board.untaken] == ["b"]
    assert [alarm.incident_id for alarm in board.taken] == ["a"]
    assert board.tests == [desk.SilentTest(HAND.device_id, 10)]
    (taken,) = incidents_of(core, board.taken)
    assert taken.stages == [(receipts.RECEIVED, 10), (receipts.ACKNOWLEDGED, 10)]
    assert taken.arrivals[0].model == "Pixel"
    assert (taken.latest[0].fix.lat, taken.latest[0].fix.marks) == (50.5, ())

    assert presses.take_alarm(core, "BRIDGE22", read(HAND.alarm(1))).stage == receipts.ACKNOWLEDGED
    assert presses.add_fixes(core, "BRIDGE22", "a", read_fixes({"fixes": [FIX]})).stored == 1
    assert desk.advance(core, signed_in(core), "a", receipts.CLOSED, reason=CloseReason.REAL).now
    assert [alarm.incident_id for alarm in desk.board(core).closed] == ["a"]
    tables = {row[0] for row in core.store.db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert {"call_offs", "pin_tries", "acts", "bridge_states", "button_states"} <= tables
    assert core.store.db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    assert core.store.db.execute("PRAGMA foreign_key_check").fetchall() == []


def test_a_database_that_grew_is_as_one_that_was_made_new(tmp_path: Path) -> None:
    """Table by table, index by index."""

    def shape(store: Store) -> list[tuple[str, ...]]:
        rows = store.db.execute("SELECT type, name, sql FROM sqlite_master ORDER BY type, name")
        return [tuple(row) for row in rows]

    version_1(str(tmp_path / "x.sqlite"), Sealer(new_key()))
    assert shape(Store(str(tmp_path / "x.sqlite"))) == shape(Store(":memory:"))


def test_the_stage_of_an_incident_is_a_law_of_the_database(tmp_path: Path) -> None:
    """It follows the receipts, whoever writes them, and never goes back."""
    path, sealer = str(tmp_path / "x.sqlite"), Sealer(new_key())
    version_1(path, sealer)
    store = Store(path)
    for stage in (4, 3):
        store.db.execute("INSERT INTO receipts VALUES (NULL, 'b', ?, x'00', 12)", (stage,))
    incident = store.one("incident_of_press", device_id=HAND.device_id, event=codes.ALARM, counter=2)
    assert incident is not None
    assert incident["stage"] == receipts.CLOSED


def test_a_database_of_version_2_keeps_its_call_offs_and_acts(tmp_path: Path) -> None:
    """As a pilot's would: opened by this version, and all of it is there; the log begins where it did."""
    path, sealer = str(tmp_path / "x.sqlite"), Sealer(new_key())
    version_1(path, sealer)
    db = sqlite3.connect(path)
    db.executescript(SCHEMA_1.with_name("schema-2.sql").read_text("utf-8"))
    db.execute("INSERT INTO call_offs VALUES ('a', 20, 21, 1, 21, NULL)")
    db.execute("INSERT INTO acts VALUES ('a', 3, NULL, 'patrol 7', 22)")
    db.execute("INSERT INTO bridge_states VALUES ('BRIDGE22', 23, 50, 'Pixel', '')")
    db.execute("PRAGMA user_version = 2")
    db.commit()
    db.close()
    core = Core(Store(path), sealer, lambda: 1_000.0)
    (call_off,) = core.store.db.execute("SELECT * FROM call_offs")
    (act,) = core.store.db.execute("SELECT * FROM acts")
    assert (call_off["incident_id"], call_off["duress"], act["note"]) == ("a", 1, "patrol 7")
    assert len(core.store.all("receipts", incident_id="a")) == 2
    key = Ed25519PrivateKey.generate().public_key()
    assert list(verify_log.verify(core, key, verify_log.Seen())) == []


def test_a_migration_that_fails_half_way_leaves_the_old_file_as_it_was(tmp_path: Path) -> None:
    """It is one transaction: the older program can still use it."""
    path = str(tmp_path / "x.sqlite")
    version_1(path, Sealer(new_key()))
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE log (something TEXT)")  # what version 5 is about to make
    db.commit()
    before = list(db.iterdump())
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        Store(path)
    assert list(db.iterdump()) == before
    assert db.execute("PRAGMA user_version").fetchone() == (1,)
    db.close()
