"""The best fix at hand: which it is, and that nothing doubtful is ever shown as fresh."""

import random
from dataclasses import replace

import pytest

from bridge.model import MARKS, Fix, rfc3339
from bridge.rules.accuracy import age_ms, distance_m
from bridge.rules.fix_choice import STALE_MS, Selector
from tests.parts import seeds

NOW = 90_000_000  # by the clock that nobody sets
WALL = 1_795_428_000_000
SOURCES = ("gpsd", "geoclue", "fixed")
METRE = 1 / 111_195  # degrees of latitude
WEEKS_MS = 1024 * 7 * 86_400_000


def at(
    north_m: float = 0.0, age_ms: int = 0, *, radius_m: float = 8.0, source: str = "gpsd", **more: str
) -> Fix:
    """Return a fix `north_m` of a place in Brussels that came `age_ms` ago."""
    method = more.get("method", "MANUAL" if source == "fixed" else "GNSS")
    taken_at = rfc3339(WALL - age_ms)
    return Fix(50.8 + north_m * METRE, 4.37, radius_m, 95.0, method, taken_at, source, (), NOW - age_ms)


def best(*fixes: Fix, now_ms: int = NOW) -> Fix | None:
    selector = Selector(SOURCES)
    for fix in fixes:
        selector.offer(fix)
    return selector.latest(now_ms)


def test_nothing_is_at_hand_before_a_source_gave_something() -> None:
    """The alarm leaves without."""
    assert best() is None


def test_the_smaller_circle_is_taken_and_says_whose_it_is() -> None:
    """A receiver before the network's guess."""
    fix = best(at(radius_m=900, source="geoclue", method="NETWORK"), at(radius_m=8))
    assert fix == at(radius_m=8)


def test_the_receiver_that_was_lost_yields_to_the_network_as_its_user_walks_on() -> None:
    """8 m and 50 s ago is worse than 40 m now: a walk is 1.4 m/s."""
    lost, coarse = at(radius_m=8, age_ms=50_000), at(radius_m=40, source="geoclue")
    assert best(lost, coarse) == coarse
    assert best(at(radius_m=8, age_ms=10_000), coarse).source == "gpsd"  # type: ignore[union-attr]


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


def test_a_stated_place_does_not_hide_a_measured_one() -> None:
    """A bridge that was told of a home, and was taken along."""
    home = at(source="fixed", radius_m=10, age_ms=10**9)
    assert best(home) == home  # stated: it does not get stale
    assert best(home, at(3000, radius_m=300)) == at(3000, radius_m=300)
    gone = best(home, at(3000), now_ms=NOW + 20 * 60_000)
    assert gone
    assert (gone.source, gone.marks) == ("gpsd", ("stale",))
    assert best(home, at(3000), now_ms=NOW + 2 * 3_600_000) == home


def test_a_jump_is_marked_until_a_second_fix_agrees() -> None:
    """One reflection off a house moves nobody; a second one there does."""
    selector = Selector(SOURCES)
    for fix in (at(age_ms=3000), at(500_000, age_ms=2000)):
        selector.offer(fix)
    assert selector.latest(NOW) == at(age_ms=3000)
    later = NOW + 10**6  # even when only stale ones are left, it is the good one
    assert selector.latest(later) == replace(at(age_ms=3000), marks=("stale",))
    selector.offer(at(500_010, age_ms=1000))
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
        replace(at(), lat=0.0, lon=0.0),
        at(radius_m=0),
        at(radius_m=100_001),
    ],
)
def test_what_cannot_be_is_marked_and_hides_nothing(odd: Fix) -> None:
    """Nowhere, exact, anywhere. Sent only where there is nothing else at all."""
    assert best(odd) == replace(odd, marks=("implausible",))
    old = at(age_ms=50_000, radius_m=5000)
    assert best(old, odd) == old


@pytest.mark.parametrize(
    "change",
    [
        {"lat": float("nan")},
        {"lon": 181.0},
        *({"radius_m": radius_m} for radius_m in (float("inf"), float("nan"), -1.0, 20_037_509.0)),
        *({"taken_at": at} for at in ("noon", "", "1969-12-31T23:59:59Z", "9999-12-31T00:00:00Z")),
        {"confidence": 101.0},
        {"method": "GUESS"},
    ],
)
def test_what_is_no_position_is_not_kept(change: dict[str, object]) -> None:
    """The centre would refuse it, and all that is sent with it."""
    assert best(replace(at(), **change)) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "off_ms", [0, -9_000, 30_000, 59_000, -11_000, -3_600_000, 61_000, 3_720_000, 10**12]
)
def test_the_phones_clock_changes_no_choice(off_ms: int) -> None:
    """A receiver's fix of 5 m each second goes before a circle of 5 km by the phone's clock, unmarked."""
    selector = Selector(SOURCES)
    for second in range(30):
        here = replace(at(second, radius_m=5, age_ms=30_000 - second * 1000))
        selector.offer(here)
        if second % 10 == 0:
            circle = at(radius_m=5000, source="geoclue", method="NETWORK", age_ms=30_000 - second * 1000)
            selector.offer(replace(circle, taken_at=rfc3339(WALL + off_ms + second * 1000)))
    assert selector.latest(NOW - 1000) == here


@pytest.mark.parametrize("date_off_ms", [-WEEKS_MS, -2 * WEEKS_MS, WEEKS_MS, 8 * 3_600_000, -1])
def test_a_receiver_that_claims_another_time_is_where_it_is_now(date_off_ms: int) -> None:
    """The first moment by the phone's day, from then on by its own: ten minutes of walking north."""
    home = at(source="fixed", radius_m=10, age_ms=700_000)
    selector = Selector(SOURCES)
    selector.offer(home)
    selector.offer(at(age_ms=600_000))
    for second in range(1, 601):
        walked = at(1.9 * second, age_ms=600_000 - second * 1000)
        walked = replace(walked, taken_at=rfc3339(WALL - 600_000 + second * 1000 + date_off_ms))
        selector.offer(walked)
        assert selector.latest(NOW - 600_000 + second * 1000) == walked


def test_the_last_that_came_is_the_newest() -> None:
    """Nothing is late because something earlier claimed a later time."""
    assert best(at(10, age_ms=1000), replace(at(0), taken_at=rfc3339(WALL - 5000))) == replace(
        at(0), taken_at=rfc3339(WALL - 5000)
    )


def test_a_receiver_that_repeats_its_time_is_as_old_as_that() -> None:
    """One that hangs says the same moment for ever; it does not stay fresh by that."""
    selector = Selector(SOURCES)
    for second in range(100):
        selector.offer(replace(at(age_ms=100_000), arrived_ms=NOW - 100_000 + second * 1000))
    assert selector.latest(NOW) == replace(at(age_ms=100_000), marks=("stale",))


@pytest.mark.parametrize("seed", seeds(8, 40))
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
            rfc3339(WALL + now + chance.choice([0, 0, -500, -4_000_000, 60_000, -WEEKS_MS, WEEKS_MS])),
            chance.choice(SOURCES),
            (),
            now - chance.choice([0, 0, 0, 500, 30_000, 4_000_000]),
        )
        offered.append(fix)
        selector.offer(fix)
        asked = now + chance.choice([0, 0, 1000, 100_000])
        seen = selector.latest(asked)
        assert seen, seed
        bare = replace(seen, marks=(), arrived_ms=0)
        assert bare in [replace(one, arrived_ms=0) for one in offered], f"seed {seed}: made up"
        assert seen.arrived_ms is not None
        assert seen.arrived_ms <= max(one.arrived_ms or 0 for one in offered), f"seed {seed}: of the future"
        assert set(seen.marks) <= set(MARKS), seed
        if not seen.marks:
            assert seen.method == "MANUAL" or age_ms(seen, asked) <= STALE_MS, f"seed {seed}: old"
            assert 0 < seen.radius_m <= 100_000, f"seed {seed}: no radius"
            assert distance_m(seen, replace(seen, lat=0.0, lon=0.0)) > 1, f"seed {seed}: nowhere"
