"""Until when an operator may look into the case of an alarm. Pure.

As long as its incident is open. A duress PIN that comes after the closing opens the case again, for as long
as help may need to find the person.
"""

from wire import receipts

AFTER_DURESS_MS = 4 * 3_600_000


def sees_case(stage: int, closed_at_ms: int | None, duress_at_ms: int | None, now_ms: int) -> bool:
    """Whether the case behind an incident at `stage` is shown to operators."""
    if stage < receipts.CLOSED:
        return True
    told_after = duress_at_ms is not None and closed_at_ms is not None and duress_at_ms > closed_at_ms
    return told_after and duress_at_ms is not None and now_ms - duress_at_ms < AFTER_DURESS_MS
