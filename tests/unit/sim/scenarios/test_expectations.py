"""Verdicts can fail: each promise, broken by hand, is found broken."""

from dataclasses import replace

from sim.judge.events import WorldEvent
from sim.judge.promises import LOST, ONCE, PROMISES, Broken, Judgement, Unseen
from sim.scenarios.expectations import Verdict, expected, promised
from sim.scenarios.model import Expect, Scenario, read
from tests.unit.sim.scenarios.parts import GOOD

IDS = {"button": "AAAA"}
WHOLE = [
    WorldEvent(1000, "hand", "acts", {"button": "button", "does": "press"}),
    WorldEvent(1500, "button", "advert", {"args": ["1", "7", "20000"]}),
    WorldEvent(1500, "air", "advert", {"button": "button", "address": "A1", "data": b"code 7"}),
    WorldEvent(1600, "phone", "heard", {"device_id": "AAAA", "event": 1, "counter": 7}),
    WorldEvent(1700, "centre", "received", {"device_id": "AAAA", "event": 1, "counter": 7, "incident": "i"}),
    WorldEvent(1800, "button", "receipt", {"args": ["1"]}),
    WorldEvent(5000, "button", "receipt", {"args": ["3"]}),
    WorldEvent(6000, "air", "advert", {"button": "button", "address": "A2", "data": b"code 8"}),
    WorldEvent(
        4900, "centre", "dispatched", {"device_id": "AAAA", "event": 1, "counter": 7, "incident": "i"}
    ),
]


def expecting(what: str, **more: object) -> Scenario:
    usual = Expect(1, what, press=1, within_ms=0, never=False, count=1, reason="", who="")
    return replace(read(GOOD), expects=(replace(usual, **more),))  # type: ignore[arg-type]


def asked(events: list[WorldEvent], what: str, **more: object) -> Verdict:
    return expected(expecting(what, **more), events, IDS, 0)[0]


def test_a_press_that_went_all_the_way_is_found_whole() -> None:
    """Each stage when it was first reached, counted from the hand."""
    for stage in ("taken", "heard", "received", "confirmed", "acknowledged", "dispatched"):
        assert asked(WHOLE, stage).holds, stage
    assert asked(WHOLE, "confirmed", within_ms=800).holds
    assert not asked(WHOLE, "confirmed", within_ms=799).holds
    assert not asked(WHOLE, "closed").holds
    assert asked(WHOLE, "closed", never=True).holds
    assert not asked(WHOLE, "received", never=True).holds
    assert asked(WHOLE, "incidents").holds
    assert not asked(WHOLE, "incidents", count=2).holds


def test_a_stage_can_be_looked_for_at_one_phone_or_at_the_centre() -> None:
    """Where the button does not know of it, or another phone was first."""
    assert asked(WHOLE, "heard", who="phone", within_ms=600).holds
    assert not asked(WHOLE, "heard", who="tablet").holds
    assert not asked(WHOLE, "received", who="phone").holds
    assert asked(WHOLE, "dispatched", who="centre", within_ms=3900).holds
    assert not asked(WHOLE, "acknowledged", who="centre").holds
    assert not asked(WHOLE, "dispatched", who="centre", never=True).holds


def test_a_trouble_that_was_not_told_is_told_beside_those_that_were() -> None:
    """Its reason may be misspelt."""
    full = WorldEvent(1200, "phone", "trouble", {"reason": "disk_full"})
    assert asked([*WHOLE, full], "trouble", reason="disk_full", who="phone").holds
    assert asked([*WHOLE, full], "trouble", reason="disk_ful").text.endswith("told: disk_full")
    assert not asked([*WHOLE, full], "trouble", reason="disk_full", who="tablet").holds


def test_strangers_count_who_were_let_go() -> None:
    """By the button's own words."""
    let_go = WorldEvent(1400, "button", "stranger", {"args": []})
    assert asked([*WHOLE, let_go, let_go], "strangers", count=2).holds
    assert not asked([*WHOLE, let_go], "strangers", count=2).holds


def test_a_second_hold_before_the_receipt_is_the_same_press() -> None:
    """Both acts of the hand are that press."""
    again = [WorldEvent(1650, "hand", "acts", WHOLE[0].data), replace(WHOLE[1], at_ms=1660)]
    made = [*WHOLE[:4], *again, *WHOLE[4:]]
    assert asked(made, "incidents").holds
    assert asked(made, "confirmed", press=2).holds


def test_a_press_is_not_taken_for_anothers() -> None:
    """What the centre has received of another button is not this one's."""
    foreign = replace(WHOLE[4], data=WHOLE[4].data | {"device_id": "BBBB"})
    assert not asked([*WHOLE[:4], foreign], "received").holds


def test_a_flood_counts_until_the_press_has_come_through() -> None:
    """What was refused afterwards shows nothing about the press; where none came, all of it counts."""
    signs = [
        WorldEvent(at_ms, "fleet", "signs", {"taken": 20, "refused": 300}) for at_ms in (1000, 1690, 1710)
    ]
    assert asked([*WHOLE, *signs], "refused", count=600).holds
    assert not asked([*WHOLE, *signs], "refused", count=601).holds
    assert asked(signs, "refused", count=900).holds
    assert not asked(WHOLE, "refused").holds


def test_a_verdict_says_why_something_did_not_happen() -> None:
    """What the page has said to a wrong PIN; that nobody was asked to close."""
    wrong = WorldEvent(5100, "hand", "called off", {"phone": "phone", "outcome": "wrong_pin"})
    scenario = expecting("called_off")
    scenario = replace(scenario, acts=(*scenario.acts, replace(scenario.acts[0], does="call_off", press=1)))
    verdict = expected(scenario, [*WHOLE, wrong], IDS, 0)[0]
    assert verdict.text == "press 1 called_off: did not happen; the phone's page said: wrong_pin"
    closing = asked(WHOLE, "closed")
    assert closing.text == 'press 1 closed: did not happen; no act has does = "close" for press 1'


def test_a_verdict_says_from_when_it_counts() -> None:
    """A stage from the hand's press, what is of no press from the beginning."""
    assert asked(WHOLE, "confirmed").text == "press 1 confirmed: 800 ms after the press"
    full = WorldEvent(1200, "phone", "trouble", {"reason": "disk_full"})
    verdict = asked([*WHOLE, full], "trouble", reason="disk_full")
    assert verdict.text == "trouble (disk_full): 1200 ms after the beginning"


def test_each_promise_has_a_verdict() -> None:
    """Broken, kept, or not seen: then it does not count as held without a word."""
    judgement = Judgement([Broken(ONCE, 1.0, "two")], [Unseen(LOST, "too short")])
    verdicts = promised(judgement)
    assert len(verdicts) == len(PROMISES)
    assert [one.text for one in verdicts if not one.holds] == [f"{ONCE}: two"]
    assert [one.text for one in verdicts if not one.is_seen] == [f"{LOST}: not seen, too short"]
