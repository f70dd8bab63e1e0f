"""The board: what is open never leaves it without a word; what is newest is the same everywhere."""

import json
import random
from dataclasses import replace

import pytest

from centre.console.board_html import items, levels, render
from centre.rules.incidents import CloseReason, read, read_fixes
from centre.work import board, buttons, cap, incident_sheet, positions, presses
from tests.unit.centre.parts import FIX, Hand
from tests.unit.centre.work.parts import HAND, Called, World
from wire import receipts


def press_of_many(world: World, count: int) -> list[str]:
    """Let as many buttons press once, a second after each other."""
    incidents = []
    for n in range(count):
        hand = Hand(2)
        hand.device_id = "MANY" + f"{n:012b}".replace("0", "A").replace("1", "B")
        sha256 = hand.registered.enrolment_sha256[:-4] + f"{n:04d}"
        buttons.import_buttons(world.core, [replace(hand.registered, enrolment_sha256=sha256)])
        bridge = world.bridge(hand)
        world.clock.ms += 1_000
        incidents.append(presses.take_alarm(world.core, bridge, read(hand.alarm(1))).incident_id)
    return incidents


def reachable(world: World, at_most: int = board.OPEN_PAGE) -> list[str]:
    """Follow the list of all open alarms to its end."""
    found, after = [], ""
    while True:
        page = board.open_alarms(world.core, after, at_most)
        found += [card.incident_id for card in page.cards]
        after = page.next
        if not after:
            return found


def test_every_open_alarm_can_be_reached_however_many_are_acknowledged() -> None:
    """Of twenty-four acknowledged the board has lines for twenty, a count of four, and a way there."""
    world = World()
    incidents = press_of_many(world, 24)
    for incident in incidents:
        board.advance(world.core, world.operator, incident, receipts.ACKNOWLEDGED)
    shown = board.board(world.core)
    assert (len(shown.taken), shown.taken_hidden, shown.open_count) == (20, 4, 24)
    html = render(shown, "en", {})
    assert "and 4 more taken" in html
    assert 'href="/console/open"' in html
    assert reachable(world) == incidents
    board.advance(world.core, world.operator, incidents[0], receipts.CLOSED, reason=CloseReason.REAL)
    assert reachable(world) == incidents[1:]


def test_pages_of_open_alarms_leave_none_out() -> None:
    """A page at a time, none twice."""
    world = World()
    incidents = press_of_many(world, 7)
    assert reachable(world, 3) == incidents


def test_the_order_is_step_danger_and_who_has_waited_longest() -> None:
    """An alarm at its last step stands above one of three seconds; of equals the oldest first."""
    world = World()
    oldest, second, newest = press_of_many(world, 3)
    world.clock.ms += 88_000  # of 30 s each: the oldest two are at the last step
    shown = board.board(world.core)
    steps = levels(shown, world.clock.ms, 30)
    assert [item.card.incident_id for item in items(shown, steps)] == [oldest, second, newest]


@pytest.mark.parametrize("seed", range(10))
def test_the_store_and_the_rule_name_the_same_newest_position(seed: int) -> None:
    """Card, sheet, trail and CAP give one position, whatever clocks, ages and marks were drawn."""
    world, draw = Called(), random.Random(seed)
    for n in range(12):
        world.clock.ms += draw.choice([0, 1_000, 60_000])
        fix = FIX | {
            "lat": round(50 + n / 1000, 4),
            "taken_at": f"20{draw.randint(10, 90)}-01-01T00:00:00Z",
            "marks": draw.choice([[], ["stale"], ["jump"], ["implausible"]]),
        }
        if draw.random() < 0.5:
            fix["age_s"] = draw.randint(0, 300)
        presses.add_fixes(world.core, world.phone, world.incident, read_fixes({"fixes": [fix]}))
    every = positions.trail(world.core, world.incident, 0)
    for row in world.core.store.db.execute("SELECT fix_id, at_ms FROM fixes"):
        assert row["at_ms"] == next(one.at_ms for one in every if one.number == row["fix_id"])
    newest = positions.newest(world.core, world.incident)
    assert newest is not None
    certain = [one for one in every if not one.is_doubtful]
    last = max(every, key=lambda one: (one.at_ms, one.number))
    recent = [one for one in certain if last.at_ms - one.at_ms <= 300_000]
    assert newest.position == max(recent or every, key=lambda one: (one.at_ms, one.number))
    (card,) = board.board(world.core).untaken
    sheet = incident_sheet.sheet(world.core, world.operator, world.incident)
    assert card.newest == sheet.incident.newest == cap.standing(world.core, world.incident).newest == newest


@pytest.mark.parametrize("age_s", ["5", -1, 604_801, True, float("nan")])
def test_an_age_that_cannot_be_believed_is_dropped_by_name(age_s: object) -> None:
    """The fix itself is kept, in an alarm and in a batch."""
    press = read(HAND.alarm(1, fix=FIX | {"age_s": age_s}))
    assert press.fix is not None
    assert press.fix.age_s is None
    assert [one.field for one in press.dropped] == ["fix.age_s"]
    dropped: list[object] = []
    (fix,) = read_fixes({"fixes": [json.loads(json.dumps(FIX | {"age_s": age_s}))]}, dropped)  # type: ignore[arg-type]
    assert fix.age_s is None
    assert [one.field for one in dropped] == ["fixes[0].age_s"]  # type: ignore[attr-defined]
