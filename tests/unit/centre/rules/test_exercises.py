"""Which presses are an exercise: only where nothing speaks against it."""

from typing import Any

import pytest

from centre.rules.exercises import Exercise, zone_of

TRAINING = Exercise(zone="5340", begins_at_ms=100, ends_at_ms=200)
CHECK = Exercise(check_zone="5415")
NOW: dict[str, Any] = {"serves_case": False, "is_revoked": False, "pressed_at_ms": 150, "now_ms": 150}


@pytest.mark.parametrize(
    ("of", "change", "zone"),
    [
        (TRAINING, {}, "5340"),
        (TRAINING, {"pressed_at_ms": 100, "now_ms": 199}, "5340"),
        (TRAINING, {"pressed_at_ms": 99}, None),
        (TRAINING, {"now_ms": 200}, None),
        (TRAINING, {"serves_case": True}, None),
        (TRAINING, {"is_revoked": True}, None),
        (CHECK, {}, "5415"),
        (CHECK, {"pressed_at_ms": 0, "now_ms": 10**12}, "5415"),
        (CHECK, {"serves_case": True}, None),
        (CHECK, {"is_revoked": True}, None),
        (Exercise(), {}, None),
    ],
)
def test_in_doubt_it_is_a_true_alarm(of: Exercise, change: dict[str, Any], zone: str | None) -> None:
    """Each condition alone makes it one."""
    assert zone_of(of, **NOW | change) == zone
