"""A backup is whole or is not there; what was in it is there again after a restore."""

import os
import threading
import time
from pathlib import Path

import pytest

from centre.commands import main
from centre.platform import signing
from centre.platform.home import Home
from centre.rules.incidents import read
from centre.work import buttons, event_log, presses, verify_log
from centre.work.core import Core, open_core
from tests.parts import database_at
from tests.unit.centre.parts import FIX, Hand, core_at

HAND = Hand()


class House:
    """A home with one button and its bridge."""

    def __init__(self, path: Path) -> None:
        self.home, self.at = Home(path), ("--home", str(path))
        self.core = core_at(self.home.path)
        self.key = signing.key_of(self.home)
        buttons.import_buttons(self.core, [HAND.registered])
        buttons.enrol(self.core, HAND.enrolment_code, None, None)
        self.bridge = buttons.all_bridges(self.core)[0].bridge_id

    def press(self, counter: int, core: Core | None = None) -> presses.Taken:
        return presses.take_alarm(core or self.core, self.bridge, read(HAND.alarm(counter, fix=FIX)))


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "home")


def test_what_was_backed_up_is_answered_as_before(house: House, tmp_path: Path) -> None:
    """The same press is the same incident; what came later is not there; the old database still is."""
    first = house.press(1)
    assert main(["backup", str(tmp_path / "b.sqlite"), *house.at]) == 0
    assert (tmp_path / "b.sqlite").stat().st_mode & 0o777 == 0o600
    later = house.press(2)
    house.core.store.close()
    assert main(["restore", str(tmp_path / "b.sqlite"), *house.at]) == 0

    core = core_at(house.home.path)
    again, anew = house.press(1, core), house.press(2, core)
    assert (again.known, again.incident_id) == (True, first.incident_id)
    assert not anew.known
    assert anew.incident_id != later.incident_id
    assert main(["verify-log", *house.at]) == 0
    (before,) = house.home.path.glob("centre.sqlite.before-????????")
    assert database_at(before).execute("SELECT count(*) FROM incidents").fetchone() == (2,)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_an_alarm_during_a_backup_is_in_it_or_not(house: House, tmp_path: Path) -> None:
    """None by halves: each incident has its receipt, its arrival and its entry."""
    stopping, counter = threading.Event(), 0

    def press_on() -> None:
        nonlocal counter
        core = open_core(house.home)  # of this thread
        while not stopping.is_set():
            counter += 1
            begun_s = time.monotonic()
            house.press(counter, core)
            # SQLite lets nobody queue: without a pause as long the backup might never come in between.
            time.sleep(time.monotonic() - begun_s)
        core.store.close()

    thread = threading.Thread(target=press_on)
    thread.start()
    try:
        for number in range(5):
            assert main(["backup", str(tmp_path / f"{number}.sqlite"), *house.at]) == 0
    finally:
        stopping.set()
        thread.join()
    for number in range(5):
        db = database_at(tmp_path / f"{number}.sqlite")
        counts = {
            db.execute(f"SELECT count(*) FROM {what}").fetchone()[0]  # noqa: S608
            for what in ("incidents", "alarms", "receipts", "fixes", "log WHERE kind = 'received'")
        }
        assert len(counts) == 1


def test_nothing_is_overwritten(house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A typing mistake costs no backup."""
    (tmp_path / "b.sqlite").write_text("precious")
    assert main(["backup", str(tmp_path / "b.sqlite"), *house.at]) == 2
    assert (tmp_path / "b.sqlite").read_text() == "precious"
    assert "exists already" in capsys.readouterr().err


def test_a_backup_that_cannot_be_written_is_one_sentence(
    house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And leaves nothing behind."""
    assert main(["backup", str(tmp_path / "nowhere/b.sqlite"), *house.at]) == 1
    assert capsys.readouterr().err.endswith("No such file or directory\n")
    assert not (tmp_path / "nowhere").exists()


def test_what_is_no_backup_of_ours_changes_nothing(
    house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Text, an empty database, a damaged one, one in use, another centre's: one sentence each."""
    good = tmp_path / "good.sqlite"
    assert main(["backup", str(good), *house.at]) == 0
    house.core.store.close()
    was = house.home.database.read_bytes()
    raw = good.read_bytes()

    text, empty, cut, used, other = (tmp_path / name for name in ("text", "empty", "cut", "used", "other"))
    text.write_text("not a database, but long enough to look at" * 100)
    empty.write_bytes(b"")
    cut.write_bytes(raw[: len(raw) // 2])
    used.write_bytes(raw)
    (tmp_path / "used-wal").write_bytes(b"x")
    stranger = House(tmp_path / "stranger")
    assert main(["backup", str(other), *stranger.at]) == 0
    newer = tmp_path / "newer"
    newer.write_bytes(raw)
    with database_at(newer) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    sentences = {
        text: "not a database",
        empty: "not a centre's database",
        cut: "whole database",
        used: "a database in use",
        other: "the sealing key of this home does not open it",
        newer: "made by a newer version",
        tmp_path / "missing": "No such file",
    }
    capsys.readouterr()
    for file, sentence in sentences.items():
        assert main(["restore", str(file), *house.at]) == 1, file
        told = capsys.readouterr().err
        assert sentence in told or "damaged" in told, (file, told)
        assert told.count("\n") == 1
        assert house.home.database.read_bytes() == was
    assert not list(house.home.path.glob(".centre*"))
    assert not list(house.home.path.glob("*before*"))


def test_a_changed_backup_is_restored_only_knowingly(house: House, tmp_path: Path) -> None:
    """Better a centre with a doubtful log than none; but somebody must have said so."""
    file = tmp_path / "b.sqlite"
    house.press(1)
    assert main(["backup", str(file), *house.at]) == 0
    with database_at(file) as db:
        db.execute("DROP TRIGGER log_is_only_erased")
        db.execute("UPDATE log SET actor = 'user:NOBODY' WHERE seq = 2")
    db.close()
    house.core.store.close()
    assert main(["restore", str(file), *house.at]) == 1
    assert not list(house.home.path.glob("*before*"))
    assert main(["restore", str(file), "--even-if-changed", *house.at]) == 0
    assert main(["verify-log", *house.at]) == 1


def test_nothing_is_restored_under_a_centre_that_serves(
    house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would go on writing into the old file."""
    assert main(["backup", str(tmp_path / "b.sqlite"), *house.at]) == 0
    lock = house.home.lock()
    assert main(["restore", str(tmp_path / "b.sqlite"), *house.at]) == 1
    assert "already serves" in capsys.readouterr().err
    os.close(lock)


def test_a_new_machine_needs_the_keys_first(
    house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without them nothing in the backup could be opened; with them everything goes on."""
    house.press(1)
    event_log.sign(house.core, house.key)
    assert main(["backup", str(tmp_path / "b.sqlite"), *house.at]) == 0
    new = Home(tmp_path / "new")
    for name in ("sealing.key", "log-signing.key"):
        assert main(["restore", str(tmp_path / "b.sqlite"), "--home", str(new.path)]) == 1
        assert f"{name} is missing" in capsys.readouterr().err
        new.write(name, (house.home.path / name).read_bytes())
    assert main(["restore", str(tmp_path / "b.sqlite"), "--home", str(new.path)]) == 0
    core = core_at(new.path)
    assert house.press(1, core).known
    assert list(verify_log.verify(core, house.key.public_key(), verify_log.Seen())) == []
