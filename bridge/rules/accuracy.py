"""How exact a position is: its radius, how far it is from another, how far off it is by now. Pure."""

import math
from datetime import datetime

from bridge.model import Fix

CONFIDENCE = 95.0  # percent: what a circle of RFC 5491 holds unless it says otherwise (RFC 7459)
# Error where the dilution of precision is 1, at 95 %. It is what gpsd multiplies by for `eph` (P_UERE_NO_DGPS
# in its error model), so that a receiver has the same radius by way of gpsd and at the serial port.
METRES_PER_HDOP = 19.0
# 95 % of a circular normal distribution lie within 2.45 sigma; 1.4 sigma would be only 63 %.
SIGMAS = 2.45
# A receiver that has no idea how good its position is: what an emergency call is allowed (47 CFR 9.10(i)).
RADIUS_M_UNKNOWN = 50.0
# Comfortable walking: Bohannon and Andrews, "Normal walking speed: a descriptive meta-analysis", 2011.
WALK_M_S = 1.4
EARTH_M = 6_371_008.8  # mean radius, IUGG


def radius_m(*estimates_m: float | None, unknown_m: float = RADIUS_M_UNKNOWN) -> float:
    """Return the first estimate that is a finite number above 0, else `unknown_m`."""
    usable = (estimate_m for estimate_m in estimates_m if estimate_m is not None)
    return next((estimate_m for estimate_m in usable if 0 < estimate_m < math.inf), unknown_m)


def taken_ms(fix: Fix) -> int:
    """Return when its source says that it was taken, in ms since 1970. Raises ValueError."""
    return read_time(fix.taken_at)


def read_time(text: str) -> int:
    """Return RFC 3339 as milliseconds since 1970. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    return round(moment.timestamp() * 1000)


def distance_m(one: Fix, other: Fix) -> float:
    """Return the distance over the sphere (haversine): half a percent off at most, which no rule minds."""
    north, south = math.radians(one.lat), math.radians(other.lat)
    east = math.radians(one.lon - other.lon)
    half = math.sin((north - south) / 2) ** 2 + math.cos(north) * math.cos(south) * math.sin(east / 2) ** 2
    return 2 * EARTH_M * math.asin(min(1.0, math.sqrt(half)))


def apart_m(one: Fix, other: Fix) -> float:
    """Return how far apart they are at least, if both circles are right."""
    return max(0.0, distance_m(one, other) - one.radius_m - other.radius_m)


def age_ms(fix: Fix, boottime_ms: int) -> int:
    """Return how long ago it came: whatever its own time says, whoever set whichever clock."""
    return 0 if fix.arrived_ms is None else max(0, boottime_ms - fix.arrived_ms)


def expected_error_m(fix: Fix, boottime_ms: int, speed_m_s: float = WALK_M_S) -> float:
    """Return how far off it is by now: its radius, and the way at `speed_m_s` since it came."""
    if fix.method == "MANUAL":  # stated, not measured: it holds until somebody states another
        return fix.radius_m
    return fix.radius_m + age_ms(fix, boottime_ms) / 1000 * speed_m_s


def is_on_earth(lat: float, lon: float) -> bool:
    """Return whether these are a latitude and a longitude; NaN is none."""
    return abs(lat) <= 90 and abs(lon) <= 180
