"""A position that the user states: `--fix LAT,LON,RADIUS_M`."""

import math

from bridge.model import Fix, rfc3339

CONFIDENCE = 95.0  # percent (AML)


class Fixed:
    """`stated_at_ms` is when the user said so; the centre sees the age of that."""

    def __init__(self, lat: float, lon: float, radius_m: float, stated_at_ms: int) -> None:
        self._fix = Fix(lat, lon, radius_m, CONFIDENCE, "MANUAL", rfc3339(stated_at_ms))

    def latest(self, now_ms: int) -> Fix | None:  # noqa: ARG002 -- the port's shape
        return self._fix


def parse(text: str) -> tuple[float, float, float]:
    """`50.85,4.35,25` as numbers. Raises ValueError with a sentence for the user."""
    try:
        lat, lon, radius_m = (float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"a position is LAT,LON,RADIUS_M, for example 50.85,4.35,25; not {text!r}") from None
    if not (abs(lat) <= 90 and abs(lon) <= 180 and 0 <= radius_m < math.inf):
        raise ValueError(f"{text!r} is not on Earth: |LAT| <= 90, |LON| <= 180, RADIUS_M >= 0 and finite")
    return lat, lon, radius_m
