"""What became of each press, and whether what a scenario expects has come: read off the events alone. Pure.

Nothing here knows how button, bridge and centre work; it reads what they, the air and the hand let be seen.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sim.judge.events import WorldEvent
from sim.judge.promises import Judgement
from sim.judge.vibrations import NOT_CONFIRMED
from sim.scenarios.model import STAGES, Expect, Scenario
from wire import codes, receipts

# Where a stage is felt, by the number on the button's serial line; a higher one implies the lower.
_FELT = {1: "confirmed", 2: "acknowledged", 3: "dispatched", 4: "closed"}
_PRESSES = {str(event) for event in codes.PRESSES}


@dataclass
class PlayedPress:
    """What one act of a hand has become.

    `stages`: when each was first reached, since 1970; `at`: the same at one phone or at the centre, where the
    button may not know of it.
    """

    number: int
    button: str
    device_id: str
    at_ms: float
    event: int = 0
    counter: int = 0
    incident: str = ""
    stages: dict[str, float] = field(default_factory=dict)
    at: dict[tuple[str, str], float] = field(default_factory=dict)

    @property
    def identity(self) -> tuple[str, int, int]:
        return (self.device_id, self.event, self.counter)

    def reaches(self, stage: str, at_ms: float) -> None:
        self.stages.setdefault(stage, at_ms)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether one thing held; `line` of the scenario that asked for it, 0 for what is always promised."""

    holds: bool
    text: str
    line: int = 0
    is_seen: bool = True  # False: this play could not show it


def presses(events: Iterable[WorldEvent], device_ids: Mapping[str, str]) -> list[PlayedPress]:
    """Every act of a hand, in order. `device_ids`: by the button's name."""
    acts: list[PlayedPress] = []
    for e in events:
        if e.by == "hand" and e.what == "acts":
            button = e.data["button"]
            acts.append(PlayedPress(len(acts) + 1, button, device_ids[button], e.at_ms))
        elif e.by in device_ids:
            _of_button(acts, e)
        elif "counter" in e.data:
            _of_others(acts, e)
    return acts


def _of_button(acts: list[PlayedPress], e: WorldEvent) -> None:
    mine = [press for press in acts if press.button == e.by]
    if not mine:
        return
    args = e.data.get("args", [])
    if e.what == "advert" and args[0] in _PRESSES:
        event, counter = int(args[0]), int(args[1])
        for press in mine:
            if not press.event:  # a second hold while the first waits is the same press
                press.event, press.counter = event, counter
            if (press.event, press.counter) == (event, counter):
                press.reaches("taken", e.at_ms)
    elif e.what == "receipt":
        for press in mine:
            if (press.event, press.counter) == (mine[-1].event, mine[-1].counter):
                for stage in range(1, int(args[0]) + 1):
                    press.reaches(_FELT[stage], e.at_ms)


def _of_others(acts: list[PlayedPress], e: WorldEvent) -> None:
    event = e.data.get("event", codes.ALARM)
    for press in acts:
        if press.identity != (e.data.get("device_id"), event, e.data["counter"]):
            continue
        if e.by == "centre":
            press.incident = e.data.get("incident", press.incident)
            if e.what in ("received", "called_off"):
                press.reaches(e.what, e.at_ms)
        elif e.what == "heard":
            press.reaches("heard", e.at_ms)
        press.at.setdefault((e.what, e.by), e.at_ms)


def expected(
    scenario: Scenario, events: Sequence[WorldEvent], device_ids: Mapping[str, str], started_ms: float
) -> list[Verdict]:
    """Return a verdict for each thing that the scenario expects, in its order."""
    seen = _Seen(scenario, presses(events, device_ids), events, started_ms)
    return [_expected(expect, seen) for expect in scenario.expects]


def promised(judgement: Judgement) -> list[Verdict]:
    """Return a verdict for each promise; of one that this play could not show, why."""
    broken = [Verdict(False, str(one)) for one in judgement.broken]
    kept = [Verdict(True, promise) for promise in judgement.kept()]
    unseen = [Verdict(True, f"{one.promise}: not seen, {one.why}", is_seen=False) for one in judgement.unseen]
    return broken + kept + unseen


class _Seen(NamedTuple):
    """What a verdict is read off."""

    scenario: Scenario
    acts: Sequence[PlayedPress]
    events: Sequence[WorldEvent]
    started_ms: float

    def press(self, number: int) -> PlayedPress | None:
        """Return an act of a hand by its number, or None where it has not come."""
        return self.acts[number - 1] if number <= len(self.acts) else None


def _expected(expect: Expect, seen: _Seen) -> Verdict:
    if expect.what in ("incidents", "fixes"):
        return _counted(expect, seen.events)
    if expect.what == "refused":
        return _refused(expect, seen)
    if expect.what == "strangers":
        return _let_go(expect, seen.events)
    if expect.what in (*STAGES, "called_off"):
        press = seen.press(expect.press)
        name, since_ms = f"press {expect.press} {expect.what}", press.at_ms if press else seen.started_ms
        at_ms = press.stages.get(expect.what) if press else None
        if expect.who:
            name, at_ms = (
                f"{name} at {expect.who}",
                press.at.get((expect.what, expect.who)) if press else None,
            )
    else:
        name = expect.what.replace("_", " ") + (f" ({expect.reason})" if expect.reason else "")
        since_ms, at_ms = seen.started_ms, _first(expect, seen.events)
    if expect.never:
        return Verdict(at_ms is None, f"{name}: never", expect.line)
    if at_ms is None:
        return Verdict(False, f"{name}: did not happen{_why(expect, seen)}", expect.line)
    took_ms = at_ms - since_ms
    bound = f", {expect.within_ms} ms allowed" if expect.within_ms else ""
    in_time = not expect.within_ms or took_ms <= expect.within_ms
    since = "the press" if expect.what in (*STAGES, "called_off") else "the beginning"
    return Verdict(in_time, f"{name}: {took_ms:.0f} ms after {since}{bound}", expect.line)


def _first(expect: Expect, events: Sequence[WorldEvent]) -> float | None:
    for e in events:
        if expect.who not in ("", e.by, e.data.get("button")):
            continue
        if expect.what == "trouble" and e.what == "trouble" and e.data.get("reason") == expect.reason:
            return e.at_ms
        if expect.what == "not_confirmed" and e.what == "felt" and e.data["pattern"] == NOT_CONFIRMED:
            return e.at_ms
    return None


def _why(expect: Expect, seen: _Seen) -> str:
    """Say what is known of why something did not happen."""
    if expect.what == "trouble":  # a reason may be misspelt: which ones were told?
        reasons = dict.fromkeys(e.data["reason"] for e in seen.events if e.what == "trouble")
        return f"; told: {', '.join(reasons) or 'nothing'}"
    does = _DONE_BY.get(expect.what)
    if does and all(act.does != does or act.press != expect.press for act in seen.scenario.acts):
        return f'; no act has does = "{does}" for press {expect.press}'
    if expect.what == "called_off":
        outcomes = [e.data["outcome"] for e in seen.events if e.by == "hand" and e.what == "called off"]
        return f"; the phone's page said: {', '.join(outcomes) or 'nothing'}"
    return ""


# The acts without which a stage cannot come.
_DONE_BY = {
    "called_off": "call_off",
    "acknowledged": "acknowledge",
    "dispatched": "dispatch",
    "closed": "close",
}


def _let_go(expect: Expect, events: Sequence[WorldEvent]) -> Verdict:
    """Strangers whom a button has thrown off its links."""
    count = sum(e.what == "stranger" and expect.who in ("", e.by) for e in events)
    text = f"strangers let go: {count}, at least {expect.count} wanted"
    return Verdict(count >= expect.count, text, expect.line)


def _counted(expect: Expect, events: Sequence[WorldEvent]) -> Verdict:
    at_centre = [e for e in events if e.by == "centre"]
    if expect.what == "incidents":
        count = len({e.data["incident"] for e in at_centre if e.what == "received"})
        return Verdict(count == expect.count, f"incidents: {count}, {expect.count} wanted", expect.line)
    count = sum(e.data["stored"] for e in at_centre if e.what == "fixes")
    return Verdict(count >= expect.count, f"positions: {count}, at least {expect.count} wanted", expect.line)


def _refused(expect: Expect, seen: _Seen) -> Verdict:
    """Signs of life of a flood, by the time that the press came through in spite of them."""
    press = seen.press(expect.press)
    until_ms = press.stages.get("received", math.inf) if press else math.inf
    count = sum(e.data["refused"] for e in seen.events if e.what == "signs" and e.at_ms <= until_ms)
    return Verdict(
        count >= expect.count, f"refused signs: {count}, at least {expect.count} wanted", expect.line
    )


assert max(_FELT) == receipts.CLOSED
