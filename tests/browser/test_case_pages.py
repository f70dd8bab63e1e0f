"""The case manager's and the administrator's pages in a real browser, by keyboard alone."""

import time
from pathlib import Path

from centre.rules import access, times
from centre.rules.cases import to_form
from centre.work import accounts, buttons
from sim.realtime.people import EXAMPLE
from tests.browser.chromium import PICTURES, Tab, new_tab, new_tabs
from tests.unit.centre.parts import Hand, Phone, centre, core_at
from wire import codes

HAND = Hand()


async def write(page: Tab, name: str, text: str) -> None:
    await page.value(f"document.getElementById({name!r}).focus()")
    await page.value(f"document.getElementById({name!r}).select?.()")
    await page.write(text)


async def press(page: Tab, selector: str) -> None:
    """Enter on it, as a keyboard does."""
    await page.value(f"document.querySelector({selector!r}).focus()")
    await page.key("Enter")


async def lives(phone: Phone, code: str) -> None:
    """It is enrolled by the code of the sheet, tested, and heard."""
    status, told = await phone.ask(
        "POST", "/v1/enrolments", json={"code": code, "pin": "2718", "duress_pin": "3141"}
    )
    assert status == 201
    phone.headers = {"Authorization": f"Bearer {told['token']}"}
    await phone.post(HAND.alarm(1, codes.TEST))
    heard = {
        "device_id": HAND.device_id,
        "heard_at": times.write(int(time.time() * 1000)),
        "battery_mv": 3950,
    }
    sign = {"buttons": [heard], "phone": {"battery_percent": 80}}
    assert (await phone.ask("POST", "/v1/alive", json=sign))[0] == 200


async def picture(page: Tab, name: str, *, guide: bool = False) -> None:
    """At a desk and on a phone; nothing is cut off there. `guide`: it is the one in docs/."""
    await page.size(1280, 900)
    if guide:
        await page.guide_picture(name, whole=True)
    else:
        await page.picture(PICTURES / f"{name}.png", whole=True)
    await page.size(390, 900)
    assert await page.value("document.documentElement.scrollWidth") == 390, "nothing is cut on a phone"
    await page.picture(PICTURES / f"{name}-phone.png", whole=True)
    await page.size(1280, 900)


async def test_a_case_from_its_opening_to_the_button_taken_back(tmp_path: Path, browser: str) -> None:
    """Opened, granted, a button handed out, its code printed, taken back: keys alone."""
    today = times.day(int(time.time() * 1000))
    async with centre(tmp_path / "home", HAND) as (serving, phone), new_tab(browser) as page:
        await page.size(1280, 900)
        await page.open(serving.entrance(access.CASE_MANAGER, zone="5340"))
        await page.until("location.pathname === '/console/cases'")
        await press(page, "a.button")
        await page.until("Boolean(document.getElementById('person.name'))")
        for name, value in to_form(EXAMPLE).items():
            if not name.endswith("born_on") and name != "danger":
                await write(page, name, value)
        await picture(page, "case-form")
        await press(page, "main form .acts button")
        await page.until("/Ann Example/.test(document.querySelector('h1')?.innerText)")
        case_at = await page.value("location.pathname")

        await write(page, "reference", "PR 2026/77")
        for name, day in (("starts_on", today), ("review_on", today), ("ends_on", "2199-01-01")):
            await page.value(f"document.getElementById({name!r}).value = {day!r}")
        await press(page, "form[action$='/grants'] button")
        await page.until("/Review due/.test(document.getElementById('grants')?.innerText)")

        await write(page, "device_id", HAND.device_id.lower())
        await page.key("Enter")
        await page.until("Boolean(document.querySelector(\"form[action$='/enrolment']\"))")
        await picture(page, "case-handed-out")

        await press(page, "form[action$='/enrolment'] button")
        await page.until("Boolean(document.querySelector('svg.qr'))")
        title = await page.value("document.title")
        assert title == "Getting started"
        sheet = await page.value("document.querySelector('.sheet').innerText")
        assert not any(word in sheet.lower() for word in ("alarm", "emergency", "police", "button", "stalk"))
        await picture(page, "case-enrolment")

        code = await page.value("document.querySelector('.sheet .id').innerText.replaceAll(' ', '')")
        await lives(phone, code)
        await page.open(serving.url + case_at)
        await page.until("/A loss is found after/.test(document.getElementById('buttons')?.innerText)")
        await picture(page, "case-manager", guide=True)
        await page.value("document.querySelector(\"form[action*='/phones/']\").parentElement.open = true")
        await press(page, "form[action*='/phones/'] button")
        await page.until("Boolean(document.querySelector('svg.qr'))")
        assert "cut off since" in await page.value("document.querySelector('[role=alert]').innerText")
        await picture(page, "case-phone-lost")
        await press(page, "main .heading a")
        await page.until("/Phone lost or stolen/.test(document.getElementById('history')?.innerText)")
        await picture(page, "case-history")
        await page.value(
            "[...document.querySelectorAll('#buttons summary')]"
            ".find((one) => /Take the button back/.test(one.innerText)).parentElement.open = true"
        )
        await press(page, "form[action$='/take-back'] button")
        await page.until("/Buttons taken back/.test(document.getElementById('buttons')?.innerText)")
        await page.open(serving.url + "/console/cases")
        await picture(page, "cases")
        await page.open(serving.url + "/console/report")
        await picture(page, "case-report")
        assert page.complaints == []


async def test_an_administrator_hands_a_revoked_buttons_alarm_over(tmp_path: Path, browser: str) -> None:
    """It comes by itself, is in the title, and one Enter makes it the operators'."""
    async with centre(tmp_path / "home", HAND) as (serving, phone), new_tab(browser) as page:
        await phone.enrol(HAND)
        core = core_at(tmp_path / "home")
        buttons.revoke_button(core, HAND.device_id)
        core.store.close()
        await page.size(1280, 900)
        await page.open(serving.entrance(access.ADMINISTRATOR))
        await page.until("/^Administration/.test(document.title)")
        await phone.post(HAND.alarm(1))
        await page.until("/1 × ALARM/.test(document.title)")
        await picture(page, "administrator", guide=True)
        await press(page, "form[action$='/hand-over'] button")
        await page.until("/^Administration/.test(document.title)")
        assert page.complaints == []


async def test_what_was_typed_outlasts_the_session(tmp_path: Path, browser: str) -> None:
    """Save says that it is over, and nothing is lost; signed in anew in another tab, it is saved."""
    home = tmp_path / "home"
    async with centre(home, HAND) as (serving, _), new_tabs(browser, 2) as (page, other):
        who = {"login": "manager", "zone": "5340"}
        await page.open(serving.entrance(access.CASE_MANAGER, **who))
        await page.open(f"{serving.url}/console/cases/new")
        await write(page, "number", "BX-27")
        await write(page, "person.name", "Ann Example")
        await write(page, "do_first", "Twenty minutes of typing.")
        core = core_at(home)
        accounts.disable(core, "manager")
        await press(page, "form.fields .acts button")
        await page.until("!document.getElementById('kept-over').hidden")
        accounts.enable(core, "manager")
        await other.open(serving.entrance(access.CASE_MANAGER, **who))
        assert await page.value("document.getElementById('do_first').value") == "Twenty minutes of typing."
        assert await page.value("sessionStorage.length + localStorage.length") == 0
        await press(page, "form.fields .acts button")
        await page.until(
            "/Twenty minutes of typing/.test(document.body.innerText) && !/new$/.test(location.pathname)"
        )
        assert page.complaints == [] or "401" in str(page.complaints)
