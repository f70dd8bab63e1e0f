"""Times on the wire: RFC 3339 strings; inside: integers in ms since 1970."""

import re
from datetime import UTC, datetime

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
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
