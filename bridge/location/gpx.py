"""A recorded walk: a GPX file. The track is walked in its own time from the start of the bridge."""

import asyncio
import re
import time
from bisect import bisect_right
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from xml.parsers import expat

from bridge.model import Fix, rfc3339
from bridge.rules.accuracy import CONFIDENCE, METRES_PER_HDOP, is_on_earth, radius_m

FILE_BYTES_MAX = 16 * 1024 * 1024
# A track point's time is the sixth: gpx, trk, trkseg, trkpt, time. Extensions nest a little deeper.
DEPTH_MAX = 64
TEXT_CHARS_MAX = 100
_DECLARED = re.compile(rb"""<\?xml\s[^>]{0,80}encoding\s*=\s*["']([\w.:-]{1,40})["']""")


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
        """Report each point as it is passed, and wait at the last one until cancelled."""
        while True:
            now_ms = self._now_ms()
            fix = self.latest(now_ms)
            if fix is not None:
                report(fix)
            passed = bisect_right(self._offsets_ms, now_ms - self._start_ms)
            if passed == len(self._points):
                await asyncio.Event().wait()  # the walk is over
            await asyncio.sleep((self._start_ms + self._offsets_ms[passed] - now_ms) / 1000)

    def latest(self, now_ms: int) -> Fix | None:
        """Return the last point that is passed; None before the first."""
        passed = bisect_right(self._offsets_ms, now_ms - self._start_ms)
        if not passed:
            return None
        offset_ms, lat, lon, width_m = self._points[passed - 1]
        taken_at = rfc3339(self._start_ms + offset_ms)
        return Fix(lat, lon, width_m, CONFIDENCE, "GNSS", taken_at, source=self.name)


def _wall_ms() -> int:
    return int(time.time() * 1000)


def load(path: Path, start_ms: int, now_ms: Callable[[], int] = _wall_ms) -> Walk:
    """Return the walk in a GPX file. Raises ValueError with a sentence for the user."""
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise ValueError(f"{path} is larger than {FILE_BYTES_MAX >> 20} MiB")
        points = _read(path.read_bytes())
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from None
    except (expat.ExpatError, _NotGpx, LookupError):
        raise ValueError(f"{path} is not a GPX file") from None
    if not points:
        raise ValueError(f"{path} has no track point on Earth with a time, so it cannot be walked")
    if len({moment.tzinfo is None for moment, *_ in points}) == 2:
        raise ValueError(f"{path} mixes times with and without a time zone")
    points.sort(key=lambda point: point[0])
    first = points[0][0]
    return Walk(
        [
            (int((moment - first).total_seconds() * 1000), lat, lon, width_m)
            for moment, lat, lon, width_m in points
        ],
        start_ms,
        now_ms,
    )


def _read(content: bytes) -> list[tuple[datetime, float, float, float]]:
    """Return what _TrackReader does, of an encoding too that its parser does not know, and Python does."""
    declared = _DECLARED.match(content)
    try:
        return _TrackReader().read(content)
    except ValueError:  # expat knows those of one byte a letter, and Unicode's
        if declared is None:
            raise _NotGpx from None
    try:
        text = content.decode(declared[1].decode())
    except ValueError:
        raise _NotGpx from None
    return _TrackReader().read(text.encode(), "utf-8")


class _NotGpx(Exception):
    """The file is XML, perhaps, but no track that can be read."""


class _TrackReader:
    """Reads the timed points of tracks as the parser meets them: no tree is built, however deep the file is.

    It takes bytes, for the file itself says how it is encoded, and names without their namespace's prefix.
    """

    def __init__(self) -> None:
        self._names: list[str] = []
        self._text = ""
        self._values: dict[str, str] = {}
        self._points: list[tuple[datetime, float, float, float]] = []

    def read(self, content: bytes, encoding: str | None = None) -> list[tuple[datetime, float, float, float]]:
        """Return time, latitude, longitude and radius of each. `encoding`: None is the one that it says.

        Raises _NotGpx, ExpatError, LookupError; ValueError where the parser does not know the encoding.
        """
        parser = expat.ParserCreate(encoding)
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.Parse(content, True)
        return self._points

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._names.append(name.rpartition(":")[2])
        self._text = ""
        if len(self._names) > DEPTH_MAX or self._names[0] != "gpx":
            raise _NotGpx
        if self._names[-1] == "trkpt":
            self._values = attributes

    def _characters(self, text: str) -> None:
        self._text = (self._text + text)[:TEXT_CHARS_MAX]

    def _end(self, _: str) -> None:
        name = self._names.pop()
        if self._names and self._names[-1] == "trkpt":
            self._values[name] = self._text.strip()
        elif name == "trkpt":
            self._add_point()
        self._text = ""

    def _add_point(self) -> None:
        """Keep the point that ends here, if it says when and where it was."""
        try:
            moment = datetime.fromisoformat(self._values["time"])
            place = float(self._values["lat"]), float(self._values["lon"])
        except (KeyError, ValueError):
            return
        if not is_on_earth(*place):
            return
        try:
            hdop = float(self._values.get("hdop", ""))
        except ValueError:
            hdop = 0.0
        self._points.append((moment, *place, radius_m(hdop * METRES_PER_HDOP)))
