"""What is sent when, over simulated time."""

from itertools import pairwise

import pytest

from bridge.model import Key
from bridge.rules.retry_queue import (
    IN_FLIGHT_MAX,
    RETRY_MS_MAX,
    Job,
    Kind,
    RetryQueue,
)
from tests.unit.bridge.parts import dice

MINUTE_MS = 60_000


def job(counter: int, kind: Kind = Kind.ALARM) -> Job:
    return Job(kind, Key("A" * 16, 2 if kind == Kind.TEST else 1, counter))


@pytest.mark.parametrize("seed", range(20))
def test_it_never_waits_longer_than_a_minute_and_never_gives_up(seed: int) -> None:
    """Six hours of a centre that fails in every way and slowness; then it answers, and all arrives."""
    chance = dice(seed)
    retry_queue = RetryQueue(chance.random)
    waiting = {
        job(n, chance.choice((Kind.ALARM, Kind.TEST, Kind.CALL_OFF, Kind.AGE, Kind.FIXES)))
        for n in range(1, 1 + chance.randint(1, 12))
    }
    for each in sorted(waiting):
        retry_queue.add(each, 0)
    sent: dict[Job, list[int]] = {each: [] for each in waiting}
    flying: dict[Job, int] = {}
    now_ms, heals_ms = 0, 6 * 60 * MINUTE_MS
    while len(retry_queue):
        for each in retry_queue.take(now_ms):
            sent[each].append(now_ms)
            flying[each] = now_ms + chance.choice((1, 30, 2_000, 15_000))
        next_ms = retry_queue.next_ms(now_ms)
        now_ms = min(value for value in (next_ms, *flying.values()) if value is not None)
        for each in [each for each, until_ms in flying.items() if until_ms <= now_ms]:
            del flying[each]
            if now_ms > heals_ms:
                retry_queue.done(each)
            else:
                retry_queue.failed(each, chance.choice(("a", "b", "c")), chance.random() < 0.3, now_ms)
        assert now_ms < heals_ms + 10 * MINUTE_MS
    for times in sent.values():
        tests_wait_ms = 15_000 * 6  # what is no alarm takes turns, two or four at a time
        gaps = [after - before for before, after in pairwise(times)]
        assert max(gaps) <= MINUTE_MS + tests_wait_ms
        assert times[-1] > heals_ms - MINUTE_MS
    alarm_gaps = [
        after - before
        for each, times in sent.items()
        if each.kind == Kind.ALARM
        for before, after in pairwise(times)
    ]
    assert max(alarm_gaps, default=0) <= MINUTE_MS


def test_the_first_retry_comes_soon_and_later_ones_spread() -> None:
    """Half a second at most at first; doubling; never the same for two bridges."""
    waits = []
    retry_queue = RetryQueue(dice(1).random)
    retry_queue.add(job(1), 0)
    now_ms = 0
    for _ in range(10):
        assert retry_queue.take(now_ms) == [job(1)]
        waits.append(retry_queue.failed(job(1), "centre_down", False, now_ms).in_ms)
        now_ms += waits[-1]
    assert 250 <= waits[0] <= 500
    assert waits[-1] >= RETRY_MS_MAX // 2
    assert len(set(waits[7:])) == 3


def test_alarms_go_before_tests() -> None:
    """Also before those that were there earlier."""
    retry_queue = RetryQueue(dice(1).random)
    for counter in range(1, 4):
        retry_queue.add(job(counter, Kind.TEST), 0)
    retry_queue.add(job(9), 0)
    assert retry_queue.take(0) == [job(9), job(1, Kind.TEST), job(2, Kind.TEST), job(3, Kind.TEST)]


def test_nothing_else_can_fill_the_alarms_line() -> None:
    """However many others hang, alarms go at once; and there is a bound to each kind."""
    retry_queue = RetryQueue(dice(1).random)
    for kind in (Kind.FIXES, Kind.AGE, Kind.TEST, Kind.CALL_OFF):
        for counter in range(1, 20):
            retry_queue.add(job(counter, kind), 0)
    others = [kind for kind in Kind if kind is not Kind.ALARM]
    assert len(retry_queue.take(0)) == sum(IN_FLIGHT_MAX[kind] for kind in others)
    assert retry_queue.take(0) == []
    for counter in range(100, 200):
        retry_queue.add(job(counter), 0)
    assert [each.kind for each in retry_queue.take(0)] == [Kind.ALARM] * IN_FLIGHT_MAX[Kind.ALARM]


def test_the_more_urgent_goes_first() -> None:
    """Alarm, call-off, test, age, positions, whichever was there before."""
    retry_queue = RetryQueue(dice(1).random)
    for kind in (Kind.FIXES, Kind.AGE, Kind.TEST, Kind.CALL_OFF, Kind.ALARM):
        retry_queue.add(job(1, kind), 0)
    assert [each.kind for each in retry_queue.take(0)] == list(Kind)


def test_when_the_centre_answers_again_nobody_waits_for_the_minute() -> None:
    """One answer, to whatever it was, sends all that has failed before at once."""
    retry_queue = RetryQueue(dice(1).random)
    now_ms = 0
    retry_queue.add(job(1), 0)
    for _ in range(10):
        assert retry_queue.take(now_ms) == [job(1)]
        now_ms += retry_queue.failed(job(1), "centre_down", False, now_ms).in_ms
    assert retry_queue.take(now_ms) == [job(1)]
    retry_queue.failed(job(1), "centre_down", False, now_ms)
    assert retry_queue.take(now_ms + 1) == []
    retry_queue.hurry(now_ms + 1)
    assert retry_queue.take(now_ms + 1) == [job(1)]


def test_the_same_press_twice_is_one_errand() -> None:
    """Heard and told by a CONTACT, it is sent once."""
    retry_queue = RetryQueue(dice(1).random)
    retry_queue.add(job(1), 0)
    assert retry_queue.take(0) == [job(1)]
    retry_queue.add(job(1), 5)
    assert retry_queue.take(5) == []
    retry_queue.done(job(1))
    assert len(retry_queue) == 0


def test_a_permanent_problem_is_told_once_and_still_retried_slowly() -> None:
    """An unknown device may be known tomorrow: it goes on, at the slow pace."""
    retry_queue = RetryQueue(dice(1).random)
    retry_queue.add(job(1), 0)
    now_ms, told = 0, []
    for reason in ("unknown_device", "unknown_device", "revoked", "revoked"):
        assert retry_queue.take(now_ms) == [job(1)]
        retry = retry_queue.failed(job(1), reason, True, now_ms)
        told.append(retry.is_news)
        assert RETRY_MS_MAX // 2 <= retry.in_ms <= RETRY_MS_MAX
        now_ms += retry.in_ms
    assert told == [True, False, True, False]
