"""A small city: nothing is lost, the same seed gives the same city, and its parts are what theory says."""

import json
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from firmware.board.press import Press
from firmware.flash.life import TYPICAL, Currents, estimate
from sim.app import main
from sim.city import report
from sim.city.city import BATTERY_MAH, BOARD, START_MS, City, Outcome, Plan
from sim.city.event_queue import EventQueue
from sim.city.judgement import judge
from sim.city.people import DAY_MS, Habits
from sim.city.statistics import CALLED_GONE_WRONGLY, TakenPress, Tally, Watched, percentile
from sim.judge.promises import INVENTED, LOST, ONCE
from sim.physics.first_heard import first_heard
from sim.physics.medium import ADV_DELAY_US_MAX, Medium
from sim.physics.scan_profiles import PROFILES
from wire.codes import ALARM, TEST

HOUR_MS = 3_600_000


def live(plan: Plan) -> tuple[Outcome, list[tuple[str, int, int]]]:
    """What came of it, and the incidents that the centre then has."""
    city = City(plan)
    outcome = city.run(lambda _done_ms, _presses: None)
    there = [(one["device_id"], one["event"], one["counter"]) for one in city.centre.audit()]
    city.close()
    return outcome, there


def told(outcome: Outcome) -> dict[str, Any]:
    """All figures but this machine's."""
    found = report.figures(outcome)
    del found["machine"]
    return found


@pytest.fixture(scope="module")
def busy() -> tuple[Outcome, list[tuple[str, int, int]]]:
    """Forty buttons with thirty presses each in a day, and no network for twenty minutes."""
    return live(Plan(40, 4, 7, 1200, 2, 20))


def test_every_press_is_one_incident(busy: tuple[Outcome, list[tuple[str, int, int]]]) -> None:
    """Every alarm is there once, every answered test too, and nothing else."""
    outcome, there = busy
    made = outcome.tally.taken
    answered = {key for key, one in made.items() if one.received_ms >= 0}
    assert sorted(there) == sorted(answered)
    assert {key for key in made if key[1] == ALARM} <= answered
    assert outcome.holds
    assert outcome.tally.of(ALARM) > 20
    assert outcome.tally.of(TEST) > 60
    assert not outcome.tally.counts["codes that were not known"]
    assert not outcome.tally.counts["receipts refused"]


def test_a_press_is_first_heard_then_received_then_confirmed(
    busy: tuple[Outcome, list[tuple[str, int, int]]],
) -> None:
    """No stage is there before the one that it follows from."""
    for one in busy[0].tally.taken.values():
        stages = [one.at_ms, one.heard_ms, one.received_ms, one.confirmed_ms]
        came = [at_ms for at_ms in stages if at_ms >= 0]
        assert came == sorted(came)
        assert stages[: len(came)] == came


def test_without_a_network_nothing_reaches_the_centre_and_afterwards_all_of_it_does(
    busy: tuple[Outcome, list[tuple[str, int, int]]],
) -> None:
    """Whoever pressed in the outage was received within the retry_queue's minute of its end."""
    outcome, _ = busy
    begins_ms, ends_ms = (START_MS + ms for ms in outcome.plan.outage_ms or ())
    minutes = range((begins_ms - START_MS) // 60_000, (ends_ms - START_MS) // 60_000)
    assert [outcome.tally.posts[minute] for minute in minutes] == [0] * 20
    # A test that was heard in time goes on, too; what waits at a phone is sent within a minute.
    waited = [one for one in outcome.tally.taken.values() if begins_ms + 60_000 <= one.heard_ms < ends_ms]
    assert waited
    assert all(ends_ms <= one.received_ms <= ends_ms + 60_000 for one in waited)


def test_buttons_with_a_way_of_their_own_are_one_incident_a_press_too() -> None:
    """Some presses come without a phone, some both ways; nothing is lost, and none is there twice."""
    outcome, there = live(Plan(30, 4, 7, 900, 2, 20, own_way=0.5))
    counts = outcome.tally.counts
    assert outcome.holds
    assert counts["presses brought without a phone"] > 0
    assert counts["posts of a press that was known"] > 0
    assert len(there) == len(set(there))
    answered = {key for key, one in outcome.tally.taken.items() if one.received_ms >= 0}
    assert sorted(there) == sorted(answered)


def test_the_same_seed_is_the_same_city() -> None:
    """To the last figure; another seed is another city."""
    first, again, other = (told(live(Plan(12, 1, seed, 600))[0]) for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_every_phone_gives_a_sign_of_life_a_minute() -> None:
    """Exactly, each in a second of its own: nobody is off in this hour, so it is sixty each."""
    plan = Plan(30, 1, 5, 0)
    habits = [Habits(f"habits 5 {n}", START_MS, START_MS + HOUR_MS) for n in range(30)]
    assert not any(begins_ms < START_MS + HOUR_MS for one in habits for begins_ms, _ in one.off)
    outcome, there = live(plan)
    assert outcome.tally.counts["signs of life taken"] == 30 * 60
    assert outcome.tally.posts == [30] * 60
    assert there == []


@pytest.mark.parametrize("profile", ["android-sleeping", "ios-background", "desktop"])
def test_a_burst_as_one_event_is_heard_when_its_first_advert_is(profile: str) -> None:
    """The pauses that are skipped hold none that could have been heard."""
    medium, duty, every_us = Medium(2, 0.5), PROFILES[profile], 152_500 + ADV_DELAY_US_MAX // 2
    found = []
    for session in range(1, 40):
        times_us = [n * every_us + medium.adv_delay_us("b", session * 1_000_000 + n) for n in range(200)]
        heard = [
            at_us + reception.delay_us
            for n, at_us in enumerate(times_us)
            if at_us < 20_000_000
            and (reception := medium.hears("b", "p", session * 1_000_000 + n, at_us, duty))
        ]
        at_us, reception = first_heard(medium, ("b", "p"), session, (0, 0, 20_000_000), 152_500, duty)
        assert (None if reception is None else at_us) == (heard[0] if heard else None)
        found.append(reception)
    assert any(found)


def test_what_is_due_at_the_same_time_happens_in_the_order_it_was_asked_for() -> None:
    """And what is asked for the past happens now."""
    queue, seen = EventQueue(100), list[int]()
    for number, at_ms in enumerate((300, 200, 200, 50)):
        queue.at(at_ms, seen.append, number)
    queue.run(250)
    assert (seen, queue.now_ms) == ([3, 1, 2], 250)


def incident(number: int, key: tuple[str, int, int]) -> dict[str, Any]:
    device_id, event, counter = key
    which = {"device_id": device_id, "event": event, "counter": counter}
    return {"incident": f"i{number}", **which, "stages": [1]}


@pytest.mark.parametrize(
    ("promise", "at_centre"),
    [
        ("", [("A", ALARM, 1), ("A", ALARM, 2)]),
        (LOST, [("A", ALARM, 1)]),
        (LOST, [("A", ALARM, 2)]),
        (ONCE, [("A", ALARM, 1), ("A", ALARM, 1), ("A", ALARM, 2)]),
        (INVENTED, [("A", ALARM, 1), ("A", ALARM, 2), ("A", ALARM, 3)]),
        (INVENTED, [("A", ALARM, 1), ("A", ALARM, 2), ("B", ALARM, 9)]),
    ],
)
def test_a_lost_a_doubled_and_an_invented_press_are_told(
    promise: str, at_centre: list[tuple[str, int, int]]
) -> None:
    """By the promises of every world; a test that nobody heard is none of them."""
    tally = Tally(0, 10)
    hour = 3_600_000
    taken = {("A", ALARM, 1): hour, ("A", ALARM, 2): 2 * hour, ("A", TEST, 3): 3 * hour}
    tally.taken = {key: TakenPress(at_ms) for key, at_ms in taken.items()}
    audit = [incident(number, key) for number, key in enumerate(at_centre)]
    verdict = judge(tally, audit, 4 * hour, 5 * hour)
    assert {one.promise for one in verdict.broken} == {promise} - {""}
    outcome = Outcome(Plan(2, 1, 1, 1), tally, verdict, 1.0, 400.0, 1.0, 1.0, 0.1, Watched({}, []))
    assert outcome.holds == (not promise)
    lines = list(report.lines(outcome))
    assert any(line.startswith(f"BROKEN: {promise}") for line in lines) == bool(promise)
    assert any(line.startswith("not seen, for a city has no motors") for line in lines)
    assert ("a promise was broken" in report.as_html(outcome)) == bool(promise)


def test_percentiles_are_values_that_were_there() -> None:
    """The smallest that so many are not above."""
    values = list(range(1, 101))
    assert [percentile(values, share) for share in (0.5, 0.95, 0.99, 1.0)] == [50, 95, 99, 100]
    assert percentile([7], 0.5) == 7


def test_phones_are_charged_at_night_and_seldom_off() -> None:
    """Percent stays a percent; some are off on some day, none for longer than eight hours."""
    many = [Habits(f"h {n}", START_MS, START_MS + 5 * DAY_MS) for n in range(200)]
    spans = [ends_ms - begins_ms for one in many for begins_ms, ends_ms in one.off]
    assert 5 <= len(spans) <= 45
    assert all(HOUR_MS <= span <= 8 * HOUR_MS for span in spans)
    percents = [one.percent(START_MS + minute * 60_000) for one in many[:20] for minute in range(1440)]
    assert min(percents) >= 15
    assert max(percents) == 100


def test_the_command_writes_its_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A verdict, figures, a page with one picture."""
    page, figures = tmp_path / "c.html", tmp_path / "c.json"
    asked = ["--buttons", "5", "--hours", "0.5", "--presses-per-day", "480"]
    assert main(["city", *asked, "--json", str(figures), "--html", str(page)]) == 0
    assert "no alarm was lost" in capsys.readouterr().out
    found = json.loads(figures.read_text())
    assert (found["buttons"], found["holds"], found["broken"]) == (5, True, [])
    assert "<polyline" in page.read_text()


@pytest.mark.parametrize(
    "asked",
    [
        "--buttons 0",
        "--buttons 1e3",
        "--buttons 99999999",
        "--hours nan",
        "--hours 0",
        "--hours inf",
        "--seed -1",
        "--presses-per-day -1",
        "--presses-per-day 1e99",
        "--outage-at 3",
        "--outage-min 3",
        "--outage-at 3 --outage-min 1 --hours 2",
        "--json /nowhere/at/all.json",
        "--html /",
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(asked: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and nothing is started."""
    try:
        code = main(["city", *asked.split()])
    except SystemExit as stop:
        code = int(stop.code or 0)
    said = capsys.readouterr()
    assert code == 2
    assert said.out == ""
    assert said.err.splitlines()[-1].startswith("amr-sim city: ")
    assert "Traceback" not in said.err


def test_ctrl_c_ends_it_without_a_trace() -> None:
    """In the middle of a month."""
    asked = ("city", "--buttons", "20", "--hours", "744")
    with subprocess.Popen(
        [sys.executable, "-m", "sim.app", *asked], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as city:
        assert city.stderr
        city.stderr.readline()  # made and enrolled ...
        city.send_signal(signal.SIGINT)
        out, err = city.communicate()
    assert city.returncode == 130
    assert "Traceback" not in out + err


@pytest.mark.slow
@pytest.mark.computes
def test_a_herd_after_an_outage_is_shed_and_two_minutes_later_out_of_step() -> None:
    """All phones try again within ten seconds; whoever is answered has a second of its own from then on.

    The centre takes as many signs of life for each phone as the real one would of three thousand.
    """
    city = City(Plan(600, 0.3, 2, 600, 0.1, 3, signs_per_s=50))
    shed = []
    outcome = city.run(lambda _done_ms, _presses: shed.append(city.tally.counts["signs of life shed"]))
    city.close()
    by_minute = [after - before for before, after in pairwise(shed)]
    after = report.figures(outcome)["after_outage_per_s"]
    before = max(outcome.tally.busiest[1:5])
    assert max(by_minute) > 60
    assert by_minute[-1] == 0
    assert after[0] > 50, "a tenth of all in each second"
    assert max(after[2:]) <= before + 10 < 40
    assert outcome.holds


@pytest.fixture(scope="module")
def day() -> tuple[City, Outcome]:
    """Twelve buttons that nobody presses, for a day; half of them are left at home at noon."""
    city = City(Plan(12, 24, 3, 0))
    for number, phone in enumerate(city.phones[:6]):
        phone.habits.apart.append((START_MS + 12 * HOUR_MS, START_MS + (20 + number % 2) * HOUR_MS))
        city.queue.at(phone.habits.apart[-1][0], phone.part, True)
        city.queue.at(phone.habits.apart[-1][1], phone.part, False)
    outcome = city.run(lambda _done_ms, _presses: None)
    city.close()
    return city, outcome


@pytest.mark.slow
@pytest.mark.computes
def test_a_button_that_nobody_presses_takes_what_the_life_command_says(day: tuple[City, Outcome]) -> None:
    """The same currents, the same state machine: within the rhythm's chance of a few slots."""
    spent_mah = [phone.button.spent_mah() for phone in day[0].phones[6:]]
    rows = estimate(Currents(BOARD), BATTERY_MAH, 900, 0)
    a_day_mah = sum(row.mah[TYPICAL] for row in rows)
    assert sum(spent_mah) / 6 == pytest.approx(a_day_mah, rel=0.03)


@pytest.mark.slow
@pytest.mark.computes
def test_a_button_beside_its_phone_is_not_called_out_of_reach_and_one_left_at_home_is(
    day: tuple[City, Outcome],
) -> None:
    """Who is away for longer than its phone needs is found while it is away."""
    outcome = day[1]
    assert outcome.watched.wrong <= 1
    assert outcome.tally.counts[CALLED_GONE_WRONGLY] < 60 * 12
    assert len(outcome.watched.found_after_ms()) >= 5
    assert outcome.watched.found_after_ms()[-1] <= (7 * 60 + 17) * 60_000, "as declared, and a look a minute"


def test_losses_are_judged_by_where_the_buttons_were() -> None:
    """Wrong: it was there from its last sign until it was called lost. Found: called so while it was away."""
    hour = HOUR_MS
    absences = {"A": [(2 * hour, 5 * hour), (20 * hour, 21 * hour)], "B": []}
    watched = Watched(
        absences,
        [("A", hour, 4 * hour), ("A", 9 * hour, 10 * hour), ("A", 20 * hour, 22 * hour), ("B", 0, hour)],
    )
    assert watched.wrong == 2
    assert watched.found_after_ms() == [2 * hour]


def test_a_press_while_the_phone_is_off_for_hours_is_received_when_it_is_on_again() -> None:
    """By then its codes are far ahead of what the phone has heard."""
    city = City(Plan(1, 9, 1, 0))
    (phone,) = city.phones
    city.queue.at(START_MS + HOUR_MS, phone.switch_off)
    city.queue.at(START_MS + HOUR_MS + 60_000, city.press, phone, Press.hold)
    city.queue.at(START_MS + 7 * HOUR_MS, phone.switch_on)
    outcome = city.run(lambda _done_ms, _presses: None)
    city.close()
    ((key, press),) = outcome.tally.taken.items()
    assert key[1] == ALARM
    assert START_MS + 7 * HOUR_MS < press.received_ms < START_MS + 9 * HOUR_MS
