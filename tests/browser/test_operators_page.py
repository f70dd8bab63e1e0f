"""The operator's page in a real browser: seen, heard of at once, and taken by keyboard."""

import asyncio
import base64
import contextlib
import itertools
import json
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from centre import times
from tests.unit.centre.parts import FIX, Hand, Phone, centre
from wire import codes, receipts

HAND = Hand()
CHROMIUM = shutil.which("chromium")
PICTURES = Path(__file__).parents[2] / "build"
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--ignore-certificate-errors", "--remote-debugging-port=0"),
)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium")


class Page:
    """One tab, over the DevTools protocol."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._ids = socket, itertools.count(1)
        self.complaints: list[Any] = []

    async def call(self, method: str, **parameters: Any) -> Any:
        number = next(self._ids)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            said = await self._socket.receive_json(timeout=20)
            if said.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.complaints.append(said["params"])
            if said.get("id") == number:
                assert "error" not in said, said
                return said["result"]

    async def value(self, expression: str) -> Any:
        return (await self.call("Runtime.evaluate", expression=expression, awaitPromise=True))["result"].get(
            "value"
        )

    async def until(self, expression: str) -> None:
        async with asyncio.timeout(10):
            while not await self.value(expression):  # noqa: ASYNC110 -- a page has no events for us
                await asyncio.sleep(0.03)

    async def size(self, width: int, height: int) -> None:
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    async def key(self, key: str, text: str = "") -> None:
        code = {"Enter": 13, "Tab": 9, "ArrowDown": 40}[key]
        same = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        await self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **same)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **same)

    async def write(self, text: str) -> None:
        await self.call("Input.insertText", text=text)

    async def picture(self, name: str) -> None:
        shot = await self.call("Page.captureScreenshot", captureBeyondViewport=True)
        PICTURES.mkdir(exist_ok=True)
        (PICTURES / name).write_bytes(base64.b64decode(shot["data"]))


@contextlib.asynccontextmanager
async def browser(profile: Path) -> AsyncIterator[Page]:
    assert CHROMIUM is not None
    process = await asyncio.create_subprocess_exec(
        CHROMIUM, *FLAGS, f"--user-data-dir={profile}", stdout=-3, stderr=-3
    )
    try:
        port_file = profile / "DevToolsActivePort"
        async with asyncio.timeout(20):
            while not (port_file.exists() and (lines := port_file.read_text().split())):  # noqa: ASYNC110 -- nor has a file
                await asyncio.sleep(0.03)
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{lines[0]}/json/list") as response:
                tabs = [tab for tab in await response.json() if tab["type"] == "page"]
            async with session.ws_connect(tabs[0]["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                page = Page(socket)
                for domain in ("Page", "Runtime", "Log"):
                    await page.call(f"{domain}.enable")
                yield page
    finally:
        process.terminate()
        await process.wait()
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
        await page.picture("centre-alarm.png")

        await asyncio.sleep(0.9)  # a button that has just appeared takes no press
        await page.key("Enter", "\r")
        await page.until("document.title === 'No alarm'")
        _, answer = await phone.post(HAND.alarm(2))
        assert answer["receipt"]["stage"] == receipts.ACKNOWLEDGED
        assert HAND.believes(receipts.ACKNOWLEDGED, 2, answer["receipt"]["proof"])
        await page.picture("centre-acknowledged.png")
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
        await page.picture("centre-phone.png")
        assert await page.value(f"document.activeElement.id === 'take-{newer}'")
        await page.key("Enter", "\r")  # too early: the button has just appeared
        await asyncio.sleep(0.9)
        await page.key("Enter", "\r")
        await page.until("/1 ALARM NOT TAKEN/.test(document.title)")
        await page.key("Enter", "\r")
        await asyncio.sleep(0.2)
        assert await page.value(f"Boolean(document.getElementById('take-{older}'))")


async def opened(page: Page, console_url: str) -> None:
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
        await page.key("Enter", "\r")
        await page.until(f"Boolean(document.getElementById('note-{incident}'))")

        await page.value(f"document.getElementById('note-{incident}').focus()")
        await page.write("two on ")
        fix = FIX | {"taken_at": "2026-11-23T10:00:10Z", "lat": 50.8471}
        await phone.ask("POST", f"/v1/incidents/{incident}/fixes", json={"fixes": [fix]})
        await page.until("/50.84710/.test(document.body.innerText)")
        await page.write("foot")
        assert await page.value("document.activeElement.value") == "two on foot"
        await page.until(f"performance.now() - shown_ms.get('dispatch-{incident}') > ARM_MS")
        await page.key("Enter", "\r")
        await page.until("/Dispatched: two on foot/.test(document.body.innerText)")
        assert await page.value(f"document.getElementById('dispatch-{incident}')") is None

        await page.value(f"document.getElementById('close-{incident}').focus()")
        await page.key("Enter", "\r")  # no reason yet: the browser says so, and nothing happens
        _, answer = await phone.post(HAND.alarm(1))
        assert answer["receipt"]["stage"] == receipts.DISPATCHED
        await page.value(f"document.getElementById('why-{incident}').focus()")
        await page.key("ArrowDown")
        await page.value(f"document.getElementById('close-{incident}').focus()")
        await page.key("Enter", "\r")
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
        await page.key("Enter", "\r")
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
        await page.picture("operator.png")
        await page.size(390, 900)
        assert await page.value("document.documentElement.scrollWidth") == 390, "nothing is cut on a phone"
        await page.picture("operator-phone.png")
        await page.size(1280, 900)

        await page.value(f"document.getElementById('take-{forced}').focus()")
        await asyncio.sleep(0.9)
        await page.key("Enter", "\r")
        await page.until("/1 ALARM NOT TAKEN/.test(document.title)")
        assert "DURESS: she is in danger" in await page.value(
            f"document.getElementById('i-{forced}').innerText"
        )
        await page.picture("centre-taken.png")
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
        await page.picture("centre-lost.png")
    assert json.dumps(page.complaints).count("exception") == 0
