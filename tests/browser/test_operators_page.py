"""The operator's page in a real browser: seen, heard of at once, and taken by keyboard."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from centre.rules import times
from tests.browser.chromium import CHROMIUM, Tab, chromium, new_tab
from tests.unit.centre.parts import FIX, Hand, Phone, centre
from wire import codes, receipts

HAND = Hand()
PICTURES = Path(__file__).parents[2] / "build"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium")


@contextlib.asynccontextmanager
async def browser(profile: Path) -> AsyncIterator[Tab]:
    """A browser of a test's own, with one tab."""
    with chromium(profile) as address:
        async with new_tab(address) as tab:
            yield tab
        await asyncio.sleep(0.1)  # the server's ends of its connections hear of it


async def press(by: Phone, counter: int, event: int = codes.ALARM, **more: object) -> str:
    _, answer = await by.post(HAND.alarm(counter, event, **more))
    return str(answer["incident"])


async def test_an_operator_sees_a_press_and_takes_it_by_keyboard(tmp_path: Path) -> None:
    """No alarm; a press arrives; the title says so; Enter takes it; a silent test disturbs nobody."""
    async with centre(tmp_path / "home", HAND) as (serving, phone), browser(tmp_path / "profile") as page:
        await phone.enrol(HAND)
        await page.size(1280, 900)
        await page.call("Page.navigate", url=serving.console_url)
        await page.until("document.getElementById('live')?.textContent === '● Live'")
        assert await page.value("location.pathname + location.search") == "/console"
        assert await page.value("document.title") == "No alarm"
        assert "amr-console" not in await page.value("document.cookie")

        await press(phone, 1, event=codes.TEST)
        await page.until("/Last silent tests: TEST/.test(document.body.innerText)")
        assert await page.value("document.title") == "No alarm"

        incident = await press(phone, 2, fix=FIX, phone={"battery_percent": 64, "model": "<img src=x>"})
        await page.until("/1 ALARM NOT TAKEN/.test(document.title)")
        await page.until("/<img src=x>/.test(document.body.innerText)")
        assert await page.value(f"document.activeElement.id === 'take-{incident}'")
        assert await page.value("parseFloat(getComputedStyle(document.querySelector('h3')).fontSize)") >= 80
        await page.picture(PICTURES / "centre-alarm.png", whole=True)

        await asyncio.sleep(0.9)  # a button that has just appeared takes no press
        await page.key("Enter")
        await page.until("document.title === 'No alarm'")
        _, answer = await phone.post(HAND.alarm(2))
        assert answer["receipt"]["stage"] == receipts.ACKNOWLEDGED
        assert HAND.believes(receipts.ACKNOWLEDGED, 2, answer["receipt"]["proof"])
        await page.picture(PICTURES / "centre-acknowledged.png", whole=True)
        assert page.complaints == []


async def test_a_second_enter_takes_no_second_alarm(tmp_path: Path) -> None:
    """The hand that has just taken one alarm does not take another that it has not read."""
    async with centre(tmp_path / "home", HAND) as (serving, phone), browser(tmp_path / "profile") as page:
        await phone.enrol(HAND)
        older, newer = await press(phone, 1), await press(phone, 2, fix=FIX, age_s=None)
        await page.size(390, 1700)
        await page.call("Page.navigate", url=serving.console_url)
        await page.until("/2 ALARMS NOT TAKEN/.test(document.title)")
        assert await page.value("document.documentElement.scrollWidth") == 390, "nothing is cut on a phone"
        await page.picture(PICTURES / "centre-phone.png", whole=True)
        assert await page.value(f"document.activeElement.id === 'take-{newer}'")
        await page.key("Enter")  # too early: the button has just appeared
        await asyncio.sleep(0.9)
        await page.key("Enter")
        await page.until("/1 ALARM NOT TAKEN/.test(document.title)")
        await page.key("Enter")
        await asyncio.sleep(0.2)
        assert await page.value(f"Boolean(document.getElementById('take-{older}'))")


async def opened(page: Tab, console_url: str) -> None:
    await page.call("Page.navigate", url=console_url)
    await page.until("document.getElementById('live')?.textContent === '● Live'")


async def test_help_is_sent_and_the_alarm_closed_by_keyboard(tmp_path: Path) -> None:
    """The note survives positions that come while it is typed; a closing needs its reason."""
    async with centre(tmp_path / "home", HAND) as (serving, phone), browser(tmp_path / "profile") as page:
        await phone.enrol(HAND)
        await page.size(1280, 900)
        await opened(page, serving.console_url)
        incident = await press(phone, 1, fix=FIX)
        await page.until(f"Boolean(document.getElementById('take-{incident}'))")
        await asyncio.sleep(0.9)  # a button that has just appeared takes no press
        await page.key("Enter")
        await page.until(f"Boolean(document.getElementById('note-{incident}'))")

        await page.value(f"document.getElementById('note-{incident}').focus()")
        await page.write("two on ")
        fix = FIX | {"taken_at": "2026-11-23T10:00:10Z", "lat": 50.8471}
        await phone.ask("POST", f"/v1/incidents/{incident}/fixes", json={"fixes": [fix]})
        await page.until("/50.84710/.test(document.body.innerText)")
        await page.write("foot")
        assert await page.value("document.activeElement.value") == "two on foot"
        await page.until(f"performance.now() - shown_ms.get('dispatch-{incident}') > ARM_MS")
        await page.key("Enter")
        await page.until("/Dispatched: two on foot/.test(document.body.innerText)")
        assert await page.value(f"document.getElementById('dispatch-{incident}')") is None

        await page.value(f"document.getElementById('close-{incident}').focus()")
        await page.key("Enter")  # no reason yet: the browser says so, and nothing happens
        _, answer = await phone.post(HAND.alarm(1))
        assert answer["receipt"]["stage"] == receipts.DISPATCHED
        await page.value(f"document.getElementById('why-{incident}').focus()")
        await page.key("ArrowDown")
        await page.value(f"document.getElementById('close-{incident}').focus()")
        await page.key("Enter")
        await page.until("/Closed/.test(document.querySelector('.closed')?.innerText)")
        assert await page.value("document.querySelector('.taken')") is None
        _, answer = await phone.post(HAND.alarm(1))
        assert HAND.believes(receipts.CLOSED, 1, answer["receipt"]["proof"])
        assert page.complaints == []


async def test_duress_is_on_top_until_it_is_seen(tmp_path: Path) -> None:
    """In the title, above a plain alarm, on a phone's screen too; a call-off with the PIN is told as such."""
    async with centre(tmp_path / "home", HAND) as (serving, phone), browser(tmp_path / "profile") as page:
        await phone.enrol(HAND, pin="271828", duress_pin="3141")
        await page.size(1280, 900)
        await opened(page, serving.console_url)
        old_ms = time.time() * 1000 - 720_000
        old = FIX | {"taken_at": times.write(int(old_ms)), "source": "gpsd", "marks": ["stale"]}
        now = FIX | {"taken_at": times.write(int(time.time() * 1000)), "source": "gpsd", "lat": 50.8502}
        followed = await press(phone, 1, fix=old, phone={"battery_percent": 41, "model": "Pixel 8"})
        await page.until("/1 ALARM NOT TAKEN/.test(document.title)")
        await asyncio.sleep(0.9)
        await page.key("Enter")
        await page.until("document.title === 'No alarm'")
        await phone.call_off(HAND, 1, "271828")
        await page.until("/Called off by the wearer/.test(document.body.innerText)")
        assert await page.value("document.title") == "No alarm"

        forced = await press(phone, 2, fix=now, phone={"battery_percent": 40, "model": "Pixel 8"})
        await phone.call_off(HAND, 2, "3141")
        await page.until("/DURESS · 1 NOT SEEN/.test(document.title)")
        newer = await press(phone, 3, fix=now)
        await page.until("/DURESS · 2 NOT SEEN/.test(document.title)")
        order = "[...document.querySelectorAll('article')].map((one) => one.id).join()"
        assert await page.value(order) == f"i-{forced},i-{newer},i-{followed}"
        await page.value("scrollTo(0, 0)")
        await page.picture(PICTURES / "operator.png", whole=True)
        await page.size(390, 900)
        assert await page.value("document.documentElement.scrollWidth") == 390, "nothing is cut on a phone"
        await page.picture(PICTURES / "operator-phone.png", whole=True)
        await page.size(1280, 900)

        await page.value(f"document.getElementById('take-{forced}').focus()")
        await asyncio.sleep(0.9)
        await page.key("Enter")
        await page.until("/1 ALARM NOT TAKEN/.test(document.title)")
        assert "DURESS: she is in danger" in await page.value(
            f"document.getElementById('i-{forced}').innerText"
        )
        await page.picture(PICTURES / "centre-taken.png", whole=True)
        assert page.complaints == []


async def test_a_page_that_lost_the_centre_says_so(tmp_path: Path) -> None:
    """An operator never trusts a page that stands still."""
    async with browser(tmp_path / "profile") as page:
        async with centre(tmp_path / "home", HAND) as (serving, _):
            await page.size(1280, 500)
            await page.call("Page.navigate", url=serving.console_url)
            await page.until("document.getElementById('live')?.textContent === '● Live'")
        await page.value("heard_ms -= 15000; tick()")
        assert "NOT LIVE" in await page.value("document.getElementById('lost').innerText")
        assert "NOT LIVE" in await page.value("document.title")
        await page.picture(PICTURES / "centre-lost.png", whole=True)
    assert json.dumps(page.complaints).count("exception") == 0
