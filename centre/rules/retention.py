"""What is kept for how long: positions of a closed incident, then the incident; losses; sessions. Pure."""

from collections.abc import Mapping

from centre.rules import times
from wire import receipts

POSITIONS_DAYS, INCIDENTS_DAYS = 30, 365
LOSSES_DAYS, SESSIONS_DAYS = 180, 90
DAYS_MAX = 3650
DAY_MS = 86_400_000


def signed_days_needed(days: int) -> int:
    """On how many days since its end the log must have been signed before a term of `days` is over.

    A clock that jumps ahead ends no term: it makes one signed day, not hundreds. Half, since a centre
    may be down at times.
    """
    return -(-days // 2)


def over_before_ms(now_ms: int, days: int, signed_at_ms: int | None) -> int | None:
    """Return before when what ended has had its term; None where nothing has.

    `signed_at_ms`: when the log was signed, as many signatures ago as `signed_days_needed` says.
    """
    return None if signed_at_ms is None else min(now_ms - days * DAY_MS, signed_at_ms)


def outcome(
    event: int, opened_at_ms: int, pressed_at_ms: int | None, stages: Mapping[int, int]
) -> dict[str, int | str | None]:
    """Return what the figures keep of an incident: month, and how long things took. `stages`: stage to ms."""

    def since_received(stage: int) -> int | None:
        return max(0, stages[stage] - opened_at_ms) if stage in stages else None

    return {
        "month": times.write(opened_at_ms)[:7],
        "event": event,
        "received_ms": None if pressed_at_ms is None else max(0, opened_at_ms - pressed_at_ms),
        "acknowledged_ms": since_received(receipts.ACKNOWLEDGED),
        "dispatched_ms": since_received(receipts.DISPATCHED),
    }
