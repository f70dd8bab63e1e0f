"""The administrator's pages in a real browser, by keyboard alone: users, sessions, the log, what is wrong."""

from pathlib import Path

import pytest

from centre.rules import access
from tests.browser.chromium import PICTURES, Tab, new_tab
from tests.unit.centre.parts import Hand, centre

HAND = Hand()
OVERVIEW, USERS, LOG = (f"/console/administration{page}" for page in ("", "/users", "/log"))


async def press(page: Tab, selector: str) -> None:
    """Enter on it, as a keyboard does."""
    await page.value(f"document.querySelector({selector!r}).focus()")
    await page.key("Enter")


async def picture(page: Tab, name: str) -> None:
    """At a desk and on a phone; nothing is cut off there."""
    await page.size(1280, 900)
    await page.picture(PICTURES / f"{name}.png", whole=True)
    await page.size(390, 900)
    assert await page.value("document.documentElement.scrollWidth") == 390, "nothing is cut on a phone"
    await page.picture(PICTURES / f"{name}-phone.png", whole=True)
    await page.size(1280, 900)


async def test_a_user_is_added_changed_and_put_out_by_keyboard(tmp_path: Path, browser: str) -> None:
    """The address is shown once; the log tells of each act under the administrator's name."""
    async with centre(tmp_path / "home", HAND) as (serving, _), new_tab(browser) as page:
        await page.size(1280, 900)
        await page.open(serving.entrance(access.ADMINISTRATOR, name="Ada Example"))
        await page.until(f"location.pathname === {OVERVIEW!r}")
        await press(page, f"nav a[href={USERS!r}]")
        await page.until("Boolean(document.getElementById('new-login'))")
        for name, text in (("login", "oda"), ("name", "Oda Example")):
            await page.value(f"document.getElementById('new-{name}').focus()")
            await page.write(text)
        await page.key("Enter")
        await page.until("/set.key=/.test(document.getElementById('address')?.value)")
        await picture(page, "user-invited")
        await press(page, "main .button")
        await page.until("Boolean(document.getElementById('user-oda'))")
        assert await page.value("document.querySelectorAll('#invitations form').length") == 1
        await press(page, "#user-oda summary")
        await page.until("document.querySelector('#user-oda details').open")
        await picture(page, "users")
        await press(page, "#user-oda form[action$='/disable'] button")
        await page.until("/disabled/.test(document.getElementById('user-oda')?.innerText)")
        await press(page, f"nav a[href={LOG!r}]")
        await page.until("/User disabled/.test(document.querySelector('tbody')?.innerText)")
        assert "Ada Example" in await page.value("document.querySelector('tbody tr').innerText")
        await picture(page, "event-log")
        await press(page, f"nav a[href={OVERVIEW!r}]")
        await page.until("Boolean(document.getElementById('condition'))")
        await picture(page, "administration")
        assert page.complaints == []


@pytest.mark.parametrize("language", access.LANGUAGES)
async def test_the_pages_speak_each_language(tmp_path: Path, browser: str, language: str) -> None:
    """No key of the code, no English word left over on the overview."""
    async with centre(tmp_path / "home", HAND) as (serving, _), new_tab(browser) as page:
        await page.open(serving.entrance(access.ADMINISTRATOR, name="Ada", language=language))
        for path in (OVERVIEW, USERS, LOG):
            await page.open(serving.url + path)
            text = await page.value("document.querySelector('main').innerText")
            assert "{" not in text.replace('{"', "")
            assert await page.value("document.documentElement.lang") == language
        assert page.complaints == []
