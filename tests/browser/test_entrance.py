"""The entrance in a real browser: from an invitation to a working day, keyboard only."""

import re
from pathlib import Path

import pyotp

from centre.rules import access
from centre.work import accounts
from tests.browser.chromium import PICTURES, Tab, new_tab
from tests.integration.idp import Idp, provided_by
from tests.unit.centre.parts import Serving, centre, core_at

PASSWORD = "vier woorden zonder rijm"  # noqa: S105


def code(serving: Serving, secret: str, ahead: int) -> str:
    core = core_at(serving.home)
    try:
        return pyotp.TOTP(secret).generate_otp(core.now_ms() // 30_000 + ahead)
    finally:
        core.store.close()


def invitation(serving: Serving) -> str:
    core = core_at(serving.home)
    try:
        accounts.add_user(core, "lotte", "Lotte Voorbeeld", access.OPERATOR, None, "nl")
        return f"{serving.url}/console/set?key={accounts.invite(core, 'lotte', 'set', access.SET_MS)}"
    finally:
        core.store.close()


async def pictures(page: Tab, name: str) -> None:
    """At a desk and on a phone; nothing of it is wider than the screen."""
    for width, height, where in ((390, 844, "phone"), (1280, 900, "desk")):
        await page.size(width, height)
        assert await page.value("document.documentElement.scrollWidth <= innerWidth"), (name, where)
        await page.picture(PICTURES / f"entrance-{name}-{where}.png", whole=True)


async def tab_to(page: Tab, wanted: str) -> None:
    """With the Tab key alone, to what matches the selector."""
    for _ in range(40):
        if await page.value(f"document.activeElement.matches({wanted!r})"):
            return
        await page.key("Tab")
    raise AssertionError(f"Tab never comes to {wanted}")


async def fill(page: Tab, form: dict[str, str]) -> None:
    """By keyboard, and Enter at the end."""
    for field, text in form.items():
        await tab_to(page, f"#{field}")
        await page.write(text)
    await page.key("Enter")


SIGN_OUT = """fetch('/console/sign-out', {
  method: 'POST', headers: {'X-CSRF-Token': document.body.dataset.csrf}
}).then(() => true)"""


async def test_from_an_invitation_to_signing_in_again_by_keyboard(tmp_path: Path, browser: str) -> None:
    """Password, second factor, out, a wrong try that says so, and in."""
    async with centre(tmp_path / "home") as (serving, _), new_tab(browser) as page:
        await page.size(1280, 900)
        await page.open(invitation(serving))
        assert await page.value("document.activeElement.id") == "password"
        assert await page.value("document.querySelector('.qr').naturalWidth > 0"), "the picture is there"
        secret = re.sub(r"\s", "", await page.value("document.querySelector('details .id').textContent"))
        await pictures(page, "set")
        await fill(page, {"password": PASSWORD, "again": PASSWORD, "code": "000000"})
        await page.until("document.querySelector('[role=alert]') !== null")
        await pictures(page, "set-mistake")
        used = code(serving, secret, 0)
        await fill(page, {"password": PASSWORD, "again": PASSWORD, "code": used})
        await page.until("location.pathname === '/console' && document.readyState === 'complete'")

        await page.value(SIGN_OUT)
        await page.open(f"{serving.url}/console")
        assert await page.value("location.pathname") == "/console/sign-in"
        await page.open(f"{serving.url}/console/sign-in?language=nl")
        await pictures(page, "sign-in")
        await fill(page, {"login": "lotte", "password": PASSWORD, "code": used})
        await page.until("document.querySelector('[role=alert]') !== null")
        assert await page.value("document.querySelector('#login').value") == "lotte"
        await pictures(page, "sign-in-mistake")
        await fill(page, {"password": PASSWORD, "code": code(serving, secret, 1)})
        await page.until("location.pathname === '/console'")


async def test_in_through_the_provider_and_to_the_board(tmp_path: Path, browser: str) -> None:
    """From another site (localhost) back to ours, with a strict session cookie: the user is in at once."""
    idp = Idp()
    async with provided_by(idp, tmp_path) as (serving, _, _lines), new_tab(browser) as page:
        elsewhere = idp.url.replace("127.0.0.1", "localhost")
        idp.metadata = {"authorization_endpoint": f"{elsewhere}/realm/authorize"}
        await page.open(f"{serving.url}/console/sign-in?language=en")
        await page.until("!!document.querySelector('a[href^=\"/console/oidc\"]')")
        await pictures(page, "provided")
        await tab_to(page, 'a[href^="/console/oidc"]')
        await page.key("Enter")
        await page.until("location.pathname == '/console'")
        assert idp.last["client_id"] == "amr"
        await page.open(f"{serving.url}/console/sign-in?language=en")
        await page.until("!!document.querySelector('a[href^=\"/console/oidc\"]')")
        idp.subject = "nobody-here"
        await tab_to(page, 'a[href^="/console/oidc"]')
        await page.key("Enter")
        await page.until("!!document.querySelector('[role=alert]')")
        await pictures(page, "provided-refused")
