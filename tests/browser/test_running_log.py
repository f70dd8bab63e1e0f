"""An alarm's running log in a real browser: patrols, remarks, who has it, how it ends."""

from pathlib import Path

from tests.browser.chromium import PICTURES, Tab
from tests.browser.desk import HAND, armed, focus, hand_out, opened, press, stage
from tests.unit.centre.parts import FIX, centre
from wire import receipts


async def do(page: Tab, button: str) -> None:
    """Press a button of the sheet, once it takes a press."""
    await armed(page, button)
    await page.click(f"#{button}")


async def seen(page: Tab, words: str, place: str = "sheet") -> None:
    await page.until(f"document.getElementById('{place}').innerText.includes({words!r})")


async def test_patrols_and_remarks_are_noted_while_the_alarm_runs(tmp_path: Path, browser: str) -> None:
    """Each patrol its steps, remarks by keyboard; a text that is refused stays, with the cause above it."""
    async with centre(tmp_path, HAND) as (serving, phone):
        await phone.enrol(HAND)
        hand_out(tmp_path, HAND.device_id)
        incident = await press(phone, 1, fix=FIX)
        async with opened(browser, serving.console_url, 1280, 1400) as page:
            await do(page, f"take-{incident}")
            await page.until(f"Boolean(document.getElementById('note-{incident}'))")
            for name in ("Zone 12", "Dog unit"):
                await page.value(f"document.getElementById('note-{incident}').focus()")
                await page.write(name)
                await do(page, f"dispatch-{incident}")
                await seen(page, f"patrol {name}: sent")
            await do(page, f"patrol-{incident}-1-on_scene")
            await seen(page, "patrol Zone 12: on scene")
            assert await page.value(f"document.getElementById('patrol-{incident}-1-on_the_way')") is None
            assert await page.value(f"Boolean(document.getElementById('patrol-{incident}-2-on_the_way'))")

            await page.until("document.activeElement.id === 'sheet'")
            await page.key("r")
            assert await focus(page) == f"remark-{incident}"
            await page.write("x" * 2001)
            await do(page, f"add-{incident}")
            await seen(page, "Not done. The text cannot be kept like this", "notice")
            field = f"document.getElementById('remark-{incident}')"
            assert await page.value(f"{field}.value.length") == 2001
            await page.value(f"{field}.value = ''; {field}.focus()")
            await page.write("The neighbour rang: a light is on. می‌روم 👩‍👧")
            await do(page, f"add-{incident}")
            await seen(page, "The neighbour rang: a light is on. می‌روم 👩‍👧")
            await page.until(f"{field}.value === ''")
            await page.picture(PICTURES / "running-log.png", whole=True)
            await page.size(390, 900)
            assert await page.value("document.documentElement.scrollWidth") == 390, (
                "nothing is cut on a phone"
            )
            await page.picture(PICTURES / "running-log-phone.png", whole=True)
            assert all("422" in str(one) for one in page.complaints), "but for the text that was refused"


async def test_a_wrong_closing_is_undone_by_keyboard(tmp_path: Path, browser: str) -> None:
    """U goes there and Enter does it; the button has felt nothing."""
    async with centre(tmp_path, HAND, undo_close_s=60) as (serving, phone):
        await phone.enrol(HAND)
        incident = await press(phone, 1)
        async with opened(browser, serving.console_url) as page:
            await do(page, f"take-{incident}")
            await page.until(f"Boolean(document.getElementById('why-{incident}'))")
            await page.value(f"document.getElementById('why-{incident}').value = 'mis-press'")
            await do(page, f"close-{incident}")
            await seen(page, "Closed by Operator: pressed by mistake.")
            await page.until("/closes at/.test(document.querySelector('.mine').innerText)")
            await page.until("document.activeElement.id === 'sheet'")
            await page.picture(PICTURES / "closing.png")
            await page.key("u")
            assert await focus(page) == f"undo-{incident}"
            await armed(page, f"undo-{incident}")
            await page.key("Enter")
            await seen(page, "undid the closing")
            await page.until(f"Boolean(document.getElementById('why-{incident}'))")
            assert await stage(phone, 1) == receipts.ACKNOWLEDGED
            assert page.complaints == []


async def test_an_alarm_goes_to_a_colleague_and_back_to_all(tmp_path: Path, browser: str) -> None:
    """New on the colleague's board until it is opened; given back, it waits for everybody again, louder."""
    async with centre(tmp_path, HAND) as (serving, phone):
        await phone.enrol(HAND)
        ann, bo = (serving.entrance(login=name, name=f"{name.title()} Fictie") for name in ("ann", "bo"))
        incident = await press(phone, 1)
        async with opened(browser, ann) as first, opened(browser, bo) as second:
            await do(first, f"take-{incident}")
            await first.until(f"Boolean(document.getElementById('to-{incident}'))")
            options = f"[...document.getElementById('to-{incident}').options].map((one) => one.text).join()"
            assert await first.value(options) == "choose,Bo Fictie"
            await first.value(f"document.getElementById('to-{incident}').selectedIndex = 1")
            await do(first, f"hand-{incident}")
            await seen(second, "handed over, not opened yet", "board")
            await second.click(f"#open-{incident}")
            await seen(second, "You have it")
            await first.until(
                "!/handed over, not opened yet/.test(document.getElementById('board').innerText)"
            )
            await do(second, f"back-{incident}")
            await seen(first, "GIVEN BACK: nobody has it", "board")
            await seen(first, "louder", "board")
            await first.picture(PICTURES / "given-back.png")
            await do(first, f"take-{incident}")
            await seen(first, "took the alarm over")
            assert first.complaints == second.complaints == []


async def test_a_shift_is_searched_and_handed_over(tmp_path: Path, browser: str) -> None:
    """From the board by its link; a patrol's sheet prints on one page of paper, black on white."""
    async with centre(tmp_path, HAND, undo_close_s=0) as (serving, phone):
        await phone.enrol(HAND)
        hand_out(tmp_path, HAND.device_id)
        bo = serving.entrance(login="bo", name="Bo Fictie")
        first, second = await press(phone, 1, fix=FIX), await press(phone, 2, fix=FIX)
        async with opened(browser, bo):
            pass
        async with opened(browser, serving.console_url) as page:
            await do(page, f"take-{first}")
            await page.until(f"Boolean(document.getElementById('why-{first}'))")
            await page.value(f"document.getElementById('why-{first}').value = 'mis-press'")
            await do(page, f"close-{first}")
            await seen(page, "closed; the button has been told")
            await do(page, f"take-{second}")
            await seen(page, "Earlier alarms of the same person")
            await page.click("a[href='/console/shift']")
            await page.until("location.pathname === '/console/shift'")
            await page.value("document.getElementById('find').value = 'example'")
            await page.value("document.getElementById('reason').value = 'mis-press'")
            await page.click("form.find button")
            await page.until(f"document.querySelector('tbody a')?.href.endsWith('{first}')")
            assert await page.value("document.querySelectorAll('tbody tr').length") == 1
            for width in (390, 1280):
                await page.size(width, 900)
                assert await page.value("document.documentElement.scrollWidth") == width
                await page.picture(PICTURES / f"shift-{width}.png", whole=True)
            await page.value("document.getElementById('to').selectedIndex = 1")
            await page.click("form[method=post] .field + button")
            await page.until("/1 alarm\\(s\\) handed over/.test(document.body.innerText)")
            await page.open(f"{serving.url}/console/incidents/{second}/patrol")
            await page.until("/knife/.test(document.body.innerText)")
            await page.size(390, 900)
            assert await page.value("document.documentElement.scrollWidth") == 390
            await page.size(794, 1123)  # A4 at 96 dots an inch
            await page.call("Emulation.setEmulatedMedia", media="print")
            assert await page.value("document.documentElement.scrollHeight") <= 1123, "one page"
            await page.picture(PICTURES / "patrol-sheet.png", whole=True)
            assert page.complaints == []
