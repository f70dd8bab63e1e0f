"""What is sent when, over simulated time."""

from itertools import pairwise

import pytest

from bridge.courier import IN_FLIGHT_MAX, RETRY_MS_MAX, TESTS_IN_FLIGHT_MAX, Courier
from bridge.model import Key
from tests.unit.bridge.parts import dice
from wire.codes import ALARM, TEST

MINUTE_MS = 60_000


def key(counter: int, event: int = ALARM) -> Key:
    return Key("A" * 16, event, counter)


@pytest.mark.parametrize("seed", range(20))
def test_it_never_waits_longer_than_a_minute_and_never_gives_up(seed: int) -> None:
    """Six hours of a centre that fails in every way and slowness; then it answers, and all arrives."""
    chance = dice(seed)
    courier = Courier(chance.random)
    waiting = {key(n, chance.choice((ALARM, TEST))) for n in range(1, 1 + chance.randint(1, 12))}
    for each in sorted(waiting):
        courier.add(each, 0)
    sent: dict[Key, list[int]] = {each: [] for each in waiting}
    flying: dict[Key, int] = {}
    now_ms, heals_ms = 0, 6 * 60 * MINUTE_MS
    while len(courier):
        for each in courier.take(now_ms):
            sent[each].append(now_ms)
            flying[each] = now_ms + chance.choice((1, 30, 2_000, 15_000))
        next_ms = courier.next_ms(now_ms)
        now_ms = min(value for value in (next_ms, *flying.values()) if value is not None)
        for each in [each for each, until_ms in flying.items() if until_ms <= now_ms]:
            del flying[each]
            if now_ms > heals_ms:
                courier.done(each)
            else:
                courier.failed(each, chance.choice(("a", "b", "c")), chance.random() < 0.3, now_ms)
        assert now_ms < heals_ms + 10 * MINUTE_MS
    for times in sent.values():
        tests_wait_ms = 15_000 * 3  # tests take turns, four at a time
        gaps = [after - before for before, after in pairwise(times)]
        assert max(gaps) <= MINUTE_MS + tests_wait_ms
        assert times[-1] > heals_ms - MINUTE_MS
    alarm_gaps = [
        after - before
        for each, times in sent.items()
        if each.event == ALARM
        for before, after in pairwise(times)
    ]
    assert max(alarm_gaps, default=0) <= MINUTE_MS


def test_the_first_retry_comes_soon_and_later_ones_spread() -> None:
    """Half a second at most at first; doubling; never the same for two bridges."""
    waits = []
    courier = Courier(dice(1).random)
    courier.add(key(1), 0)
    now_ms = 0
    for _ in range(10):
        assert courier.take(now_ms) == [key(1)]
        waits.append(courier.failed(key(1), "centre_down", False, now_ms).in_ms)
        now_ms += waits[-1]
    assert 250 <= waits[0] <= 500
    assert waits[-1] >= RETRY_MS_MAX // 2
    assert len(set(waits[7:])) == 3


def test_alarms_go_before_tests() -> None:
    """Also before those that were there earlier."""
    courier = Courier(dice(1).random)
    for counter in range(1, 4):
        courier.add(key(counter, TEST), 0)
    courier.add(key(9), 0)
    assert courier.take(0) == [key(9), key(1, TEST), key(2, TEST), key(3, TEST)]


def test_tests_cannot_fill_the_line() -> None:
    """However many tests hang, an alarm goes at once; and there is a bound to all."""
    courier = Courier(dice(1).random)
    for counter in range(1, 20):
        courier.add(key(counter, TEST), 0)
    assert len(courier.take(0)) == TESTS_IN_FLIGHT_MAX
    assert courier.take(0) == []
    for counter in range(100, 200):
        courier.add(key(counter), 0)
    assert len(courier.take(0)) == IN_FLIGHT_MAX - TESTS_IN_FLIGHT_MAX


def test_the_same_press_twice_is_one_errand() -> None:
    """Heard and told by a CONTACT, it is sent once."""
    courier = Courier(dice(1).random)
    courier.add(key(1), 0)
    assert courier.take(0) == [key(1)]
    courier.add(key(1), 5)
    assert courier.take(5) == []
    courier.done(key(1))
    assert len(courier) == 0


def test_a_permanent_problem_is_told_once_and_still_retried_slowly() -> None:
    """An unknown device may be known tomorrow: it goes on, at the slow pace."""
    courier = Courier(dice(1).random)
    courier.add(key(1), 0)
    now_ms, told = 0, []
    for reason in ("unknown_device", "unknown_device", "revoked", "revoked"):
        assert courier.take(now_ms) == [key(1)]
        retry = courier.failed(key(1), reason, True, now_ms)
        told.append(retry.tell)
        assert RETRY_MS_MAX // 2 <= retry.in_ms <= RETRY_MS_MAX
        now_ms += retry.in_ms
    assert told == [True, False, True, False]
