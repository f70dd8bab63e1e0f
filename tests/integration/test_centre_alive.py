"""Signs of life over real HTTPS: taken when there is room, and never at the cost of an alarm."""

import asyncio
from pathlib import Path
from typing import Any

from centre.platform.worker import LANES, SPARE
from centre.work import buttons
from tests.parts import database_at
from tests.unit.centre.parts import Hand, Phone, centre, core_at, phone_of

HAND = Hand()
ALIVE = {
    "buttons": [
        {
            "device_id": HAND.device_id,
            "heard_at": "2026-11-23T10:00:00Z",
            "battery_mv": 3900,
            "low": False,
            "in_reach": True,
            "press_counter": 0,
            "alive_counter": 12,
            "faults": [],
        }
    ],
    "phone": {"battery_percent": 80, "model": "Pixel 8"},
    "troubles": ["no_position"],
}


async def alive(phone: Phone, body: object = ALIVE) -> tuple[int, Any]:
    return await phone.ask("POST", "/v1/alive", json=body)


async def test_a_sign_of_life_sets_the_pace_and_brings_the_counters(tmp_path: Path) -> None:
    """What this bridge has heard, every other bridge of the button learns."""
    async with centre(tmp_path, HAND, alive_s=30) as (_, phone):
        await phone.enrol(HAND)
        await phone.post(HAND.alarm(3))
        counters = {HAND.device_id: {"press": 3, "alive": 12}}
        status, answer = await alive(phone)
        assert 10 <= answer.pop("next_in_s") < 30 + 10
        assert (status, answer) == (200, {"counters": counters, "dropped": []})
        second = Hand()
        second.enrolment_code = str(buttons.issue_enrolment(core_at(tmp_path), HAND.device_id))
        await phone.enrol(second)
        assert (await alive(phone, {}))[1]["counters"] == counters
    core = core_at(tmp_path)
    (button,) = buttons.all_buttons(core)
    assert (button.battery_mv, button.faults) == (3900, "")
    assert [bridge.troubles for bridge in buttons.all_bridges(core)] == ["no_position", ""]


async def test_a_bridge_that_says_it_too_often_is_told_when(tmp_path: Path) -> None:
    """429 and Retry-After; its alarms have no such limit."""
    async with centre(tmp_path, HAND) as (_, phone):
        await phone.enrol(HAND)
        assert (await alive(phone))[0] == 200
        async with phone.session.post(phone.url + "/v1/alive", json=ALIVE, headers=phone.headers) as response:
            assert response.status == 429
            assert 0 < int(response.headers["Retry-After"]) <= 10
            assert (await response.json(content_type=None))["reason"] == "too_often"
        for counter in range(1, 6):
            assert (await phone.post(HAND.alarm(counter)))[0] == 201


async def test_a_confused_bridge_still_lives(tmp_path: Path) -> None:
    """What cannot be believed is dropped and named; what is no object is refused."""
    async with centre(tmp_path, HAND) as (_, phone):
        await phone.enrol(HAND)
        status, answer = await alive(phone, {"buttons": [{"device_id": "A" * 16}, 7], "troubles": 5})
        assert status == 200
        assert {(one["field"], one["reason"]) for one in answer["dropped"]} == {
            ("buttons[0]", "unknown_device"),
            ("buttons[1]", "wrong_type"),
            ("troubles", "wrong_type"),
        }
    async with centre(tmp_path, Hand(2)) as (_, phone):
        await phone.enrol(Hand(2))
        assert (await alive(phone, []))[1]["reason"] == "wrong_type"


async def test_a_flood_of_signs_of_life_costs_no_alarm(tmp_path: Path) -> None:
    """While the disk stands still: signs of life are shed, and every alarm is taken."""
    at_most, _ = LANES[SPARE]
    async with (
        centre(tmp_path, HAND, signs_per_s=at_most) as (serving, phone),
        phone_of(serving.url, serving.authority.pem.decode()) as flood,
    ):
        await phone.enrol(HAND)
        flood.headers = phone.headers
        disk = database_at(tmp_path / "centre.sqlite", isolation_level=None)
        disk.execute("BEGIN IMMEDIATE")  # as a backup would: the centre's next write waits
        alarms = [asyncio.create_task(phone.post(HAND.alarm(1)))]
        signs = []
        for _ in range(3):
            signs += [asyncio.create_task(alive(flood)) for _ in range(at_most)]
            await asyncio.wait(signs, timeout=0.3, return_when=asyncio.FIRST_COMPLETED)
        alarms += [asyncio.create_task(phone.post(HAND.alarm(counter))) for counter in range(2, 12)]
        await asyncio.wait(alarms, timeout=0.3)
        disk.execute("ROLLBACK")
        disk.close()
        taken, told = await asyncio.gather(*alarms), await asyncio.gather(*signs)
    assert [status for status, _ in taken] == [201] * 11
    reasons = [answer["reason"] for status, answer in told if status != 200]
    assert len(reasons) >= len(told) - 1, "one bridge, one sign of life"
    assert "shed" in reasons
    assert set(reasons) <= {"shed", "too_often"}


async def test_signs_of_life_beyond_what_is_taken_are_not_even_read(tmp_path: Path) -> None:
    """Neither who calls nor what it says is looked at: the same refusal for all, and when to return."""
    async with centre(tmp_path, HAND, signs_per_s=1, alive_s=30) as (serving, phone):
        await phone.enrol(HAND)
        assert (await alive(phone))[0] == 200
        for headers, body in ((phone.headers, b"{"), ({"Authorization": "Bearer nobody"}, b"x" * 70_000)):
            url = serving.url + "/v1/alive"
            requests = [phone.session.post(url, data=body, headers=headers) for _ in range(5)]
            answers = await asyncio.gather(*requests)
            refused = [answer for answer in answers if answer.status == 503]
            assert refused, "one a second is taken, however slow the machine"
            assert {answer.headers["Retry-After"] for answer in refused} == {"30"}
        assert (await phone.post(HAND.alarm(1)))[0] == 201


async def test_a_goodbye_may_follow_at_once_and_so_may_the_next_start(tmp_path: Path) -> None:
    """Once in 10 s: it opens no second way in for a flood."""
    async with centre(tmp_path, HAND) as (_, phone):
        await phone.enrol(HAND)
        said = [{}, {"leaving": True}, {}, {"leaving": True}, {}]
        assert [(await alive(phone, body))[0] for body in said] == [200, 200, 200, 429, 429]
