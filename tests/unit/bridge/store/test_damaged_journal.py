"""A damaged journal gives back every press that can be read, and never stops a start."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest

from bridge.model import Alive, Health, JournalContents, JournalReason, Press, Record, Waypoint
from bridge.rules.reception import Reception
from bridge.store.journal import Journal, read_contents
from tests.parts import seeds
from tests.unit.bridge.parts import dice
from wire.codes import ALARM

NAME = "A" * 16
NOW_MS = 1_790_000_000_000
FIX = {
    "lat": 50.8,
    "lon": 4.37,
    "radius_m": 5.0,
    "confidence": 95.0,
    "method": "GNSS",
    "taken_at": "2026-11-23T10:00:00.000Z",
}
PRESSES = [Press(NAME, ALARM, counter, NOW_MS - 1000 + counter, fix=FIX) for counter in range(1, 41)]
WAYPOINTS = [Waypoint(PRESSES[0].key, f"2026-11-23T10:00:{second:02d}.000Z", FIX) for second in range(1, 21)]
OTHERS: list[Record] = [
    Alive(NAME, 7, NOW_MS, 6, NOW_MS),
    Health(NAME, True, 3620, ("stuck",), (96.5, 1.5, 0.5)),
]
SECTOR = 512


@dataclass
class Image:
    """A journal's files as they lie on the disk; `name` is a suffix."""

    parts: dict[str, bytearray]

    @classmethod
    def of(cls, path: Path) -> "Image":
        """Read what is there now."""
        files = path.parent.glob(f"{path.name}*")
        return cls({file.name.removeprefix(path.name): bytearray(file.read_bytes()) for file in files})

    def put(self, path: Path, damage: Callable[[dict[str, bytearray]], None]) -> None:
        """Lay a damaged copy at `path`, in a folder of its own."""
        parts = {name: bytearray(part) for name, part in self.parts.items()}
        damage(parts)
        path.parent.mkdir()
        for name, part in parts.items():
            path.with_name(path.name + name).write_bytes(part)

    def bits(self) -> list[tuple[str, int]]:
        """Return each bit of the database and of its write-ahead log, by its part and number."""
        parts = [name for name in ("", "-wal") if name in self.parts]
        return [(name, bit) for name in parts for bit in range(8 * len(self.parts[name]))]

    def sectors(self) -> list[tuple[str, int]]:
        """Return each sector's part and offset."""
        return [(name, bit // 8) for name, bit in self.bits() if bit % (8 * SECTOR) == 0]


@pytest.fixture(scope="module", params=["closed", "killed"])
def image(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Image:
    """A journal of 40 waiting presses: after a clean end, or with its write-ahead log after a kill."""
    path = tmp_path_factory.mktemp("whole") / "journal.sqlite"
    journal = Journal(path)
    assert journal.write(*PRESSES[:20]) is None
    assert journal.write(*PRESSES, *WAYPOINTS, *OTHERS) is None
    if request.param == "killed":
        image = Image.of(path)
        image.parts.pop("-shm")
        journal.close()
        return image
    journal.close()
    return Image.of(path)


def rows_until_broken(path: Path) -> Iterator[tuple[Any, ...]]:
    """Yield what a plain SELECT gives before it fails."""
    with closing(sqlite3.connect(path)) as db:
        db.text_factory = lambda data: data.decode(errors="replace")
        for columns in ("*", "device_id, event, counter"):
            with contextlib.suppress(sqlite3.Error, UnicodeError):
                yield from db.execute(f"SELECT {columns} FROM press NOT INDEXED")  # noqa: S608 -- ours


def loaded(path: Path) -> JournalContents:
    """Start with the journal at `path`, and end; who holds the file is not waited for."""
    with closing(Journal(path, partial(sqlite3.connect, timeout=0, isolation_level=None))) as journal:
        return journal.load(NOW_MS)


def examine(image: Image, folder: Path, damage: Callable[[dict[str, bytearray]], None]) -> JournalContents:
    """Damage a copy, start with it, and check what must hold of every start."""
    image.put(folder / "plain" / "journal.sqlite", damage)
    plain = {row[:3] for row in rows_until_broken(folder / "plain" / "journal.sqlite")}
    readable = {press.key for press in PRESSES} & plain
    path = folder / "journal" / "journal.sqlite"
    image.put(path, damage)
    read_contents(path, NOW_MS)
    journal = Journal(path)
    contents = journal.load(NOW_MS)
    given = {press.key for press in contents.presses}
    assert readable <= given
    assert contents.reason in (None, JournalReason.CORRUPT)
    assert all(press.incident is None or press.stage for press in contents.presses)
    for health in contents.healths:
        Reception(*health.hearing)
    new = Press(NAME, ALARM, 1_000_000, NOW_MS)
    assert journal.write(new) in (None, JournalReason.CORRUPT)  # some damage shows only then
    assert journal.write() is None
    journal.close()
    after = loaded(path)
    assert after.reason is None
    assert {press.key for press in after.presses} == given | {new.key}
    return contents


def journal_at(path: Path, change: str) -> JournalContents:
    """Write a journal of 40 waiting presses, change it by `change`, and start with it."""
    journal = Journal(path)
    assert journal.write(*PRESSES, *WAYPOINTS, *OTHERS) is None
    journal.close()
    with closing(sqlite3.connect(path)) as db:
        db.executescript(change)
        db.commit()
    seen, contents = read_contents(path, NOW_MS), loaded(path)
    assert seen.unreadable == contents.unreadable
    return contents


def update(table: str, column: str, value: str, rowid: int = 1) -> str:
    """Return the statement that puts `value`, as SQL has it, in one field."""
    return f"UPDATE {table} SET {column} = {value} WHERE rowid = {rowid};"  # noqa: S608 -- our own words


def flip(name: str, bit: int) -> Callable[[dict[str, bytearray]], None]:
    """Return what turns one bit over."""

    def damage(parts: dict[str, bytearray]) -> None:
        parts[name][bit // 8] ^= 1 << bit % 8

    return damage


def overwrite(name: str, offset: int, data: bytes) -> Callable[[dict[str, bytearray]], None]:
    """Return what puts `data` in a sector's place."""

    def damage(parts: dict[str, bytearray]) -> None:
        parts[name][offset : offset + len(data)] = data

    return damage


def examine_sectors(image: Image, folder: Path, chance: Random, sectors: list[tuple[str, int]]) -> None:
    for number, (name, offset) in enumerate(sectors):
        for what, data in (("zero", bytes(SECTOR)), ("random", chance.randbytes(SECTOR))):
            examine(image, _folder(folder, f"{number}-{what}"), overwrite(name, offset, data))


def _folder(parent: Path, name: str) -> Path:
    folder = parent / name
    folder.mkdir()
    return folder


def test_a_damaged_name_of_a_column_costs_nothing(image: Image, tmp_path: Path) -> None:
    """One bit in the schema's text, `battery_mv` become `cattery_mv`: all presses are there."""

    def damage(parts: dict[str, bytearray]) -> None:
        parts[""][:] = parts[""].replace(b"battery_mv ", b"cattery_mv ")

    contents = examine(image, tmp_path, damage)
    assert contents.presses == PRESSES
    assert (contents.healths, contents.waypoints) == ([OTHERS[1]], WAYPOINTS)
    assert contents.unreadable == 0


def test_a_damaged_schema_of_another_table_costs_that_table_alone(image: Image, tmp_path: Path) -> None:
    """SQLite itself gives nothing of such a file to one who just asks."""

    def damage(parts: dict[str, bytearray]) -> None:
        parts[""][:] = parts[""].replace(b"CREATE TABLE health (", b"CREATE TABLE health )")

    contents = examine(image, tmp_path, damage)
    assert contents.presses == PRESSES
    assert contents.waypoints == WAYPOINTS


BAD_TEXT = "CAST(x'41ff42' AS TEXT)"


@pytest.mark.parametrize("column", ["fix", "incident", "last_event_id", "call_off", "pin", "proof"])
@pytest.mark.parametrize("value", [BAD_TEXT, "'{'", "x'00'", "1.5", "-1"])
def test_a_damaged_field_costs_no_press(tmp_path: Path, column: str, value: str) -> None:
    """Not even its own: the press still waits for its centre."""
    if (column, value) == ("proof", "x'00'"):
        value = "'no blob'"
    contents = journal_at(tmp_path / "journal.sqlite", update("press", column, value, 7))
    assert [press.key for press in contents.presses] == [press.key for press in PRESSES]
    assert [press for press in contents.presses if press.counter != 7] == [*PRESSES[:6], *PRESSES[7:]]
    assert contents.presses[6].call_off == ""


@pytest.mark.parametrize("column", ["age_s", "stage", "delivered", "follow_left_ms", "age_told"])
@pytest.mark.parametrize("value", [BAD_TEXT, "'x'", "x'00'", "1.5", "-1", "9223372036854775807"])
def test_a_number_that_is_none_costs_no_press(tmp_path: Path, column: str, value: str) -> None:
    """It is then as if nobody had said it yet."""
    contents = journal_at(tmp_path / "journal.sqlite", update("press", column, value, 7))
    assert contents.presses == PRESSES


def test_a_press_without_a_time_counts_as_heard_now(tmp_path: Path) -> None:
    """Not as heard in 1970."""
    contents = journal_at(tmp_path / "journal.sqlite", "UPDATE press SET heard_at_ms = 'x' WHERE counter = 7")
    assert contents.presses[6].heard_at_ms == NOW_MS


def test_an_incident_without_a_stage_is_asked_for_again(tmp_path: Path) -> None:
    """The centre has given both at once; a bit of the stage has gone."""
    change = "UPDATE press SET incident = 'i', stage = 0, proof = x'00' WHERE counter = 7"
    assert journal_at(tmp_path / "journal.sqlite", change).presses == PRESSES


def test_an_answer_that_is_damaged_is_asked_for_again(tmp_path: Path) -> None:
    """Incident, stage and proof belong together: the same press, posted once more, brings all three."""
    change = "UPDATE press SET incident = 'i', stage = 2, proof = x'00' WHERE counter = 7; "
    contents = journal_at(tmp_path / "journal.sqlite", change + update("press", "incident", BAD_TEXT, 7))
    assert contents.presses == PRESSES


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE waypoint SET fix = '{' WHERE rowid = 3",
        update("waypoint", "fix", BAD_TEXT, 3),
        "UPDATE waypoint SET fix = '[1]' WHERE rowid = 3",
        """UPDATE waypoint SET fix = '{"lat": "x"}' WHERE rowid = 3""",
        "UPDATE waypoint SET taken_at = 'yesterday' WHERE rowid = 3",
        "UPDATE waypoint SET event = 'x' WHERE rowid = 3",
    ],
)
def test_a_damaged_position_costs_itself_alone(tmp_path: Path, change: str) -> None:
    """Not a press, and no other position."""
    contents = journal_at(tmp_path / "journal.sqlite", change)
    assert contents.presses == PRESSES
    assert contents.waypoints == [*WAYPOINTS[:2], *WAYPOINTS[3:]]
    assert (contents.reason, contents.unreadable) == (JournalReason.CORRUPT, 1)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE health SET hearing = 'three two one'",
        "UPDATE health SET hearing = '0 0 0'",
        "UPDATE health SET hearing = '2 2 2'",
        "UPDATE health SET hearing = '1 2'",
        "UPDATE health SET battery_mv = 'full'",
        update("health", "faults", BAD_TEXT),
        "UPDATE alive SET counter = 'x'",
        "UPDATE alive SET heard_at_ms = -1",
    ],
)
def test_what_a_button_said_costs_no_press(tmp_path: Path, change: str) -> None:
    """Health and heartbeats are worth less than an alarm."""
    contents = journal_at(tmp_path / "journal.sqlite", change)
    assert (contents.presses, contents.waypoints) == (PRESSES, WAYPOINTS)
    for health in contents.healths:
        Reception(*health.hearing)


def test_a_lost_page_of_presses_costs_no_alarm(tmp_path: Path) -> None:
    """The index still names them: the centre, asked once more, knows what it has."""
    path = tmp_path / "journal.sqlite"
    journal = Journal(path)
    journal.write(*PRESSES)
    journal.close()
    with closing(sqlite3.connect(path)) as db:
        (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'press'").fetchone()
        (page_size,) = db.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((root - 1) * page_size)
        file.write(bytes(page_size))
    contents = loaded(path)
    assert {press.key for press in contents.presses} == {press.key for press in PRESSES}
    assert contents.unreadable == len(PRESSES)


def test_a_journal_that_somebody_holds_is_not_taken_for_a_damaged_one(tmp_path: Path) -> None:
    """It is read later, and nothing is set aside."""
    path = tmp_path / "journal.sqlite"
    journal = Journal(path)
    journal.write(*PRESSES)
    journal.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
        other.execute("BEGIN EXCLUSIVE")
        assert loaded(path).reason is JournalReason.UNWRITABLE
        other.execute("ROLLBACK")
    contents = loaded(path)
    assert (contents.presses, contents.reason) == (PRESSES, None)
    assert list(tmp_path.glob("*corrupt*")) == []


@pytest.mark.parametrize("moved", [0, 1, 2, 3])
def test_a_kill_while_a_damaged_journal_is_renewed_loses_nothing(tmp_path: Path, moved: int) -> None:
    """The new file is whole before the old one goes; the next start goes on from there."""
    path, new = tmp_path / "journal.sqlite", tmp_path / "new.sqlite"
    journal = Journal(new)
    journal.write(*PRESSES)
    journal.close()
    new.rename(tmp_path / "journal.sqlite.repaired")
    for suffix in ("-shm", "-wal", "")[moved:]:
        path.with_name(path.name + suffix).write_bytes(b"damaged" * 1000)
    contents = loaded(path)
    assert (contents.presses, contents.reason) == (PRESSES, None)


@pytest.mark.parametrize("seed", seeds(8, 30))
def test_one_flipped_bit_loses_no_press_that_can_be_read(image: Image, tmp_path: Path, seed: int) -> None:
    """Nor does it ever stop a start, or the next press from being kept."""
    examine(image, tmp_path, flip(*dice(seed).choice(image.bits())))


@pytest.mark.parametrize("bit", [*range(18 * 8, 19 * 8), *range(60 * 8, 64 * 8, 3)])
def test_a_damaged_header_keeps_no_press_from_being_written(image: Image, tmp_path: Path, bit: int) -> None:
    """It says that the file is read-only, or a newer bridge's: neither is so."""
    examine(image, tmp_path, flip("", bit))


@pytest.mark.parametrize("seed", seeds(3, 8))
def test_one_bad_sector_loses_no_press_that_can_be_read(image: Image, tmp_path: Path, seed: int) -> None:
    """Whether the disk gives zeros for it or anything else."""
    chance = dice(seed)
    examine_sectors(image, tmp_path, chance, [chance.choice(image.sectors())])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 1015))
def test_3000_flipped_bits_lose_no_press_that_can_be_read(image: Image, tmp_path: Path, seed: int) -> None:
    """The same for 100 in a row from each seed, on both kinds of journal."""
    bits = image.bits()
    for number, bit in enumerate(dice(seed).sample(bits, 100)):
        examine(image, _folder(tmp_path, str(number)), flip(*bit))


@pytest.mark.slow
def test_every_bad_sector_loses_no_press_that_can_be_read(image: Image, tmp_path: Path) -> None:
    """Each in turn, zeroed and random."""
    examine_sectors(image, tmp_path, dice(1), image.sectors())
