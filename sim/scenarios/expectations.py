"""What became of each press, and whether what must hold has held: read off the events alone. Pure.

Nothing here knows how button, bridge and centre work; it reads what they, the air and the hand let be seen.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sim.judge.events import WorldEvent
from sim.judge.vibrations import NOT_CONFIRMED
from sim.scenarios.model import STAGES, Expect, Scenario
from wire import codes, receipts

# Where a stage is felt, by the number on the button's serial line; a higher one implies the lower.
_FELT = {1: "confirmed", 2: "acknowledged", 3: "dispatched", 4: "closed"}
# What the centre does, and the stage of the receipt that it then gives.
_GIVES = {"received": 1, "acknowledged": 2, "dispatched": 3, "closed": 4}
_PRESSES = {str(event) for event in codes.PRESSES}


@dataclass
class Press:
    """What one act of a hand has become. `stages`: when each was first reached, since 1970; `at`: the same at
    one phone or at the centre, where the button may not know of it."""

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
    """Whether one thing held; `line` of the scenario that asked for it, 0 for what must always hold."""

    holds: bool
    text: str
    line: int = 0


def presses(events: Iterable[WorldEvent], device_ids: Mapping[str, str]) -> list[Press]:
    """Every act of a hand, in order. `device_ids`: by the button's name."""
    found: list[Press] = []
    for e in events:
        if e.by == "hand" and e.what == "acts":
            button = e.data["button"]
            found.append(Press(len(found) + 1, button, device_ids[button], e.at_ms))
        elif e.by in device_ids:
            _of_button(found, e)
        elif "counter" in e.data:
            _of_others(found, e)
    return found


def _of_button(found: list[Press], e: WorldEvent) -> None:
    mine = [press for press in found if press.button == e.by]
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


def _of_others(found: list[Press], e: WorldEvent) -> None:
    event = e.data.get("event", codes.ALARM)
    for press in found:
        if press.identity != (e.data.get("device_id"), event, e.data["counter"]):
            continue
        if e.by == "centre":
            press.incident = e.data.get("incident", press.incident)
            if e.what in ("received", "called_off"):
                press.reaches(e.what, e.at_ms)
        elif e.what == "heard":
            press.reaches("heard", e.at_ms)
        press.at.setdefault((e.what, e.by), e.at_ms)


def judge(
    scenario: Scenario, events: Sequence[WorldEvent], device_ids: Mapping[str, str], started_ms: float
) -> list[Verdict]:
    """What the scenario expects, in its order, and then what must always hold."""
    made = presses(events, device_ids)
    asked = [_expected(expect, made, events, started_ms) for expect in scenario.expects]
    return asked + always(made, events)


def always(made: Sequence[Press], events: Sequence[WorldEvent]) -> list[Verdict]:
    """What must hold in every scenario, and whoever interferes."""
    return [_one_incident_per_press(made, events), _nothing_felt_too_early(made), _fresh(events)]


def _expected(
    expect: Expect, made: Sequence[Press], events: Sequence[WorldEvent], started_ms: float
) -> Verdict:
    if expect.what in ("incidents", "fixes"):
        return _counted(expect, events)
    if expect.what == "refused":
        return _refused(expect, made, events)
    if expect.what == "strangers":
        return _let_go(expect, events)
    if expect.what in (*STAGES, "called_off"):
        press = made[expect.press - 1] if expect.press <= len(made) else None
        name, since_ms = f"press {expect.press} {expect.what}", press.at_ms if press else started_ms
        at_ms = press.stages.get(expect.what) if press else None
        if expect.who:
            name, at_ms = (
                f"{name} at {expect.who}",
                press.at.get((expect.what, expect.who)) if press else None,
            )
    else:
        name = expect.what.replace("_", " ") + (f" ({expect.reason})" if expect.reason else "")
        since_ms, at_ms = started_ms, _first(expect, events)
    if expect.never:
        return Verdict(at_ms is None, f"{name}: never", expect.line)
    if at_ms is None:
        return Verdict(False, f"{name}: did not happen{_told_instead(expect, events)}", expect.line)
    took_ms = at_ms - since_ms
    bound = f", {expect.within_ms} ms allowed" if expect.within_ms else ""
    in_time = not expect.within_ms or took_ms <= expect.within_ms
    return Verdict(in_time, f"{name}: after {took_ms:.0f} ms{bound}", expect.line)


def _first(expect: Expect, events: Sequence[WorldEvent]) -> float | None:
    for e in events:
        if expect.who not in ("", e.by, e.data.get("button")):
            continue
        if expect.what == "trouble" and e.what == "trouble" and e.data.get("reason") == expect.reason:
            return e.at_ms
        if expect.what == "not_confirmed" and e.what == "felt" and e.data["pattern"] == NOT_CONFIRMED:
            return e.at_ms
    return None


def _told_instead(expect: Expect, events: Sequence[WorldEvent]) -> str:
    """A reason may be misspelt: which ones were told."""
    if expect.what != "trouble":
        return ""
    told = dict.fromkeys(e.data["reason"] for e in events if e.what == "trouble")
    return f"; told: {', '.join(told) or 'nothing'}"


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


def _refused(expect: Expect, made: Sequence[Press], events: Sequence[WorldEvent]) -> Verdict:
    """Signs of life of a flood, by the time that the press came through in spite of them."""
    press = made[expect.press - 1] if expect.press <= len(made) else None
    until_ms = press.stages.get("received", math.inf) if press else math.inf
    count = sum(e.data["refused"] for e in events if e.what == "signs" and e.at_ms <= until_ms)
    return Verdict(
        count >= expect.count, f"refused signs: {count}, at least {expect.count} wanted", expect.line
    )


# -- what must always hold --------------------------------------------------------------------------


def _one_incident_per_press(made: Sequence[Press], events: Sequence[WorldEvent]) -> Verdict:
    """Nothing doubled, nothing invented."""
    pressed = {press.identity for press in made}
    incidents: dict[tuple[str, int, int], set[str]] = {}
    for e in events:
        if e.by == "centre" and e.what == "received":
            key = (e.data["device_id"], e.data["event"], e.data["counter"])
            incidents.setdefault(key, set()).add(e.data["incident"])
    invented = sorted(set(incidents) - pressed)
    doubled = sorted(key for key, found in incidents.items() if len(found) > 1)
    if invented or doubled:
        return Verdict(False, f"one incident per press: invented {invented}, doubled {doubled}")
    return Verdict(True, "one incident per press, and none without")


def _nothing_felt_too_early(made: Sequence[Press]) -> Verdict:
    """No receipt is felt that the centre has not given to that press; the stages come in order."""
    for press in made:
        given = [
            (at_ms, _GIVES[what])
            for (what, by), at_ms in press.at.items()
            if by == "centre" and what in _GIVES
        ]
        for stage, name in _FELT.items():
            felt_ms = press.stages.get(name, math.inf)
            if felt_ms < math.inf and not any(gives >= stage and at_ms <= felt_ms for at_ms, gives in given):
                return Verdict(False, f"press {press.number}: {name}, and the centre had not given that")
        order = [press.stages[stage] for stage in ("received", *_FELT.values()) if stage in press.stages]
        if order != sorted(order) or ("confirmed" in press.stages and "received" not in press.stages):
            return Verdict(False, f"stages in order: press {press.number} has {press.stages}")
    return Verdict(True, "nothing felt that the centre had not given, and in order")


def _fresh(events: Sequence[WorldEvent]) -> Verdict:
    """No address and no code stands twice on the air, but those of one burst, and of a press that goes on."""
    sessions: dict[str, set[bytes]] = {}
    for e in events:
        if e.by == "air" and e.what == "advert":
            sessions.setdefault(e.data["address"], set()).add(e.data["data"])
    linked = [address for address, codes_ in sessions.items() if len(codes_) > 1]
    if linked:
        return Verdict(False, f"fresh addresses: {linked[0]} carried {len(sessions[linked[0]])} codes")
    return Verdict(True, "a fresh address for each code on the air")


assert max(_FELT) == receipts.CLOSED
