"""SIGKILL and power cuts at every stage of a press: exactly one incident, and a receipt on the button."""

import asyncio
import random
import sqlite3
from functools import partial
from itertools import dropwhile

import pytest

from sim.realtime.demo import STAGES
from sim.realtime.world import Button, Trouble, World, WorldEvent
from tests.integration.conftest import incidents, is_stage, said, watched
from wire.codes import ALARM

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("promises_are_kept")]

AWAY_S = 0.7  # how long a killed program stays away


async def press_with_a_kill(world: World, button: Button, victim: str, stage: str) -> None:
    """One press, acknowledged; `victim` dies the moment `stage` is seen, and comes back."""
    died = asyncio.Event()

    def strike(event: WorldEvent) -> None:
        if is_stage(event, stage) and not died.is_set():
            world.programs[victim].send_kill()
            died.set()

    since = len(world.events)
    operator = asyncio.create_task(acknowledge(world, since))
    with world.watching(strike):
        hand = asyncio.create_task(button.press())
        async with asyncio.timeout(30):
            await died.wait()
    await world.kill(victim)
    await asyncio.sleep(AWAY_S)
    await world.start(victim)
    await world.wait_for(said("button", "receipt", "1"), since=since, timeout_s=60)
    await operator
    # The link may have gone with its bridge: then the stage comes at the next CONTACT, within a minute.
    await world.wait_for(said("button", "receipt", "2"), since=since, timeout_s=90)
    await hand


async def acknowledge(world: World, since: int) -> None:
    """An operator who tries again while the centre is away."""
    received = await world.wait_for(lambda e: is_stage(e, "received"), since=since, timeout_s=60)
    await world.wait_for(said("button", "receipt", "1"), since=since, timeout_s=60)
    async with asyncio.timeout(90):
        while True:
            try:
                return await world.acknowledge(received.data["incident"])
            except Trouble:
                await asyncio.sleep(0.2)


@pytest.mark.parametrize("stage", STAGES[:-1])
@pytest.mark.parametrize("victim", ["bridge", "centre"])
async def test_killed_at_any_stage(world: World, victim: str, stage: str) -> None:
    """Killed when the press reaches `stage`, started again: one incident, both receipts on the button."""
    button = await watched(world)
    await press_with_a_kill(world, button, victim, stage)
    assert incidents(world) == [(button.device_id, ALARM, 1)]


@pytest.mark.parametrize("victim", ["bridge", "centre"])
async def test_killed_after_the_last_receipt(world: World, victim: str) -> None:
    """What is done stays done: nothing is sent or felt twice."""
    button = await watched(world)
    await button.press()
    received = await world.wait_for(lambda e: is_stage(e, "received"))
    await world.acknowledge(received.data["incident"])
    await world.wait_for(said("button", "receipt", "2"))
    await world.wait_for(lambda e: e.by == "bridge" and e.what == "age")  # told with the press once more
    since = len(world.events)
    await world.kill(victim)
    await world.start(victim)
    await asyncio.sleep(3)
    assert incidents(world) == [(button.device_id, ALARM, 1)]
    assert not [e for e in world.events[since:] if e.by == "centre" and e.what == "received"]
    # The taken pulse, RECEIVED and ACKNOWLEDGED may still be in the motor; nothing new is proven.
    assert not [e for e in world.events[since:] if said("button", "receipt", "1")(e)]


@pytest.mark.parametrize("seed", range(12))
async def test_killed_at_a_random_moment(world: World, seed: int) -> None:
    """Between the first advert and the receipt; again with `pytest -k "random_moment and <seed>"`."""
    rng = random.Random(seed)
    victim, delay_s = rng.choice(["bridge", "centre"]), rng.uniform(0, 0.12)
    button = await watched(world)
    hand = asyncio.create_task(button.press())
    await world.wait_for(lambda e: is_stage(e, "first_advert"))
    await asyncio.sleep(delay_s)
    await world.kill(victim)
    await world.start(victim)
    await world.wait_for(said("button", "receipt", "1"), timeout_s=60)
    await hand
    assert incidents(world) == [(button.device_id, ALARM, 1)], f"seed {seed}: {victim} after {delay_s:.3f} s"


async def press_with_a_cut(world: World, button: Button, write: int) -> bool:
    """A finger that stays until the receipt, over a power cut at flash operation `write`. Returns whether
    the power was cut before RECEIVED was on flash; where it was not, or comes again, the press is over then.
    """
    await asyncio.sleep(1)  # a finger that comes back at once has never left
    since = len(world.events)
    await button.board.cut_power_at_write(write)
    button.down()
    was_cut, over = said("button", "cut"), partial(is_over, world, since)
    end = await world.wait_for(lambda e: was_cut(e) or over(), since=since, timeout_s=90)
    if over():
        button.up()
        return False
    assert was_cut(end)
    again = len(world.events)
    if proven := is_proven(world, since):
        button.up()
    await button.board.power_on()
    first = await world.wait_for(said("button", "advert"), since=again)
    if not proven or first.data["args"][0] == str(ALARM):
        await world.wait_for(lambda _: is_over(world, again), since=again, timeout_s=60)
    if not proven:
        button.up()
    return True


def after_receipt(world: World, since: int) -> list[WorldEvent]:
    """What the button does, from the RECEIVED on of a press that has gone on the air since then."""
    pressed = dropwhile(lambda e: not said("button", "advert", str(ALARM))(e), world.events[since:])
    received = dropwhile(lambda e: not said("button", "receipt", "1")(e), pressed)
    return [e for e in received if e.by == "button"]


def is_proven(world: World, since: int) -> bool:
    return bool(after_receipt(world, since))


def is_over(world: World, since: int) -> bool:
    """RECEIVED is on flash: before it is written the motor is switched once at most, and again after. Where
    the power fails in that write, the motor stops with it."""
    after = [e.what for e in after_receipt(world, since)]
    return "cut" not in after and after.count("motor") >= 2


async def test_power_cut_at_every_block_write_of_a_press(world: World) -> None:
    """Cut, torn in the middle, at the first write, the second ...: one incident per press, and received."""
    button = await watched(world)
    presses, write, was_cut = 0, 1, True
    while was_cut:
        was_cut = await press_with_a_cut(world, button, write)
        presses += 1
        assert len(set(incidents(world))) == len(incidents(world)) == presses, f"cut at write {write}"
        write += 1
    assert write > 3, "a press writes to flash at least twice; was the power ever cut?"


async def test_counter_never_goes_back_over_power_cuts(world: World) -> None:
    """Every press has a higher counter than the one before, wherever the power was cut."""
    button = await watched(world)
    for write in (1, 2, 1, 3, 2):
        await press_with_a_cut(world, button, write)
    counters = [counter for _, _, counter in incidents(world)]
    assert counters == sorted(set(counters))
    codes = [
        e.data["data"]
        for e in world.events
        if e.what == "advert" and e.by == "air" and e.data["button"] == "button"
    ]
    uses = {code: codes.count(code) for code in codes}
    alarms = len(counters)
    # A code may come back only as the same press going on after a cut.
    assert sum(n - 1 for n in uses.values()) <= alarms


async def test_a_press_made_while_everything_is_dead_arrives_when_it_lives_again(world: World) -> None:
    """No bridge, no centre, then the battery fails; all come back: the press is delivered."""
    button = await watched(world)
    await world.kill("bridge")
    await world.kill("centre")
    await button.press()
    await button.board.power_off()
    await world.start("centre")
    await world.start("bridge")
    await button.board.power_on()
    await world.wait_for(said("button", "receipt", "1"), timeout_s=60)
    assert incidents(world) == [(button.device_id, ALARM, 1)]


async def test_the_database_holds_what_was_answered(world: World) -> None:
    """SIGKILL of the centre right after its answer, then an integrity check by SQLite itself."""
    button = await watched(world)
    await button.press()
    await world.wait_for(lambda e: e.by == "bridge" and e.what == "received")
    await world.kill("centre")
    path = world.home / "centre" / "centre.sqlite"
    database = sqlite3.connect(path)
    try:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert database.execute("SELECT count(*) FROM incidents").fetchone() == (1,)
    finally:
        database.close()


async def test_power_cut_while_the_alive_counter_is_reserved(world: World) -> None:
    """At every flash operation of a cold start: no alive code is ever on the air twice."""
    button = await watched(world)
    for write in (1, 2, 3):
        await button.board.power_off()
        since = len(world.events)
        await button.board.cut_power_at_write(write)
        await button.board.power_on()
        end = await world.wait_for(lambda e: e.by == "button" and e.what in ("cut", "sleep"), since=since)
        if end.what == "cut":
            await button.board.power_on()
            await world.wait_for(said("button", "sleep"), since=since)
    codes = [
        e.data["data"]
        for e in world.events
        if e.what == "advert" and e.by == "air" and e.data["button"] == "button"
    ]
    assert len(codes) >= 4
    assert len(set(codes)) == len(codes)


async def test_a_button_that_something_sits_on_is_one_press(world: World) -> None:
    """Held for ever: one alarm, said to be stuck, and no new one at the wakes that follow."""
    button = await world.add_button(hold_ms=500, stuck_ms=15_000)
    await world.add_bridge(button.enrolment)
    await world.wait_for(said("button", "sleep"))
    since = len(world.events)
    button.down()
    await world.wait_for(said("button", "receipt", "1"), since=since)
    await world.kill("bridge")  # nobody keeps it awake
    await world.wait_for(said("button", "sleep"), since=since, timeout_s=40)
    woken = len(world.events)
    await world.wait_for(said("button", "wake"), since=woken, timeout_s=90)
    await world.wait_for(said("button", "sleep"), since=woken, timeout_s=30)
    assert incidents(world) == [(button.device_id, ALARM, 1)]
    assert [e for e in world.events[woken:] if said("button", "advert", "5")(e)]
    assert not [e for e in world.events[woken:] if said("button", "advert", "1")(e)]
