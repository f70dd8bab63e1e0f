"""The registry's lines, by which a provisioned button becomes known to the centre. Pure."""

import json
import re
from dataclasses import dataclass

ALIVE_PERIOD_S = 900

CAPABILITIES_MAX = 16
_CAPABILITY = re.compile(r"[a-z][a-z_]{0,31}", re.ASCII)

DEVICE_ID = re.compile(r"[A-Z2-7]{16}", re.ASCII)

_PATTERNS = {
    "device_id": DEVICE_ID.pattern,
    "root": r"[0-9a-f]{64}",
    "enrolment_sha256": r"[0-9a-f]{64}",
    "kind": r"[a-z][a-z0-9_-]{0,31}",
    "board": r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}",
}
_SHAPES = {
    "device_id": "16 base32 characters",
    "root": "64 lower-case hex digits",
    "enrolment_sha256": "64 lower-case hex digits",
    "kind": "a lower-case word",
    "board": "a word",
}


class Malformed(ValueError):
    """A registry line that cannot be read; the text says which, and never what the root is."""


@dataclass(frozen=True, slots=True)
class Button:
    device_id: str
    root: bytes
    enrolment_sha256: str
    kind: str
    board: str
    alive_period_s: int = ALIVE_PERIOD_S
    capabilities: dict[str, bool] | None = None  # what its kind of board can do; None = not told


def read(text: str) -> list[Button]:
    """Read the buttons of a registry: one JSON object a line, empty lines ignored."""
    lines = enumerate(text.split("\n"), 1)
    return [_button(number, line) for number, line in lines if line.strip()]


def _button(number: int, line: str) -> Button:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        raise Malformed(f"line {number} is not JSON") from None
    if not isinstance(fields, dict):
        raise Malformed(f"line {number} is not a JSON object")
    for name, pattern in _PATTERNS.items():
        value = fields.get(name)
        if not isinstance(value, str) or not re.fullmatch(pattern, value, re.ASCII):
            raise Malformed(f"line {number}: {name} must be {_SHAPES[name]}")
    alive_period_s = fields.get("alive_period_s", ALIVE_PERIOD_S)
    if type(alive_period_s) is not int or not 1 <= alive_period_s <= 86_400:
        raise Malformed(f"line {number}: alive_period_s must be 1 to 86400")
    capabilities = fields.get("capabilities")
    if capabilities is not None and not _are_capabilities(capabilities):
        raise Malformed(
            f"line {number}: capabilities must be an object of at most {CAPABILITIES_MAX} lower-case names "
            "with true or false"
        )
    return Button(
        fields["device_id"],
        bytes.fromhex(fields["root"]),
        fields["enrolment_sha256"],
        fields["kind"],
        fields["board"],
        alive_period_s,
        capabilities,
    )


def _are_capabilities(value: object) -> bool:
    return (
        isinstance(value, dict)
        and len(value) <= CAPABILITIES_MAX
        and all(_CAPABILITY.fullmatch(name) and type(has) is bool for name, has in value.items())
    )
