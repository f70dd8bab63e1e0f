"""A real bridge and a real centre: stopped, killed, and cut off, the centre knows which it was."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sim.realtime.network import Network
from sim.realtime.world import World
from tests.integration.conftest import said


def told(world: World) -> dict[str, Any]:
    """What the bridge said of itself last, as the centre keeps it."""
    with closing(sqlite3.connect(f"file:{world.home}/centre/centre.sqlite?mode=ro", uri=True)) as database:
        database.row_factory = sqlite3.Row
        return dict(database.execute("SELECT * FROM bridge_states").fetchone())


async def bridge_lives(world: World, since: int = 0) -> None:
    await world.wait_for(lambda e: e.by == "bridge" and e.what == "alive", since=since)


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

    since = len(world.events)
    await world.start("bridge")
    await bridge_lives(world, since)
    second = told(world)
    assert second["leaving"] == 0
    assert second["running_since_ms"] > first["running_since_ms"]
    await world.kill("bridge")
    assert told(world)["leaving"] == 0


@pytest.mark.slow
async def test_a_bridge_that_cannot_say_goodbye_ends_all_the_same(world: World) -> None:
    """Its centre is gone: it ends, within its bound."""
    button = await world.add_button()
    await world.add_bridge(button.enrolment, "bridge")
    await bridge_lives(world)
    await world.kill("centre")
    await world.programs["bridge"].stop()
    assert not said("bridge", "trouble")(world.events[-1])


def lost(world: World) -> list[dict[str, Any]]:
    """Of bridges, as the centre keeps them."""
    with closing(sqlite3.connect(f"file:{world.home}/centre/centre.sqlite?mode=ro", uri=True)) as database:
        database.row_factory = sqlite3.Row
        query = "SELECT kind, ended_at_ms FROM losses WHERE bridge_id IS NOT NULL"
        return [dict(row) for row in database.execute(query)]


@pytest.mark.slow
@pytest.mark.timeout(480)
async def test_a_bridge_whose_network_was_cut_was_without_network(tmp_path: Path) -> None:
    """Silent at first, nobody knows why; back, it has run all along: so its network was gone."""
    async with World(tmp_path) as world:
        await world.add_centre("--alive-s", "10")
        host, _, port = world.url.removeprefix("https://").partition(":")
        network = Network((host, int(port)), world.home / "centre", tmp_path)
        try:
            way = f"https://127.0.0.1:{await network.open()}"
            button = await world.add_button()
            await world.add_bridge(button.enrolment.replace(world.url, way), "bridge")
            await bridge_lives(world)
            await network.set(is_cut=True)
            found = await world.wait_for(lambda e: e.what == "losses" and e.data["found"], timeout_s=120)
            assert [(one["kind"], one["ended_at_ms"]) for one in lost(world)] == [("phone_silent", None)]
            await network.set(is_cut=False)
            since = world.events.index(found)
            await world.wait_for(lambda e: e.what == "losses" and e.data["ended"], since=since, timeout_s=300)
            assert [one["kind"] for one in lost(world)] == ["network_gone"]
            assert told(world)["leaving"] == 0
        finally:
            await network.close()
