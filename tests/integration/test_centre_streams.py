"""Receipts by server-sent events, from the ordered table."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from centre import app
from centre.api import bridges
from centre.settings import Settings
from centre.work import board, buttons
from tests.unit.centre.parts import Hand, Phone, centre, core_at, phone_of, signed_in
from wire import codes, receipts

HAND = Hand()


async def pressed(phone: Phone, counter: int = 1, event: int = codes.ALARM) -> str:
    """The path of the stream of a new press."""
    _, answer = await phone.post(HAND.alarm(counter, event))
    return f"/v1/incidents/{answer['incident']}/receipts"


async def acknowledge(phone: Phone, console_url: str, stream: str) -> None:
    """As an operator does."""
    async with phone.session.get(console_url):
        pass
    incident = stream.split("/")[3]
    path = f"/console/incidents/{incident}/acknowledge"
    assert (await phone.ask("POST", path, headers={"Origin": phone.url}))[0] == 200


async def test_each_stage_comes_as_it_is_reached(tmp_path: Path) -> None:
    """From the beginning, then live; each proof is one that the button believes."""
    async with centre(tmp_path, HAND) as (serving, phone):
        await phone.enrol(HAND)
        path = await pressed(phone)
        async with phone.stream(path) as events:
            _, event, first = await anext(events)
            await acknowledge(phone, serving.console_url, path)
            _, _, second = await anext(events)
        assert event == "receipt"
        assert [first["stage"], second["stage"]] == [receipts.RECEIVED, receipts.ACKNOWLEDGED]
        assert all(HAND.believes(data["stage"], 1, data["proof"]) for data in (first, second))


async def test_a_stream_resumes_over_a_restart_of_the_centre(tmp_path: Path) -> None:
    """Last-Event-ID holds over processes: what was missed comes, what was had does not."""
    async with centre(tmp_path, HAND) as (serving, phone):
        await phone.enrol(HAND)
        path, other = await pressed(phone), await pressed(phone, 2)
        async with phone.stream(path) as events:
            last_id, _, _ = await anext(events)
        await acknowledge(phone, serving.console_url, other)
        await acknowledge(phone, serving.console_url, path)
        headers = phone.headers
    async with centre(tmp_path) as (_, phone):
        phone.headers = headers
        async with phone.stream(path, last_id) as events:
            event_id, _, data = await anext(events)
        assert data["stage"] == receipts.ACKNOWLEDGED
        assert int(event_id) > int(last_id)
        async with phone.stream(path, "rubbish") as events:
            assert (await anext(events))[2]["stage"] == receipts.RECEIVED


async def test_a_stream_ends_when_no_receipt_can_follow(tmp_path: Path) -> None:
    """After CLOSED; for a TEST after RECEIVED."""
    async with centre(tmp_path, HAND, heartbeat_s=0.05) as (_, phone):
        await phone.enrol(HAND)
        alarm, test = await pressed(phone), await pressed(phone, 2, codes.TEST)
        async with phone.stream(test) as events:
            assert [data["stage"] async for _, _, data in events] == [receipts.RECEIVED]
        async with phone.stream(alarm) as events:
            await anext(events)
            # Another process closes it: no signal is sent here, the heartbeat reads the table.
            board.advance(core := core_at(tmp_path), signed_in(core), alarm.split("/")[3], receipts.CLOSED)
            stages = [data["stage"] async for _, event, data in events if event]
        assert stages == [receipts.ACKNOWLEDGED, receipts.CLOSED]  # who closes it has taken it


async def test_a_quiet_stream_beats(tmp_path: Path) -> None:
    """A comment, so that both sides know that the other lives."""
    async with centre(tmp_path, HAND, heartbeat_s=0.02) as (_, phone):
        await phone.enrol(HAND)
        async with phone.stream(await pressed(phone)) as events:
            await anext(events)
            assert [await anext(events) for _ in range(3)] == [("", "", None)] * 3
    assert Settings().heartbeat_s == 15


async def test_a_stream_is_only_for_the_bridges_of_the_button(tmp_path: Path) -> None:
    """Another bridge's incident is as unknown as none."""
    other = Hand(2)
    async with centre(tmp_path, HAND, other) as (_, phone):
        await phone.enrol(HAND)
        path = await pressed(phone)
        await phone.enrol(other)
        for unknown in (path, "/v1/incidents/none/receipts"):
            status, problem = await phone.ask("GET", unknown)
            assert (status, problem["reason"]) == (404, "unknown_incident")


async def test_revoking_a_bridge_ends_its_streams(tmp_path: Path) -> None:
    """A thief does not learn that the police are on their way."""
    async with centre(tmp_path, HAND, heartbeat_s=0.02) as (_, phone):
        await phone.enrol(HAND)
        async with phone.stream(await pressed(phone)) as events:
            await anext(events)
            core = core_at(tmp_path)
            buttons.revoke_bridge(core, buttons.all_bridges(core)[0].bridge_id)
            assert [event async for _, event, _ in events if event] == []


async def test_streams_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more is refused, politely and for now; alarms still pass."""
    monkeypatch.setattr(bridges, "STREAMS_PER_BRIDGE_MAX", 2)
    async with centre(tmp_path, HAND) as (_, phone):
        await phone.enrol(HAND)
        path = await pressed(phone)
        async with phone.stream(path), phone.stream(path):
            status, problem = await phone.ask("GET", path)
            assert (status, problem["reason"]) == (503, "too_many_streams")
            assert (await phone.post(HAND.alarm(2)))[0] == 201


async def test_stopping_ends_streams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM does not wait for a reader who never leaves: not even where it would for ever."""
    monkeypatch.setattr(app, "STOP_S_MAX", 3600.0)
    async with AsyncExitStack() as afterwards:
        async with centre(tmp_path, HAND) as (serving, phone):
            await phone.enrol(HAND)
            trust = serving.authority.pem.decode()
            reader = await afterwards.enter_async_context(phone_of(serving.url, trust))
            stream = await reader.session.get(phone.url + await pressed(phone), headers=phone.headers)
            assert await stream.content.readline()
        stream.close()


async def test_a_reader_who_leaves_makes_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found at the next heartbeat."""
    monkeypatch.setattr(bridges, "STREAMS_PER_BRIDGE_MAX", 1)
    async with centre(tmp_path, HAND, heartbeat_s=0.02) as (_, phone):
        await phone.enrol(HAND)
        path = await pressed(phone)
        response = await phone.session.get(phone.url + path, headers=phone.headers)
        response.close()
        async with asyncio.timeout(60):
            while True:
                try:
                    async with phone.stream(path):
                        return
                except (AssertionError, aiohttp.ClientError):
                    await asyncio.sleep(0.02)
