"""In and out: invitations, passwords, second factors, sessions, and who tries to get around them."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pyotp
import pytest

from centre.console import guard, pages
from centre.rules import access
from centre.work import accounts, event_log
from centre.work import sign_in as signin
from centre.work.core import Core
from tests.unit.centre.parts import OPENAPI, Hand, Lines, Phone, Serving, centre, core_at, phone_of

PASSWORD = "four words that rhyme not"  # noqa: S105
HTML = {"Accept": "text/html"}
NOTHING: dict[str, str] = {}
EMPTY = {"password": "", "code": ""}


@asynccontextmanager
async def core_of(serving: Serving) -> AsyncIterator[Core]:
    """As a command beside the running centre has it."""
    core = core_at(serving.home)
    try:
        yield core
    finally:
        core.store.close()


async def invite(
    serving: Serving, login: str = "ann", *, good_for_ms: int = access.SET_MS
) -> tuple[str, str]:
    """The key of an invitation, and the secret of the second factor that goes with it."""
    async with core_of(serving) as core:
        accounts.add_user(core, login, "Ann Example", access.OPERATOR, None, "en")
        key = accounts.invite(core, login, "set", good_for_ms)
        assert key
        return key, signin.invited(core, key).secret if good_for_ms > 0 else ""


async def code_of(serving: Serving, secret: str, *, ahead: int = 0) -> str:
    """Of now; `ahead` steps from it."""
    async with core_of(serving) as core:
        return pyotp.TOTP(secret).generate_otp(core.now_ms() // 30_000 + ahead)


async def post(phone: Phone, path: str, form: dict[str, str], **headers: str) -> tuple[int, Any]:
    return await phone.ask("POST", path, data=form, headers={"Origin": phone.url} | headers)


async def set_password(phone: Phone, key: str, code: str, more: dict[str, str] = NOTHING) -> tuple[int, Any]:
    form = {"key": key, "password": PASSWORD, "again": PASSWORD, "code": code}
    return await post(phone, "/console/set", form | more)


async def sign_in(
    phone: Phone, code: str, *, login: str = "ann", password: str = PASSWORD
) -> tuple[int, Any]:
    return await post(phone, "/console/sign-in", {"login": login, "password": password, "code": code})


def cookie_of(phone: Phone) -> str:
    return next((c.value for c in phone.session.cookie_jar if c.key == guard.COOKIE), "")


async def set_up(serving: Serving, phone: Phone, key: str, secret: str) -> None:
    """The user set a password half a minute ago, and is signed in: the code of now is not used yet."""
    assert (await set_password(phone, key, await code_of(serving, secret)))[0] == 303
    async with core_of(serving) as core:
        core.store.db.execute("UPDATE users SET totp_step = totp_step - 1 WHERE totp_step > 0")


async def ready(serving: Serving, phone: Phone) -> str:
    """Ann has set a password and is signed in; this gives the secret of Ann's second factor."""
    key, secret = await invite(serving)
    await set_up(serving, phone, key, secret)
    return secret


async def test_an_invitation_becomes_a_password_a_second_factor_and_a_session(tmp_path: Path) -> None:
    """Once: the page, the code to scan, the form; then signing out and in with both."""
    async with centre(tmp_path) as (serving, phone):
        key, secret = await invite(serving)
        status, page = await phone.ask("GET", f"/console/set?key={key}")
        assert status == 200
        assert "Ann Example" in page
        assert " ".join(re.findall(".{1,4}", secret)) in page
        assert (await phone.ask("GET", f"/console/set/code.svg?key={key}"))[0] == 200
        assert (await set_password(phone, key, await code_of(serving, secret)))[0] == 303
        assert (await phone.ask("GET", "/console"))[0] == 200
        for path in (f"/console/set?key={key}", f"/console/set/code.svg?key={key}", "/console/set"):
            assert (await phone.ask("GET", path))[1]["reason"] == "unauthorised"
        assert (await phone.ask("POST", "/console/sign-out"))[0] == 303
        assert (await phone.ask("GET", "/console"))[0] == 401
        assert (await sign_in(phone, await code_of(serving, secret, ahead=1)))[0] == 303
        assert (await phone.ask("GET", "/console"))[0] == 200


async def test_a_code_is_good_once(tmp_path: Path) -> None:
    """Read over a shoulder, it opens nothing; nor does the one before it."""
    async with centre(tmp_path) as (serving, phone):
        secret = await ready(serving, phone)
        before, now = await code_of(serving, secret, ahead=-1), await code_of(serving, secret)
        answers = await asyncio.gather(*(sign_in(phone, now) for _ in range(3)))
        assert sorted(status for status, _ in answers) == [303, 403, 403]
        for code in (now, before):
            assert (await sign_in(phone, code))[0] == 403


async def test_whoever_tries_cannot_tell_what_was_wrong(tmp_path: Path) -> None:
    """Login, password, code, not yet set: byte by byte the same answer, locked after as many tries."""
    async with centre(tmp_path) as (serving, phone):
        secret = await ready(serving, phone)
        await invite(serving, "not-yet")
        right = await code_of(serving, secret)
        nobody = [await sign_in(phone, right, login="nobody") for _ in range(6)]
        assert nobody[0][0] == 403
        assert nobody[0][1]["reason"] == "wrong_sign_in"
        assert nobody[5][1]["reason"] == "sign_in_locked"
        assert await sign_in(phone, right, password="wrong") == nobody[0]  # noqa: S106
        assert await sign_in(phone, "000000") == nobody[0]
        assert await sign_in(phone, "\u0661" * 6) == nobody[0]
        assert await sign_in(phone, right, login="not-yet") == nobody[0]
        assert await sign_in(phone, right, login="x" * 9000) == nobody[0]
        await sign_in(phone, "")
        assert (await sign_in(phone, right))[0] == 303, "four mistakes are free"


async def test_a_lock_lasts_over_a_restart_and_an_invitation_opens_it(tmp_path: Path) -> None:
    """Nobody who guesses can keep the user out for good."""
    async with centre(tmp_path) as (serving, phone):
        secret = await ready(serving, phone)
        phone.session.cookie_jar.clear()
        for _ in range(5):
            await sign_in(phone, "000000")
    async with centre(tmp_path) as (serving, phone):
        status, problem = await sign_in(phone, await code_of(serving, secret))
        assert (status, problem["reason"]) == (429, "sign_in_locked")
        key, secret = await invite(serving)
        await set_up(serving, phone, key, secret)
        assert (await sign_in(phone, await code_of(serving, secret)))[0] == 303


async def test_a_strangers_flood_keeps_nobody_out_who_has_signed_in_before(tmp_path: Path) -> None:
    """It tries Ann's login and others, at one moment: Ann's browser passes, and so does Ann's network."""
    async with centre(tmp_path) as (serving, phone):
        secret = await ready(serving, phone)
        ca_pem = serving.authority.pem.decode()
        async with phone_of(serving.url, ca_pem, "127.0.0.9") as stranger:
            logins = [*["ann"] * 150, *(f"login{n}" for n in range(150))]
            flood = asyncio.gather(*(sign_in(stranger, "000000", login=login) for login in logins))
            assert (await sign_in(phone, await code_of(serving, secret)))[0] == 303
            assert {problem["reason"] for _, problem in await flood} <= {
                *("wrong_sign_in", "sign_in_locked", "busy")
            }
            page = (await post(stranger, "/console/sign-in", {"login": "bob"} | EMPTY, **HTML))[1]
            assert "Sign in" in page
        async with phone_of(serving.url, ca_pem) as colleague:
            code = await code_of(serving, secret, ahead=1)
            assert (await sign_in(colleague, code))[0] == 303, "another browser, in Ann's network"


async def test_an_invitation_used_at_the_same_moment_lets_one_in(tmp_path: Path) -> None:
    """Whoever is second learns that it was used."""
    async with centre(tmp_path) as (serving, phone):
        key, secret = await invite(serving)
        code = await code_of(serving, secret)
        answers = await asyncio.gather(*(set_password(phone, key, code) for _ in range(4)))
        assert sorted(status for status, _ in answers) == [303, 401, 401, 401]


async def test_an_invitation_that_is_too_old_opens_nothing(tmp_path: Path) -> None:
    """Nor one that is for something else, nor rubbish."""
    async with centre(tmp_path) as (serving, phone):
        old, _ = await invite(serving, good_for_ms=-1)
        other = serving.console_url.partition("key=")[2]
        for key in (old, other, "", "x", "\u00fc" * 50):
            assert (await set_password(phone, key, "123456"))[1]["reason"] == "unauthorised"
            assert (await phone.ask("GET", "/console/set", params={"key": key}))[0] == 401


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        ({"password": "short", "again": "short"}, "bad_password"),
        ({"again": "another one altogether"}, "bad_password"),
        ({"password": "Example-example1", "again": "Example-example1"}, "bad_password"),
        ({"code": "000000"}, "wrong_code"),
        ({"code": ""}, "wrong_code"),
    ],
)
async def test_what_cannot_be_taken_does_not_use_the_invitation_up(
    tmp_path: Path, form: dict[str, str], reason: str
) -> None:
    """The user tries again."""
    async with centre(tmp_path) as (serving, phone):
        key, secret = await invite(serving)
        code = await code_of(serving, secret)
        assert (await set_password(phone, key, code, form))[1]["reason"] == reason
        assert (await set_password(phone, key, code))[0] == 303


async def test_a_new_password_ends_what_was_open(tmp_path: Path) -> None:
    """A cookie that was there before is not the one that the user gets."""
    async with centre(tmp_path) as (serving, phone):
        await ready(serving, phone)
        before = cookie_of(phone)
        key, secret = await invite(serving)
        assert (await set_password(phone, key, await code_of(serving, secret)))[0] == 303
        assert cookie_of(phone) != before
        phone.session.cookie_jar.clear()
        old = {"Cookie": f"{guard.COOKIE}={before}"}
        assert (await phone.ask("GET", "/console", headers=old))[0] == 401


async def test_another_site_can_neither_sign_a_user_in_nor_set_a_password(tmp_path: Path) -> None:
    """Into a stranger's session neither."""
    async with centre(tmp_path) as (serving, phone):
        for path in ("/console/sign-in", "/console/set"):
            for origin in ("https://evil.example", "null", ""):
                _, problem = await post(phone, path, {"login": "ann"}, Origin=origin)
                assert problem["reason"] == "wrong_origin"
        assert cookie_of(phone) == ""
        await phone.ask("GET", serving.entrance().removeprefix(serving.url))


async def test_a_browser_without_a_session_is_led_to_the_door(tmp_path: Path) -> None:
    """A program gets its problem; a user gets a page in the browser's language that says what was wrong."""
    async with centre(tmp_path) as (serving, phone):
        async with phone.session.get(serving.url + "/console", headers=HTML) as response:
            assert response.url.path == "/console/sign-in"
            assert response.status == 200
        dutch = HTML | {"Accept-Language": "nl-BE,nl;q=0.9"}
        assert "Aanmelden" in (await phone.ask("GET", "/console/sign-in", headers=dutch))[1]
        assert "Anmelden" in (await phone.ask("GET", "/console/sign-in?language=de", headers=dutch))[1]
        form = {"login": "<b>", "password": "x", "code": "1"}
        pages = [await post(phone, "/console/sign-in", form, **dutch) for _ in range(6)]
        assert [status for status, _ in pages] == [403] * 5 + [429]
        assert "Aanmelden is niet gelukt" in pages[0][1]
        assert "<b>" not in pages[0][1]
        assert "over 1 min" in pages[5][1]


async def test_whoever_is_disabled_is_out_at_once(tmp_path: Path) -> None:
    """Session, invitation and password end; what the user did stays under the user's name."""
    async with centre(tmp_path) as (serving, phone):
        secret = await ready(serving, phone)
        key, _ = await invite(serving)
        async with core_of(serving) as core:
            assert accounts.disable(core, "ann")
            assert not accounts.disable(core, "ann")
        assert (await phone.ask("GET", "/console"))[0] == 401
        assert (await phone.ask("GET", f"/console/set?key={key}"))[0] == 401
        assert (await sign_in(phone, await code_of(serving, secret)))[1]["reason"] == "wrong_sign_in"


@pytest.mark.parametrize("how", ["disabled", "role", "password"])
async def test_a_live_stream_ends_with_the_session(tmp_path: Path, how: str) -> None:
    """At its next turn, and before anything that has happened since is told."""
    hand = Hand()
    async with centre(tmp_path, hand) as (serving, phone):
        await ready(serving, phone)
        await phone.enrol(hand)
        async with phone.stream("/console/live") as events:
            await anext(events)
            if how == "password":
                key, secret = await invite(serving)
                await set_password(phone, key, await code_of(serving, secret))
            async with core_of(serving) as core:
                if how == "disabled":
                    accounts.disable(core, "ann")
                if how == "role":
                    accounts.change_user(core, "ann", role=access.INSTITUTE)
            assert (await phone.post(hand.alarm(1)))[0] == 201
            assert [name async for _, name, _ in events] == ["signed_out"]


async def test_every_page_of_the_bar_is_there(tmp_path: Path) -> None:
    """Each role has its links, and the page that it begins with once it has any."""
    async with centre(tmp_path) as (serving, _):
        served = {route.path for route in serving.routes if route.method == "GET"}
    for role, links in pages.LINKS.items():
        assert {path for path, _ in links} <= served, role


async def test_every_route_lets_in_whom_the_document_says_and_nobody_else(tmp_path: Path) -> None:
    """Each role, and nobody, at each route: 403 and 401, before anything else of the request is looked at."""
    async with centre(tmp_path) as (serving, phone):
        wanted = [
            (route, OPENAPI["paths"][route.path][route.method.lower()]["security"])
            for route in serving.routes
        ]
        for role in (None, *access.ROLES):
            phone.session.cookie_jar.clear()
            if role:
                async with phone.session.get(serving.entrance(role), allow_redirects=False):
                    pass
            before = len(await written(serving))
            for route, security in wanted:
                if not security or (role and role in security[0].get("session", ())):
                    continue
                path = re.sub(r"\{\w+\}", "1", route.path)
                status, problem = await phone.ask(route.method, path, headers={"Origin": phone.url})
                said = (status, problem["reason"])
                if role and "session" in security[0]:
                    assert said == (403, "wrong_role"), (role, route)
                else:
                    assert said == (401, "unauthorised"), (role, route)
            assert len(await written(serving)) == before, "nothing is stored"


async def written(serving: Serving) -> list[Any]:
    """The event log: whatever matters is in it."""
    async with core_of(serving) as core:
        return core.store.db.execute("SELECT seq FROM log").fetchall()


NEW = "quite another four words"


async def change(phone: Phone, code: str, old: str = PASSWORD, **more: str) -> tuple[int, Any]:
    form = {"old": old, "password": NEW, "again": NEW, "code": code} | more
    return await phone.ask("POST", "/console/account", data=form)


async def test_a_user_changes_the_password_and_the_other_sessions_end(tmp_path: Path) -> None:
    """With the old one and a code; this session goes on; the old one opens nothing any more."""
    async with (
        centre(tmp_path) as (serving, phone),
        phone_of(serving.url, serving.authority.pem.decode()) as other,
    ):
        secret = await ready(serving, phone)
        assert (await sign_in(other, await code_of(serving, secret)))[0] == 303
        assert (await phone.ask("GET", "/console/account"))[0] == 200
        assert (await change(phone, await code_of(serving, secret, ahead=1)))[0] == 303
        assert (await phone.ask("GET", "/console"))[0] == 200
        assert (await other.ask("GET", "/console"))[0] == 401
        async with core_of(serving) as core:
            assert core.store.all("log_entries")[-1]["kind"] == "password_changed"
            core.store.db.execute("UPDATE users SET totp_step = 0")  # as if time had passed
        now = await code_of(serving, secret)
        assert (await sign_in(other, now))[0] == 403
        assert (await sign_in(other, now, password=NEW))[0] == 303


async def test_a_session_left_open_changes_no_password(tmp_path: Path) -> None:
    """Wrong old one, wrong code, weak, different: nothing changes; tries count as for signing in."""
    async with centre(tmp_path) as (serving, phone):
        secret = await ready(serving, phone)
        right = await code_of(serving, secret, ahead=1)
        for more in ({"password": "short", "again": "short"}, {"again": "not the same at all"}):
            status, problem = await change(phone, right, **more)
            assert (status, problem["reason"]) == (422, "bad_password")
        assert (await change(phone, right, old="wrong"))[1]["reason"] == "wrong_sign_in"
        form = {"old": PASSWORD, "password": NEW, "again": NEW, "code": "000000"}
        status, page = await phone.ask("POST", "/console/account", data=form, headers=HTML)
        assert status == 403
        assert "The present password or the code is not right" in page
        assert NEW not in page
        for _ in range(3):
            await change(phone, "000000")
        assert (await change(phone, right))[1]["reason"] == "sign_in_locked"
        assert (await phone.ask("GET", "/console"))[0] == 200, "the user stays in"
        elsewhere = {"Origin": "https://elsewhere.example"}
        assert (await phone.ask("POST", "/console/account", headers=elsewhere))[0] == 403


async def test_each_failed_sign_in_is_noted_and_counted(tmp_path: Path) -> None:
    """Whose it was where that is known, never what was typed; a browser's counts like a program's."""
    log = Lines()
    async with centre(tmp_path, log=log) as (serving, phone):
        await ready(serving, phone)
        await sign_in(phone, "000000", password="a secret slip")  # noqa: S106
        form = {"login": "secretly typed", "password": PASSWORD, "code": "000000"}
        assert (await post(phone, "/console/sign-in", form, **HTML))[0] == 403
        async with core_of(serving) as core:
            ann = core.store.one("user_of_login", login="ann")
            rows = [row for row in core.store.all("log_entries") if row["kind"] == "sign_in_failed"]
            facts = [event_log.told(core, row).facts for row in rows]
            assert ann
            assert facts[0] == {"user_id": ann["user_id"], "place": "browser"}
            assert facts[1] == {"why": "no such user", "count": 1}
            assert "secret" not in json.dumps(facts)
    counted = [line["count"] for line in log.of("refused") if line["reason"] == "wrong_sign_in"]
    assert sum(counted) == 2


async def test_a_stranger_takes_no_place_in_the_queue_of_the_alarms(tmp_path: Path) -> None:
    """Whatever he asks is answered while the database is held, and an alarm waits for it."""
    hand = Hand()
    async with centre(tmp_path, hand) as (serving, phone), core_of(serving) as core:
        await phone.enrol(hand)
        core.store.db.execute("BEGIN IMMEDIATE")
        alarm = asyncio.create_task(phone.post(hand.alarm(1)))
        bogus = {"Cookie": f"{guard.COOKIE}=bogus"}
        for path in ("/console", "/console/cases", "/console/enter?key=x", "/console/set?key=x"):
            assert (await phone.ask("GET", path, headers=bogus))[0] == 401
        for path in ("/console/set", "/console/sign-out"):
            assert (await post(phone, path, {"key": "x"}, **bogus))[0] == 401
        assert (await phone.ask("POST", "/v1/enrolments", json={"code": "A" * 20}))[0] == 404
        assert (await phone.ask("GET", "/console/sign-in"))[0] == 200
        assert not alarm.done()
        core.store.db.execute("ROLLBACK")
        assert (await alarm)[0] == 201


async def test_an_address_that_is_no_longer_good_says_so(tmp_path: Path) -> None:
    """Sign-in says it, in the browser's language; who only has no session hears of none."""
    headers = {"Accept": "text/html", "Accept-Language": "de"}
    async with centre(tmp_path) as (serving, phone):
        for path, says in (("/console/enter?key=x", True), ("/console/set?key=x", True), ("/console", False)):
            async with phone.session.get(serving.url + path, headers=headers) as answer:
                assert answer.url.path == "/console/sign-in"
                assert ("Diese Adresse gilt nicht mehr" in await answer.text()) == says


async def test_who_was_disabled_can_be_let_in_again(tmp_path: Path) -> None:
    """The password is the one from before; nothing that had ended begins again."""
    async with centre(tmp_path) as (serving, phone):
        secret = await ready(serving, phone)
        async with core_of(serving) as core:
            assert not accounts.enable(core, "ann"), "Ann is not disabled"
            assert accounts.disable(core, "ann")
            assert not accounts.enable(core, "nobody")
            assert accounts.enable(core, "ann")
        assert (await phone.ask("GET", "/console"))[0] == 401
        assert (await sign_in(phone, await code_of(serving, secret)))[0] == 303
