"""The newest position: one definition, whatever clocks and phones say."""

import random
from typing import Any

import pytest

from centre.rules.incidents import Fix
from centre.rules.newest_position import Position, newest

NOW_MS = 1_795_000_000_000
A = Fix(51.2, 4.4, 5.0, 68.0, "GNSS", NOW_MS)
B = Fix(50.85, 4.35, 20.0, 68.0, "GNSS", NOW_MS)


def at(fix: Fix, received_at_ms: int, number: int, bridge: str = "OWN", **more: Any) -> Position:
    changed = fix._replace(taken_at_ms=received_at_ms)._replace(**more)
    return Position(changed, bridge, received_at_ms, number)


def test_a_fix_that_is_dated_ahead_is_not_the_newest_for_ever() -> None:
    """One of 2034 and implausible, then three of now without a mark: the car goes to where those are."""
    wild = at(A, NOW_MS, 1, taken_at_ms=2_000_000_000_000, marks=("implausible",))
    good = [at(B, NOW_MS + n * 10_000, n + 1) for n in (1, 2, 3)]
    result = newest([wild, *good])
    assert result is not None
    assert (result.position, result.other) == (good[-1], None)


@pytest.mark.parametrize("mark", ["jump", "implausible"])
def test_a_doubtful_position_gives_way_while_a_certain_one_is_recent(mark: str) -> None:
    """Five minutes long; then what is known is better than what was."""
    certain = at(B, NOW_MS, 1)
    for later_ms, expected in ((300_000, certain.number), (300_001, 2)):
        result = newest([certain, at(A, NOW_MS + later_ms, 2, marks=(mark,))])
        assert result is not None
        assert result.position.number == expected


def test_with_an_age_neither_clock_matters() -> None:
    """The phone's clock may be years off; what it measured last is last."""
    old = at(A, NOW_MS + 20_000, 2, age_s=3600.0, taken_at_ms=NOW_MS + 10**9)
    new = at(B, NOW_MS + 10_000, 1, age_s=0.5, taken_at_ms=0)
    result = newest([old, new])
    assert result is not None
    assert (result.position.number, result.position.at_ms) == (1, NOW_MS + 9_500)


def test_of_the_same_moment_the_later_number_is_newer() -> None:
    """Two sources speak in one millisecond."""
    result = newest([at(A, NOW_MS, 7), at(A, NOW_MS, 8)])
    assert result is not None
    assert result.position.number == 8


def test_two_phones_far_apart_are_both_shown() -> None:
    """A stolen phone says a town 40 km away, an hour ahead: it does not hide where the own phone is."""
    own = at(B, NOW_MS, 1)
    thief = at(A, NOW_MS + 5_000, 2, bridge="THIEF", taken_at_ms=NOW_MS + 3_600_000)
    result = newest([own, thief])
    assert result is not None
    assert {result.position.number, result.other and result.other.number} == {1, 2}


def test_two_phones_at_one_place_do_not_differ() -> None:
    """Within both circles, or as far as somebody can have gone in between."""
    result = newest([at(B, NOW_MS, 1), at(B, NOW_MS + 5_000, 2, bridge="OTHER", lat=50.853)])
    assert result is not None
    assert (result.position.number, result.other) == (2, None)


def test_a_revoked_phone_is_asked_only_where_there_is_no_other() -> None:
    """What a thief has said does not outlive the revocation."""
    own = at(B, NOW_MS, 1)
    thief = Position(A, "THIEF", NOW_MS + 60_000, 2, is_revoked=True)
    for positions, expected in (([own, thief], own), ([thief], thief)):
        result = newest(positions)
        assert result is not None
        assert (result.position, result.other) == (expected, None)


def test_no_position_is_none() -> None:
    """Nothing is made up."""
    assert newest([]) is None


@pytest.mark.parametrize("seed", range(20))
def test_no_phone_dates_itself_to_the_front(seed: int) -> None:
    """Whatever a clock says, what is newest came, and is certain where a certain one is recent."""
    draw = random.Random(seed)
    positions = [
        at(
            B,
            NOW_MS + n * 10_000,
            n,
            taken_at_ms=NOW_MS + draw.randint(-(10**12), 10**12),
            marks=draw.choice([(), (), ("stale",), ("jump",), ("implausible",)]),
        )
        for n in range(12)
    ]
    result = newest(positions)
    assert result is not None
    assert result.position.at_ms <= result.position.received_at_ms
    certain = [one for one in positions if not one.is_doubtful]
    if result.position.is_doubtful:
        assert all(result.position.at_ms - one.at_ms > 300_000 for one in certain)
    else:
        assert result.position.at_ms == max(one.at_ms for one in certain)
