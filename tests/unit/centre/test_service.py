"""What the centre does with presses and people, in virtual time on SQLite in memory."""

import sqlite3
from pathlib import Path

import pytest

from centre import incidents
from centre.console.board import render
from centre.incidents import read
from centre.pins import hash_pin
from centre.refusals import Refused
from centre.sealing import Broken, Sealer, new_key
from centre.service import ENROLMENT_MS, Conflict, Service
from centre.store import Store, TooNew
from tests.unit.centre.parts import FIX, Hand
from wire import codes, receipts
from wire.keys import derive

HAND = Hand()
BAD_FIX = FIX | {"taken_at": "2026-11-23T10:00:09Z", "method": "CELL"}


class Clock:
    """Virtual time in ms."""

    def __init__(self) -> None:
        self.ms = 1_000_000.0

    def __call__(self) -> float:
        return self.ms


class World:
    """A service that knows one button, and the time it lives in."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.sealer = Sealer(new_key())
        self.service = Service(Store(":memory:"), self.sealer, self.clock)
        self.service.import_buttons([HAND.registered])

    def bridge(self, hand: Hand = HAND) -> str:
        """Another bridge of the button."""
        code = self.service.issue_enrolment(hand.device_id)
        assert code is not None
        token = self.service.enrol(code, None, None)["token"]
        return self.service.bridge_of(str(token))


@pytest.fixture
def world() -> World:
    return World()


def test_a_press_is_one_incident_however_often_it_comes(world: World) -> None:
    """The same press from two bridges, again and again: one incident, one RECEIVED."""
    bridges = [world.bridge(), world.bridge()]
    taken = [world.service.take_alarm(bridge, read(HAND.alarm(1))) for bridge in bridges * 3]
    assert {one.incident_id for one in taken} == {taken[0].incident_id}
    assert [one.known for one in taken] == [False, *[True] * 5]
    (incident,) = world.service.board().untaken
    assert incident.stages == [(receipts.RECEIVED, 1_000_000)]
    assert [arrival.bridge_id for arrival in incident.arrivals] == sorted(bridges)


def test_a_late_press_is_not_lost(world: World) -> None:
    """A press that arrives after a later one is an incident of its own."""
    bridge = world.bridge()
    for counter in (5, 2, codes.SPARE_FIRST + 3, 1):
        assert not world.service.take_alarm(bridge, read(HAND.alarm(counter))).known
    assert [incident.counter for incident in world.service.board().untaken] == [
        1,
        codes.SPARE_FIRST + 3,
        2,
        5,
    ]


def test_a_known_press_is_answered_with_its_highest_stage(world: World) -> None:
    """A bridge that comes back after a day learns what it missed."""
    bridge = world.bridge()
    first = world.service.take_alarm(bridge, read(HAND.alarm(1)))
    world.service.advance(first.incident_id, receipts.ACKNOWLEDGED)
    again = world.service.take_alarm(bridge, read(HAND.alarm(1)))
    assert (again.known, again.stage) == (True, receipts.ACKNOWLEDGED)
    assert HAND.believes(again.stage, 1, again.proof.hex())


def test_each_fix_names_its_bridge_and_source(world: World) -> None:
    """A second bridge adds its fix; a repeated one is not added twice."""
    first, second = world.bridge(), world.bridge()
    for bridge, fix in ((first, FIX), (first, FIX), (second, BAD_FIX)):
        world.service.take_alarm(bridge, read(HAND.alarm(1, fix=fix)))
    (incident,) = world.service.board().untaken
    seen = [(position.bridge_id, position.fix.method) for position in incident.positions]
    assert seen == [(second, "CELL"), (first, "GNSS")]


def test_an_alarm_is_acknowledged_once(world: World) -> None:
    """Two operators: the second is told that it is taken."""
    incident = world.service.take_alarm(world.bridge(), read(HAND.alarm(1))).incident_id
    first, second = (world.service.advance(incident, receipts.ACKNOWLEDGED) for _ in range(2))
    assert (first.now, second.now) == (True, False)
    (seen,) = world.service.board().taken
    assert [stage for stage, _ in seen.stages] == [receipts.RECEIVED, receipts.ACKNOWLEDGED]


def test_a_stranger_bridge_knows_no_button(world: World) -> None:
    """A bridge may speak only for the buttons it was enrolled for."""
    other = Hand(2)
    world.service.import_buttons([other.registered])
    bridge = world.service.bridge_of(str(world.service.enrol(other.enrolment_code, None, None)["token"]))
    with pytest.raises(Refused, match="unknown_device"):
        world.service.take_alarm(bridge, read(HAND.alarm(1)))
    incident = world.service.take_alarm(world.bridge(), read(HAND.alarm(1))).incident_id
    with pytest.raises(Refused, match="unknown_incident"):
        world.service.receipts_after(bridge, incident, 0)


def test_a_revoked_bridge_is_refused_and_its_buttons_are_named(world: World) -> None:
    """The phone of a thief: it sends and reads nothing more, but can still follow the button."""
    code = world.service.issue_enrolment(HAND.device_id)
    assert code is not None
    token = str(world.service.enrol(code, None, None)["token"])
    bridge = world.service.bridge_of(token)
    incident = world.service.take_alarm(bridge, read(HAND.alarm(1))).incident_id
    assert world.service.revoke_bridge(bridge) == [HAND.device_id]
    assert world.service.revoke_bridge("NOBODY") is None
    with pytest.raises(Refused, match="revoked"):
        world.service.bridge_of(token)
    assert world.service.receipts_after(bridge, incident, 0) is None


def test_a_revoked_button_is_stored_and_flagged(world: World) -> None:
    """It may be in her hand: nothing is refused, and an administrator sees it."""
    bridge = world.bridge()
    assert world.service.revoke_button(HAND.device_id)
    assert not world.service.take_alarm(bridge, read(HAND.alarm(1))).known
    assert world.service.board().untaken[0].device_revoked
    assert world.service.issue_enrolment(HAND.device_id) is None


def test_an_enrolment_code_works_once_and_for_seven_days(world: World) -> None:
    """Used, expired and unknown are told apart."""
    late = world.service.issue_enrolment(HAND.device_id)
    assert late is not None
    world.service.enrol(HAND.enrolment_code, None, None)
    for code, reason in ((HAND.enrolment_code, "enrolment_used"), ("NONE", "enrolment_unknown")):
        with pytest.raises(Refused, match=reason):
            world.service.enrol(code, None, None)
    world.clock.ms += ENROLMENT_MS
    with pytest.raises(Refused, match="enrolment_expired"):
        world.service.enrol(late, None, None)


def test_a_bridge_gets_keys_that_forge_no_receipt(world: World) -> None:
    """Neither root, K_receipt nor K_direct leaves the centre."""
    answer = str(world.service.enrol(HAND.enrolment_code, None, None))
    assert derive(HAND.root, "code").hex() in answer
    for secret in (HAND.root, derive(HAND.root, "receipt"), derive(HAND.root, "direct")):
        assert secret.hex() not in answer


def test_a_new_bridge_learns_the_press_counter(world: World) -> None:
    """The highest accepted one below the spare range, so that its prediction starts there."""
    bridge = world.bridge()
    for counter in (4, 3, codes.SPARE_FIRST + 1):
        world.service.take_alarm(bridge, read(HAND.alarm(counter)))
    answer = world.service.enrol(HAND.enrolment_code, None, None)
    assert "'counters': {'press': 4, 'alive': 0}" in str(answer)


def test_pins_are_kept_as_slow_salted_hashes(world: World) -> None:
    """Not as digits, and not the same twice."""
    hashes = hash_pin("271828"), hash_pin("271828")
    assert hashes[0] != hashes[1]
    assert "271828" not in hashes[0]
    world.service.enrol(HAND.enrolment_code, *hashes)
    assert (world.service.buttons()[0]["pin_hash"], world.service.buttons()[0]["duress_pin_hash"]) == hashes


def test_an_import_is_all_or_nothing(world: World) -> None:
    """One contradiction, and no line of the file is taken; the very same line is no contradiction."""
    thief = Hand(1).registered.__class__(HAND.device_id, bytes(32), "0" * 64, "button", "esp32")
    with pytest.raises(Conflict, match="another root"):
        world.service.import_buttons([Hand(2).registered, thief])
    assert world.service.import_buttons([HAND.registered, Hand(2).registered]) == (1, 1)


def test_an_enrolment_code_belongs_to_one_button(world: World) -> None:
    """Two lines with one code would enrol a bridge for the wrong button."""
    other = Hand(2).registered
    mixed = other.__class__(other.device_id, other.root, HAND.registered.enrolment_sha256, "button", "x")
    with pytest.raises(Conflict, match="another button"):
        world.service.import_buttons([mixed])
    with pytest.raises(Conflict, match="another button"):
        world.service.import_buttons(
            [
                other,
                Hand(3).registered.__class__(Hand(3).device_id, bytes(32), other.enrolment_sha256, "b", "x"),
            ]
        )
    assert len(world.service.buttons()) == 1


def test_tests_are_no_alarms_on_the_board(world: World) -> None:
    """A silent test shows in the quiet line alone."""
    world.service.take_alarm(world.bridge(), read(HAND.alarm(1, codes.TEST)))
    board = world.service.board()
    assert (board.untaken, board.taken, len(board.tests)) == ([], [], 1)


def test_a_sealed_root_opens_only_as_its_own(world: World) -> None:
    """Neither another key, nor another button's row, nor a changed byte opens it."""
    sealed = world.sealer.seal(HAND.device_id, HAND.root)
    assert HAND.root not in sealed
    assert world.sealer.unseal(HAND.device_id, sealed) == HAND.root
    for sealer, device_id, content in (
        (Sealer(new_key()), HAND.device_id, sealed),
        (world.sealer, Hand(2).device_id, sealed),
        (world.sealer, HAND.device_id, sealed[:-1] + bytes((sealed[-1] ^ 1,))),
        (world.sealer, HAND.device_id, b""),
    ):
        with pytest.raises(Broken):
            sealer.unseal(device_id, content)


def test_exactly_one_is_a_law_of_the_database(world: World) -> None:
    """Even a mistake of ours could not open two incidents for one press."""
    world.service.take_alarm(world.bridge(), read(HAND.alarm(1)))
    with pytest.raises(sqlite3.IntegrityError), world.service.store.transaction():
        world.service.store.run(
            "open_incident",
            incident_id="second",
            device_id=HAND.device_id,
            event=1,
            counter=1,
            now_ms=0,
            device_revoked=False,
        )


def test_a_full_database_loses_nothing(world: World) -> None:
    """SQLite has no page left: nothing is stored by halves, and with room the press is taken."""
    bridge, db = world.bridge(), world.service.store.db
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    db.execute(f"PRAGMA max_page_count = {pages}")
    counter = 0

    def press_on() -> None:
        nonlocal counter
        while True:
            counter += 1
            world.service.take_alarm(bridge, read(HAND.alarm(counter)))

    with pytest.raises(sqlite3.OperationalError, match="full"):
        press_on()
    assert not db.in_transaction
    shown = world.service.board()
    assert len(shown.untaken) + shown.hidden == counter - 1
    db.execute("PRAGMA max_page_count = 100000")
    assert not world.service.take_alarm(bridge, read(HAND.alarm(counter))).known


def test_the_file_outlives_the_program_and_refuses_a_newer_one(tmp_path: Path) -> None:
    """Opening again keeps everything; a database of a later version is not touched."""
    path = str(tmp_path / "x.sqlite")
    sealer, clock = Sealer(new_key()), Clock()
    first = Service(Store(path), sealer, clock)
    first.import_buttons([HAND.registered])
    first.store.close()
    store = Store(path)
    assert len(Service(store, sealer, clock).buttons()) == 1
    for pragma, value in (("journal_mode", "wal"), ("synchronous", 2), ("user_version", 2)):
        assert store.db.execute(f"PRAGMA {pragma}").fetchone()[0] == value
    store.db.execute("PRAGMA user_version = 99")
    store.close()
    with pytest.raises(TooNew):
        Store(path)


def test_the_wrong_sealing_key_is_noticed_at_once(world: World) -> None:
    """Not at the first press."""
    with pytest.raises(Broken):
        Service(world.service.store, Sealer(new_key()), world.clock)


def test_a_wrong_clock_never_refuses(world: World) -> None:
    """Heard tomorrow, or last year: the alarm is taken."""
    bridge = world.bridge()
    for counter, heard_at in enumerate(("2999-01-01T00:00:00Z", "1970-01-01T00:00:00Z"), 1):
        press = read(HAND.alarm(counter, heard_at=heard_at))
        assert press.dropped == []
        assert not world.service.take_alarm(bridge, press).known
    world.service.take_alarm(
        bridge, read(HAND.alarm(3, heard_at="1970-01-01T00:00:00Z", age_s=incidents.AGE_S_MAX))
    )
    assert "ALARM" in render(world.service.board())


def test_a_flood_from_one_button_hides_no_other(world: World) -> None:
    """Whoever has stolen one phone can send many alarms; another wearer's is on the page all the same."""
    other = Hand(2)
    world.service.import_buttons([other.registered])
    theirs, hers = world.bridge(), world.bridge(other)
    world.service.take_alarm(hers, read(other.alarm(1)))
    for counter in range(1, 301):
        world.service.take_alarm(theirs, read(HAND.alarm(counter)))
    shown = world.service.board()
    assert other.device_id in [incident.device_id for incident in shown.untaken]
    assert len(shown.untaken) <= 10
    assert len(shown.untaken) + shown.hidden == 301
