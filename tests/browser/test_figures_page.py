"""The Institute's page in a real browser, by keyboard alone; its guide's picture."""

import random
from pathlib import Path

from centre.rules import access, figures
from centre.rules.figures import Facts
from centre.work import figures as work
from tests.browser.chromium import PICTURES, new_tab
from tests.unit.centre.parts import centre, core_at

ZONES = {"9991": 25, "9992": 12, "9993": 8, "9994": 3}  # no police zone has such a number
OUTCOMES = (*["mis-press"] * 6, *["called-off"] * 3, *["technical"] * 2, "real")


def invented() -> Facts:
    """A month as it might be, the same each time."""
    chance, facts = random.Random(7), Facts()
    for zone, alarms in ZONES.items():
        for _ in range(alarms):
            facts.count("alarms", zone, chance.choice(OUTCOMES))
            facts.sample("received_ms", zone, int(chance.lognormvariate(7.4, 0.4)))
            facts.sample("acknowledged_ms", zone, int(chance.lognormvariate(9, 0.5)))
        for _ in range(alarms * 4):
            facts.count("tests", zone)
            facts.count("buttons", zone, chance.choice(("low", *["well"] * 8)))
            facts.count("grants_running", zone)
            if chance.random() < 0.12:
                facts.count("grants_started", zone)
                facts.count("grants_ended", zone, chance.choice(("3-5", "6-11", "12-23")))
                facts.count("out_of_reach", zone)
                facts.sample("out_of_reach_min", zone, int(chance.lognormvariate(4, 0.6)))
            facts.sample("battery_mv", zone, chance.randint(2700, 3050))
    return facts


async def test_the_institute_reads_a_month_and_takes_it_away(tmp_path: Path, browser: str) -> None:
    """Chosen, shown and fetched as CSV by keys; nothing is cut off on a phone."""
    async with centre(tmp_path / "home") as (serving, _), new_tab(browser) as page:
        core = core_at(tmp_path / "home")
        for month in ("2026-09", "2026-10"):
            counting = work.Counting(month, figures.following(month))
            counting.facts = invented()
            work.keep(core, counting)
        core.store.close()
        await page.size(1280, 900)
        await page.open(serving.entrance(access.INSTITUTE))
        await page.until("location.pathname === '/console/figures'")
        await page.value("document.querySelector('select[name=from]').focus()")
        await page.key("ArrowUp")
        await page.value("document.querySelector('form[method=get] button, main form button').focus()")
        await page.key("Enter")
        await page.until("/from=/.test(location.search) && document.readyState === 'complete'")
        assert "2026-10" in await page.value("document.querySelector('main table').innerText")
        text = await page.value("document.querySelector('main').innerText")
        assert "<5" not in text.replace("2026", "")
        for said in ("48", "Mis-press", "Other zones", "9991"):
            assert said in text
        file = await page.value("fetch(document.querySelector('a[href*=csv]').href).then((r) => r.text())")
        assert file.startswith("month,zone,figure,class,value\r\n2026-")
        assert "9992,alarms,all,12" in file
        assert "9994,alarms" not in file, "a zone of three is among the others"
        await page.open(f"{serving.url}/console/figures?from=2026-10&to=2026-10")
        await page.guide_picture("institute", whole=True)
        await page.size(390, 900)
        assert await page.value("document.documentElement.scrollWidth") == 390, "nothing is cut on a phone"
        await page.picture(PICTURES / "institute-phone.png", whole=True)
        assert page.complaints == []
