"""Every page of the console by axe: as it is, in forced colours, zoomed, on a phone; and by keys alone."""

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pyotp
import pytest

from centre.rules import access
from centre.rules.incidents import CloseReason
from centre.work import accounts, board, closings, running_log, standing_orders
from tests.browser.chromium import Tab, new_tab
from tests.browser.desk import hand_out
from tests.unit.centre.parts import FIX, Hand, centre, core_at, signed_in
from wire import codes, receipts

HANDS = [Hand(n) for n in range(1, 7)]
IS_LIVE = "document.getElementById('live')?.textContent.startsWith('● ')"
PASSWORD = "nine violet kettles"  # noqa: S105
SIZES = {"desk": (1280, 800), "zoomed": (640, 400), "phone": (390, 844)}


def axe_script() -> str:
    found = importlib.util.find_spec("axe_core_python")
    assert found is not None, "pip install -e '.[dev]'"
    assert found.origin is not None
    return (Path(found.origin).parent / "axe.min.js").read_text("utf-8")


async def violations(page: Tab) -> list[str]:
    """As axe finds them on what is shown now; nothing moves while it looks."""
    found: Any = await page.value("axe.run(document).then((found) => JSON.stringify(found.violations))")
    return [
        f"{one['id']}: {node['html'][:160]} {node['any'][:1]}"
        for one in json.loads(found)
        for node in one["nodes"]
    ]


async def check(page: Tab, name: str) -> list[str]:
    """On each size, and in forced colours."""
    if not await page.value("typeof axe === 'object'"):
        await page.value(axe_script() + "; true")
    found = []
    for kind, size in SIZES.items():
        await page.size(*size)
        found += [f"{name}, {kind}: {one}" for one in await violations(page)]
        wide = await page.value("document.documentElement.scrollWidth > innerWidth")
        found += [f"{name}, {kind}: wider than the screen"] if wide else []
    await page.size(*SIZES["desk"])
    await page.call("Emulation.setEmulatedMedia", features=[{"name": "forced-colors", "value": "active"}])
    found += [f"{name}, forced colours: {one}" for one in await violations(page)]
    await page.call("Emulation.setEmulatedMedia", features=[])
    return found


async def test_the_operators_pages_have_no_violation(tmp_path: Path, browser: str) -> None:
    """Calm, three groups with duress and a call-off, a sheet before and after it is taken, all open ones."""
    async with centre(tmp_path, *HANDS) as (serving, phone), new_tab(browser) as page:
        await page.open(serving.console_url)
        await page.until(IS_LIVE)
        found = await check(page, "calm board")
        incidents = []
        for n, hand in enumerate(HANDS):
            await phone.enrol(hand, pin="271828", duress_pin="3141")
            if n:
                hand_out(tmp_path, hand.device_id)
            _, answer = await phone.post(hand.alarm(1, fix=FIX if n % 2 else None))
            incidents.append(answer["incident"])
        await phone.call_off(HANDS[5], 1, "3141")
        await page.until("document.querySelectorAll('.untaken article').length === 6")
        await page.until("/DURESS/.test(document.title)")
        found += await check(page, "board of six")
        await page.value(f"open_sheet('{incidents[1]}')")
        await page.until("Boolean(document.querySelector('.first'))")
        found += await check(page, "sheet that waits")
        await page.until(f"performance.now() - shown_ms.get('sheet-take-{incidents[1]}') > ARM_MS")
        await page.click(f"#sheet-take-{incidents[1]}")
        await page.until("Boolean(document.querySelector('.mine'))")
        found += await check(page, "sheet that is taken")
        await page.open(f"{serving.url}/console/open")
        found += await check(page, "all open alarms")
        assert found == [], "\n".join(found)


async def test_a_running_alarm_and_a_shift_have_no_violation(tmp_path: Path, browser: str) -> None:
    """Patrols, a standing order, remarks, a closing that waits; a closed sheet; search; a patrol's sheet."""
    async with centre(tmp_path, HANDS[0], undo_close_s=60) as (serving, phone), new_tab(browser) as page:
        await phone.enrol(HANDS[0])
        hand_out(tmp_path, HANDS[0].device_id)
        core = core_at(tmp_path)
        operator, bo = signed_in(core, login="ann", name="Ann"), signed_in(core, login="bo", name="Bo")
        standing_orders.write(core, operator, "5340", "Send two patrols\nRing the school", 0)
        _, first = await phone.post(HANDS[0].alarm(1, fix=FIX))
        board.advance(core, bo, first["incident"], receipts.CLOSED, reason=CloseReason.MIS_PRESS)
        _, second = await phone.post(HANDS[0].alarm(2, fix=FIX))
        for name in ("Zone 12", "Dog unit"):
            running_log.send_patrol(core, operator, second["incident"], name)
        running_log.remark(core, bo, second["incident"], "The neighbour rang.")
        standing_orders.tick(core, bo, second["incident"], "Ring the school")
        closings.close(core, operator, second["incident"], CloseReason.REAL, undo_ms=600_000)
        core.store.close()
        await page.open(serving.entrance(login="cy", name="Cy"))
        await page.until(IS_LIVE)
        found = []
        for name, incident in (("running sheet", second), ("closed sheet", first)):
            await page.value(f"open_sheet('{incident['incident']}')")
            await page.until(
                f"document.querySelector('.sheet')?.dataset.incident === '{incident['incident']}'"
            )
            found += await check(page, name)
        for path in ("/console/shift", f"/console/incidents/{second['incident']}/patrol"):
            await page.open(serving.url + path)
            found += await check(page, path)
        assert found == [], "\n".join(found)


@pytest.mark.parametrize("role", [role for role in access.ROLES if role != access.OPERATOR])
async def test_the_other_roles_pages_have_no_violation(tmp_path: Path, browser: str, role: str) -> None:
    """Each page that the bar leads to, the account, one refusal; a case, its form and its export."""
    zone = {"zone": "5340"} if role == access.CASE_MANAGER else {}
    async with centre(tmp_path, HANDS[0]) as (serving, phone), new_tab(browser) as page:
        await phone.enrol(HANDS[0])
        case_id = hand_out(tmp_path, HANDS[0].device_id)
        await phone.post(HANDS[0].alarm(1, codes.ALARM, fix=FIX))
        await page.open(serving.entrance(role, **zone))
        paths = await page.value("[...document.querySelectorAll('nav a')].map((link) => link.pathname)")
        paths += ["/console/account", "/console/nowhere"]
        if role == access.CASE_MANAGER:
            paths += [f"/console/cases/{case_id}", f"/console/cases/{case_id}/edit", "/console/cases/new"]
        found = []
        for path in paths:
            await page.open(serving.url + path)
            await page.value("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
            found += await check(page, path)
        assert found == [], "\n".join(found)


async def test_what_a_lost_phone_and_a_new_user_are_answered_with_has_no_violation(
    tmp_path: Path, browser: str
) -> None:
    """The pages that come of an act: a label with what a thief can do, a lost button, an invitation."""
    async with centre(tmp_path, HANDS[0]) as (serving, phone), new_tab(browser) as page:
        await phone.enrol(HANDS[0])
        case_at = f"{serving.url}/console/cases/{hand_out(tmp_path, HANDS[0].device_id)}"
        await page.open(serving.entrance(access.CASE_MANAGER, zone="5340"))
        found = []
        for form, name in (
            ("form[action*='/phones/']", "lost phone"),
            ("form[action$='/lost']", "lost button"),
        ):
            await page.open(case_at)
            one = f"[...document.querySelectorAll({form!r})].at(-1)"
            await page.value(f"{one}.requestSubmit()")
            await page.until("Boolean(document.querySelector('.card ul.said'))")
            found += await check(page, name)
        await page.open(serving.entrance(access.ADMINISTRATOR))
        await page.open(f"{serving.url}/console/administration/users")
        await page.value("document.querySelector(\"form[action$='/invite']\").requestSubmit()")
        await page.until("Boolean(document.getElementById('address'))")
        found += await check(page, "invitation")
        assert found == [], "\n".join(found)


async def test_from_signing_in_to_acknowledged_by_keyboard_alone(tmp_path: Path, browser: str) -> None:
    """Name, password, code, Enter; the alarm that waits has the focus; Enter."""
    async with centre(tmp_path, HANDS[0]) as (serving, phone), new_tab(browser) as page:
        await phone.enrol(HANDS[0])
        _, answer = await phone.post(HANDS[0].alarm(1, fix=FIX))
        core = core_at(tmp_path)
        accounts.add_user(core, "ann", "Ann Fictie", access.OPERATOR, None, "en")
        await page.open(f"{serving.url}/console/set?key={accounts.invite(core, 'ann', 'set', access.SET_MS)}")
        secret = re.sub(r"\s", "", await page.value("document.querySelector('details .id').textContent"))
        step = core.now_ms() // 30_000
        totp = pyotp.TOTP(secret)
        await filled(page, password=PASSWORD, again=PASSWORD, code=totp.generate_otp(int(step)))
        await page.until(IS_LIVE)
        await page.call("Network.clearBrowserCookies")
        await page.open(f"{serving.url}/console")
        assert await page.value("location.pathname") == "/console/sign-in"
        await filled(page, login="ann", password=PASSWORD, code=totp.generate_otp(int(step) + 1))
        await page.until(f"{IS_LIVE} && document.activeElement.id === 'take-{answer['incident']}'")
        await page.until(f"performance.now() - shown_ms.get('take-{answer['incident']}') > ARM_MS")
        await page.key("Enter")
        await page.until("/Ann Fictie has it/.test(document.body.innerText)")
        _, answer = await phone.post(HANDS[0].alarm(1))
        assert answer["receipt"]["stage"] == receipts.ACKNOWLEDGED


async def filled(page: Tab, **fields: str) -> None:
    """With Tab from field to field, and Enter at the end."""
    for field, text in fields.items():
        for _ in range(40):
            if await page.value(f"document.activeElement.id === '{field}'"):
                break
            await page.key("Tab")
        assert await page.value("document.activeElement.id") == field
        await page.write(text)
    await page.key("Enter")
