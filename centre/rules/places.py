"""Registered places (home, work, a shelter, a school), and how near to them a position is. Pure."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from centre.rules.incidents import Fix
from centre.rules.newest_position import metres_between

NBSP = "\N{NO-BREAK SPACE}"
PLACE_M = 100.0  # a house with its garden, a school with its yard
EXACT_M = 250.0  # a larger circle holds other houses too: nobody is said to be "at" a place by it
FAR_M = 20_000.0  # beyond it a distance helps nobody to find the way
_NUMBER = r"(-?\d{1,3}(?:[.,]\d{1,10})?)"
_POSITION = re.compile(rf"(?:geo:)?\s*{_NUMBER}(?:\s*[,;]\s*|\s+){_NUMBER}", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Place:
    """A place with a name, as the case manager wrote it."""

    name: str
    lat: float
    lon: float


class Nearness(StrEnum):
    """What a position says of a place."""

    AT = "at"
    COULD_BE_AT = "could_be_at"  # its circle is so wide that others' houses are in it as well
    AWAY = "away"


@dataclass(frozen=True, slots=True)
class Near:
    """How near a position is to a place."""

    place: Place
    nearness: Nearness
    distance_m: float


def read(text: str) -> tuple[float, float]:
    """Read latitude and longitude in degrees, as maps copy them: "50.8466, 4.3528".

    Raises ValueError.
    """
    written = _POSITION.fullmatch(text.strip())
    if written is None:
        raise ValueError("it is not latitude, longitude")
    lat, lon = (float(number.replace(",", ".")) for number in written.groups())
    if not (-90 <= lat <= 90 and -180 <= lon <= 180):
        raise ValueError("it is nowhere on earth")
    return lat, lon


def near(fix: Fix, places: Iterable[Place]) -> list[Near]:
    """Return the places that a position is at or not far from, the nearest first."""
    found = []
    for place in places:
        distance_m = metres_between((fix.lat, fix.lon), (place.lat, place.lon))
        if distance_m <= FAR_M + fix.radius_m:
            found.append(Near(place, _nearness(distance_m, fix.radius_m), distance_m))
    return sorted(found, key=lambda one: one.distance_m)


def metres(radius_m: float) -> str:
    """Write a radius, rounded up, wherever it is shown: a circle that is too small would be a promise."""
    whole_m = math.ceil(radius_m)
    return f"{whole_m}{NBSP}m" if whole_m < 1000 else f"{math.ceil(whole_m / 100) / 10:.1f}{NBSP}km"


def _nearness(distance_m: float, radius_m: float) -> Nearness:
    if distance_m > PLACE_M + radius_m:
        return Nearness.AWAY
    return Nearness.AT if radius_m <= EXACT_M else Nearness.COULD_BE_AT
