"""The operator's page over HTTPS: who may see it, and what acknowledging does."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.unit.centre.parts import FIX, Hand, Lines, Phone, centre
from wire import codes, receipts

HAND = Hand()


async def alarm(phone: Phone, counter: int = 1) -> str:
    """The incident of a new press."""
    _, answer = await phone.post(HAND.alarm(counter, fix=FIX))
    return str(answer["incident"])


async def acknowledge(phone: Phone, incident: str, **headers: str) -> tuple[int, object]:
    headers = {"Origin": phone.url} | headers
    return await phone.ask("POST", f"/console/incidents/{incident}/acknowledge", headers=headers)


async def enter(phone: Phone, console_url: str) -> None:
    async with phone.session.get(console_url) as response:
        assert response.status == 200
        assert str(response.url) == f"{phone.url}/console"  # the key is no longer in the address


async def test_the_key_in_the_address_becomes_a_cookie(tmp_path: Path) -> None:
    """HttpOnly, Secure, SameSite=Strict, bound to this host; and it is not the key."""
    async with centre(tmp_path) as (serving, phone):
        path = serving.console_url.removeprefix(serving.url)
        async with phone.session.get(serving.console_url, allow_redirects=False) as response:
            assert (response.status, response.headers["Location"]) == (303, "/console")
            cookie = response.headers["Set-Cookie"]
        for word in ("__Host-amr-console=", "HttpOnly", "Secure", "SameSite=Strict", "Path=/"):
            assert word in cookie
        assert path.partition("key=")[2] not in cookie
        assert (tmp_path / "console.key").read_text() == path.partition("key=")[2]


async def test_without_the_key_there_is_no_page(tmp_path: Path) -> None:
    """Nor a stream, nor an act; a person is told where the key is."""
    async with centre(tmp_path, HAND) as (_, phone):
        await phone.enrol(HAND)
        incident = await alarm(phone)
        for path in ("/console", "/console/live", "/console/enter?key=wrong", "/console/enter"):
            status, problem = await phone.ask("GET", path)
            assert (status, problem["reason"]) == (401, "unauthorised")
        assert (await acknowledge(phone, incident))[0] == 401
        _, page = await phone.ask("GET", "/console", headers={"Accept": "text/html"})
        assert "amr-centre console" in page


async def test_an_operator_acknowledges_and_the_button_believes_it(tmp_path: Path) -> None:
    """From the page to the proof that goes back to the hand."""
    lines = Lines()
    async with centre(tmp_path, HAND, log=lines) as (serving, phone):
        await phone.enrol(HAND)
        incident = await alarm(phone)
        await enter(phone, serving.console_url)
        status, answer = await acknowledge(phone, incident)
        assert (status, answer) == (200, {"incident": incident, "stage": 2, "taken_now": True})
        _, known = await phone.post(HAND.alarm(1))
        receipt = known["receipt"]
        assert receipt["stage"] == receipts.ACKNOWLEDGED
        assert HAND.believes(receipts.ACKNOWLEDGED, 1, receipt["proof"])
    (line,) = lines.of("acknowledged")
    assert (line["incident"], line["device_id"], line["counter"]) == (incident, HAND.device_id, 1)


async def test_two_operators_never_take_the_same_alarm(tmp_path: Path) -> None:
    """At the same moment: one takes it, the others are told that it is taken; one row, one log line."""
    lines = Lines()
    async with centre(tmp_path, HAND, log=lines) as (serving, phone):
        await phone.enrol(HAND)
        incident = await alarm(phone)
        await enter(phone, serving.console_url)
        answers = await asyncio.gather(*(acknowledge(phone, incident) for _ in range(8)))
        assert {status for status, _ in answers} == {200}
        assert sorted("true" in json.dumps(answer) for _, answer in answers) == [False] * 7 + [True]
        async with phone.stream(f"/v1/incidents/{incident}/receipts") as events:
            stages = [(await anext(events))[2]["stage"] for _ in range(2)]
    assert stages == [receipts.RECEIVED, receipts.ACKNOWLEDGED]
    assert len(lines.of("acknowledged")) == 1


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "", "http://127.0.0.1"])
async def test_another_site_cannot_acknowledge(tmp_path: Path, origin: str) -> None:
    """Even from the operator's own browser."""
    async with centre(tmp_path, HAND) as (serving, phone):
        await phone.enrol(HAND)
        incident = await alarm(phone)
        await enter(phone, serving.console_url)
        status, problem = await acknowledge(phone, incident, Origin=origin)
        assert (status, problem["reason"]) == (403, "wrong_origin")  # type: ignore[index]


async def test_a_form_without_a_script_works(tmp_path: Path) -> None:
    """The browser is sent back to the page."""
    async with centre(tmp_path, HAND) as (serving, phone):
        await phone.enrol(HAND)
        incident = await alarm(phone)
        await enter(phone, serving.console_url)
        assert (await acknowledge(phone, incident, Accept="text/html,*/*"))[0] == 303
        assert "acknowledged" in (await phone.ask("GET", "/console"))[1]


async def test_what_cannot_be_acknowledged_is_refused(tmp_path: Path) -> None:
    """No such incident; a silent test."""
    async with centre(tmp_path, HAND) as (serving, phone):
        await phone.enrol(HAND)
        await enter(phone, serving.console_url)
        _, test = await phone.post(HAND.alarm(1, codes.TEST))
        assert (await acknowledge(phone, "none"))[0] == 404
        assert (await acknowledge(phone, test["incident"]))[0] == 409


async def test_the_page_is_live_and_the_newest_alarm_on_top(tmp_path: Path) -> None:
    """The board comes whenever it changes, whole; silent tests change no count."""
    async with centre(tmp_path, HAND) as (serving, phone):
        await phone.enrol(HAND)
        await enter(phone, serving.console_url)
        async with phone.stream("/console/live") as events:
            _, event, board = await anext(events)
            assert (event, board["untaken"]) == ("board", 0)
            assert "No alarm is waiting" in board["html"]
            first = await alarm(phone)
            assert (await anext(events))[2]["untaken"] == 1
            second = await alarm(phone, 2)
            _, _, board = await anext(events)
            assert board["untaken"] == 2
            assert board["html"].index(second) < board["html"].index(first)
            await acknowledge(phone, second)
            _, _, board = await anext(events)
            assert board["html"].index(first) < board["html"].index(second)
            await phone.post(HAND.alarm(3, codes.TEST))
            assert (await anext(events))[2]["untaken"] == 1


async def test_the_page_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    """A strict policy, and everything that the page names is served by us."""
    async with centre(tmp_path) as (serving, phone):
        await enter(phone, serving.console_url)
        async with phone.session.get(phone.url + "/console") as response:
            policy, page = response.headers["Content-Security-Policy"], await response.text()
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in page
        assert "<style" not in page
        assert " style=" not in page
        for name in ("page.css", "page.js", "calm.svg", "alarm.svg"):
            assert (await phone.ask("GET", f"/console/{name}"))[0] == 200
        assert (await phone.ask("GET", "/console/board.py"))[0] == 404
