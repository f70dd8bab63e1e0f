"""The virtual-time world: one seed is one history, and what it plays is a press all the way and back."""

import hashlib
import os
import sqlite3
import subprocess
import sys

import pytest

from sim.commands.explore import replay
from sim.faults import FAULTS
from sim.judge.vibrations import ACKNOWLEDGED, DISPATCHED, RECEIVED, TAKEN, vibrations
from sim.virtual import fault_script
from sim.virtual.explore import find
from sim.virtual.fault_script import Schedule, Step, draw
from sim.virtual.shrink import shrink
from sim.virtual.verdict import judge, play
from sim.virtual.world import World

HOUR_MS = 3_600_000
PRESS = Step(10, "hold", "button")


def test_a_press_goes_all_the_way_and_back() -> None:
    """Taken, received, acknowledged: felt in this order, and one incident."""
    world = World(Schedule(1, (PRESS, Step(20, "operate", "centre", value=2))))
    world.run()
    own = [e for e in world.events if e.by == "button"]
    assert [one.pattern for one in vibrations(own)] == [TAKEN, RECEIVED, ACKNOWLEDGED]
    assert [e.data["stages"] for e in world.events if e.by == "auditor"] == [[1, 2]]
    assert judge(world) == []


def test_the_same_schedule_is_the_same_history() -> None:
    """Byte for byte, as often as it is played."""
    for seed in (3, 14, 159):
        traces = set()
        for _ in range(2):
            world = World(draw(seed))
            world.run()
            traces.add(world.trace())
        assert len(traces) == 1


def digest(world: World) -> str:
    world.run()
    return hashlib.sha256(world.trace().encode()).hexdigest()


def test_the_history_does_not_depend_on_the_process() -> None:
    """Nor on how that process hashes strings."""
    program = """
from sim.virtual.fault_script import draw
from sim.virtual.world import World
from tests.scenario.test_virtual_world import digest

for seed in (2, 65, 35):
    print(digest(World(draw(seed))))
"""
    hashes = [digest(World(draw(seed))) for seed in (2, 65, 35)]
    elsewhere = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONHASHSEED": "1"},
        capture_output=True,
        check=True,
        text=True,
    )
    assert elsewhere.stdout.split() == hashes


def test_what_is_drawn_is_worth_playing() -> None:
    """Ten minutes at least, a press, three faults, and time for the bound after the last one."""
    for seed in range(300):
        drawn = draw(seed)
        assert drawn.minutes >= 10
        assert any(step.what in ("hold", "clicks", "tap") for step in drawn.steps)
        assert sum(step.what in FAULTS for step in drawn.steps) >= 3
        assert drawn.faults_end_s + fault_script.BOUND_S <= drawn.minutes * 60
        assert fault_script.read(drawn.written()) == drawn


@pytest.mark.parametrize("seed", [1, 101])
def test_promises_hold_under_faults(seed: int) -> None:
    """A few of the schedules that `make test-slow` plays by the thousand."""
    assert find(range(seed, seed + 8)) is None


def test_a_schedule_is_made_as_small_as_it_goes() -> None:
    """What does not matter is left out, and the result is always the same."""
    steps = tuple(Step(at, "tap", "button") for at in range(10, 20))
    needed = {steps[3], steps[8]}

    def breaks(candidate: Schedule) -> bool:
        return needed <= set(candidate.steps)

    whole = Schedule(1, steps, loss=0.3, fixes=True)
    assert shrink(whole, breaks) == Schedule(1, (steps[3], steps[8]))


def test_a_replay_shows_what_happened(capsys: pytest.CaptureFixture[str]) -> None:
    """The whole trace, and the verdict."""
    assert replay(Schedule(1, (PRESS,))) == 0
    said = capsys.readouterr().out
    assert "centre     received" in said
    assert said.endswith("all promises kept\n")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "not a schedule"),
        ('{"seed":1}', "not a schedule"),
        ('{"seed":1,"steps":[[1,"dance","button",0,0]]}', "nobody knows how to 'dance'"),
        ('{"seed":1,"steps":[[1,"hold","me",0,0]]}', "'me' is not in this world"),
    ],
)
def test_a_schedule_that_is_none_is_refused_with_a_sentence(text: str, why: str) -> None:
    """Nothing is played."""
    with pytest.raises(ValueError, match=why):
        fault_script.read(text)


def test_a_button_that_is_broken_after_heard_has_not_called_in_vain() -> None:
    """The bridge has it on disk, and brings it alone; over its own power cut."""
    steps = (
        Step(8, "network_hangs", "bridge", 60.0),
        PRESS,
        Step(16, "button_destroyed", "button"),
        Step(20, "phone_power_cut", "bridge", 10.0),
    )
    world = World(Schedule(1, steps))
    world.run()
    assert [e.data["counter"] for e in world.events if e.by == "auditor"] == [1]
    assert play(Schedule(1, steps)) == []


@pytest.mark.parametrize("fails_s", [2, 15, 60])
def test_a_press_that_flash_did_not_take_at_first_outlives_the_battery(fails_s: int) -> None:
    """Nobody is near; flash works again, then the battery is out and in: the alarm comes all the same."""
    away, fails = Step(5, "out_of_reach", "bridge", 300), Step(11, "flash_fails", "button", fails_s)
    world = World(Schedule(1, (away, PRESS, fails, Step(200, "power_cut", "button", 5)), minutes=15))
    world.run()
    said = [e.what for e in world.events if e.by == "button" and e.what in ("flash", "saved", "power")]
    assert said.index("flash") < said.index("saved") < len(said) - 1 - said[::-1].index("power")
    assert judge(world) == [], "and RECEIVED was felt"
    assert [e.data["stages"] for e in world.events if e.by == "auditor"] == [[1]]


def test_a_clock_set_around_a_press_makes_no_phone_deaf() -> None:
    """It scans by a list that time fills; the button was out of reach, and DISPATCHED is still felt."""
    steps = (
        Step(66.77, "clock_jumps", "bridge", value=3_600_000),
        Step(70.7, "hold", "button"),
        Step(76.95, "power_cut", "button", 1.0),
        Step(130.0, "out_of_reach", "bridge", 106.41),
        Step(154.9, "operate", "centre", value=3),
    )
    assert play(Schedule(2026112404453, steps, filtered=True)) == []


@pytest.mark.parametrize("down", ["phone_killed", "phone_power_cut"])
@pytest.mark.parametrize("set_by_ms", [-3 * HOUR_MS, -70_000, 3 * HOUR_MS])
def test_a_clock_set_while_the_bridge_is_down_makes_no_phone_deaf(down: str, set_by_ms: int) -> None:
    """It scans by a list, and cannot know for how long nobody listened; ACKNOWLEDGED is still felt."""
    steps = (
        Step(113.0, "hold", "button"),
        Step(160.49, down, "bridge", 89.47),
        Step(163.8, "operate", "centre", value=2),
        Step(182.61, "clock_jumps", "bridge", value=set_by_ms),
    )
    assert play(Schedule(10086, steps, filtered=True)) == []


@pytest.mark.parametrize("set_by_ms", [3 * HOUR_MS, 9000 * HOUR_MS, -9000 * HOUR_MS])
@pytest.mark.parametrize("down", ["phone_killed", "phone_power_cut"])
def test_a_restart_after_its_clock_was_set_ends_no_tracking(set_by_ms: int, down: str) -> None:
    """Ahead, too: where the person is in the end is where the operator sees the person."""
    steps = (
        Step(30, "hold", "button"),
        Step(60, "clock_jumps", "bridge", value=set_by_ms),
        Step(70, down, "bridge", 10),
    )
    assert play(Schedule(1, steps, minutes=8, fixes=True)) == []


@pytest.mark.parametrize("set_by_ms", [-HOUR_MS, HOUR_MS, -9000 * HOUR_MS])
@pytest.mark.parametrize("back_s", [0, 100])
def test_a_centres_clock_that_is_set_freezes_no_position(set_by_ms: int, back_s: int) -> None:
    """Set back, set ahead, set and put right again while an alarm is followed."""
    steps = (Step(30, "hold", "button"), Step(60, "clock_jumps", "centre", back_s, set_by_ms))
    assert play(Schedule(1, steps, minutes=8, fixes=True)) == []


def test_a_button_that_lost_its_power_twice_out_of_reach_is_heard_again() -> None:
    """The phone scans by a list, and each loss moves the button's counter on; DISPATCHED is still felt."""
    steps = (
        Step(139.4, "hold", "button"),
        Step(151.78, "power_cut", "button", 1.0),
        Step(153.21, "adapter_gone", "bridge", 92.35),
        Step(182.9, "operate", "centre", value=3),
        Step(200.99, "power_cut", "button", 1.0),
    )
    assert play(Schedule(500456, steps, filtered=True)) == []


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM alive",
        "UPDATE alive SET device_id = 'V' || device_id",
        "UPDATE alive SET counter = counter | 1 << 30",
        "UPDATE alive SET on_time_counter = on_time_counter | 1 << 12",
        "UPDATE alive SET counter = 'x'",
        "UPDATE alive SET heard_at_ms = heard_at_ms | 1 << 44",
        "UPDATE alive SET heard_at_ms = 0, on_time_at_ms = 0",
    ],
)
def test_a_phone_that_has_lost_what_it_knew_of_a_button_hears_its_calls(damage: str) -> None:
    """By a list of codes, too: an alarm from out of its reach is received, and DISPATCHED felt."""
    steps = (
        Step(330, "out_of_reach", "bridge", 100),
        Step(340, "hold", "button"),
        Step(400, "phone_killed", "bridge", 10),
        Step(450, "operate", "centre", value=3),
    )
    world = World(Schedule(1, steps, minutes=14, filtered=True, alive_period_s=60))
    phone = world.phones["bridge"]
    world.time.at(405, lambda: sqlite3.Connection.execute(phone.disk._db, damage))
    world.run()
    assert judge(world) == []
    assert [e.data["stages"] for e in world.events if e.by == "auditor"] == [[1, 2, 3]]
    felt = [one.pattern for one in vibrations([e for e in world.events if e.by == "button"])]
    assert felt[-1] == DISPATCHED


@pytest.mark.parametrize("set_by_ms", [-3 * HOUR_MS, 3 * HOUR_MS])
def test_a_clock_set_after_a_press_makes_no_recording_of_it(set_by_ms: int) -> None:
    """The button's power fails at RECEIVED, so it calls again with the same code, and it is answered."""
    steps = (
        Step(291.8, "hold", "button"),
        Step(293.25, "power_cut_at", "button", 33.2, 3),
        Step(325.18, "clock_jumps", "bridge", value=set_by_ms),
        Step(328.0, "operate", "centre", value=2),
    )
    assert play(Schedule(387, steps)) == []


@pytest.mark.parametrize("set_by_ms", [-3 * HOUR_MS, 3 * HOUR_MS])
def test_a_clock_that_is_set_makes_no_sign_of_life_stale(set_by_ms: int) -> None:
    """A machine without a clock of its own starts hours ago: a true button is no recording, from the first
    sign on."""
    steps = (Step(100, "clock_jumps", "bridge", value=set_by_ms), Step(200, "phone_killed", "bridge", 1.0))
    world = World(Schedule(1, steps, alive_period_s=60))
    world.run()
    heard = [e.data for e in world.events if (e.by, e.what) == ("bridge", "heard")]
    assert len(heard) > 6
    assert not any("stale" in data for data in heard)


def test_a_restart_forgets_nothing_of_how_well_a_button_is_heard() -> None:
    """A bridge that has learnt that it hears all still says so to the centre: a loss is found as soon."""
    world = World(Schedule(1, (Step(2400, "phone_killed", "bridge", 10),), minutes=42, alive_period_s=60))
    world.begin()
    lost_after_s: list[int] = []
    for at_s in (60, 2390, 2500):
        world.run_until(at_s)
        told = world.centre.disk.query("SELECT lost_after_s FROM button_states")
        lost_after_s.append(told[0][0])
    world.end()
    at_first, learnt, restarted = lost_after_s
    assert restarted <= learnt < at_first / 4
