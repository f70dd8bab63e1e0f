"""What a bridge's heartbeat (POST /v1/alive) means. Pure: times are integers in ms, as arguments.

Nothing in it is worth refusing the rest: what cannot be believed is dropped and named.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from zlib import crc32

from centre.rules import fields, registry
from centre.rules.fields import Bad, Dropped
from centre.rules.incidents import Phone, read_phone
from centre.rules.refusals import Refused
from wire import codes

ALIVE_S = 60  # how often a bridge shall speak; a setting
SIGNS_PER_S = 250  # 10,000 bridges at that pace send 167, and half as many again
ALIVE_S_MIN, ALIVE_S_MAX = 10, 900
BUTTONS_MAX = 64
FAULTS_MAX = 8
TROUBLES_MAX = 16
BATTERY_MV_MAX = 20_000
LOST_AFTER_S_MAX = 31 * 86_400


@dataclass(frozen=True, slots=True)
class ButtonState:
    device_id: str
    heard_at_ms: int | None
    battery_mv: int | None
    low: bool
    in_reach: bool | None
    lost_after_s: int | None
    press_counter: int | None
    alive_counter: int | None
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Heartbeat:
    buttons: list[ButtonState]
    phone: Phone
    troubles: tuple[str, ...]
    running_since_ms: int | None = None  # by its own clock
    leaving: bool = False  # its last one: it is being stopped
    dropped: list[Dropped] = field(default_factory=list)


def read(body: object) -> Heartbeat:
    """Read a parsed JSON body. Raises Refused("wrong_type") where it is no object at all."""
    if not isinstance(body, dict):
        raise Refused("wrong_type", "the body must be a JSON object")
    dropped: list[Dropped] = []
    buttons = []
    for number, value in enumerate(fields.optional(body, "buttons", _list, dropped) or []):
        try:
            buttons.append(_button(value, dropped, f"buttons[{number}]"))
        except Bad as bad:
            dropped.append(Dropped(f"buttons[{number}]", str(bad)))
    return Heartbeat(
        buttons,
        fields.optional(body, "phone", _phone, dropped) or Phone(None, None),
        fields.optional(body, "troubles", lambda value: fields.words(value, TROUBLES_MAX), dropped) or (),
        fields.optional(body, "running_since", fields.time, dropped),
        fields.optional(body, "leaving", fields.boolean, dropped) or False,
        dropped,
    )


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise Bad("wrong_type")
    if len(value) > BUTTONS_MAX:
        raise Bad("out_of_range")
    return value


def _button(value: object, dropped: list[Dropped], at: str) -> ButtonState:
    if not isinstance(value, dict):
        raise Bad("wrong_type")
    at += "."
    return ButtonState(
        fields.part(value, "device_id", _device_id),
        fields.optional(value, "heard_at", fields.time, dropped, at),
        fields.optional(
            value, "battery_mv", lambda part: fields.integer(part, 0, BATTERY_MV_MAX), dropped, at
        ),
        fields.optional(value, "low", fields.boolean, dropped, at) or False,
        fields.optional(value, "in_reach", fields.boolean, dropped, at),
        fields.optional(
            value, "lost_after_s", lambda part: fields.integer(part, 0, LOST_AFTER_S_MAX), dropped, at
        ),
        fields.optional(value, "press_counter", fields.counter, dropped, at),
        fields.optional(value, "alive_counter", _alive_counter, dropped, at),
        fields.optional(value, "faults", lambda part: fields.words(part, FAULTS_MAX), dropped, at) or (),
    )


def _device_id(value: object) -> str:
    if not isinstance(value, str) or not registry.DEVICE_ID.fullmatch(value):
        raise Bad("wrong_type")
    return value


def _alive_counter(value: object) -> int:
    return fields.integer(value, 0, codes.SPARE_FIRST - 1)


def _phone(value: object) -> Phone:
    if not isinstance(value, Mapping):
        raise Bad("wrong_type")
    return read_phone(value)


def next_in_s(name: str, now_s: int, alive_s: int) -> int:
    """When it shall speak next: in its own second, so that those whom an outage brought into step fall out.

    Which that is, its `name` says: as good as drawn, and always the same. So it speaks every `alive_s`, but
    for the first time: up to 9 s later, which losses.SILENCE_SLACK_MS has room for.
    """
    wait_s = (crc32(name.encode()) - now_s) % alive_s
    return wait_s if wait_s >= ALIVE_S_MIN else wait_s + alive_s


class Pace:
    """One heartbeat per bridge and 10 s. Bounded: it knows only those of the last 10 s."""

    # A tenth less than the fastest pace that we ask for: who is punctual is never refused.
    EVERY_MS = ALIVE_S_MIN * 900

    def __init__(self) -> None:
        self._last_ms: dict[str, int] = {}

    def wait_ms(self, bridge_id: str, now_ms: int) -> int:
        """0, and it counts; else how long it is too early."""
        while self._last_ms:  # the oldest first, as they came
            oldest = next(iter(self._last_ms))
            if now_ms - self._last_ms[oldest] < self.EVERY_MS:
                break
            del self._last_ms[oldest]
        last_ms = self._last_ms.get(bridge_id)
        if last_ms is None:
            self._last_ms[bridge_id] = now_ms
            return 0
        return last_ms + self.EVERY_MS - now_ms

    def forget(self, bridge_id: str) -> None:
        """Its next one is not too early."""
        self._last_ms.pop(bridge_id, None)
