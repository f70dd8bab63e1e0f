"""Refusals are counted, and a flood of them is a line a minute."""

from centre.rules.refusals import Tally


def test_a_flood_is_one_line_a_minute_and_reason() -> None:
    """The first is told at once, the others together when the minute is over."""
    tally = Tally()
    told = [tally.note("bad_code", at_ms) for at_ms in range(0, 60_000, 10)]
    assert told == [1, *[None] * 5999]
    assert tally.note("unauthorised", 5) == 1
    assert tally.due(59_999) == []
    assert tally.due(60_000) == [("bad_code", 5999)]
    assert tally.note("bad_code", 60_001) is None
    assert tally.due(119_999) == []


def test_nothing_counted_is_lost_at_the_end() -> None:
    """When we stop, what was not told yet is told."""
    tally = Tally()
    tally.note("bad_code", 0)
    tally.note("bad_code", 1)
    assert tally.due() == [("bad_code", 1)]
    assert tally.due() == []
