"""What the centre knows of people goes when its term is over; and only then, and not unnoticed."""

import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from centre.platform.pin_hashing import Verdict
from centre.rules import access
from centre.rules import retention as rules
from centre.rules.incidents import CallOff, read
from centre.rules.refusals import Refused
from centre.store import Store
from centre.work import board, event_log, figures, presses, retention, verify_log
from centre.work.core import Core
from tests.parts import database_at
from tests.unit.centre.parts import signed_in
from tests.unit.centre.work.parts import DAY_MS, HAND, Night
from wire import codes

POSITIONS_DAYS, INCIDENTS_DAYS = 6, 12


class Year(Night):
    """A centre that keeps things for days only."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.key = Ed25519PrivateKey.generate()

    def days(self, count: int) -> None:
        """The centre runs for so long, and does each day what it does by itself."""
        for _ in range(count):
            self.now_ms += DAY_MS
            event_log.sign(self.core, self.key)
        self.erase()

    def erase(self) -> None:
        while retention.erase_due(self.core, POSITIONS_DAYS, INCIDENTS_DAYS):
            pass
        retention.forget(self.core)

    def count(self, table: str) -> int:
        return int(self.core.store.db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608

    def on_disk(self) -> bytes:
        return b"".join(path.read_bytes() for path in sorted(self.path.parent.glob("centre.sqlite*")))

    def facts(self, kind: str) -> list[dict[str, Any]]:
        """What the entries of that kind tell, where they still do."""
        rows = [row for row in self.core.store.all("log_entries") if row["kind"] == kind and row["sealed"]]
        return [event_log.told(self.core, row).facts for row in rows]

    def findings(self) -> list[str]:
        return list(verify_log.verify(self.core, self.key.public_key(), verify_log.Seen()))


@pytest.fixture
def year(tmp_path: Path) -> Year:
    return Year(tmp_path / "centre.sqlite")


def test_positions_go_first_and_the_chain_still_verifies(year: Year) -> None:
    """Where the person went is gone; that there was a press, and what operators did, is still there."""
    incident_id = year.whole()
    year.days(POSITIONS_DAYS - 1)
    assert year.count("fixes") == 3
    year.days(2)
    assert (year.count("fixes"), year.count("alarms"), year.count("acts")) == (0, 1, 3)
    told = event_log.of_incident(year.core, incident_id)
    assert [entry.entry.kind for entry in told if entry.content is None] == ["received", "fixes"]
    erased = told[-1]
    assert (erased.entry.kind, erased.entry.actor) == ("erased", "centre")
    assert (erased.facts["why"], erased.facts["fixes"]) == ("positions_term", 3)
    assert year.findings() == []


def test_incidents_go_next_and_only_the_press_stays(year: Year) -> None:
    """Figures without a name are kept; the log tells what was erased, and why."""
    incident_id = year.whole()
    year.days(INCIDENTS_DAYS + 1)
    assert [year.count(table) for table in retention.TABLES] == [0] * len(retention.TABLES)
    assert year.count("receipts") == 4
    (outcome,) = year.core.store.db.execute("SELECT * FROM outcomes").fetchall()
    assert (outcome["month"], outcome["event"], outcome["reason"]) == ("2025-11", codes.ALARM, "real")
    assert (outcome["acknowledged_ms"], outcome["dispatched_ms"]) == (0, 0)
    told = event_log.of_incident(year.core, incident_id)
    assert all(entry.content is None for entry in told if entry.entry.kind != "erased")
    assert told[-1].facts["why"] == "incident_term"
    assert year.findings() == []
    assert board.board(year.core).closed == []


def test_the_same_press_never_opens_a_second_incident(year: Year) -> None:
    """Also when it comes again long after its term; it is answered, with its proof, and nothing is kept."""
    incident_id = year.whole()
    year.days(INCIDENTS_DAYS + 1)
    assert year.press(1) == incident_id
    assert (year.count("incidents"), year.count("alarms"), year.count("fixes")) == (1, 0, 0)
    with pytest.raises(Refused):
        presses.try_pin(year.core, year.bridge, CallOff(HAND.device_id, 1, ""))


def test_open_incidents_are_never_erased(year: Year) -> None:
    """However old; nor one whose duress PIN nobody has seen."""
    year.press(1)
    closed = year.press(2)
    year.close(closed)
    year.call_off(closed, Verdict.DURESS, 2)
    year.days(3 * INCIDENTS_DAYS)
    assert (year.count("fixes"), year.count("alarms")) == (2, 2)


def test_tests_go_as_alarms_do(year: Year) -> None:
    """Nobody closes them: their term runs from their receipt."""
    presses.take_alarm(year.core, year.bridge, read(HAND.alarm(1, codes.TEST)))
    year.days(INCIDENTS_DAYS + 1)
    assert (year.count("alarms"), year.count("outcomes"), year.count("receipts")) == (0, 1, 1)


def test_how_long_a_press_took_outlives_it_by_its_age(year: Year) -> None:
    """Told after the press was posted: what is kept goes by when the hand pressed."""
    for age_s in (None, 40):
        taken = presses.take_alarm(year.core, year.bridge, read(HAND.alarm(1, codes.TEST, age_s=age_s)))
    year.days(INCIDENTS_DAYS + 1)
    (kept,) = year.core.store.db.execute("SELECT received_ms FROM outcomes").fetchall()
    assert (taken.known, kept["received_ms"]) == (True, 40_000)


def test_the_board_walks_nothing_that_was_erased(year: Year) -> None:
    """However long the past: each of its lists goes by an index of what is not erased."""
    values = {"alarm": codes.ALARM, "test": codes.TEST, "of_one_share": 3, "at_most": 5}
    values |= {"until_ms": 1, "ahead_ms": 2, "step_ms": 1}
    for query in ("untaken_alarms", "taken_alarms", "closed_alarms", "last_tests", "to_escalate"):
        plan = year.core.store.db.execute(
            f"EXPLAIN QUERY PLAN {year.core.store._queries[query]}", values
        ).fetchall()
        steps = [row["detail"] for row in plan if "incidents" in row["detail"] or " i " in row["detail"]]
        assert steps, query
        assert all("incidents_by_stage" in step for step in steps), f"{query}: {steps}"


def test_what_was_erased_is_gone_from_the_disk(year: Year) -> None:
    """Not only from the tables: no byte of it in the file or beside it."""
    year.follow(incident_id := year.press(phone={"model": "Unlikely Phone 9"}), 1)
    sealed = bytes(year.core.store.all("log_of_incident", incident_id=incident_id)[0]["sealed"])
    year.close(incident_id)
    assert b"Unlikely Phone 9" in year.on_disk()
    assert sealed in year.on_disk()
    year.days(INCIDENTS_DAYS + 1)
    assert b"Unlikely Phone 9" not in year.on_disk()
    assert sealed not in year.on_disk()


def test_a_clock_that_jumps_ahead_erases_nothing(year: Year) -> None:
    """Evidence must not go because a battery was empty."""
    year.whole()
    year.days(1)
    year.now_ms += 4000 * DAY_MS
    event_log.sign(year.core, year.key)
    year.erase()
    assert (year.count("fixes"), year.count("alarms")) == (3, 1)


def test_a_kill_in_the_middle_leaves_all_or_nothing(year: Year) -> None:
    """One transaction for tables and log: what is half done is not done."""
    year.whole()
    year.days(0)
    for _ in range(INCIDENTS_DAYS + 1):
        year.now_ms += DAY_MS
        event_log.sign(year.core, year.key)
    year.core.store.db.execute(
        "CREATE TEMP TRIGGER dies BEFORE INSERT ON main.log WHEN NEW.kind = 'erased' "
        "BEGIN SELECT raise(ABORT, 'killed'); END"
    )
    with pytest.raises(Exception, match="killed"):
        year.erase()
    assert (year.count("fixes"), year.count("alarms"), year.count("outcomes")) == (3, 1, 0)
    assert year.findings() == []
    year.core.store.db.execute("DROP TRIGGER dies")
    year.erase()
    assert (year.count("fixes"), year.count("outcomes")) == (0, 1)
    assert year.findings() == []


def test_losses_and_ended_sessions_have_a_term_too(year: Year) -> None:
    """Noted; not what is open, nor each person's last session, nor before the Institute has counted."""
    core, now_ms = year.core, year.now_ms
    signed_in(core), signed_in(core), signed_in(core, access.ADMINISTRATOR)
    run = core.store.db.execute
    for kind, ended_at_ms in (("phone_off", now_ms), ("battery_low", None)):
        run(
            "INSERT INTO losses (kind, device_id, began_at_ms, found_at_ms, ended_at_ms)"
            " VALUES (?, ?, 1, 1, ?)",
            (kind, HAND.device_id, ended_at_ms),
        )
    with core.store.transaction():
        event_log.note(core, "lost", "centre", device_id=HAND.device_id, loss="phone_off")
    sessions = year.count("sessions")
    year.days(20)

    def erase() -> tuple[int, int, int]:
        while retention.erase_records(core, 6, 12):
            pass
        return year.count("losses"), year.count("sessions"), year.count("invitations")

    users = run("SELECT count(DISTINCT user_id) FROM sessions").fetchone()[0]
    assert sessions > users
    assert erase() == (2, users, 0), "this month is not counted yet"
    year.now_ms += 40 * DAY_MS
    figures.make_all(core)
    event_log.sign(core, year.key)
    assert erase() == (1, users, 0)
    why = [fact["why"] for fact in year.facts("erased")]
    assert sorted(why) == ["losses_term", "sessions_term"]
    assert year.facts("lost") == []
    assert year.findings() == []


def test_an_incident_with_very_much_is_erased_little_by_little(year: Year) -> None:
    """No alarm waits for all its positions; each part is told in the log."""
    incident_id = year.whole()
    row = year.core.store.db.execute("SELECT * FROM fixes LIMIT 1").fetchone()
    columns = ", ".join(name for name in row.keys() if name not in ("fix_id", "taken_at_ms", "at_ms"))  # noqa: SIM118
    year.core.store.db.executemany(
        f"INSERT INTO fixes (taken_at_ms, {columns}) SELECT ?, {columns} FROM fixes LIMIT 1",  # noqa: S608
        [(n,) for n in range(1000)],
    )
    for n in range(300):
        with year.core.store.transaction():
            event_log.note(year.core, "fixes", "bridge:B", incident_id=incident_id, lat=n)
    for _ in range(POSITIONS_DAYS + 1):
        year.now_ms += DAY_MS
        event_log.sign(year.core, year.key)
    left = [year.count("fixes")]
    while retention.erase_due(year.core, POSITIONS_DAYS, INCIDENTS_DAYS):
        left.append(year.count("fixes"))
        assert left[-2] - left[-1] <= retention.ROWS_AT_ONCE_MAX
        assert year.findings() == []
    assert left[-1] == 0
    told = [entry.facts for entry in event_log.of_incident(year.core, incident_id)]
    assert sum(facts.get("fixes", 0) for facts in told if facts.get("why")) == 1003
    year.days(INCIDENTS_DAYS)
    kept = [entry for entry in event_log.of_incident(year.core, incident_id) if entry.content is not None]
    assert {entry.entry.kind for entry in kept} == {"erased"}
    assert year.findings() == []


def test_whoever_reads_for_long_makes_no_alarm_wait_for_the_emptied_log(year: Year) -> None:
    """A backup runs: emptying is put off, at once, and done the next time."""
    patient = Store(str(year.path), lambda path: sqlite3.connect(path, timeout=600, isolation_level=None))
    core = Core(patient, year.core.sealer, lambda: year.now_ms)
    reading = database_at(year.path, isolation_level=None)
    reading.execute("BEGIN")
    reading.execute("SELECT * FROM incidents").fetchall()
    year.whole()
    retention.forget(core)  # else it would wait for ten minutes
    assert year.path.with_name(year.path.name + "-wal").stat().st_size > 0
    reading.execute("ROLLBACK")
    retention.forget(core)
    assert year.path.with_name(year.path.name + "-wal").stat().st_size == 0
    assert patient.db.execute("PRAGMA busy_timeout").fetchone()[0] == 600_000
    reading.close()
    patient.close()


def test_all_that_hangs_on_an_incident_has_a_term(year: Year) -> None:
    """A new table that names incidents must say when it is erased."""
    db = year.core.store.db
    tables = [row["name"] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    hanging = {
        table
        for table in tables
        for key in db.execute(f"PRAGMA foreign_key_list({table})")
        if key["table"] == "incidents"
    }
    assert hanging - {"receipts", "incidents"} == set(retention.TABLES)


def test_half_the_days_must_have_been_signed() -> None:
    """Rounded up, so that a term of one day needs one."""
    assert [rules.signed_days_needed(days) for days in (1, 2, 3, 30, 365)] == [1, 1, 2, 15, 183]
    assert rules.over_before_ms(100 * DAY_MS, 30, None) is None
    assert rules.over_before_ms(100 * DAY_MS, 30, 80 * DAY_MS) == 70 * DAY_MS
    assert rules.over_before_ms(100 * DAY_MS, 30, 60 * DAY_MS) == 60 * DAY_MS


ERASER = """
import sys
from centre.platform.sealing import Sealer
from centre.store import Store
from centre.work import retention
from centre.work.core import Core
path, key, now_ms = sys.argv[1], bytes.fromhex(sys.argv[2]), int(sys.argv[3])
core = Core(Store(path), Sealer(key), lambda: now_ms)
while count := retention.erase_due(core, 6, 12):
    print(count, flush=True)
"""


@pytest.mark.slow
def test_killed_while_it_erases_nothing_is_half_erased(year: Year) -> None:
    """SIGKILL again and again, at any moment: the chain verifies after each, and in the end all is gone."""
    for counter in range(1, 121):
        year.whole(counter)
    for _ in range(INCIDENTS_DAYS + 1):
        year.now_ms += DAY_MS
        event_log.sign(year.core, year.key)
    arguments = (str(year.path), year.sealing_key.hex(), str(year.now_ms))
    by_chance, left = random.Random(7), [year.count("alarms")]
    for _ in range(8):
        eraser = subprocess.Popen([sys.executable, "-c", ERASER, *arguments], stdout=subprocess.PIPE)
        assert eraser.stdout
        eraser.stdout.readline()
        time.sleep(by_chance.uniform(0, 0.004))  # somewhere within the next ones
        eraser.kill()
        eraser.wait()
        eraser.stdout.close()
        assert year.findings() == []
        left.append(year.count("alarms"))
        erased = year.core.store.db.execute(
            "SELECT count(*) FROM incidents WHERE erased_at_ms IS NOT NULL"
        ).fetchone()[0]
        assert left[-1] + erased == left[0]
    assert left[1] < left[0]
    year.erase()
    assert (year.count("alarms"), year.count("fixes"), year.count("outcomes")) == (0, 0, 120)
    assert year.findings() == []
