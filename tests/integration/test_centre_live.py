"""*Live* means that this desk would see an alarm now and could take it: stream, store and session."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from centre.jobs.store_check import ANSWER_S_MAX, CHECK_S
from centre.platform.home import Home
from centre.work import accounts
from centre.work.core import open_core
from sim.realtime.small_disk import SmallDisk
from tests.integration.parts import enter
from tests.unit.centre.parts import FIX, Hand, Lines, centre

HAND = Hand()


async def until(events: AsyncIterator[tuple[str, str, Any]], takes_alarms: bool) -> None:
    """Read the stream until it says so."""
    async with asyncio.timeout(60):
        async for _, _, data in events:
            if data is not None and data["takes_alarms"] is takes_alarms:
                return
    raise AssertionError("the stream has ended")


async def test_a_centre_that_cannot_store_an_alarm_is_not_called_live(disk: tuple[Path, SmallDisk]) -> None:
    """The disk fills up while the board is open: the board says so before anybody presses."""
    home, small = disk
    lines = Lines()
    async with centre(home, HAND, log=lines) as (serving, phone):
        await phone.enrol(HAND)
        await enter(phone, serving.console_url)
        async with phone.stream("/console/live") as events:
            await until(events, takes_alarms=True)
            small.fill()
            await until(events, takes_alarms=False)
            status, problem = await phone.post(HAND.alarm(1, fix=FIX))
            assert (status, problem["reason"]) == (503, "store_unavailable"), "what the board says is true"
            small.empty()
            await until(events, takes_alarms=True)
            assert (await phone.post(HAND.alarm(1, fix=FIX)))[0] == 201
    told = [line["text"] for line in lines.of("trouble") if line["reason"] == "store_unavailable"]
    assert told[-1] == "alarms are taken again"


def test_a_board_says_so_within_15_s() -> None:
    """A check, its answer, and the second of a page's own clock."""
    assert CHECK_S + ANSWER_S_MAX + 1 <= 15


async def test_a_session_that_is_over_is_said(tmp_path: Path) -> None:
    """Somebody disables the user while the board is open: that is its last word."""
    async with centre(tmp_path, HAND) as (serving, phone):
        await enter(phone, serving.console_url)
        assert (await phone.ask("GET", "/console/here"))[0] == 204
        async with phone.stream("/console/live") as events:
            await anext(events)
            core = open_core(Home(tmp_path))
            accounts.disable(core, "operator")
            core.store.close()
            async with asyncio.timeout(60):
                names = [name async for _, name, _ in events]
        assert names[-1] == "signed_out"
        assert (await phone.ask("GET", "/console/here"))[0] == 401
