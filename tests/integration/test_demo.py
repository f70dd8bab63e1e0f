"""The demo: what `make demo` prints for a program, and what it says when a step is missing."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sim.realtime import demo_data
from sim.realtime.demo import STAGES, Demo, Screen, furnish
from sim.realtime.demo_direct import STAGES as DIRECT_STAGES
from sim.realtime.people import EXAMPLE
from sim.realtime.world import Trouble, World
from tests.integration.conftest import is_stage
from wire.codes import ALARM


async def told_at_once(option: str, home: Path) -> dict[str, Any]:
    """Play the demo as a program does that has nothing but a home; return the last line of its stdout."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sim.app", "demo", option, "--json"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        env={"PATH": "", "HOME": str(home), "TMPDIR": str(home)},
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    report: dict[str, Any] = json.loads(out.decode().splitlines()[-1])
    return report


async def test_once_as_json_is_the_whole_timeline(tmp_path: Path) -> None:
    """Exit 0; the last line of stdout is the timeline, every stage in its order."""
    report = await told_at_once("--once", tmp_path)
    assert [stage["stage"] for stage in report["stages"]] == list(STAGES)
    times = [stage["at_ms"] for stage in report["stages"]]
    assert times == sorted(times)
    assert times[1] >= 2000  # the finger has held for two seconds
    assert (report["event"], report["counter"], len(report["code"])) == (ALARM, 1, 32)
    assert report["incident"]
    assert "micropython" in str(report["receipt_proven_by"])
    assert not list(tmp_path.glob("amr-demo-*")), "it cleans up"


@pytest.mark.slow
async def test_without_a_phone_each_way_brings_the_receipt(tmp_path: Path) -> None:
    """The phone is off: by datagrams, over TLS where those are dropped, and by a modem."""
    report = await told_at_once("--direct", tmp_path)
    assert [way["way"] for way in report["ways"]] == ["wifi-datagram", "wifi-https", "modem"]
    for way in report["ways"]:
        assert [stage["stage"] for stage in way["stages"]] == list(DIRECT_STAGES)
    assert [way["counter"] for way in report["ways"]] == [1, 2, 3]
    assert len({way["incident"] for way in report["ways"]}) == 3
    assert "micropython" in str(report["receipt_proven_by"])


@pytest.mark.slow
async def test_a_missing_step_is_named(tmp_path: Path) -> None:
    """With the phone away, the first thing that does not happen is that it hears the press."""
    async with World(tmp_path) as world:
        await world.add_centre()
        button = await world.add_button()
        await world.add_bridge(button.enrolment)
        await world.programs["bridge"].stop()
        demo = Demo(world, button, Screen(quiet=True), stage_s_max=4)
        with world.watching(demo.watch), pytest.raises(Trouble, match=r"^heard: did not happen"):
            await demo.once()


@pytest.mark.slow
async def test_behind_the_press_is_a_case_that_could_be_real(tmp_path: Path) -> None:
    """The operator sees who it is, what to do first and where; each role comes in, and sees its own part."""
    async with World(tmp_path) as world:
        button = await furnish(world)
        await button.press()
        received = await world.wait_for(lambda h: is_stage(h, "received"))
        pages = {}
        for role, address in demo_data.entrances(world.centre_home, world.url).items():
            async with (
                aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session,
                session.get(address, ssl=False) as entered,
            ):
                pages[role] = await entered.text()
                assert entered.status == 200
                if role == "operator":
                    sheet = f"{world.url}/console/incidents/{received.data['incident']}"
                    async with session.get(sheet, ssl=False) as answer:
                        pages[role] = await answer.text()
    for said in (EXAMPLE.person.name, EXAMPLE.do_first, EXAMPLE.stalker.weapons, "50.84660, 4.35280"):
        assert said in pages["operator"]
    assert EXAMPLE.person.name in pages["case_manager"]
    assert EXAMPLE.person.name not in pages["institute"] + pages["administrator"]
