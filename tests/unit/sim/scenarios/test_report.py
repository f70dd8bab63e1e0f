"""The reports tell what happened, and not its opposite."""

import json
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from sim.judge.events import WorldEvent
from sim.scenarios import report
from sim.scenarios.expectations import Verdict
from sim.scenarios.model import read
from sim.scenarios.play import Played
from sim.scenarios.sentences import words
from tests.unit.sim.scenarios.parts import GOOD

PLAYED = Played(
    read(GOOD),
    1000.0,
    61_000.0,
    [
        WorldEvent(1000, "world", "fault_begins", {"fault": "network_cut", "who": "phone", "for_ms": 30_000}),
        WorldEvent(1500, "hand", "acts", {"button": "button", "does": "press"}),
        WorldEvent(2000, "phone", "heard", {"event": 1, "counter": 1}),
        WorldEvent(3000, "hand", "called off", {"phone": "phone", "outcome": "wrong_pin"}),
        WorldEvent(4000, "centre", "received", {"event": 1, "counter": 1, "known": True, "is_age": True}),
    ],
    [],
    [
        Verdict(True, "held <b>"),
        Verdict(False, "broke", 7),
        Verdict(True, "the bound: not seen, too short", is_seen=False),
    ],
    {"centre": "centre", "button": "button", "phone": "phone"},
)


def test_an_act_that_was_refused_is_drawn_as_refused() -> None:
    """A call-off with a wrong PIN has not called anything off."""
    page = report.as_html([PLAYED])
    assert ">call-off refused: wrong pin</text>" in page
    assert ">called off<" not in page
    refused = WorldEvent(0, "hand", "called off", {"outcome": "done"})
    assert words(refused) == "called off"


def test_a_press_that_is_told_again_is_not_drawn_as_received_twice() -> None:
    """What comes again brings the age."""
    assert "told the age of" in report.as_html([PLAYED])
    assert words(PLAYED.events[-1]) == "told the age of ALARM 1"
    again = replace(PLAYED.events[-1], data=PLAYED.events[-1].data | {"is_age": False})
    assert words(again) == "told again of ALARM 1"


def test_the_axis_ends_with_the_play() -> None:
    """Half of a minute is half of the picture, though nothing happens after four seconds."""
    page = report.picture(PLAYED)
    bar = re.search(r'<rect class="fault" x="([\d.]+)" y="\d+" width="([\d.]+)"', page)
    lane = re.search(r'<rect class="lane" x="\d+" y="\d+" width="(\d+)"', page)
    assert bar
    assert lane
    assert float(bar[2]) == pytest.approx(float(lane[1]) / 2, abs=1)
    assert ">60 s</text>" in page


def test_a_verdict_that_could_not_be_seen_is_neither_good_nor_bad() -> None:
    """On the page, and for a CI."""
    page = report.as_html([PLAYED])
    assert re.findall(r'<li class="(good|bad|unseen)"><b>', page) == ["good", "bad", "unseen"]
    assert "held &lt;b&gt;" in page
    assert "<small>line 7</small>" in page
    suite = ElementTree.fromstring(report.as_junit([PLAYED]))[0]  # noqa: S314  our own
    assert [[child.tag for child in case] for case in suite] == [[], ["failure"], ["skipped"]]
    verdicts = json.loads(report.as_json([PLAYED]))[0]["verdicts"]
    assert [one["is_seen"] for one in verdicts] == [True, True, False]
