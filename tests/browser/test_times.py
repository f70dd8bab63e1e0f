"""One clock: whatever the browser's own zone, pages tell an alarm's time by the centre's, and name it."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from centre.platform import time_zone
from centre.rules import access, times
from tests.browser.chromium import new_tab
from tests.browser.desk import hand_out, walk
from tests.unit.centre.parts import Hand, centre

HAND = Hand()


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("TZ", "UTC")
    time_zone.use("America/St_Johns")  # half an hour off any other
    yield "America/St_Johns"
    monkeypatch.undo()
    time.tzset()
    time_zone.own_name.cache_clear()


async def test_all_pages_tell_times_by_the_centres_zone(tmp_path: Path, browser: str, zone: str) -> None:
    """Board, sheet and map, the case, the report, the administrator's: one zone, named on each."""
    async with centre(tmp_path, HAND) as (serving, phone), new_tab(browser) as page:
        await page.call("Emulation.setTimezoneOverride", timezoneId="Asia/Tokyo")
        case_id = hand_out(serving.home, HAND.device_id)
        await phone.enrol(HAND)
        now_ms = int(time.time() * 1000)
        _, answer = await phone.post(HAND.alarm(1))
        path = f"/v1/incidents/{answer['incident']}/fixes"
        await phone.ask("POST", path, json={"fixes": walk(now_ms, 3)})

        await page.call("Page.navigate", url=serving.console_url)
        await page.until("document.getElementById('live')?.textContent.startsWith('● ')")
        await page.open(f"{serving.url}/console/incidents/{answer['incident']}")
        at = f"new Date({now_ms}).toLocaleString('sv', {{timeZone: '{zone}'}}).slice(11, 15)"
        await page.until(f"document.querySelector('#sheet .stages').innerText.includes({at})")
        await page.until(f"document.getElementById('clock').textContent.includes({at}.slice(0, 2))")
        await page.until("document.querySelector('.head-text')")
        shown = str(await page.value("document.querySelector('.head-text').textContent"))
        assert shown[:5] in {times.minute(at_ms)[11:] for at_ms in (now_ms, now_ms - 60_000)}
        assert zone in await page.value("document.querySelector('.zone').textContent")

        pages = {
            access.CASE_MANAGER: (f"/console/cases/{case_id}", "/console/cases", "/console/report"),
            access.ADMINISTRATOR: ("/console/administration", "/console/account"),
            access.INSTITUTE: ("/console/figures",),
        }
        for role, paths in pages.items():
            await page.open(
                serving.entrance(role, **({"zone": "5340"} if role == access.CASE_MANAGER else {}))
            )
            for path in paths:
                await page.open(f"{serving.url}{path}")
                assert zone in await page.value("document.querySelector('.zone').textContent"), path
                if path.startswith("/console/cases/"):
                    assert times.minute(now_ms)[:15] in await page.value("document.body.innerText")
