"""The operator's page in a real browser: an alarm seen, taken, sent help, closed, by keyboard alone."""

import contextlib
import json
import time
from pathlib import Path

import pytest

from centre.rules import times
from sim.realtime.people import placeholder
from tests.browser.chromium import PICTURES
from tests.browser.desk import HAND, armed, focus, hand_out, hostile, opened, press, stage, walk
from tests.integration.tiles import archive, around
from tests.unit.centre.parts import FIX, Phone, Serving, centre, core_at
from wire import codes, receipts


async def test_an_operator_sees_a_press_and_takes_it_by_keyboard(tmp_path: Path, browser: str) -> None:
    """A press arrives; the title says so; Enter takes it and opens its sheet; a test disturbs nobody."""
    async with (
        centre(tmp_path, HAND) as (serving, phone),
        opened(browser, serving.console_url) as page,
    ):
        await phone.enrol(HAND)
        assert await page.value("location.pathname + location.search") == "/console"
        assert await page.value("document.title") == "No alarm"
        assert "amr" not in await page.value("document.cookie")

        await press(phone, 1, event=codes.TEST)
        await page.until("/Last silent tests: TEST/.test(document.body.innerText)")
        assert await page.value("document.title") == "No alarm"

        incident = await press(phone, 2, fix=FIX, phone={"battery_percent": 64, "model": "<img src=x>"})
        await page.until("/1 ALARM NOT TAKEN/.test(document.title)")
        assert await focus(page) == f"take-{incident}"
        assert await page.value("parseFloat(getComputedStyle(document.querySelector('h3')).fontSize)") >= 80
        await page.picture(PICTURES / "centre-alarm.png")

        await armed(page, f"take-{incident}")
        await page.key("Enter")
        await page.until("document.title === 'No alarm'")
        await page.until("/this button has not been handed out/.test(document.body.innerText)")
        await page.until("/<img src=x>/.test(document.body.innerText)")
        assert await focus(page) == "sheet"
        assert await page.value("location.pathname") == f"/console/incidents/{incident}"
        assert await stage(phone, 2) == receipts.ACKNOWLEDGED
        assert page.complaints == []


async def test_a_second_enter_takes_no_second_alarm(tmp_path: Path, browser: str) -> None:
    """The hand that has just taken one alarm does not take another that it has not read."""
    async with centre(tmp_path, HAND) as (serving, phone):
        await phone.enrol(HAND)
        older, newer = await press(phone, 1), await press(phone, 2, fix=FIX, age_s=None)
        async with opened(browser, serving.console_url, 390, 1700) as page:
            await page.until("/2 ALARMS NOT TAKEN/.test(document.title)")
            assert await page.value("document.documentElement.scrollWidth") == 390, (
                "nothing is cut on a phone"
            )
            await page.picture(PICTURES / "centre-phone.png", whole=True)
            assert await focus(page) == f"take-{older}"
            await page.key("Enter")  # too early: the button has just appeared
            await armed(page, f"take-{older}")
            await page.key("Enter")
            await page.until("/1 ALARM NOT TAKEN/.test(document.title)")
            await page.key("Enter")
            await page.until("Boolean(document.querySelector('.sheet'))")
            await page.key("Enter")
            assert await page.value(f"Boolean(document.getElementById('take-{newer}'))")
            assert await stage(phone, 2) == receipts.RECEIVED


async def test_help_is_sent_and_the_alarm_closed_by_keyboard(tmp_path: Path, browser: str) -> None:
    """D and C go there, Enter does; the note survives positions that come; a closing needs its reason."""
    async with (
        centre(tmp_path, HAND, undo_close_s=0) as (serving, phone),
        opened(browser, serving.console_url) as page,
    ):
        await phone.enrol(HAND)
        incident = await press(phone, 1, fix=FIX)
        await page.until(f"Boolean(document.getElementById('take-{incident}'))")
        await armed(page, f"take-{incident}")
        await page.key("Enter")
        await page.until(f"Boolean(document.getElementById('note-{incident}'))")

        await page.key("d")
        assert await focus(page) == f"note-{incident}"
        await page.write("two on ")
        fix = FIX | {"taken_at": "2026-11-23T10:00:10Z", "lat": 50.8471}
        await phone.ask("POST", f"/v1/incidents/{incident}/fixes", json={"fixes": [fix]})
        await page.until("/50.84710/.test(document.body.innerText)")
        await page.write("foot")
        assert await page.value("document.activeElement.value") == "two on foot"
        await armed(page, f"dispatch-{incident}")
        await page.key("Enter")
        await page.until("/by Operator: two on foot/.test(document.body.innerText)")
        await page.until(f"document.getElementById('note-{incident}').value === ''")

        await page.until("document.activeElement.id === 'sheet'")
        await page.key("c")
        assert await focus(page) == f"why-{incident}"
        await page.key("Tab")
        await page.key("Enter")  # no reason yet: the browser says so, and nothing happens
        assert await stage(phone, 1) == receipts.DISPATCHED
        await page.value(f"document.getElementById('why-{incident}').focus()")
        await page.key("ArrowDown")
        await page.key("Tab")
        assert await focus(page) == f"close-{incident}"
        await page.key("Enter")
        await page.until("/real danger/.test(document.querySelector('.closed')?.innerText)")
        assert await page.value("document.querySelector('.taken')") is None
        assert await stage(phone, 1) == receipts.CLOSED
        assert page.complaints == []


async def test_the_second_operator_is_told_who_has_it(tmp_path: Path, browser: str) -> None:
    """By name and since when, though the page was still as it had been."""
    async with centre(tmp_path, HAND) as (serving, phone):
        await phone.enrol(HAND)
        incident = await press(phone, 1)
        ann, bo = (serving.entrance(login=name, name=f"{name.title()} Fictie") for name in ("ann", "bo"))
        async with opened(browser, ann) as first, opened(browser, bo) as second:
            for page in (first, second):
                await page.until(f"document.activeElement.id === 'take-{incident}'")
                await armed(page, f"take-{incident}")
            # As slow as a network can be.
            await second.value("source.close(), source.onmessage = null, followed_ms = Infinity")
            await first.key("Enter")
            await first.until("/Ann Fictie has it/.test(document.body.innerText)")
            await second.key("Enter")
            await second.until(
                "/Ann Fictie has already taken this alarm, \\d\\d:/.test(document.body.innerText)"
            )
            await second.picture(PICTURES / "centre-second.png")


async def test_duress_is_on_top_until_it_is_seen(tmp_path: Path, browser: str) -> None:
    """In the title, above a plain alarm, on a phone's screen too; a call-off with the PIN is told as such."""
    async with (
        centre(tmp_path, HAND) as (serving, phone),
        opened(browser, serving.console_url) as page,
    ):
        await phone.enrol(HAND, pin="271828", duress_pin="3141")
        followed = await press(phone, 1, fix=FIX)
        await page.until("/1 ALARM NOT TAKEN/.test(document.title)")
        await armed(page, f"take-{followed}")
        await page.key("Enter")
        await page.until("document.title === 'No alarm'")
        await page.until("Boolean(document.querySelector('.acts'))")
        await phone.call_off(HAND, 1, "271828")
        await page.until("/with the PIN/.test(document.getElementById('sheet').innerText)")
        assert await page.value("document.title") == "No alarm"

        forced = await press(phone, 2, fix=FIX)
        await phone.call_off(HAND, 2, "3141")
        await page.until("/DURESS · 1 NOT SEEN/.test(document.title)")
        newer = await press(phone, 3, fix=FIX)
        await page.until("/DURESS · 2 NOT SEEN/.test(document.title)")
        order = "[...document.querySelectorAll('article')].map((one) => one.id).join()"
        assert await page.value(order) == f"i-{forced},i-{newer},i-{followed}"
        await page.picture(PICTURES / "centre-duress.png")
        await page.size(390, 900)
        assert await page.value("document.documentElement.scrollWidth") == 390, "nothing is cut on a phone"
        await page.picture(PICTURES / "centre-duress-phone.png", whole=True)
        await page.size(1280, 900)

        await page.key("b")
        await page.key("k")
        await page.key("k")
        assert await focus(page) == f"take-{forced}"
        await armed(page, f"take-{forced}")
        await page.key("Enter")
        await page.until("/1 ALARM NOT TAKEN/.test(document.title)")
        await page.until(f"document.querySelector('.sheet')?.dataset.incident === '{forced}'")
        text = await page.value("document.getElementById('sheet').innerText")
        assert "DURESS: the protected person is in danger" in text
        assert page.complaints == []


async def a_walk(serving: Serving, phone: Phone) -> str:
    """An incident with a case, a photo and four minutes of following."""
    await phone.enrol(HAND, pin="271828", duress_pin="3141")
    hand_out(serving.home, HAND.device_id, photo=placeholder())
    now_ms = int(time.time() * 1000)
    fixes = walk(now_ms)
    incident = await press(phone, 1, fix=fixes[0], phone={"battery_percent": 64, "model": "Pixel 8"})
    await phone.ask("POST", f"/v1/incidents/{incident}/fixes", json={"fixes": fixes})
    state = {"device_id": HAND.device_id, "heard_at": times.write(now_ms), "battery_mv": 2910}
    await phone.ask("POST", "/v1/alive", json={"buttons": [state], "phone": {}, "troubles": []})
    return incident


async def test_a_sheet_shows_the_case_and_the_way_the_person_went(tmp_path: Path, browser: str) -> None:
    """Without a tile server; doubtful positions have another shape and words; new ones come by number."""
    async with centre(tmp_path, HAND) as (serving, phone):
        incident = await a_walk(serving, phone)
        async with opened(browser, serving.console_url, 1440, 1000) as page:
            await page.until(f"document.activeElement.id === 'take-{incident}'")
            await page.key("o")
            await page.until("trail.fixes().length === 24")
            await page.until("document.querySelector('img.photo')?.naturalWidth === 96")
            assert await stage(phone, 1) == receipts.RECEIVED  # looking is not taking
            text = await page.value("document.getElementById('sheet').innerText")
            for said in ("Ann Example", "Two patrols", "hunting knife", "Lou Example", "battery 2.91"):
                assert said in text
            shapes = await page.value("document.querySelector('.map').innerText")
            for said in ("□", "! jump", "! stale", "within 15\N{NO-BREAK SPACE}m", "°"):
                assert said in shapes, shapes
            assert await page.value("document.querySelectorAll('.map .radius-ring').length") == 1
            assert await page.value("getComputedStyle(document.querySelector('.map')).height") != "auto"
            later = walk(int(time.time() * 1000) + 5_000)[-1]
            await phone.ask("POST", f"/v1/incidents/{incident}/fixes", json={"fixes": [later]})
            await page.until("trail.fixes().length === 25")
            await page.key("m")
            zoom = "document.querySelector('.leaflet-control-scale-line').textContent"
            before = await page.value(zoom)
            await page.key("+")
            await page.until(f"{zoom} !== {before!r}")
            await page.key("Escape")
            assert await focus(page) == "sheet"
            assert page.complaints == []
    core = core_at(tmp_path)
    seen = core.store.db.execute("SELECT count(*) FROM log WHERE kind = 'case_seen'").fetchone()[0]
    core.store.close()
    assert seen == 1, "one look, however often the sheet was refreshed"


async def test_with_no_position_the_last_known_one_is_marked_as_old(tmp_path: Path, browser: str) -> None:
    """Of an alarm before; on the map too."""
    async with centre(tmp_path, HAND) as (serving, phone):
        await phone.enrol(HAND)
        first = await press(phone, 1, fix=FIX)
        incident = await press(phone, 2)
        async with opened(browser, serving.console_url) as page:
            await page.until(f"document.activeElement.id === 'take-{first}'")
            await page.key("j")
            await page.until(f"document.activeElement.id === 'take-{incident}'")
            await page.key("o")
            await page.until("/OLD position, from an earlier alarm/.test(document.body.innerText)")
            await page.until("/OLD/.test(document.querySelector('.map').innerText)")
            fix = FIX | {"lat": 50.85}
            await phone.ask("POST", f"/v1/incidents/{incident}/fixes", json={"fixes": [fix]})
            await page.until("!/OLD/.test(document.getElementById('sheet').innerText)")


async def test_tiles_come_from_the_configured_server_and_from_no_other(tmp_path: Path, browser: str) -> None:
    """The policy names its origin alone, and the map says whose they are."""
    tiles = "https://tiles.example.org/{z}/{x}/{y}.png"
    async with centre(tmp_path, HAND, tiles=tiles, tiles_by="<b>Fictitious maps") as (serving, phone):
        await phone.enrol(HAND)
        incident = await press(phone, 1, fix=FIX)
        async with opened(browser, serving.console_url) as page:
            await page.until(f"document.activeElement.id === 'take-{incident}'")
            await page.key("o")
            await page.until("Boolean(document.querySelector('.leaflet-tile'))")
            source = await page.value("document.querySelector('.leaflet-tile').src")
            assert source.startswith("https://tiles.example.org/")
            await page.until("/<b>Fictitious maps/.test(document.querySelector('.map').innerText)")
            assert "Content Security Policy" not in json.dumps(page.complaints)
        async with phone.session.get(f"{phone.url}/console/static/page.js") as response:
            policy = response.headers["Content-Security-Policy"]
        assert "img-src 'self' data: https://tiles.example.org;" in policy


async def test_the_map_comes_out_of_a_file_of_our_own(tmp_path: Path, browser: str) -> None:
    """Without a connection to anywhere, under a policy that names nobody; closer than its pictures, too."""
    lat, lon = FIX["lat"], FIX["lon"]
    assert isinstance(lat, float)
    assert isinstance(lon, float)
    path = archive(tmp_path / "town.pmtiles", around(lat, lon, 15))
    async with centre(tmp_path, HAND, tiles=str(path), tiles_by="Invented town") as (serving, phone):
        await phone.enrol(HAND)
        incident = await press(phone, 1, fix=FIX)
        async with opened(browser, serving.console_url) as page:
            await page.until(f"document.activeElement.id === 'take-{incident}'")
            await page.key("o")
            seen = (
                "[...document.querySelectorAll('.leaflet-tile')].filter((tile) => tile.naturalWidth === 256)"
            )
            await page.until(f"{seen}.length >= 4")
            assert await page.value(f"{seen}.every((tile) => tile.src.startsWith(location.origin))")
            assert "Content Security Policy" not in json.dumps(page.complaints)
            await page.picture(PICTURES / "operator-map-of-file.png")
        async with phone.session.get(f"{phone.url}/console/static/page.js") as response:
            policy = response.headers["Content-Security-Policy"]
        assert "img-src 'self' data:; connect-src" in policy


async def test_an_alarm_that_nobody_takes_gets_louder(tmp_path: Path, browser: str) -> None:
    """In words on the page and in the sound; a desk that is away is silent until others are called."""
    async with (
        centre(tmp_path, HAND, escalate_s=1) as (serving, phone),
        opened(browser, serving.console_url) as page,
    ):
        await phone.enrol(HAND)
        await page.until("/Sound is on/.test(document.getElementById('sound').innerText)")
        await page.value("document.body.dataset.away = 'true'")
        tried = await page.value("sound.played()")
        await page.value(
            "var first = new Promise((done) => { const follow = sound.follow; "
            "sound.follow = (told, trouble) => { const before = sound.played(); follow(told, trouble); "
            "if (sound.played() > before) done(told.level); }; })"
        )
        incident = await press(phone, 1)
        await page.until("/louder/.test(document.body.innerText)")
        await page.until("/all operators are called/.test(document.body.innerText)")
        assert await page.value("first") >= 2
        await page.until(f"sound.played() > {tried}")
        await page.until("/last step/.test(document.body.innerText)")
        await page.picture(PICTURES / "centre-escalated.png")
        await page.key("s")
        await page.until("/THE SOUND IS OFF and alarms are waiting/.test(document.body.innerText)")
        await armed(page, f"take-{incident}")
        await page.key("b")
        await page.key("Enter")
        await page.until("document.title === 'No alarm'")
        await page.until("document.getElementById('mute').hidden")
        assert page.complaints == []


async def test_what_supervision_has_lost_stands_calmly_below(tmp_path: Path, browser: str) -> None:
    """Which button, which case, which part, since when; twelve phones at once are one line; no name."""
    async with centre(tmp_path, HAND) as (serving, phone):
        await phone.enrol(HAND)
        case_id = hand_out(tmp_path, HAND.device_id)
        core = core_at(tmp_path)
        bridge, now_ms = core.store.db.execute("SELECT bridge_id FROM bridges").fetchone()[0], core.now_ms()
        burst = [(f"BRIDGE{n}", f"{n:064d}") for n in range(12)]
        db = core.store.db
        db.executemany(
            "INSERT INTO bridges (bridge_id, token_sha256, enrolled_at_ms) VALUES (?, ?, 0)", burst
        )
        rows = [
            ("phone_silent", None, bridge, now_ms - 300_000, None, None),
            ("button_out_of_reach", HAND.device_id, None, now_ms - 7_200_000, None, now_ms - 60_000),
            *(("phone_silent", None, name, now_ms - 120_000, 1, None) for name, _ in burst),
        ]
        db.executemany(
            "INSERT INTO losses (kind, device_id, bridge_id, began_at_ms, found_at_ms, burst_ms, back_at_ms)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (kind, device, phone_id, began, began, *others)
                for kind, device, phone_id, began, *others in rows
            ],
        )
        core.store.close()
        incident = await press(phone, 1, fix=FIX)
        async with opened(browser, serving.console_url) as page:
            await page.until(f"document.activeElement.id === 'take-{incident}'")
            lost = await page.value("document.querySelector('.losses').innerText.replace(/\\s+/g, ' ')")
            assert "12 phones silent at once: probably our own network" in lost
            assert "phone silent: off, or without network" in lost
            assert "button out of reach of its phone" in lost
            assert "heard again since" in lost
            assert case_id in lost
            assert "Lies" not in lost
            assert await page.value(
                "document.querySelector('.untaken').getBoundingClientRect().bottom"
                " <= document.querySelector('.losses').getBoundingClientRect().top"
            )
            await page.picture(PICTURES / "centre-losses.png")
            await page.size(390, 900)
            assert await page.value("document.documentElement.scrollWidth") == 390, "nothing is cut"
            await page.picture(PICTURES / "centre-losses-phone.png", whole=True)
            await page.call("Emulation.setEmulatedVisionDeficiency", type="achromatopsia")
            await page.size(1280, 900)
            await page.picture(PICTURES / "centre-losses-grey.png")
            assert page.complaints == []


async def test_an_operator_leaves_and_changes_the_language_by_keyboard(tmp_path: Path, browser: str) -> None:
    """A goes there, Enter says it, and again on coming back; the board then speaks Dutch, and goes on."""
    is_live = "document.getElementById('live')?.textContent.startsWith('● ')"
    async with (
        centre(tmp_path, HAND) as (serving, phone),
        opened(browser, serving.console_url) as page,
    ):
        await phone.enrol(HAND)
        for is_away in ("true", "false"):
            await page.key("a")
            assert await focus(page) == "away"
            await page.key("Enter")
            await page.until(f"document.body?.dataset.away === '{is_away}' && {is_live}")
            if is_away == "true":
                assert "DESK AWAY" in await page.value("document.getElementById('away').innerText")
                await page.picture(PICTURES / "centre-away.png")
        await page.value("document.querySelector('.languages button[value=nl]').focus()")
        await page.key("Enter")
        await page.until(f"document.documentElement.lang === 'nl' && {is_live}")
        assert "Ik ben even weg" in await page.value("document.getElementById('away').innerText")
        for width in (1280, 390):
            await page.size(width, 900)
            assert await page.value("document.documentElement.scrollWidth") == width
            await page.picture(PICTURES / f"centre-bar-{width}.png")
        incident = await press(phone, 1)
        await page.until(f"Boolean(document.getElementById('take-{incident}'))")
        assert page.complaints == []


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("fr", ("1 ALARME NON PRISE", "personne ne l’a prise", "À faire d’abord", "Consignes permanentes")),
        ("nl", ("1 ALARM NIET OPGENOMEN", "niemand heeft het opgenomen", "Eerst doen", "Vaste instructies")),
        ("de", ("1 ALARM NICHT ÜBERNOMMEN", "niemand hat ihn übernommen", "Zuerst tun", "Dauerweisungen")),
    ],
)
async def test_the_page_speaks_the_operators_language(
    tmp_path: Path, browser: str, language: str, said: tuple[str, ...]
) -> None:
    """Title, board and sheet, and no English left between; nothing is cut, wide or narrow."""
    async with centre(tmp_path, HAND) as (serving, phone):
        incident = await a_walk(serving, phone)
        async with opened(browser, serving.entrance(language=language)) as page:
            await page.until(f"document.activeElement.id === 'take-{incident}'")
            await page.key("o")
            await page.until("Boolean(document.querySelector('.first'))")
            text = await page.value("document.title + document.body.innerText")
            for words in said:
                assert words in text
            for english in ("Position:", "nobody", "taken", "Acknowledge", "battery", "Keys", "ago"):
                assert english not in text.replace("Position: ", ""), english
            await page.picture(PICTURES / f"centre-{language}.png")
            for width in (1280, 390):
                await page.size(width, 900)
                assert await page.value("document.documentElement.scrollWidth") == width
            assert page.complaints == []


async def test_hostile_text_in_every_field_of_a_case_is_only_text(tmp_path: Path, browser: str) -> None:
    """No script runs, no element is made, nothing is cut."""
    evil = "<img src=x onerror=document.title='owned'><script>owned=1</script>\"'>{{7*7}}" + "W" * 300
    async with centre(tmp_path, HAND) as (serving, phone):
        await phone.enrol(HAND)
        hand_out(serving.home, HAND.device_id, hostile(evil))
        incident = await press(phone, 1, fix=FIX)
        async with opened(browser, serving.entrance(name=evil[:80])) as page:
            await page.until(f"document.activeElement.id === 'take-{incident}'")
            await armed(page, f"take-{incident}")
            await page.key("Enter")
            await page.until("Boolean(document.querySelector('.first'))")
            assert await page.value("document.querySelectorAll('.sheet img, .sheet script').length") == 0
            assert await page.value("typeof owned") == "undefined"
            assert "onerror" in await page.value("document.querySelector('.first').innerText")
            for width in (1280, 390):
                await page.size(width, 900)
                assert await page.value("document.documentElement.scrollWidth") == width
            assert page.complaints == []


async def test_nothing_is_lost_without_colours(tmp_path: Path, browser: str) -> None:
    """Seen with no colour at all: what waits is still told from what is taken, by words, shape and light."""
    async with centre(tmp_path, HAND) as (serving, phone):
        incident = await a_walk(serving, phone)
        name = serving.entrance(login="ann", name="Ann Fictie")
        async with opened(browser, name, 1440, 1300) as page:
            await page.until(f"document.activeElement.id === 'take-{incident}'")
            await armed(page, f"take-{incident}")
            await page.key("Enter")
            await page.until("trail.fixes().length === 24")
            now = walk(int(time.time() * 1000))[-1]
            for counter in (2, 3):
                await press(phone, counter, fix=now)
            await phone.call_off(HAND, 2, "3141")
            await page.until("/DURESS/.test(document.title)")
            text = await page.value("document.getElementById('board').innerText")
            assert "▲▲ DURESS: the protected person is in danger" in text
            for said in ("▲ ALARM", "✓", "Ann Fictie has it", "◆◆◇"):
                assert said in text
            await page.guide_picture("operator")
            await page.call("Emulation.setEmulatedVisionDeficiency", type="achromatopsia")
            await page.guide_picture("operator-grey")
            await page.call("Emulation.setEmulatedVisionDeficiency", type="none")
            await page.size(390, 844)
            await page.picture(PICTURES / "operator-phone.png", whole=True)
            assert page.complaints == []


async def test_a_page_that_lost_the_centre_says_so(tmp_path: Path, browser: str) -> None:
    """An operator never trusts a page that stands still."""
    async with contextlib.AsyncExitStack() as kept:
        async with centre(tmp_path, HAND) as (serving, _):
            page = await kept.enter_async_context(opened(browser, serving.console_url, 1280, 500))
        await page.value("heard_ms -= 15000; tick()")
        assert "NOT LIVE" in await page.value("document.getElementById('lost').innerText")
        assert "NOT LIVE" in await page.value("document.title")
        await page.picture(PICTURES / "centre-lost.png", whole=True)
        assert json.dumps(page.complaints).count("exception") == 0


async def test_a_page_that_was_refused_once_comes_back_by_itself(tmp_path: Path, browser: str) -> None:
    """A browser gives a stream up for ever at the first 503: the page says so, and asks again."""
    async with (
        centre(tmp_path, HAND) as (serving, phone),
        opened(browser, serving.console_url) as page,
    ):
        await phone.enrol(HAND)
        await page.value("source.close(); followed_ms = performance.now(); tick()")
        assert await page.value("document.body.classList.contains('is-lost')")
        await press(phone, 1)
        await page.until("document.querySelector('#board .untaken article') !== null")
        await page.until("!document.body.classList.contains('is-lost')")


async def test_a_page_says_and_sounds_that_no_alarm_would_be_taken_or_seen_here(
    tmp_path: Path, browser: str
) -> None:
    """The disk is full, the centre is gone, the session is over: each in words, and heard."""
    async with (
        centre(tmp_path, HAND) as (serving, _),
        opened(browser, serving.console_url) as page,
    ):
        await page.until("/Sound is on/.test(document.getElementById('sound').innerText)")  # by itself
        await page.until("/Live/.test(document.getElementById('live').innerText)")
        await page.value("takes_alarms = false; tick()")
        assert "TAKES NO ALARMS" in await page.value("document.getElementById('live').innerText")
        assert "TAKES NO ALARMS" in await page.value("document.getElementById('takes-none').innerText")
        before = await page.value("sound.played()")
        await page.value("setInterval(() => { heard_ms = -1e9 }, 50), 0")
        await page.until("/NOT LIVE/.test(document.title)")
        await page.until(f"sound.played() > {before}")
        await page.value("leave()")
        assert "SIGNED OUT" in await page.value("document.title")
        assert await page.value("document.querySelector('#signed-out a').pathname") == "/console/sign-in"
