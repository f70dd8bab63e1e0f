"""When a receiver's moment was, whatever its calendar and the phone's clock say."""

import random
from datetime import UTC, datetime, timedelta, timezone

import pytest

from bridge.rules.receiver_time import (
    DAY_MS,
    LOST_BEFORE_MS,
    StampedAges,
    nearest_ms,
    of_day_ms,
    reference_ms,
)

NOW = int(datetime(2026, 11, 23, 10, 15, 4, tzinfo=UTC).timestamp() * 1000)
WEEKS_MS = 1024 * 7 * DAY_MS


@pytest.mark.parametrize("seed", range(50))
def test_the_moment_is_within_half_a_day_of_the_reference(seed: int) -> None:
    """And has the receiver's time of day, wherever midnight is."""
    chance = random.Random(seed)
    near_ms = NOW + chance.randrange(-400 * DAY_MS, 400 * DAY_MS)
    true_ms = near_ms + chance.randrange(-DAY_MS // 2 + 1, DAY_MS // 2)
    assert nearest_ms(true_ms % DAY_MS, near_ms) == true_ms


def test_a_phone_that_has_lost_its_clock_takes_the_receivers_date_if_that_can_be() -> None:
    """Any multiple of 1,024 weeks, 1980, 2080 and none at all are the same: the program's own year."""
    assert reference_ms(NOW, NOW - WEEKS_MS) == NOW
    for lost_ms in (0, 1_420_070_400_000):
        assert reference_ms(lost_ms, NOW) == NOW
        wild = [NOW - WEEKS_MS, NOW - 2 * WEEKS_MS, NOW + WEEKS_MS, 315_964_800_000, 3_471_292_800_000, None]
        assert {reference_ms(lost_ms, receiver_ms) for receiver_ms in wild} == {LOST_BEFORE_MS}


def test_the_time_of_day_is_in_utc() -> None:
    """Of the first and the last day that a calendar has, too."""
    assert of_day_ms(datetime(2026, 11, 23, 10, 0, 0, 500_000, UTC)) == 36_000_500
    early = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=10)))
    assert of_day_ms(early) == 14 * 3_600_000
    late = datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-10)))
    assert of_day_ms(late) == 9 * 3_600_000


@pytest.mark.parametrize("stamp_off_ms", [0, -3_720_000, 3_720_000, 61_000, -WEEKS_MS])
@pytest.mark.parametrize("wall_off_ms", [0, -3_720_000, 3_720_000, -11_000, 61_000])
def test_what_comes_at_once_is_of_now_whatever_the_clocks(stamp_off_ms: int, wall_off_ms: int) -> None:
    """From the second fix on nothing but the steady clock counts; what waited is as old as it waited."""
    ages, boot_ms = StampedAges(), 500_000
    ages.age_ms(NOW + stamp_off_ms, NOW + wall_off_ms, boot_ms)
    for second in range(1, 20):
        at_ms = second * 1000
        stamp_ms, wall_ms = NOW + stamp_off_ms + at_ms, NOW + wall_off_ms + at_ms
        assert ages.age_ms(stamp_ms, wall_ms, boot_ms + at_ms) == 0
    late_ms = 300_000
    assert ages.age_ms(stamp_ms, NOW + wall_off_ms + late_ms, boot_ms + late_ms) == late_ms - 19_000


def test_the_first_one_may_be_what_the_source_remembers() -> None:
    """By the phone's clock, as far as the machine has been awake; the next one shows what is live."""
    ages = StampedAges()
    assert ages.age_ms(NOW - 3_600_000, NOW, 9_000_000) == 3_600_000
    assert ages.age_ms(NOW + 1000, NOW + 1000, 9_001_000) == 0
    assert StampedAges().age_ms(NOW - WEEKS_MS, NOW, 9_000_000) == 0
    assert StampedAges().age_ms(NOW + 5000, NOW, 9_000_000) == 0


@pytest.mark.parametrize("step_ms", [-3_600_000, -11_000, 11_000, 3_600_000])
def test_a_clock_that_is_set_ages_nothing(step_ms: int) -> None:
    """Stamps by that clock move with it."""
    ages, boot_ms = StampedAges(), 500_000
    for second in range(40):
        off_ms = second * 1000 + (step_ms if second >= 20 else 0)
        assert ages.age_ms(NOW + off_ms, NOW + off_ms, boot_ms + second * 1000) == 0
