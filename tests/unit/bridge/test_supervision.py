"""Who counts as lost, and when: over simulated time."""

import pytest

from bridge.supervision import CENTRE_FAILURES, Supervision

MINUTE_MS = 60_000
PERIOD_S = 900
NAME = "A" * 16


def supervised(now_ms: int = 0) -> Supervision:
    supervision = Supervision(15)
    supervision.add(NAME, PERIOD_S, now_ms)
    supervision.listening(True, now_ms)
    return supervision


def test_a_button_is_out_of_reach_after_37_minutes_and_not_before() -> None:
    """Two signs of life, each as late as it may be, and a minute."""
    supervision = supervised()
    supervision.heard(NAME, 5 * MINUTE_MS)
    assert supervision.in_reach(NAME, (5 + 37) * MINUTE_MS) is True
    assert supervision.in_reach(NAME, (5 + 37) * MINUTE_MS + 1) is False
    supervision.heard(NAME, 60 * MINUTE_MS)
    assert supervision.in_reach(NAME, 61 * MINUTE_MS) is True


def test_a_button_that_was_never_heard_is_not_known_before_it_is_lost() -> None:
    """A bridge that has just started does not frighten anybody, and does not promise anything."""
    supervision = supervised()
    assert supervision.in_reach(NAME, 30 * MINUTE_MS) is None
    assert supervision.in_reach(NAME, 38 * MINUTE_MS) is False


@pytest.mark.parametrize("deaf_min", [1, 30, 600])
def test_while_nobody_listened_the_button_loses_no_time(deaf_min: int) -> None:
    """Bluetooth off for a night is Bluetooth's trouble, not the button's."""
    supervision = supervised()
    supervision.heard(NAME, 0)
    supervision.listening(False, 30 * MINUTE_MS)
    assert supervision.in_reach(NAME, (30 + deaf_min) * MINUTE_MS) is None
    supervision.listening(True, (30 + deaf_min) * MINUTE_MS)
    assert supervision.in_reach(NAME, (30 + deaf_min + 6) * MINUTE_MS) is True
    assert supervision.in_reach(NAME, (30 + deaf_min + 8) * MINUTE_MS) is False


def test_hours_at_a_time_without_bluetooth_are_told_once() -> None:
    """Each failing try says so again; the beginning counts."""
    supervision = supervised()
    supervision.heard(NAME, 0)
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
