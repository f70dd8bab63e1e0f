"""What goes wrong with a button in a hand: long holds, resets, brown-outs, strangers with patience."""

from random import Random

import pytest

from sim.faults import ALL_LOST
from sim.judge.events import WorldEvent
from sim.judge.vibrations import NOT_CONFIRMED, RECEIVED, TAKEN, Vibration, vibrations
from sim.virtual.fault_script import Schedule, Step
from sim.virtual.fixture import EPOCH_MS
from sim.virtual.verdict import judge
from sim.virtual.world import World

Steps = list[tuple[object, ...]]


def played(steps: Steps, *, seed: int = 1, minutes: float = 10) -> World:
    """A world in which these steps have happened."""
    world = World(Schedule(seed, tuple(Step(*step) for step in steps), minutes))  # type: ignore[arg-type]
    world.run()
    return world


def of_button(world: World, what: str = "") -> list[WorldEvent]:
    return [h for h in world.events if h.by == "button" and what in ("", h.what)]


def patterns(world: World) -> list[tuple[float, object]]:
    """`(at_s, what)` of all that the hand felt."""
    return [(at_s(one), one.pattern) for one in vibrations(of_button(world))]


def at_s(one: Vibration) -> float:
    return (one.from_ms - EPOCH_MS) / 1000


def taken_s(world: World) -> list[float]:
    return [at for at, what in patterns(world) if what == TAKEN]


def incidents(world: World) -> int:
    return len([h for h in world.events if h.by == "auditor"])


# -- held for long ----------------------------------------------------------------------------


def test_a_press_after_one_that_was_held_for_over_a_minute_is_taken() -> None:
    """Closed meanwhile, let go in its sleep, pressed half a minute later; and no boot without a reason."""
    world = played(
        [(10, "hold", "button", 0, 90), (12.5, "operate", "centre", 0, 4), (130, "hold", "button")],
        minutes=20,
    )
    assert [at for at in taken_s(world) if at > 20] == [pytest.approx(132.2, abs=0.2)]
    assert incidents(world) == 2
    assert len(of_button(world, "boot")) < 30
    assert judge(world) == []


def test_a_press_after_a_long_one_is_taken_without_a_phone_too() -> None:
    """Held on in fear, the phone left behind, let go and pressed again."""
    world = played(
        [(10, "hold", "button", 0, 200), (14, "out_of_reach", "bridge", 300), (240, "hold", "button")]
    )
    assert taken_s(world)[1:] == [pytest.approx(242.2, abs=0.2)]
    assert incidents(world) == 2
    assert judge(world) == []


@pytest.mark.parametrize("seed", range(12))
def test_however_long_it_was_held_and_whenever_it_is_pressed_again_it_is_taken(seed: int) -> None:
    """Drawn: how long it is held, how soon it is pressed again, and whether a phone is near."""
    random = Random(seed)
    held_s, pause_s = random.uniform(55, 400), random.uniform(0.3, 60)
    again_s = 10 + held_s + pause_s
    steps: Steps = [(10, "hold", "button", 0, held_s), (again_s, "hold", "button", 0, 2.6)]
    if random.random() < 0.5:
        steps.append((14, "out_of_reach", "bridge", 200))
    if random.random() < 0.5:
        steps.append((random.uniform(11, 60), "operate", "centre", 0, 4))
    world = played(sorted(steps, key=lambda step: float(str(step[0]))), seed=seed, minutes=20)
    assert [at for at in taken_s(world) if at > again_s] == [pytest.approx(again_s + 2.2, abs=1.0)]
    assert judge(world) == []


# -- resets ----------------------------------------------------------------------------


@pytest.mark.parametrize("every_s", [20, 50])
@pytest.mark.parametrize("what", ["button_reset", "power_cut"])
def test_not_confirmed_is_felt_once_however_often_the_button_starts_anew(what: str, every_s: int) -> None:
    """60 s from the press where the clock goes on; from the second start at the latest where it is lost."""
    faults = [
        (15 + n * every_s, what, "button", 0.5 if what == "power_cut" else 0) for n in range(400 // every_s)
    ]
    world = played([(8.5, "out_of_reach", "bridge", 600, 0), (10, "hold", "button"), *faults], minutes=16)
    not_confirmed_s = [at for at, felt_what in patterns(world) if felt_what == NOT_CONFIRMED]
    assert len(not_confirmed_s) == 1
    assert not_confirmed_s[0] < 90
    if what == "button_reset":
        assert not_confirmed_s[0] == pytest.approx(72.2, abs=0.5)


def test_a_motor_that_browns_the_board_out_costs_one_start_for_each_stage() -> None:
    """What is to be felt is on flash before the motor starts; the rest of the day works."""
    world = World(
        Schedule(1, (Step(10, "hold", "button"), Step(60, "operate", "centre", value=4)), minutes=20)
    )
    world.buttons["button"].brown_out_keeps = ALL_LOST
    world.run()
    cuts_s = [(h.at_ms - EPOCH_MS) / 1000 for h in of_button(world, "cut")]
    assert len(cuts_s) == 4  # TAKEN, RECEIVED, ACKNOWLEDGED, CLOSED
    assert len([h for h in of_button(world, "receipt") if h.data["args"] == ["1"]]) <= 2
    assert incidents(world) == 1


def test_a_motor_that_browns_the_board_out_tells_not_confirmed_once() -> None:
    """Far from every phone: not a restart each minute, for ever."""
    world = World(
        Schedule(1, (Step(8.5, "out_of_reach", "bridge", 900), Step(10, "hold", "button")), minutes=20)
    )
    world.buttons["button"].brown_out_keeps = ALL_LOST
    world.run()
    before_s = [h for h in of_button(world, "cut") if h.at_ms < EPOCH_MS + 900_000]
    assert len(before_s) == 2  # TAKEN, NOT_CONFIRMED


# -- strangers ----------------------------------------------------------------------------


def heard_after_s(steps: Steps) -> float:
    """How long after the hold a phone hears the press, on the mean of a few histories."""
    times_s = []
    for seed in range(1, 9):
        world = played([*steps, (20, "hold", "button")], seed=seed)
        heard_ms = (h.at_ms for h in world.events if h.by == "bridge" and h.what == "heard")
        times_s.append(
            next(at_ms for at_ms in heard_ms if at_ms > EPOCH_MS + 20_000) / 1000 - EPOCH_MS / 1000
        )
    return sum(times_s) / len(times_s) - 22


@pytest.mark.parametrize("phone", ["asleep", pytest.param("awake", marks=pytest.mark.slow)])
def test_strangers_who_cannot_be_let_go_of_do_not_take_the_code_off_the_air(phone: str) -> None:
    """Four links that last 32 s more, as often as they can: heard as soon as without them."""
    steps: Steps = [(11, "phone_asleep", "bridge", 320)] if phone == "asleep" else []
    strangers: Steps = [(12, "strangers", "button", 300, "linger")] * 4
    assert heard_after_s([*steps, *strangers]) <= heard_after_s(steps) * 1.2 + 0.1


@pytest.mark.parametrize("seed", range(6))
def test_a_peer_that_cannot_be_let_go_of_makes_no_long_pulse(seed: int) -> None:
    """Switching the radio off would wait for it, and the motor would run meanwhile: another word."""
    strangers: Steps = [(9 + n / 4, "strangers", "button", 300, "linger") for n in range(3)]
    world = played([*strangers, (10, "phone_asleep", "bridge", 60), (12, "clicks", "button")], seed=seed)
    words = [what for _, what in patterns(world)]
    assert words in ([TAKEN, RECEIVED], [TAKEN, NOT_CONFIRMED, RECEIVED])
    assert judge(world) == []
