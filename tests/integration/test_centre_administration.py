"""The administrator's pages over HTTPS: users, invitations, sessions, the log, and what bad input gets."""

import re
from pathlib import Path
from typing import Any

import pytest

from centre.commands import main
from centre.platform.log import now_ms
from centre.rules import access
from centre.work import accounts, event_log
from tests.unit.centre.parts import Hand, Lines, Phone, Serving, centre, core_at, phone_of

HAND = Hand()
HTML = {"Accept": "text/html"}
USERS = "/console/administration/users"
NEW = {"login": "oda", "name": "Oda Example", "role": "operator", "zone": "", "language": "nl"}


async def enter(serving: Serving, phone: Phone, role: str = access.ADMINISTRATOR, **who: Any) -> None:
    await phone.ask(
        "GET",
        serving.entrance(role, **who).removeprefix(serving.url),
        headers={"User-Agent": "Firefox Linux"},
    )


def kinds(home: Path) -> list[str]:
    return [row["kind"] for row in core_at(home).store.db.execute("SELECT kind FROM log ORDER BY seq")]


def key_in(page: str) -> str:
    """The address's key that a page shows."""
    found = re.search(r"/console/set\?key=([\w-]+)", page)
    assert found
    return found[1]


async def test_a_user_is_added_with_an_address_that_is_shown_once(tmp_path: Path) -> None:
    """It opens the page where a password is set; pending it is listed, revoked it is good for nothing."""
    async with centre(tmp_path, HAND) as (serving, phone):
        await enter(serving, phone)
        status, page = await phone.ask("POST", USERS, data=NEW)
        assert status == 200
        key = key_in(page)
        assert (await phone.ask("GET", f"/console/set?key={key}"))[0] == 200
        listed = (await phone.ask("GET", USERS))[1]
        assert key not in listed
        (invitation,) = re.findall(r"/invitations/([0-9a-f]{16})/revoke", listed)
        assert (await phone.ask("POST", f"/console/administration/invitations/{invitation}/revoke"))[0] == 303
        assert (await phone.ask("GET", f"/console/set?key={key}"))[1]["reason"] == "unauthorised"
        assert "/revoke" not in (await phone.ask("GET", USERS))[1]
    assert kinds(tmp_path)[-1:] == ["invitation_revoked"]
    (actor,) = {
        row["actor"]
        for row in core_at(tmp_path).store.db.execute(
            "SELECT actor FROM log WHERE kind = 'invitation_revoked'"
        )
    }
    assert actor.startswith("user:")


@pytest.mark.parametrize(
    ("change", "reason", "field"),
    [
        ({"login": "Oda Example"}, "out_of_range", "login"),
        ({"login": "administrator"}, "login_taken", "login"),
        ({"name": ""}, "out_of_range", "name"),
        ({"name": "a\u202eb"}, "bad_text", "name"),
        ({"role": "king"}, "out_of_range", "role"),
        ({"role": "case_manager"}, "out_of_range", "zone"),
        ({"language": "xx"}, "out_of_range", "language"),
    ],
)
async def test_what_cannot_be_a_user_is_said_and_what_was_typed_is_kept(
    tmp_path: Path, change: dict[str, str], reason: str, field: str
) -> None:
    """By its field; nobody is added."""
    async with centre(tmp_path, HAND) as (serving, phone):
        await enter(serving, phone)
        status, problem = await phone.ask("POST", USERS, data=NEW | change)
        assert (problem["reason"], problem["field"]) == (reason, field)
        again, page = await phone.ask("POST", USERS, data=NEW | change, headers=HTML)
        assert again == status
        assert 'role="alert"' in page
        if field != "name":
            assert 'value="Oda Example"' in page
    assert [user.login for user in accounts.users(core_at(tmp_path))] == ["administrator"]


async def test_a_reset_puts_the_finder_of_the_phone_out_at_once(tmp_path: Path) -> None:
    """Sessions, password and second factor end; the new address is good; an earlier one is not."""
    async with centre(tmp_path, HAND) as (serving, phone):
        pem = serving.authority.pem.decode()
        async with phone_of(serving.url, pem) as theirs:
            await enter(serving, theirs, access.OPERATOR)
            earlier = accounts.invite(core_at(tmp_path), "operator", "set", access.SET_MS)
            await enter(serving, phone)
            _, page = await phone.ask("POST", f"{USERS}/operator/reset")
            assert (await theirs.ask("GET", "/console"))[0] == 401
            assert (await theirs.ask("GET", f"/console/set?key={earlier}"))[0] == 401
            assert (await theirs.ask("GET", f"/console/set?key={key_in(page)}"))[0] == 200
    user = core_at(tmp_path).store.one("user_of_login", login="operator")
    assert user is not None
    assert (user["password_sealed"], user["totp_sealed"]) == (None, None)


async def test_a_session_is_listed_with_where_it_came_from_and_can_be_ended(tmp_path: Path) -> None:
    """One, or all of a user; nothing on the page lets anybody in."""
    async with centre(tmp_path, HAND) as (serving, phone):
        pem = serving.authority.pem.decode()
        async with phone_of(serving.url, pem) as one, phone_of(serving.url, pem) as two:
            await enter(serving, phone)
            await enter(serving, one, access.OPERATOR)
            listed = (await phone.ask("GET", USERS))[1]
            assert "127.0.0.1 · Firefox · Linux" in listed
            (session,) = re.findall(r"/sessions/([0-9a-f]{16})/end", listed)
            assert "this one" in listed
            assert (await phone.ask("POST", f"/console/administration/sessions/{session}/end"))[0] == 303
            assert (await one.ask("GET", "/console"))[0] == 401
            await enter(serving, one, access.OPERATOR)
            await enter(serving, two, access.OPERATOR)
            assert (await phone.ask("GET", USERS))[1].count("/operator/sign-out") == 1
            assert (await phone.ask("POST", f"{USERS}/operator/sign-out"))[0] == 303
            assert [(await client.ask("GET", "/console"))[0] for client in (one, two)] == [401, 401]
            assert (await phone.ask("GET", USERS))[0] == 200
    assert kinds(tmp_path).count("sessions_ended") == 2


async def test_an_administrator_is_not_shut_out_by_an_own_mistake(tmp_path: Path) -> None:
    """Not disabled, not given another role, by the own hand; of another it works."""
    async with centre(tmp_path, HAND) as (serving, phone):
        await enter(serving, phone)
        assert (await phone.ask("POST", f"{USERS}/administrator/disable"))[1]["reason"] == "own_user"
        change = {"name": "Ada", "role": "operator", "language": "en"}
        assert (await phone.ask("POST", f"{USERS}/administrator", data=change))[1]["reason"] == "own_user"
        assert (await phone.ask("POST", USERS, data=NEW))[0] == 200
        change = {"name": "Oda", "role": "case_manager", "zone": "5340", "language": "fr"}
        assert (await phone.ask("POST", f"{USERS}/oda", data=change))[0] == 303
        assert (await phone.ask("POST", f"{USERS}/oda/disable"))[0] == 303
        assert (await phone.ask("POST", f"{USERS}/oda/enable"))[0] == 303
        for act in ("invite", "reset"):
            assert (await phone.ask("POST", f"{USERS}/nobody/{act}"))[1]["reason"] == "unknown_user"
        assert (await phone.ask("POST", f"{USERS}/nobody", data=change))[1]["reason"] == "unknown_user"
    oda = next(user for user in accounts.users(core_at(tmp_path)) if user.login == "oda")
    assert (oda.name, oda.role, oda.zone, oda.disabled_at_ms) == ("Oda", "case_manager", "5340", None)


async def test_the_log_is_read_with_filters_and_names_no_case(tmp_path: Path) -> None:
    """By day, login, kind; a bad one is said in the page; what was read is noted."""
    async with centre(tmp_path, HAND) as (serving, phone):
        await enter(serving, phone)
        page = (await phone.ask("GET", "/console/administration/log", params={"kind": "button_imported"}))[1]
        assert "Button imported" in page
        assert page.count("<tr>") == 2
        assert (await phone.ask("GET", "/console/administration/log?from=2026-99-01"))[0] == 400
        assert (await phone.ask("GET", "/console/administration/log?before=-1"))[1]["field"] == "before"
        bad = await phone.ask("GET", "/console/administration/log?until=soon", headers=HTML)
        assert bad[0] == 400
        assert 'aria-invalid="true"' in bad[1]
        evil = "<script>alert(1)</script>"
        for name in ("by", "kind", "incident", "case", "from"):
            assert evil not in (await phone.ask("GET", "/console/administration/log", params={name: evil}))[1]
    assert "log_read" in kinds(tmp_path)


async def test_what_stderr_is_told_stands_on_the_page(tmp_path: Path) -> None:
    """The same list: told through the running centre's log, it is on the page until it is over."""
    lines = Lines()
    async with centre(tmp_path, HAND, log=lines) as (serving, phone):
        await enter(serving, phone)
        page = (await phone.ask("GET", "/console/administration"))[1]
        told = {line["reason"] for line in lines.of("trouble") if not line.get("over")}
        shown = (await phone.ask("GET", "/console/administration/waiting"))[1]["troubles"]
        assert set(shown) == told
        assert page.count('class="notice warn"') == len(told)
        assert "free of" in page


@pytest.mark.slow
async def test_the_log_is_verified_by_a_click_in_a_process_of_its_own(tmp_path: Path) -> None:
    """As it was written: said with the time. Changed by one byte: a trouble, loud."""
    async with centre(tmp_path, HAND) as (serving, phone):
        await enter(serving, phone)

        async def check() -> str:
            assert (await phone.ask("POST", "/console/administration/log-check"))[0] == 303
            while (await phone.ask("GET", "/console/administration/waiting"))[1]["checking"]:
                pass
            return str((await phone.ask("GET", "/console/administration"))[1])

        assert "as it was written" in await check()
        core = core_at(tmp_path)
        core.store.db.execute("DROP TRIGGER log_is_only_erased")
        core.store.db.execute("UPDATE log SET actor = 'centre' WHERE kind = 'button_imported'")
        core.store.close()
        page = await check()
        assert "THE EVENT LOG WAS CHANGED" in page
        assert "FINDINGS" in page
    (entry, *_) = [row for row in core_at(tmp_path).store.all("log_of_kind", kind="log_checked")]
    assert event_log.told(core_at(tmp_path), entry).facts == {"findings": 0}


def began_days_ago(home: Path, days: float) -> None:
    """A centre whose log began so long ago."""
    core = core_at(home, lambda: now_ms() - days * 86_400_000)
    accounts.add_user(core, "ada", "Ada", access.ADMINISTRATOR, None, "en")
    core.store.close()


async def test_a_trouble_is_told_once_and_is_over_when_it_is_mended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No backup for nine days: on the page and on stderr; after a real backup on neither."""
    lines, home = Lines(), tmp_path / "home"
    began_days_ago(home, 9)
    async with centre(home, HAND, log=lines) as (serving, phone):
        await enter(serving, phone)

        async def shown() -> list[str]:
            await phone.ask("GET", "/console/administration")
            troubles: list[str] = (await phone.ask("GET", "/console/administration/waiting"))[1]["troubles"]
            return troubles

        def told() -> list[bool]:
            late = [line for line in lines.of("trouble") if line["reason"] == "backup_late"]
            return [bool(line.get("over")) for line in late]

        assert "backup_late" in await shown()
        assert "backup_late" in await shown()
        assert told() == [False]
        assert main(["backup", "--home", str(home), str(tmp_path / "copy")]) == 0
        assert "backup_late" not in await shown()
        assert told() == [False, True]
        capsys.readouterr()


@pytest.mark.slow
async def test_the_log_is_verified_by_itself_when_a_day_is_over(tmp_path: Path) -> None:
    """A centre that began two days ago, at its start; what was found is an entry of its own."""
    began_days_ago(tmp_path, 2)
    async with centre(tmp_path, HAND) as (serving, phone):
        await enter(serving, phone)
        while "as it was written" not in (await phone.ask("GET", "/console/administration"))[1]:
            pass
    (entry,) = core_at(tmp_path).store.all("log_of_kind", kind="log_checked")
    assert entry["actor"] == "centre"
