"""How many of something are taken in a second."""

import random

from centre.rules.token_bucket import TokenBucket


def test_a_second_brings_what_a_second_may_and_then_no_more() -> None:
    """At once, or one by one; after a long silence too."""
    flow = TokenBucket(10, 10)
    assert [flow.takes(5_000) for _ in range(12)] == [True] * 10 + [False] * 2
    assert [flow.takes(5_100), flow.takes(5_100)] == [True, False]
    assert sum(flow.takes(60_000) for _ in range(50)) == 10


def test_however_they_come_no_more_are_taken_than_its_pace() -> None:
    """A thousand seconds of random arrivals, many too many: the pace, and one burst."""
    flow, chance = TokenBucket(7, 7), random.Random(7)
    arrivals = sorted(chance.randrange(1_000_000) for _ in range(70_000))
    assert 6_900 <= sum(flow.takes(at_ms) for at_ms in arrivals) <= 7_007


def test_who_keeps_to_the_pace_is_never_refused() -> None:
    """One every tenth of a second, for a minute."""
    flow = TokenBucket(10, 1)
    assert all(flow.takes(at_ms) for at_ms in range(0, 60_000, 100))
