"""What a case manager is told of the ways on which a button reaches the centre."""

from dataclasses import replace

import pytest

from centre.rules.carriers import DAY_MS, Carrier, LastTest, NoticeKind, notices
from wire.direct import CLOCK_LOST, REFUSED, SIM

NOW_MS = 1_764_000_000_000
WELL = Carrier("wifi", NOW_MS, -60, 3800, 0, 0, None, None, None, None)
LTE = replace(WELL, carrier="lte", network=1)


def kinds(*carriers: Carrier, phone_ms: int | None = NOW_MS, test: LastTest | None = None) -> list[str]:
    return [f"{one.kind} {one.carrier}".strip() for one in notices(carriers, phone_ms, test, NOW_MS)]


def days_ago(days: float) -> int:
    return NOW_MS - round(days * DAY_MS)


def test_a_button_that_is_well_says_nothing() -> None:
    """Nor does one that has no way of its own, however long no phone has heard it: others tell that."""
    assert kinds(WELL, LTE) == []
    assert kinds(phone_ms=days_ago(9)) == []


@pytest.mark.parametrize(("days", "found"), [(1.9, []), (2.1, ["lte_silent lte"])])
def test_lte_is_silent_after_two_days_while_bluetooth_lives(days: float, found: list[str]) -> None:
    """A check-in is due every 20 to 28 hours: one may be missed."""
    assert kinds(replace(LTE, heard_at_ms=days_ago(days))) == found


def test_silent_everywhere_is_one_notice() -> None:
    """Not one of each way besides."""
    wifi, lte = (replace(one, heard_at_ms=days_ago(9)) for one in (WELL, LTE))
    assert kinds(wifi, lte, phone_ms=days_ago(3)) == ["silent_everywhere"]
    assert notices([wifi, lte], days_ago(3), None, NOW_MS)[0].since_ms == days_ago(3)


def test_a_carrier_that_never_came_through_is_silent() -> None:
    """It is known by its failures alone."""
    assert kinds(replace(LTE, heard_at_ms=None, error=1, error_at_ms=NOW_MS)) == ["lte_silent lte"]


def test_no_known_wifi_is_a_hint_and_no_fault() -> None:
    """After a week: somebody may be on holiday."""
    assert kinds(replace(WELL, heard_at_ms=days_ago(6.9)), LTE) == []
    (hint,) = notices([replace(WELL, heard_at_ms=days_ago(7.1)), LTE], NOW_MS, None, NOW_MS)
    assert (hint.kind, hint.is_hint) == (NoticeKind.WIFI_UNSEEN, True)


@pytest.mark.parametrize("error", [REFUSED, SIM])
def test_a_sim_that_is_refused_is_told_at_once(error: int) -> None:
    """A contract that ended shows before the day on which it is needed."""
    assert kinds(WELL, replace(LTE, error=error, error_at_ms=NOW_MS)) == ["sim_refused lte"]
    assert kinds(replace(WELL, error=error, error_at_ms=NOW_MS), LTE) == []  # of Wi-Fi it is a passphrase


def test_another_kind_of_network_is_told_for_a_month() -> None:
    """Networks are switched off, years after it was announced."""
    changed = replace(LTE, network=3, network_before=1, network_changed_at_ms=days_ago(29))
    assert kinds(WELL, changed) == ["network_changed lte"]
    assert kinds(WELL, replace(changed, network_changed_at_ms=days_ago(31))) == []


def test_a_lost_clock_is_told_until_the_button_has_it_again() -> None:
    """What it said last counts, on whichever way."""
    lost = replace(WELL, flags=CLOCK_LOST, heard_at_ms=days_ago(0.5))
    assert kinds(lost, replace(LTE, heard_at_ms=days_ago(1))) == ["clock_lost"]
    assert kinds(lost, LTE) == []


def test_a_test_names_the_ways_that_brought_nothing() -> None:
    """Bluetooth too, where there is a phone; not before all had their time."""
    test = LastTest(days_ago(1), frozenset({"wifi"}))
    assert kinds(WELL, LTE, test=test) == ["test_failed lte", "test_failed ble"]
    assert kinds(WELL, LTE, test=test, phone_ms=None) == ["test_failed lte"]
    assert kinds(WELL, LTE, test=LastTest(days_ago(1), frozenset({"ble", "wifi", "lte"}))) == []
    assert kinds(WELL, LTE, test=LastTest(NOW_MS - 60_000, frozenset())) == []
