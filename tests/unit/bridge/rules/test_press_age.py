"""How old a press was when it was heard, by what its button says later."""

import pytest

from bridge.rules.press_age import Age, when_heard
from wire.state import AGE_LOWER_BOUND, AGE_UNKNOWN, OPEN, State

SINCE_BOOT = OPEN | AGE_LOWER_BOUND


@pytest.mark.parametrize(
    ("age_10s", "flags", "since_heard_ms", "expected"),
    [
        pytest.param(0, OPEN, 400, Age(0, False), id="just pressed"),
        pytest.param(19, OPEN, 199_000, Age(0, False), id="asked long after it was heard"),
        pytest.param(18, OPEN, 30_000, Age(150, False), id="heard late"),
        pytest.param(12, OPEN, 0, Age(120, False), id="told by a CONTACT, heard by nobody"),
        pytest.param(12, SINCE_BOOT, 0, Age(120, True), id="the power was lost before we heard of it"),
        pytest.param(3, SINCE_BOOT, 33_000, Age(0, True), id="and step 1 began again, as we heard it"),
        pytest.param(3, SINCE_BOOT, 90_000, None, id="the power was lost after we heard it"),
        pytest.param(AGE_UNKNOWN, OPEN, 0, Age(0, True), id="a week, or the button does not know"),
        pytest.param(AGE_UNKNOWN, OPEN, 90_000, None, id="the same, of a press that we have heard"),
        pytest.param(
            18, OPEN, 10**12, Age(0, False), id="our clock was set on over a restart: as if just pressed"
        ),
    ],
)
def test_the_age_of_a_press(age_10s: int, flags: int, since_heard_ms: int, expected: Age | None) -> None:
    """In whole seconds; None where we know better."""
    assert when_heard(State(150, flags, age_10s, 1), since_heard_ms) == expected
