"""The one time zone of a centre: what its pages, its commands and its log tell times by.

It is this process's own (TZ), so that whatever asks the system for a local time is told the same.
"""

import os
import time
import zoneinfo
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

_LOCALTIME, _NAMED = Path("/etc/localtime"), Path("/etc/timezone")
_SEASONS_S = (1_768_478_400, 1_784_116_800)  # in January and in July 2026


def use(name: str) -> None:
    """Tell times by this zone from now on; "" is the system's."""
    if name and hasattr(time, "tzset"):
        os.environ["TZ"] = name
        time.tzset()
        own_name.cache_clear()


@cache
def own_name() -> str:
    """Return the zone's name in the IANA database, as browsers know it, too."""
    known = zoneinfo.available_timezones()
    likely = (os.environ.get("TZ", "").lstrip(":"), _linked(), _written())
    names = (name for name in (*likely, *sorted(known)) if name in known)
    return next((name for name in names if _is_ours(name)), "UTC")


def _linked() -> str:
    return os.path.realpath(_LOCALTIME).partition("zoneinfo/")[2]


def _written() -> str:
    try:
        return _NAMED.read_text("ascii").strip()
    except (OSError, ValueError):
        return ""


def _is_ours(name: str) -> bool:
    """Return whether it tells the same time as this process, now and in both halves of a year."""
    zone = zoneinfo.ZoneInfo(name)
    moments = [datetime.fromtimestamp(at_s, UTC) for at_s in (time.time(), *_SEASONS_S)]
    return all(at.astimezone(zone).utcoffset() == at.astimezone().utcoffset() for at in moments)


def label() -> str:
    """Return the zone as pages name it: `Europe/Brussels (UTC+01:00)`."""
    offset = datetime.now().astimezone().isoformat()[-6:]
    return f"{own_name()} (UTC{offset})"
