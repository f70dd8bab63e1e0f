"""Times on the wire: RFC 3339 strings; inside: integers in ms since 1970; days: YYYY-MM-DD."""

import re
from datetime import UTC, date, datetime

from centre.rules.refusals import Refused

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_END_MS = 253_370_764_800_000  # the year 9999: what we read, and reckon from it, we can also write


def read(text: str) -> int:
    """Milliseconds since 1970; raises ValueError for anything but RFC 3339, section 5.6."""
    if not _RFC3339.fullmatch(text):
        raise ValueError("not an RFC 3339 time")
    at_ms = round(datetime.fromisoformat(text.upper()).timestamp() * 1000)
    if not 0 <= at_ms < _END_MS:
        raise ValueError("not a time that we could write")
    return at_ms


def write(at_ms: int) -> str:
    """`at_ms` as UTC with milliseconds."""
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def day(at_ms: int) -> str:
    """Return the day it was then where the centre stands."""
    return datetime.fromtimestamp(at_ms / 1000).date().isoformat()


def day_ms(day: str) -> tuple[int, int]:
    """When that day begins and when it is over, where the centre stands; not always 24 h apart."""
    first = date.fromisoformat(day)
    midnights = (
        datetime(*first.timetuple()[:3]),
        datetime(*date.fromordinal(first.toordinal() + 1).timetuple()[:3]),
    )
    begins, ends = (round(midnight.timestamp() * 1000) for midnight in midnights)
    return begins, ends


def check_day(text: str, first: str, last: str, *, field: str) -> None:
    """Refuse what is no day from `first` to `last`. Raises Refused("out_of_range")."""
    try:
        if not _DAY.fullmatch(text) or not first <= date.fromisoformat(text).isoformat() <= last:
            raise ValueError
    except ValueError:
        detail = f"{field} must be a day from {first} to {last}, as in 2026-11-24"
        raise Refused("out_of_range", detail, field=field) from None


def second(at_ms: int) -> str:
    """As people read it where seconds count, where the centre stands."""
    return datetime.fromtimestamp(at_ms / 1000).isoformat(" ", "seconds")


def minute(at_ms: int) -> str:
    """As people read it, where the centre stands."""
    return datetime.fromtimestamp(at_ms / 1000).isoformat(" ", "minutes")
