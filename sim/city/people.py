"""How a phone is used: when it sleeps, is charged, is off; how its system then scans. Pure, by its seed.

All of it is assumed; it makes the days uneven, as days are. Times are ms since 1970, days begin at midnight.
"""

from collections.abc import Iterable, Iterator
from random import Random

from sim.physics.scan_profiles import PROFILES, ScanProfile

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
_QUARTER_MS = HOUR_MS // 4
_IPHONES = 0.4  # of all phones
_SCREEN_ON = 0.25  # of the quarters of an hour in which its owner is awake
_OFF = 0.02  # of all days: not charged, or switched off, for some hours
_OFF_HOURS = (1, 8)
_APART = 0.02  # of all days: the phone is carried, and the button lies where it was forgotten
_APART_HOURS = (1, 12)


class Habits:
    """`off` are the spans in which the phone is off, `apart` those in which the button is not with it."""

    def __init__(self, seed: str, first_ms: int, last_ms: int) -> None:
        chance = Random(seed)  # noqa: S311 -- a simulated life, not a secret
        self.model = "iPhone" if chance.random() < _IPHONES else "Android"
        self._bed_ms = round(chance.uniform(21.5, 24.5) * HOUR_MS)
        self._night_ms = round(chance.uniform(6.5, 8.5) * HOUR_MS)
        self._evening_percent = chance.uniform(15, 60)
        self._screen = [chance.random() < _SCREEN_ON for _ in range(96)]
        days = range(first_ms - first_ms % DAY_MS, last_ms, DAY_MS)
        self.off = list(_spans(chance, days, first_ms, _OFF, _OFF_HOURS))
        self.apart = list(_spans(chance, days, first_ms, _APART, _APART_HOURS))

    def _since_bed_ms(self, now_ms: int) -> int:
        return (now_ms - self._bed_ms) % DAY_MS

    def system(self, now_ms: int) -> ScanProfile:
        """How its system scans now. The bridge is in the background all the time."""
        if self.model == "iPhone":
            return PROFILES["ios-background"]
        awake = self._since_bed_ms(now_ms) >= self._night_ms
        on = awake and self._screen[now_ms // _QUARTER_MS % 96]
        return PROFILES["android-low-power" if on else "android-sleeping"]

    def percent(self, now_ms: int) -> int:
        """Its battery: charged at night, used up evenly by day."""
        since_ms = self._since_bed_ms(now_ms)
        if since_ms < self._night_ms:
            return round(self._evening_percent + (100 - self._evening_percent) * since_ms / self._night_ms)
        day = (since_ms - self._night_ms) / (DAY_MS - self._night_ms)
        return round(100 - (100 - self._evening_percent) * day)


def _spans(
    chance: Random, days: Iterable[int], first_ms: int, share: float, hours: tuple[int, int]
) -> Iterator[tuple[int, int]]:
    """On such a share of days one of so many hours; in order, and apart from each other."""
    free_ms = first_ms
    for day_ms in days:
        begins_ms = day_ms + chance.randrange(DAY_MS)
        ends_ms = begins_ms + round(chance.uniform(*hours) * HOUR_MS)
        if chance.random() < share and begins_ms >= free_ms:
            free_ms = ends_ms + 1
            yield begins_ms, ends_ms
