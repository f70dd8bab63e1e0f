"""A scan that hears nothing, or does not begin: what is done, and when people are told."""

import random

import pytest

from bridge.rules.scan_recovery import AGAIN_S_MAX, CYCLE_MS, TELL_MS, ScanRecovery, Step

MINUTE_MS = 60_000


def test_a_scan_that_does_not_begin_is_tried_within_seconds_for_ever() -> None:
    """And from the beginning again after it has begun."""
    recovery = ScanRecovery()
    assert [recovery.failed() for _ in range(6)] == [1, 2, 4, 4, 4, 4]
    recovery.began(0)
    assert recovery.failed() == 1


def test_silence_is_told_once_and_cured_by_power_cycles_that_become_rare() -> None:
    """Told after 5 min; off and on after 10, then after 20, 40, ... at most 6 h."""
    recovery = ScanRecovery()
    recovery.began(0)
    steps = {}
    for minute in range(1, 3000):
        recovery.began(minute * MINUTE_MS)
        steps[minute] = recovery.silent(minute * MINUTE_MS)
    assert [minute for minute, step in steps.items() if step.tell] == [TELL_MS // MINUTE_MS]
    cycles = [minute for minute, step in steps.items() if step.power_cycle]
    assert cycles == [10, 30, 70, 150, 310, 630, 990, 1350, 1710, 2070, 2430, 2790]


def test_an_advert_ends_it_and_it_is_said_once_that_it_is_over() -> None:
    """The next silence is told again, with more patience: here adverts are rare."""
    recovery = ScanRecovery()
    recovery.began(0)
    assert recovery.silent(TELL_MS) == Step(tell=True)
    assert not recovery.heard(0)
    assert recovery.heard(TELL_MS + 1)
    assert not recovery.heard(TELL_MS + 1)
    assert recovery.silent(2 * TELL_MS + 1) == Step()
    assert recovery.silent(3 * TELL_MS + 3) == Step(tell=True, power_cycle=True)


def test_where_a_button_calls_each_hour_its_silence_is_told_of_once() -> None:
    """A lonely house: after the first hour nobody is told again, and no adapter is switched off."""
    recovery = ScanRecovery()
    recovery.began(0)
    told = 0
    for hour in range(24):
        for minute in range(60):
            step = recovery.silent((hour * 60 + minute) * MINUTE_MS)
            told += step.tell
            assert hour == 0 or step == Step()
        recovery.heard((hour + 1) * 60 * MINUTE_MS)
    assert told == 1


def test_an_adapter_that_a_power_cycle_has_cured_is_cured_as_soon_the_next_time() -> None:
    """Its silence teaches no patience."""
    recovery, now_ms = ScanRecovery(), 0
    recovery.began(0)
    for _ in range(10):
        steps: list[Step] = []
        while not (steps and steps[-1].power_cycle):
            now_ms += MINUTE_MS
            steps.append(recovery.silent(now_ms))
        assert [minute for minute, step in enumerate(steps, 1) if step.tell] == [TELL_MS // MINUTE_MS]
        assert len(steps) == CYCLE_MS // MINUTE_MS
        now_ms += 5000
        assert recovery.heard(now_ms)


def test_a_radio_that_is_gone_is_no_silence() -> None:
    """That is another trouble, with a sentence of its own."""
    recovery = ScanRecovery()
    recovery.began(0)
    recovery.failed()
    assert recovery.silent(100 * CYCLE_MS) == Step()
    recovery.began(100 * CYCLE_MS)
    assert recovery.silent(100 * CYCLE_MS + MINUTE_MS) == Step()


@pytest.mark.parametrize("seed", range(30))
def test_whatever_happens_it_tells_before_it_switches_and_never_often(seed: int) -> None:
    """Adverts, failures and looks in any order."""
    chance = random.Random(seed)
    recovery, now_ms, cycled_ms = ScanRecovery(), 0, -CYCLE_MS
    recovery.began(0)
    for _ in range(2000):
        now_ms += chance.choice([1000, MINUTE_MS, 10 * MINUTE_MS])
        match chance.choice(["silent"] * 8 + ["heard", "failed"]):
            case "silent":
                step = recovery.silent(now_ms)
                if step.power_cycle:
                    assert recovery.is_told, seed
                    assert now_ms - cycled_ms >= CYCLE_MS, seed
                    cycled_ms = now_ms
            case "heard":
                recovery.heard(now_ms)
                assert not recovery.is_told, seed
            case "failed":
                assert recovery.failed() <= AGAIN_S_MAX, seed
                recovery.began(now_ms)
