"""What was played, written down: JSON for programs, JUnit for a CI, HTML with one picture for people.

The picture has a lane for each of air, buttons, phones, network and centre; time goes to the right.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from xml.etree import ElementTree

from jinja2 import Environment, PackageLoader

from sim.faults import FAULTS
from sim.judge.events import WorldEvent
from sim.scenarios.expectations import Verdict
from sim.scenarios.play import Played
from sim.scenarios.sentences import is_refused, verb

_TEMPLATES = Environment(loader=PackageLoader("sim.scenarios", "."), autoescape=True, trim_blocks=True)
_PAGE, _PICTURE = (_TEMPLATES.get_template(f"report_{name}.html") for name in ("page", "picture"))
_Scale = Callable[[float], float]
_WIDTH, _NAMES, _LANE, _TOP = 1000, 112, 62, 34  # of the picture; of the lanes' names beside it
_LEFT, _RIGHT = 14, 20
_LETTER = 6.8  # a letter's width, more or less
_TICKS_MS = (100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 30_000, 60_000, 120_000, 300_000, 600_000)
_BAD = ("trouble", "ended", "crashed", "refused")
# Events worth a word in their lane; anything else is in the JSON.
_SHOWN = {
    "hand": ("acts", "felt", "called off"),
    "phone": ("heard", "received", "receipt", "trouble", "well", "call_off", "scanning", "ended"),
    "centre": (
        "received",
        "acknowledged",
        "dispatched",
        "closed",
        "called_off",
        "fixes",
        "listening",
        "ended",
    ),
    "button": ("advert", "receipt", "power", "crashed", "stranger", "refused"),
    "air": ("advert",),
}


def as_json(played: Sequence[Played]) -> str:
    return json.dumps([_one(one) for one in played], indent=1, default=_plain) + "\n"


def _one(played: Played) -> dict[str, object]:
    return {
        "title": played.scenario.title,
        "holds": played.holds,
        "seed": played.scenario.seed,
        "verdicts": [asdict(verdict) for verdict in played.verdicts],
        "presses": [
            {
                "number": press.number,
                "button": press.button,
                "event": press.event,
                "counter": press.counter,
                "stages_ms": {stage: round(at - press.at_ms) for stage, at in press.stages.items()},
            }
            for press in played.presses
        ],
        "events": [
            {"at_ms": round(e.at_ms - played.started_ms, 1), "by": e.by, "what": e.what, **e.data}
            for e in played.events
        ],
    }


def _plain(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def as_junit(played: Sequence[Played]) -> str:
    """Return a suite for each scenario, a case for each promise."""
    suites = ElementTree.Element("testsuites")
    for one in played:
        bad = sum(not verdict.holds for verdict in one.verdicts)
        seconds = f"{(one.ended_ms - one.started_ms) / 1000:.3f}"
        names = {"name": one.scenario.title, "tests": str(len(one.verdicts)), "failures": str(bad)}
        suite = ElementTree.SubElement(suites, "testsuite", names | {"time": seconds})
        for verdict in one.verdicts:
            case = ElementTree.SubElement(suite, "testcase", classname=one.scenario.title, name=verdict.text)
            if not verdict.holds:
                ElementTree.SubElement(case, "failure", message=verdict.text)
            elif not verdict.is_seen:
                ElementTree.SubElement(case, "skipped", message=verdict.text)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suites, "unicode") + "\n"


def as_html(played: Sequence[Played]) -> str:
    """Return one page: each scenario with its picture and its verdicts."""
    return _PAGE.render(plays=[(one, picture(one)) for one in played], mark=_mark)


def _mark(verdict: Verdict) -> str:
    if not verdict.holds:
        return "bad"
    return "good" if verdict.is_seen else "unseen"


# -- the picture -------------------------------------------------------------------------------------


def picture(played: Played) -> str:
    """Return the timeline as SVG. It ends with the play, and so does its axis."""
    lanes = _lanes(played)
    span_ms = max(1000.0, played.ended_ms - played.started_ms)

    def x(at_ms: float) -> float:
        wide = _WIDTH - _LEFT - _RIGHT
        return _LEFT + wide * min(1.0, max(0.0, (at_ms - played.started_ms) / span_ms))

    rows = [
        {
            "y": _TOP + number * _LANE,
            "name": list(_name(lane)),
            "faults": list(_faults(played, lane, x)),
            "marks": list(_marks(played, lane, kind, x)),
        }
        for number, (lane, kind) in enumerate(lanes.items())
    ]
    sizes = {"width": _WIDTH, "names": _NAMES, "lane": _LANE, "top": _TOP, "left": _LEFT, "right": _RIGHT}
    height = _TOP + _LANE * len(lanes) + 20
    return _PICTURE.render(
        rows=rows, ticks=list(_ticks(span_ms, x, played.started_ms)), height=height, **sizes
    )


def _name(lane: str) -> Iterator[tuple[str, int, bool]]:
    """Yield a lane's name in one line or two: text, offset, and whether it must be made narrow."""
    before, of, name = lane.rpartition(" of ")
    lines = [f"{before} of", name] if of else [name]
    for row, line in enumerate(lines):
        yield line, 30 + 14 * row - 7 * (len(lines) - 1), len(line) > 14


def _lanes(played: Played) -> dict[str, str]:
    """Each lane's name, and whose kind of events it shows."""
    of = {kind: [name for name, what in played.names.items() if what == kind] for kind in ("button", "phone")}
    names = {"hand": "hand"} | dict.fromkeys(of["button"], "button") | {"air": "air"}
    names |= dict.fromkeys(of["phone"], "phone")
    return names | {f"network of {name}": "network" for name in of["phone"]} | {"centre": "centre"}


def _ticks(span_ms: float, x: _Scale, started_ms: float) -> Iterator[tuple[float, str]]:
    step_ms = next((step for step in _TICKS_MS if span_ms / step <= 10), _TICKS_MS[-1])
    at_ms = 0
    while at_ms <= span_ms:
        yield x(started_ms + at_ms), f"{at_ms / 1000:g} s"
        at_ms += step_ms


def _faults(played: Played, lane: str, x: _Scale) -> Iterator[tuple[float, float, str]]:
    """Yield a bar for as long as something is wrong: left, width, words."""
    for e in played.events:
        if e.what != "fault_begins" or _lane_of_fault(e) != lane:
            continue
        end_ms = e.at_ms + e.data["for_ms"] if e.data["for_ms"] else played.ended_ms
        left, right = x(e.at_ms), x(end_ms)
        yield left, max(2.0, right - left), e.data["fault"].replace("_", " ")


def _lane_of_fault(e: WorldEvent) -> str:
    strikes, who = FAULTS[e.data["fault"]].hits, e.data["who"]
    if e.data["fault"].startswith(("network", "answers", "certificate", "centre_answers")):
        return f"network of {who}"
    return who if strikes else "air"


@dataclass(frozen=True)
class _Mark:
    along: float
    is_bad: bool
    at: str
    words: str
    details: str
    left: float = 0.0
    row: int = -1  # of the words below the marks; -1: no room, they are in the tool tip alone


def _marks(played: Played, lane: str, kind: str, x: _Scale) -> Iterator[_Mark]:
    """Yield marks in a row, and their words below."""
    free_at = [0.0, 0.0, 0.0]
    for e in played.events:
        if e.by != lane or e.what not in _SHOWN.get(kind, ()):
            continue
        words, along = _words(e), x(e.at_ms)
        at = f"{(e.at_ms - played.started_ms) / 1000:.2f} s"
        mark = _Mark(along, e.what in _BAD or is_refused(e), at, words, str(e.data))
        wide = _LETTER * len(words)
        left = max(0.0, min(along - 3, _WIDTH - 8 - wide))  # nothing sticks out on the right
        row = next((number for number, free in enumerate(free_at) if left >= free), -1)
        if row >= 0:
            free_at[row] = left + 7 + wide
        yield replace(mark, left=left, row=row)


_ADVERTS = {"1": "ALARM", "2": "TEST", "3": "ALIVE", "4": "ALIVE low", "5": "CONTACT"}
_STAGES = {"0": "HEARD", "1": "RECEIVED", "2": "ACKNOWLEDGED", "3": "DISPATCHED", "4": "CLOSED"}


def _words(e: WorldEvent) -> str:
    args = e.data.get("args") or [""]
    if e.what == "felt":
        return f"feels {e.data['pattern']}"
    if e.what == "acts":
        return str(e.data["does"])
    if e.what == "advert":
        return _ADVERTS.get(args[0], "a burst")
    if e.what == "receipt":
        return _STAGES.get(str(e.data.get("stage", args[0])), "receipt")
    if e.what == "power":
        return "power on" if e.data["on"] else "power off"
    return f"{verb(e)} {e.data['reason']}" if "reason" in e.data else verb(e)
