"""How single values of a posted body are read. Pure.

Each raises Bad with a reason, a word for programs: missing, wrong_type, not_finite, out_of_range,
unknown_value, not_a_time; inside an object after the part's name, as in lat_out_of_range.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from centre.rules import text, times
from centre.rules.refusals import Refused

COUNTER_MAX = 0xFFFFFFFF
MODEL_CHARS_MAX = 64

_WORD = re.compile(r"[a-z][a-z_]{0,31}", re.ASCII)
T = TypeVar("T")


class Bad(ValueError):
    """A value cannot be believed: `reason`, and which `part` of an object is to blame."""

    def __init__(self, reason: str, part: str = "") -> None:
        super().__init__(f"{part}_{reason}" if part else reason)
        self.reason, self.part = reason, part


@dataclass(frozen=True, slots=True)
class Dropped:
    """An optional field that could not be believed; the rest was taken without it."""

    field: str
    reason: str


def required(body: Mapping[str, object], name: str, kind: type[T]) -> T:
    """Read a field that must be there. Raises Refused: there is no sense in the body without it."""
    value = body.get(name)
    if type(value) is not kind:  # `True` is an int, but no counter
        words = {int: "an integer", str: "a string", list: "a list"}
        raise Refused("wrong_type", f"{name} must be {words[kind]}", field=name)
    return value


def optional(
    body: Mapping[str, object], name: str, parse: Callable[[Any], T], dropped: list[Dropped], at: str = ""
) -> T | None:
    """None where it is missing, null, or bad: then it is added to `dropped`, under `at` and its name."""
    if body.get(name) is None:
        return None
    try:
        return parse(body[name])
    except Bad as bad:
        dropped.append(Dropped(at + name, str(bad)))
        return None


def part(whole: Mapping[str, object], name: str, parse: Callable[..., T], *limits: Any) -> T:
    value = whole.get(name)
    if value is None:
        raise Bad("missing", name)
    try:
        return parse(value, *limits)
    except Bad as bad:
        raise Bad(bad.reason, name) from None


def one_of(value: object, words: tuple[str, ...]) -> str:
    if not isinstance(value, str):
        raise Bad("wrong_type")
    if value not in words:
        raise Bad("unknown_value")
    return value


def number(value: object, low: float, high: float) -> float:
    if type(value) not in (int, float):
        raise Bad("wrong_type")
    assert isinstance(value, (int, float))
    if isinstance(value, float) and not math.isfinite(value):
        raise Bad("not_finite")  # Python reads NaN and 1e999, JSON and SQLite know neither
    if not low <= value <= high:
        raise Bad("out_of_range")
    return float(value)


def integer(value: object, low: int, high: int) -> int:
    if type(value) is not int:
        raise Bad("wrong_type")
    return int(number(value, low, high))


def counter(value: object) -> int:
    return integer(value, 0, COUNTER_MAX)


def percent(value: object) -> int:
    return integer(value, 0, 100)


def boolean(value: object) -> bool:
    if type(value) is not bool:
        raise Bad("wrong_type")
    return value


def time(value: object) -> int:
    if not isinstance(value, str):
        raise Bad("wrong_type")
    try:
        return times.read(value)
    except ValueError:
        raise Bad("not_a_time") from None


def words(value: object, at_most: int) -> tuple[str, ...]:
    """Read a list of lower-case words, each once."""
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise Bad("wrong_type")
    if len(value) > at_most or not all(_WORD.fullmatch(word) for word in value):
        raise Bad("out_of_range")
    return tuple(dict.fromkeys(value))


def model(value: object) -> str:
    if not isinstance(value, str):
        raise Bad("wrong_type")
    try:
        value = text.check(text.clean(value), "model", MODEL_CHARS_MAX)
    except Refused:
        value = ""
    if not value:
        raise Bad("out_of_range")
    return value
