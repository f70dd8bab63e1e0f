"""What a sign of life means, and how far it is believed."""

from collections import Counter
from itertools import pairwise

import pytest

from centre.rules import heartbeats
from centre.rules import supervision as losses
from centre.rules.fields import Dropped
from centre.rules.heartbeats import Pace
from centre.rules.incidents import Phone
from centre.rules.refusals import Refused
from tests.unit.centre.parts import Hand

HAND = Hand()
BUTTON = {
    "device_id": HAND.device_id,
    "heard_at": "2026-11-23T10:00:00Z",
    "battery_mv": 3900,
    "low": False,
    "in_reach": True,
    "lost_after_s": 6540,
    "press_counter": 3,
    "alive_counter": 40,
    "faults": ["stuck"],
}
ALIVE = {
    "buttons": [BUTTON],
    "phone": {"battery_percent": 50, "model": "Pixel 8"},
    "troubles": ["no_position"],
}
HOUR_MS = 3_600_000


def test_a_good_sign_of_life_is_read_whole() -> None:
    """Nothing that could be believed is lost."""
    sign = heartbeats.read(ALIVE)
    assert sign.dropped == []
    (button,) = sign.buttons
    assert (button.battery_mv, button.in_reach, button.lost_after_s) == (3900, True, 6540)
    assert (button.alive_counter, button.faults) == (40, ("stuck",))
    assert (sign.phone.battery_percent, sign.phone.model, sign.troubles) == (50, "Pixel 8", ("no_position",))


def test_nothing_but_the_device_id_is_needed() -> None:
    """What is null or missing is not known."""
    for body in ({}, {"buttons": None, "phone": None, "troubles": None}):
        assert heartbeats.read(body) == heartbeats.Heartbeat([], Phone(None, None), ())
    sign = heartbeats.read({"buttons": [{"device_id": HAND.device_id, "heard_at": None, "in_reach": None}]})
    assert sign.dropped == []
    assert (sign.buttons[0].heard_at_ms, sign.buttons[0].low, sign.buttons[0].faults) == (None, False, ())


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"buttons": {}}, "buttons", "wrong_type"),
        ({"buttons": [BUTTON] * 65}, "buttons", "out_of_range"),
        ({"buttons": [7]}, "buttons[0]", "wrong_type"),
        ({"buttons": [{}]}, "buttons[0]", "device_id_missing"),
        ({"buttons": [BUTTON | {"device_id": "x"}]}, "buttons[0]", "device_id_wrong_type"),
        ({"buttons": [BUTTON | {"heard_at": 5}]}, "buttons[0].heard_at", "wrong_type"),
        ({"buttons": [BUTTON | {"battery_mv": 20_001}]}, "buttons[0].battery_mv", "out_of_range"),
        ({"buttons": [BUTTON | {"battery_mv": 3.9}]}, "buttons[0].battery_mv", "wrong_type"),
        ({"buttons": [BUTTON | {"low": 1}]}, "buttons[0].low", "wrong_type"),
        ({"buttons": [BUTTON | {"in_reach": "yes"}]}, "buttons[0].in_reach", "wrong_type"),
        ({"buttons": [BUTTON | {"lost_after_s": -1}]}, "buttons[0].lost_after_s", "out_of_range"),
        ({"buttons": [BUTTON | {"lost_after_s": 109.5}]}, "buttons[0].lost_after_s", "wrong_type"),
        ({"buttons": [BUTTON | {"press_counter": -1}]}, "buttons[0].press_counter", "out_of_range"),
        ({"buttons": [BUTTON | {"alive_counter": 2**31}]}, "buttons[0].alive_counter", "out_of_range"),
        ({"buttons": [BUTTON | {"faults": ["Stuck"]}]}, "buttons[0].faults", "out_of_range"),
        ({"buttons": [BUTTON | {"faults": ["a"] * 9}]}, "buttons[0].faults", "out_of_range"),
        ({"phone": "Pixel"}, "phone", "wrong_type"),
        ({"phone": {"battery_percent": 101}}, "phone", "battery_percent_out_of_range"),
        ({"troubles": ["x" * 33]}, "troubles", "out_of_range"),
        ({"troubles": "no_position"}, "troubles", "wrong_type"),
        ({"troubles": [f"a{'b' * n}" for n in range(17)]}, "troubles", "out_of_range"),
    ],
)
def test_what_cannot_be_believed_is_dropped_and_named(
    change: dict[str, object], field: str, reason: str
) -> None:
    """And costs nothing else."""
    assert heartbeats.read(ALIVE | change).dropped == [Dropped(field, reason)]


@pytest.mark.parametrize("body", [None, [], "x", 4])
def test_only_an_object_is_a_sign_of_life(body: object) -> None:
    """Nothing is guessed."""
    with pytest.raises(Refused, match="wrong_type"):
        heartbeats.read(body)


def test_the_pace_is_kept_per_bridge() -> None:
    """A second within 10 s is too early; who keeps to the fastest pace that we ask for never is."""
    pace = Pace()
    assert pace.wait_ms("a", 0) == 0
    assert pace.wait_ms("a", 0) > 0
    assert pace.wait_ms("b", 0) == 0
    assert pace.wait_ms("a", 5_000) == Pace.EVERY_MS - 5_000
    assert [pace.wait_ms("a", at_ms) for at_ms in (9_990, 19_980, 29_970)] == [0, 0, 0]


@pytest.mark.parametrize("alive_s", [10, 60, 900])
def test_bridges_that_come_in_step_after_an_outage_do_not_come_in_step_again(alive_s: int) -> None:
    """Thousands that speak in one second are spread over the whole pace by one answer."""
    count = 100 * alive_s
    nexts = Counter(heartbeats.next_in_s(f"bridge {n}", 1_000_000, alive_s) for n in range(count))
    assert len(nexts) == alive_s
    assert max(nexts.values()) < 1.5 * count / alive_s


@pytest.mark.parametrize("alive_s", [20, 47, 60, 900])
@pytest.mark.parametrize("late_s", [0, 1])
def test_who_speaks_in_its_own_second_speaks_every_pace_however_slow_its_way_is(
    alive_s: int, late_s: int
) -> None:
    """A second late on the way each time does not add up."""
    now_s, times = 1_000_000, []
    for _ in range(20):
        times.append(now_s)
        now_s += heartbeats.next_in_s("bridge", now_s, alive_s) + late_s
    assert times[-1] - times[1] == 18 * alive_s
    assert all(after - before >= heartbeats.ALIVE_S_MIN for before, after in pairwise(times))


def test_the_first_of_its_own_seconds_is_within_what_silence_is_given() -> None:
    """Three in a row, the first of them as late as it can be, and 20 s to spare for their way."""
    for alive_s in (heartbeats.ALIVE_S_MIN, heartbeats.ALIVE_S, heartbeats.ALIVE_S_MAX):
        waits_s = [heartbeats.next_in_s("bridge", now_s, alive_s) for now_s in range(alive_s)]
        assert min(waits_s) >= heartbeats.ALIVE_S_MIN
        assert (max(waits_s) + 2 * alive_s + 20) * 1000 < losses.silence_ms(alive_s)
