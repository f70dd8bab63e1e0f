"""The frame around all roles' pages in a real browser, by keyboard alone."""

from pathlib import Path

from centre.rules import access
from tests.browser.chromium import Tab, new_tab
from tests.unit.centre.parts import centre

PICTURES = Path(__file__).parents[2] / "build"


async def tab_to(page: Tab, wanted: str) -> None:
    """With the Tab key alone, to what matches the selector."""
    for _ in range(40):
        if await page.value(f"document.activeElement.matches({wanted!r})"):
            return
        await page.key("Tab")
    raise AssertionError(f"Tab never comes to {wanted}")


async def fits(page: Tab, name: str) -> None:
    """At a desk and on a phone nothing is wider than the screen."""
    for width, height, where in ((390, 844, "phone"), (1280, 900, "desk")):
        await page.size(width, height)
        assert await page.value("document.documentElement.scrollWidth <= innerWidth"), (name, where)
        await page.picture(PICTURES / f"{name}-{where}.png", whole=True)


async def test_the_frame_fits_every_role(tmp_path: Path, browser: str) -> None:
    """The user's name leads to the user's own page; pages, language and the way out are in reach of Tab."""
    async with centre(tmp_path / "home") as (serving, _), new_tab(browser) as page:
        for role in access.ROLES:
            zone = {"zone": "5340"} if role == access.CASE_MANAGER else {}
            name = {"name": "Lotte Van Den Voorbeeld-Verzonnen", "language": "de"}
            await page.open(serving.entrance(role, **name, **zone))
            home = await page.value("location.pathname")
            await tab_to(page, "a[href='/console/account']")
            await page.key("Enter")
            await page.until("location.pathname === '/console/account' && document.readyState === 'complete'")
            await fits(page, f"frame-{role}")
            await tab_to(page, f"nav a[href='{home}']")
            await page.key("Enter")
            await page.until(f"location.pathname === '{home}'")
        assert page.complaints == []
