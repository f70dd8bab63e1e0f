"""Who counts as lost, and when: over simulated time."""

import pytest

from bridge.rules.supervision import CENTRE_FAILURES, Supervision

MINUTE_MS = 60_000
PERIOD_S = 900
NAME = "A" * 16


def supervised(signs: int = 200) -> Supervision:
    """One that has heard so many signs in a row, at 0; without any it has just begun."""
    supervision = Supervision(15)
    supervision.add(NAME, PERIOD_S, 0)
    supervision.listening(True, 0)
    for counter in range(signs):
        supervision.heard(NAME, 0, counter)
    return supervision


def test_a_button_of_which_all_is_heard_is_out_of_reach_after_37_minutes_and_not_before() -> None:
    """Two signs of life, each as late as it may be, and a minute."""
    supervision = supervised()
    assert supervision.lost_after_s(NAME) == 37 * 60
    supervision.heard(NAME, 5 * MINUTE_MS)
    assert supervision.in_reach(NAME, (5 + 37) * MINUTE_MS) is True
    assert supervision.in_reach(NAME, (5 + 37) * MINUTE_MS + 1) is False
    supervision.heard(NAME, 60 * MINUTE_MS)
    assert supervision.in_reach(NAME, 61 * MINUTE_MS) is True


def test_the_fewer_signs_are_heard_the_longer_is_a_silence_nothing() -> None:
    """A phone that sleeps and hears every third one: hours, and it says so; a bound there is all the same."""
    supervision = supervised()
    for counter in range(300, 900, 3):
        supervision.heard(NAME, 0, counter)
    lost_after_s = supervision.lost_after_s(NAME)
    assert 5 * 3600 < lost_after_s <= (24 * 18 + 1) * 60
    assert supervision.in_reach(NAME, lost_after_s * 1000) is True
    assert supervision.in_reach(NAME, lost_after_s * 1000 + 1) is False


def test_a_press_and_a_link_say_that_it_lives_and_nothing_of_how_well_it_is_heard() -> None:
    """Neither has a place in the row of signs of life."""
    supervision = supervised()
    supervision.heard(NAME, 0)
    supervision.heard(NAME, 0, 200)
    assert supervision.lost_after_s(NAME) == 37 * 60


def test_a_button_that_was_never_heard_is_not_known_before_it_is_lost() -> None:
    """A bridge that has just started does not frighten anybody, and does not promise anything."""
    supervision = supervised(signs=0)
    lost_after_ms = supervision.lost_after_s(NAME) * 1000
    assert supervision.in_reach(NAME, lost_after_ms) is None
    assert supervision.in_reach(NAME, lost_after_ms + 1) is False
    assert lost_after_ms <= (24 * 18 + 1) * MINUTE_MS


@pytest.mark.parametrize("deaf_min", [1, 30, 600])
def test_while_nobody_listened_the_button_loses_no_time(deaf_min: int) -> None:
    """Bluetooth off for a night is Bluetooth's trouble, not the button's; nor were those signs missed."""
    supervision = supervised()
    supervision.listening(False, 30 * MINUTE_MS)
    assert supervision.in_reach(NAME, (30 + deaf_min) * MINUTE_MS) is None
    supervision.listening(True, (30 + deaf_min) * MINUTE_MS)
    assert supervision.in_reach(NAME, (30 + deaf_min + 6) * MINUTE_MS) is True
    assert supervision.in_reach(NAME, (30 + deaf_min + 8) * MINUTE_MS) is False
    supervision.heard(NAME, (30 + deaf_min + 9) * MINUTE_MS, 300)
    assert supervision.lost_after_s(NAME) == 37 * 60


def test_hours_at_a_time_without_bluetooth_are_told_once() -> None:
    """Each failing try says so again; the beginning counts."""
    supervision = supervised()
    for minute in range(10, 100):
        supervision.listening(False, minute * MINUTE_MS)
    supervision.listening(True, 100 * MINUTE_MS)
    assert supervision.in_reach(NAME, (100 + 26) * MINUTE_MS) is True
    assert supervision.in_reach(NAME, (100 + 28) * MINUTE_MS) is False


def test_one_wave_in_the_network_is_no_news() -> None:
    """The second failure in a row is; an answer between them starts anew."""
    supervision = supervised()
    answers = [supervision.centre(False) for _ in range(CENTRE_FAILURES)]
    assert answers == [True] * (CENTRE_FAILURES - 1) + [False]
    assert supervision.centre(True)
    assert supervision.centre(False)


def test_a_battery_around_its_limit_does_not_flicker() -> None:
    """Low under 15 %, well again from 20 % on; unknown changes nothing."""
    supervision = supervised()
    levels = (None, 15, 14, 16, 19, None, 20, 15)
    assert [supervision.phone(level) for level in levels] == [
        *(False, False, True, True, True, True, False, False)
    ]
