"""What of the centre's own condition is a trouble, and what is not yet."""

from dataclasses import replace
from typing import Any

import pytest

from centre.rules.condition import Condition, LogCheck, WebhookState, ahead_ms, findings

DAY_MS = 86_400_000
NOW_MS = 1_795_000_000_000
WELL = Condition(
    NOW_MS,
    NOW_MS - 400 * DAY_MS,
    50 << 30,
    100 << 30,
    NOW_MS - 3_600_000,
    LogCheck(NOW_MS - 3_600_000, 0),
    NOW_MS - DAY_MS,
    WebhookState(0, None, None),
    clock_synchronised=True,
    clock_error_ms=12,
    ahead_of_phones_ms=800,
    certificate_ends_ms=NOW_MS + 400 * DAY_MS,
)


def test_where_all_is_well_nothing_is_told() -> None:
    """A list that always shows something is one that nobody reads."""
    assert list(findings(WELL)) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"disk_free": 900_000_000}, "disk_low"),
        ({"signed_at_ms": NOW_MS - 27 * 3_600_000}, "signature_late"),
        ({"signed_at_ms": None}, "signature_late"),
        ({"checked": LogCheck(NOW_MS, 3)}, "log_changed"),
        ({"checked": LogCheck(NOW_MS, None)}, "log_check_failed"),
        ({"backed_up_at_ms": NOW_MS - 9 * DAY_MS}, "backup_late"),
        ({"backed_up_at_ms": None}, "backup_late"),
        ({"webhook": WebhookState(2, NOW_MS - 121_000, None)}, "webhook_late"),
        ({"clock_synchronised": False}, "clock_unsynchronised"),
        ({"ahead_of_phones_ms": 61_000}, "clock_differs"),
        ({"ahead_of_phones_ms": -61_000}, "clock_differs"),
    ],
)
def test_each_trouble_has_its_reason(change: dict[str, Any], reason: str) -> None:
    """One at a time."""
    assert [finding.reason for finding in findings(replace(WELL, **change))] == [reason]


@pytest.mark.parametrize(
    "change",
    [
        {"began_ms": NOW_MS - 3_600_000, "signed_at_ms": None, "backed_up_at_ms": None, "checked": None},
        {"webhook": None},
        {"webhook": WebhookState(2, NOW_MS - 60_000, NOW_MS - DAY_MS)},
        {"clock_synchronised": None, "clock_error_ms": None, "ahead_of_phones_ms": None},
    ],
)
def test_what_is_new_or_not_known_is_no_trouble(change: dict[str, Any]) -> None:
    """A new centre has time until its first backup; a system that does not say is not accused."""
    assert list(findings(replace(WELL, **change))) == []


def test_the_middle_of_the_phones_is_asked_and_not_one_of_them() -> None:
    """One wrong clock moves nothing; of too few phones nothing is said."""
    assert ahead_ms([500, 600, 700, 800, 90_000_000]) == 700
    assert ahead_ms([90_000_000] * 4) is None
