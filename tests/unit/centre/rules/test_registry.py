"""The registry that provisioning writes."""

import json

import pytest

from centre.rules import registry
from tests.unit.centre.parts import Hand


def test_a_registry_is_read() -> None:
    """One button a line; empty lines are nothing."""
    assert registry.read(Hand(1).line + "\n" + Hand(2).line) == [Hand(1).registered, Hand(2).registered]


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "[]",
        "{}",
        Hand(2).line[:-20],
        json.dumps(json.loads(Hand(2).line) | {"device_id": "x"}),
        json.dumps(json.loads(Hand(2).line) | {"root": "AB" * 32}),
        json.dumps(json.loads(Hand(2).line) | {"root": None}),
        json.dumps(json.loads(Hand(2).line) | {"kind": "but\nton"}),
        json.dumps(json.loads(Hand(2).line) | {"alive_period_s": 0}),
        json.dumps(json.loads(Hand(2).line) | {"capabilities": ["battery"]}),
        json.dumps(json.loads(Hand(2).line) | {"capabilities": {"battery": 1}}),
        json.dumps(json.loads(Hand(2).line) | {"capabilities": {"Battery": True}}),
        json.dumps(json.loads(Hand(2).line) | {"capabilities": {"x" * 33: True}}),
        json.dumps(json.loads(Hand(2).line) | {"capabilities": {"a" * n: True for n in range(1, 18)}}),
    ],
)
def test_a_malformed_line_is_named_by_its_number(line: str) -> None:
    """The person who imports finds it, and the root is not shown."""
    with pytest.raises(registry.Malformed, match="line 3") as caught:
        registry.read(Hand(1).line + "\n" + line)
    assert Hand(2).root.hex()[:8] not in str(caught.value)


def test_capabilities_are_read_where_they_are_told() -> None:
    """Older lines have none."""
    told = {"fresh_address": False, "battery": True}
    (button,) = registry.read(json.dumps(json.loads(Hand(1).line) | {"capabilities": told}))
    assert button.capabilities == told
    assert registry.read(Hand(1).line)[0].capabilities is None
