"""A real bridge and a real centre: stopped, killed, and cut off, the centre knows which it was."""

import sqlite3
from contextlib import closing
from typing import Any

from sim.world import World
from tests.integration.conftest import said


def told(world: World) -> dict[str, Any]:
    """What the bridge said of itself last, as the centre keeps it."""
    with closing(sqlite3.connect(f"file:{world.home}/centre/centre.sqlite?mode=ro", uri=True)) as database:
        database.row_factory = sqlite3.Row
        return dict(database.execute("SELECT * FROM bridge_states").fetchone())


async def bridge_lives(world: World, since: int = 0) -> None:
    await world.wait_for(lambda h: h.by == "bridge" and h.what == "alive", since=since)


async def test_a_stopped_bridge_says_goodbye_and_a_killed_one_cannot(world: World) -> None:
    """Started anew it says so: since when it runs is another time, and its goodbye is forgotten."""
    button = await world.add_button()
    await world.add_bridge(button.enrolment, "bridge")
    await bridge_lives(world)
    first = told(world)
    assert (first["leaving"], first["running_since_ms"] is not None) == (0, True)
    await world.programs["bridge"].stop()
    assert told(world)["leaving"] == 1
    assert told(world)["running_since_ms"] == first["running_since_ms"]

    since = len(world.happenings)
    await world.start("bridge")
    await bridge_lives(world, since)
    second = told(world)
    assert second["leaving"] == 0
    assert second["running_since_ms"] > first["running_since_ms"]
    await world.kill("bridge")
    assert told(world)["leaving"] == 0


async def test_a_bridge_that_cannot_say_goodbye_ends_all_the_same(world: World) -> None:
    """Its centre is gone: it ends, within its bound."""
    button = await world.add_button()
    await world.add_bridge(button.enrolment, "bridge")
    await bridge_lives(world)
    await world.kill("centre")
    await world.programs["bridge"].stop()
    assert not said("bridge", "trouble")(world.happenings[-1])
