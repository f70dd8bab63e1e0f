"""A position that the user states: LAT,LON,RADIUS_M."""

import asyncio
from collections.abc import Callable

from bridge.model import Fix, rfc3339
from bridge.rules.accuracy import CONFIDENCE, is_on_earth
from bridge.rules.fix_choice import RADIUS_M_MAX


class Fixed:
    """Reports one place that does not move; `stated_at_ms` is when the user said so."""

    name = "fixed"

    def __init__(self, lat: float, lon: float, radius_m: float, stated_at_ms: int) -> None:
        taken_at = rfc3339(stated_at_ms)
        self._fix = Fix(lat, lon, radius_m, CONFIDENCE, "MANUAL", taken_at, source=self.name)

    async def run(self, report: Callable[[Fix], None]) -> None:
        """Report the place once, and wait until cancelled."""
        report(self._fix)
        await asyncio.Event().wait()  # it does not change


def parse(text: str) -> tuple[float, float, float]:
    """Read `50.85,4.35,25` as numbers. Raises ValueError with a sentence for the user."""
    try:
        lat, lon, radius_m = (float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"a position is LAT,LON,RADIUS_M, for example 50.85,4.35,25; not {text!r}") from None
    if not (is_on_earth(lat, lon) and 0 < radius_m <= RADIUS_M_MAX):
        raise ValueError(
            f"{text!r} is not on Earth: |LAT| <= 90, |LON| <= 180, 0 < RADIUS_M <= {RADIUS_M_MAX:g}"
        )
    return lat, lon, radius_m
