"""An operator's shift over HTTPS: handed over, searched; a sheet for a patrol; a zone's standing order."""

from pathlib import Path
from urllib.parse import urlencode

from centre.rules import access
from centre.work import running_log
from tests.browser.desk import hand_out
from tests.integration.parts import act, alarm, enter
from tests.unit.centre.parts import Hand, centre, core_at

HAND = Hand()
PHONE = "+32 000"


async def test_a_shift_goes_to_a_colleague_by_a_plain_form(tmp_path: Path) -> None:
    """All that is open and mine; nobody who does not work here."""
    async with centre(tmp_path, HAND) as (serving, phone):
        await phone.enrol(HAND)
        await enter(phone, serving.entrance(login="bo", name="Bo Fictie"))
        await enter(phone, serving.console_url)
        first, second = await alarm(phone), await alarm(phone, 2)
        for incident in (first, second):
            await act(phone, incident, "acknowledge")
        page = (await phone.ask("GET", "/console/shift"))[1]
        assert "You have 2 open alarm(s)." in page
        core = core_at(tmp_path)
        bo = next(one.user_id for one in running_log.colleagues(core) if one.name == "Bo Fictie")
        core.store.close()
        headers = {"Origin": phone.url}
        status, _ = await phone.ask("POST", "/console/shift", headers=headers, data={"to": "NOBODY22"})
        assert status == 404
        assert (await phone.ask("POST", "/console/shift", headers=headers, data={"to": bo}))[0] == 303
        assert "2 alarm(s) handed over." in (await phone.ask("GET", "/console/shift?handed=2"))[1]
        page = (await phone.ask("GET", "/console/shift?reason=real"))[1]
        assert "You have 0 open alarm(s)." in page
        assert "No alarm fits." in page
        assert first in (await phone.ask("GET", f"/console/shift?find={HAND.device_id}"))[1]
        for query in ("from=yesterday", "reason=bored", "after=~", "from=2999-01-01"):
            assert (await phone.ask("GET", f"/console/shift?{query}"))[0] == 400, query


async def test_a_patrol_gets_what_it_needs_and_nothing_else(tmp_path: Path) -> None:
    """Where, who, danger, what to do first; no telephone number, no child, no operator's remark."""
    async with centre(tmp_path, HAND, undo_close_s=0) as (serving, phone):
        await phone.enrol(HAND)
        hand_out(tmp_path, HAND.device_id)
        await enter(phone, serving.console_url)
        incident = await alarm(phone)
        await act(phone, incident, "remark", {"remark": "Ask the mother first."})
        sheet = (await phone.ask("GET", f"/console/incidents/{incident}/sheet"))[1]
        page = (await phone.ask("GET", f"/console/incidents/{incident}/patrol"))[1]
        for words in ("50.84660, 4.35280", "very high", "hunting knife", "1-EXA-001"):
            assert words in page
            assert words in sheet
        for words in ("Lou Example", "☎", "Ask the mother", "<form", "<script"):
            assert words not in page
        await act(phone, incident, "close", {"reason": "real"})
        page = (await phone.ask("GET", f"/console/incidents/{incident}/patrol"))[1]
        assert "hunting knife" not in page
        assert "No case is open" in page
        assert (await phone.ask("GET", "/console/incidents/none/patrol"))[0] == 404


async def test_a_case_manager_writes_the_order_and_operators_tick_it_off(tmp_path: Path) -> None:
    """Where somebody else has changed it, nothing is overwritten, and both are shown."""
    async with centre(tmp_path, HAND) as (serving, phone):
        await phone.enrol(HAND)
        hand_out(tmp_path, HAND.device_id)
        await enter_as(phone, serving.entrance(access.CASE_MANAGER, login="case-manager"))
        headers = {"Origin": phone.url, "Accept": "text/html"}
        form = {"steps": "Send two patrols\r\nRing <the> school", "changed_at_ms": "0"}
        assert (await phone.ask("POST", "/console/standing-order", headers=headers, data=form))[0] == 303
        status, page = await phone.ask(
            "POST", "/console/standing-order", headers=headers, data=form | {"steps": "Nothing"}
        )
        assert status == 409
        assert "Ring &lt;the&gt; school" in page
        assert "Nothing</textarea>" in page
        long = form | {"steps": "\n".join(f"step {n}" for n in range(31))}
        status, page = await phone.ask("POST", "/console/standing-order", headers=headers, data=long)
        assert (status, "step 30</textarea>" in page) == (422, True)

        await enter(phone, serving.console_url)
        incident = await alarm(phone)
        await act(phone, incident, "acknowledge")
        sheet = (await phone.ask("GET", f"/console/incidents/{incident}/sheet"))[1]
        assert "Ring &lt;the&gt; school" in sheet
        for taken_now in (True, False):
            _, answer = await act(phone, incident, "tick", {"step": "Ring <the> school"})
            assert answer["taken_now"] is taken_now
        sheet = " ".join((await phone.ask("GET", f"/console/incidents/{incident}/sheet"))[1].split())
        assert "did: Ring &lt;the&gt; school" in sheet


async def test_an_administrator_writes_the_order_of_any_zone_that_has_a_name(tmp_path: Path) -> None:
    """Letters of every script are taken, and lead back to the zone's page; what is no name is refused."""
    async with centre(tmp_path, HAND) as (serving, phone):
        await enter_as(phone, serving.entrance(access.ADMINISTRATOR, login="administrator"))
        form = {"steps": "Send two patrols", "changed_at_ms": "0"}
        headers = {"Origin": phone.url, "Accept": "text/html"}
        at = "/console/standing-order"
        for zone, wanted in {"Đặng 5/3": 303, "a\r\nSet-Cookie: a": 422, "a\x07b": 422, "=1+1": 422}.items():
            status, _ = await phone.ask("POST", at, headers=headers, data=form | {"zone": zone})
            assert status == wanted, zone
        _, page = await phone.ask("GET", f"{at}?{urlencode({'zone': 'Đặng 5/3'})}")
        assert "Send two patrols" in page


async def enter_as(phone: object, url: str) -> None:
    """Sign in where the first page is not the operator's."""
    async with phone.session.get(url) as response:  # type: ignore[attr-defined]
        assert response.status == 200
