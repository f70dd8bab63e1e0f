"""What the protected person does on the phone, all the way: page, bridge, real centre, button."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from bridge.store.home import Home
from sim.realtime.protected_person import ProtectedPerson, free_port
from sim.realtime.world import Button, World
from tests.integration.conftest import PATIENT, QUICK, incidents, is_stage, said
from wire.codes import ALARM, TEST

PIN, DURESS_PIN = "482913", "773310"


@asynccontextmanager
async def phone(
    world: World, *options: str, **settings: int
) -> AsyncIterator[tuple[Button, ProtectedPerson]]:
    """A button, its bridge with PINs and a page, and the page open."""
    button, port = await world.add_button("button", **(QUICK | settings)), free_port()
    page = ("--set", f"page.port={port}", *options)
    await world.add_bridge(button.enrolment, "bridge", *page, pins=(PIN, DURESS_PIN))
    await world.wait_for(said("button", "sleep"))
    secret = Home(world.home / "bridge").page_secret()
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {secret}"}) as session:
        yield button, ProtectedPerson(session, port)


def operator_sees(world: World) -> tuple[Any, ...]:
    database = sqlite3.connect(f"file:{world.home}/centre/centre.sqlite?mode=ro", uri=True)
    try:
        row: tuple[Any, ...] = database.execute(
            "SELECT called_off_at_ms > 0, duress FROM call_offs JOIN incidents USING (incident_id)"
        ).fetchone()
        return row
    finally:
        database.close()


async def test_the_person_sees_what_becomes_of_a_press(world: World) -> None:
    """It is sent, taken by an operator, felt: each is shown as it happens."""
    async with phone(world) as (button, person):
        await button.press()
        await person.until("last", "stage", 1)
        received = await world.wait_for(lambda e: is_stage(e, "received"))
        await world.acknowledge(received.data["incident"])
        await person.until("last", "felt", 2)
    assert incidents(world) == [(button.device_id, ALARM, 1)]


async def test_the_person_tests_without_anybody_noticing(world: World) -> None:
    """The centre answers, three clicks, and the page says that they were felt."""
    async with phone(world, **PATIENT) as (button, person):
        assert await person.post("/check") == {"ok": True}
        await button.clicks()
        await person.until("test", "felt", 1)
    assert incidents(world) == [(button.device_id, TEST, 1)]


@pytest.mark.parametrize(
    ("pin", "duress"), [pytest.param(PIN, 0, marks=pytest.mark.slow), (DURESS_PIN, 1)], ids=["own", "duress"]
)
async def test_the_person_calls_off_and_only_the_operator_knows_why(
    world: World, pin: str, duress: int
) -> None:
    """Both PINs look the same to whoever watches; at the centre one says that the person is in danger."""
    async with phone(world) as (button, person):
        await button.press()
        press = await person.until("last", "stage", 1)
        assert await person.call_off(press, "0000") == "wrong_pin"
        assert await person.call_off(press, pin) == "done"
        after = await person.until("last", "undo", "done")
        assert not after["can_undo"]
    assert operator_sees(world) == (1, duress)
    assert incidents(world) == [(button.device_id, ALARM, 1)]
    said_by_bridge = str([e for e in world.events if e.by == "bridge"]) + "".join(
        world.programs["bridge"].stderr
    )
    assert pin not in said_by_bridge


@pytest.mark.slow
async def test_a_call_off_outlives_the_bridge_while_the_centre_is_away(world: World) -> None:
    """Given while the centre is down; the bridge is killed; the centre comes back: it is called off."""
    async with phone(world) as (button, person):
        await button.press()
        press = await person.until("last", "stage", 1)
        await world.kill("centre")
        assert await person.call_off(press, PIN) == "kept"
        await world.kill("bridge")
        await world.start("centre")
        await world.start("bridge")
        await person.until("last", "undo", "done")
    assert operator_sees(world) == (1, 0)
