"""The operator's page over HTTPS: who may see it, and what acknowledging does."""

import asyncio
import contextlib
import json
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from centre.console import guard
from centre.rules.access import LANGUAGES
from centre.work import accounts
from sim.realtime.people import EXAMPLE, placeholder
from tests.browser.desk import hand_out
from tests.integration.parts import act, alarm, enter, next_board
from tests.unit.centre.parts import FIX, Hand, Lines, Phone, centre, core_at, phone_of
from wire import codes, receipts

HAND = Hand()


async def acknowledge(phone: Phone, incident: str, **headers: str) -> tuple[int, Any]:
    return await act(phone, incident, "acknowledge", None, **headers)


async def test_the_key_in_the_address_becomes_a_session(tmp_path: Path) -> None:
    """HttpOnly, Secure, SameSite=Strict, bound to this host; it is not the key, which is good once."""
    async with centre(tmp_path) as (serving, phone):
        address = serving.console_url
        async with phone.session.get(address, allow_redirects=False) as response:
            assert (response.status, response.headers["Location"]) == (303, "/console")
            cookie = response.headers["Set-Cookie"]
        for word in ("__Host-amr-session=", "HttpOnly", "Secure", "SameSite=Strict", "Path=/"):
            assert word in cookie
        assert address.partition("key=")[2] not in cookie
        assert (await phone.ask("GET", address.removeprefix(serving.url)))[0] == 401


async def test_without_a_session_there_is_no_page(tmp_path: Path) -> None:
    """Nor a stream, nor an act; another role's session is none either."""
    async with centre(tmp_path, HAND) as (serving, phone):
        await phone.enrol(HAND)
        incident = await alarm(phone)
        for path in ("/console", "/console/live", "/console/enter?key=wrong", "/console/enter"):
            status, problem = await phone.ask("GET", path)
            assert (status, problem["reason"]) == (401, "unauthorised")
        assert (await acknowledge(phone, incident))[0] == 401
        await phone.ask("GET", serving.entrance("institute").removeprefix(serving.url))
        assert (await phone.ask("GET", "/console"))[1]["reason"] == "wrong_role"


async def test_an_operator_acknowledges_and_the_button_believes_it(tmp_path: Path) -> None:
    """From the page to the proof that goes back to the hand."""
    lines = Lines()
    async with centre(tmp_path, HAND, log=lines) as (serving, phone):
        await phone.enrol(HAND)
        incident = await alarm(phone)
        await enter(phone, serving.console_url)
        status, answer = await acknowledge(phone, incident)
        taken = {"incident": incident, "stage": 2, "taken_now": True, "by": "Operator"}
        assert (status, answer) == (200, taken | {"at_ms": answer["at_ms"]})
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


async def test_behind_a_proxy_that_changes_the_address_the_public_one_counts(tmp_path: Path) -> None:
    """The browser is at the public address, the proxy asks for another; without the setting it is refused."""
    for public_url, expected in (("https://amr.example", 200), ("", 403)):
        home = tmp_path / str(expected)
        async with centre(home, HAND, public_url=public_url) as (serving, phone):
            await phone.enrol(HAND)
            incident = await alarm(phone)
            await enter(phone, serving.console_url)
            status, _ = await acknowledge(phone, incident, Origin="https://amr.example")
            assert status == expected
            login = {"login": "operator", "password": "x", "code": "1"}
            headers = {"Origin": "https://amr.example", "Accept": "text/html"}
            _, page = await phone.ask("POST", "/console/sign-in", data=login, headers=headers)
            assert ("--public-url" in page) == (expected == 403), "who signs in is told"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "", "http://127.0.0.1"])
async def test_another_site_cannot_acknowledge(tmp_path: Path, origin: str) -> None:
    """Even from the operator's own browser."""
    async with centre(tmp_path, HAND) as (serving, phone):
        await phone.enrol(HAND)
        incident = await alarm(phone)
        await enter(phone, serving.console_url)
        status, problem = await acknowledge(phone, incident, Origin=origin)
        assert (status, problem["reason"]) == (403, "wrong_origin")
        for what in ("dispatch", "close"):
            assert (await act(phone, incident, what, {"reason": "real"}, Origin=origin))[0] == 403


async def test_a_form_without_a_script_works(tmp_path: Path) -> None:
    """The browser is sent back to the page."""
    async with centre(tmp_path, HAND) as (serving, phone):
        await phone.enrol(HAND)
        incident = await alarm(phone)
        await enter(phone, serving.console_url)
        assert (await acknowledge(phone, incident, Accept="text/html,*/*"))[0] == 303
        page = (await phone.ask("GET", f"/console/incidents/{incident}"))[1]
        assert "Acknowledged" in page
        assert page.count('name="csrf"') == page.count('<form method="post"')


async def test_what_cannot_be_acknowledged_is_refused(tmp_path: Path) -> None:
    """No such incident; a silent test."""
    async with centre(tmp_path, HAND) as (serving, phone):
        await phone.enrol(HAND)
        await enter(phone, serving.console_url)
        _, test = await phone.post(HAND.alarm(1, codes.TEST))
        assert (await acknowledge(phone, "none"))[0] == 404
        assert (await acknowledge(phone, test["incident"]))[0] == 409


async def test_the_page_is_live_and_the_longest_waiting_alarm_on_top(tmp_path: Path) -> None:
    """The board comes whenever it changes, whole; silent tests change no count."""
    async with centre(tmp_path, HAND) as (serving, phone):
        await phone.enrol(HAND)
        await enter(phone, serving.console_url)
        async with phone.stream("/console/live") as events:
            board = await next_board(events)
            assert board["untaken"] == 0
            assert "No alarm is waiting" in board["html"]
            first = await alarm(phone)
            assert (await next_board(events))["untaken"] == 1
            second = await alarm(phone, 2)
            board = await next_board(events)
            assert board["untaken"] == 2
            assert board["html"].index(first) < board["html"].index(second), (
                "who has waited longest stands first"
            )
            await acknowledge(phone, second)
            board = await next_board(events)
            assert board["html"].index(first) < board["html"].index(second)
            await phone.post(HAND.alarm(3, codes.TEST))
            assert (await next_board(events))["untaken"] == 1


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
        names = ("page.css", "page.js", "map.js", "sound.js", "calm.svg", "alarm.svg", "leaflet/leaflet.js")
        for name in names:
            assert (await phone.ask("GET", f"/console/static/{name}"))[0] == 200
        assert (await phone.ask("GET", "/console/static/board.py"))[0] == 404


async def test_help_is_sent_and_the_alarm_closed_once_each(tmp_path: Path) -> None:
    """Two operators at once: one receipt of each stage, which the button believes; one log line."""
    lines = Lines()
    async with centre(tmp_path, HAND, log=lines, undo_close_s=0) as (serving, phone):
        await phone.enrol(HAND)
        incident = await alarm(phone)
        await enter(phone, serving.console_url)
        await acknowledge(phone, incident)
        for what, form, stage in (
            ("dispatch", {"note": "two on foot"}, receipts.DISPATCHED),
            ("close", {"reason": "mis-press"}, receipts.CLOSED),
        ):
            answers = await asyncio.gather(*(act(phone, incident, what, form) for _ in range(4)))
            assert sorted(answer["taken_now"] for _, answer in answers) == [False] * 3 + [True]
            assert {answer["stage"] for _, answer in answers} == {stage}
        async with phone.stream(f"/v1/incidents/{incident}/receipts") as events:
            told = [data async for _, event, data in events if event]
        page = (await phone.ask("GET", f"/console/incidents/{incident}"))[1]
    assert [data["stage"] for data in told] == [1, 2, 3, 4]
    assert all(HAND.believes(data["stage"], 1, data["proof"]) for data in told)
    assert "two on foot" in page
    assert "pressed by mistake" in page
    assert len(lines.of("dispatched")) == 1
    (closed,) = lines.of("closed")
    assert (closed["incident"], closed["counter"], closed["reason"]) == (incident, 1, "mis-press")


@pytest.mark.parametrize(
    ("what", "form", "status", "reason"),
    [
        ("close", None, 400, "out_of_range"),
        ("close", {}, 400, "out_of_range"),
        ("close", {"reason": ""}, 400, "out_of_range"),
        ("close", {"reason": "bored"}, 400, "out_of_range"),
        ("dispatch", {"note": "x" * 301}, 422, "bad_text"),
        ("dispatch", {"note": "two\nlines"}, 422, "bad_text"),
        ("dispatch", {"note": "turned \u202e round"}, 422, "bad_text"),
        ("dispatch", {str(n): "x" for n in range(20)}, 400, "malformed_form"),
        ("dispatch", {"note": "x" * 70_000}, 413, "too_large"),
    ],
)
async def test_an_act_that_says_too_little_or_too_much_changes_nothing(
    tmp_path: Path, what: str, form: dict[str, str] | None, status: int, reason: str
) -> None:
    """A closing without its reason above all."""
    async with centre(tmp_path, HAND) as (serving, phone):
        await phone.enrol(HAND)
        incident = await alarm(phone)
        await enter(phone, serving.console_url)
        given, problem = await act(phone, incident, what, form)
        assert (given, problem["reason"]) == (status, reason)
        _, known = await phone.post(HAND.alarm(1))
        assert known["receipt"]["stage"] == receipts.RECEIVED


async def test_duress_reaches_the_page_at_once_and_the_log_never(tmp_path: Path) -> None:
    """Above a newer plain alarm; seen only by who acted on a page that showed it."""
    lines = Lines()
    async with centre(tmp_path, HAND, log=lines) as (serving, phone):
        await phone.enrol(HAND, pin="271828", duress_pin="3141")
        await enter(phone, serving.console_url)
        first, second = await alarm(phone), await alarm(phone, 2)
        async with phone.stream("/console/live") as events:
            board = await next_board(events)
            assert board["duress"] is False
            await phone.call_off(HAND, 1, "3141")
            board = await next_board(events)
            assert (board["duress"], board["untaken"]) == (True, 2)
            assert board["html"].index(first) < board["html"].index(second)
            await acknowledge(phone, first)
            board = await next_board(events)
            assert board["duress"] is True
            await act(phone, first, "acknowledge", {"seen_duress": "1"})
            board = await next_board(events)
            assert (board["duress"], board["untaken"]) == (False, 1)
            assert "DURESS: the protected person is in danger" in board["html"]
    assert "duress" not in json.dumps(lines.all)
    assert "3141" not in json.dumps(lines.all)


@pytest.mark.parametrize("token", ["", "0" * 64, "\u00fc", "x" * 5000])
async def test_a_form_that_is_not_of_this_session_does_nothing(tmp_path: Path, token: str) -> None:
    """Even with the right Origin: no token, a wrong one, rubbish; another session's."""
    async with centre(tmp_path, HAND) as (serving, phone):
        await phone.enrol(HAND)
        incident = await alarm(phone)
        await enter(phone, serving.console_url)
        other = guard.form_token(accounts.sha256("another session's"))
        for given in (token, other):
            status, problem = await acknowledge(phone, incident, **{guard.TOKEN: given})
            assert (status, problem["reason"]) == (403, "wrong_form")
        assert (await act(phone, incident, "acknowledge", {"csrf": token}, **{guard.TOKEN: ""}))[0] == 403
        assert (await acknowledge(phone, incident))[0] == 200


async def test_the_language_and_being_away_are_the_operators_own(tmp_path: Path) -> None:
    """The user's pages change their language at once; what does not exist is refused."""
    async with centre(tmp_path) as (serving, phone):
        await enter(phone, serving.console_url)
        back = {"Referer": f"{serving.url}/console?x=1"}
        for path, form, field in (
            ("/console/language", {"language": "xx"}, "language"),
            ("/console/language", {}, "language"),
            ("/console/away", {"away": "2"}, "away"),
        ):
            status, problem = await phone.ask("POST", path, data=form)
            assert (status, problem["field"]) == (400, field)
        assert (await phone.ask("POST", "/console/language", data={"language": "nl"}, headers=back))[0] == 303
        assert await phone.ask("POST", "/console/away", data={"away": "1"}) == (200, {"away": True})
    core = core_at(tmp_path)
    (user,) = accounts.users(core)
    (session,) = core.store.db.execute("SELECT is_away FROM sessions").fetchall()
    core.store.close()
    assert (user.language, session["is_away"]) == ("nl", 1)


def looks(home: Path, kind: str = "case_seen") -> list[tuple[str, str]]:
    """At cases, as the event log has them: who, because of which incident."""
    core = core_at(home)
    asked = "SELECT actor, incident_id FROM log WHERE kind = ? ORDER BY seq"
    rows = core.store.db.execute(asked, (kind,))
    found = [(str(row["actor"]), str(row["incident_id"])) for row in rows]
    core.store.close()
    return found


async def test_a_case_is_seen_only_while_its_alarm_is_open_and_each_look_is_noted(tmp_path: Path) -> None:
    """Name and stalker's photo go when it is closed; they are back when a duress PIN says: no mistake."""
    async with centre(tmp_path, HAND, undo_close_s=0) as (serving, phone):
        await phone.enrol(HAND, pin="271828", duress_pin="3141")
        hand_out(tmp_path, HAND.device_id, photo=placeholder())
        first, second = await alarm(phone), await alarm(phone, 2)
        await enter(phone, serving.console_url)
        name = EXAMPLE.person.name

        async def seen(incident: str, query: str = "") -> bool:
            status, html = await phone.ask("GET", f"/console/incidents/{incident}/sheet{query}")
            assert status == 200
            return name in html

        async def photo(incident: str, shows: str = "stalker") -> int:
            path = f"{phone.url}/console/incidents/{incident}/photos/{shows}"
            async with phone.session.get(path) as response:
                return response.status

        assert name not in (await phone.ask("GET", "/console"))[1], "the board says no names"
        assert looks(tmp_path) == []
        assert await seen(first)
        assert await seen(first, "?again=1")
        assert len(looks(tmp_path)) == 1, "a refresh is no look"
        assert await seen(second, "?again=1")
        assert await seen(first)
        assert [incident for _, incident in looks(tmp_path)] == [first, second, first]
        assert all(actor.startswith("user:") for actor, _ in looks(tmp_path))
        assert [await photo(first), await photo(first, "vehicle"), await photo(first, "x")] == [200, 404, 404]
        assert looks(tmp_path, "photo_seen") == [], "it is on the sheet that the operator has opened"
        assert await photo(second) == 200
        assert [incident for _, incident in looks(tmp_path, "photo_seen")] == [second]

        await act(phone, first, "close", {"reason": "mis-press"})
        assert not await seen(first)
        assert await photo(first) == 404
        assert await photo(second) == 200
        await asyncio.to_thread(time.sleep, 0.01)  # the clock of the database counts in ms
        await phone.call_off(HAND, 1, "3141")
        assert await seen(first)

        await phone.ask("GET", serving.entrance("institute").removeprefix(serving.url))
        for path in ("", "/sheet", "/fixes", "/photos/stalker"):
            status, problem = await phone.ask("GET", f"/console/incidents/{second}{path}")
            assert (status, problem["reason"]) == (403, "wrong_role")


async def test_the_trail_is_asked_for_by_number(tmp_path: Path) -> None:
    """Only what came after; a silent test and what does not exist have none; nonsense is refused."""
    async with centre(tmp_path, HAND) as (serving, phone):
        await phone.enrol(HAND)
        incident = await alarm(phone)
        _, test = await phone.post(HAND.alarm(1, codes.TEST))
        await enter(phone, serving.console_url)
        at = f"/console/incidents/{incident}/fixes"
        _, whole = await phone.ask("GET", at)
        (fix,) = whole["fixes"]
        assert (fix["lat"], fix["lon"], whole["more"]) == (FIX["lat"], FIX["lon"], False)
        assert (await phone.ask("GET", f"{at}?after={fix['number']}"))[1]["fixes"] == []
        for after in ("-1", "x", "1" * 16, "\u0661"):
            assert (await phone.ask("GET", at, params={"after": after}))[0] == 400
        for other in (test["incident"], "none"):
            for path in ("fixes", "sheet", "photos/stalker"):
                assert (await phone.ask("GET", f"/console/incidents/{other}/{path}"))[0] == 404


async def test_many_pages_are_one_reading(tmp_path: Path) -> None:
    """Sixteen consoles in four languages see an alarm; each gets it once, in its own."""
    async with centre(tmp_path, HAND) as (serving, phone), contextlib.AsyncExitStack() as stack:
        await phone.enrol(HAND)
        streams = []
        for number in range(16):
            other = await stack.enter_async_context(phone_of(serving.url, serving.authority.pem.decode()))
            language = LANGUAGES[number % 4]
            await enter(other, serving.entrance(login=f"op{number}", language=language))
            events = await stack.enter_async_context(other.stream("/console/live"))
            await anext(events)
            streams.append((language, events))
        await alarm(phone)
        said = {"fr": "ALARME", "nl": "niemand", "de": "niemand", "en": "nobody"}
        for language, events in streams:
            board = await next_board(events)
            assert board["untaken"] == 1
            assert said[language] in board["html"]


async def test_one_operators_many_pages_make_nobody_blind(tmp_path: Path) -> None:
    """So many of one session are live; a colleague's is live whatever that operator does."""
    async with centre(tmp_path, HAND) as (serving, phone), contextlib.AsyncExitStack() as stack:
        other = await stack.enter_async_context(phone_of(serving.url, serving.authority.pem.decode()))
        await enter(phone, serving.entrance(login="ann"))
        await enter(other, serving.entrance(login="eva"))
        for _ in range(8):
            await stack.enter_async_context(phone.stream("/console/live"))
        assert (await phone.ask("GET", "/console/live"))[0] == 503
        await anext(await stack.enter_async_context(other.stream("/console/live")))


async def test_a_clock_set_back_hides_no_alarm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten minutes back between two alarms: the page shows the second as soon as ever."""
    async with centre(tmp_path, HAND) as (serving, phone), asyncio.timeout(30):
        await phone.enrol(HAND)
        await enter(phone, serving.entrance())
        async with phone.stream("/console/live") as events:
            await anext(events)
            true_time = time.time
            monkeypatch.setattr(time, "time", lambda: true_time() - 600)
            await alarm(phone)
            while (await anext(events))[2].get("untaken") != 1:
                pass


async def test_on_a_full_disk_an_operator_still_sees_the_alarms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New ones are refused aloud; open ones and their cases are seen, and the look is told in the log."""
    log = Lines()
    async with centre(tmp_path, HAND, log=log) as (serving, phone):
        await phone.enrol(HAND)
        hand_out(tmp_path, HAND.device_id)
        incident = await alarm(phone)
        await enter(phone, serving.console_url)
        true_time = time.time
        monkeypatch.setattr(time, "time", lambda: true_time() + 300)  # the operator was seen long enough ago
        with no_room():
            assert (await phone.post(HAND.alarm(2)))[0] == 503
            assert incident in (await phone.ask("GET", "/console"))[1]
            status, html = await phone.ask("GET", f"/console/incidents/{incident}/sheet")
        assert (status, EXAMPLE.person.name in html) == (200, True)
        assert "look_not_noted" in [told["reason"] for told in log.of("trouble")]


@contextlib.contextmanager
def no_room() -> Iterator[None]:
    """As on a full disk: this process writes no file, not even where one has room (a log that has just been
    checkpointed begins anew)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
