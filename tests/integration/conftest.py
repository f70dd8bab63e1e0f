"""A whole world per test: air, button in MicroPython, bridge and centre as processes."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import pytest

from firmware.flash.build import MAIN, compile_firmware
from sim.realtime.small_disk import CannotMount, SmallDisk
from sim.realtime.world import Button, Match, World, WorldEvent
from tests.integration.parts import Box


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """An air with a centre on it, and nobody else yet."""
    async with World(tmp_path) as made:
        await made.add_centre()
        yield made


@pytest.fixture
async def promises_are_kept(world: World) -> AsyncIterator[None]:
    """Judge the world when its test is over, by the promises of every other world."""
    yield
    judgement = world.judge()
    print("\n".join(f"not seen: {one.promise}: {one.why}" for one in judgement.unseen))
    assert judgement.broken == []


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    """An integrator's table: boards, and the commands at their ports."""
    made = Box(tmp_path)
    yield made
    await asyncio.gather(*(board.power_off() for board in made.boards))
    await made.air.close()


@pytest.fixture(scope="session")
def firmware(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What flashing leaves on a board."""
    return {**compile_firmware(tmp_path_factory.mktemp("build")), "main.py": MAIN}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[tuple[Path, SmallDisk]]:
    """A home on a small disk of its own."""
    home = tmp_path / "home"
    try:
        small = SmallDisk(home, 8192)
    except CannotMount as error:
        pytest.skip(str(error))
    yield home, small
    small.close()


QUICK = {"hold_ms": 500}
# On a busy machine a click lasts longer than a hand means it to: no hold yet, and still one of three.
PATIENT = {"hold_ms": 3000, "click_ms": 1000, "clicks_ms": 5000}


async def watched(
    world: World, *options: str, profile: str = "desktop", settings: Mapping[str, int] = QUICK
) -> Button:
    """A button with a short hold, its bridge, and the calm after both have started."""
    button = await world.add_button("button", **settings)
    await world.add_bridge(button.enrolment, "bridge", *options, profile=profile)
    await world.wait_for(said("button", "sleep"))
    return button


def said(by: str, what: str, *args: str) -> Match:
    """Matches what `by` says, with these first words where it is the button."""
    return lambda e: e.by == by and e.what == what and e.data.get("args", [])[: len(args)] == list(args)


def is_stage(e: WorldEvent, stage: str) -> bool:
    """Whether `h` is where the press reaches `stage`."""
    if stage == "pressed":
        return e.what == "pressed"
    if stage == "held":
        return e.what == "motor" and bool(e.data["on"])
    if stage == "first_advert":
        return said("button", "advert", "1")(e)
    if stage in ("receipt", "acknowledged_receipt"):
        return said("button", "receipt", "1" if stage == "receipt" else "2")(e)
    return e.what == stage and e.by == ("bridge" if stage == "heard" else "centre")


def incidents(world: World) -> list[tuple[str, int, int]]:
    """`(device_id, event, counter)` of every incident, read from the centre's own database."""
    database = sqlite3.connect(f"file:{world.home}/centre/centre.sqlite?mode=ro", uri=True)
    try:
        return database.execute(
            "SELECT device_id, event, counter FROM incidents ORDER BY opened_at_ms"
        ).fetchall()
    finally:
        database.close()
