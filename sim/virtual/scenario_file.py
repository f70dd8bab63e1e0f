"""A schedule as a scenario file, and the other way round. Pure.

So what broke in virtual time is played on real parts, and what a tester has written in virtual time.
"""

from collections.abc import Iterator
from typing import Any

from sim.faults import FAULTS, VIRTUAL, WIFI, value_of, values_of
from sim.scenarios.model import Act, Fault, Scenario
from sim.virtual.fault_script import DURESS_PIN, PIN, Schedule, Step, names
from wire import receipts

HOLD_MS, TAP_MS = 2500, 800
PHONE_M = 3.0
_OPERATES = {
    receipts.ACKNOWLEDGED: "acknowledge",
    receipts.DISPATCHED: "dispatch",
    receipts.CLOSED: "close",
}
_FIX = (50.8466, 4.3528, 12.0)

# -- a schedule becomes a file ------------------------------------------------------------------------


def as_toml(schedule: Schedule, title: str, about: str) -> str:
    """Write a scenario file that either world plays, as far as it has the faults."""
    lines = [
        f"title = {_text(title)}",
        f"about = {_text(about)}",
        f"seed = {schedule.seed}",
        f"loss = {schedule.loss}",
        f"ends_after_ms = {_ms(schedule.minutes * 60)}",
        "to_the_end = true",
    ]
    buttons = names("button", schedule.buttons)
    for name in buttons:
        settings = f"{{ hold_ms = 2000, alive_period_s = {schedule.alive_period_s} }}"
        lines += _table("button", name=name, settings=settings, **_direct(schedule))
    for name in names("bridge", schedule.phones):
        lines += _table("phone", name=name, **_phone(schedule, buttons))
    for table in _tables(schedule):
        lines += table
    return "\n".join(lines) + "\n"


def _direct(schedule: Schedule) -> dict[str, Any]:
    if schedule.direct == "off":
        return {}
    return {"direct": schedule.direct, "carriers": schedule.carriers.split()}


def _phone(schedule: Schedule, buttons: list[str]) -> dict[str, Any]:
    keys: dict[str, Any] = {"button": buttons[0] if len(buttons) == 1 else buttons, "place": [PHONE_M, 0.0]}
    keys["pins"] = [PIN, DURESS_PIN]
    if schedule.fixes:
        keys["fix"] = list(_FIX)
    if schedule.filtered:
        keys["lists_codes"] = True
    if not schedule.repeats:
        keys["reports_once"] = True
    return keys


def _tables(schedule: Schedule) -> Iterator[list[str]]:
    presses = alarm = 0
    for step in schedule.steps:
        at_ms = _ms(step.at_s)
        if step.what in FAULTS:
            keys: dict[str, Any] = {"what": step.what, "at_ms": at_ms}
            keys |= {"who": step.who} if step.who else {}
            keys |= {"for_ms": _ms(step.for_s)} if step.for_s else {}
            yield _table("fault", **keys, **values_of(step.what, step.value))
        elif step.what in ("hold", "tap"):
            presses += 1
            for_ms = TAP_MS if step.what == "tap" else _ms(float(step.value)) or HOLD_MS
            alarm = presses if step.what == "hold" else alarm
            yield _table("act", does="hold", who=step.who, at_ms=at_ms, for_ms=for_ms)
        elif step.what == "clicks":
            presses += 1
            yield _table("act", does="test", who=step.who, at_ms=at_ms)
        elif step.what == "call_off":
            yield _table("act", does="call_off", who=step.who, at_ms=at_ms, pin=str(step.value))
        elif step.what == "walk":
            yield _table("move", who=step.who, at_ms=at_ms, for_ms=0, to=[float(step.value), 0.0])
        elif step.what == "operate" and alarm:
            does = _OPERATES[int(step.value)]
            reason = {"reason": "real"} if does == "close" else {}
            yield _table("act", does=does, at_ms=at_ms, press=alarm, **reason)


def _table(kind: str, **keys: Any) -> list[str]:
    return ["", f"[[{kind}]]", *(f"{key} = {_value(value)}" for key, value in keys.items())]


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value if value.startswith("{") else _text(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return str(value)


def _text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
    return f'"{escaped}"'


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


# -- a file becomes a schedule ------------------------------------------------------------------------


def as_schedule(scenario: Scenario) -> Schedule:
    """Return the schedule that virtual time plays. Raises ValueError with a sentence."""
    _check(scenario)
    buttons = _named("button", scenario.buttons)
    phones = _named("bridge", scenario.phones)
    who = buttons | phones | {"": "", "centre": "centre"}
    steps = [
        *(_of_act(act, who) for act in scenario.acts),
        *(Step(one.at_ms / 1000, "walk", who[one.who], value=one.to[0]) for one in scenario.moves),
        *_of_faults(scenario, who),
    ]
    button, phone = scenario.buttons[0], (*scenario.phones, None)[0]
    return Schedule(
        scenario.seed,
        tuple(sorted(steps, key=lambda step: step.at_s)),
        scenario.ends_after_ms / 60_000,
        len(buttons),
        len(phones),
        loss=scenario.loss,
        filtered=phone is not None and phone.lists_codes,
        repeats=phone is None or not phone.reports_once,
        fixes=phone is not None and bool(phone.fix),
        alive_period_s=button.settings.get("alive_period_s", 900),
        direct=button.direct,
        carriers=" ".join(button.carriers) if button.direct != "off" else WIFI,
    )


def _check(scenario: Scenario) -> None:
    """Raise ValueError for what virtual time does not have."""
    if len({(one.direct, one.carriers) for one in scenario.buttons}) > 1:
        raise ValueError("in virtual time all buttons reach the centre the same way")
    if scenario.walls or scenario.crowd or scenario.shadow_db:
        raise ValueError("virtual time has no walls, no crowd and no slow fading: amr-sim run plays them")
    timed_items: tuple[Act | Fault, ...] = (*scenario.acts, *scenario.faults)
    for timed in timed_items:
        if timed.after:
            raise ValueError(f"line {timed.line}: virtual time goes by the clock: leave `after` out")
    for fault in scenario.faults:
        if VIRTUAL not in FAULTS[fault.what].worlds:
            raise ValueError(f"line {fault.line}: virtual time has no {fault.what}: amr-sim run plays it")
    for move in scenario.moves:
        if move.for_ms or move.to[1]:
            raise ValueError(f"line {move.line}: in virtual time who walks is there at once, on one line")


def _named(kind: str, specs: tuple[Any, ...]) -> dict[str, str]:
    """Return what each is called in virtual time."""
    return {one.name: name for one, name in zip(specs, names(kind, len(specs)), strict=True)}


def _of_act(act: Act, who: dict[str, str]) -> Step:
    at_s = act.at_ms / 1000
    if act.does in ("press", "hold"):
        if act.for_ms == TAP_MS:
            return Step(at_s, "tap", who[act.who])
        for_s = 0 if act.for_ms in (0, HOLD_MS) else act.for_ms / 1000
        return Step(at_s, "hold", who[act.who], value=for_s)
    if act.does == "test":
        return Step(at_s, "clicks", who[act.who])
    if act.does == "call_off":
        return Step(at_s, "call_off", who[act.who], value=act.pin)
    stage = next(stage for stage, does in _OPERATES.items() if does == act.does)
    return Step(at_s, "operate", "centre", value=stage)


def _of_faults(scenario: Scenario, who: dict[str, str]) -> Iterator[Step]:
    for fault in scenario.faults:
        at_s, for_s = fault.at_ms / 1000, fault.for_ms / 1000
        if not fault.for_ms and FAULTS[fault.what].lasts and fault.what != "clock_jumps":
            for_s = (scenario.ends_after_ms - fault.at_ms) / 1000  # to the end
        yield Step(at_s, fault.what, who[fault.who], for_s, value_of(fault.what, dict(fault.values)))
