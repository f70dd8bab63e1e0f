"""A test alarm on a desk, in a real browser: marked as an exercise, below true ones, confirmed by key."""

from pathlib import Path

from centre.rules import access
from centre.work import exercises
from tests.browser.chromium import PICTURES
from tests.browser.desk import HAND, armed, focus, opened, press, stage
from tests.unit.centre.parts import FIX, Hand, Phone, Serving, centre, core_at, phone_of
from wire import receipts

CHECK = Hand(2)
ZONE = "5340"


async def enrolled(serving: Serving, phone: Phone) -> None:
    """The check button's own phone."""
    core = core_at(serving.home)
    exercises.add_check_button(core, ZONE, CHECK.registered)
    await phone.enrol(CHECK)


async def test_a_test_alarm_says_so_and_is_seen_and_heard_by_keyboard(tmp_path: Path, browser: str) -> None:
    """One key after another; the button feels that it is over; the administrator sees who it was."""
    async with (
        centre(tmp_path) as (serving, phone),
        opened(browser, serving.console_url) as page,
    ):
        await enrolled(serving, phone)
        incident = (await phone.post(CHECK.alarm(1)))[1]["incident"]
        await page.until("/EXERCISE/.test(document.querySelector('article.alarm')?.innerText ?? '')")
        shown = await page.value("document.querySelector('article.alarm').innerText")
        assert "Nobody is in danger: send nobody in earnest. Zone 5340." in shown
        await page.picture(PICTURES / "centre-exercise.png")
        assert await focus(page) == f"take-heard-{incident}"
        await armed(page, f"take-heard-{incident}")
        await page.key("Enter")
        await page.until("/EXERCISE · Closed/.test(document.getElementById('board').innerText)")
        assert page.complaints == []
        assert (await phone.post(CHECK.alarm(1)))[1]["receipt"]["stage"] == receipts.CLOSED
        said = exercises.desk_check(core_at(tmp_path), incident)
        assert said is not None
        assert (said.name, said.sound_heard) == ("Operator", 1)
        await page.open(serving.entrance(access.ADMINISTRATOR))
        await page.until("/Desks checked last/.test(document.body.innerText)")
        row = await page.value(
            "[...document.querySelectorAll('tr')].find(r => /5340/.test(r.innerText)).innerText"
        )
        assert "Operator" in row
        assert "heard" in row


async def test_a_true_alarm_stands_above_the_exercise_and_its_sheet_is_unmarked(
    tmp_path: Path, browser: str
) -> None:
    """Though the exercise came first; the sheets say which is which."""
    async with centre(tmp_path, HAND) as (serving, phone):
        async with phone_of(serving.url, serving.authority.pem.decode()) as other:
            await enrolled(serving, other)
            drill = (await other.post(CHECK.alarm(1)))[1]["incident"]
        await phone.enrol(HAND)
        true = await press(phone, 1, fix=FIX)
        async with opened(browser, serving.console_url) as page:
            await page.until("document.querySelectorAll('article.alarm').length === 2")
            shown = "[...document.querySelectorAll('article.alarm')].map(card => card.id.slice(2))"
            assert await page.value(shown) == [true, drill]
            for incident, is_marked in ((drill, True), (true, False)):
                await page.click(f"#open-{incident}")
                await page.until(f"document.querySelector('.sheet')?.dataset.incident === '{incident}'")
                sheet = await page.value("document.querySelector('.sheet').innerText")
                assert ("EXERCISE" in sheet) is is_marked
        assert await stage(phone, 1) == receipts.RECEIVED


async def test_among_many_alarms_both_answers_can_be_clicked(tmp_path: Path, browser: str) -> None:
    """The compact card has room for both buttons, one below the other, and still says what it is."""
    async with centre(tmp_path, HAND) as (serving, phone):
        async with phone_of(serving.url, serving.authority.pem.decode()) as other:
            await enrolled(serving, other)
            await other.post(CHECK.alarm(1))
        await phone.enrol(HAND)
        for counter in (1, 2, 3):
            await press(phone, counter, fix=FIX)
        async with opened(browser, serving.console_url, 1280, 800) as page:
            await page.until("document.querySelectorAll('article.alarm').length === 4")
            card = "document.querySelector('article.exercise')"
            boxes = f"[...{card}.querySelectorAll('button')].map(one => one.getBoundingClientRect())"
            await page.picture(PICTURES / "centre-exercise-many.png")
            assert await page.value(f"{boxes}[0].bottom <= {boxes}[1].top")
            for side in ("bottom", "right"):
                assert await page.value(f"{boxes}[1].{side} + 5 <= {card}.getBoundingClientRect().{side}")
            assert "EXERCISE" in await page.value(f"{card}.innerText")
