"""What a posted press means: which fields must be right, which are dropped, and what may follow.

Pure: no clock, file or socket; times are integers in ms and come as arguments.

Stages of an incident, each written once, never backwards (protocol: a higher one implies the lower):

    RECEIVED --> ACKNOWLEDGED --> DISPATCHED --> CLOSED
       a TEST ends here
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from centre import registry, times
from centre.refusals import Refused
from wire import codes, keys, receipts
from wire.keys import Mac, derive

PATHS = ("ble", "wifi", "lte", "phone")
METHODS = ("GNSS", "WIFI", "CELL", "NETWORK", "MANUAL")
COUNTER_MAX = 0xFFFFFFFF
RADIUS_M_MAX = 20_037_508  # half the equator: no circle on Earth is wider
AGE_S_MAX = 10 * 366 * 86_400
MODEL_CHARS_MAX = 64

_CODE = re.compile(r"[0-9a-f]{32}", re.ASCII)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Fix:
    """A position: a circle (RFC 5491) that holds the truth with `confidence` percent."""

    lat: float
    lon: float
    radius_m: float
    confidence: float | None
    method: str
    taken_at_ms: int


@dataclass(frozen=True, slots=True)
class Phone:
    battery_percent: int | None
    model: str | None


@dataclass(frozen=True, slots=True)
class Dropped:
    """An optional field that could not be believed; the alarm was taken without it."""

    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class Press:
    """One post of one press, read and checked except for its code."""

    device_id: str
    event: int
    counter: int
    code: str
    path: str | None = None
    heard_at_ms: int | None = None
    age_s: float | None = None
    fix: Fix | None = None
    phone: Phone | None = None
    dropped: list[Dropped] = field(default_factory=list)


class _Bad(ValueError):
    """An optional field is wrong; the text is the reason, a word for programs."""


def read(body: object) -> Press:
    """The press in a parsed JSON body; raises Refused where a required field is wrong."""
    if not isinstance(body, dict):
        raise Refused("wrong_type", "the body must be a JSON object")
    event = _required(body, "event", int)
    if event not in codes.PRESSES:
        raise Refused("out_of_range", "event must be 1 (ALARM) or 2 (TEST)")
    counter = _required(body, "counter", int)
    if not 0 <= counter <= COUNTER_MAX:
        raise Refused("out_of_range", "counter must be an unsigned 32-bit integer")
    device_id = _required(body, "device_id", str)
    if not registry.DEVICE_ID.fullmatch(device_id):
        raise Refused("unknown_device")
    code = _required(body, "code", str)

    dropped: list[Dropped] = []

    def optional(name: str, parse: Callable[[Any], T]) -> T | None:
        if body.get(name) is None:
            return None
        try:
            return parse(body[name])
        except _Bad as bad:
            dropped.append(Dropped(name, str(bad)))
            return None

    return Press(
        device_id,
        event,
        counter,
        code,
        path=optional("path", lambda value: _one_of(value, PATHS)),
        heard_at_ms=optional("heard_at", _time),
        age_s=optional("age_s", lambda value: _number(value, 0, AGE_S_MAX)),
        fix=optional("fix", _fix),
        phone=optional("phone", _phone),
        dropped=dropped,
    )


def check_code(root: bytes, epoch: int, press: Press) -> None:
    """Recompute the code (protocol, "Codes and events"); raises Refused("bad_code")."""
    if not _CODE.fullmatch(press.code):
        raise Refused("bad_code")
    try:
        mac_code = Mac(derive(root, "code", epoch))
        codes.check(bytes.fromhex(press.code), mac_code, press.event, press.counter)
    except keys.Refused:
        raise Refused("bad_code") from None


def proof(root: bytes, epoch: int, stage: int, event: int, counter: int) -> bytes:
    """The 16 bytes by which the button knows that the centre, and nobody else, says `stage`."""
    return receipts.proof(Mac(derive(root, "receipt", epoch)), stage, event, counter)


def advances(event: int, current: int, wanted: int) -> bool:
    """Whether `wanted` must be written; False where it, or a later stage, already is.

    Raises Refused("not_an_alarm"): nobody is called to a silent test.
    """
    assert receipts.RECEIVED <= current <= receipts.CLOSED
    if event == codes.TEST and wanted > receipts.RECEIVED:
        raise Refused("not_an_alarm")
    return wanted > current


def is_last(event: int, stage: int) -> bool:
    """Whether no receipt can follow `stage`."""
    return stage == (receipts.RECEIVED if event == codes.TEST else receipts.CLOSED)


def pressed_at_ms(heard_at_ms: int | None, age_s: float | None, received_at_ms: int) -> int:
    """When the hand pressed, as well as it can be told; the latest it can have been without an age.

    The bridge's clock may be wrong: what it heard cannot lie after we received it.
    """
    heard = received_at_ms if heard_at_ms is None else min(heard_at_ms, received_at_ms)
    return heard - round((age_s or 0) * 1000)


def _required(body: Mapping[str, object], name: str, kind: type[T]) -> T:
    value = body.get(name)
    if type(value) is not kind:  # `True` is an int, but no counter
        words = {int: "an integer", str: "a string"}
        raise Refused("wrong_type", f"{name} must be {words[kind]}")
    return value


def _one_of(value: object, words: tuple[str, ...]) -> str:
    if not isinstance(value, str):
        raise _Bad("wrong_type")
    if value not in words:
        raise _Bad("unknown_value")
    return value


def _number(value: object, low: float, high: float) -> float:
    if type(value) not in (int, float):
        raise _Bad("wrong_type")
    assert isinstance(value, (int, float))
    if isinstance(value, float) and not math.isfinite(value):
        raise _Bad("not_finite")  # Python reads NaN and 1e999, JSON and SQLite know neither
    if not low <= value <= high:
        raise _Bad("out_of_range")
    return float(value)


def _time(value: object) -> int:
    if not isinstance(value, str):
        raise _Bad("wrong_type")
    try:
        return times.read(value)
    except ValueError:
        raise _Bad("not_a_time") from None


def _fix(value: object) -> Fix:
    """A position without a radius, a source or a time would be dishonest: all of it or nothing."""
    if not isinstance(value, dict):
        raise _Bad("wrong_type")
    confidence = value.get("confidence")
    return Fix(
        lat=_part(value, "lat", lambda part: _number(part, -90, 90)),
        lon=_part(value, "lon", lambda part: _number(part, -180, 180)),
        radius_m=_part(value, "radius_m", lambda part: _number(part, 0, RADIUS_M_MAX)),
        confidence=None
        if confidence is None
        else _part(value, "confidence", lambda part: _number(part, 0, 100)),
        method=_part(value, "method", lambda part: _one_of(part, METHODS)),
        taken_at_ms=_part(value, "taken_at", _time),
    )


def _phone(value: object) -> Phone:
    if not isinstance(value, dict):
        raise _Bad("wrong_type")
    battery, model = value.get("battery_percent"), value.get("model")
    return Phone(
        None if battery is None else _part(value, "battery_percent", _percent),
        None if model is None else _part(value, "model", _model),
    )


def _percent(value: object) -> int:
    if type(value) is not int:
        raise _Bad("wrong_type")
    return int(_number(value, 0, 100))


def _model(value: object) -> str:
    if not isinstance(value, str):
        raise _Bad("wrong_type")
    if not (0 < len(value) <= MODEL_CHARS_MAX and value.isprintable()):
        raise _Bad("out_of_range")
    return value


def _part(whole: Mapping[str, object], name: str, parse: Callable[[Any], T]) -> T:
    if whole.get(name) is None:
        raise _Bad(f"{name}_missing")
    try:
        return parse(whole[name])
    except _Bad as bad:
        raise _Bad(f"{name}_{bad}") from None
