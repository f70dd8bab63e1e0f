"""The board in a real browser: what is in view, what is live, and whether an act can be done."""

import contextlib
import re
import resource
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from centre.work import accounts
from sim.realtime.people import EXAMPLE
from tests.browser.chromium import PICTURES, Tab, new_tab, new_tabs
from tests.browser.desk import hand_out
from tests.integration.parts import imported, served
from tests.unit.centre.parts import FIX, Hand, Phone, centre, core_at
from wire import receipts

HAND = Hand()
HANDS = [Hand(n) for n in (1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12)]
PHONE, ZOOMED = (390, 844), (640, 400)  # 640x400 is what 1280x800 has left at 200 %
IS_LIVE = "document.getElementById('live')?.textContent.startsWith('● ')"


@contextlib.asynccontextmanager
async def opened(browser: str, url: str, width: int = 1280, height: int = 800) -> AsyncIterator[Tab]:
    """The board, live."""
    async with new_tab(browser) as page:
        await page.size(width, height)
        await page.open(url)
        await page.until(IS_LIVE)
        yield page


async def press_all(phone: Phone, hands: list[Hand], counter: int = 1) -> list[str]:
    incidents = []
    for hand in hands:
        await phone.enrol(hand, pin="271828", duress_pin="3141")
        _, answer = await phone.post(hand.alarm(counter, fix=FIX))
        incidents.append(str(answer["incident"]))
    return incidents


def in_view(selector: str) -> str:
    """JavaScript: whether every such element is whole on the screen, below the bar."""
    return f"""[...document.querySelectorAll({selector!r})].every((one) => {{
      const at = one.getBoundingClientRect(), bar = document.getElementById('strip').getBoundingClientRect();
      return at.top >= bar.bottom - 1 && at.bottom <= innerHeight + 1;
    }})"""


async def test_six_waiting_alarms_and_their_buttons_are_in_view(tmp_path: Path, browser: str) -> None:
    """One is a poster; from the third on they are compact, duress too; the count stays."""
    async with centre(tmp_path, *HANDS) as (serving, phone):
        for n, hand in enumerate(HANDS[:6]):
            await phone.enrol(hand, pin="271828", duress_pin="3141")
            weapons = "rifle" if n % 2 else ""
            hand_out(
                tmp_path, hand.device_id, replace(EXAMPLE, stalker=replace(EXAMPLE.stalker, weapons=weapons))
            )
            await phone.post(hand.alarm(1, fix=FIX))
            if n in (2, 3):
                await phone.call_off(hand, 1, "3141" if n == 2 else "271828")
        async with opened(browser, serving.console_url) as page:
            await page.until("document.querySelectorAll('.untaken article').length === 6")
            assert await page.value(in_view(".untaken h3, .untaken .acknowledge button"))
            assert await page.value("document.getElementById('news').hidden"), "nothing is out of view"
            assert await page.value("document.getElementById('untaken').innerText") == "6 waiting"
            assert "weapons" in await page.value("document.querySelector('.untaken').innerText")
            first = "document.querySelector('.untaken h3').textContent.replace(/\\s+/g, ' ')"
            assert "DURESS: the protected person is in danger" in await page.value(first)
            await page.picture(PICTURES / "board-6.png")
            assert page.complaints == []


@pytest.mark.parametrize("size", [PHONE, ZOOMED])
async def test_what_comes_while_one_reads_is_named_in_the_bar(
    tmp_path: Path, browser: str, size: tuple[int, int]
) -> None:
    """A sheet is in view, an alarm under duress comes: the bar says so, and leads there; read aloud once."""
    async with centre(tmp_path, *HANDS) as (serving, phone):
        (incident,) = await press_all(phone, [HAND])
        hand_out(tmp_path, HAND.device_id)
        async with opened(browser, serving.console_url, *size) as page:
            await page.value(f"open_sheet('{incident}')")
            await page.until("Boolean(document.querySelector('.sheet #who'))")
            await page.until(in_view(".sheet #who"))
            (forced,) = await press_all(phone, [HANDS[1]])
            await page.until("document.getElementById('said').textContent === 'ALARM. 2 waiting.'")
            await phone.call_off(HANDS[1], 1, "3141")
            await page.until("/^▲▲ DURESS/.test(document.getElementById('news').innerText)")
            assert await page.value(f"!({in_view(f'#take-{forced}')})")
            await page.key("n")
            await page.until(f"document.activeElement.id === 'take-{forced}'")
            await page.until(in_view(f"#take-{forced}"))
            assert await page.value("document.documentElement.scrollWidth <= innerWidth")
            assert page.complaints == []


@pytest.mark.parametrize("size", [PHONE, ZOOMED, (1280, 800)])
async def test_a_sheet_opens_at_its_top_and_its_acts_are_in_view(
    tmp_path: Path, browser: str, size: tuple[int, int]
) -> None:
    """By a key and by its address; whatever the length of what is to be done first."""
    async with centre(tmp_path, HAND) as (serving, phone):
        await phone.enrol(HAND)
        hand_out(tmp_path, HAND.device_id, replace(EXAMPLE, do_first="Two patrols to her. " * 48))
        _, answer = await phone.post(HAND.alarm(1, fix=FIX))
        incident = answer["incident"]
        async with opened(browser, serving.console_url, *size) as page:
            top = in_view(".sheet .state, .sheet #who")
            acts = in_view("#sheet .acknowledge button, .sheet > .acts")
            await page.until(f"document.activeElement.id === 'take-{incident}'")
            await page.key("o")
            await page.until(f"Boolean(document.querySelector('#sheet .acknowledge')) && {top}")
            assert await page.value(acts)
            await page.open(f"{serving.url}/console/incidents/{incident}")
            await page.until(f"{IS_LIVE} && {top} && {acts}")
            await page.until(f"performance.now() - shown_ms.get('sheet-take-{incident}') > ARM_MS")
            await page.click(f"#sheet-take-{incident}")
            await page.until(f"Boolean(document.querySelector('.acts')) && {acts}")
            assert page.complaints == []


async def test_mine_and_others_are_told_apart(tmp_path: Path, browser: str) -> None:
    """In groups and in counts, for each who looks."""
    async with centre(tmp_path, *HANDS) as (serving, phone):
        incidents = await press_all(phone, HANDS[:3])
        ann, bo = (serving.entrance(login=name, name=f"{name.title()} Fictie") for name in ("ann", "bo"))
        async with opened(browser, ann) as first, opened(browser, bo) as second:
            for page, incident in ((first, incidents[0]), (second, incidents[1])):
                await page.until(f"performance.now() - shown_ms.get('take-{incident}') > ARM_MS")
                await page.click(f"#take-{incident}")
                await page.until("/1 mine/.test(document.getElementById('mine').innerText)")
            for page, mine, other in (
                (first, incidents[0], incidents[1]),
                (second, incidents[1], incidents[0]),
            ):
                await page.until("/1 others’/.test(document.getElementById('others').innerText)")
                assert await page.value(f"document.getElementById('i-{mine}').closest('section').id") == "own"
                assert (
                    await page.value(f"document.getElementById('i-{other}').closest('section').id") == "taken"
                )
                assert await page.value("document.getElementById('untaken').innerText") == "1 waiting"
                await page.until("/Ann Fictie.*Bo Fictie/.test(document.getElementById('desks').textContent)")


async def test_six_tabs_of_one_browser_are_live_and_can_act(tmp_path: Path, browser: str) -> None:
    """They share one stream; when the tab that has it is closed, another takes it on."""
    async with centre(tmp_path, *HANDS) as (serving, phone), new_tabs(browser, 7) as tabs:
        await press_all(phone, HANDS[:2])
        await tabs[0].open(serving.console_url)
        for tab in tabs[1:]:
            await tab.open(f"{serving.url}/console")
        for tab in tabs:
            await tab.until(f"{IS_LIVE} && document.querySelectorAll('.untaken article').length === 2")
        having = [tab for tab in tabs if await tab.value("source !== null")]
        assert len(having) == 1
        others = [tab for tab in tabs if tab not in having]
        await others[0].call("Page.bringToFront")
        await others[0].until(
            "performance.now() - shown_ms.get(document.querySelector('.untaken button').id) > ARM_MS"
        )
        await others[0].click(".untaken button")
        for tab in tabs:
            await tab.until("document.querySelectorAll('.untaken article').length === 1")
        await having[0].call("Page.navigate", url="about:blank")
        await press_all(phone, [HANDS[2]])
        for tab in others:
            await tab.until("document.querySelectorAll('.untaken article').length === 2")
            assert tab.complaints == []


async def test_signed_out_the_page_keeps_what_was_typed_and_goes_on(tmp_path: Path, browser: str) -> None:
    """The session ends in the middle of a note: said with its cause; after a new sign-in it is sent."""
    async with centre(tmp_path, HAND) as (serving, phone), new_tabs(browser, 2) as (page, other):
        (incident,) = await press_all(phone, [HAND])
        await page.open(serving.entrance(login="ann", name="Ann Fictie"))
        await page.until(f"{IS_LIVE} && performance.now() - shown_ms.get('take-{incident}') > ARM_MS")
        await page.click(f"#take-{incident}")
        await page.until(f"performance.now() - shown_ms.get('dispatch-{incident}') > ARM_MS")
        await page.value(f"document.getElementById('note-{incident}').focus()")
        await page.write("two on foot")
        core = core_at(serving.home)
        accounts.disable(core, "ann")
        await page.value(f"document.getElementById('dispatch-{incident}').click()")
        await page.until("/NOT taken.*signed out/.test(document.getElementById('notice').innerText)")
        await page.until("/SIGNED OUT/.test(document.title)")
        assert await page.value("document.querySelector('#signed-out a').target") == "_blank"
        accounts.enable(core, "ann")
        await other.open(serving.entrance(login="ann"))
        await page.call("Page.bringToFront")
        await page.until(f"{IS_LIVE} && document.getElementById('signed-out').hidden")
        assert await page.value(f"document.getElementById('note-{incident}').value") == "two on foot"
        await page.value(f"document.getElementById('dispatch-{incident}').click()")
        await page.until("/two on foot/.test(document.querySelector('.history').innerText)")
        _, answer = await phone.post(HAND.alarm(1))
        assert answer["receipt"]["stage"] == receipts.DISPATCHED


async def test_an_act_that_the_store_refuses_says_why(tmp_path: Path, browser: str) -> None:
    """The disk takes nothing: in words, the button can be pressed again, and later it is done."""
    async with served(tmp_path / "home") as (process, phone):
        imported(tmp_path / "home", HAND)
        (incident,) = await press_all(phone, [HAND])
        async with opened(browser, process.console_url) as page:
            await page.until(f"performance.now() - shown_ms.get('take-{incident}') > ARM_MS")
            _, hard = resource.prlimit(process.process.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(process.process.pid, resource.RLIMIT_FSIZE, (0, hard))
            await page.click(f"#take-{incident}")
            await page.until(
                "/NOT taken.*cannot write to its disk/.test(document.getElementById('notice').innerText)"
            )
            assert not await page.value(f"document.getElementById('take-{incident}').disabled")
            resource.prlimit(process.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
            await page.click(f"#take-{incident}")
            await page.until(f"document.querySelector('.sheet')?.dataset.incident === '{incident}'")


@pytest.mark.slow
async def test_an_act_that_is_not_answered_is_not_taken_after_10_s(tmp_path: Path, browser: str) -> None:
    """The centre stands still: said with the cause, and heard, not waited for."""
    async with served(tmp_path / "home") as (process, phone):
        imported(tmp_path / "home", HAND)
        (incident,) = await press_all(phone, [HAND])
        async with opened(browser, process.console_url) as page:
            await page.until(f"performance.now() - shown_ms.get('take-{incident}') > ARM_MS")
            process.process.send_signal(signal.SIGSTOP)
            try:
                await page.click(f"#take-{incident}")
                await page.until("/NOT taken.*within 10 s/.test(document.getElementById('notice').innerText)")
                before = await page.value("sound.played()")
                await page.until(f"/NOT LIVE/.test(document.title) && sound.played() > {before}")
            finally:
                process.process.send_signal(signal.SIGCONT)
            await page.until(IS_LIVE)


_STRICT = """
let keys = 0;
addEventListener("keydown", () => { keys += 1; }, true);
window.AudioContext = class extends AudioContext {
  get state() { return keys < 3 ? "suspended" : super.state; }
  resume() { return keys < 3 ? new Promise(() => {}) : super.resume(); }
};
"""


async def test_sound_begins_by_itself_after_every_new_page(tmp_path: Path, browser: str) -> None:
    """Where the browser allows it: after signing in, after F5, after a change of language; else at a key."""
    async with centre(tmp_path, HAND) as (serving, _), opened(browser, serving.console_url) as page:
        sounds = f"{IS_LIVE} && sound.is_on() && !document.getElementById('sound').classList.contains('off')"
        await page.until(sounds)
        await page.call("Page.reload")
        await page.until(sounds)
        await page.click(".languages button[value=fr]")
        await page.until(f"document.documentElement.lang === 'fr' && {sounds}")
        # A browser that lets nothing sound before a key: here it wants the third.
        await page.call("Page.addScriptToEvaluateOnNewDocument", source=_STRICT)
        await page.call("Page.reload")
        await page.until(f"{IS_LIVE} && !sound.is_on()")
        for _ in range(3):
            await page.key("j")
        await page.until(sounds)


async def test_all_open_alarms_stand_on_one_map_and_no_label_over_another(
    tmp_path: Path, browser: str
) -> None:
    """Eleven in a few streets, one taken: each has its shape and number; a new one comes by itself."""
    async with centre(tmp_path, *HANDS) as (serving, phone), new_tab(browser) as page:
        await page.size(1280, 800)
        incidents = []
        for n, hand in enumerate(HANDS[:10]):
            await phone.enrol(hand)
            _, answer = await phone.post(hand.alarm(1, fix=FIX | {"lat": 50.8466 + n * 0.0004}))
            incidents.append(answer["incident"])
        await page.open(serving.console_url)
        await page.until(f"performance.now() - shown_ms.get('take-{incidents[0]}') > ARM_MS")
        await page.click(f"#take-{incidents[0]}")
        await page.until("Boolean(document.querySelector('.mine'))")
        await page.open(f"{serving.url}/console/open")
        await page.until("document.querySelectorAll('.map .head').length === 10")
        assert await page.value("[...document.querySelectorAll('.map .head.taken')].length") == 1
        over = """(() => {
          const all = [...document.querySelectorAll('.map .head-text span')]
            .filter((one) => one.style.visibility !== 'hidden').map((one) => one.getBoundingClientRect());
          return all.length > 3 && all.every((a, n) => all.slice(n + 1).every((b) =>
            a.left >= b.right || a.right <= b.left || a.top >= b.bottom || a.bottom <= b.top));
        })()"""
        assert await page.value(over)
        await page.picture(PICTURES / "open-map.png", whole=True)
        await phone.enrol(HANDS[10])
        await phone.post(HANDS[10].alarm(1, fix=FIX | {"lat": 50.85}))
        await page.until("document.querySelectorAll('.map .head').length === 11")
        await page.click(".map .head.taken")
        await page.until(f"location.pathname === '/console/incidents/{incidents[0]}'")
        assert "geo:50.84660,4.35280;u=19" in await page.value("document.querySelector('.hand-on a').href")
        assert page.complaints == []


def test_the_scripts_of_a_board_are_small() -> None:
    """All of ours that its page names, what a reader is told in comments aside: under 25 KB, no framework."""
    console = Path(__file__).parents[2] / "centre" / "console"
    names = re.findall(r'src="/console/static/(\w+\.js)"', (console / "templates" / "board.html").read_text())
    assert set(names) >= {"page.js", "sound.js", "map.js"}
    text = "".join((console / "static" / name).read_text() for name in names)
    code = re.sub(r"^\s*(//.*|/\*\*.*\*/)\n|\s+// .*$", "", text, flags=re.MULTILINE)
    assert len(code.encode()) < 25 * 1024
