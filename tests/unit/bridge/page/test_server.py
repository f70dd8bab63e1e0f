"""The page as a program meets it: what its own browser gets, and what everybody else does."""

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bridge.model import CallOff, Key, Trouble
from bridge.page import guard, server
from bridge.page.server import Page, PageError
from bridge.page.words import LANGUAGES, notice
from tests.unit.bridge.page.parts import FORBIDDEN, SECRET, TAG, FakeBridge, at_dispatched, eventually
from tests.unit.bridge.parts import dice
from wire import codes

PATHS = ("/", "/page.js", "/page.css", "/icon.svg", "/manifest.webmanifest")
WORDS = Path(server.__file__).parent / "words"
UNDO = {"tag": TAG, "event": codes.ALARM, "counter": 7, "pin": "2468"}


class Browser:
    """Speaks to a page as a browser would that has the secret; what it sends can be changed."""

    def __init__(self, base: str, session: aiohttp.ClientSession) -> None:
        self.base, self._session = base, session

    async def ask(
        self, path: str, body: object = None, *, method: str = "", **headers: str | None
    ) -> tuple[int, Any]:
        """`(status, JSON)`, or text where it is none. A header None is not sent."""
        sent: dict[str, str | None] = {"Authorization": f"Bearer {SECRET}"}
        if body is not None:
            sent |= {"Origin": self.base, "Content-Type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        kept = {name: value for name, value in sent.items() if value is not None}
        method = method or ("GET" if body is None else "POST")
        async with self._session.request(method, self.base + path, data=data, headers=kept) as response:
            text = await response.text()
            return response.status, json.loads(text) if "json" in response.content_type else text


@pytest.fixture
async def bridge() -> FakeBridge:
    return FakeBridge("2468")


@pytest.fixture
async def page(bridge: FakeBridge) -> AsyncIterator[Page]:
    async with Page(bridge, SECRET, port=0) as page:
        yield page


@pytest.fixture
async def browser(page: Page) -> AsyncIterator[Browser]:
    base = page.address.partition("/#")[0]
    async with aiohttp.ClientSession(skip_auto_headers=["Content-Type"]) as session:
        yield Browser(base, session)


# -- its own browser -------------------------------------------------------------------------------


async def test_the_address_keeps_the_secret_behind_the_hash(page: Page) -> None:
    """No browser sends what is there; so no log and no history of a server has it."""
    assert re.fullmatch(rf"http://127\.0\.0\.1:\d+/#{SECRET}", page.address)


async def test_the_status_is_that_of_the_bridge(browser: Browser, bridge: FakeBridge) -> None:
    """Button, battery, centre, position, the last press; in a gadget's words."""
    at_dispatched(bridge)
    status, said = await browser.ask("/status")
    assert status == 200
    [tag] = said["tags"]
    assert (tag["near"], tag["low"], tag["mv"]) == (True, False, 3940)
    assert (tag["last"]["stage"], tag["last"]["felt"], tag["last"]["can_undo"]) == (3, 3, True)
    assert said["sync"] == {"ok": True, "at": bridge.now.centre_at_ms}
    assert said["place"] == {"metres": 18, "at": bridge.now.now_ms - 15_000, "doubtful": False}
    assert said["phone"] == 64
    assert said["notices"] == []


async def test_nothing_is_up_to_date_while_nothing_can_be_sent(browser: Browser, bridge: FakeBridge) -> None:
    """A press that fails tells so before the next sign of bridge does; what a centre refuses is no outage."""
    bridge.trouble(("centre", "centre_down"))
    assert (await browser.ask("/status"))[1]["sync"]["ok"] is False
    bridge.trouble(("centre", "revoked"), ("clock", "clock_wrong"))
    assert (await browser.ask("/status"))[1]["sync"]["ok"] is True


async def test_a_change_is_told_at_once(browser: Browser, bridge: FakeBridge) -> None:
    """The page asks what it has not seen, and is answered when there is something."""
    _, first = await browser.ask("/status")
    later = asyncio.create_task(browser.ask(f"/status?seen={first['seen']}"))
    await asyncio.sleep(0.05)
    assert not later.done()
    bridge.press(7)
    _, second = await later
    assert second["seen"] == first["seen"] + 1
    assert second["tags"][0]["last"]["stage"] == 0


async def test_nothing_new_is_told_after_a_while(browser: Browser, bridge: FakeBridge) -> None:
    """So that the page knows that the bridge still answers."""
    async with Page(bridge, SECRET, port=0, poll_s_max=0.05) as page:
        browser.base = page.address.partition("/#")[0]
        status, said = await browser.ask(f"/status?seen={bridge.now.generation}")
    assert (status, said["seen"]) == (200, bridge.now.generation)


@pytest.mark.parametrize("outcome", [outcome for outcome in CallOff if outcome])
async def test_a_call_off_goes_to_the_bridge(browser: Browser, bridge: FakeBridge, outcome: CallOff) -> None:
    """And what it came to comes back."""
    at_dispatched(bridge)
    bridge.outcome = outcome
    assert await browser.ask("/undo", UNDO) == (200, {"outcome": outcome})
    assert bridge.tries == [(Key(TAG, codes.ALARM, 7), "2468")]


async def test_both_pins_look_the_same(browser: Browser) -> None:
    """The page cannot tell which was given: neither its answers nor what it shows differ."""
    seen = []
    for pin in ("2468", "1357"):
        bridge = FakeBridge("2468", "1357")
        at_dispatched(bridge)
        async with Page(bridge, SECRET, port=0) as page:
            browser.base = page.address.partition("/#")[0]
            answer = await browser.ask("/undo", UNDO | {"pin": pin})
            seen.append((answer, await browser.ask("/status")))
    assert seen[0] == seen[1]


async def test_a_call_off_outlives_the_page(browser: Browser, bridge: FakeBridge) -> None:
    """The protected person gives the PIN and puts the phone away."""
    at_dispatched(bridge)
    before = bridge.now.buttons[0].last_press
    assert before is not None
    bridge.hold = asyncio.Event()
    asking = asyncio.create_task(browser.ask("/undo", UNDO))
    await eventually(lambda: bridge.tries)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await asyncio.sleep(0.05)
    bridge.hold.set()
    undone = replace(before, call_off=CallOff.DONE, can_call_off=False)
    await eventually(lambda: bridge.now.buttons[0].last_press == undone)


async def test_a_check_asks_the_centre_once_for_all(browser: Browser, bridge: FakeBridge) -> None:
    """And says what it heard."""
    assert await browser.ask("/check", {}) == (200, {"ok": True})
    bridge.reached = False
    assert await browser.ask("/check", {}) == (200, {"ok": False})


async def test_words_come_in_the_readers_language(browser: Browser) -> None:
    """As asked for on the page, else as the browser would have it."""
    _, said = await browser.ask("/words", Accept_Language="en;q=0.5, nl-BE, fr;q=0.9")
    assert (said["language"], said["words"]["near"]) == ("nl", "Binnen bereik")
    _, said = await browser.ask("/words?language=de", Accept_Language="nl")
    assert said["language"] == "de"
    _, said = await browser.ask("/words?language=xx", Accept_Language="pt")
    assert said["language"] == "en"


async def test_faults_and_troubles_are_told_once_each_with_what_to_do(
    browser: Browser, bridge: FakeBridge
) -> None:
    """Also one that nobody has words for."""
    bridge.trouble((f"button {TAG} stuck", "stuck"), ("stream 1", "revoked"), ("supervision", "revoked"))
    bridge.button(faults=("stuck", "counters_lost"))
    _, said = await browser.ask("/status?language=fr")
    assert [notice["title"] for notice in said["notices"]] == [
        "La touche de Tag est coincée",
        "Ce téléphone n’est plus associé",
        "Tag a perdu sa mémoire",
    ]
    bridge.trouble(("somewhere", "odd"))
    _, said = await browser.ask("/status?language=fr")
    assert said["notices"][-1]["title"] == "Quelque chose demande votre attention"


async def test_with_several_buttons_a_notice_says_which(browser: Browser, bridge: FakeBridge) -> None:
    """By the same name that the page gives it."""
    second = replace(bridge.now.buttons[0], device_id="DEVICEB" + "A" * 5 + "XYZ2", in_reach=False)
    bridge.becomes(buttons=(*bridge.now.buttons, second))
    bridge.trouble((f"button {second.device_id} reach", "out_of_reach"), ("radio", "permission"))
    _, said = await browser.ask("/status?language=en")
    assert said["notices"][0]["text"].startswith("Tag cannot be heard")
    assert said["notices"][1]["title"] == "Tag XYZ2 is out of reach"


@pytest.mark.parametrize("seed", range(20))
async def test_the_gravest_notice_is_the_first(browser: Browser, bridge: FakeBridge, seed: int) -> None:
    """Whatever began first: that no press is heard, then that none is sent, and last what can wait."""
    ranks = [
        [("radio", "bluetooth_off"), ("radio", "bluetoothd_gone"), ("radio", "scan_ended"), ("radio", "odd")],
        [(f"button {TAG} reach", "out_of_reach")],
        [("centre", "captive_portal"), ("supervision", "revoked"), ("stream 1", "centre_down")],
        [
            ("battery", "phone_battery_low"),
            ("disk", "disk_full"),
            ("location", "no_position"),
            ("odd", "odd"),
        ],
    ]
    chance = dice(seed)
    expected = [chance.choice(rank) for rank in ranks if chance.random() < 0.7]
    bridge.trouble(*chance.sample(expected, len(expected)))
    _, said = await browser.ask("/status?language=en")
    titles = [notice(Trouble(where, reason, "", 0), "en")[0] for where, reason in expected]
    assert [each["title"] for each in said["notices"]] == titles


@pytest.mark.parametrize("language", LANGUAGES)
async def test_nothing_that_a_browser_gets_tells_what_it_is(
    browser: Browser, bridge: FakeBridge, language: str
) -> None:
    """Whatever happens: not the page, not a key or value of an answer, not a header's name."""
    got = [await browser.ask(path) for path in PATHS]
    troubles = [key.partition(".") for key in json.loads((WORDS / "en.json").read_text("utf-8"))["notices"]]
    for first in range(0, len(troubles), 15):
        bridge.trouble(*[(where, reason or "odd") for where, _, reason in troubles[first : first + 15]])
        bridge.press(3, codes.TEST, stage=1)
        for outcome in CallOff:
            bridge.press(7, stage=2, delivered=1, call_off=outcome)
            got.append(await browser.ask(f"/status?language={language}"))
    bridge.outcome = CallOff.KEPT
    got += [await browser.ask("/undo", UNDO), await browser.ask("/undo", UNDO | {"pin": ""})]
    got += [await browser.ask("/check", {}), await browser.ask(f"/words?language={language}")]
    for status, said in got:
        text = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
        text = re.sub(r"\d{13}", "", text)  # times
        found = FORBIDDEN.search(text)
        assert status in (200, 422)
        assert not found, f"{found}: {text[max(0, found.start() - 40) : found.end() + 40]}"


# -- what our own page would not send -------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"not JSON", 400, "not_json"),
        ([1], 400, "not_json"),
        (b"[" * 1000, 400, "not_json"),
        ({}, 422, "bad_press"),
        (UNDO | {"counter": True}, 422, "bad_press"),
        (UNDO | {"tag": 7}, 422, "bad_press"),
        (UNDO | {"pin": "123"}, 422, "bad_pin"),
        (UNDO | {"pin": "123456789"}, 422, "bad_pin"),
        (UNDO | {"pin": "١٢٣٤"}, 422, "bad_pin"),
        (UNDO | {"pin": 2468}, 422, "bad_pin"),
        (UNDO | {"counter": 8}, 404, "unknown_press"),
        (UNDO | {"event": codes.TEST}, 404, "unknown_press"),
    ],
)
async def test_a_bad_call_off_is_refused_with_its_reason(
    browser: Browser, bridge: FakeBridge, body: object, status: int, reason: str
) -> None:
    """It does not reach the bridge, and what was typed is not repeated."""
    at_dispatched(bridge)
    answered, said = await browser.ask("/undo", body)
    assert (answered, said["reason"]) == (status, reason)
    assert "2468" not in json.dumps(said)
    assert bridge.tries == []


async def test_bodies_and_waiting_are_bounded(browser: Browser, page: Page, bridge: FakeBridge) -> None:
    """Too long a body, a third call-off at once, a ninth poll."""
    at_dispatched(bridge)
    assert (await browser.ask("/undo", b" " * 2000))[0] == 413
    assert (await browser.ask("/undo", UNDO, Content_Type="text/plain"))[0] == 415
    bridge.hold = asyncio.Event()
    held = [asyncio.create_task(browser.ask("/undo", UNDO)) for _ in range(2)]
    await eventually(lambda: len(bridge.tries) == 2)
    assert (await browser.ask("/undo", UNDO))[1]["reason"] == "busy"
    bridge.hold.set()
    await asyncio.gather(*held)
    seen = bridge.now.generation
    held = [asyncio.create_task(browser.ask(f"/status?seen={seen}")) for _ in range(8)]
    await eventually(lambda: len(page._polls) == 8)
    assert (await browser.ask(f"/status?seen={seen}"))[1]["reason"] == "busy"
    bridge.press(8)
    assert {status for status, _ in await asyncio.gather(*held)} == {200}


async def test_a_mistake_of_our_own_says_where_and_nothing_else(browser: Browser, bridge: FakeBridge) -> None:
    """A PIN in the text of an exception must not get into a log."""
    said: list[dict[str, Any]] = []

    def log(what: str, **fields: Any) -> None:
        said.append({"what": what, **fields})

    bridge.broken = True
    at_dispatched(bridge)
    async with Page(bridge, SECRET, port=0, log=log) as page:
        browser.base = page.address.partition("/#")[0]
        status, answer = await browser.ask("/undo", UNDO)
    assert (status, answer["reason"]) == (500, "internal")
    assert "RuntimeError" in said[0]["text"]
    assert "2468" not in json.dumps([said, answer])


# -- everybody else -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "credential",
    [None, "", "Bearer ", "Bearer wrong", f"Basic {SECRET}", SECRET, f"Bearer {SECRET}x", "Bearer \xe9"],
)
async def test_without_the_secret_there_is_nothing(
    browser: Browser, bridge: FakeBridge, credential: str | None
) -> None:
    """Another user's program: every path answers it the same, whether there is such a path or not."""
    at_dispatched(bridge)
    for path, body in (("/status", None), ("/undo", UNDO), ("/nothing-here", None), ("/words/en.json", {})):
        assert await browser.ask(path, body, Authorization=credential) == (401, "")
    assert bridge.tries == []


async def test_the_shell_says_nothing(browser: Browser, bridge: FakeBridge) -> None:
    """What everybody may load holds no sentence and nothing personal, and is the same before and after."""
    before = [await browser.ask(path, Authorization=None) for path in PATHS]
    at_dispatched(bridge)
    bridge.trouble(("centre", "revoked"))
    assert [await browser.ask(path, Authorization=None) for path in PATHS] == before
    assert {status for status, _ in before} == {200}
    shell = before[0][1]
    assert re.findall(r">\s*([^<>\s][^<>]*?)\s*<", re.sub(r"<(select|div id=.keys).*?</\1>", "", shell)) == [
        *("Tag", "Tag", *"123456789", "⌫", "0", "✓", "JavaScript?"),
    ]


async def test_guessing_is_slow_and_keeps_nobody_out(browser: Browser, bridge: FakeBridge) -> None:
    """After five wrong ones each waits its turn; the right one never does."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async with Page(bridge, SECRET, port=0, clock=lambda: 1000.0, sleep=sleep) as page:
        browser.base = page.address.partition("/#")[0]
        for _ in range(50):
            assert await browser.ask("/status", Authorization="Bearer wrong") == (401, "")
        assert waits == [*(float(n) for n in range(1, 31)), *[guard.WRONG_S_MAX] * 15]
        assert (await browser.ask("/status"))[0] == 200
        assert len(waits) == 45


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost:{port}", "127.0.0.1", "127.0.0.1:1", "[::1]:{port}"]
)
async def test_a_name_that_was_pointed_at_us_is_refused(browser: Browser, host: str) -> None:
    """DNS rebinding: the Host is that of the other page, even with the secret."""
    port = browser.base.rpartition(":")[2]
    for path in ("/", "/status"):
        assert await browser.ask(path, Host=host.format(port=port)) == (403, "")


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_another_web_page_is_refused(browser: Browser, site: str) -> None:
    """Whatever it makes the browser ask; another port of 127.0.0.1 is another page."""
    for path in ("/", "/page.js", "/status"):
        assert await browser.ask(path, Sec_Fetch_Site=site) == (403, "")


@pytest.mark.parametrize(
    "origin", [None, "null", "http://evil.example", "http://localhost", "http://127.0.0.1"]
)
async def test_a_form_of_another_page_is_refused(
    browser: Browser, bridge: FakeBridge, origin: str | None
) -> None:
    """What changes something comes from our own page or not at all."""
    at_dispatched(bridge)
    assert await browser.ask("/undo", UNDO, Origin=origin) == (403, "")
    assert await browser.ask("/check", method="OPTIONS", Origin=origin) == (403, "")
    assert bridge.tries == []


async def test_every_answer_is_sealed(page: Page) -> None:
    """Nothing is kept, framed, read by another origin, loaded from elsewhere, or says who we are."""
    base = page.address.partition("/#")[0]
    async with aiohttp.ClientSession() as session:
        for path in (*PATHS, "/status"):
            async with session.get(base + path) as response:
                headers = response.headers
                assert headers["Cache-Control"] == "no-store"
                assert headers["X-Frame-Options"] == "DENY"
                assert headers["Referrer-Policy"] == "no-referrer"
                assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
                assert headers["Content-Security-Policy"].startswith("default-src 'none';")
                assert "unsafe" not in headers["Content-Security-Policy"]
                assert not {"Server", "Set-Cookie", "Access-Control-Allow-Origin"} & set(headers)


async def test_idle_connections_do_not_keep_the_person_out(browser: Browser, page: Page) -> None:
    """Another program opens more connections than there may be; the person's own still get an answer."""
    port = int(browser.base.rpartition(":")[2])
    strangers = []
    for _ in range(3 * guard.CONNECTIONS_MAX):
        strangers.append(socket.create_connection(("127.0.0.1", port)))
        await asyncio.sleep(0)
    assert (await browser.ask("/status"))[0] == 200
    assert page._runner.server is not None
    assert len(page._runner.server.connections) <= guard.CONNECTIONS_MAX
    for stranger in strangers:
        stranger.close()


@pytest.mark.parametrize(
    "garbage",
    [b"\x16\x03\x01\x02\x00\x01\x00", b"GET /\xff HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"A" * 20_000],
)
async def test_garbage_gets_an_answer_that_says_nothing(
    browser: Browser, caplog: pytest.LogCaptureFixture, garbage: bytes
) -> None:
    """Not HTTP, or no end of it: refused by the parser, without a line in anybody's log."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(browser.base.rpartition(":")[2]))
    writer.write(garbage + b"\r\n\r\n")
    answer = await reader.read()
    assert b" 400 " in answer.split(b"\r\n")[0]
    assert not FORBIDDEN.search(answer.decode())
    assert b"Tag" not in answer
    writer.close()
    await writer.wait_closed()
    assert not [record for record in caplog.records if record.levelname != "DEBUG"]


async def test_only_this_machine_is_served(page: Page) -> None:
    """127.0.0.1 and no other address."""
    assert [at.getsockname()[0] for at in page._listening.sockets] == ["127.0.0.1"]


async def test_a_port_that_is_taken_is_a_sentence(bridge: FakeBridge) -> None:
    """And says that whoever has it may have read the address."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        with pytest.raises(PageError, match=r"port \d+ of 127\.0\.0\.1 is not to be had") as caught:
            async with Page(bridge, SECRET, port=other.getsockname()[1]):
                pass
        assert caught.value.reason == "page_port_taken"


@pytest.mark.parametrize("secret", ["", "short", "a" * 129, "with a space in between"])
def test_a_weak_secret_is_refused(bridge: FakeBridge, secret: str) -> None:
    """22 characters at least: nobody guesses that."""
    with pytest.raises(ValueError, match="22 to 128"):
        Page(bridge, secret, port=0)


async def test_it_stops_while_a_page_is_waiting(bridge: FakeBridge) -> None:
    """A browser that polls keeps no bridge from ending."""
    page = await Page(bridge, SECRET, port=0).__aenter__()
    async with aiohttp.ClientSession() as session:
        headers = {"Authorization": f"Bearer {SECRET}"}
        url = f"{page.address.partition('/#')[0]}/status?seen={bridge.now.generation}"
        waiting = asyncio.create_task(session.get(url, headers=headers))
        await eventually(lambda: page._polls)
        await page.__aexit__(None, None, None)
        assert (await waiting).status == 200
