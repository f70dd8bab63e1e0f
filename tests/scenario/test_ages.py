"""How old a press is, from the hand to the centre's database, in virtual time."""

import pytest

from sim.virtual.fault_script import Schedule, Step
from sim.virtual.fixture import EPOCH_MS
from sim.virtual.verdict import judge
from sim.virtual.world import World

HOLD = Step(10, "hold", "button")
PRESSED_S = 12.2  # woken, and held for 2 s
STEP_S = 10  # in which the button tells ages
MINUTES = 15


def told(*steps: Step) -> tuple[World, list[tuple[float, bool, int]]]:
    """Of each alarm that the centre has in the end: pressed at, whether that is a lower bound, its posts."""
    world = World(Schedule(1, (HOLD, *steps), minutes=MINUTES))
    world.begin()
    world.run_until(MINUTES * 60)
    rows = world.centre.disk.query(
        "SELECT pressed_at_ms, age_is_lower_bound, posts FROM alarms WHERE age_s IS NOT NULL"
    )
    world.end()
    assert judge(world) == []
    return world, [((at_ms - EPOCH_MS) / 1000, bool(bound), posts) for at_ms, bound, posts in rows]


@pytest.mark.parametrize(
    ("steps", "posts"),
    [
        pytest.param([], 2, id="heard at once"),
        pytest.param([Step(5, "out_of_reach", "bridge", 120)], 2, id="heard late"),
        pytest.param([Step(5, "out_of_reach", "bridge", 400)], 1, id="told by a CONTACT"),
        pytest.param([Step(5, "network_hangs", "bridge", 90)], 1, id="asked while there was no network"),
        pytest.param([Step(13.4, "phone_killed", "bridge", 30)], None, id="killed about when it asks"),
        pytest.param([Step(12.6, "phone_killed", "bridge", 600)], None, id="killed before it has asked"),
        pytest.param(
            [Step(12.6, "out_of_reach", "bridge", 600)], None, id="out of reach before it has asked"
        ),
        pytest.param([Step(12.6, "centre_killed", "centre", 30)], None, id="the centre is killed"),
        *(
            pytest.param(
                [Step(12.6, "out_of_reach", "bridge", 600), Step(100, "clock_jumps", "bridge", value=by_ms)],
                None,
                id=f"the bridge's clock is set by {by_ms} ms before it asks",
            )
            for by_ms in (-3_600_000, 3_600_000)
        ),
    ],
)
def test_the_centre_knows_in_the_end_when_the_hand_pressed(steps: list[Step], posts: int | None) -> None:
    """To the 10 s in which the button tells it, whatever became of the bridge; by one more post at most."""
    _, (alarm,) = told(*steps)
    pressed_s, is_lower_bound, in_all = alarm
    assert PRESSED_S - 1 <= pressed_s <= PRESSED_S + STEP_S + 2
    assert not is_lower_bound
    assert posts in (None, in_all)


def test_a_button_whose_battery_was_out_says_that_it_does_not_know() -> None:
    """It has counted from when it had power again: the press was then, or earlier."""
    _, (alarm,) = told(Step(5, "out_of_reach", "bridge", 300), Step(100, "power_cut", "button", 10))
    pressed_s, is_lower_bound, _ = alarm
    assert 110 <= pressed_s <= 110 + STEP_S + 2
    assert is_lower_bound


def test_the_age_delays_no_receipt() -> None:
    """The hand feels RECEIVED within a second of the press; the age comes after it."""
    world, _ = told()
    at_s = {e.what: (e.at_ms - EPOCH_MS) / 1000 for e in world.events if e.by == "bridge"}
    received = next(e for e in world.events if e.by == "button" and e.data.get("args") == ["1"])
    assert (received.at_ms - EPOCH_MS) / 1000 < PRESSED_S + 1
    assert at_s["age"] > at_s["received"]
