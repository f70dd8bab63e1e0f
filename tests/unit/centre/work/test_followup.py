"""After the press: positions, call-offs, what operators do, signs of life; in virtual time."""

import pytest

from centre.platform.pin_hashing import Verdict
from centre.rules import incidents
from centre.rules.heartbeats import read as read_alive
from centre.rules.incidents import CallOff, CallOffState, CloseReason, read, read_fixes
from centre.rules.refusals import Refused
from centre.rules.registry import Button
from centre.work import board as desk
from centre.work import buttons, heartbeats, presses
from centre.work.buttons import Conflict
from centre.work.core import Core
from tests.unit.centre.parts import FIX, Hand, incidents_of
from tests.unit.centre.work.parts import HAND, Called
from wire import codes, receipts

MINUTE_MS = 60_000


@pytest.fixture
def world() -> Called:
    return Called()


def fixes(*seconds: int, **more: object) -> list[object]:
    return [FIX | {"taken_at": f"2026-11-23T10:00:{second:02d}Z"} | more for second in seconds]


def test_positions_are_kept_once_however_often_they_come(world: Called) -> None:
    """In one batch, in two, or with the alarm before: one row, and the rest are known."""
    presses.take_alarm(world.core, world.phone, read(HAND.alarm(1, fix=fixes(1)[0])))

    def send(*batch: object) -> tuple[int, int]:
        done = presses.add_fixes(world.core, world.phone, world.incident, read_fixes({"fixes": list(batch)}))
        return done.stored, done.known

    assert send(*fixes(1, 2, 2, 3)) == (2, 2)
    assert send(*fixes(1, 2, 3)) == (0, 3)
    assert send() == (0, 0)
    assert send(*fixes(3, source="nmea", marks=["jump"])) == (1, 0), "another source is another position"
    newest, *_ = world.shown.latest
    assert (newest.fix.source, newest.fix.marks) in (("nmea", ("jump",)), (None, ()))
    assert [position.fix.taken_at_ms % 60_000 for position in world.shown.latest] == [
        3000,
        3000,
        2000,
        1000,
    ]
    assert world.shown.positions_in_all == 4


def test_only_a_bridge_of_the_button_tells_where_it_is(world: Called) -> None:
    """Another's incident is as unknown as none; nobody is followed for a test."""
    other = Hand(2)
    buttons.import_buttons(world.core, [other.registered])
    batch = read_fixes({"fixes": fixes(1)})
    for bridge, incident, reason in (
        (world.bridge(other), world.incident, "unknown_incident"),
        (world.phone, "none", "unknown_incident"),
        (world.phone, world.press(2, codes.TEST), "not_an_alarm"),
    ):
        with pytest.raises(Refused, match=reason):
            presses.add_fixes(world.core, bridge, incident, batch)
    assert world.rows("fixes") == []


def test_nobody_is_followed_after_the_end(world: Called) -> None:
    """CLOSED: not even a position that was sent before is answered."""
    presses.add_fixes(world.core, world.phone, world.incident, read_fixes({"fixes": fixes(1)}))
    desk.advance(world.core, world.operator, world.incident, receipts.CLOSED, reason=CloseReason.REAL)
    with pytest.raises(Refused, match="incident_closed"):
        presses.add_fixes(world.core, world.phone, world.incident, read_fixes({"fixes": fixes(1, 2)}))
    assert len(world.rows("fixes")) == 1


def test_one_phone_cannot_fill_the_disk_with_positions(world: Called) -> None:
    """So many of one incident, and all or none of the batch that goes beyond; another bridge has room."""
    (fix,) = read_fixes({"fixes": fixes(1)})

    def send(bridge: str, first: int) -> int:
        batch = [fix._replace(taken_at_ms=first + n) for n in range(64)]
        return presses.add_fixes(world.core, bridge, world.incident, batch).stored

    fitting = incidents.FIXES_PER_BRIDGE_MAX // 64 * 64
    assert sum(send(world.phone, first) for first in range(0, fitting, 64)) == fitting
    with pytest.raises(Refused, match="too_many_fixes"):
        send(world.phone, fitting)
    assert len(world.rows("fixes")) == fitting
    assert send(world.phone, 0) == 0, "what is known still is"
    again = HAND.alarm(1)
    for n in range(2 * 64):
        posted = read(again | {"fix": FIX | {"taken_at": f"2026-11-24T10:{n // 60:02d}:{n % 60:02d}Z"}})
        taken = presses.take_alarm(world.core, world.phone, posted)
    assert [(one.field, one.reason) for one in taken.dropped] == [("fix", "too_many_fixes")]
    assert len(world.rows("fixes")) == incidents.FIXES_PER_BRIDGE_MAX
    assert send(world.bridge(), 0) == 64


def test_what_cannot_be_called_off_is_told_apart(world: Called) -> None:
    """A press that is not here (yet), a button of others, a button without a PIN."""
    other = Hand(2)
    buttons.import_buttons(world.core, [other.registered])
    theirs = world.bridge(other)
    world.press(5, codes.TEST)
    for bridge, device_id, counter, reason in (
        (world.phone, HAND.device_id, 2, "unknown_press"),
        (world.phone, HAND.device_id, 5, "unknown_press"),
        (world.phone, other.device_id, 1, "unknown_device"),
        (theirs, HAND.device_id, 1, "unknown_device"),
    ):
        with pytest.raises(Refused, match=reason):
            presses.try_pin(world.core, bridge, CallOff(device_id, counter, ""))
    presses.take_alarm(world.core, theirs, read(other.alarm(1)))
    with pytest.raises(Refused, match="no_pin"):
        presses.try_pin(world.core, theirs, CallOff(other.device_id, 1, ""))
    assert world.rows("pin_attempts") == [], "none of it is a try"


def test_wrong_pins_are_counted_and_locked_ever_longer(world: Called) -> None:
    """Five; then a minute, two, four, to an hour; over a restart of the program; the right one forgives."""
    assert [world.locked_s() for _ in range(5)] == [None] * 5
    assert world.locked_s() == 60
    world.clock.ms += 59_001
    assert world.locked_s() == 1
    world.core = Core(world.core.store, world.sealer, world.clock)
    for minutes in (1, 2, 4, 8, 16, 32, 60, 60):
        world.clock.ms += minutes * MINUTE_MS
        assert world.locked_s() is None, "one try each time"
        assert world.locked_s() == min(minutes * 2, 60) * 60
    world.clock.ms += 60 * MINUTE_MS
    world.call_off()
    assert [world.locked_s() for _ in range(5)] == [None] * 5
    assert world.locked_s() == 60


@pytest.mark.parametrize("verdict", [Verdict.RIGHT, Verdict.DURESS])
def test_calling_off_closes_nothing(world: Called, verdict: Verdict) -> None:
    """The stage, the receipts and the following go on; only the operator reads which PIN it was."""
    world.call_off(verdict)
    incident = world.shown
    assert incident.stages == [(receipts.RECEIVED, 1_000_000)]
    assert incident.call_off is not None
    assert incident.call_off.called_off_at_ms == 1_001_000
    assert (incident.call_off.duress_at_ms is not None) == (verdict is Verdict.DURESS)
    assert (
        presses.add_fixes(world.core, world.phone, world.incident, read_fixes({"fixes": fixes(1)})).stored
        == 1
    )


def test_both_pins_leave_the_same_traces(world: Called) -> None:
    """The same rows in the same tables, but for the word itself."""
    twin = Called()
    world.call_off(Verdict.RIGHT)
    twin.call_off(Verdict.DURESS)
    for table in ("pin_attempts", "receipts", "acts"):
        assert len(world.rows(table)) == len(twin.rows(table))
    assert world.rows("pin_attempts") == twin.rows("pin_attempts")
    (right,), (duress,) = world.rows("call_offs"), twin.rows("call_offs")
    assert right[1:3] == duress[1:3] == (1_001_000, 1_001_000)


def test_duress_rises_and_never_falls(world: Called) -> None:
    """An ordinary PIN first, then the duress PIN; and the ordinary one after it changes nothing."""
    world.call_off()
    first_at_ms = world.shown.call_off
    assert first_at_ms is not None
    world.call_off(Verdict.DURESS)
    world.call_off()
    called_off = world.shown.call_off
    assert called_off is not None
    assert called_off.called_off_at_ms == first_at_ms.called_off_at_ms == 1_001_000
    assert called_off.duress_at_ms == 1_002_000
    assert called_off.state is CallOffState.DURESS


def test_duress_stands_above_plain_alarms(world: Called) -> None:
    """As long as nobody has taken either."""
    newer = world.press(2)
    world.call_off(Verdict.DURESS)
    board = desk.board(world.core)
    assert [card.incident_id for card in board.untaken] == [world.incident, newer]
    assert board.duress_waits


def test_duress_of_a_taken_alarm_stands_below_what_nobody_has_taken_until_it_is_seen(world: Called) -> None:
    """Whoever acts on an older page has not seen it."""
    newer = world.press(2)
    desk.advance(world.core, world.operator, world.incident, receipts.ACKNOWLEDGED)
    world.call_off(Verdict.DURESS)

    def untaken() -> list[str]:
        return [card.incident_id for card in desk.board(world.core).waiting]

    assert untaken() == [newer, world.incident]
    assert not desk.advance(world.core, world.operator, world.incident, receipts.ACKNOWLEDGED).now
    assert untaken() == [newer, world.incident]
    assert desk.advance(
        world.core, world.operator, world.incident, receipts.ACKNOWLEDGED, seen_duress=True
    ).now
    assert not desk.advance(
        world.core, world.operator, world.incident, receipts.ACKNOWLEDGED, seen_duress=True
    ).now
    assert untaken() == [newer]
    desk.advance(world.core, world.operator, newer, receipts.ACKNOWLEDGED)
    assert [one.incident_id for one in desk.board(world.core).taken] == [world.incident, newer]


def test_duress_after_the_end_is_still_seen(world: Called) -> None:
    """It is closed as a mistake, and then the protected person says that it was none."""
    world.call_off()
    desk.advance(world.core, world.operator, world.incident, receipts.CLOSED, reason=CloseReason.CALLED_OFF)
    assert desk.board(world.core).untaken == []
    world.call_off(Verdict.DURESS)
    (card,) = desk.board(world.core).raised
    assert card.stage == receipts.CLOSED
    desk.advance(world.core, world.operator, world.incident, receipts.ACKNOWLEDGED, seen_duress=True)
    assert [one.incident_id for one in desk.board(world.core).closed] == [world.incident]


def test_dispatch_and_close_keep_what_the_first_operator_said(world: Called) -> None:
    """The note and the reason, once; the receipts in order; a closed one leaves the taken list."""
    desk.advance(world.core, world.operator, world.incident, receipts.ACKNOWLEDGED)
    first = desk.advance(world.core, world.operator, world.incident, receipts.DISPATCHED, note="two on foot")
    second = desk.advance(world.core, world.operator, world.incident, receipts.DISPATCHED, note="a car")
    assert (first.now, second.now) == (True, False)
    assert desk.advance(
        world.core, world.operator, world.incident, receipts.CLOSED, reason=CloseReason.REAL
    ).now
    assert not desk.advance(
        world.core, world.operator, world.incident, receipts.CLOSED, reason=CloseReason.TECHNICAL
    ).now
    assert not desk.advance(world.core, world.operator, world.incident, receipts.DISPATCHED, note="late").now
    board = desk.board(world.core)
    assert (board.untaken, board.taken) == ([], [])
    (closed,) = incidents_of(world.core, board.closed)
    assert [stage for stage, _ in closed.stages] == [1, 2, 3, 4]
    assert [(act.reason, act.note) for act in closed.acts if act.reason or act.note] == [
        (None, "two on foot"),
        ("real", ""),
    ]


def alive(world: Called, bridge: str | None = None, **button: object) -> dict[str, dict[str, int]]:
    """The counters in the answer."""
    body = {"buttons": [{"device_id": HAND.device_id} | button], "phone": {"battery_percent": 50}}
    return heartbeats.take_heartbeat(world.core, bridge or world.phone, read_alive(body))


def test_counters_only_go_up_and_reach_every_bridge(world: Called) -> None:
    """The alive stream's from whoever hears it; the press stream's from presses alone."""
    other = world.bridge()
    assert alive(world, alive_counter=40, press_counter=900) == {HAND.device_id: {"press": 1, "alive": 40}}
    assert alive(world, other, alive_counter=7) == {HAND.device_id: {"press": 1, "alive": 40}}
    world.press(4)
    assert alive(world, other) == {HAND.device_id: {"press": 4, "alive": 40}}
    assert alive(world, alive_counter=2_000_000_000)[HAND.device_id]["alive"] == 40, "not past what can be"


def test_the_last_state_is_kept_of_each_bridge_and_button(world: Called) -> None:
    """What a bridge forgot over a restart is not forgotten here; a wrong clock hears nothing tomorrow."""
    alive(world, heard_at="1970-01-01T00:10:00Z", battery_mv=3900, low=True, faults=["stuck"])
    alive(world, heard_at=None, low=False)
    (button,) = buttons.all_buttons(world.core)
    assert (button.battery_mv, button.low, button.faults) == (3900, 0, "")
    assert button.heard_at_ms == 1_000_000, "its press was heard later than that"
    other = world.bridge()
    world.clock.ms += 1
    alive(world, other, heard_at="2999-01-01T00:00:00Z", battery_mv=3800)
    (button,) = buttons.all_buttons(world.core)
    assert (button.heard_at_ms, button.battery_mv) == (1_000_001, 3800)
    alive_at_ms = {bridge.bridge_id: bridge.alive_at_ms for bridge in buttons.all_bridges(world.core)}
    assert (alive_at_ms[world.phone], alive_at_ms[other]) == (1_000_000, 1_000_001)
    assert list(alive_at_ms.values()).count(None) == 1, "the third has said nothing"


def test_a_bridge_speaks_for_its_own_buttons_only(world: Called) -> None:
    """What it says of another's is dropped and named, and nothing of it is kept."""
    other = Hand(2)
    buttons.import_buttons(world.core, [other.registered])
    sign = read_alive({"buttons": [{"device_id": other.device_id, "alive_counter": 9}]})
    assert list(heartbeats.take_heartbeat(world.core, world.phone, sign)) == [HAND.device_id]
    assert [(one.field, one.reason) for one in sign.dropped] == [("buttons[0]", "unknown_device")]
    assert {row[1] for row in world.rows("button_states")} == {HAND.device_id}, "its press"


def test_capabilities_are_kept_and_told_later_where_they_were_not(world: Called) -> None:
    """An older registry had none; the same line with them is no contradiction, another set is."""

    def line(**capabilities: bool) -> Button:
        button = HAND.registered
        which = (button.device_id, button.root, button.enrolment_sha256, button.kind, button.board)
        return Button(*which, capabilities=capabilities)

    assert buttons.import_buttons(world.core, [line(fresh_address=False, battery=True)]) == (0, 1)
    assert world.shown.lacks == ("fresh_address",)
    assert buttons.import_buttons(world.core, [HAND.registered]) == (0, 1)
    assert world.shown.lacks == ("fresh_address",)
    with pytest.raises(Conflict, match="other capabilities"):
        buttons.import_buttons(world.core, [line(fresh_address=True, battery=True)])
