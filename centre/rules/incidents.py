"""What a posted press means: which fields must be right, which are dropped, and what may follow.

Pure: no clock, file or socket; times are integers in ms and come as arguments.

Stages of an incident, each written once, never backwards (protocol: a higher one implies the lower):

    RECEIVED --> ACKNOWLEDGED --> DISPATCHED --> CLOSED
       a TEST ends here
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from centre.rules import fields, registry
from centre.rules.fields import Bad, Dropped
from centre.rules.refusals import Refused
from wire import codes, keys, receipts
from wire.keys import Mac, derive

PATHS = ("ble", "wifi", "lte", "phone")
METHODS = ("GNSS", "WIFI", "CELL", "NETWORK", "MANUAL")
MARKS = ("stale", "jump", "implausible")
RADIUS_M_MAX = 20_037_508  # half the equator: no circle on Earth is wider
AGE_S_MAX = 10 * 366 * 86_400
FIX_AGE_S_MAX = 7 * 86_400
FIXES_MAX = 64  # of one post
FIXES_PER_BRIDGE_MAX = 5_000  # of one incident: 14 h of one every 10 s, so that no phone fills the disk
PIN_CHARS_MAX = 64


# Why an operator closes an alarm.
class CloseReason(StrEnum):
    REAL = "real"
    MIS_PRESS = "mis-press"
    CALLED_OFF = "called-off"
    DURESS = "duress"
    TECHNICAL = "technical"


CLOSE_REASONS = tuple(CloseReason)


class CallOffState(StrEnum):
    """Whether the protected person did it freely, as far as the PIN tells, and whether an operator knows."""

    FREE = "free"
    DURESS = "duress"
    DURESS_SEEN = "duress_seen"  # an operator has acted on it, knowing


_CODE = re.compile(r"[0-9a-f]{32}", re.ASCII)
_SOURCE = re.compile(r"[a-z]{1,16}", re.ASCII)


class Fix(NamedTuple):
    """A position: a circle (RFC 5491) that holds the truth with `confidence` percent."""

    lat: float
    lon: float
    radius_m: float
    confidence: float | None
    method: str
    taken_at_ms: int
    source: str | None = None  # which part of the phone gave it, in the bridge's word
    marks: tuple[str, ...] = ()  # why it is not to be taken for a fresh one: MARKS
    age_s: float | None = (
        None  # when it was posted, by a clock that nobody sets; None: the bridge does not say
    )


class Phone(NamedTuple):
    battery_percent: int | None
    model: str | None


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
    age_is_lower_bound: bool = False  # the button has lost its power since: it was pressed then, or earlier
    fix: Fix | None = None
    phone: Phone | None = None
    dropped: list[Dropped] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class CallOff:
    """The protected person takes an alarm back; whether the PIN is right is not known here."""

    device_id: str
    counter: int
    pin: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class PinTrial:
    """The protected person tries a PIN, to know that it holds; nothing is called off by it."""

    device_id: str
    pin: str = field(repr=False)


def read(body: object) -> Press:
    """Read the press in a parsed JSON body; raise Refused where a required field is wrong."""
    body = _object(body)
    event, counter = _press(body)
    if event not in codes.PRESSES:
        raise Refused("out_of_range", "event must be 1 (ALARM) or 2 (TEST)", field="event")
    device_id = _device_id(body)
    code = fields.required(body, "code", str)
    dropped: list[Dropped] = []
    age_s = fields.optional(body, "age_s", lambda value: fields.number(value, 0, AGE_S_MAX), dropped)
    is_lower_bound = fields.optional(body, "age_is_lower_bound", fields.boolean, dropped)
    return Press(
        device_id,
        event,
        counter,
        code,
        path=fields.optional(body, "path", lambda value: fields.one_of(value, PATHS), dropped),
        heard_at_ms=fields.optional(body, "heard_at", fields.time, dropped),
        age_s=age_s,
        age_is_lower_bound=age_s is not None and is_lower_bound is True,
        fix=fields.optional(body, "fix", lambda value: _fix_of_alarm(value, dropped), dropped),
        phone=fields.optional(body, "phone", _phone, dropped),
        dropped=dropped,
    )


def read_fixes(body: object, dropped: list[Dropped] | None = None) -> list[Fix]:
    """Return all positions of a batch, or raise Refused("bad_fix") naming the first wrong one.

    Strict where an alarm is not: the bridge can repair and send again, and half a batch would draw a way
    that nobody went. Only an `age_s` that cannot be believed is dropped by itself, and named in `dropped`.
    """
    dropped = [] if dropped is None else dropped
    batch = fields.required(_object(body), "fixes", list)
    if len(batch) > FIXES_MAX:
        raise Refused("bad_fix", f"at most {FIXES_MAX} fixes at once", field="fixes")
    fixes = []
    for number, value in enumerate(batch):
        try:
            fixes.append(_fix(value, dropped, f"fixes[{number}]."))
        except Bad as bad:
            where = f"fixes[{number}]" + (f".{bad.part}" if bad.part else "")
            raise Refused("bad_fix", f"{where}: {bad.reason}", field=where) from None
    return fixes


def read_call_off(body: object) -> CallOff:
    """Read a call-off. Raises Refused. Any string may be tried as a PIN: it is either right or wrong."""
    body = _object(body)
    event, counter = _press(body)
    if event != codes.ALARM:
        raise Refused("only_alarms", field="event")
    return CallOff(_device_id(body), counter, _pin(body))


def read_pin_trial(body: object) -> PinTrial:
    """Read which button's PIN is tried. Raises Refused; any string may be tried, as in a call-off."""
    body = _object(body)
    return PinTrial(_device_id(body), _pin(body))


def _pin(body: Mapping[str, object]) -> str:
    pin = fields.required(body, "pin", str)
    if len(pin) > PIN_CHARS_MAX:
        raise Refused("out_of_range", f"pin must have at most {PIN_CHARS_MAX} characters", field="pin")
    return pin


def new_id(now_ms: int, drawn: bytes) -> str:
    """Of an incident. They rise with time, so that what is stored together lies together in each index.

    No secret: whoever asks for an incident is checked, and how many there were is not in it.
    """
    return f"{now_ms:012x}{drawn.hex()}"


def check_code(root: bytes, epoch: int, press: Press) -> None:
    """Recompute the code (protocol, "Codes and events"); raises Refused("bad_code")."""
    if not _CODE.fullmatch(press.code):
        raise Refused("bad_code")
    try:
        codes.check(bytes.fromhex(press.code), _mac(root, "code", epoch), press.event, press.counter)
    except keys.InvalidMessage:
        raise Refused("bad_code") from None


def proof(root: bytes, epoch: int, stage: int, event: int, counter: int) -> bytes:
    """Return the 16 bytes by which the button knows that the centre, and nobody else, says `stage`."""
    return receipts.proof(_mac(root, "receipt", epoch), stage, event, counter)


@lru_cache(maxsize=4096)
def _mac(root: bytes, label: str, epoch: int) -> Mac:
    """Kept for the buttons that were heard last: most of what a code costs to check is its key."""
    return Mac(derive(root, label, epoch))


def to_reach(current: int, wanted: int) -> tuple[int, ...]:
    """Return the stages to be written, in order; none where `wanted`, or a later one, already is.

    Who sends help or closes has taken the alarm: ACKNOWLEDGED is never left out. That it is over does not say
    that help was sent.
    """
    assert receipts.RECEIVED <= current <= receipts.CLOSED
    return tuple(stage for stage in sorted({receipts.ACKNOWLEDGED, wanted}) if current < stage <= wanted)


def is_last(event: int, stage: int) -> bool:
    """Whether no receipt can follow `stage`."""
    return stage == (receipts.RECEIVED if event == codes.TEST else receipts.CLOSED)


def pressed_at_ms(heard_at_ms: int | None, age_s: float | None, received_at_ms: int) -> int:
    """When the hand pressed, as well as it can be told; the latest it can have been without an age.

    The bridge's clock may be wrong: what it heard cannot lie after we received it.
    """
    heard = received_at_ms if heard_at_ms is None else min(heard_at_ms, received_at_ms)
    return heard - round((age_s or 0) * 1000)


def _object(body: object) -> Mapping[str, object]:
    if not isinstance(body, dict):
        raise Refused("wrong_type", "the body must be a JSON object")
    return body


def _press(body: Mapping[str, object]) -> tuple[int, int]:
    event, counter = fields.required(body, "event", int), fields.required(body, "counter", int)
    if not 0 <= counter <= fields.COUNTER_MAX:
        raise Refused("out_of_range", "counter must be an unsigned 32-bit integer", field="counter")
    return event, counter


def _device_id(body: Mapping[str, object]) -> str:
    device_id = fields.required(body, "device_id", str)
    if not registry.DEVICE_ID.fullmatch(device_id):
        raise Refused("unknown_device")
    return device_id


def _fix(value: object, dropped: list[Dropped], at: str) -> Fix:
    """Read all of a position or nothing: without a radius, a method or a time it would be dishonest."""
    if not isinstance(value, dict):
        raise Bad("wrong_type")
    part = fields.part
    confidence, source, marks = (value.get(name) for name in ("confidence", "source", "marks"))
    return Fix(
        lat=part(value, "lat", fields.number, -90, 90),
        lon=part(value, "lon", fields.number, -180, 180),
        radius_m=part(value, "radius_m", fields.number, 0, RADIUS_M_MAX),
        confidence=None if confidence is None else part(value, "confidence", fields.number, 0, 100),
        method=part(value, "method", fields.one_of, METHODS),
        taken_at_ms=part(value, "taken_at", fields.time),
        source=None if source is None else part(value, "source", _source),
        # What cannot be read might have said "stale": such a fix is no more believed than a bad radius.
        marks=() if marks is None else part(value, "marks", _marks),
        age_s=fields.optional(value, "age_s", _fix_age_s, dropped, at),
    )


def _fix_of_alarm(value: object, dropped: list[Dropped]) -> Fix:
    """As `_fix`, but a bad `source` costs only itself: the position is worth more than its label."""
    if not isinstance(value, dict):
        raise Bad("wrong_type")
    source = fields.optional(value, "source", _source, dropped, "fix.")
    return _fix(value | {"source": source}, dropped, "fix.")


def _fix_age_s(value: object) -> float:
    return fields.number(value, 0, FIX_AGE_S_MAX)


def _source(value: object) -> str | None:
    if not isinstance(value, str):
        raise Bad("wrong_type")
    if value and not _SOURCE.fullmatch(value):
        raise Bad("out_of_range")
    return value or None


def _marks(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise Bad("wrong_type")
    if len(value) > len(MARKS):
        raise Bad("out_of_range")
    named = {fields.one_of(mark, MARKS) for mark in value}
    return tuple(mark for mark in MARKS if mark in named)


def _phone(value: object) -> Phone:
    if not isinstance(value, dict):
        raise Bad("wrong_type")
    return read_phone(value)


def read_phone(value: Mapping[str, object]) -> Phone:
    """Read what a bridge says of its phone. Raises Bad."""
    battery, model = value.get("battery_percent"), value.get("model")
    return Phone(
        None if battery is None else fields.part(value, "battery_percent", fields.percent),
        None if model is None else fields.part(value, "model", fields.model),
    )
