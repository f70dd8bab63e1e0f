"""What somebody without eyes goes by: headings in order, everything in a landmark, on every page."""

import asyncio
import itertools
from pathlib import Path

import pytest

from centre.commands import main
from centre.rules import access
from tests.browser.chromium import Tab, new_tab
from tests.browser.desk import hand_out, walk
from tests.unit.centre.parts import FIX, Hand, centre

HAND = Hand()
SEEN = "(e) => e.checkVisibility() && e.getClientRects().length > 0"
LEVELS = (
    f"[...document.querySelectorAll('h1, h2, h3, h4, h5')].filter({SEEN}).map((e) => Number(e.tagName[1]))"
)
# Elements with words of their own that stand in no landmark; the way to the contents is one by its nature.
LOST = (
    f"[...document.body.querySelectorAll('*')].filter({SEEN})"
    ".filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()))"
    ".filter((e) => !e.closest('header, nav, main, footer, aside, dialog, .skip, section[aria-label],"
    " [role=region], [role=alert], [role=status]')).map((e) => e.outerHTML.slice(0, 80))"
)


async def is_in_order(page: Tab, where: str) -> None:
    """From one h1 on, no level is left out."""
    levels = await page.value(LEVELS)
    assert levels.count(1) == 1, where
    assert levels[0] == 1, where
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels)), (where, levels)
    assert await page.value(LOST) == [], where


@pytest.mark.slow
async def test_headings_are_in_order_and_all_is_in_a_landmark(tmp_path: Path, browser: str) -> None:
    """Of every role, of a refusal, of what is exported."""
    home = tmp_path / "home"
    async with centre(home, HAND) as (serving, phone), new_tab(browser) as page:
        case_id = hand_out(serving.home, HAND.device_id)
        await phone.enrol(HAND)
        _, answer = await phone.post(HAND.alarm(1, fix=FIX))
        incident = answer["incident"]
        await phone.ask("POST", f"/v1/incidents/{incident}/fixes", json={"fixes": walk(1_790_000_000_000, 3)})
        at = "/console/cases"
        paths = {
            access.OPERATOR: ("/console", f"/console/incidents/{incident}", "/console/account", at),
            access.CASE_MANAGER: (
                at,
                f"{at}/new",
                f"{at}/{case_id}",
                f"{at}/{case_id}/edit",
                "/console/report",
            ),
            access.ADMINISTRATOR: ("/console/administration",),
            access.INSTITUTE: ("/console/figures",),
        }
        await page.open(f"{serving.url}/nowhere")
        await is_in_order(page, "a refusal")
        for role, where in paths.items():
            zone = {"zone": "5340"} if role == access.CASE_MANAGER else {}
            await page.open(serving.entrance(role, **zone))
            for path in where:
                await page.open(f"{serving.url}{path}")
                await is_in_order(page, path)
        to = tmp_path / "out"
        assert await asyncio.to_thread(main, ["export", case_id, "--to", str(to), "--home", str(home)]) == 0
        await page.open((to / f"incident-{incident}.html").as_uri())
        await is_in_order(page, "what is exported")
