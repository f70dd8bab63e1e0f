"""A recorded walk: `--gpx FILE`. The track is walked in its own time from the start of the bridge."""

from bisect import bisect_right
from datetime import datetime
from pathlib import Path

import gpxpy
import gpxpy.gpx

from bridge.model import Fix, rfc3339

FILE_BYTES_MAX = 16 * 1024 * 1024
# Receivers report dilution of precision; 5 m is the usual error of one where it is 1.
METRES_PER_HDOP = 5.0
RADIUS_M_DEFAULT = 15.0
CONFIDENCE = 95.0  # percent (AML)


class Walk:
    """The last point passed, with the time at which it was passed; at the end it only ages."""

    def __init__(self, points: list[tuple[int, float, float, float]], start_ms: int) -> None:
        assert points, "load() refuses an empty track"
        self._offsets_ms = [offset for offset, *_ in points]
        self._points = points
        self._start_ms = start_ms

    def latest(self, now_ms: int) -> Fix | None:
        passed = bisect_right(self._offsets_ms, now_ms - self._start_ms)
        if not passed:
            return None
        offset_ms, lat, lon, radius_m = self._points[passed - 1]
        return Fix(lat, lon, radius_m, CONFIDENCE, "GNSS", rfc3339(self._start_ms + offset_ms))


def load(path: Path, start_ms: int) -> Walk:
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
    if len({time.tzinfo is None for time, _ in timed}) == 2:
        raise ValueError(f"{path} mixes times with and without a time zone")
    timed.sort(key=lambda pair: pair[0])
    first: datetime = timed[0][0]
    points = []
    for time, point in timed:
        if not (abs(point.latitude) <= 90 and abs(point.longitude) <= 180):
            raise ValueError(f"{path} has a point that is not on Earth")
        hdop = point.horizontal_dilution
        radius_m = hdop * METRES_PER_HDOP if hdop and hdop > 0 else RADIUS_M_DEFAULT
        points.append((int((time - first).total_seconds() * 1000), point.latitude, point.longitude, radius_m))
    return Walk(points, start_ms)
