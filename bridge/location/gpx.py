"""A recorded walk: a GPX file. The track is walked in its own time from the start of the bridge."""

import asyncio
import time
from bisect import bisect_right
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import gpxpy
import gpxpy.gpx

from bridge.model import Fix, rfc3339
from bridge.rules.accuracy import CONFIDENCE, METRES_PER_HDOP, RADIUS_M_UNKNOWN, is_on_earth

FILE_BYTES_MAX = 16 * 1024 * 1024


class Walk:
    """Each point when it is passed, with the time at which it was; at the end the last one only ages.

    `points`: milliseconds from the start, latitude, longitude, radius.
    """

    name = "gpx"

    def __init__(
        self,
        points: list[tuple[int, float, float, float]],
        start_ms: int,
        now_ms: Callable[[], int],
    ) -> None:
        assert points, "load() refuses an empty track"
        self._offsets_ms = [offset for offset, *_ in points]
        self._points = points
        self._start_ms = start_ms
        self._now_ms = now_ms

    async def run(self, report: Callable[[Fix], None]) -> None:
        while True:
            now_ms = self._now_ms()
            fix = self.latest(now_ms)
            if fix is not None:
                report(fix)
            passed = bisect_right(self._offsets_ms, now_ms - self._start_ms)
            if passed == len(self._points):
                await asyncio.Event().wait()  # she has arrived
            await asyncio.sleep((self._start_ms + self._offsets_ms[passed] - now_ms) / 1000)

    def latest(self, now_ms: int) -> Fix | None:
        passed = bisect_right(self._offsets_ms, now_ms - self._start_ms)
        if not passed:
            return None
        offset_ms, lat, lon, radius_m = self._points[passed - 1]
        taken_at = rfc3339(self._start_ms + offset_ms)
        return Fix(lat, lon, radius_m, CONFIDENCE, "GNSS", taken_at, source=self.name)


def _wall_ms() -> int:
    return int(time.time() * 1000)


def load(path: Path, start_ms: int, now_ms: Callable[[], int] = _wall_ms) -> Walk:
    """The walk in a GPX file. Raises ValueError with a sentence for the user."""
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise ValueError(f"{path} is larger than {FILE_BYTES_MAX >> 20} MiB")
        with path.open(encoding="utf-8") as file:
            track = gpxpy.parse(file)
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from None
    except (gpxpy.gpx.GPXException, UnicodeDecodeError):
        raise ValueError(f"{path} is not a GPX file") from None
    timed = [(point.time, point) for point, *_ in track.walk() if point.time is not None]
    if not timed:
        raise ValueError(f"{path} has no track point with a time, so it cannot be walked")
    if len({moment.tzinfo is None for moment, _ in timed}) == 2:
        raise ValueError(f"{path} mixes times with and without a time zone")
    timed.sort(key=lambda pair: pair[0])
    first: datetime = timed[0][0]
    points = []
    for moment, point in timed:
        if not is_on_earth(point.latitude, point.longitude):
            raise ValueError(f"{path} has a point that is not on Earth")
        hdop = point.horizontal_dilution
        radius_m = hdop * METRES_PER_HDOP if hdop and hdop > 0 else RADIUS_M_UNKNOWN
        points.append(
            (int((moment - first).total_seconds() * 1000), point.latitude, point.longitude, radius_m)
        )
    return Walk(points, start_ms, now_ms)
