"""Three worlds, one code: the same scenario in each of them, the same order of events.

In real time there are processes, the MicroPython VM, Bluetooth packets and TLS; in virtual time none of them;
in a city a phone is the bridge's rules alone. What each of the actors goes through must be the same, in the
same order; and across actors what causes what.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from firmware.board.press import Press
from sim.city.city import City, Plan
from sim.city.statistics import Key
from sim.judge import vibrations
from sim.judge.events import WorldEvent
from sim.realtime.world import Trouble, World
from sim.virtual.fault_script import SETTLE_S, Schedule, Step
from sim.virtual.world import World as VirtualWorld
from tests.integration.conftest import PATIENT, watched
from wire import receipts

ACTORS = ("hand", "button", "bridge", "centre")
LIMIT_S = 150.0

Act = tuple[str, str]
PRESSED: list[Act] = [("press", ""), ("until", "button receipt 1"), ("until", "bridge receipt 1.1 1")]
SCENARIOS: dict[str, list[Act]] = {
    "a press that is acknowledged": [*PRESSED, ("acknowledge", ""), ("until", "bridge receipt 1.1 2")],
    "a silent test": [("clicks", ""), ("until", "bridge receipt 2.1 1")],
    "two presses": [*PRESSED, ("press", ""), ("until", "bridge receipt 1.2 1")],
    "the centre is away": [
        ("kill", "centre"),
        ("press", ""),
        ("until", "bridge heard 1.1"),
        ("start", "centre"),
        ("until", "bridge receipt 1.1 1"),
    ],
    "the bridge dies after it has heard": [
        ("kill", "centre"),
        ("press", ""),
        ("until", "bridge heard 1.1"),
        ("kill", "bridge"),
        ("start", "centre"),
        ("start", "bridge"),
        ("until", "bridge receipt 1.1 1"),
    ],
    "the bridge was away when it was pressed": [
        ("kill", "bridge"),
        ("press", ""),
        ("start", "bridge"),
        ("until", "bridge receipt 1.1 1"),
    ],
    "a reset in the middle": [
        ("kill", "bridge"),
        ("press", ""),
        ("reset", ""),
        ("start", "bridge"),
        ("until", "bridge receipt 1.1 1"),
    ],
}
QUICK = ("a press that is acknowledged",)
# What causes what, whatever the timing.
CAUSES = (
    ("hand pressed", "button advert {0}"),
    ("button advert {0}", "bridge heard {0}"),
    ("bridge heard {0}", "centre received {0}"),
    ("centre received {0}", "bridge received {0}"),
    ("bridge received {0}", "button receipt 1"),
    ("bridge received {0}", "bridge receipt {0} 1"),  # NimBLE answers before the button's line says so
    ("centre acknowledged {0}", "button receipt 2"),
)


def label(e: WorldEvent) -> str | None:
    """How an event is called in both worlds; None for what depends on timing (retries, HEARD, ...)."""
    data = e.data
    which = f"{data['event']}.{data['counter']}" if "event" in data and "counter" in data else ""
    if e.by == "hand":
        return f"hand {e.what}"
    if e.by == "button" and e.what == "advert" and data["args"][0] in ("1", "2"):
        return f"button advert {data['args'][0]}.{data['args'][1]}"
    if e.by == "button" and e.what == "receipt" and data["args"][0] != "0":
        return f"button receipt {data['args'][0]}"
    if e.by == "bridge" and e.what in ("heard", "received") and data.get("event") in (1, 2):
        return f"bridge {e.what} {which}"
    if e.by == "bridge" and e.what == "receipt":
        return f"bridge receipt {which} {data['stage']}"
    if e.by == "centre" and data.get("known"):
        return None  # a post that was repeated, or brings the age
    if e.by == "centre" and e.what in ("received", "acknowledged"):
        return f"centre {e.what} {which}"
    return None


def order(events: Sequence[WorldEvent]) -> list[str]:
    """All labels, each time that one is new for its actor: an advert is told again when it slows down."""
    last: dict[str, str] = {}
    found = []
    for event in events:
        said = label(event)
        if said is not None and last.get(event.by) != said:
            last[event.by] = said
            found.append(said)
    return found


def of(actor: str, labels: Sequence[str]) -> list[str]:
    return [said for said in labels if said.startswith(actor)]


def patterns(events: Sequence[WorldEvent]) -> list[Any]:
    """What the hand felt."""
    return [one.pattern for one in vibrations.vibrations([e for e in events if e.by == "button"])]


def broken_causes(labels: Sequence[str]) -> Iterator[str]:
    """Of the first press."""
    which = next(said for said in labels if said.startswith("button advert")).split()[-1]
    for cause, effect in CAUSES:
        first, then = cause.format(which), effect.format(which)
        if then in labels and (first not in labels or labels.index(first) > labels.index(then)):
            yield f"{then} without {first} before it"


# -- in real time -------------------------------------------------------------------------------------


async def in_real_time(home: Path, acts: Sequence[Act]) -> list[WorldEvent]:
    async with World(home) as world:
        await world.add_centre()
        button = await watched(world, settings=PATIENT | {"hold_ms": 2000})
        since = len(world.events)
        for act, what in acts:
            if act == "press":
                await button.press()
                await asyncio.sleep(0.3)
            elif act == "clicks":
                await button.clicks()
            elif act == "reset":
                await button.board.reset()
            elif act == "acknowledge":
                await _acknowledge(world)
            elif act in ("kill", "start"):
                await (world.kill(what) if act == "kill" else world.start(what))
            else:
                match = _said(what)
                await world.wait_for(match, since=since, timeout_s=LIMIT_S)
        await _motor_is_still(world)
        # A program's line says when it was said; it may arrive after another's later one.
        return sorted(world.events[since:], key=lambda event: event.at_ms)


async def _motor_is_still(world: World) -> None:
    """It has said all that it had to say."""
    seen = 0
    while any(e.what == "motor" for e in world.events[seen:]):
        seen = len(world.events)
        await asyncio.sleep(1.5)


async def _acknowledge(world: World) -> None:
    received = next(e for e in world.events if e.by == "centre" and e.what == "received")
    for _ in range(100):
        try:
            return await world.acknowledge(received.data["incident"])
        except Trouble:
            await asyncio.sleep(0.2)
    raise AssertionError("the centre did not take it")


def _said(what: str) -> Callable[[WorldEvent], bool]:
    return lambda e: label(e) == what


# -- in virtual time ----------------------------------------------------------------------------------


def in_virtual_time(acts: Sequence[Act]) -> list[WorldEvent]:
    world = VirtualWorld(Schedule(1))
    world.begin()
    world.run_until(SETTLE_S)
    since = len(world.events)
    for act, what in acts:
        if act == "press":
            pressed = len(world.events)
            world.buttons["button"].down()
            _until(world, pressed, lambda e: (label(e) or "").startswith("button advert 1."))
            world.run_until(world.time.now_s + 0.15)
            world.buttons["button"].up()
            world.run_until(world.time.now_s + 0.3)
        elif act == "until":
            _until(world, since, _said(what))
        elif act in ("kill", "start"):
            program: Any = world.centre if what == "centre" else world.phones[what]
            program.kill() if act == "kill" else program.start()
            world.run_until(world.time.now_s + 1.5)
        else:
            step = {"clicks": ("clicks", "button", 0), "reset": ("button_reset", "button", 0)}
            verb, who, value = step.get(act, ("operate", "centre", 2))
            world.do(Step(world.time.now_s, verb, who, value=value))
    world.run_until(world.time.now_s + 2.5)
    events = world.events[since:]
    world.end()
    return events


def _until(world: VirtualWorld, since: int, match: Callable[[WorldEvent], bool]) -> None:
    until_s = world.time.now_s + LIMIT_S
    while not any(match(e) for e in world.events[since:]):
        assert world.time.now_s < until_s, world.trace()
        world.run_until(world.time.now_s + 0.05)


# -- in a city ----------------------------------------------------------------------------------------


NOT_IN_A_CITY = ("reset",)  # acts


class LonelyCity:
    """A city of one button, always with its phone; `labels`: what they and the centre went through."""

    def __init__(self) -> None:
        self._city = City(Plan(buttons=1, hours=24, seed=1, presses_per_day=0))
        (self._phone,) = self._city.phones
        assert not self._phone.habits.off + self._phone.habits.apart
        self.labels: list[str] = []
        self._known: set[tuple[Key, str]] = set()

    def play(self, acts: Sequence[Act]) -> list[str]:
        for act, what in acts:
            self._do(act, what)
            self._look()
        self._run(2_500)
        self._city.close()
        return self.labels

    def _do(self, act: str, what: str) -> None:
        if act == "press":
            self._city.press(self._phone, Press.hold)
        elif act == "clicks":
            self._city.press(self._phone, Press.clicks)
        elif act == "acknowledge":
            (row,) = self._phone.presses
            assert row.incident is not None
            self.labels.append(f"centre acknowledged {row.event}.{row.counter}")
            self._city.advance(self._phone, row.incident, receipts.ACKNOWLEDGED, None)
        elif act in ("kill", "start") and what == "centre":
            self._city.network(act == "kill")
        elif act in ("kill", "start"):
            self._phone.switch_off() if act == "kill" else self._phone.switch_on()
            self._run(1_500)
        else:
            self._run(LIMIT_S * 1000, what)

    def _run(self, ms: float, until: str = "") -> None:
        """Let time pass, up to what `until` says, which must come about."""
        queue = self._city.queue
        end_ms = queue.now_ms + ms
        while queue.now_ms < end_ms and until not in self.labels:
            queue.run(queue.now_ms + 1)
            self._look()
        assert not until or until in self.labels, self.labels

    def _look(self) -> None:
        """Note what is new, in the words of the other worlds."""
        for key, label in self._facts():
            if (key, label) not in self._known:
                self._known.add((key, label))
                self.labels.append(label)

    def _facts(self) -> Iterator[tuple[Key, str]]:
        life = self._phone.button.press.life
        for key, press in self._city.tally.taken.items():
            which = f"{key[1]}.{key[2]}"
            yield key, f"button advert {which}"
            if press.received_ms >= 0:
                yield key, f"centre received {which}"
            if press.confirmed_ms >= 0:
                yield key, "button receipt 1"
            if key[1:] == (life.event, life.press_counter) and life.stage >= receipts.ACKNOWLEDGED:
                yield key, f"button receipt {life.stage}"
        for row in self._phone.presses:
            which = f"{row.event}.{row.counter}"
            yield row.key, f"bridge heard {which}"
            if row.incident is not None:
                yield row.key, f"bridge received {which}"
            for stage in range(receipts.RECEIVED, row.delivered + 1):
                yield row.key, f"bridge receipt {which} {stage}"


@pytest.mark.parametrize(
    "name", [name for name, acts in SCENARIOS.items() if not set(NOT_IN_A_CITY) & set(dict(acts))]
)
def test_a_citys_phone_goes_through_the_same(name: str) -> None:
    """Button, phone and centre, by the bridge's rules alone; a city has no motors."""
    in_city, virtual = LonelyCity().play(SCENARIOS[name]), order(in_virtual_time(SCENARIOS[name]))
    for actor in ("button", "bridge", "centre"):
        assert of(actor, in_city) == of(actor, virtual), actor
    assert list(broken_causes(["hand pressed", *in_city])) == []


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in SCENARIOS]
)
async def test_both_worlds_tell_the_same(tmp_path: Path, name: str) -> None:
    """The same events in the same order for each actor, the same causes across them, the same in the hand."""
    virtual = in_virtual_time(SCENARIOS[name])
    real = await in_real_time(tmp_path, SCENARIOS[name])
    for actor in ACTORS:
        assert of(actor, order(virtual)) == of(actor, order(real)), actor
    assert list(broken_causes(order(virtual))) == []
    assert list(broken_causes(order(real))) == []
    assert patterns(virtual) == patterns(real)
