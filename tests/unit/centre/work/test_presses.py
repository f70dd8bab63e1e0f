"""What the centre does with presses and people, in virtual time on SQLite in memory."""

import sqlite3
from pathlib import Path
from random import Random

import pytest

from centre.console.board_html import levels, render
from centre.platform.password_hashing import NOBODYS, hash_of
from centre.platform.sealing import Broken, Sealer, new_key
from centre.rules import fair_share, incidents, times
from centre.rules.incidents import CloseReason, read
from centre.rules.refusals import Refused
from centre.store import MIGRATIONS, OtherVersion, Store
from centre.work import board as desk
from centre.work import buttons, incident_sheet, positions, presses, webhook
from centre.work.buttons import ENROLMENT_MS, Conflict
from centre.work.core import Core
from tests.unit.centre.parts import FIX, Hand, incidents_of, store_at
from tests.unit.centre.work.parts import DAY_MS, HAND, Clock, World
from wire import codes, receipts
from wire.keys import derive

BAD_FIX = FIX | {"taken_at": "2026-11-23T10:00:09Z", "method": "CELL"}


@pytest.fixture
def world() -> World:
    return World()


def test_a_press_is_one_incident_however_often_it_comes(world: World) -> None:
    """The same press from two bridges, again and again: one incident, one RECEIVED."""
    bridges = [world.bridge(), world.bridge()]
    taken = [presses.take_alarm(world.core, bridge, read(HAND.alarm(1))) for bridge in bridges * 3]
    assert {one.incident_id for one in taken} == {taken[0].incident_id}
    assert [one.known for one in taken] == [False, *[True] * 5]
    (incident,) = incidents_of(world.core, desk.board(world.core).untaken)
    assert incident.stages == [(receipts.RECEIVED, 1_000_000)]
    assert [arrival.bridge_id for arrival in incident.arrivals] == bridges  # as they came


def test_a_late_press_is_not_lost(world: World) -> None:
    """A press that arrives after a later one is an incident of its own."""
    bridge = world.bridge()
    for counter in (5, 2, codes.SPARE_FIRST + 3, 1):
        assert not presses.take_alarm(world.core, bridge, read(HAND.alarm(counter))).known
    seen = incidents_of(world.core, desk.board(world.core).untaken)
    assert [incident.counter for incident in seen] == [5, 2, codes.SPARE_FIRST + 3, 1]


def test_a_known_press_is_answered_with_its_highest_stage(world: World) -> None:
    """A bridge that comes back after a day learns what it missed."""
    bridge = world.bridge()
    first = presses.take_alarm(world.core, bridge, read(HAND.alarm(1)))
    desk.advance(world.core, world.operator, first.incident_id, receipts.ACKNOWLEDGED)
    again = presses.take_alarm(world.core, bridge, read(HAND.alarm(1)))
    assert (again.known, again.stage) == (True, receipts.ACKNOWLEDGED)
    assert HAND.believes(again.stage, 1, again.proof.hex())


def test_each_fix_names_its_bridge_and_source(world: World) -> None:
    """A second bridge adds its fix; a repeated one is not added twice."""
    first, second = world.bridge(), world.bridge()
    for bridge, fix in ((first, FIX), (first, FIX), (second, BAD_FIX)):
        presses.take_alarm(world.core, bridge, read(HAND.alarm(1, fix=fix)))
    (incident,) = incidents_of(world.core, desk.board(world.core).untaken)
    seen = [(position.bridge_id, position.fix.method) for position in incident.latest]
    assert seen == [(second, "CELL"), (first, "GNSS")]


@pytest.mark.parametrize("has_age", [True, False])
@pytest.mark.parametrize("seed", range(20))
def test_the_newest_position_is_the_last_that_came_however_our_clock_is_set(
    world: World, seed: int, has_age: bool
) -> None:
    """Set back, set ahead, set ahead and back again: a phone that moves on is shown where it is."""
    draw, phone = Random(seed), world.bridge()
    incident = presses.take_alarm(world.core, phone, read(HAND.alarm(1))).incident_id
    world.clock.ms = true_ms = 1_790_000_000_000.0
    for number in range(1, 30):
        world.clock.ms += 10_000
        true_ms += 10_000
        if draw.random() < 0.2:
            world.clock.ms = true_ms + draw.choice((0, 0, -3_600_000, 3_600_000, -DAY_MS, 300 * DAY_MS))
        fix = FIX | {"lat": number / 100, "taken_at": times.write(int(true_ms))}
        fix |= {"age_s": 0} if has_age else {}
        presses.add_fixes(world.core, phone, incident, incidents.read_fixes({"fixes": [fix]}))
        newest = positions.newest(world.core, incident)
        assert newest is not None
        assert (newest.position.fix.lat, newest.other) == (number / 100, None)
        assert positions.listed(world.core, incident)[0].fix.lat == number / 100
        assert newest.position.at_ms <= world.clock.ms, "and it is not from the future"
        assert newest.position.old_ms < 10_000 or not has_age
        assert newest.position.received_at_ms == world.clock.ms, "when it came is told as it was"


def test_an_alarm_is_acknowledged_once(world: World) -> None:
    """Two operators: the second is told that it is taken."""
    incident = presses.take_alarm(world.core, world.bridge(), read(HAND.alarm(1))).incident_id
    first, second = (
        desk.advance(world.core, world.operator, incident, receipts.ACKNOWLEDGED) for _ in range(2)
    )
    assert (first.now, second.now) == (True, False)
    (seen,) = incidents_of(world.core, desk.board(world.core).taken)
    assert [stage for stage, _ in seen.stages] == [receipts.RECEIVED, receipts.ACKNOWLEDGED]


def test_a_stranger_bridge_knows_no_button(world: World) -> None:
    """A bridge may speak only for the buttons it was enrolled for."""
    other = Hand(2)
    buttons.import_buttons(world.core, [other.registered])
    bridge = buttons.bridge_of(
        world.core, str(buttons.enrol(world.core, other.enrolment_code, None, None)["token"])
    )
    with pytest.raises(Refused, match="unknown_device"):
        presses.take_alarm(world.core, bridge, read(HAND.alarm(1)))
    incident = presses.take_alarm(world.core, world.bridge(), read(HAND.alarm(1))).incident_id
    with pytest.raises(Refused, match="unknown_incident"):
        presses.receipts_after(world.core, bridge, incident, 0)


def test_a_revoked_bridge_is_refused_and_its_buttons_are_named(world: World) -> None:
    """The phone of a thief: it sends and reads nothing more, but can still follow the button."""
    code = buttons.issue_enrolment(world.core, HAND.device_id)
    assert code is not None
    token = str(buttons.enrol(world.core, code, None, None)["token"])
    bridge = buttons.bridge_of(world.core, token)
    incident = presses.take_alarm(world.core, bridge, read(HAND.alarm(1))).incident_id
    assert buttons.revoke_bridge(world.core, bridge) == [HAND.device_id]
    assert buttons.revoke_bridge(world.core, "NOBODY") is None
    with pytest.raises(Refused, match="revoked"):
        buttons.bridge_of(world.core, token)
    assert presses.receipts_after(world.core, bridge, incident, 0) is None


def test_a_revoked_button_is_stored_and_waits_for_an_administrator(world: World) -> None:
    """The protected person may hold it: nothing is refused; no operator is called to a thief's press."""
    bridge = world.bridge()
    assert buttons.revoke_button(world.core, HAND.device_id)
    assert not presses.take_alarm(world.core, bridge, read(HAND.alarm(1))).known
    assert desk.board(world.core).untaken == []
    assert buttons.issue_enrolment(world.core, HAND.device_id) is None


def test_an_enrolment_code_works_once_and_for_seven_days(world: World) -> None:
    """Used, expired and unknown are told apart."""
    late = buttons.issue_enrolment(world.core, HAND.device_id)
    assert late is not None
    buttons.enrol(world.core, HAND.enrolment_code, None, None)
    for code, reason in ((HAND.enrolment_code, "enrolment_used"), ("NONE", "enrolment_unknown")):
        with pytest.raises(Refused, match=reason):
            buttons.enrol(world.core, code, None, None)
    world.clock.ms += ENROLMENT_MS
    with pytest.raises(Refused, match="enrolment_expired"):
        buttons.enrol(world.core, late, None, None)


def test_a_bridge_gets_keys_that_forge_no_receipt(world: World) -> None:
    """Neither root, K_receipt nor K_direct leaves the centre."""
    answer = str(buttons.enrol(world.core, HAND.enrolment_code, None, None))
    assert derive(HAND.root, "code").hex() in answer
    for secret in (HAND.root, derive(HAND.root, "receipt"), derive(HAND.root, "direct")):
        assert secret.hex() not in answer


def test_a_new_bridge_learns_the_press_counter(world: World) -> None:
    """The highest accepted one below the spare range, so that its prediction starts there."""
    bridge = world.bridge()
    for counter in (4, 3, codes.SPARE_FIRST + 1):
        presses.take_alarm(world.core, bridge, read(HAND.alarm(counter)))
    answer = buttons.enrol(world.core, HAND.enrolment_code, None, None)
    assert "'counters': {'press': 4, 'alive': 0}" in str(answer)


def test_pins_are_kept_as_slow_salted_hashes_and_sealed(world: World) -> None:
    """Not as digits, not the same twice; and without a duress PIN the row looks as with one."""
    hashes = hash_of("271828"), hash_of("271828")
    assert hashes[0] != hashes[1]
    assert "271828" not in hashes[0]
    buttons.enrol(world.core, HAND.enrolment_code, hashes[0], None)
    row = world.core.store.one("device", device_id=HAND.device_id)
    assert row is not None
    assert len(row["pin_hash"]) == len(row["duress_pin_hash"]) > len(hashes[0])
    assert b"argon2" not in bytes.fromhex(row["pin_hash"] + row["duress_pin_hash"])
    assert buttons.pins(world.core, row) == (hashes[0], NOBODYS)


def test_an_import_is_all_or_nothing(world: World) -> None:
    """One contradiction, and no line of the file is taken; the very same line is no contradiction."""
    thief = Hand(1).registered.__class__(HAND.device_id, bytes(32), "0" * 64, "button", "esp32")
    with pytest.raises(Conflict, match="another root"):
        buttons.import_buttons(world.core, [Hand(2).registered, thief])
    assert buttons.import_buttons(world.core, [HAND.registered, Hand(2).registered]) == (1, 1)


def test_an_enrolment_code_belongs_to_one_button(world: World) -> None:
    """Two lines with one code would enrol a bridge for the wrong button."""
    other = Hand(2).registered
    mixed = other.__class__(other.device_id, other.root, HAND.registered.enrolment_sha256, "button", "x")
    with pytest.raises(Conflict, match="another button"):
        buttons.import_buttons(world.core, [mixed])
    with pytest.raises(Conflict, match="another button"):
        buttons.import_buttons(
            world.core,
            [
                other,
                Hand(3).registered.__class__(Hand(3).device_id, bytes(32), other.enrolment_sha256, "b", "x"),
            ],
        )
    assert len(buttons.all_buttons(world.core)) == 1


def test_tests_are_no_alarms_on_the_board(world: World) -> None:
    """A silent test shows in the quiet line alone."""
    presses.take_alarm(world.core, world.bridge(), read(HAND.alarm(1, codes.TEST)))
    board = desk.board(world.core)
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
    presses.take_alarm(world.core, world.bridge(), read(HAND.alarm(1)))
    with pytest.raises(sqlite3.IntegrityError), world.core.store.transaction():
        world.core.store.run(
            "open_incident",
            incident_id="second",
            device_id=HAND.device_id,
            event=1,
            counter=1,
            now_ms=0,
            device_revoked=False,
            exercise=None,
            case_id=None,
            bridge_id=None,
        )


def test_a_full_database_loses_nothing(world: World) -> None:
    """SQLite has no page left: nothing is stored by halves, and with room the press is taken."""
    bridge, db = world.bridge(), world.core.store.db
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    db.execute(f"PRAGMA max_page_count = {pages}")
    counter = 0

    def press_on() -> None:
        nonlocal counter
        while True:
            counter += 1
            presses.take_alarm(world.core, bridge, read(HAND.alarm(counter)))

    with pytest.raises(sqlite3.OperationalError, match="full"):
        press_on()
    assert not db.in_transaction
    shown = desk.board(world.core)
    assert len(shown.untaken) + shown.hidden == counter - 1
    db.execute("PRAGMA max_page_count = 100000")
    assert not presses.take_alarm(world.core, bridge, read(HAND.alarm(counter))).known


def test_the_file_outlives_the_program_and_refuses_a_newer_one(tmp_path: Path) -> None:
    """Opening again keeps everything; a database of a later version is not touched."""
    path = str(tmp_path / "x.sqlite")
    sealer, clock = Sealer(new_key()), Clock()
    first = Core(store_at(path), sealer, clock)
    buttons.import_buttons(first, [HAND.registered])
    first.store.close()
    store = store_at(path)
    assert len(buttons.all_buttons(Core(store, sealer, clock))) == 1
    for pragma, value in (("journal_mode", "wal"), ("synchronous", 2), ("user_version", len(MIGRATIONS))):
        assert store.db.execute(f"PRAGMA {pragma}").fetchone()[0] == value
    store.db.execute("PRAGMA user_version = 99")
    store.close()
    with pytest.raises(OtherVersion, match="newer"):
        Store(path)


def test_the_wrong_sealing_key_is_noticed_at_once(world: World) -> None:
    """Not at the first press."""
    with pytest.raises(Broken):
        Core(world.core.store, Sealer(new_key()), world.clock)


def test_a_wrong_clock_never_refuses(world: World) -> None:
    """Heard tomorrow, or last year: the alarm is taken."""
    bridge = world.bridge()
    for counter, heard_at in enumerate(("2999-01-01T00:00:00Z", "1970-01-01T00:00:00Z"), 1):
        press = read(HAND.alarm(counter, heard_at=heard_at))
        assert press.dropped == []
        assert not presses.take_alarm(world.core, bridge, press).known
    presses.take_alarm(
        world.core, bridge, read(HAND.alarm(3, heard_at="1970-01-01T00:00:00Z", age_s=incidents.AGE_S_MAX))
    )
    board = desk.board(world.core)
    assert "ALARM" in render(board, "en", levels(board, 0, 30))


def test_a_flood_from_one_button_hides_no_other(world: World) -> None:
    """Whoever has stolen one phone can send many alarms; another person's is on the page all the same."""
    other = Hand(2)
    buttons.import_buttons(world.core, [other.registered])
    theirs, own_alarm = world.bridge(), world.bridge(other)
    presses.take_alarm(world.core, own_alarm, read(other.alarm(1)))
    for counter in range(1, 301):
        presses.take_alarm(world.core, theirs, read(HAND.alarm(counter)))
    shown = desk.board(world.core)
    assert other.device_id in [incident.device_id for incident in shown.untaken]
    assert len(shown.untaken) <= 10
    assert len(shown.untaken) + shown.hidden == 1 + fair_share.PRESSES_AN_HOUR


def test_presses_beyond_what_a_hand_can_do_are_counted_and_not_kept(world: World) -> None:
    """Of one button by one bridge in an hour: the last incident counts them, and no other phone's."""
    thief, own = world.bridge(), world.bridge()
    for counter in range(100, 100 + fair_share.PRESSES_AN_HOUR):
        last = presses.take_alarm(world.core, thief, read(HAND.alarm(counter)))
        assert not last.known
    for counter in range(1000, 1020):
        press = read(HAND.alarm(counter, fix=FIX))
        counted = presses.take_alarm(world.core, thief, press)
        assert (counted.incident_id, counted.known, counted.stage) == (
            last.incident_id,
            True,
            receipts.RECEIVED,
        )
        assert HAND.believes(receipts.RECEIVED, counter, counted.proof.hex()), "the button is answered"
    incident = incident_sheet.incident(world.core, last.incident_id)
    assert incident is not None
    assert (incident.more_presses, incident.positions_in_all) == (20, 1)
    kinds = [row["kind"] for row in world.core.store.all("log_entries")]
    assert kinds.count("presses_counted") == 1
    assert not presses.take_alarm(world.core, own, read(HAND.alarm(1))).known
    desk.advance(world.core, world.operator, last.incident_id, receipts.CLOSED, reason=CloseReason.TECHNICAL)
    assert not presses.take_alarm(world.core, thief, read(HAND.alarm(1020))).known, (
        "what is over answers none"
    )
    world.clock.ms += fair_share.HOUR_MS + 1
    assert not presses.take_alarm(world.core, thief, read(HAND.alarm(1021))).known


def test_tests_have_a_share_of_their_own(world: World) -> None:
    """Sixty alarms in an hour stand in the way of no silent test, nor the other way round."""
    bridge = world.bridge()
    for counter in range(1, fair_share.PRESSES_AN_HOUR + 1):
        presses.take_alarm(world.core, bridge, read(HAND.alarm(counter, codes.TEST)))
    assert presses.take_alarm(world.core, bridge, read(HAND.alarm(90, codes.TEST))).known
    assert not presses.take_alarm(world.core, bridge, read(HAND.alarm(91))).known


def test_a_position_of_what_is_over_is_dropped_by_name(world: World) -> None:
    """After CLOSED none is taken, not even with the same press posted again."""
    bridge = world.bridge()
    taken = presses.take_alarm(world.core, bridge, read(HAND.alarm(1)))
    desk.advance(world.core, world.operator, taken.incident_id, receipts.CLOSED, reason=CloseReason.REAL)
    again = presses.take_alarm(world.core, bridge, read(HAND.alarm(1, fix=FIX)))
    assert [(one.field, one.reason) for one in again.dropped] == [("fix", "incident_closed")]
    assert positions.count(world.core, taken.incident_id) == 0


@pytest.mark.parametrize("wild", [0x7FFFFFFF, 100_000, 2_000])
def test_a_stolen_phones_counter_is_not_what_the_next_phone_starts_from(world: World, wild: int) -> None:
    """At enrolment and in answers to heartbeats, whether the stolen phone is revoked or not."""
    own, thief = world.bridge(), world.bridge()
    presses.take_alarm(world.core, own, read(HAND.alarm(1)))
    presses.take_alarm(world.core, thief, read(HAND.alarm(wild)))
    assert buttons.counters(world.core, HAND.device_id)["press"] == 1
    buttons.revoke_bridge(world.core, thief)
    assert buttons.counters(world.core, HAND.device_id)["press"] == 1
    buttons.revoke_bridge(world.core, own)
    assert buttons.counters(world.core, HAND.device_id)["press"] == 1, "a lost phone's presses still count"


def test_escalation_goes_by_share(world: World) -> None:
    """Four hundred alarms of a stolen phone are due before the own one: that is told in the same look."""
    thief, own = world.bridge(), world.bridge()
    for hour in range(7):
        for counter in range(fair_share.PRESSES_AN_HOUR):
            presses.take_alarm(world.core, thief, read(HAND.alarm(1000 * (hour + 1) + counter)))
        world.clock.ms += fair_share.HOUR_MS
    own_alarm = presses.take_alarm(world.core, own, read(HAND.alarm(1))).incident_id
    world.clock.ms += 15_000
    assert own_alarm in {told.incident_id for told in webhook.escalate(world.core, 5)}
    assert own_alarm in {card.incident_id for card in desk.board(world.core).untaken}
