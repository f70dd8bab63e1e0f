"""How an alarm ends: a closing that can be undone, an alarm that follows, a finding that is corrected."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from centre.platform.pin_hashing import Verdict
from centre.platform.sealing import Sealer
from centre.rules.incidents import CloseReason, read, read_fixes
from centre.rules.refusals import Refused
from centre.rules.running_log import UNDO_MS, Kind
from centre.work import (
    board,
    buttons,
    cap,
    closings,
    event_log,
    figures,
    incident_sheet,
    presses,
    running_log,
    verify_log,
)
from centre.work.core import Core
from centre.work.verify_log import Seen
from sim.judge import audit
from tests.unit.centre.parts import FIX, signed_in, store_at
from tests.unit.centre.work.parts import HAND, Called, Night
from wire import receipts


class Room(Called):
    """An alarm that somebody has, and two operators."""

    def __init__(self) -> None:
        super().__init__()
        self.bo = signed_in(self.core, login="bo", name="Bo")
        board.advance(self.core, self.operator, self.incident, receipts.ACKNOWLEDGED)

    def stage(self, incident_id: str = "") -> int:
        shown = incident_sheet.incident(self.core, incident_id or self.incident)
        assert shown is not None
        return shown.stage

    def kinds(self, incident_id: str = "") -> list[Kind]:
        return [one.kind for one in running_log.of_incident(self.core, incident_id or self.incident)]

    def closed(self, reason: CloseReason = CloseReason.MIS_PRESS) -> None:
        closings.close(self.core, self.operator, self.incident, reason)
        self.clock.ms += UNDO_MS
        assert closings.close_due(self.core)

    def counted(self) -> dict[str, int]:
        """Count the month's alarms by what they were."""
        counting = figures.Counting("1970-01", "1970-02")
        for turn in counting.turns:
            while turn(self.core):
                pass
        return dict(counting.facts.groups["alarms"])


@pytest.fixture
def room() -> Room:
    return Room()


def test_a_closing_reaches_the_button_only_after_its_time(room: Room) -> None:
    """Not a millisecond sooner; with who closed it, and what it was."""
    closings.close(room.core, room.operator, room.incident, CloseReason.MIS_PRESS)
    room.clock.ms += UNDO_MS - 1
    assert closings.close_due(room.core) == []
    assert room.stage() == receipts.ACKNOWLEDGED
    (card,) = board.board(room.core).taken
    assert card.closing == board.Closing(CloseReason.MIS_PRESS, "Operator", room.core.now_ms() + 1)
    room.clock.ms += 1
    (closed,) = closings.close_due(room.core)
    assert (closed.stage, closed.by, closed.reason) == (
        4,
        "Operator",
        CloseReason.MIS_PRESS,
    )
    assert closings.close_due(room.core) == []
    (card,) = board.board(room.core).closed
    assert (card.reason, card.closing) == (CloseReason.MIS_PRESS, None)


def test_a_closing_is_undone_until_the_button_is_told(room: Room) -> None:
    """By anybody, and twice is once; after that it is said what to do instead."""
    closings.close(room.core, room.operator, room.incident, CloseReason.MIS_PRESS)
    room.clock.ms += UNDO_MS - 1
    assert closings.undo(room.core, room.bo, room.incident).now
    assert not closings.undo(room.core, room.bo, room.incident).now
    room.clock.ms += UNDO_MS
    assert closings.close_due(room.core) == []
    assert room.stage() == receipts.ACKNOWLEDGED
    assert room.kinds() == [Kind.ADVANCED, Kind.CLOSING, Kind.CLOSE_UNDONE]
    room.closed()
    with pytest.raises(Refused, match="close_sent"):
        closings.undo(room.core, room.bo, room.incident)


def test_an_alarm_is_closed_once_whoever_else_closes_it_meanwhile(room: Room) -> None:
    """A doubled click, a colleague with another reason: told who has, and when."""
    first = closings.close(room.core, room.operator, room.incident, CloseReason.MIS_PRESS)
    at_ms = room.core.now_ms()
    room.clock.ms += 3_000
    second = closings.close(room.core, room.bo, room.incident, CloseReason.REAL)
    assert (first.now, second.now, second.by, second.at_ms) == (True, False, "Operator", at_ms)
    room.clock.ms += UNDO_MS
    closings.close_due(room.core)
    third = closings.close(room.core, room.bo, room.incident, CloseReason.REAL)
    assert (third.now, third.by) == (False, "Operator")
    assert room.kinds().count(Kind.CLOSING) == 1


def test_who_closes_what_nobody_has_taken_has_taken_it(room: Room) -> None:
    """No hole in the timeline."""
    other = room.press(2)
    closings.close(room.core, room.bo, other, CloseReason.TECHNICAL)
    (card,) = [card for card in board.board(room.core).taken if card.incident_id == other]
    assert (card.stage, card.taken_by) == (receipts.ACKNOWLEDGED, "Bo")


def test_a_closing_survives_the_end_of_the_centre(tmp_path: Path) -> None:
    """It is due by the database, not by a timer; also where the clock was set back meanwhile."""
    night = Night(tmp_path / "centre.sqlite")
    first, second = night.press(1), night.press(2)
    for incident_id in (first, second):
        closings.close(night.core, night.operator, incident_id, CloseReason.REAL)
    closings.undo(night.core, night.operator, second)
    night.core.store.close()
    for now_ms, due in ((night.now_ms + 1, []), (night.now_ms + UNDO_MS, [first])):
        again = Core(store_at(str(night.path)), Sealer(night.sealing_key), lambda: now_ms)  # noqa: B023
        assert [one.incident_id for one in closings.close_due(again)] == due
        again.store.close()


def test_a_clock_that_was_set_back_holds_no_closing_up(room: Room) -> None:
    """Nobody knows how long it has waited: it is due."""
    closings.close(room.core, room.operator, room.incident, CloseReason.REAL)
    room.clock.ms -= 3_600_000
    assert len(closings.close_due(room.core)) == 1


def test_a_duress_pin_within_the_time_is_seen_as_after_any_closing(room: Room) -> None:
    """The phone is told alike for either PIN; for operators it stands above all else."""
    closings.close(room.core, room.operator, room.incident, CloseReason.CALLED_OFF)
    room.call_off(Verdict.DURESS)
    room.clock.ms += UNDO_MS
    assert len(closings.close_due(room.core)) == 1
    (raised,) = board.board(room.core).raised
    assert raised.is_duress


def test_an_alarm_that_follows_takes_on_what_is_known(room: Room) -> None:
    """How it came, positions, the call-off; who opened it has it; one follows, however often asked."""
    presses.add_fixes(room.core, room.phone, room.incident, read_fixes({"fixes": [FIX]}))
    room.call_off(Verdict.DURESS)
    room.closed()
    opened = closings.reopen(room.core, room.bo, room.incident, seen_duress=True)
    again = closings.reopen(room.core, room.operator, room.incident)
    assert (opened.now, again.now, again.incident_id) == (True, False, opened.incident_id)
    shown = incident_sheet.incident(room.core, opened.incident_id)
    assert shown is not None
    assert (shown.stage, len(shown.arrivals), shown.positions_in_all, shown.is_duress) == (2, 1, 1, True)
    assert shown.newest is not None
    owners = {card.incident_id: card.taken_by for card in board.board(room.core).taken}
    assert owners == {opened.incident_id: "Bo"}
    told = running_log.of_incident(room.core, opened.incident_id)[0]
    assert (told.kind, told.incident_id) == (Kind.REOPENED, room.incident)
    assert Kind.REOPENED in room.kinds()


def test_what_comes_after_goes_to_the_alarm_that_goes_on(room: Room) -> None:
    """Positions, the same press again, a call-off; the press itself stays one, and known."""
    room.closed()
    with pytest.raises(Refused, match="incident_closed"):
        presses.add_fixes(room.core, room.phone, room.incident, read_fixes({"fixes": [FIX]}))
    opened = closings.reopen(room.core, room.bo, room.incident).incident_id
    presses.add_fixes(room.core, room.phone, room.incident, read_fixes({"fixes": [FIX]}))
    later = FIX | {"taken_at": "2026-11-23T10:05:00Z"}
    taken = presses.take_alarm(room.core, room.phone, read(HAND.alarm(1, fix=later)))
    assert (taken.known, taken.incident_id, taken.stage, taken.dropped) == (True, room.incident, 4, [])
    room.call_off()
    shown = incident_sheet.incident(room.core, opened)
    assert shown is not None
    assert (shown.positions_in_all, shown.call_off is not None) == (2, True)


def test_to_open_an_alarm_again_is_no_press(room: Room) -> None:
    """The button's last press stays when it was."""
    room.closed()
    (before,) = buttons.all_buttons(room.core)
    room.clock.ms += 3_600_000
    closings.reopen(room.core, room.bo, room.incident)
    (after,) = buttons.all_buttons(room.core)
    assert after.last_press_at_ms == before.last_press_at_ms


def test_an_alarm_can_be_opened_again_more_than_once(room: Room) -> None:
    """Each after the one before; what comes goes to the last."""
    room.closed()
    second = closings.reopen(room.core, room.bo, room.incident).incident_id
    with pytest.raises(Refused, match="not_closed"):
        closings.reopen(room.core, room.bo, second)
    closings.close(room.core, room.bo, second, CloseReason.TECHNICAL)
    room.clock.ms += UNDO_MS
    closings.close_due(room.core)
    third = closings.reopen(room.core, room.bo, second).incident_id
    assert len({room.incident, second, third}) == 3
    presses.add_fixes(room.core, room.phone, room.incident, read_fixes({"fixes": [FIX]}))
    shown = incident_sheet.incident(room.core, third)
    assert shown is not None
    assert shown.positions_in_all == 1
    assert room.counted() == {"open": 1}


def test_an_alarm_that_was_closed_twice_is_counted_once(room: Room) -> None:
    """As what it turned out to be; the judge counts presses, of which there was one."""
    room.closed(CloseReason.MIS_PRESS)
    opened = closings.reopen(room.core, room.bo, room.incident).incident_id
    closings.close(room.core, room.bo, opened, CloseReason.REAL)
    room.clock.ms += UNDO_MS
    closings.close_due(room.core)
    assert room.counted() == {"real": 1}
    rows = [tuple(row) for row in room.core.store.db.execute("SELECT incident_id FROM incidents")]
    assert len(rows) == 2
    told = list(
        audit.incidents(lambda sql, *values: [tuple(r) for r in room.core.store.db.execute(sql, values)])
    )
    assert [one["incident"] for one in told] == [room.incident]


def test_an_exercise_that_is_opened_again_stays_one(room: Room) -> None:
    """And other systems are told which alarm it follows."""
    room.core.store.db.execute("UPDATE incidents SET exercise = '5340'")
    room.closed()
    room.core.tells = True
    opened = closings.reopen(room.core, room.bo, room.incident).incident_id
    shown = incident_sheet.incident(room.core, opened)
    assert shown is not None
    assert shown.exercise == "5340"
    row = room.core.store.db.execute("SELECT body FROM webhook_events ORDER BY event_id LIMIT 1").fetchone()
    told = json.loads(row["body"])
    assert (told["incident"], told["follows"], told["exercise"]) == (opened, room.incident, True)


def test_the_log_of_an_alarm_that_follows_holds(tmp_path: Path) -> None:
    """Each receipt is told by an entry, also of one that no press has opened."""
    night = Night(tmp_path / "centre.sqlite")
    incident_id = night.whole()
    opened = closings.reopen(night.core, night.operator, incident_id).incident_id
    night.close(opened)
    key = Ed25519PrivateKey.generate()
    event_log.sign(night.core, key)
    assert list(verify_log.verify(night.core, key.public_key(), Seen())) == []


def test_a_finding_is_corrected_by_somebody_else_and_both_stay(room: Room) -> None:
    """The last word counts in board, figures and CAP; who said it cannot correct himself."""
    room.closed(CloseReason.MIS_PRESS)
    with pytest.raises(Refused, match="own_closing"):
        closings.correct(room.core, room.operator, room.incident, CloseReason.REAL)
    assert not closings.correct(room.core, room.bo, room.incident, CloseReason.MIS_PRESS).now
    room.clock.ms += 1_000
    assert closings.correct(room.core, room.bo, room.incident, CloseReason.REAL).now
    with pytest.raises(Refused, match="own_closing"):
        closings.correct(room.core, room.bo, room.incident, CloseReason.TECHNICAL)
    (card,) = board.board(room.core).closed
    assert card.reason is CloseReason.REAL
    assert room.counted() == {"real": 1}
    standing = cap.standing(room.core, room.incident)
    assert standing.close_reason == "real"
    said = [(one.by, one.reason) for one in running_log.of_incident(room.core, room.incident) if one.reason]
    assert said == [
        ("Operator", CloseReason.MIS_PRESS),
        ("Operator", CloseReason.MIS_PRESS),
        ("Bo", CloseReason.REAL),
    ]


@pytest.mark.parametrize("stage", [receipts.RECEIVED, receipts.ACKNOWLEDGED, receipts.DISPATCHED])
def test_what_is_open_is_neither_opened_again_nor_corrected(room: Room, stage: int) -> None:
    """Also within the time of a closing."""
    board.advance(room.core, room.operator, room.incident, stage)
    closings.close(room.core, room.operator, room.incident, CloseReason.REAL)
    with pytest.raises(Refused, match="not_closed"):
        closings.reopen(room.core, room.bo, room.incident)
    with pytest.raises(Refused, match="not_closed"):
        closings.correct(room.core, room.bo, room.incident, CloseReason.REAL)
