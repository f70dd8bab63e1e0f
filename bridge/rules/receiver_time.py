"""When a receiver's moment was, by the calendar. Pure: the time is an argument.

A satellite receiver knows the time of day well and the day badly: its week number starts again every 1,024
weeks (IS-GPS-200, 20.3.3.3.1.1), it begins with a day of its maker's choice, and some sentences have no date
at all. So the day is the one that brings the time of day nearest to a reference, and never the receiver's.
"""

from datetime import UTC, datetime, timedelta

DAY_MS = 86_400_000
# A clock that is before this one has been lost: the program is newer.
LOST_BEFORE_MS = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
# How long after that a receiver's own date is believed, where the phone has none. A week number that has
# started again once is 19.6 years off.
RECEIVER_TRUSTED = timedelta(days=10 * 365)
# A clock that is set moves by more than it drifts between two fixes.
CLOCK_SET_MS = 10_000


def nearest_ms(time_of_day_ms: int, reference_ms: int) -> int:
    """Return the moment with this time of day that is nearest to the reference, in ms since 1970."""
    assert 0 <= time_of_day_ms <= DAY_MS, "a leap second is the last of its day"
    midnight_ms = reference_ms - reference_ms % DAY_MS
    moments = (midnight_ms + day * DAY_MS + time_of_day_ms for day in (-1, 0, 1))
    return min(moments, key=lambda moment_ms: abs(moment_ms - reference_ms))


def reference_ms(phone_ms: int, receiver_ms: int | None) -> int:
    """Return what days are reckoned from: the phone's clock, or where that is lost, what is known else.

    `receiver_ms` is a moment that the receiver has dated itself.
    """
    if phone_ms >= LOST_BEFORE_MS:
        return phone_ms
    if receiver_ms is not None and is_credible(receiver_ms):
        return receiver_ms
    return LOST_BEFORE_MS


def is_credible(receiver_ms: int) -> bool:
    """Return whether a receiver's own date can be right."""
    latest_ms = LOST_BEFORE_MS + RECEIVER_TRUSTED // timedelta(milliseconds=1)
    return LOST_BEFORE_MS <= receiver_ms < latest_ms


def of_day_ms(moment: datetime) -> int:
    """Return the time of day in UTC, in ms, of a moment with a zone."""
    offset = moment.utcoffset()
    assert offset is not None, "the caller has looked at the zone"
    local = timedelta(hours=moment.hour, minutes=moment.minute, seconds=moment.second)
    local += timedelta(microseconds=moment.microsecond)
    return (local - offset) // timedelta(milliseconds=1) % DAY_MS


class StampedAges:
    """Tells how old a fix is that its source has stamped by a clock of which nothing is known.

    That may be this machine's, another one's or a satellite's, and it may be wrong by anything. But it goes
    as fast as ours: a fix that came longer after its stamp than another one has waited for the difference.
    """

    def __init__(self) -> None:
        self._wall_ahead_ms: int | None = None
        self._least_delay_ms: int | None = None

    def age_ms(self, stamp_ms: int, wall_ms: int, boottime_ms: int) -> int:
        """Return how old the fix is at least that comes now."""
        ahead_ms = wall_ms - boottime_ms
        is_first = self._wall_ahead_ms is None
        if not is_first and abs(ahead_ms - (self._wall_ahead_ms or 0)) > CLOCK_SET_MS:
            self._least_delay_ms = None  # our clock has been set, and the stamps may be by it
        self._wall_ahead_ms = ahead_ms
        delay_ms, least_ms = boottime_ms - stamp_ms, self._least_delay_ms
        self._least_delay_ms = delay_ms if least_ms is None else min(delay_ms, least_ms)
        if least_ms is not None:
            return max(0, delay_ms - least_ms)
        # The first one is often what the source remembers. No stamp is older than the machine is awake.
        since_ms = wall_ms - stamp_ms
        return since_ms if is_first and 0 < since_ms <= boottime_ms else 0
