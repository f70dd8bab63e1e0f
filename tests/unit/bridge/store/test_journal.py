"""The journal survives kills, a full disk and its own corruption, and keeps each press once."""

import contextlib
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bridge.model import Alive, Health, JournalContents, Press, Waypoint
from bridge.store import journal as journals
from bridge.store.journal import Journal, read_presses
from tests.parts import database_at
from tests.unit.bridge.parts import dice, journal_at, remount
from wire.codes import ALARM, TEST

NAME = "A" * 16
NOW_MS = 1_790_000_000_000
DAY_MS = 86_400_000


def press(counter: int, **changes: Any) -> Press:
    fields: dict[str, Any] = {"device_id": NAME, "event": ALARM, "heard_at_ms": counter}
    return Press(**(fields | {"counter": counter} | changes))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


def reopened(path: Path) -> tuple[list[Press], list[Alive], str | None]:
    journal = Journal(path)
    try:
        kept = journal.load(NOW_MS)
        return kept.presses, kept.alives, kept.reason
    finally:
        journal.close()


def test_what_was_written_is_there_after_a_restart(path: Path) -> None:
    """Presses with all their fields, and the highest alive counters."""
    full = press(
        2,
        age_s=30,
        age_is_lower_bound=True,
        age_told=True,
        fix={"lat": 1.5},
        incident="i",
        stage=2,
        proof=b"p" * 16,
        delivered=1,
    )
    alive = Alive(NAME, 7, 1000, 6, 900)
    journal = Journal(path)
    assert journal.write(press(1), full, alive) is None
    journal.close()
    assert reopened(path) == ([press(1), full], [alive], None)
    assert read_presses(path) == [press(1), full]
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "damage", ["UPDATE alive SET counter = 1 << 30", "UPDATE alive SET on_time_counter = 1 << 20"]
)
def test_a_damaged_counter_of_heartbeats_is_written_over_by_the_next(path: Path, damage: str) -> None:
    """SQLite sees nothing wrong in a number; one that is older takes nothing back all the same."""
    alive = Alive(NAME, 97, 1000, 97, 1000)
    journal = Journal(path)
    journal.write(alive)
    journal.write(Alive(NAME, 96, 900, 96, 900))
    assert reopened(path)[1] == [alive]
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute(damage)
    journal.write(later := Alive(NAME, 98, 1900, 98, 1900))
    journal.close()
    assert reopened(path)[1] == [later]


def test_a_press_is_kept_once_and_only_goes_forward(path: Path) -> None:
    """Rows written late or out of order take nothing back."""
    journal = Journal(path)
    journal.write(press(1, incident="i", stage=3, proof=b"3", delivered=2, last_event_id="9"))
    journal.write(press(1, heard_at_ms=50))
    journal.write(press(1, stage=2, proof=b"2", delivered=1))
    journal.write(press(1, event=TEST), press(1, age_s=20, age_told=True))
    journal.write(press(1, age_s=70, age_is_lower_bound=True))
    journal.close()
    (alarm, test), _, _ = reopened(path)
    assert (alarm.age_s, alarm.age_is_lower_bound, alarm.age_told) == (20, False, True)
    assert (alarm.incident, alarm.stage, alarm.proof, alarm.delivered) == ("i", 3, b"3", 2)
    assert (alarm.heard_at_ms, alarm.last_event_id, test.event) == (1, "9", TEST)


def test_what_a_button_said_and_positions_on_their_way_are_there_after_a_restart(path: Path) -> None:
    """Each position once, until it is sent; a button's last word of itself."""
    health = Health(NAME, True, 3620, ("stuck", "configuration"), (96.5, 1 / 3, 1e-30))
    first, second = (Waypoint(press(1).key, f"2026-11-23T10:00:0{n}.000Z", {"lat": n}) for n in (1, 2))
    journal = Journal(path)
    assert journal.write(press(1), Health(NAME), first, second, first, health) is None
    journal.write(Waypoint(first.key, first.taken_at, first.fix, sent=True))
    journal.close()
    kept = journal_at(path).load(NOW_MS)
    assert (kept.healths, kept.waypoints) == ([health], [second])


def test_a_pin_leaves_no_trace_once_it_is_at_the_centre(path: Path) -> None:
    """Neither in the journal nor in what SQLite keeps beside it; a kill before that keeps it for sending."""
    journal = Journal(path)
    journal.write(press(1, call_off="kept", pin="83410297"), press(2))
    journal.close()
    (waiting, _), _, _ = reopened(path)
    assert (waiting.call_off, waiting.pin) == ("kept", "83410297")
    assert "83410297" not in repr(waiting)
    journal = Journal(path)
    journal.load(NOW_MS)
    journal.write(press(1, call_off="done", follow_left_ms=5))
    for file in path.parent.iterdir():
        assert b"83410297" not in file.read_bytes(), file.name
    journal.write(press(1, call_off="kept", pin="83410297"))  # a row written late takes nothing back
    journal.close()
    (done, _), _, _ = reopened(path)
    assert (done.call_off, done.follow_left_ms, done.pin) == ("done", 5, None)


def test_what_is_long_over_is_forgotten_and_nothing_else(path: Path) -> None:
    """Not what the centre lacks, not the young, not what its code could bring in again."""
    far, month_ago_ms = 1000, NOW_MS - 31 * DAY_MS
    journal = Journal(path)
    old = {"heard_at_ms": month_ago_ms, "incident": "i"}
    journal.write(
        press(1, **old),
        press(2, **(old | {"incident": None})),
        press(3, **(old | {"heard_at_ms": NOW_MS - DAY_MS})),
        press(far - 200, **old),
        press(0x80000001, **old),
        press(far, **old),
    )
    journal.load(NOW_MS)
    journal.close()
    assert [each.counter for each in reopened(path)[0]] == [2, 3, far - 200, 0x80000001, far]


def test_a_journal_is_carried_over_to_the_next_version(path: Path) -> None:
    """Every row is there, and the step is done once."""
    journal = Journal(path)
    journal.write(press(7, incident="i", stage=2, proof=b"p"))
    db = journal._connect()
    for _ in range(2):
        journals._migrate(db, (*journals._MIGRATIONS, "ALTER TABLE press ADD COLUMN more INTEGER DEFAULT 5;"))
    assert db.execute("SELECT counter, stage, more FROM press").fetchall() == [
        {"counter": 7, "stage": 2, "more": 5}
    ]
    assert db.execute("PRAGMA user_version").fetchone() == {"user_version": 2}
    journal.close()


@pytest.mark.parametrize("seed", range(20))
def test_a_file_with_other_tables_never_stops_a_start(path: Path, seed: int) -> None:
    """As somebody else's program made it, or a bridge before the first release: it is kept aside."""
    chance = dice(seed)
    columns = ["device_id", "event", "counter", "heard_at_ms", "stage", "pin", "fix", "what"]
    with contextlib.closing(sqlite3.connect(path)) as db:
        for table in chance.sample(["press", "alive", "health", "waypoint"], chance.randint(1, 4)):
            names = chance.sample(columns, chance.randint(1, len(columns)))
            db.execute(f"CREATE TABLE {table} ({', '.join(names)})")
            db.execute(f"INSERT INTO {table} DEFAULT VALUES")
        db.execute(f"PRAGMA user_version = {chance.randint(0, 1)}")
        db.commit()
    presses, _, reason = reopened(path)
    assert (presses, reason) == ([], journals.CORRUPT)
    journal = Journal(path)
    assert journal.write(press(1)) is None
    journal.close()
    assert [each.counter for each in reopened(path)[0]] == [1]
    assert path.with_name("journal.sqlite.corrupt-1").exists()


def test_a_journal_of_a_newer_bridge_is_left_alone(path: Path) -> None:
    """It is neither changed nor thrown aside: the newer bridge may come back. What waits there is sent."""
    journal = Journal(path)
    journal.write(press(1))
    journal._connect().execute("ALTER TABLE press ADD COLUMN more INTEGER")
    journal._connect().execute("PRAGMA user_version = 99")
    journal.close()
    before = path.read_bytes()
    assert reopened(path) == ([press(1)], [], journals.UNWRITABLE)
    assert path.read_bytes() == before
    assert not path.with_name("journal.sqlite.corrupt-1").exists()


_WRITER = """
import sys
from pathlib import Path
from bridge.store.journal import Journal
from bridge.model import Press
journal = Journal(Path(sys.argv[1]))
for counter in range(1, 100_000):
    assert journal.write(Press("A" * 16, 1, counter, counter)) is None
    print(counter, flush=True)
"""


@pytest.mark.parametrize("seed", range(5))
def test_a_killed_writer_has_lost_nothing_that_it_said_was_kept(path: Path, seed: int) -> None:
    """SIGKILL at a random moment, again and again on one file."""
    chance = dice(seed)
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE)
    assert writer.stdout
    assert writer.stdout.readline() == b"1\n"
    time.sleep(chance.uniform(0, 0.15))
    writer.send_signal(signal.SIGKILL)
    rest, _ = writer.communicate()
    said = max([1, *(int(line) for line in rest.split(b"\n")[:-1])])
    presses, _, reason = reopened(path)
    assert reason is None
    counters = [each.counter for each in presses]
    assert counters == list(range(1, len(counters) + 1))
    assert len(counters) in (said, said + 1)  # committed, and killed before it could say so


def test_a_full_journal_keeps_rows_in_memory_and_writes_them_later(path: Path) -> None:
    """SQLite's own bound of pages stands for the disk's."""
    journal = Journal(path)
    journal.write(press(1))
    pages = journal._connect().execute("PRAGMA page_count").fetchone()["page_count"]
    journal._connect().execute(f"PRAGMA max_page_count = {pages}")
    many = [press(counter) for counter in range(2, 400)]
    assert journal.write(*many) == journals.DISK_FULL
    assert journal.pending == len(many)
    assert journal.write(press(400)) is None  # a new connection, a new bound: there is room again
    assert journal.pending == 0
    journal.close()
    assert [each.counter for each in reopened(path)[0]] == list(range(1, 401))


def test_a_full_disk_is_told_and_what_waited_is_written_when_there_is_room(small_disk: Path) -> None:
    """A real disk of 256 KiB, filled to the last byte by somebody else."""
    path = small_disk / "journal.sqlite"
    journal = Journal(path)
    assert journal.write(press(1)) is None
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    reasons = {journal.write(press(counter)) for counter in range(2, 200)}
    assert journals.DISK_FULL in reasons
    filler.unlink()
    assert journal.write(press(200)) is None
    journal.close()
    assert [each.counter for each in reopened(path)[0]] == list(range(1, 201))


def test_a_disk_that_is_full_from_the_start_is_told_as_that(small_disk: Path) -> None:
    """Somebody else has filled it before the bridge was started: make room, not: mend the disk."""
    path = small_disk / "journal.sqlite"
    path.touch()
    with (small_disk / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    journal = Journal(path)
    assert journal.load(NOW_MS).reason == journals.DISK_FULL
    assert journal.write(press(1)) == journals.DISK_FULL
    journal.close()
    (small_disk / "filler").unlink()
    assert journal.write() is None
    journal.close()
    assert [each.counter for each in reopened(path)[0]] == [1]


def test_a_disk_that_becomes_read_only_is_told_and_what_waited_is_written_later(small_disk: Path) -> None:
    """As Linux does to a disk with errors: every kind of row waits in memory until it can be written."""
    path = small_disk / "journal.sqlite"
    journal = Journal(path)
    assert journal.write(press(1)) is None
    journal.close()  # nobody may have a file open for writing while a disk is made read-only by hand
    remount(small_disk, "ro")
    point = Waypoint(press(2).key, "2026-11-23T10:00:00.000Z", {"lat": 1})
    called_off = press(2, call_off="kept", pin="4711")
    assert journal.write(called_off, Health(NAME, True), point) == journals.READ_ONLY
    remount(small_disk, "rw")
    assert journal.write() is None
    journal.close()
    kept = journal.load(NOW_MS)
    journal.close()
    assert (kept.presses, kept.healths, kept.waypoints) == (
        [press(1), called_off],
        [Health(NAME, True)],
        [point],
    )


@pytest.mark.parametrize("killed", [False, True])
def test_what_waits_on_a_disk_that_became_read_only_is_read(small_disk: Path, killed: bool) -> None:
    """After a clean end, and after a kill that left the write-ahead log: the press goes to the centre."""
    path = small_disk / "journal.sqlite"
    journal = Journal(path)
    journal.write(press(1))
    if killed:
        files = {file: file.read_bytes() for file in small_disk.iterdir()}
        journal.close()
        for file, content in files.items():
            file.write_bytes(content)
    else:
        journal.close()
    remount(small_disk, "ro")
    assert [each.counter for each in read_presses(path)] == [1]
    after = Journal(path)
    assert after.load(NOW_MS) == JournalContents(presses=[press(1)], reason=journals.READ_ONLY)
    assert after.write(press(2)) == journals.READ_ONLY
    remount(small_disk, "rw")
    assert after.write() is None
    after.close()
    assert [each.counter for each in reopened(path)[0]] == [1, 2]


def test_a_folder_that_is_not_there_is_told_and_survived(tmp_path: Path) -> None:
    """As when the disk is not mounted: rows wait in memory."""
    journal = Journal(tmp_path / "away" / "journal.sqlite")
    assert journal.load(NOW_MS) == JournalContents(reason=journals.READ_ONLY)
    assert journal.write(press(1)) == journals.READ_ONLY
    (tmp_path / "away").mkdir()
    assert journal.write() is None
    journal.close()
    assert reopened(tmp_path / "away" / "journal.sqlite")[0] == [press(1)]


@pytest.mark.parametrize("what", ["junk", "torn", "stranger"])
def test_a_corrupt_file_is_kept_aside_and_a_new_one_begun(path: Path, what: str) -> None:
    """Nothing is thrown away: somebody may read out of it what we could not."""
    _spoil(path, what)
    presses, _, reason = reopened(path)
    assert bool(presses) == (what == "torn")
    assert reason is journals.CORRUPT
    aside = path.with_name("journal.sqlite.corrupt-1")
    assert aside.exists()
    journal = Journal(path)
    assert journal.write(press(1000)) is None
    journal.close()
    assert reopened(path) == ([*presses, press(1000)], [], None)


def test_a_file_that_goes_bad_under_a_running_bridge_is_kept_aside(path: Path) -> None:
    """What is then written again from memory is in the new file."""
    journal = Journal(path)
    journal.write(press(1))
    journal.close()
    _spoil(path, "junk")
    assert journal.write(press(2)) == journals.CORRUPT
    assert journal.write(press(1)) is None
    journal.close()
    assert {each.counter for each in reopened(path)[0]} == {1, 2}
    _spoil(path, "junk")
    assert reopened(path)[2] == journals.CORRUPT
    assert path.with_name("journal.sqlite.corrupt-2").exists()


def test_a_position_that_cannot_be_read_costs_no_press(path: Path) -> None:
    """The alarm beside it still waits for its centre."""
    journal = Journal(path)
    journal.write(press(1, fix={"lat": 1.5}), press(2))
    journal.close()
    with database_at(path) as db:
        db.execute("UPDATE press SET fix = '{' WHERE counter = 1")
    db.close()
    assert reopened(path) == ([press(1), press(2)], [], None)


# -- damage -------------------------------------------------------------------------------------------------

WAITING = 40
SECTOR = 512


def waiting(path: Path) -> bytes:
    """Return a journal in which forty presses wait, beside all that else is in one."""
    journal = Journal(path)
    for counter in range(1, WAITING + 1):
        one = press(counter, heard_at_ms=NOW_MS - counter, fix={"lat": 50.85, "lon": 4.35, "radius_m": 12.0})
        point = Waypoint(one.key, f"2026-11-23T10:00:{counter:02d}.000Z", {"lat": 50.85})
        assert journal.write(one, point) is None
    journal.write(Health(NAME, True, 2900, ("stuck",), (3.0, 2.0, 0.5)), Alive(NAME, 7, NOW_MS, 7, NOW_MS))
    journal.close()
    return path.read_bytes()


def readable(path: Path) -> set[int]:
    """Return the counters of the presses that a plain SELECT gives, and that are still those of before."""
    counters: set[int] = set()
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as db:
        db.text_factory = bytes
        with contextlib.suppress(sqlite3.Error, UnicodeDecodeError):  # the latter of a column's name
            for device_id, event, counter, *_ in db.execute("SELECT * FROM press"):
                if device_id == NAME.encode() and event == ALARM and counter in range(1, WAITING + 1):
                    counters.add(counter)
    return counters


def loses_nothing_that_can_be_read(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    expected = readable(path)
    journal = Journal(path)
    contents = journal.load(NOW_MS)
    assert expected <= {each.counter for each in contents.presses}
    assert journal.write(press(WAITING + 1)) in (None, journals.CORRUPT)  # some damage shows only then
    assert journal.write() is None
    journal.close()
    again = journal.load(NOW_MS)
    journal.close()
    assert expected | {WAITING + 1} <= {each.counter for each in again.presses}
    for file in path.parent.iterdir():
        file.unlink()


def flipped(whole: bytes, seed: int) -> bytes:
    content, bit = bytearray(whole), dice(seed).randrange(len(whole) * 8)
    content[bit // 8] ^= 1 << bit % 8
    return bytes(content)


def test_one_flipped_bit_costs_no_press_that_can_be_read(path: Path) -> None:
    """Wherever it is: in a row, in another table, in the schema's text, in an index."""
    whole = waiting(path)
    for seed in range(50):
        loses_nothing_that_can_be_read(path, flipped(whole, seed))


@pytest.mark.slow
def test_three_thousand_flipped_bits_cost_no_press_that_can_be_read(path: Path) -> None:
    """The same, far more often."""
    whole = waiting(path)
    for seed in range(50, 3150):
        loses_nothing_that_can_be_read(path, flipped(whole, seed))


@pytest.mark.parametrize("kind", ["zeroed", "random"])
def test_one_bad_sector_costs_no_press_that_can_be_read(path: Path, kind: str) -> None:
    """Every third."""
    whole = waiting(path)
    for start in range(0, len(whole), SECTOR * 3):
        sector = bytes(SECTOR) if kind == "zeroed" else dice(start).randbytes(SECTOR)
        loses_nothing_that_can_be_read(path, whole[:start] + sector + whole[start + SECTOR :])


ODD = [None, -1, 2**40, 2**63 - 1, 0.5, "a word", "", "{", "[1]", b"bytes", b"\xff\xfe", "1 2", "0 0 0"]


@pytest.mark.parametrize("seed", range(60))
def test_an_odd_field_costs_no_press(path: Path, seed: int) -> None:
    """Any field of any row, of any type; only a row that does not say which press it is of is left out."""
    waiting(path)
    chance = dice(seed)
    odd = []
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA ignore_check_constraints = ON")
        for table in ("press", "alive", "health", "waypoint"):
            columns = [name for _, name, *_ in db.execute(f"PRAGMA table_info({table})")]
            column = chance.choice(columns)
            if table == "press" and column in ("device_id", "event", "counter"):
                odd.append(1)
            row = db.execute(f"SELECT min(rowid) FROM {table}").fetchone()  # noqa: S608 -- our own tables
            with contextlib.suppress(sqlite3.IntegrityError):  # NULL where the schema forbids it
                change = f"UPDATE {table} SET {column} = ? WHERE rowid = ?"  # noqa: S608
                db.execute(change, (chance.choice(ODD), *row))
        db.commit()
    journal = Journal(path)
    contents = journal.load(NOW_MS)
    journal.close()
    assert {each.counter for each in contents.presses} >= set(range(2, WAITING + 1))
    assert len(contents.presses) >= WAITING - len(odd)
    assert contents.unreadable <= 4
    assert contents.reason is (journals.CORRUPT if contents.unreadable else None)


def test_damage_under_a_running_bridge_costs_no_press_that_can_be_read(path: Path) -> None:
    """What waits is in the new file at once: a kill before memory has written it again takes nothing."""
    waiting(path)
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("ALTER TABLE press RENAME COLUMN fix TO odd")
    journal = Journal(path)
    assert journal.write(press(WAITING + 1)) is journals.CORRUPT
    journal.close()
    assert [each.counter for each in reopened(path)[0]] == list(range(1, WAITING + 1))
    assert journal.write() is None
    journal.close()
    assert [each.counter for each in reopened(path)[0]] == list(range(1, WAITING + 2))


def test_a_repair_that_was_killed_is_gone_on_with(path: Path) -> None:
    """Between any two of its steps: what was read is there, and the damaged file is kept."""
    whole = waiting(path)
    repaired = Path(f"{path}.repaired")
    repaired.write_bytes(whole)
    path.unlink()  # the damaged one was moved aside, the new one not yet into its place
    assert len(reopened(path)[0]) == WAITING
    assert not repaired.exists()
    repaired.write_bytes(path.read_bytes())
    path.write_bytes(b"damaged")  # nothing was moved yet
    assert len(reopened(path)[0]) == WAITING
    assert path.with_name("journal.sqlite.corrupt-1").read_bytes() == b"damaged"
    path.with_name("journal.sqlite.begun").write_bytes(b"half of one")
    path.write_bytes(b"damaged")
    assert reopened(path)[2] is journals.CORRUPT
    assert not path.with_name("journal.sqlite.begun").exists()


# -- a PIN on its way ----------------------------------------------------------------------------------

PIN = "135792"


def traces(path: Path) -> list[str]:
    return [file.name for file in path.parent.glob("journal*") if PIN.encode() in file.read_bytes()]


def test_a_pin_leaves_no_trace_though_somebody_reads_the_journal(path: Path) -> None:
    """A reader, such as `amr-bridge status`, delays no press; the next write clears what is left."""
    journal = Journal(path)
    journal.write(press(1, call_off="kept", pin=PIN))
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM press").fetchall()
        assert journal.write(press(1, call_off="done")) is None
        assert traces(path)
    journal.write(press(2))
    assert traces(path) == []
    journal.close()


def test_a_pin_leaves_no_trace_though_another_one_is_still_on_its_way(path: Path) -> None:
    """Each goes when its own answer comes."""
    journal = Journal(path)
    journal.write(press(1, call_off="kept", pin=PIN), press(2, call_off="kept", pin="2468"))
    journal.write(press(1, call_off="done"))
    assert traces(path) == []
    journal.close()


def test_a_pin_leaves_no_trace_after_a_kill(path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Killed between the answer's going to disk and the log's being emptied; the next start empties it."""
    journal = Journal(path)
    journal.write(press(1, call_off="kept", pin=PIN))
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA secure_delete = ON").fetchall()
        db.execute("UPDATE press SET call_off = 'done', pin = NULL")
        killed = tmp_path_factory.mktemp("killed") / path.name
        for file in path.parent.glob("journal*"):
            killed.with_name(file.name).write_bytes(file.read_bytes())
    journal.close()
    assert traces(killed)
    journal = Journal(killed)
    assert [each.call_off for each in journal.load(NOW_MS).presses] == ["done"]
    assert traces(killed) == []
    journal.close()


def _spoil(path: Path, what: str) -> None:
    if what == "junk":
        path.write_bytes(b"not a database at all" * 1000)
    elif what == "torn":
        journal = Journal(path)
        journal.write(*(press(counter) for counter in range(1, 500)))
        journal.close()
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    else:
        with database_at(path) as db:
            db.execute("CREATE TABLE press (a, b)")
        db.close()
