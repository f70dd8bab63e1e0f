"""Others send the code that is on the air: the hand feels what it feels without them, about as soon.

An impostor has a link, answers every write and shows a *state* that is none, or the one that it reads from
the button at that moment; a shouter accepts no link.
"""

from collections.abc import Callable
from random import Random

import pytest

from sim.judge.vibrations import NOT_CONFIRMED, RECEIVED, vibrations
from sim.virtual.ble import Central
from sim.virtual.fault_script import Schedule, Step
from sim.virtual.radio_world import Sender
from sim.virtual.world import World
from wire import state

HELD_S, FROM_S = 20.0, 22.5
ADAPTER_OFF = Step(18, "adapter_gone", "bridge", 12)
ASLEEP = Step(11, "phone_asleep", "bridge", 320)
NO_STATES: dict[str, Callable[[Random], bytes | None]] = {
    "too short": lambda _: bytes(12),
    "not sealed": lambda random: random.randbytes(state.VALUE_BYTES),
    "none": lambda _: None,
}
PASSED_ON = "passed on"


class Impostor:
    """Sends the newest code of the air from `FROM_S` on, under a new address every `every_s`."""

    def __init__(self, world: World, name: str, at_m: float, every_s: float, shows: str = "") -> None:
        self._world, self._every_s, self._shows = world, every_s, shows
        self._random = world._random(name)
        self.sender = Sender(name)
        world.air.place_m[name] = at_m
        world.time.at(FROM_S, self._send)

    def _send(self) -> None:
        sender = self.sender
        sender.uuid = self._world.overheard.codes[-1]
        sender.address = f"{self._random.randrange(0xC0_00_00_00_00_00, 1 << 48):012X}"
        sender.interval_us, sender.connectable = 20_000, True
        self._world.air.send(sender)
        self._world.time.after(self._every_s, self._send)

    def connect(self, _central: Central, address: str) -> int | None:
        """Take the link, where it is one that accepts links."""
        return 1 if self._shows and address == self.sender.address else None

    def disconnect(self, _connection: int) -> None:
        """Let go."""

    def write(self, _connection: int, _value: bytes) -> bool:
        """Answer, as the button does."""
        return True

    def read(self, _connection: int) -> bytes | None:
        """Show what is no state of this button, or pass its own on."""
        return self._passed_on() if self._shows == PASSED_ON else NO_STATES[self._shows](self._random)

    def _passed_on(self) -> bytes | None:
        button = self._world.buttons["button"].ble
        connection = button.connect(Central(self.sender.name, lambda: None), button.sender.address)
        if connection is None:
            return None
        value = button.read(connection)
        button.disconnect(connection)
        return value


class CrowdedWorld(World):
    """A world with impostors in it."""

    def __init__(self, schedule: Schedule) -> None:
        super().__init__(schedule)
        self.impostors: dict[str, Impostor] = {}

    def add(self, at_m: float, every_s: float, shows: str = "") -> None:
        name = f"impostor{len(self.impostors)}"
        self.impostors[name] = Impostor(self, name, at_m, every_s, shows)

    def peripheral(self, name: str) -> object:
        """Return who is behind a name of the air."""
        return self.impostors.get(name) or super().peripheral(name)

    def wrote(self, phone: str, button: str, value: bytes) -> None:
        """Record what goes to the button; everybody hears the rest, too."""
        if button in self.impostors:
            self.overheard.value(value)
        else:
            super().wrote(phone, button, value)


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


def crowded(seed: int, fault: Step, *, repeats: bool = True) -> CrowdedWorld:
    steps = (fault, Step(HELD_S, "hold", "button"))
    return CrowdedWorld(
        Schedule(seed, tuple(sorted(steps, key=lambda step: step.at_s)), minutes=3, repeats=repeats)
    )


@pytest.mark.parametrize("fault", [ADAPTER_OFF, ASLEEP], ids=["off", "asleep"])
@pytest.mark.parametrize("shows", NO_STATES)
@pytest.mark.parametrize("seed", range(6))
def test_one_impostor_takes_no_receipt(seed: int, shows: str, fault: Step) -> None:
    """Nearer than the button, with a new address each second, from the first moment on."""
    without_s = received_s(crowded(seed, fault))
    world = crowded(seed, fault)
    world.add(2.0, 1.0, shows)
    assert received_s(world) < without_s + 5.0


@pytest.mark.parametrize("fault", [ADAPTER_OFF, ASLEEP], ids=["off", "asleep"])
@pytest.mark.parametrize("seed", range(6))
def test_who_passes_the_buttons_state_on_holds_its_receipt_back_for_seconds(seed: int, fault: Step) -> None:
    """The button is heard on: whoever took RECEIVED in its place was not the button."""
    world = crowded(seed, fault)
    world.add(2.0, 3600.0, PASSED_ON)
    world.run()
    felt = vibrations([event for event in world.events if event.by == "button"])
    patterns = [one.pattern for one in felt]
    assert RECEIVED in patterns
    assert NOT_CONFIRMED not in patterns


@pytest.mark.parametrize("crowd", [10, 30])
@pytest.mark.parametrize("seed", range(3))
def test_shouters_who_accept_no_link_are_passed_over(seed: int, crowd: int) -> None:
    """The nearest is tried first, and each of the others has about a second at most."""
    without_s = received_s(crowded(seed, ASLEEP))
    for at_m, late_s in ((23.0, 5.0), (2.0, 1.5 * crowd)):  # farther than the button; nearer
        world = crowded(seed, ASLEEP)
        for _ in range(crowd):
            world.add(at_m, 3600.0)
        assert received_s(world) < without_s + late_s
