"""The best fix at hand: which it is, and that nothing doubtful is ever shown as fresh."""

import random
from dataclasses import replace

import pytest

from bridge.model import MARKS, Fix, rfc3339
from bridge.rules.accuracy import distance_m, taken_ms
from bridge.rules.fix_choice import AHEAD_MS_MAX, STALE_MS, Selector

NOW = 1_795_428_000_000
SOURCES = ("gpsd", "geoclue", "fixed")
METRE = 1 / 111_195  # degrees of latitude


def at(
    north_m: float = 0.0, age_ms: int = 0, *, radius_m: float = 8.0, source: str = "gpsd", **more: str
) -> Fix:
    """`north_m` of a place in Brussels."""
    method = more.get("method", "MANUAL" if source == "fixed" else "GNSS")
    return Fix(50.8 + north_m * METRE, 4.37, radius_m, 95.0, method, rfc3339(NOW - age_ms), source)


def best(*fixes: Fix, now_ms: int = NOW) -> Fix | None:
    selector = Selector(SOURCES)
    for fix in fixes:
        selector.offer(fix, NOW)
    return selector.latest(now_ms)


def test_nothing_is_at_hand_before_a_source_gave_something() -> None:
    """The alarm leaves without."""
    assert best() is None


def test_the_smaller_circle_is_taken_and_says_whose_it_is() -> None:
    """A receiver before the network's guess."""
    fix = best(at(radius_m=900, source="geoclue", method="NETWORK"), at(radius_m=8))
    assert fix == at(radius_m=8)


def test_the_receiver_that_was_lost_yields_to_the_network_as_she_walks_on() -> None:
    """8 m and 50 s ago is worse than 40 m now: a walk is 1.4 m/s."""
    lost, coarse = at(radius_m=8, age_ms=50_000), at(radius_m=40, source="geoclue")
    assert best(lost, coarse) == coarse
    assert best(replace(lost, taken_at=rfc3339(NOW - 10_000)), coarse).source == "gpsd"  # type: ignore[union-attr]


def test_in_a_car_it_yields_sooner() -> None:
    """At 20 m/s, ten seconds are 200 m."""
    drive = [at(20.0 * s, age_ms=40_000 - 1000 * s) for s in range(31)]
    fix = best(*drive, at(600, radius_m=100, source="geoclue"))
    assert fix
    assert fix.source == "geoclue"


def test_what_is_older_than_a_minute_is_marked_stale() -> None:
    """Whatever it was when it came: the mark is of the moment of asking."""
    fix = at()
    assert best(fix, now_ms=NOW + STALE_MS) == fix
    assert best(fix, now_ms=NOW + STALE_MS + 1) == replace(fix, marks=("stale",))


def test_a_stated_place_does_not_hide_where_she_was_measured() -> None:
    """A bridge that was told of her home, and went with her."""
    home = at(source="fixed", radius_m=10, age_ms=10**9)
    assert best(home) == home  # stated: it does not get stale
    assert best(home, at(3000, radius_m=300)) == at(3000, radius_m=300)
    gone = best(home, at(3000), now_ms=NOW + 20 * 60_000)
    assert gone
    assert (gone.source, gone.marks) == ("gpsd", ("stale",))
    assert best(home, at(3000), now_ms=NOW + 2 * 3_600_000) == home


def test_a_jump_is_marked_until_a_second_fix_agrees() -> None:
    """One reflection off a house does not move her; a second one there does."""
    selector = Selector(SOURCES)
    for fix in (at(age_ms=3000), at(500_000, age_ms=2000)):
        selector.offer(fix, NOW)
    assert selector.latest(NOW) == at(age_ms=3000)
    later = NOW + 10**6  # even when only stale ones are left, it is the good one
    assert selector.latest(later) == replace(at(age_ms=3000), marks=("stale",))
    selector.offer(at(500_010, age_ms=1000), NOW)
    assert selector.latest(NOW) == at(500_010, age_ms=1000)


def test_two_jumps_to_different_places_are_both_marked() -> None:
    """A receiver that makes positions up."""
    fixes = [at(age_ms=3000), at(500_000, age_ms=2000), at(-500_000, age_ms=1000)]
    assert best(*fixes) == fixes[0]


def test_two_fixes_of_one_second_are_no_jump() -> None:
    """Sources that say only the second, on a bicycle."""
    fix = best(at(age_ms=1000), at(30, age_ms=1000))
    assert fix
    assert fix.marks == ()


def test_within_both_circles_nothing_is_a_jump() -> None:
    """A coarse position may be anywhere in its circle."""
    fix = best(at(age_ms=1000, radius_m=3000), at(3500, radius_m=1000))
    assert fix
    assert fix.marks == ()


@pytest.mark.parametrize(
    "odd",
    [
        Fix(0.0, 0.0, 5.0, 95.0, "GNSS", rfc3339(NOW), "gpsd"),
        at(radius_m=0),
        at(radius_m=-1),
        at(radius_m=100_001),
        at(age_ms=-AHEAD_MS_MAX - 1000),
    ],
)
def test_what_cannot_be_is_marked_and_hides_nothing(odd: Fix) -> None:
    """Nowhere, exact, anywhere, in the future. Sent only where there is nothing else at all."""
    assert best(odd) == replace(odd, marks=("implausible",))
    old = at(age_ms=50_000, radius_m=5000)
    assert best(old, odd) == old


@pytest.mark.parametrize(
    "change",
    [{"lat": float("nan")}, {"lon": 181.0}, {"radius_m": float("inf")}, {"taken_at": "noon"}],
)
def test_what_is_no_position_is_not_kept(change: dict[str, object]) -> None:
    """JSON could not even say it."""
    assert best(replace(at(), **change)) is None  # type: ignore[arg-type]


def test_a_clock_set_back_makes_the_fix_at_hand_doubtful_until_the_next() -> None:
    """It was taken in the future by now; a new one replaces it all the same."""
    selector = Selector(SOURCES)
    selector.offer(at(), NOW)
    set_back = NOW - 3_600_000
    assert selector.latest(set_back) == replace(at(), marks=("implausible",))
    fresh = at(age_ms=3_600_000)
    selector.offer(fresh, set_back)
    assert selector.latest(set_back) == fresh


def test_a_fix_that_comes_late_does_not_replace_a_newer_one() -> None:
    """Sources report in their own order."""
    assert best(at(10, age_ms=1000), at(0, age_ms=5000)) == at(10, age_ms=1000)


@pytest.mark.parametrize("seed", range(40))
def test_whatever_comes_nothing_doubtful_is_shown_as_fresh(seed: int) -> None:
    """Any mixture of three sources' good, old, jumping and impossible fixes, asked at any time."""
    chance = random.Random(seed)
    selector = Selector(SOURCES)
    now = NOW
    offered: list[Fix] = []
    for _ in range(200):
        now += chance.choice([0, 200, 1000, 5000, 70_000])
        fix = Fix(
            chance.choice([50.8, 50.8001, 50.9, 0.0, 10.0]) + chance.uniform(0, 1e-5),
            chance.choice([4.37, 4.3701, 0.0]),
            chance.choice([0.0, 4.0, 30.0, 2000.0, 200_000.0]),
            95.0,
            chance.choice(["GNSS", "NETWORK", "MANUAL"]),
            rfc3339(now + chance.choice([0, 0, 0, -500, -30_000, -4_000_000, 5_000, 60_000])),
            chance.choice(SOURCES),
        )
        offered.append(fix)
        selector.offer(fix, now)
        asked = now + chance.choice([0, 0, 1000, 100_000])
        seen = selector.latest(asked)
        assert seen, seed
        bare = replace(seen, marks=())
        assert bare in offered, f"seed {seed}: made up"
        assert set(seen.marks) <= set(MARKS), seed
        if not seen.marks:
            assert taken_ms(seen) <= asked + AHEAD_MS_MAX, f"seed {seed}: of the future"
            assert seen.method == "MANUAL" or asked - taken_ms(seen) <= STALE_MS, f"seed {seed}: old"
            assert 0 < seen.radius_m <= 100_000, f"seed {seed}: no radius"
            assert distance_m(seen, replace(seen, lat=0.0, lon=0.0)) > 1, f"seed {seed}: nowhere"
