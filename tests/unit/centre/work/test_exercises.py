"""What is an exercise, and that no true alarm is taken for one; the mark on all that leaves the centre."""

import json
from dataclasses import astuple
from datetime import UTC, datetime
from typing import Any

import pytest

from centre.rules import access, figures
from centre.rules.incidents import read
from centre.rules.refusals import Refused
from centre.work import assignments, board, buttons, cap, cases, closings, exercises, presses
from centre.work import figures as figures_work
from tests.unit.centre.parts import Hand, granted, signed_in
from tests.unit.centre.work.parts import FILE, HAND, World

ZONE = "5340"
OTHER = Hand(2)


class Drilled(World):
    """A world whose dispatch system is told, with a phone of the button and a case manager."""

    def __init__(self) -> None:
        super().__init__()
        self.core.tells = True
        self.manager = signed_in(self.core, access.CASE_MANAGER, zone=ZONE)
        self.phone = self.bridge()

    def press(self, counter: int, **more: Any) -> str:
        return presses.take_alarm(self.core, self.phone, read(HAND.alarm(counter, **more))).incident_id

    def exercise(self, incident_id: str) -> str | None:
        incident = self.core.store.one("incident", incident_id=incident_id)
        assert incident is not None
        zone: str | None = incident["exercise"]
        return zone


@pytest.fixture
def world() -> Drilled:
    return Drilled()


def moment(at_ms: float) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()


def test_presses_of_a_button_in_exercise_are_one_until_it_ends_by_itself(world: Drilled) -> None:
    """The last moment belongs to true alarms."""
    ends_at_ms = exercises.begin(world.core, HAND.device_id, ZONE, 5)
    drill = world.press(1)
    world.clock.ms = ends_at_ms
    assert (world.exercise(drill), world.exercise(world.press(2))) == (ZONE, None)


def test_an_exercise_that_is_ended_early_is_over_at_once(world: Drilled) -> None:
    """And its incident stays an exercise: it was one."""
    exercises.begin(world.core, HAND.device_id, ZONE, 5)
    drill = world.press(1)
    world.clock.ms += 1000
    assert exercises.end(world.core, HAND.device_id)
    assert not exercises.end(world.core, HAND.device_id)
    assert (world.exercise(drill), world.exercise(world.press(2))) == (ZONE, None)


def test_a_press_from_before_an_exercise_is_a_true_alarm(world: Drilled) -> None:
    """By its age, or by when its phone heard it; it came late."""
    exercises.begin(world.core, HAND.device_id, ZONE, 5)
    heard_at = moment(world.clock.ms - 1000)
    assert world.exercise(world.press(1, age_s=10)) is None
    assert world.exercise(world.press(2, heard_at=heard_at)) is None


def test_the_same_press_again_stays_what_it_was(world: Drilled) -> None:
    """A drill's press that is sent again after its end, and a true one that comes again during a drill."""
    true = world.press(1)
    ends_at_ms = exercises.begin(world.core, HAND.device_id, ZONE, 5)
    drill = world.press(2)
    assert (world.press(1), world.exercise(true)) == (true, None)
    world.clock.ms = ends_at_ms
    assert (world.press(2), world.exercise(drill)) == (drill, ZONE)


def test_a_button_that_somebody_holds_cannot_be_put_in_exercise(world: Drilled) -> None:
    """Its alarms are true; and one in exercise, or of a check, is handed out to nobody."""
    case_id = cases.open_case(world.core, world.manager, FILE)
    granted(world.core, world.manager, case_id, HAND)
    with pytest.raises(Refused, match="button_elsewhere"):
        exercises.begin(world.core, HAND.device_id, ZONE, 5)
    assert world.exercise(world.press(1)) is None
    buttons.import_buttons(world.core, [OTHER.registered])
    exercises.begin(world.core, OTHER.device_id, ZONE, 5)
    with pytest.raises(Refused, match="button_exercises"):
        assignments.hand_out(world.core, world.manager, case_id, OTHER.device_id)
    check = exercises.new_check_button("0" * 64)
    exercises.add_check_button(world.core, ZONE, check)
    with pytest.raises(Refused, match="button_exercises"):
        assignments.hand_out(world.core, world.manager, case_id, check.device_id)
    world.clock.ms += 5 * 60_000
    assignments.hand_out(world.core, world.manager, case_id, OTHER.device_id)


def test_a_press_from_when_the_button_was_still_held_is_a_true_alarm(world: Drilled) -> None:
    """It was taken back, and is in exercise now; the press is older than that."""
    case_id = cases.open_case(world.core, world.manager, FILE)
    granted(world.core, world.manager, case_id, HAND)
    world.clock.ms += 60_000
    world.core.store.run(
        "end_assignment", device_id=HAND.device_id, now_ms=world.core.now_ms()
    )  # taken back, but a phone of it still brings what it has
    world.clock.ms += 1000
    exercises.begin(world.core, HAND.device_id, ZONE, 5)
    assert world.exercise(world.press(1, age_s=30)) is None
    assert world.exercise(world.press(2, age_s=0)) == ZONE


def test_presses_of_a_revoked_button_are_true_and_wait_for_the_administrator(world: Drilled) -> None:
    """Whoever has it: nobody says that it is an exercise."""
    exercises.begin(world.core, HAND.device_id, ZONE, 5)
    buttons.revoke_button(world.core, HAND.device_id)
    incident = world.core.store.one("incident", incident_id=world.press(1))
    assert incident is not None
    assert (incident["exercise"], incident["held"]) == (None, 1)
    with pytest.raises(Refused, match="button_revoked"):
        exercises.begin(world.core, HAND.device_id, ZONE, 5)


def test_true_presses_beyond_a_share_are_never_counted_on_a_drill(world: Drilled) -> None:
    """Somebody practised for an hour; then there is need."""
    ends_at_ms = exercises.begin(world.core, HAND.device_id, ZONE, 5)
    drills = {world.press(counter) for counter in range(1, 80)}
    world.clock.ms = ends_at_ms
    true = world.press(100)
    assert true not in drills
    assert world.exercise(true) is None


def test_every_true_alarm_stands_before_every_exercise(world: Drilled) -> None:
    """Though the exercise has waited longer."""
    exercises.begin(world.core, HAND.device_id, ZONE, 5)
    drill = world.press(1)
    world.clock.ms += 5 * 60_000
    true = world.press(2)
    shown = board.board(world.core).untaken
    assert [(card.incident_id, card.exercise) for card in shown] == [(true, None), (drill, ZONE)]


def test_what_leaves_the_centre_says_that_it_is_an_exercise(world: Drilled) -> None:
    """Webhook, CAP, the log; what follows an alarm that was closed too early is one, too."""
    exercises.begin(world.core, HAND.device_id, ZONE, 5)
    drill = world.press(1)
    board.advance(world.core, world.operator, drill, 4)
    again = closings.reopen(world.core, world.operator, drill).incident_id
    assert world.exercise(again) == ZONE
    assert cap.standing(world.core, drill).is_exercise
    bodies = [
        json.loads(row["body"]) for row in world.core.store.db.execute("SELECT body FROM webhook_events")
    ]
    assert {body["exercise"] for body in bodies} == {True}
    exercises.end(world.core, HAND.device_id)
    true = world.press(2)
    assert not cap.standing(world.core, true).is_exercise


def test_an_exercise_is_in_no_figure(world: Drilled) -> None:
    """Six true alarms beside six drills: six."""
    month = "2026-02"
    world.clock.ms = figures.bounds_ms(month)[0] + 1000
    exercises.begin(world.core, HAND.device_id, ZONE, 5)
    for counter in range(1, 7):
        world.press(counter)
    world.clock.ms += 5 * 60_000
    for counter in range(11, 17):
        world.press(counter)
    world.clock.ms += 32 * 86_400_000
    figures_work.make_all(world.core)
    told = {astuple(row)[:3]: row.value for row in figures_work.shown(world.core, month, month)[month]}
    assert told["all", "alarms", "all"] == 6


def test_only_a_check_buttons_alarm_is_confirmed_and_the_first_word_stands(world: Drilled) -> None:
    """A second operator's click changes nothing."""
    check = exercises.new_check_button("0" * 64)
    exercises.add_check_button(world.core, ZONE, check)
    incident_id = "0" * 16
    world.core.store.run(
        "open_incident",
        incident_id=incident_id,
        device_id=check.device_id,
        event=1,
        counter=1,
        bridge_id=None,
        case_id=None,
        device_revoked=0,
        exercise=ZONE,
        now_ms=world.core.now_ms(),
    )
    world.clock.ms += 7000
    other = signed_in(world.core, login="second")
    assert exercises.confirm(world.core, world.operator, incident_id, sound_heard=False).now
    assert not exercises.confirm(world.core, other, incident_id, sound_heard=True).now
    said = exercises.desk_check(world.core, incident_id)
    assert said is not None
    assert (said.name, said.sound_heard, said.after_s) == (world.operator.name, 0, 7.0)
    assert exercises.last_desk_checks(world.core) == [said]
    with pytest.raises(Refused, match="not_a_check"):
        exercises.confirm(world.core, world.operator, world.press(1), sound_heard=True)
