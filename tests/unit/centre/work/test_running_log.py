"""An alarm's running log: what people add to it is kept under its author, and nothing overwrites it."""

from collections.abc import Callable

import pytest

from centre.rules import access
from centre.rules import running_log as rules
from centre.rules.access import Caller
from centre.rules.incidents import CloseReason
from centre.rules.refusals import Refused
from centre.rules.running_log import Kind, PatrolStep
from centre.work import board, cases, closings, event_log, running_log, standing_orders
from tests.unit.centre.parts import granted, signed_in
from tests.unit.centre.work.parts import FILE, HAND, Called
from wire import codes, receipts


class Room(Called):
    """An alarm, and two operators."""

    def __init__(self) -> None:
        super().__init__()
        self.bo = signed_in(self.core, login="bo", name="Bo")

    def log(self, incident_id: str = "") -> list[tuple[Kind, str, str]]:
        told = running_log.of_incident(self.core, incident_id or self.incident)
        return [(one.kind, one.by, one.text) for one in told]

    def stages(self, incident_id: str = "") -> list[int]:
        rows = self.core.store.all("receipts", incident_id=incident_id or self.incident)
        return [row["stage"] for row in rows]

    def take(self, by: Caller | None = None) -> None:
        board.advance(self.core, by or self.operator, self.incident, receipts.ACKNOWLEDGED)

    def closed(self) -> None:
        board.advance(self.core, self.operator, self.incident, receipts.CLOSED, reason=CloseReason.MIS_PRESS)


@pytest.fixture
def room() -> Room:
    return Room()


def test_two_operators_remarks_are_both_kept_under_their_authors(room: Room) -> None:
    """At any stage, also after the closing; of several lines, in any script."""
    running_log.remark(room.core, room.operator, room.incident, "Neighbour rang:\r\nlight is on")
    room.closed()
    running_log.remark(room.core, room.bo, room.incident, "Đặng \N{ZERO WIDTH JOINER} می‌روم 👩‍👧")
    remarks = [line for line in room.log() if line[0] is Kind.REMARK]
    assert remarks == [
        (Kind.REMARK, "Operator", "Neighbour rang:\nlight is on"),
        (Kind.REMARK, "Bo", "Đặng \N{ZERO WIDTH JOINER} می‌روم 👩‍👧"),
    ]


def test_a_remark_sent_twice_is_one_and_the_same_words_later_are_another(room: Room) -> None:
    """A doubled click, a form posted again; but "no answer" at ten past is no repetition."""
    for _ in range(2):
        running_log.remark(room.core, room.operator, room.incident, "No answer", once="form 1")
    room.clock.ms += 1
    assert running_log.remark(room.core, room.operator, room.incident, "No answer", once="form 2").now
    assert not running_log.remark(room.core, room.operator, room.incident, "No answer").now
    room.clock.ms += running_log.DOUBLED_MS
    assert running_log.remark(room.core, room.operator, room.incident, "No answer").now
    assert running_log.remark(room.core, room.bo, room.incident, "No answer").now
    assert [line[1] for line in room.log()] == ["Operator"] * 3 + ["Bo"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "must not be empty"),
        (" \n ", "must not be empty"),
        ("x" * 10_000, "at most 2000 characters; these are 10000"),
        ("a\x00b", "U+0000"),
        ("a\x1b[2J", "U+001B"),
        ("turned \u202e around", "U+202E"),
        ("half \ud83d", "U+D83D"),
    ],
    ids=["empty", "blank", "too-long", "nul", "escape", "direction", "surrogate"],
)
def test_a_text_that_cannot_be_kept_gets_a_true_sentence(room: Room, text: str, why: str) -> None:
    """And nothing is changed."""
    with pytest.raises(Refused, match="bad_text") as refused:
        running_log.remark(room.core, room.operator, room.incident, text)
    assert why in refused.value.detail
    assert room.log() == []


def test_each_patrol_goes_its_own_way_forward(room: Room) -> None:
    """A step may be skipped; the first that is sent is what the button feels, and takes the alarm."""
    sent = running_log.send_patrol(room.core, room.operator, room.incident, "Zone 12")
    assert (sent.stage, sent.now) == (receipts.DISPATCHED, True)
    room.clock.ms += 5_000
    running_log.send_patrol(room.core, room.bo, room.incident, "Dog unit")
    running_log.go_on(room.core, room.bo, room.incident, 1, PatrolStep.ON_SCENE)
    running_log.go_on(room.core, room.operator, room.incident, 2, PatrolStep.ON_THE_WAY)
    running_log.go_on(room.core, room.operator, room.incident, 1, PatrolStep.SAFE)
    first, second = rules.patrols(running_log.of_incident(room.core, room.incident))
    assert [(step.step, step.by) for step in first.steps] == [
        (PatrolStep.SENT, "Operator"),
        (PatrolStep.ON_SCENE, "Bo"),
        (PatrolStep.SAFE, "Operator"),
    ]
    assert (second.name, second.step) == ("Dog unit", PatrolStep.ON_THE_WAY)
    assert second.following == (PatrolStep.ON_SCENE, PatrolStep.SAFE)
    assert room.stages() == [1, 2, 3]


def test_a_patrol_never_goes_back(room: Room) -> None:
    """The same step again changes nothing; an earlier one is refused; there is no patrol 2."""
    running_log.send_patrol(room.core, room.operator, room.incident)
    running_log.go_on(room.core, room.operator, room.incident, 1, PatrolStep.ON_SCENE)
    before = room.log()
    assert not running_log.go_on(room.core, room.bo, room.incident, 1, PatrolStep.ON_SCENE).now
    with pytest.raises(Refused, match="patrol_further"):
        running_log.go_on(room.core, room.bo, room.incident, 1, PatrolStep.ON_THE_WAY)
    with pytest.raises(Refused, match="unknown_patrol"):
        running_log.go_on(room.core, room.bo, room.incident, 2, PatrolStep.SAFE)
    assert room.log() == before


def test_the_same_patrol_is_sent_once_until_it_is_safe(room: Room) -> None:
    """A doubled click; two operators who name the same one."""
    assert running_log.send_patrol(room.core, room.operator, room.incident, "Zone 12").now
    again = running_log.send_patrol(room.core, room.bo, room.incident, "zone 12")
    assert (again.now, again.by) == (False, "Operator")
    running_log.go_on(room.core, room.bo, room.incident, 1, PatrolStep.SAFE)
    assert running_log.send_patrol(room.core, room.bo, room.incident, "Zone 12").now
    assert len(rules.patrols(running_log.of_incident(room.core, room.incident))) == 2


def test_so_many_patrols_are_kept_and_no_more(room: Room) -> None:
    """A bound, said aloud."""
    for number in range(rules.PATROLS_MAX):
        running_log.send_patrol(room.core, room.operator, room.incident, f"Car {number}")
    with pytest.raises(Refused, match="too_many_patrols"):
        running_log.send_patrol(room.core, room.operator, room.incident, "Car 99")


def test_help_sent_to_an_alarm_that_nobody_took_takes_it(room: Room) -> None:
    """Same time, same name: no hole in the timeline, for the button, the log and other systems."""
    room.core.tells = True
    running_log.send_patrol(room.core, room.bo, room.incident, "Zone 12")
    acts = room.core.store.all("acts", incident_id=room.incident)
    assert [(act["stage"], act["name"], act["note"]) for act in acts] == [
        (receipts.ACKNOWLEDGED, "Bo", None),
        (receipts.DISPATCHED, "Bo", "Zone 12"),
    ]
    assert acts[0]["at_ms"] == acts[1]["at_ms"]
    hooks = room.core.store.db.execute("SELECT kind FROM webhook_events ORDER BY event_id").fetchall()
    assert [row["kind"] for row in hooks] == ["acknowledged", "dispatched"]
    assert [card.taken_by for card in board.board(room.core).taken] == ["Bo"]


def test_an_alarm_is_handed_to_a_colleague_and_new_until_it_is_looked_at(room: Room) -> None:
    """At once; by anybody, so that an alarm of somebody who has gone home can be taken over."""
    room.take()
    assert running_log.hand_over(room.core, room.operator, room.incident, room.bo.user_id).now
    (card,) = board.board(room.core).taken
    assert (card.owner, card.taken_by, card.is_new_to_owner) == (room.bo.actor, "Bo", True)
    assert not running_log.hand_over(room.core, room.operator, room.incident, room.bo.user_id).now
    assert not running_log.see_owned(room.core, room.operator, room.incident)
    assert running_log.see_owned(room.core, room.bo, room.incident)
    (card,) = board.board(room.core).taken
    assert not card.is_new_to_owner
    running_log.hand_over(room.core, room.operator, room.incident, room.operator.user_id)
    (card,) = board.board(room.core).taken
    assert (card.taken_by, card.is_new_to_owner) == ("Operator", False)
    assert [line for line in room.log() if line[0] is Kind.PASSED_ON] == [
        (Kind.PASSED_ON, "Operator", "Bo"),
        (Kind.PASSED_ON, "Operator", "Operator"),
    ]


def test_a_shift_is_handed_over_in_one_act(room: Room) -> None:
    """All that is mine and open; neither a colleague's nor what is closed."""
    mine, closed, other = room.incident, room.press(2), room.press(3)
    for incident_id, who in ((mine, room.operator), (closed, room.operator), (other, room.bo)):
        board.advance(room.core, who, incident_id, receipts.ACKNOWLEDGED)
    board.advance(room.core, room.operator, closed, receipts.CLOSED, reason=CloseReason.REAL)
    cy = signed_in(room.core, login="cy", name="Cy")
    assert running_log.hand_over_all(room.core, room.operator, cy.user_id) == [mine]
    assert running_log.hand_over_all(room.core, room.operator, cy.user_id) == []
    owners = {card.incident_id: card.taken_by for card in board.board(room.core).taken}
    assert owners == {mine: "Cy", other: "Bo"}


def test_only_an_operator_who_works_here_can_be_handed_an_alarm(room: Room) -> None:
    """Neither another role nor somebody unknown."""
    room.take()
    manager = signed_in(room.core, access.CASE_MANAGER, zone="5340")
    for user_id in (manager.user_id, "NOBODY22", ""):
        with pytest.raises(Refused, match="unknown_colleague"):
            running_log.hand_over(room.core, room.operator, room.incident, user_id)
    assert [one.name for one in running_log.colleagues(room.core)] == ["Bo", "Operator"]


def test_an_alarm_that_is_given_back_waits_again_until_somebody_takes_it(room: Room) -> None:
    """The button's stage stays; nobody has it; who takes it then has it, and that is told."""
    running_log.send_patrol(room.core, room.operator, room.incident, "Zone 12")
    with pytest.raises(Refused, match="not_yours"):
        running_log.give_back(room.core, room.bo, room.incident)
    room.clock.ms += 60_000
    assert running_log.give_back(room.core, room.operator, room.incident).now
    assert not running_log.give_back(room.core, room.operator, room.incident).now
    shown = board.board(room.core)
    (card,) = shown.untaken
    assert shown.taken == []
    assert (card.taken_by, card.stage, card.waits_since_ms) == ("", receipts.DISPATCHED, room.core.now_ms())
    taken = board.advance(room.core, room.bo, room.incident, receipts.ACKNOWLEDGED)
    assert (taken.now, taken.by) == (True, "Bo")
    late = board.advance(room.core, room.operator, room.incident, receipts.ACKNOWLEDGED)
    assert (late.now, late.by) == (False, "Bo")
    assert [card.taken_by for card in board.board(room.core).taken] == ["Bo"]
    assert [line[0] for line in room.log()][-2:] == [Kind.GIVEN_BACK, Kind.TAKEN_OVER]
    assert room.stages() == [1, 2, 3]


ACTS: dict[str, Callable[[Room, str], object]] = {
    "remark": lambda room, at: running_log.remark(room.core, room.operator, at, "x"),
    "patrol": lambda room, at: running_log.send_patrol(room.core, room.operator, at),
    "patrol-step": lambda room, at: running_log.go_on(room.core, room.operator, at, 1, PatrolStep.SAFE),
    "hand-over": lambda room, at: running_log.hand_over(room.core, room.operator, at, room.bo.user_id),
    "give-back": lambda room, at: running_log.give_back(room.core, room.operator, at),
    "order-step": lambda room, at: standing_orders.tick(room.core, room.operator, at, "Ring"),
    "close": lambda room, at: closings.close(room.core, room.operator, at, CloseReason.REAL),
    "undo": lambda room, at: closings.undo(room.core, room.operator, at),
    "reopen": lambda room, at: closings.reopen(room.core, room.operator, at),
    "correct": lambda room, at: closings.correct(room.core, room.operator, at, CloseReason.REAL),
}


@pytest.mark.parametrize("act", ACTS)
def test_an_act_on_what_is_no_alarm_of_operators_is_refused(room: Room, act: str) -> None:
    """None of that id; a silent test; one of a revoked button that an administrator has not ruled on."""
    test, held = room.press(1, codes.TEST), room.press(4)
    room.core.store.db.execute("UPDATE incidents SET held = 1 WHERE incident_id = ?", (held,))
    before = len(room.core.store.all("log_entries"))
    for incident_id, reason in (
        ("none", "unknown_incident"),
        (test, "not_an_alarm"),
        (held, "unknown_incident"),
    ):
        with pytest.raises(Refused, match=reason):
            ACTS[act](room, incident_id)
    assert len(room.core.store.all("log_entries")) == before


@pytest.mark.parametrize("act", ["patrol", "patrol-step", "hand-over", "give-back", "order-step"])
def test_what_needs_an_open_alarm_is_refused_once_it_is_closed(room: Room, act: str) -> None:
    """With a reason, and nothing is changed."""
    running_log.send_patrol(room.core, room.operator, room.incident)
    room.closed()
    before = room.log()
    with pytest.raises(Refused, match="incident_closed"):
        ACTS[act](room, room.incident)
    assert room.log() == before


@pytest.mark.parametrize("act", ["hand-over", "give-back"])
def test_what_nobody_has_taken_cannot_be_passed_on(room: Room, act: str) -> None:
    """It waits for everybody already."""
    with pytest.raises(Refused, match="not_taken"):
        ACTS[act](room, room.incident)


def test_a_zones_standing_order_is_ticked_off_step_by_step(room: Room) -> None:
    """Each step once, by whoever says so first; a step that the order no longer has is refused."""
    manager = signed_in(room.core, access.CASE_MANAGER, zone="5340")
    granted(room.core, manager, cases.open_case(room.core, manager, FILE), HAND)
    incident = room.press(2)
    standing_orders.write(room.core, manager, "5340", "Send two patrols\n\n  Ring the school\r\n", 0)
    order = standing_orders.of_alarm(room.core, incident)
    assert order is not None
    assert (order.steps, order.by) == (("Send two patrols", "Ring the school"), manager.name)
    assert standing_orders.of_alarm(room.core, room.incident) is None
    assert standing_orders.tick(room.core, room.operator, incident, "Ring the school").now
    assert not standing_orders.tick(room.core, room.bo, incident, "Ring the school").now
    with pytest.raises(Refused, match="changed_meanwhile"):
        standing_orders.write(room.core, manager, "5340", "Nothing", 0)
    standing_orders.write(room.core, manager, "5340", "Send two patrols", order.changed_at_ms)
    with pytest.raises(Refused, match="changed_meanwhile"):
        standing_orders.tick(room.core, room.operator, incident, "Send a dog")
    assert room.log(incident) == [(Kind.ORDER_STEP, "Operator", "Ring the school")]


def test_a_damaged_entry_hides_no_other(room: Room) -> None:
    """It stands there without its words."""
    running_log.remark(room.core, room.operator, room.incident, "first")
    running_log.remark(room.core, room.operator, room.incident, "second")
    room.core.store.db.execute("DROP TRIGGER log_is_only_erased")
    room.core.store.db.execute(
        "UPDATE log SET sealed = randomblob(80) WHERE seq = (SELECT min(seq) FROM log WHERE kind = 'remark')"
    )
    assert [line[2] for line in room.log()] == ["", "second"]


def test_every_kind_of_the_running_log_is_in_its_index(room: Room) -> None:
    """Schema, queries and rules name the same kinds; none is read by walking all positions."""
    plan = room.core.store.db.execute(
        f"EXPLAIN QUERY PLAN {room.core.store._queries['running_log']}", {"incident_id": "x"}
    ).fetchall()
    assert "INDEX running_log" in str([tuple(row) for row in plan])
    for kind in Kind:
        assert f"'{kind}'" in room.core.store._queries["running_log"]
        assert f"'{kind}'" in room.core.store._queries["card"]


def test_what_was_added_is_of_the_chained_log(room: Room) -> None:
    """So it is exported and verified like all else."""
    running_log.remark(room.core, room.operator, room.incident, "Neighbour rang")
    (entry,) = [one for one in event_log.of_incident(room.core, room.incident) if one.entry.kind == "remark"]
    assert (entry.entry.actor, entry.facts["text"]) == (room.operator.actor, "Neighbour rang")
