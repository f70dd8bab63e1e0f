"""What a hand makes of the motor, also where a busy machine switches it late."""

import pytest

from sim.felt import ACKNOWLEDGED, CLOSED, DISPATCHED, NOT_CONFIRMED, RECEIVED, TAKEN, felt
from sim.happening import Happening

LATE_MS = (0.0, 100.0, 0.0, 0.0, 40.0, 0.0, 100.0, 0.0)  # each switching after its time


@pytest.mark.parametrize(
    ("on_ms", "pause_ms", "pulses", "means"),
    [
        (60, 0, 1, TAKEN),
        (120, 160, 2, RECEIVED),
        (120, 160, 3, ACKNOWLEDGED),
        (120, 160, 4, DISPATCHED),
        (700, 0, 1, CLOSED),
        (450, 250, 3, NOT_CONFIRMED),
    ],
)
def test_each_pattern_is_told_apart_also_when_the_motor_is_late(
    on_ms: int, pause_ms: int, pulses: int, means: str | int
) -> None:
    """As the wearer's guide has them."""
    happenings = []
    for number in range(pulses):
        for part, due_ms in enumerate((0, on_ms)):
            at_ms = number * (on_ms + pause_ms) + due_ms + LATE_MS[2 * number + part]
            happenings.append(Happening(at_ms, "button", "motor", {"on": not part}))
    assert [one.what for one in felt(happenings)] == [means]
