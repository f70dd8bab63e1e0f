"""The self-test's clock: how far a board's is off, and how sure that is."""

import pytest

from firmware.flash.selftest import Reading, drift


def test_a_clock_that_is_fast_is_said_in_percent() -> None:
    """Three hundredths of a second in three seconds are one percent."""
    percent, bound = drift(Reading(100, 0.001, 5), Reading(103, 0.002, 8.03))
    assert percent == pytest.approx(1)
    assert bound == pytest.approx(100 * 0.004 / 3)


@pytest.mark.parametrize("early_s", [0, 0.04])
@pytest.mark.parametrize("late_s", [0, 0.1])
def test_the_bound_holds_wherever_the_time_was_lost(early_s: float, late_s: float) -> None:
    """On the way to the board or back, at the beginning or at the end: a right clock may be within it."""
    first = Reading(10 + 0.02, 0.02, 10 + early_s)
    second = Reading(14 + 0.05, 0.05, 14 + late_s)
    percent, bound = drift(first, second)
    assert abs(percent) <= bound
