"""How old a press is: told a moment after it by the bridge that heard it, or by another, or wrongly."""

from typing import Any

import pytest

from centre.console.board_html import levels, render, render_sheet
from centre.rules import times
from centre.rules.incidents import AGE_S_MAX, read
from centre.work import board as desk
from centre.work import cap, event_log, incident_sheet, presses
from centre.work.board import Card
from centre.work.presses import Taken
from tests.unit.centre.parts import Hand
from tests.unit.centre.work.parts import World

HAND = Hand()
DAY_S = 86_400


class Aged(World):
    """A button and two phones, of which the second may be a liar's."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = self.bridge(), self.bridge()

    def post(self, bridge: str, age_s: float | None, heard_ms_ago: int = 0, **more: Any) -> Taken:
        heard_at = times.write(self.core.now_ms() - heard_ms_ago)
        press = read(HAND.alarm(1, age_s=age_s, heard_at=heard_at, **more))
        assert press.dropped == []
        return presses.take_alarm(self.core, bridge, press)

    @property
    def card(self) -> Card:
        (card,) = desk.board(self.core).untaken
        return card

    @property
    def page(self) -> str:
        """The board and the sheet."""
        now_ms = self.core.now_ms()
        board = desk.board(self.core)
        sheet = incident_sheet.sheet(self.core, self.operator, self.card.incident_id)
        return render(board, "en", levels(board, now_ms, 30)) + render_sheet(sheet, "en", now_ms)

    def noted(self) -> list[dict[str, Any]]:
        """What the event log tells of ages that came later."""
        told = event_log.of_incident(self.core, self.card.incident_id)
        return [entry.facts for entry in told if entry.entry.kind == "age"]


@pytest.fixture
def world() -> Aged:
    return Aged()


def test_the_age_comes_after_the_press_and_changes_nothing_else(world: Aged) -> None:
    """Posted at once without it; told a second later, again and again: one incident, one entry in the log."""
    opened = world.post(world.first, None)
    assert "as a rule pressed just before" in world.page
    before = world.card
    world.clock.ms += 1_000
    for _ in range(3):
        told = world.post(world.first, 30, heard_ms_ago=1_000)
        assert (told.incident_id, told.known, told.proof) == (opened.incident_id, True, opened.proof)
    assert (world.card.age_s, world.card.pressed_at_ms) == (30, 1_000_000 - 30_000)
    assert world.card.opened_at_ms == before.opened_at_ms
    assert world.card.version != before.version, "a sheet that is open is read again"
    assert "pressed <time" in world.page
    assert "as a rule" not in world.page
    assert [(facts["age_s"], facts["pressed_at_ms"]) for facts in world.noted()] == [(30, 970_000)]


def test_what_a_bridge_has_once_said_of_the_age_stays(world: Aged) -> None:
    """Nobody makes an alarm older, or younger, that an operator has read already."""
    for age_s in (None, 5, 9 * DAY_S, 0, None):
        world.post(world.first, age_s)
    assert world.card.pressed_at_ms == 995_000
    assert len(world.noted()) == 1


def test_a_press_before_the_power_was_lost_is_so_old_or_older(world: Aged) -> None:
    """The button counts from when it had power again, and says so."""
    world.post(world.first, 600, age_is_lower_bound=True)
    assert world.card.age_is_lower_bound
    assert "or earlier" in world.page
    assert "pressed 10\N{NO-BREAK SPACE}min before it reached us" in world.page


@pytest.mark.parametrize("first", ["liar", "honest"])
@pytest.mark.parametrize("age_s", [None, 0])
@pytest.mark.parametrize(
    "lie", [{"age_s": AGE_S_MAX}, {"age_s": 9 * DAY_S}, {"age_s": 0, "heard_ms_ago": 900_000}]
)
def test_a_bridge_that_lies_makes_no_alarm_look_old_that_another_has_just_heard(
    world: Aged, lie: dict[str, Any], age_s: float | None, first: str
) -> None:
    """By its age or by its clock, before the other or after it."""
    posts: list[tuple[str, dict[str, Any]]] = [(world.first, lie), (world.second, {"age_s": age_s})]
    for bridge, said in posts if first == "liar" else reversed(posts):
        world.post(bridge, **said)
    assert world.card.pressed_at_ms == 1_000_000
    assert "before it reached us" not in world.page


def test_a_bridge_with_a_link_tells_the_age_for_one_without(world: Aged) -> None:
    """Both have heard the same press in the five minutes that it is on the air; one could ask the button."""
    world.post(world.first, None)
    world.clock.ms += 300_000
    world.post(world.second, None)
    assert "as a rule pressed just before" in world.page
    world.post(world.first, 0, heard_ms_ago=300_000)
    assert (world.card.age_s, world.card.pressed_at_ms) == (0, 1_000_000)


def test_an_alarm_stands_where_it_came_however_old_it_is_said_to_be(world: Aged) -> None:
    """Who has waited longest stands first: by when it came to the centre, and its clock alone."""
    world.post(world.first, 0)
    world.clock.ms += 1_000
    older = presses.take_alarm(world.core, world.first, read(HAND.alarm(2, age_s=9 * DAY_S)))
    assert desk.board(world.core).untaken[1].incident_id == older.incident_id


def test_figures_go_by_the_age(world: Aged) -> None:
    """How long a press took to reach us is told by when the hand pressed, not by when a phone heard it."""
    world.post(world.first, None)
    world.post(world.first, 40)
    (row,) = world.core.store.all(
        "incidents_to_count", event=1, after_ms=0, after=0, until_ms=9_000_000, at_most=9
    )
    assert row["opened_at_ms"] - row["pressed_at_ms"] == 40_000


@pytest.mark.parametrize(("age_s", "moments_ms"), [(0, [1_000_000]), (40, [1_000_000, 1_005_000])])
def test_a_cap_message_that_dates_the_press_anew_is_another_message(
    world: Aged, age_s: int, moments_ms: list[int]
) -> None:
    """Whoever has the first one learns that it has been replaced; where nothing changes, nothing is sent."""
    world.post(world.first, None)
    world.clock.ms += 5_000
    world.post(world.first, age_s, heard_ms_ago=5_000)
    world.clock.ms += 5_000
    now = cap.standing(world.core, world.card.incident_id)
    assert (now.pressed_at_ms, [at_ms for at_ms, _ in now.moments]) == (1_000_000 - age_s * 1000, moments_ms)
