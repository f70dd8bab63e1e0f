"""After the press, over real HTTPS: positions and call-offs."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from centre.platform.password_hashing import AT_ONCE_MAX, WAITING_EACH_MAX
from centre.rules.incidents import CloseReason
from centre.work import board as desk
from tests.integration.parts import next_board
from tests.unit.centre.parts import FIX, Hand, Lines, Phone, centre, core_at, incidents_of, signed_in
from wire import receipts

HAND = Hand()
PINS = {"pin": "271828", "duress_pin": "3141"}


async def pressed(phone: Phone, counter: int = 1) -> str:
    _, answer = await phone.post(HAND.alarm(counter))
    return str(answer["incident"])


async def send(phone: Phone, incident: str, *fixes: object) -> tuple[int, Any]:
    return await phone.ask("POST", f"/v1/incidents/{incident}/fixes", json={"fixes": fixes})


def positions(home: Path) -> list[tuple[float, str | None, tuple[str, ...]]]:
    """As the operator's page has them."""
    core = core_at(home)
    board = desk.board(core)
    (incident,) = incidents_of(core, board.untaken + board.taken + board.closed)
    core.store.close()
    return [(one.fix.lat, one.fix.source, one.fix.marks) for one in incident.latest]


async def test_positions_reach_the_page_as_they_come(tmp_path: Path) -> None:
    """With their source and marks; the operator's page is told; one log line."""
    lines = Lines()
    async with centre(tmp_path, HAND, log=lines) as (serving, phone):
        await phone.enrol(HAND)
        incident = await pressed(phone)
        async with phone.session.get(serving.console_url):
            pass
        async with phone.stream("/console/live") as events:
            await anext(events)
            fix = FIX | {"source": "gpsd", "marks": ["stale"]}
            assert await send(phone, incident, fix, fix) == (200, {"stored": 1, "known": 1, "dropped": []})
            board = await next_board(events)
        assert "stale: taken" in board["html"]
        sheet = (await phone.ask("GET", f"/console/incidents/{incident}/sheet"))[1]
        assert "satellite (gpsd)" in sheet
        assert "stale: taken" in sheet
        assert await send(phone, incident, fix) == (200, {"stored": 0, "known": 1, "dropped": []})
    assert positions(tmp_path) == [(FIX["lat"], "gpsd", ("stale",))]
    first, second = lines.of("fixes")
    assert (first["incident"], first["stored"], first["known"]) == (incident, 1, 1)
    assert (second["stored"], second["known"]) == (0, 1)


async def test_one_bad_position_and_nothing_is_stored(tmp_path: Path) -> None:
    """The problem names it."""
    async with centre(tmp_path, HAND) as (_, phone):
        await phone.enrol(HAND)
        incident = await pressed(phone)
        status, problem = await send(phone, incident, FIX, FIX, FIX, FIX | {"lat": 91})
        assert (status, problem["reason"], problem["field"]) == (422, "bad_fix", "fixes[3].lat")
    assert positions(tmp_path) == []


async def test_positions_are_refused_where_they_do_not_belong(tmp_path: Path) -> None:
    """Another's alarm, no alarm, one that is over."""
    other = Hand(2)
    async with centre(tmp_path, HAND, other) as (_, phone):
        await phone.enrol(HAND)
        incident = await pressed(phone)
        mine = phone.headers
        await phone.enrol(other)
        assert (await send(phone, incident, FIX))[1]["reason"] == "unknown_incident"
        phone.headers = mine
        assert (await send(phone, "none", FIX))[1]["reason"] == "unknown_incident"
        desk.advance(
            core := core_at(tmp_path),
            signed_in(core),
            incident,
            receipts.CLOSED,
            reason=CloseReason.REAL,
        )
        status, problem = await send(phone, incident, FIX)
        assert (status, problem["reason"]) == (409, "incident_closed")


async def raw(phone: Phone, pin: str, counter: int = 1) -> tuple[int, bytes, dict[str, str]]:
    """Status, bytes and headers (but for the date) of a call-off."""
    body = {"device_id": HAND.device_id, "event": 1, "counter": counter, "pin": pin}
    async with phone.session.post(phone.url + "/v1/call-offs", json=body, headers=phone.headers) as response:
        headers = {name: value for name, value in response.headers.items() if name != "Date"}
        return response.status, await response.read(), headers


async def test_whoever_watches_cannot_tell_the_duress_pin(tmp_path: Path) -> None:
    """Byte by byte and header by header the same; the same receipts, and the same log lines."""
    lines = Lines()
    async with centre(tmp_path, HAND, log=lines) as (_, phone):
        await phone.enrol(HAND, **PINS)
        incidents = [await pressed(phone, counter) for counter in (1, 2)]
        right, duress = await raw(phone, "271828", 1), await raw(phone, "3141", 2)
        assert right[0] == duress[0] == 200
        assert json.loads(right[1]) == {"incident": incidents[0], "tracking_s": 900}
        assert right[1].replace(incidents[0].encode(), incidents[1].encode()) == duress[1]
        assert right[2] == duress[2]
        for pin in ("3141", "271828"):  # and again, each with the other
            assert await raw(phone, pin, 1) == right
        for counter in (1, 2):
            status, answer = await phone.post(HAND.alarm(counter))
            assert (status, answer["receipt"]["stage"]) == (200, receipts.RECEIVED)
    told = [{**line, "counter": 0, "incident": "", "at_ms": 0} for line in lines.of("called_off")]
    assert told[0] == told[1]
    assert told[2] == told[3]


@pytest.mark.parametrize("pins", [{"pin": "271828"}, PINS])
async def test_a_wrong_pin_is_counted_over_a_restart_and_locks(tmp_path: Path, pins: dict[str, str]) -> None:
    """403 five times, then 429 with Retry-After, for the right PIN too; alarms pass all the while."""
    async with centre(tmp_path, HAND) as (_, phone):
        await phone.enrol(HAND, **pins)
        await pressed(phone)
        for wrong in ("0000", "27182", "2718281", ""):
            status, problem = await phone.call_off(HAND, 1, wrong)
            assert (status, problem["reason"]) == (403, "wrong_pin")
        headers = phone.headers
    async with centre(tmp_path) as (_, phone):
        phone.headers = headers
        assert (await phone.call_off(HAND, 1, "1111"))[0] == 403
        for pin in ("271828", "3141", "0000"):
            status, _, answered = await raw(phone, pin)
            assert status == 429
            assert 0 < int(answered["Retry-After"]) <= 60
        assert (await phone.post(HAND.alarm(2)))[0] == 201
    shown = desk.board(core_at(tmp_path)).untaken
    assert [incident.call_off for incident in shown] == [None, None]


async def test_what_cannot_be_called_off_says_why(tmp_path: Path) -> None:
    """No PIN; no such press yet, and then it is there; a silent test."""
    async with centre(tmp_path, HAND) as (_, phone):
        await phone.enrol(HAND)
        assert (await phone.call_off(HAND, 1, "1234"))[1]["reason"] == "unknown_press"
        await pressed(phone)
        status, problem = await phone.call_off(HAND, 1, "1234")
        assert (status, problem["reason"]) == (409, "no_pin")
        body = {"device_id": HAND.device_id, "event": 2, "counter": 1, "pin": "1234"}
        status, problem = await phone.ask("POST", "/v1/call-offs", json=body)
        assert (status, problem["reason"]) == (422, "only_alarms")


async def test_a_pin_is_tried_before_it_is_needed(tmp_path: Path) -> None:
    """Both are right, and nobody learns which it was; wrong ones count as they do in a call-off."""

    async def tried(phone: Phone, pin: str) -> tuple[int, Any]:
        return await phone.ask("POST", "/v1/pin-trials", json={"device_id": HAND.device_id, "pin": pin})

    lines = Lines()
    async with centre(tmp_path, HAND, log=lines) as (_, phone):
        await phone.enrol(HAND, **PINS)
        assert [await tried(phone, pin) for pin in PINS.values()] == [(200, {})] * 2
        refused = [await tried(phone, wrong) for wrong in ("0000", "", "27182", "1111")]
        assert [(status, problem["reason"]) for status, problem in refused] == [(403, "wrong_pin")] * 4
        assert (await tried(phone, PINS["pin"]))[0] == 200, "the right one forgives the wrong ones"
        await pressed(phone)
        status, problem = await tried(phone, PINS["duress_pin"])
        assert (status, problem["reason"]) == (409, "alarm_open"), "a duress PIN must reach an operator"
        assert (await phone.call_off(HAND, 1, PINS["duress_pin"]))[0] == 200
    told = [{**line, "at_ms": 0} for line in lines.of("pin_tried")]
    assert told[0] == told[1]


async def test_guesses_of_a_pin_without_an_alarm_lock_the_call_off_too(tmp_path: Path) -> None:
    """Whoever has the phone gains no free guesses by trying; another's button is none of theirs."""
    other = Hand(2)
    async with centre(tmp_path, HAND, other) as (_, phone):
        await phone.enrol(HAND, **PINS)
        for guess in range(5):
            body = {"device_id": HAND.device_id, "pin": f"000{guess}"}
            assert (await phone.ask("POST", "/v1/pin-trials", json=body))[0] == 403
        await pressed(phone)
        assert (await phone.call_off(HAND, 1, PINS["pin"]))[1]["reason"] == "pin_locked"
        body = {"device_id": other.device_id, "pin": "0000"}
        assert (await phone.ask("POST", "/v1/pin-trials", json=body))[1]["reason"] == "unknown_device"


async def test_guesses_at_the_same_time_are_all_counted(tmp_path: Path) -> None:
    """Twenty at once: five are checked at most, the rest locked out or turned away; nothing is called off."""
    async with centre(tmp_path, HAND) as (_, phone):
        await phone.enrol(HAND, **PINS)
        await pressed(phone)
        guesses = [phone.call_off(HAND, 1, f"{n:04d}") for n in range(20)]
        alarms = [phone.post(HAND.alarm(counter)) for counter in range(2, 12)]
        answers = await asyncio.gather(*guesses, *alarms)
    reasons = [answer["reason"] for status, answer in answers[:20] if status != 200]
    assert len(reasons) == 20
    assert reasons.count("wrong_pin") <= 5
    assert set(reasons) <= {"wrong_pin", "pin_locked", "busy"}
    assert reasons.count("busy") <= 20 - 1 - WAITING_EACH_MAX
    assert [status for status, _ in answers[20:]] == [201] * 10
    assert AT_ONCE_MAX == 2
