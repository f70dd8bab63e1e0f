"""A scenario as a tester writes it (TOML), read and checked before anything starts. Pure.

Every time is in milliseconds and says so in its name. What is wrong is told with its line, with what was
meant, and with what is allowed; docs/testers.md describes the same tables.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from centre.rules.heartbeats import SIGNS_PER_S
from firmware.board.config import SETTINGS
from firmware.board.direct_config import PROFILES as WITHOUT_PHONE
from sim.faults import BUTTON, CENTRE, DIRECT_FAULTS, FAULTS, LTE, PHONE, WIFI, Value
from sim.physics.medium import PROFILES
from sim.scenarios.toml_tables import (
    REQUIRED,
    Keys,
    Lines,
    Read,
    Wrong,
    check_keys,
    given_tables,
    is_a,
    known,
    number_within,
    numbers,
    one_of,
    share,
    shares,
    tables,
    texts,
    values,
    whole_number,
)

CARRIERS = (WIFI, LTE)  # of a button's own way to the centre
DISPATCH_SYSTEM = "dispatch-system"  # who acts where an operator works elsewhere
MS_MAX = 24 * 3_600_000
STAGES = ("taken", "heard", "received", "confirmed", "acknowledged", "dispatched", "closed")
# Where else than usual a stage can be looked for: on one phone; at the centre, before the button knows.
_OF_PHONES, _OF_CENTRE = ("heard", "received"), ("acknowledged", "dispatched", "closed")


@dataclass(frozen=True, slots=True)
class ButtonSpec:
    name: str
    place: tuple[float, float]  # metres
    settings: Mapping[str, int]  # as `config.json` on the board
    battery_mv: int  # 0: it cannot measure
    direct: str  # when it reaches for the centre by itself: one of WITHOUT_PHONE
    carriers: tuple[str, ...]  # by which of CARRIERS, the preferred one first


@dataclass(frozen=True, slots=True)
class PhoneSpec:
    name: str
    buttons: tuple[str, ...]  # those that it serves
    profile: str
    place: tuple[float, float]
    pins: tuple[str, ...]
    body_db: int  # what the body that carries it takes from its radio
    fix: tuple[float, ...]  # lat, lon, radius in metres; empty: none
    gpx: str  # a track beside the scenario; empty: none
    lists_codes: bool  # its system hands over only listed codes, and
    reports_once: bool  # never the same advert again; both in virtual time alone


@dataclass(frozen=True, slots=True)
class Wall:
    """A straight one, seen from above: whoever is behind it is weaker by `loss_db`."""

    corners: tuple[float, float, float, float]  # x1, y1, x2, y2 in metres
    loss_db: int


@dataclass(frozen=True, slots=True)
class Act:
    """What a hand does. `after` a stage of press number `press`, or after the beginning where it is empty."""

    line: int
    at_ms: int
    does: str
    who: str
    for_ms: int
    after: str
    press: int
    pin: str
    reason: str


@dataclass(frozen=True, slots=True)
class Move:
    """Somebody walks in a straight line."""

    line: int
    at_ms: int
    for_ms: int
    who: str
    to: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Fault:
    line: int
    at_ms: int
    for_ms: int  # 0: to the end
    what: str
    who: str
    after: str
    press: int
    values: Mapping[str, Any]  # what FAULTS says this kind of fault takes


@dataclass(frozen=True, slots=True)
class Expect:
    """What must hold. `within_ms` counts from the hand's press; else from the beginning."""

    line: int
    what: str
    press: int
    within_ms: int
    never: bool
    count: int
    reason: str
    who: str  # of whom; empty: the button, and of what a phone tells or does, any


@dataclass(frozen=True, slots=True)
class Scenario:
    title: str
    about: str
    seed: int
    loss: float
    crowd: int
    shadow_db: int
    signs_per_s: int
    ends_after_ms: int
    to_the_end: bool  # also where all that is expected has come
    dispatch_system: bool  # a program of elsewhere is told of alarms, and may act on them
    buttons: tuple[ButtonSpec, ...]
    phones: tuple[PhoneSpec, ...]
    walls: tuple[Wall, ...]
    acts: tuple[Act, ...]
    moves: tuple[Move, ...]
    faults: tuple[Fault, ...]
    expects: tuple[Expect, ...]


def _name(value: Any) -> str:
    is_name = isinstance(value, str) and re.fullmatch(r"[a-z][a-z0-9-]{0,23}", value)
    if not isinstance(value, str) or not is_name or value in (CENTRE, DISPATCH_SYSTEM):
        raise Wrong(f'a short name of a-z, 0-9 and -, and not "centre" or "{DISPATCH_SYSTEM}", is allowed')
    return value


def _names(value: Any) -> tuple[str, ...]:
    """Read one name, or a list of names."""
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list) or not value:
        raise Wrong('a name, or a list of names as in ["a", "b"], is allowed')
    return texts(value)


def _settings(value: Any) -> Mapping[str, int]:
    if not isinstance(value, dict) or not all(type(one) is int for one in value.values()):
        raise Wrong("a table of whole numbers, as in { hold_ms = 500 }, is allowed")
    for name, number in value.items():
        one_of(tuple(SETTINGS))(name)
        whole_number(*SETTINGS[name][1:], unit=f"for {name}")(number)
    return value


def _carriers(value: Any) -> tuple[str, ...]:
    carriers = texts(value)
    if not carriers or len(set(carriers)) < len(carriers) or not set(carriers) <= set(CARRIERS):
        raise Wrong('a list of "wifi" and "lte", each once, the preferred one first, is allowed')
    return carriers


def _pins(value: Any) -> tuple[str, ...]:
    pins = texts(value)
    if (
        len(pins) > 2
        or len(set(pins)) < len(pins)
        or not all(re.fullmatch("[0-9]{4,8}", pin) for pin in pins)
    ):
        raise Wrong("a PIN and another one for duress, each of 4 to 8 digits, are allowed")
    return pins


def _fix(value: Any) -> tuple[float, ...]:
    lat, lon, radius_m = numbers((3,), _FIX)(value)
    if abs(lat) > 90 or abs(lon) > 180 or radius_m <= 0:
        raise Wrong(f"{_FIX}, of a place on Earth, is allowed")
    return (lat, lon, radius_m)


_FIX = "[latitude, longitude, radius in metres]"


_TEXT, _FLAG, _MS = is_a(str, "a text"), is_a(bool, "true or false"), whole_number(0, MS_MAX, "milliseconds")
_PLACE = numbers((2,), "[x, y] in metres")
_STAGE = one_of(("", *STAGES))
_PRESS = whole_number(1, 99)

# -- tables: key -> (how it is read, what it is where it is not given) ------------------------------

# does: who does it
ACTS = {
    "press": "hand",  # held until the button has taken it
    "hold": "hand",  # for so many ms, whatever comes of it
    "test": "hand",  # three clicks
    "call_off": "protected person",
    "acknowledge": "operator",
    "dispatch": "operator",
    "close": "operator",
}
REASONS = ("real", "mis-press", "called-off", "duress", "technical")
COUNTED = ("incidents", "fixes", "refused", "strangers")
EXPECTS = (*STAGES, "not_confirmed", "called_off", "trouble", *COUNTED)
# Keys that mean something with these alone; elsewhere they would ask for nothing.
_GOES_WITH = {
    "press": (*STAGES, "called_off", "refused"),
    "within_ms": (*STAGES, "called_off", "not_confirmed", "trouble"),
    "never": (*STAGES, "called_off", "not_confirmed", "trouble"),
    "count": COUNTED,
    "reason": ("trouble",),
    "who": (*STAGES, "not_confirmed", "trouble", "strangers"),
}

TABLES: dict[str, Keys] = {
    "": {
        "title": (_TEXT, REQUIRED),
        "about": (_TEXT, REQUIRED),
        "seed": (whole_number(0, 2**31), 0),
        "loss": (share, 0.0),  # of packets on the air
        "crowd": (whole_number(0, 10_000, "advertisers"), 0),  # foreign ones in reach
        "shadow_db": (whole_number(0, 12, "dB"), 0),  # slow fading's standard deviation
        "signs_per_s": (whole_number(1, 100_000), SIGNS_PER_S),  # that the centre takes
        "ends_after_ms": (_MS, 60_000),
        "to_the_end": (_FLAG, False),
        "dispatch_system": (_FLAG, False),
    },
    "button": {
        "name": (_name, REQUIRED),
        "place": (_PLACE, (0.0, 0.0)),
        "settings": (_settings, {"hold_ms": 500}),
        "battery_mv": (whole_number(0, 5000, "millivolts"), 0),
        "direct": (one_of(WITHOUT_PHONE), "off"),
        "carriers": (_carriers, (CARRIERS[0],)),
    },
    "phone": {
        "name": (_name, REQUIRED),
        "button": (_names, REQUIRED),
        "profile": (one_of(tuple(PROFILES)), "desktop"),
        "place": (_PLACE, (1.0, 0.0)),
        "body_db": (whole_number(0, 60, "dB"), 0),
        "pins": (_pins, ()),
        "fix": (_fix, ()),
        "gpx": (_TEXT, ""),
        "lists_codes": (_FLAG, False),
        "reports_once": (_FLAG, False),
    },
    "wall": {
        "corners": (numbers((4,), "[x1, y1, x2, y2] in metres"), REQUIRED),
        "loss_db": (whole_number(1, 100, "dB"), REQUIRED),
    },
    "act": {
        "at_ms": (_MS, 0),
        "does": (one_of(tuple(ACTS)), REQUIRED),
        "who": (_TEXT, ""),
        "for_ms": (_MS, 0),
        "after": (_STAGE, ""),
        "press": (_PRESS, 1),
        "pin": (_TEXT, ""),
        "reason": (one_of(("", *REASONS)), ""),
    },
    "move": {
        "at_ms": (_MS, 0),
        "for_ms": (_MS, REQUIRED),
        "who": (_TEXT, REQUIRED),
        "to": (_PLACE, REQUIRED),
    },
    "fault": {
        "at_ms": (_MS, 0),
        "for_ms": (_MS, 0),
        "what": (one_of(tuple(FAULTS)), REQUIRED),
        "who": (_TEXT, ""),
        "after": (_STAGE, ""),
        "press": (_PRESS, 1),
    },
    "expect": {
        "what": (one_of(EXPECTS), REQUIRED),
        "press": (_PRESS, 1),
        "within_ms": (_MS, 0),
        "never": (_FLAG, False),
        "count": (whole_number(0, 999), 1),
        "reason": (_TEXT, ""),
        "who": (_TEXT, ""),
    },
}


def read(text: str) -> Scenario:
    """Read a scenario. Raises Wrong."""
    try:
        whole = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Wrong(f"this is not TOML: {error}") from None
    lines = Lines(text)
    check_keys(whole, (*TABLES[""], *filter(None, TABLES)), "", 0, lines)
    top = values({key: whole[key] for key in TABLES[""] if key in whole}, TABLES[""], "", 0, lines)
    scenario = Scenario(
        **top,
        buttons=tuple(ButtonSpec(**one) for one in tables(whole, "button", TABLES["button"], lines)),
        phones=tuple(_phones(whole, lines)),
        walls=tuple(Wall(**one) for one in tables(whole, "wall", TABLES["wall"], lines)),
        acts=tuple(_located(Act, whole, "act", lines)),
        moves=tuple(_located(Move, whole, "move", lines)),
        faults=tuple(_faults(whole, lines)),
        expects=tuple(_located(Expect, whole, "expect", lines)),
    )
    _check_names(scenario, lines)
    _check_references(scenario, lines)
    _check_acts(scenario)
    _check_expects(scenario)
    _check_times(scenario)
    return scenario


def _phones(whole: Mapping[str, Any], lines: Lines) -> Iterator[PhoneSpec]:
    for table in tables(whole, "phone", TABLES["phone"], lines):
        yield PhoneSpec(buttons=table.pop("button"), **table)


def _located(kind: type, whole: Mapping[str, Any], name: str, lines: Lines) -> Iterator[Any]:
    for number, table in enumerate(tables(whole, name, TABLES[name], lines)):
        yield kind(line=lines.of(name, number), **table)


def _faults(whole: Mapping[str, Any], lines: Lines) -> Iterator[Fault]:
    """Each kind of fault has keys of its own."""
    what_alone = {"what": TABLES["fault"]["what"]}
    for number, one in enumerate(given_tables(whole, "fault", lines)):
        named = {"what": one["what"]} if "what" in one else {}
        what = values(named, what_alone, "fault", number, lines)["what"]
        own: Keys = {value.key: (_reads(value), _default(value)) for value in FAULTS[what].takes}
        table = values(one, {**TABLES["fault"], **own}, "fault", number, lines)
        extra = {key: table.pop(key) for key in own}
        yield Fault(line=lines.of("fault", number), values=extra, **table)


def _reads(value: Value) -> Read:
    if value.words:
        return one_of(value.words)
    if value.is_whole:
        return whole_number(int(value.least), int(value.most), value.unit)
    if value.count > 1:
        return shares(value.count, "of channels 37, 38 and 39")
    return share if value.least == 0 else number_within(value.least, value.most)


def _default(value: Value) -> Any:
    return REQUIRED if value.default is None else value.default


# -- who and what is meant --------------------------------------------------------------------------


def _check_names(scenario: Scenario, lines: Lines) -> None:
    if not scenario.buttons:
        raise Wrong("there is no [[button]]: nobody could press")
    seen: set[str] = set()
    named = [("button", number, one.name) for number, one in enumerate(scenario.buttons)]
    named += [("phone", number, one.name) for number, one in enumerate(scenario.phones)]
    for kind, number, name in named:
        if name in seen:
            raise Wrong(f"line {lines.of(kind, number, 'name')}: there is already somebody called {name}")
        seen.add(name)


def _check_references(scenario: Scenario, lines: Lines) -> None:
    buttons = tuple(button.name for button in scenario.buttons)
    phones = tuple(phone.name for phone in scenario.phones)
    for number, phone in enumerate(scenario.phones):
        for name in phone.buttons:
            known(name, buttons, lines.of("phone", number, "button"), "button")
    elsewhere = ("", DISPATCH_SYSTEM) if scenario.dispatch_system else ("",)
    who_does = {"hand": buttons, "protected person": phones, "operator": elsewhere}
    for number, act in enumerate(scenario.acts):
        does = ACTS[act.does]
        line = lines.of("act", number, "who")
        if does == "operator" and act.who not in elsewhere:
            other = f', or who = "{DISPATCH_SYSTEM}"' if scenario.dispatch_system else ""
            raise Wrong(f"line {line}: `{act.does}` takes no `who`: some operator does it{other}")
        known(act.who, who_does[does], line, act.does)
    _check_faults(scenario, lines)
    for number, move in enumerate(scenario.moves):
        known(move.who, (*buttons, *phones), lines.of("move", number, "who"), "move")
    for number, expect in enumerate(scenario.expects):
        allowed = _whose(expect, buttons, phones)
        line = lines.of("expect", number, "who")
        if expect.who and allowed == ("",):
            raise Wrong(f"line {line}: `{expect.what}` takes no `who`: it is of all that happens")
        known(expect.who, allowed, line, expect.what)


def _check_faults(scenario: Scenario, lines: Lines) -> None:
    buttons = tuple(button.name for button in scenario.buttons)
    phones = {phone.name: phone for phone in scenario.phones}
    alone = [button.name for button in scenario.buttons if button.direct == "off"]
    names = {BUTTON: buttons, PHONE: tuple(phones), CENTRE: (CENTRE,)}
    for number, fault in enumerate(scenario.faults):
        line = lines.of("fault", number, "who")
        if fault.who and not FAULTS[fault.what].hits:
            raise Wrong(f"line {line}: `{fault.what}` takes no `who`: it is everybody's air")
        allowed = tuple(name for kind in FAULTS[fault.what].hits for name in names[kind])
        known(fault.who, allowed or ("",), line, fault.what)
        if fault.what in DIRECT_FAULTS and fault.who in alone:
            raise Wrong(
                f"line {line}: `{fault.what}` needs a `direct` of {fault.who}: it has no way of its own"
            )
        if fault.what == "receiver_date" and not phones[fault.who].fix:
            raise Wrong(f"line {line}: `{fault.what}` needs a `fix` of {fault.who}: where its receiver is")


def _whose(expect: Expect, buttons: tuple[str, ...], phones: tuple[str, ...]) -> tuple[str, ...]:
    """Of whom something can be expected."""
    if expect.what in (*_OF_PHONES, "trouble"):
        return ("", *phones)
    if expect.what in _OF_CENTRE:
        return ("", CENTRE)
    return ("", *buttons) if expect.what in ("not_confirmed", "strangers") else ("",)


def _check_acts(scenario: Scenario) -> None:
    pressed = sum(ACTS[act.does] == "hand" for act in scenario.acts)
    counted: tuple[Act | Fault | Expect, ...] = (*scenario.acts, *scenario.faults, *scenario.expects)
    for item in counted:
        if item.press > max(pressed, 1):
            raise Wrong(f"line {item.line}: press {item.press}: there are only {pressed}")
    for act in scenario.acts:
        for key, does in (("pin", "call_off"), ("reason", "close"), ("for_ms", "hold")):
            if bool(getattr(act, key)) != (act.does == does):
                raise Wrong(f'line {act.line}: `{key}` goes with does = "{does}"')
    pinless = [phone.name for phone in scenario.phones if not phone.pins]
    for act in scenario.acts:
        if act.does == "call_off" and act.who in pinless:
            raise Wrong(f"line {act.line}: {act.who} has no PIN: give it `pins`")


def _check_expects(scenario: Scenario) -> None:
    for expect in scenario.expects:
        for key, whats in _GOES_WITH.items():
            if getattr(expect, key) != TABLES["expect"][key][1] and expect.what not in whats:
                raise Wrong(
                    f"line {expect.line}: `{key}` goes with {', '.join(whats)}; not with {expect.what}"
                )
        if expect.what == "trouble" and not expect.reason:
            raise Wrong(f'line {expect.line}: `reason` goes with what = "trouble"')
        if expect.never and expect.within_ms:
            raise Wrong(f"line {expect.line}: `never` is to the end; leave `within_ms` out")


def _check_times(scenario: Scenario) -> None:
    """Refuse what would begin after the end, or may come after it: it would never be seen."""
    end = f"all ends after {scenario.ends_after_ms} (`ends_after_ms`)"
    timed: tuple[Act | Move | Fault, ...] = (*scenario.acts, *scenario.moves, *scenario.faults)
    for item in timed:
        if item.at_ms >= scenario.ends_after_ms:
            raise Wrong(f"line {item.line}: `at_ms` is {item.at_ms}, and {end}")
    for fault in scenario.faults:
        if fault.for_ms and not FAULTS[fault.what].lasts:
            raise Wrong(f"line {fault.line}: {fault.what} happens once: leave `for_ms` out")
        if fault.at_ms + fault.for_ms > scenario.ends_after_ms:
            over_ms = fault.at_ms + fault.for_ms
            lasts = f"{fault.what} would last until {over_ms} (`at_ms` and `for_ms`), and {end}"
            raise Wrong(f"line {fault.line}: {lasts}; to have it last to the end, leave `for_ms` out")
    for expect in scenario.expects:
        if expect.within_ms > scenario.ends_after_ms:
            raise Wrong(f"line {expect.line}: `within_ms` is {expect.within_ms}, and {end}")
