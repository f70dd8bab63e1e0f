"""Which fixes of an alarm are sent, and when: at once, refined, at 20 s, then on and on, and not for ever."""

import random
from itertools import pairwise

import pytest

from bridge.model import FOLLOWED_MS, Fix, rfc3339
from bridge.rules.accuracy import taken_ms
from bridge.rules.tracking import CALLED_OFF_MS, FIRST_MS, Track, thin

PRESS = 1_795_428_000_000


def taken(after_ms: int, radius_m: float = 8.0, *marks: str, source: str = "gpsd") -> Fix:
    at_ms = PRESS + after_ms
    return Fix(50.8, 4.37, radius_m, 95.0, "GNSS", rfc3339(at_ms), source, marks, at_ms)


def follow(track: Track, until_ms: int, step_ms: int = 1000, **fixes: float) -> list[int]:
    """Milliseconds after the press at which something is sent, with a fresh fix at each look."""
    return [
        after
        for after in range(0, until_ms, step_ms)
        if track.due(PRESS + after, taken(after, fixes.get("radius_m", 8.0)))
    ]


def test_after_twenty_seconds_the_best_goes_and_then_every_ten() -> None:
    """AML's 20 s, then as it is set. The alarm itself had a good one already."""
    assert follow(Track(taken(0), PRESS), 61_000) == [20_000, 30_000, 40_000, 50_000, 60_000]
    assert follow(Track(taken(0), PRESS, every_s=15), 61_000) == [20_000, 35_000, 50_000]


def test_the_first_fix_at_all_goes_as_soon_as_it_comes() -> None:
    """The alarm left without one."""
    track = Track(None, PRESS)
    assert track.due(PRESS + 3000, None) is None
    coarse = taken(4000, 900.0)
    assert track.due(PRESS + 4000, coarse) == coarse
    assert track.due(PRESS + 5000, taken(5000, 800.0)) is None  # not clearly better
    better = taken(6000, 10.0)
    assert track.due(PRESS + 6000, better) == better
    assert track.due(PRESS + 7000, taken(7000, 1.0)) is None  # once; the next is at 20 s


def test_the_first_clearly_better_one_goes_before_the_twenty_seconds() -> None:
    """It came with an old one: 8 m then, but the protected person has walked on since."""
    track = Track(taken(-50_000), PRESS)
    fresh = taken(2000, 20.0)
    assert track.due(PRESS + 2000, fresh) == fresh


def test_what_is_marked_does_not_refine_what_is_not() -> None:
    """And an unmarked one refines a marked one whatever its radius."""
    assert Track(taken(0, 500.0), PRESS).due(PRESS + 1000, taken(1000, 5.0, "jump")) is None
    wide = taken(1000, 900.0)
    assert Track(taken(-90_000, 5.0, "stale"), PRESS).due(PRESS + 1000, wide) == wide


def test_a_fix_is_sent_once_whatever_marks_it_gets() -> None:
    """Nothing new: nothing sent, and the next one goes the moment that it comes."""
    track = Track(None, PRESS)
    assert track.due(PRESS, taken(0)) == taken(0)
    for after in range(0, 200_000, 1000):
        assert track.due(PRESS + after, taken(0, 8.0, "stale")) is None
    new = taken(200_500)
    assert track.due(PRESS + 200_500, new) == new
    assert track.next_ms(PRESS + 200_500) == PRESS + 210_000


def test_whoever_asks_when_told_to_misses_nothing() -> None:
    """Looks each second while something is awaited, else sleeps until the next slot."""
    track, now, looks, sent = Track(None, PRESS), PRESS, 0, 0
    while (at := track.next_ms(now)) is not None:
        assert at > now
        now, looks = at, looks + 1
        sent += track.due(now, taken(now - PRESS) if now - PRESS < 3_600_000 else None) is not None
    assert now == PRESS + FOLLOWED_MS
    assert sent == 1 + (3_600_000 - FIRST_MS) // 10_000
    assert looks < 360 + 20 + 3700


def test_it_ends_after_two_hours_or_when_the_incident_is_closed() -> None:
    """And then says nothing more."""
    track = Track(None, PRESS)
    assert not track.ended(PRESS + FOLLOWED_MS - 1)
    assert track.ended(PRESS + FOLLOWED_MS)
    assert track.due(PRESS + FOLLOWED_MS, taken(FOLLOWED_MS)) is None
    closed = Track(None, PRESS)
    closed.close()
    assert closed.ended(PRESS + 1)
    assert closed.next_ms(PRESS + 1) is None
    assert closed.due(PRESS + 1, taken(1)) is None


def test_a_call_off_leaves_a_quarter_of_an_hour_and_never_more_than_there_was() -> None:
    """The right PIN and the one under duress look the same; a second one makes it no longer."""
    track = Track(None, PRESS)
    track.call_off(PRESS + 60_000)
    track.call_off(PRESS + 600_000)
    assert follow(track, FOLLOWED_MS, 10_000)[-1] == 60_000 + CALLED_OFF_MS - 10_000
    late = Track(None, PRESS)
    late.call_off(PRESS + FOLLOWED_MS - 1000)
    assert late.ended(PRESS + FOLLOWED_MS)


@pytest.mark.parametrize("seed", range(30))
def test_whatever_comes_a_track_keeps_its_word(seed: int) -> None:
    """No fix twice, none after the end, at most two early ones and one per slot."""
    chance = random.Random(seed)
    every_s = chance.choice([5, 10, 60])
    first = chance.choice([None, taken(-1000), taken(-90_000, 50.0, "stale")])
    track, now, end = Track(first, PRESS, every_s), PRESS, PRESS + FOLLOWED_MS
    sent: list[tuple[int, Fix]] = []
    best = None
    while now < PRESS + FOLLOWED_MS + 60_000:
        now += chance.choice([10, 500, 1000, 3000, 30_000])
        if chance.random() < 0.6:
            radius_m = chance.choice([3.0, 8.0, 40.0, 900.0])
            best = taken(now - PRESS, radius_m, *chance.choice([(), ("jump",)]), source=chance.choice("ab"))
        if chance.random() < 0.0003:
            track.call_off(now)
            end = min(end, now + CALLED_OFF_MS)
        fix = track.due(now, best)
        if fix:
            sent.append((now, fix))
        assert (track.next_ms(now) is None) == (now >= end), seed
    identities = [(fix.source, fix.taken_at) for _, fix in sent]
    assert len(set(identities)) == len(identities), f"seed {seed}: twice"
    assert all(at < end for at, _ in sent), f"seed {seed}: after the end"
    assert sum(at < PRESS + FIRST_MS for at, _ in sent) <= 2, seed
    slots = [(at - PRESS - FIRST_MS) // (every_s * 1000) for at, _ in sent if at >= PRESS + FIRST_MS]
    assert len(set(slots)) == len(slots), f"seed {seed}: twice in a slot"


def test_days_offline_leave_a_trace_that_is_dense_at_its_new_end() -> None:
    """First and last always; each gap is no more than about a fixed part of its age."""
    trace = [taken(10_000 * n) for n in range(1000)]
    left = thin(trace, 100, taken_ms)
    assert len(left) == 100
    assert (left[0], left[-1]) == (trace[0], trace[-1])
    assert left[-15:] == trace[-15:]
    ages = [taken_ms(trace[-1]) - taken_ms(fix) for fix in left]
    assert ages == sorted(ages, reverse=True)
    gaps = [older - newer for older, newer in pairwise(ages)]
    assert max(gap / (age + 1) for gap, age in zip(gaps, ages, strict=False) if age > 500_000) < 0.15
    assert sum(gaps[:20]) > 5 * sum(gaps[-40:-20])


def test_thinned_as_they_come_or_all_at_the_end_is_the_same_kind_of_trace() -> None:
    """A bridge does it at each fix; one that starts again does it once."""
    kept: list[Fix] = []
    for n in range(600):
        kept = thin([*kept, taken(10_000 * n)], 60, taken_ms)
    at_once = thin([taken(10_000 * n) for n in range(600)], 60, taken_ms)
    assert len(kept) == len(at_once) == 60
    assert kept[0] == at_once[0]
    for left in (kept, at_once):
        ages = [taken_ms(left[-1]) - taken_ms(fix) for fix in left]
        assert max((a - b) / (a + 1) for a, b in pairwise(ages) if a > 500_000) < 0.3


def test_few_are_not_thinned_and_equal_times_do_no_harm() -> None:
    """Nor does a trace of two."""
    assert thin([1, 2, 3], 3, lambda at: at) == [1, 2, 3]
    assert thin([5] * 10, 4, lambda at: at) == [5] * 4
    assert thin([1, 2, 3], 2, lambda at: at) == [1, 3]
    assert thin([1, 2, 6, 4, 5], 4, lambda at: at)[-1] == 5  # two sources, the older fix last
