"""Others send the code that is on the air: the hand feels what it feels without them, about as soon.

An impostor has a link, answers every write and shows a *state* that is none, or the one that it reads from
the button at that moment; a shouter accepts no link.
"""

import pytest

from sim.faults import SHOWN
from sim.judge.vibrations import NOT_CONFIRMED, RECEIVED, vibrations
from sim.virtual.fault_script import Schedule, Step
from sim.virtual.radio_world import Sender
from sim.virtual.world import World
from tests.parts import seeds

HELD_S, FROM_S = 20.0, 22.5
ADAPTER_OFF = Step(18, "adapter_gone", "bridge", 12)
ASLEEP = Step(11, "phone_asleep", "bridge", 320)


def shout(world: World, count: int, at_m: float) -> None:
    """Have so many send the newest code of the air, each under its own address; none accepts a link."""
    for number in range(count):
        sender = Sender(f"shouter{number}")
        world.air.place_m[sender.name] = at_m
        sender.uuid = world.overheard.newest["button"]
        sender.address = f"{0xC0_00_00_00_00_00 + number:012X}"
        sender.interval_us, sender.connectable = 20_000, True
        world.air.send(sender)


def received_s(world: World) -> float:
    """Return when the hand felt RECEIVED, in s after the press; the bridge says so at no other time."""
    world.run()
    own = [event for event in world.events if event.by == "button"]
    felt = vibrations(own)
    assert NOT_CONFIRMED not in [one.pattern for one in felt]
    (at_ms,) = [one.from_ms for one in felt if one.pattern == RECEIVED]
    (receipt_ms,) = [e.at_ms for e in world.events if (e.by, e.what) == ("bridge", "receipt")]
    assert abs(receipt_ms - at_ms) < 1_000, "the bridge says taken when the button has taken it"
    pressed_ms = next(e.at_ms for e in world.events if e.by == "schedule" and e.what == "hold")
    return (at_ms - pressed_ms) / 1000


def world_of(seed: int, *faults: Step) -> World:
    steps = (*faults, Step(HELD_S, "hold", "button"))
    return World(Schedule(seed, tuple(sorted(steps, key=lambda step: step.at_s)), minutes=3))


@pytest.mark.parametrize("fault", [ADAPTER_OFF, ASLEEP], ids=["off", "asleep"])
@pytest.mark.parametrize("shows", SHOWN)
@pytest.mark.parametrize("seed", seeds(2, 6))
def test_one_impostor_takes_no_receipt(seed: int, shows: str, fault: Step) -> None:
    """Nearer than the button, with a new address each second, from the first moment on."""
    without_s = received_s(world_of(seed, fault))
    impostor = Step(FROM_S, "impostors", "button", 150, shows)
    assert received_s(world_of(seed, fault, impostor)) < without_s + 5.0


@pytest.mark.parametrize("fault", [ADAPTER_OFF, ASLEEP], ids=["off", "asleep"])
@pytest.mark.parametrize("seed", range(6))
def test_who_passes_the_buttons_state_on_holds_its_receipt_back_for_seconds(seed: int, fault: Step) -> None:
    """The button is heard on: whoever took RECEIVED in its place was not the button."""
    world = world_of(seed, fault, Step(FROM_S, "state_passed_on", "button", 150))
    world.run()
    felt = vibrations([event for event in world.events if event.by == "button"])
    patterns = [one.pattern for one in felt]
    assert RECEIVED in patterns
    assert NOT_CONFIRMED not in patterns


@pytest.mark.parametrize("crowd", [10, 30])
@pytest.mark.parametrize("seed", range(3))
def test_shouters_who_accept_no_link_are_passed_over(seed: int, crowd: int) -> None:
    """The nearest is tried first, and each of the others has about a second at most."""
    without_s = received_s(world_of(seed, ASLEEP))
    for at_m, late_s in ((23.0, 5.0), (2.0, 1.5 * crowd)):  # farther than the button; nearer
        world = world_of(seed, ASLEEP)
        world.time.at(FROM_S, shout, world, crowd, at_m)
        assert received_s(world) < without_s + late_s
