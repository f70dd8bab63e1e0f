"""The bridge killed again and again while it follows an alarm: no position is lost or doubled."""

import asyncio
import random
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sim.realtime.world import World
from tests.integration.conftest import incidents, said, watched
from wire.codes import ALARM

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.usefixtures("promises_are_kept"),
]  # twenty starts

SEEDS, KILLS = 5, 20  # 100 moments
EARLY = 4  # of each 20, while the press itself is on its way
CENTRE_AWAY = (8, 14)  # and from here to there the centre is away, so that positions wait on the disk
# Positions after the alarm's own begin 20 s after the press (AML, ETSI TS 103 625).
AML_S = 20


def walk(path: Path) -> Path:
    """Ten minutes through an invented park, a point a second."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    times = [f"{start + timedelta(seconds=n):%Y-%m-%dT%H:%M:%SZ}" for n in range(600)]
    points = "".join(
        f'<trkpt lat="{50.8 + n * 1e-5:.5f}" lon="4.35"><time>{time}</time></trkpt>'
        for n, time in enumerate(times)
    )
    path.write_text(f'<gpx version="1.1" creator="walk"><trk><trkseg>{points}</trkseg></trk></gpx>')
    return path


def kept(world: World) -> set[str]:
    """When each position was taken that is on the bridge's disk at this moment, waiting to be sent."""
    database = sqlite3.connect(f"file:{world.home}/bridge/journal.sqlite?mode=ro", uri=True)
    try:
        return {taken_at for (taken_at,) in database.execute("SELECT taken_at FROM waypoint")}
    finally:
        database.close()


def at_centre(world: World) -> list[int]:
    """When each position was taken that the centre has of the incident, in ms since 1970."""
    database = sqlite3.connect(f"file:{world.home}/centre/centre.sqlite?mode=ro", uri=True)
    try:
        rows = database.execute("SELECT taken_at_ms FROM fixes WHERE incident_id IS NOT NULL").fetchall()
        return [taken_at_ms for (taken_at_ms,) in rows]
    finally:
        database.close()


def ms(taken_at: str) -> int:
    return round(datetime.fromisoformat(taken_at).timestamp() * 1000)


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_killed_while_it_follows_an_alarm(world: World, tmp_path: Path, seed: int) -> None:
    """One incident, the receipt felt, and every position that was ever on disk at the centre, once."""
    chance = random.Random(seed)
    track = str(walk(tmp_path / "walk.gpx"))
    button = await watched(world, "--gpx", track, "--set", "position.follow_every_s=5")
    since = len(world.events)
    pressed_s = asyncio.get_running_loop().time()
    hand = asyncio.create_task(button.press())
    seen: set[str] = set()
    for number in range(KILLS):
        if number == EARLY:
            await world.wait_for(said("button", "receipt", "1"), since=since, timeout_s=90)
            await asyncio.sleep(max(0.0, pressed_s + AML_S - asyncio.get_running_loop().time()))
        if number == CENTRE_AWAY[0]:
            await world.kill("centre")
        elif number == CENTRE_AWAY[1]:
            await world.start("centre")
        await asyncio.sleep(chance.uniform(0.0, 2.5))
        await world.kill("bridge")
        seen |= kept(world)
        await world.start("bridge")
    await hand
    seen |= kept(world)
    async with asyncio.timeout(30):
        while kept(world) or len(at_centre(world)) < 2:  # noqa: ASYNC110 -- files change without a word
            await asyncio.sleep(0.2)
    assert incidents(world) == [(button.device_id, ALARM, 1)]
    stored = at_centre(world)
    assert len(stored) == len(set(stored))
    assert seen, "some have waited on the disk"
    assert {ms(taken_at) for taken_at in seen} <= set(stored)
