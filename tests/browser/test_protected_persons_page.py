"""The protected person's page in a real browser, on a phone's screen: what it shows and does, and for whom.

`AMR_PICTURES=docs` before it takes the pictures of docs/protected-person.md anew.
"""

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from bridge.model import CallOff
from bridge.page.server import Page
from bridge.page.words import LANGUAGES
from tests.browser.chromium import Tab, new_tab
from tests.unit.bridge.page.parts import FORBIDDEN, SECRET, TAG, FakeBridge, at_dispatched, eventually
from wire import codes, receipts

READY = "typeof shown !== 'undefined' && shown === 'home' && state !== null"
TEXT = "document.body.innerText"
# Told twice: at once, and by the card as soon as the phone's next answer is there.
UNDONE = "/Undone/.test(document.querySelector('.outcome')?.textContent)"


@contextlib.asynccontextmanager
async def opened(
    browser: str, bridge: FakeBridge, language: str | None = None
) -> AsyncIterator[tuple[Page, Tab]]:
    """The page of `bridge`, opened by its address on a phone in Brussels."""
    async with Page(bridge, SECRET, port=0, language=language) as page, new_tab(browser) as tab:
        await tab.call("Emulation.setTimezoneOverride", timezoneId="Europe/Brussels")
        await tab.size(360, 740, 2)
        await tab.open(page.address)
        await tab.until(READY)
        yield page, tab


async def picture(tab: Tab, name: str) -> None:
    if folder := os.environ.get("AMR_PICTURES"):
        await tab.picture(Path(folder) / f"protected-person-{name}.png")


async def steps(tab: Tab, within: str) -> list[str]:
    """The steps that are done."""
    found: list[str] = await tab.value(
        f"[...document.querySelectorAll('{within} .steps li.done .what')].map((node) => node.textContent)"
    )
    return found


async def give(tab: Tab, digits: str) -> None:
    for digit in digits:
        await tab.click(f"[data-key='{digit}']")
    await tab.click("[data-key='Enter']")


# -- what is seen ------------------------------------------------------------------------------


async def test_at_first_sight_it_is_a_gadgets_page(browser: str) -> None:
    """In reach, battery, sync; the secret is out of sight at once, and needs not be given again."""
    async with opened(browser, FakeBridge()) as (page, tab):
        text = await tab.value(TEXT)
        for shown in ("In reach", "Good · 3.94 V", "Up to date · 10:41", "64 %", "± 18 m", "None yet"):
            assert shown in text
        assert await tab.value("document.title") == "Tag"
        assert await tab.value("location.href") == page.address.partition("#")[0]
        assert await tab.value("document.cookie") == ""
        assert SECRET not in await tab.value("document.documentElement.outerHTML")
        loaded = await tab.value("performance.getEntriesByType('resource').map((entry) => entry.name)")
        assert all(name.startswith(page.address.partition("#")[0]) for name in loaded)
        await picture(tab, "home")

        await tab.open(page.address.partition("#")[0])  # from a bookmark
        await tab.until(READY)
        await tab.open(page.address.partition("#")[0] + "#a-wrong-one-that-somebody-sent")
        await tab.until(READY)
        await tab.open(page.address.partition("#")[0])
        await tab.until(READY)


async def test_without_the_secret_it_is_an_icon_and_a_name(browser: str) -> None:
    """Somebody else who finds the address."""
    bridge = FakeBridge()
    at_dispatched(bridge)
    async with Page(bridge, SECRET, port=0) as page, new_tab(browser) as tab:
        await tab.open(page.address.partition("#")[0])
        assert (await tab.value(TEXT)).strip() == "Tag"
        await tab.click("#name")
        await tab.key("Escape")
        assert (await tab.value(TEXT)).strip() == "Tag"


async def test_a_press_is_followed_live(browser: str) -> None:
    """Waiting, sent, seen, on the way, done; and what the button has felt of it."""
    bridge = FakeBridge()
    async with opened(browser, bridge) as (_, tab):
        bridge.press(7)
        await tab.until(f"/Last click[^]*Waiting to be sent/.test({TEXT})")
        assert await steps(tab, ".last") == []
        shown = ["Sent", "Seen", "On the way", "Done"]
        for stage in range(receipts.RECEIVED, receipts.CLOSED + 1):
            bridge.press(7, stage=stage)
            await tab.until(f"document.querySelectorAll('.last .done').length === {stage}")
            assert await steps(tab, ".last") == shown[:stage]
            assert "Not confirmed on Tag yet" in await tab.value(TEXT)
            bridge.press(7, delivered=stage)
            await tab.until(f"/Confirmed on Tag/.test({TEXT})")
            if stage == receipts.DISPATCHED:
                await picture(tab, "press")
        times = await tab.value("[...document.querySelectorAll('.last .at')].map((node) => node.textContent)")
        assert times == ["10:42"] * 4, "it was there to see each"
        assert tab.complaints == []


async def test_what_is_wrong_is_told_with_what_to_do(browser: str) -> None:
    """And a button out of reach, or a radio that does not listen, is never shown as in reach."""
    bridge = FakeBridge()
    async with opened(browser, bridge) as (_, tab):
        bridge.trouble(("centre", "captive_portal"), ("button", "battery_low"))
        bridge.button(battery_low=True, battery_mv=2510)
        bridge.becomes(centre_ok=False)
        await tab.until(f"/Log in to this Wi-Fi[^]*battery of Tag is low/.test({TEXT})")
        assert "No connection · 10:41" in await tab.value(TEXT)
        await picture(tab, "trouble")
        bridge.trouble()
        bridge.button(in_reach=False)
        await tab.until(f"/Out of reach/.test({TEXT}) && !/Wi-Fi/.test({TEXT})")
        bridge.button(in_reach=True)
        bridge.becomes(listening=False)
        await tab.until(f"/Not connected/.test({TEXT}) && !/In reach/.test({TEXT})")


async def test_a_page_that_lost_the_bridge_says_so(browser: str) -> None:
    """Nobody trusts a page that stands still; it finds the bridge again by itself."""
    bridge = FakeBridge()
    async with opened(browser, bridge) as (page, tab):
        port = int(page.address.split(":")[2].split("/")[0])
        await page.__aexit__(None, None, None)
        await tab.until(f"/What you see may be old/.test({TEXT})")
        async with Page(bridge, SECRET, port=port):
            await tab.until(f"!/may be old/.test({TEXT})")
        async with Page(bridge, SECRET[::-1], port=port):  # somebody made a new secret
            await tab.until("shown === 'rest'")
            assert (await tab.value(TEXT)).split("\n")[0] == "Tag"
            assert not re.search("reach|Battery", await tab.value(TEXT))


# -- what is done ------------------------------------------------------------------------------


async def test_a_silent_test_is_followed_to_the_hand(browser: str) -> None:
    """Connection, heard, sent and answered, felt; an older test does not count."""
    bridge = FakeBridge()
    bridge.press(3, codes.TEST, stage=1, delivered=1)
    async with opened(browser, bridge) as (_, tab):
        assert "10:42 ✓" in await tab.value(TEXT)
        await tab.click("#go-check")
        await tab.until(f"/click Tag three times/.test({TEXT})")
        assert await steps(tab, "#check") == ["Bluetooth", "Connection"]
        bridge.press(4, codes.TEST)
        await tab.until("document.querySelectorAll('#check-steps .done').length === 3")
        bridge.press(4, codes.TEST, stage=1)
        await tab.until("document.querySelectorAll('#check-steps .done').length === 4")
        await picture(tab, "check")
        bridge.press(4, codes.TEST, delivered=1)
        await tab.until(f"/Everything works/.test({TEXT})")
        await tab.click("#check-back")
        await tab.until("shown === 'home'")


@pytest.mark.parametrize(
    ("heard", "stage", "told"),
    [(False, 0, "Hold Tag against"), (True, 0, "there is no answer yet"), (True, 1, "not confirmed on Tag")],
)
async def test_a_test_that_does_not_arrive_says_what_to_do(
    browser: str, heard: bool, stage: int, told: str
) -> None:
    """After a minute, by the step that is missing; and what comes later still counts."""
    bridge = FakeBridge()
    async with opened(browser, bridge) as (_, tab):
        await tab.click("#go-check")
        await tab.until("check.until > 0")
        if heard:
            bridge.press(4, codes.TEST, stage=stage)
            await tab.until("state.tags[0].test !== null")
        assert told not in await tab.value(TEXT)
        await tab.value("check.until = 1; showCheck()")  # a minute later
        assert told in await tab.value(TEXT)
        bridge.press(4, codes.TEST, stage=1, delivered=1)
        await tab.until(f"/Everything works/.test({TEXT})")


async def test_a_test_without_a_connection_is_told_at_once(browser: str) -> None:
    """Before any click."""
    bridge = FakeBridge()
    bridge.reached = False
    async with opened(browser, bridge) as (_, tab):
        await tab.click("#go-check")
        await tab.until(f"/There is no connection/.test({TEXT})")
        assert await steps(tab, "#check") == ["Bluetooth"]


async def test_a_test_on_a_phone_that_cannot_hear_asks_for_no_click(browser: str) -> None:
    """Bluetooth first, however long it lasts; no word of a battery. Once it is back, there is a minute."""
    bridge = FakeBridge()
    bridge.becomes(listening=False)
    async with opened(browser, bridge) as (_, tab):
        await tab.click("#go-check")
        await tab.until("check.until > 0")
        await tab.value("check.until = 1; showCheck()")  # a minute later
        text = await tab.value(TEXT)
        assert "Do not click yet" in text
        assert "Switch Bluetooth on" in text
        for asked in ("three times", "battery", "Once more"):
            assert asked not in text
        assert await steps(tab, "#check") == ["Connection"]
        bridge.becomes(listening=True)
        await tab.until(f"/click Tag three times/.test({TEXT})")
        text = await tab.value(TEXT)
        assert "Switch Bluetooth on" not in text
        assert "battery" not in text, "the minute begins anew"
        assert await steps(tab, "#check") == ["Bluetooth", "Connection"]
        bridge.press(4, codes.TEST, stage=1, delivered=1)
        await tab.until(f"/Everything works/.test({TEXT})")


async def test_a_test_that_the_button_will_not_take_is_told_at_once(browser: str) -> None:
    """While a press is open three clicks do nothing; nobody is to think that the battery is empty."""
    bridge = FakeBridge()
    bridge.press(7, stage=receipts.RECEIVED, call_off="done")
    async with opened(browser, bridge) as (_, tab):
        await tab.click("#go-check")
        await tab.until(f"/The last click is not done yet/.test({TEXT})")
        await tab.until("check.until > 0")
        await tab.value("check.until = 1; showCheck()")  # a minute later
        assert "battery may be empty" not in await tab.value(TEXT)
        bridge.press(7, stage=receipts.CLOSED)
        await tab.until(f"/Hold Tag against/.test({TEXT})")


async def test_a_press_during_a_test_comes_first(browser: str) -> None:
    """The protected person sees at once what becomes of it."""
    bridge = FakeBridge()
    async with opened(browser, bridge) as (_, tab):
        await tab.click("#go-check")
        await tab.until("check.until > 0")
        bridge.press(7, stage=1)
        await tab.until("shown === 'home' && document.querySelectorAll('.last .done').length === 1")


async def test_a_press_is_called_off_by_pin(browser: str) -> None:
    """A wrong PIN is told; the right one ends it; no digit is ever in the document."""
    bridge = FakeBridge("2468")
    at_dispatched(bridge)
    async with opened(browser, bridge) as (_, tab):
        await tab.click(".undo")
        await tab.until("shown === 'pad'")
        before = await tab.value("document.documentElement.outerHTML.replace(/digits entered|●+/g, '')")
        await give(tab, "1")
        assert bridge.tries == [], "too short to be one"
        for digit in "357":
            await tab.key(digit)
        assert await tab.value("document.getElementById('dots').textContent") == "●●●●"
        assert "1357" not in await tab.value("document.documentElement.outerHTML")
        await picture(tab, "undo")
        await tab.key("Enter")
        await tab.until(f"/That PIN is not right/.test({TEXT})")
        assert await tab.value("pin") == ""
        assert len(await tab.value("document.documentElement.outerHTML")) - len(before) < 100
        await tab.key("9")
        await tab.key("Backspace")
        await give(tab, "2468")
        await tab.until(f"shown === 'home' && {UNDONE}")
        assert [pin for _, pin in bridge.tries] == ["1357", "2468"]
        assert await tab.value("document.querySelector('.undo').offsetParent") is None
        bridge.press(7, stage=receipts.CLOSED)
        await tab.until("state.tags[0].last.stage === 4")
        assert "Done" not in (await tab.value(TEXT)).split(), "whoever watches learns no more"
        assert tab.complaints == []


@pytest.mark.parametrize(
    ("outcome", "shown", "told"),
    [
        ("kept", "home", "It will be sent by itself"),
        ("locked", "pad", "Too many tries"),
        ("no_pin", "pad", "No PIN is set for Tag"),
        ("", "pad", "did not go through"),
    ],
)
async def test_what_becomes_of_a_call_off_is_told(browser: str, outcome: str, shown: str, told: str) -> None:
    """Kept until there is a connection; locked; no PIN at all; and a press that the bridge does not know."""
    bridge = FakeBridge()
    bridge.outcome = CallOff(outcome)
    at_dispatched(bridge)
    async with opened(browser, bridge) as (_, tab):
        await tab.click(".undo")
        await give(tab, "2468")
        await tab.until(f"shown === '{shown}' && /{told}/.test({TEXT})")
        if outcome == "kept":
            bridge.press(7, call_off="wrong_pin", can_call_off=True)
            await tab.until(f"/That PIN is not right[^]*Undo/.test({TEXT})")


async def test_both_pins_look_the_same(browser: str) -> None:
    """The PIN to give under duress, too, is taken, and the page is the same to the letter."""
    seen = []
    for pin in ("2468", "1357"):
        bridge = FakeBridge("2468", "1357")
        at_dispatched(bridge)
        async with opened(browser, bridge) as (_, tab):
            await tab.click(".undo")
            await give(tab, pin)
            await tab.until(f"shown === 'home' && {UNDONE}")
            seen.append(await tab.value("document.body.innerHTML"))
    assert seen[0] == seen[1]


async def test_it_is_hidden_with_one_key(browser: str) -> None:
    """Esc, or a tap on the name: nothing of the protected person is left; a PIN that was begun is gone."""
    bridge = FakeBridge()
    at_dispatched(bridge)
    async with opened(browser, bridge) as (_, tab):
        await tab.click(".undo")
        await tab.key("2")
        await tab.key("Escape")
        text = await tab.value(TEXT)
        assert "up to date" in text
        assert "click" not in text
        assert "reach" not in text
        assert await tab.value("pin") == ""
        bridge.press(8)
        await tab.until("state.tags[0].last.counter === 8")
        assert await tab.value(TEXT) == text
        await tab.click("#name")
        await tab.until("shown === 'home'")
        await tab.click(".undo")
        await tab.key("2")
        await tab.value("pad_until = 0; tick()")  # a minute later
        assert await tab.value("shown + pin") == "home"


# -- everybody can use it -----------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
async def test_every_language_fits_and_tells_nothing(browser: str, language: str) -> None:
    """On a phone's screen, with text twice as large, by night; no word says what it is."""
    bridge = FakeBridge()
    at_dispatched(bridge)
    bridge.trouble(("centre", "tls_wrong"), ("button", "out_of_reach"), ("odd", "odd"))
    async with opened(browser, bridge) as (_, tab):
        await tab.value(
            f"$('language').value = {language!r}; $('language').dispatchEvent(new Event('change'))"
        )
        await tab.until(f"document.documentElement.lang === {language!r}")
        await tab.until(f"$('notices').children.length === 3 && kept.get('language') === {language!r}")
        night = [{"name": "prefers-color-scheme", "value": "dark"}]
        await tab.call("Emulation.setEmulatedMedia", features=night)
        await tab.value("document.documentElement.style.fontSize = '200%'")
        for view in ("home", "check", "pad", "rest"):
            await tab.value("openPad(state.tags[0].id)" if view == "pad" else f"go('{view}')")
            if view == "check":
                await tab.value("openCheck()")
            assert await tab.value("document.documentElement.scrollWidth") <= 360, view
            found = FORBIDDEN.search(await tab.value("document.documentElement.outerHTML"))
            assert found is None, found
        await tab.call("Page.reload")
        await tab.until(f"{READY} && document.documentElement.lang === {language!r}")


async def test_the_browsers_language_is_the_pages(browser: str) -> None:
    """Unless another one is set for it, or chosen on it."""
    bridge = FakeBridge()
    async with opened(browser, bridge) as (page, tab):
        agent = await tab.value("navigator.userAgent")
        await tab.call("Emulation.setUserAgentOverride", userAgent=agent, acceptLanguage="de-AT,fr;q=0.5")
        await tab.open(page.address.partition("#")[0])
        await tab.until(f"{READY} && /In Reichweite/.test({TEXT})")
    async with opened(browser, bridge, "nl") as (_, tab):
        assert "Binnen bereik" in await tab.value(TEXT)


async def test_by_keyboard_and_by_ear(browser: str) -> None:
    """Every control has a name, is reached by Tab, and what changes is said."""
    bridge = FakeBridge("2468")
    at_dispatched(bridge)
    async with opened(browser, bridge) as (_, tab):
        await tab.call("Accessibility.enable")
        for view in ("go('home')", "openPad(state.tags[0].id)", "openCheck()"):
            await tab.value(view)
            tree = (await tab.call("Accessibility.getFullAXTree"))["nodes"]
            controls = [node for node in tree if node.get("role", {}).get("value") in ("button", "combobox")]
            assert controls
            assert all(node["name"]["value"].strip() for node in controls if not node["ignored"])
        await tab.value("go('home')")
        for _ in range(8):
            await tab.key("Tab")
            if await tab.value("document.activeElement.className") == "undo":
                break
        await tab.key("Enter")
        await tab.until("shown === 'pad'")
        assert await tab.value("document.activeElement.textContent") == "Undo the last click"
        for digit in "2468":
            await tab.key(digit)
        assert await tab.value("$('say').textContent") == "4 digits entered"
        await tab.key("Enter")
        await tab.until("shown === 'home' && $('say').textContent === 'Undone'")


# -- who else cannot ----------------------------------------------------------------------------

EVIL = """<!doctype html><title>Another page</title><body>
<form id="f" method="post" enctype="text/plain" target="frame" action="TARGET/undo">
<input name='{"tag":"TAG","event":1,"counter":7,"pin":"2468","x":"' value='"}'></form>
<iframe name="frame" src="TARGET/"></iframe><script src="TARGET/page.js"></script>
<script>
async function attack() {
  const told = [];
  const tries = [
    ["/status", {}], ["/status", { mode: "no-cors" }], ["/status", { credentials: "include" }],
    ["/status", { headers: { Authorization: "Bearer guess" } }], ["/words", { mode: "no-cors" }],
    ["/", { mode: "no-cors" }], ["/", {}], ["/check", { method: "POST", mode: "no-cors", body: "{}" }],
    ["/undo", { method: "POST", mode: "no-cors", body: '{"tag":"TAG","event":1,"counter":7,"pin":"2468"}' }],
    ["/undo", { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" }],
  ];
  for (const [path, options] of tries) {
    try { const answer = await fetch("TARGET" + path, options); told.push(await answer.text()); }
    catch (error) { told.push(""); }
  }
  document.getElementById("f").submit();
  const other = window.open("TARGET/");
  await new Promise((done) => setTimeout(done, 500));
  let text = "";
  try { text = other.document.body.innerText; } catch (error) { /* not ours to read */ }
  try { text += frames[0].document.body.innerText; } catch (error) { /* nor this */ }
  other?.close();
  return { told: told.join("") + text, mine: typeof secret, stored: Object.keys(localStorage) };
}
</script>"""


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_another_page_can_neither_read_nor_act(browser: str, host: str) -> None:
    """In the same browser, which has the secret: by fetch, form, frame, script or window."""
    bridge = FakeBridge("2468")
    at_dispatched(bridge)
    async with opened(browser, bridge) as (page, tab):
        target = page.address.partition("/#")[0]
        before = bridge.now

        async def evil(_request: web.Request) -> web.Response:
            return web.Response(
                text=EVIL.replace("TARGET", target).replace("TAG", TAG), content_type="text/html"
            )

        app = web.Application()
        app.router.add_get("/", evil)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            await tab.open(f"http://{host}:{runner.addresses[0][1]}/")
            result = await tab.value("attack()")
        finally:
            await runner.cleanup()
        assert result == {"told": "", "mine": "undefined", "stored": []}
        assert (bridge.tries, bridge.checks) == ([], 0)
        assert bridge.now == before
        await tab.open(target + "/")
        await tab.until(READY)  # and nobody is locked out


async def test_a_call_off_that_was_given_is_not_lost_with_the_page(browser: str) -> None:
    """The protected person types the PIN, and somebody takes the phone."""
    bridge = FakeBridge("2468")
    at_dispatched(bridge)
    async with opened(browser, bridge) as (_, tab):
        bridge.hold = asyncio.Event()
        await tab.click(".undo")
        await give(tab, "2468")
        await eventually(lambda: bridge.tries)
        await tab.open("about:blank")
        bridge.hold.set()
        await eventually(lambda: (last := bridge.now.buttons[0].last_press) and last.call_off == "done")
