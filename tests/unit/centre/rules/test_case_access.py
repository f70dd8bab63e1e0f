"""Until when an operator may look into a case."""

from centre.rules.case_access import AFTER_DURESS_MS, sees_case
from wire import receipts


def test_a_case_is_seen_as_long_as_its_alarm_is_open() -> None:
    """Whatever was done about it, until it is closed."""
    for stage in (receipts.RECEIVED, receipts.ACKNOWLEDGED, receipts.DISPATCHED):
        assert sees_case(stage, None, None, 10)
        assert sees_case(stage, None, 5, 10)
    assert not sees_case(receipts.CLOSED, 5, None, 10)


def test_a_duress_pin_after_the_end_opens_it_again_for_hours() -> None:
    """One from before the end, which was seen when it was closed, does not."""
    assert sees_case(receipts.CLOSED, 5, 6, 10)
    assert not sees_case(receipts.CLOSED, 5, 4, 10)
    assert sees_case(receipts.CLOSED, 5, 6, 6 + AFTER_DURESS_MS - 1)
    assert not sees_case(receipts.CLOSED, 5, 6, 6 + AFTER_DURESS_MS)
