"""What operators do to an alarm, over HTTPS: with a script and without one; each refusal says its cause."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from centre.work import running_log
from tests.integration.parts import act, alarm, enter
from tests.unit.centre.parts import Hand, Lines, Phone, centre, core_at
from wire import receipts

HAND = Hand()
HTML = {"Accept": "text/html,*/*"}
LONG = "x" * 10_000
SENTENCE = "The text cannot be kept like this: a remark has 1 to 2000 characters"


async def stage(phone: Phone) -> int:
    """As the button is told."""
    _, answer = await phone.post(HAND.alarm(1))
    assert HAND.believes(answer["receipt"]["stage"], 1, answer["receipt"]["proof"])
    return int(answer["receipt"]["stage"])


def kinds(home: Path, incident: str) -> list[str]:
    core = core_at(home)
    try:
        return [str(one.kind) for one in running_log.of_incident(core, incident)]
    finally:
        core.store.close()


async def post_raw(phone: Phone, incident: str, what: str, body: bytes, **headers: str) -> tuple[int, str]:
    headers |= {"Origin": phone.url, "Content-Type": "application/x-www-form-urlencoded"}
    async with phone.session.post(
        f"{phone.url}/console/incidents/{incident}/{what}", data=body, headers=headers
    ) as response:
        return response.status, await response.text()


async def token_of(phone: Phone) -> str:
    async with phone.session.get(f"{phone.url}/console") as response:
        found = re.search(r'data-csrf="(\w+)"', await response.text())
    assert found
    return found[1]


async def test_every_act_works_by_a_plain_form(tmp_path: Path) -> None:
    """The browser is sent back to the page, which shows what was done, and by whom."""
    async with centre(tmp_path, HAND) as (serving, phone):
        await phone.enrol(HAND)
        bo = serving.entrance(login="bo", name="Bo Fictie")
        await enter(phone, bo)
        await enter(phone, serving.console_url)
        incident = await alarm(phone)
        core = core_at(tmp_path)
        colleague = next(one.user_id for one in running_log.colleagues(core) if one.name == "Bo Fictie")
        core.store.close()
        for what, form in (
            ("dispatch", {"note": "Zone 12"}),
            ("patrol", {"patrol": "1", "step": "on_scene"}),
            ("remark", {"remark": "The neighbour rang.\r\nA light is on.", "once": "a"}),
            ("give-back", {}),
            ("acknowledge", {}),
            ("hand-over", {"to": colleague}),
            ("close", {"reason": "mis-press"}),
            ("undo-close", {}),
        ):
            status, text = await act(phone, incident, what, form, **HTML)
            assert status == 303, text
        page = " ".join((await phone.ask("GET", f"/console/incidents/{incident}"))[1].split())
        for words in ("patrol Zone 12: on scene", "A light is on.", "handed the alarm over to Bo Fictie"):
            assert words in page
        assert "undid the closing" in page
        assert page.count('name="csrf"') == page.count('<form method="post"')
        assert await stage(phone) == receipts.DISPATCHED


@pytest.mark.parametrize(
    "text",
    [LONG, "bell \x07", "turned \u202eround", "  "],
    ids=["long", "control", "direction", "empty"],
)
async def test_a_text_that_is_refused_stays_in_its_field(tmp_path: Path, text: str) -> None:
    """Without a script too: the page again, the cause in a sentence, and nothing is changed."""
    async with centre(tmp_path, HAND) as (serving, phone):
        await phone.enrol(HAND)
        await enter(phone, serving.console_url)
        incident = await alarm(phone)
        status, page = await act(phone, incident, "remark", {"remark": text}, **HTML)
        assert status == 422
        assert f"Not done. {SENTENCE}" in page
        field = page.partition('name="remark"')[2].partition("</textarea>")[0]
        assert field.partition(">")[2] == text
        status, problem = await act(phone, incident, "remark", {"remark": text})
        assert (status, problem["detail"].startswith(f"Not done. {SENTENCE}")) == (422, True)
        assert kinds(tmp_path, incident) == []


async def test_a_text_in_another_encoding_is_refused_and_can_still_be_read(tmp_path: Path) -> None:
    """Quoted or not: it is never stored with signs that nobody has typed."""
    async with centre(tmp_path, HAND) as (serving, phone):
        await phone.enrol(HAND)
        await enter(phone, serving.console_url)
        incident = await alarm(phone)
        header = {"X-CSRF-Token": await token_of(phone)}
        for body in (b"remark=caf%E9+ferm%E9", b"remark=caf\xe9+ferm\xe9"):
            status, page = await post_raw(phone, incident, "remark", body, **HTML, **header)
            assert status == 400
            assert "The text is not in UTF-8" in page
            assert "café fermé</textarea>" in page
        assert kinds(tmp_path, incident) == []


async def test_a_remark_sent_twice_is_one(tmp_path: Path) -> None:
    """A doubled click: the same form, at the same moment."""
    async with centre(tmp_path, HAND) as (serving, phone):
        await phone.enrol(HAND)
        await enter(phone, serving.console_url)
        incident = await alarm(phone)
        form = {"remark": "No answer", "once": "form 1"}
        answers = await asyncio.gather(*(act(phone, incident, "remark", form) for _ in range(4)))
        assert sorted(answer["taken_now"] for _, answer in answers) == [False] * 3 + [True]
        assert kinds(tmp_path, incident) == ["remark"]


REFUSED: list[tuple[str, dict[str, str], int, str]] = [
    ("patrol", {"patrol": "1", "step": "on_scene"}, 404, "unknown_patrol"),
    ("patrol", {"patrol": "x", "step": "on_scene"}, 404, "unknown_patrol"),
    ("patrol", {"patrol": "1", "step": "home"}, 400, "out_of_range"),
    ("hand-over", {"to": "NOBODY22"}, 409, "not_taken"),
    ("give-back", {}, 409, "not_taken"),
    ("reopen", {}, 409, "not_closed"),
    ("correct", {"reason": "real"}, 409, "not_closed"),
    ("correct", {"reason": "bored"}, 400, "out_of_range"),
    ("tick", {"step": "Ring"}, 409, "changed_meanwhile"),
]


@pytest.mark.parametrize(("what", "form", "status", "reason"), REFUSED)
async def test_what_cannot_be_done_says_why_and_changes_nothing(
    tmp_path: Path, what: str, form: dict[str, str], status: int, reason: str
) -> None:
    """To a program by its reason, to a person in a sentence of their language."""
    async with centre(tmp_path, HAND) as (serving, phone):
        await phone.enrol(HAND)
        await enter(phone, serving.entrance(login="gerda", name="Gerda", language="de"))
        incident = await alarm(phone)
        given, problem = await act(phone, incident, what, form)
        assert (given, problem["reason"]) == (status, reason)
        assert problem["detail"].startswith("Nicht ausgeführt. ")
        given, page = await act(phone, incident, what, form, **HTML)
        assert (given, problem["detail"] in page) == (status, True)
        assert kinds(tmp_path, incident) == []
        assert await stage(phone) == receipts.RECEIVED


async def test_a_closing_waits_over_a_restart_and_then_reaches_the_button(tmp_path: Path) -> None:
    """It lies in the database; whatever ended the centre, the next start finds it."""
    async with centre(tmp_path, HAND, undo_close_s=60) as (serving, phone):
        await phone.enrol(HAND)
        await enter(phone, serving.console_url)
        incident = await alarm(phone)
        headers = phone.headers
        assert (await act(phone, incident, "close", {"reason": "technical"}))[1]["taken_now"]
        assert not (await act(phone, incident, "close", {"reason": "real"}))[1]["taken_now"]
        assert await stage(phone) == receipts.ACKNOWLEDGED
    core = core_at(tmp_path)  # a minute later
    core.store.db.execute("UPDATE closings SET due_at_ms = 0")
    core.store.close()
    lines = Lines()
    async with centre(tmp_path, log=lines) as (_, phone):
        phone.headers = headers
        async with phone.stream(f"/v1/incidents/{incident}/receipts") as events:
            told = [data["stage"] async for _, event, data in events if event]
    assert told == [receipts.RECEIVED, receipts.ACKNOWLEDGED, receipts.CLOSED]
    (closed,) = lines.of("closed")
    assert (closed["incident"], closed["reason"]) == (incident, "technical")


async def test_an_alarm_that_follows_is_opened_from_the_closed_one(tmp_path: Path) -> None:
    """By a form; and the first one then leads to it."""
    async with centre(tmp_path, HAND, undo_close_s=0) as (serving, phone):
        await phone.enrol(HAND)
        await enter(phone, serving.console_url)
        incident = await alarm(phone)
        await act(phone, incident, "close", {"reason": "mis-press"})
        _, answer = await act(phone, incident, "reopen")
        assert answer["incident"] != incident
        assert f"/console/incidents/{answer['incident']}" in (await page_of(phone, incident))
        assert f"/console/incidents/{incident}" in (await page_of(phone, answer["incident"]))
        assert await stage(phone) == receipts.CLOSED
        assert (await act(phone, incident, "correct", {"reason": "real"}))[1]["reason"] == "own_closing"


async def page_of(phone: Phone, incident: str) -> str:
    answer: tuple[int, Any] = await phone.ask("GET", f"/console/incidents/{incident}/sheet")
    return str(answer[1])


@pytest.mark.slow
@pytest.mark.timeout(60)
async def test_an_act_that_the_database_does_not_take_is_answered_with_its_cause(tmp_path: Path) -> None:
    """Another process holds it: after 5 s it is said, and that nothing is done twice if one tries again."""
    async with centre(tmp_path, HAND) as (serving, phone):
        await phone.enrol(HAND)
        await enter(phone, serving.console_url)
        incident = await alarm(phone)
        core = core_at(tmp_path)
        core.store.db.execute("BEGIN IMMEDIATE")
        status, problem = await act(phone, incident, "acknowledge")
        core.store.db.execute("ROLLBACK")
        core.store.close()
        assert (status, problem["reason"]) == (503, "store_unavailable")
        assert problem["detail"].startswith("Not done. The centre cannot write to its disk.")
        assert await stage(phone) == receipts.RECEIVED
