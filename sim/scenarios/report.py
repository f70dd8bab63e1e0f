"""What was played, written down: JSON for programs, JUnit for a CI, HTML with one picture for people. Pure.

The picture has a lane for each of air, buttons, phones, network and centre; time goes to the right.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from html import escape
from xml.etree import ElementTree

from sim.faults import FAULTS
from sim.judge.events import WorldEvent
from sim.scenarios.play import Played

_Scale = Callable[[float], float]
_WIDTH, _NAMES, _LANE, _TOP = 1000, 112, 62, 34  # of the picture; of the lanes' names beside it
_LEFT, _RIGHT = 14, 20
_LETTER = 6.3  # a letter's width, more or less
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
    """A suite for each scenario, a case for each promise."""
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
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suites, "unicode") + "\n"


def as_html(played: Sequence[Played]) -> str:
    bad = [one for one in played if not one.holds]
    title = f"{len(bad)} of {len(played)} broke a promise" if bad else "every promise held"
    links = "".join(
        f'<li class="bad"><a href="#s{played.index(one)}">{escape(one.scenario.title)}</a></li>'
        for one in bad
    )
    body = "".join(_section(one, f"s{number}") for number, one in enumerate(played))
    many = f"{len(played)} scenarios" if len(played) > 1 else "1 scenario"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style><h1>{many}: {title}</h1>"
        f"<ul>{links}</ul>{body}</html>\n"
    )


def _section(played: Played, anchor: str) -> str:
    verdicts = "".join(
        f'<li class="{"good" if verdict.holds else "bad"}"><b>{"✓" if verdict.holds else "✕"}</b> '
        f"{escape(verdict.text)}{f' <small>line {verdict.line}</small>' if verdict.line else ''}</li>"
        for verdict in played.verdicts
    )
    mark = "✓" if played.holds else "✕"
    return (
        f'<section id="{anchor}" class="{"" if played.holds else "bad"}"><h2>{mark} '
        f"{escape(played.scenario.title)}</h2><p>{escape(played.scenario.about)}</p>"
        f"{picture(played)}<ul>{verdicts}</ul></section>"
    )


# -- the picture -------------------------------------------------------------------------------------


def picture(played: Played) -> str:
    """The timeline as SVG."""
    lanes = _lanes(played)
    last_ms = max((e.at_ms for e in played.events), default=played.ended_ms)
    span_ms = max(1000.0, min(played.ended_ms, last_ms + 500) - played.started_ms)
    height = _TOP + _LANE * len(lanes) + 20

    def x(at_ms: float) -> float:
        wide = _WIDTH - _LEFT - _RIGHT
        return _LEFT + wide * min(1.0, max(0.0, (at_ms - played.started_ms) / span_ms))

    names: list[str] = []
    drawn = list(_grid(span_ms, x, played.started_ms, height))
    for row, (lane, kind) in enumerate(lanes.items()):
        y, wide = _TOP + row * _LANE, _WIDTH - _LEFT - _RIGHT
        drawn.append(f'<rect class="lane" x="{_LEFT}" y="{y}" width="{wide}" height="{_LANE - 8}"/>')
        names += _name(lane, y)
        drawn += _faults(played, lane, y, x)
        drawn += _marks(played, lane, kind, y, x)
    # On a narrow screen time scrolls, and the names stay.
    beside = f'<svg class="names" viewBox="0 0 {_NAMES} {height}" aria-hidden="true">{"".join(names)}</svg>'
    lines = f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="timeline">{"".join(drawn)}</svg>'
    return f'<figure>{beside}<div tabindex="0">{lines}</div></figure>'


def _name(lane: str, y: int) -> Iterator[str]:
    """A lane's; a long one on two lines, and no wider than there is room."""
    before, of, name = lane.rpartition(" of ")
    lines = [f"{before} of", name] if of else [name]
    for row, line in enumerate(lines):
        narrow = f' textLength="{_NAMES - 10}" lengthAdjust="spacingAndGlyphs"' if len(line) > 14 else ""
        down = y + 30 + 14 * row - 7 * (len(lines) - 1)
        yield f'<text class="name" x="{_NAMES - 8}" y="{down}"{narrow}>{escape(line)}</text>'


def _lanes(played: Played) -> dict[str, str]:
    """Each lane's name, and whose kind of events it shows."""
    of = {kind: [name for name, what in played.names.items() if what == kind] for kind in ("button", "phone")}
    names = {"hand": "hand"} | dict.fromkeys(of["button"], "button") | {"air": "air"}
    names |= dict.fromkeys(of["phone"], "phone")
    return names | {f"network of {name}": "network" for name in of["phone"]} | {"centre": "centre"}


def _grid(span_ms: float, x: _Scale, started_ms: float, height: int) -> Iterator[str]:
    step_ms = next((step for step in _TICKS_MS if span_ms / step <= 10), _TICKS_MS[-1])
    at_ms = 0
    while at_ms <= span_ms:
        along = f"{x(started_ms + at_ms):.1f}"
        word = f"{at_ms / 1000:g} s"
        yield f'<line class="grid" x1="{along}" x2="{along}" y1="{_TOP - 6}" y2="{height - 18}"/>'
        yield f'<text class="tick" x="{along}" y="{_TOP - 12}">{word}</text>'
        at_ms += step_ms


def _faults(played: Played, lane: str, y: int, x: _Scale) -> Iterator[str]:
    """A hatched bar for as long as something is wrong."""
    for e in played.events:
        if e.what != "fault_begins" or _lane_of_fault(e) != lane:
            continue
        end_ms = e.at_ms + e.data["for_ms"] if e.data["for_ms"] else played.ended_ms
        left, right = x(e.at_ms), x(end_ms)
        words = e.data["fault"].replace("_", " ")
        yield (
            f'<rect class="fault" x="{left:.1f}" y="{y}" width="{max(2, right - left):.1f}" '
            f'height="{_LANE - 8}"><title>{words}</title></rect>'
            f'<text class="fault" x="{left + 4:.1f}" y="{y + _LANE - 13}">{words}</text>'
        )


def _lane_of_fault(e: WorldEvent) -> str:
    strikes, who = FAULTS[e.data["fault"]].hits, e.data["who"]
    if e.data["fault"].startswith(("network", "answers", "certificate", "centre_answers")):
        return f"network of {who}"
    return who if strikes else "air"


def _marks(played: Played, lane: str, kind: str, y: int, x: _Scale) -> Iterator[str]:
    """Marks in a row, and their words below; words that find no room are in the tool tip alone."""
    free_at = [0.0, 0.0, 0.0]
    for e in played.events:
        if e.by != lane or e.what not in _SHOWN.get(kind, ()):
            continue
        words, along = _words(e), x(e.at_ms)
        mark = f'<circle cx="{along:.1f}" cy="{y + 8}" r="3.5"/>'
        if e.what in _BAD:
            mark = f'<rect class="bad" x="{along - 4:.1f}" y="{y + 4}" width="8" height="8"/>'
        at = f"{(e.at_ms - played.started_ms) / 1000:.2f} s"
        yield f"<g>{mark}<title>{at}: {escape(words)} {escape(str(e.data))}</title></g>"
        left = min(along - 3, _WIDTH - 4 - _LETTER * len(words))  # nothing sticks out on the right
        for row, free in enumerate(free_at):
            if left >= free:
                yield f'<text x="{left:.1f}" y="{y + 23 + 13 * row}">{escape(words)}</text>'
                free_at[row] = left + 7 + _LETTER * len(words)
                break


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
    return f"{e.what} {e.data['reason']}" if "reason" in e.data else e.what.replace("_", " ")


_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 74rem; margin: 2rem auto; padding: 0 1rem;
  color: #16202a }
section { border-top: 1px solid #ccd4db; padding: 1rem 0 }
h1 { font-size: 1.5rem } h2 { font-size: 1.2rem } small { color: #5b6875 }
figure { display: flex; margin: 0 } figure div { flex: 1; overflow-x: auto }
figure svg { height: auto; display: block } figure div svg { width: 100% }
svg.names { flex: none; width: 10.07% }
@media (max-width: 70rem) { svg.names { width: 112px } figure div svg { width: 1000px } }
text { font: 11px system-ui, sans-serif; fill: #16202a }
text.name { font-weight: 700; text-anchor: end; font-size: 12px }
text.tick { text-anchor: middle; fill: #5b6875 }
.lane { fill: #f2f5f7 } .grid { stroke: #d7dee4 } circle { fill: #0b5cad } .bad { fill: #a1260d }
rect.fault { fill: #f3d9a4; stroke: #8a5a00; stroke-dasharray: 4 3 }
text.fault { fill: #6b4500; font-weight: 700 }
ul { list-style: none; padding: 0 } li { padding-left: 1.6rem; text-indent: -1.6rem }
li b { display: inline-block; width: 1.6rem; text-indent: 0 } li a { color: inherit; text-indent: 0 }
li.good b { color: #1d6b34 } section.bad h2, li.bad { color: #a1260d; font-weight: 700 }
"""
