"""What the tests of the operator's page have in hand: a button handed out, a walk."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from centre.rules import access, times
from centre.rules.cases import Address, CaseFile, Child, Person, SafeContact, Stalker
from centre.rules.grants import FIRST, LAST
from centre.work import assignments, cases, grants
from sim.realtime.people import EXAMPLE
from tests.browser.chromium import Tab, new_tab
from tests.unit.centre.parts import FIX, Hand, Phone, core_at, signed_in
from wire import codes

HAND = Hand()


def hand_out(home: Path, device_id: str, file: CaseFile = EXAMPLE, photo: bytes = b"") -> str:
    """The button serves a new case; its case_id."""
    core = core_at(home)
    try:
        known = core.store.one("user_of_login", login="case-manager")
        manager = (
            access.Caller(known["user_id"], known["name"], access.CASE_MANAGER, "5340", "en", "")
            if known
            else signed_in(core, access.CASE_MANAGER, zone="5340")
        )
        case_id = cases.open_case(core, manager, file)
        grants.record(core, manager, case_id, "PR 1", FIRST, LAST, LAST)
        assignments.hand_out(core, manager, case_id, device_id)
        if photo:
            core.store.db.execute(
                "INSERT INTO photos VALUES (?, 'stalker', 'image/png', ?)",
                (case_id, core.sealer.seal(f"photo:{case_id}:stalker", photo)),
            )
        return case_id
    finally:
        core.store.close()


def hostile(text: str) -> CaseFile:
    """The invented case with `text` in every field that takes any."""
    return CaseFile(
        text,
        "extreme",
        Person(text, text, text, text, text, text),
        Stalker(text, text, text, text, text, text, text),
        text,
        text,
        (Address(text, text, text, text),),
        (Child(text, text, text),),
        SafeContact(text, text, text),
    )


def walk(now_ms: int, count: int = 24, every_ms: int = 10_000) -> list[dict[str, object]]:
    """Positions of somebody who walks, the last one taken now; two of them doubtful."""
    fixes: list[dict[str, object]] = []
    for n in range(count):
        at_ms = now_ms - (count - 1 - n) * every_ms
        lat, lon = 50.8466 + n * 0.00022, 4.3528 + (n % 9) * 0.00012 + n * 0.00012
        more: dict[str, object] = {}
        if n == count // 2:
            lat, lon, more = lat + 0.004, lon + 0.005, {"marks": ["jump"]}
        if n == count // 3:
            more = {"marks": ["stale"], "method": "CELL", "radius_m": 400}
            lat -= 0.001
        at = {"taken_at": times.write(at_ms), "source": "gpsd"}
        fixes.append(FIX | {"lat": lat, "lon": lon, "radius_m": 12 + n % 5} | at | more)
    return fixes


@contextlib.asynccontextmanager
async def opened(browser: str, url: str, width: int = 1280, height: int = 900) -> AsyncIterator[Tab]:
    """The page, live."""
    async with new_tab(browser) as page:
        await page.size(width, height)
        await page.call("Page.navigate", url=url)
        await page.until("document.getElementById('live')?.textContent.startsWith('● ')")
        yield page


async def press(by: Phone, counter: int, event: int = codes.ALARM, **more: object) -> str:
    _, answer = await by.post(HAND.alarm(counter, event, **more))
    return str(answer["incident"])


async def armed(page: Tab, button: str) -> None:
    """A button that has just appeared takes no press."""
    await page.until(f"performance.now() - shown_ms.get('{button}') > ARM_MS")


async def focus(page: Tab) -> str:
    return str(await page.value("document.activeElement.id"))


async def stage(by: Phone, counter: int) -> int:
    """As the button is told."""
    _, answer = await by.post(HAND.alarm(counter))
    assert HAND.believes(answer["receipt"]["stage"], counter, answer["receipt"]["proof"])
    return int(answer["receipt"]["stage"])
