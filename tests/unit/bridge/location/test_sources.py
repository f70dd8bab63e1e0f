"""Positions: stated or walked, and what is said of a file that is none."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bridge.location import fixed, gpx
from bridge.location.positions import Positions
from bridge.model import Fix, rfc3339

START_MS = 1_790_000_000_000


def track(*points: str) -> str:
    return (
        '<gpx version="1.1" creator="t" xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>'
        + "".join(points)
        + "</trkseg></trk></gpx>"
    )


def point(lat: float, lon: float, time: str | None, extra: str = "") -> str:
    when = f"<time>{time}</time>" if time else ""
    return f'<trkpt lat="{lat}" lon="{lon}">{when}{extra}</trkpt>'


@pytest.mark.parametrize(
    "text", ["", "50,4", "a,b,c", "91,0,1", "0,181,1", "5,4,-1", "5,4,0", "nan,0,1", "5,4,inf"]
)
def test_a_position_that_is_none_is_refused_in_a_sentence(text: str) -> None:
    """Before anything runs."""
    with pytest.raises(ValueError, match=r"position|Earth"):
        fixed.parse(text)


def test_a_track_is_walked_in_its_own_time(tmp_path: Path) -> None:
    """The last point passed, with the time it was passed; at the end it only grows old."""
    file = tmp_path / "walk.gpx"
    file.write_text(
        track(
            point(50.0, 4.0, "2020-01-01T00:00:00Z"),
            point(50.1, 4.1, "2020-01-01T00:00:30Z", "<hdop>2</hdop>"),
            point(50.2, 4.2, None),
        )
    )
    walk = gpx.load(file, START_MS)
    assert walk.latest(START_MS - 1) is None
    seen = [walk.latest(START_MS + ms) for ms in (0, 29_999, 30_000, 9_000_000)]
    assert [fix and (fix.lat, fix.radius_m, fix.taken_at) for fix in seen] == [
        (50.0, 50.0, rfc3339(START_MS)),
        (50.0, 50.0, rfc3339(START_MS)),
        (50.1, 38.0, rfc3339(START_MS + 30_000)),
        (50.1, 38.0, rfc3339(START_MS + 30_000)),
    ]


async def test_a_walk_is_reported_point_by_point(tmp_path: Path) -> None:
    """Each when it is passed; after the last it says nothing more, and that one grows stale."""
    file = tmp_path / "walk.gpx"
    times = [f"2020-01-01T00:00:00.{ms:03d}Z" for ms in (0, 10, 30)]
    file.write_text(track(*(point(50 + n / 1000, 4, when) for n, when in enumerate(times))))
    start = time.monotonic()
    walk = gpx.load(file, START_MS, lambda: START_MS + int((time.monotonic() - start) * 1000))
    seen: list[Fix] = []
    walking = asyncio.create_task(walk.run(seen.append))
    while len(seen) < 3:  # noqa: ASYNC110 -- the test's own timeout bounds it
        await asyncio.sleep(0.01)
    assert [fix.lat for fix in seen][-1] == 50.002
    assert {fix.source for fix in seen} == {walk.name}
    assert not walking.done()
    walking.cancel()


async def test_a_stated_position_is_reported_once() -> None:
    """With the time when it was stated, for it does not get younger by being sent."""
    seen: list[Fix] = []
    source = fixed.Fixed(*fixed.parse("50.85, 4.35,25"), START_MS)
    stating = asyncio.create_task(source.run(seen.append))
    await asyncio.sleep(0.05)
    assert [fix.as_json() for fix in seen] == [
        {
            "lat": 50.85,
            "lon": 4.35,
            "radius_m": 25.0,
            "confidence": 95.0,
            "method": "MANUAL",
            "taken_at": rfc3339(START_MS),
            "source": "fixed",
        }
    ]
    assert not stating.done()
    stating.cancel()


class Broken:
    """Somebody's driver, on a bad day."""

    name = "broken"

    async def run(self, report: Callable[[Fix], None]) -> None:  # noqa: ARG002 -- it gives none
        raise ZeroDivisionError


async def test_a_source_that_fails_takes_no_other_with_it() -> None:
    """It is said, and the position comes from the others."""
    offs: list[tuple[str, str]] = []
    positions = Positions(
        [Broken(), fixed.Fixed(50, 4, 10, START_MS)],
        boottime_ms=lambda: START_MS,
        on_off=lambda name, off: offs.append((name, off.reason)),
        on_fix=lambda _: None,
    )
    running = asyncio.create_task(positions.run())
    while not offs or positions.latest(START_MS) is None:  # noqa: ASYNC110 -- bounded by the test's timeout
        await asyncio.sleep(0.01)
    assert offs == [("broken", "internal")]
    assert not running.done()
    running.cancel()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not xml",
        "<html/>",
        track(),
        track(point(1, 1, None)),
        track(point(95, 1, "2020-01-01T00:00:00Z")),
        track(point(1, 1, "yesterday")),
        track('<trkpt lat="north" lon="1"/>'),
        "<gpx>" + "<a>" * 100_000,
        '<?xml version="1.0" encoding="klingon"?><gpx/>',
        '<?xml version="1.0" encoding="euc-kr"?><gpx>\xff</gpx>',
        '<?xml version="1.0" encoding="undefined"?><gpx/>',
    ],
)
def test_a_file_that_is_no_track_is_refused_in_a_sentence(tmp_path: Path, text: str) -> None:
    """Whatever is in it."""
    file = tmp_path / "walk.gpx"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"walk\.gpx"):
        gpx.load(file, START_MS)
    with pytest.raises(ValueError, match="cannot read"):
        gpx.load(tmp_path / "none.gpx", START_MS)


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", b"\xef\xbb\xbf"),
        ("utf-16", b""),
        ("iso-8859-1", b""),
        ("windows-1252", b""),
        ("gb18030", b""),
    ],
)
def test_a_track_is_read_in_the_encoding_that_it_says(tmp_path: Path, encoding: str, mark: bytes) -> None:
    """With names of any prefix, blanks around its values, and a point that is odd among them."""
    text = (
        f'<?xml version="1.0" encoding="{encoding}"?>'
        '<g:gpx xmlns:g="http://www.topografix.com/GPX/1/1"><g:trk><g:name>Été</g:name><g:trkseg>'
        '<g:trkpt lat="50.1" lon="4.1"><g:time> 2020-01-01T00:00:00Z\n</g:time><g:hdop> 2 </g:hdop></g:trkpt>'
        '<g:trkpt lat="50.2" lon="4.2"><g:time>yesterday</g:time></g:trkpt>'
        '<g:trkpt lat="95" lon="4.2"><g:time>2020-01-01T00:00:05Z</g:time></g:trkpt>'
        '<g:trkpt lat="nan" lon="4.2"><g:time>2020-01-01T00:00:05Z</g:time></g:trkpt>'
        '<g:trkpt lat="here" lon="4.2"><g:time>2020-01-01T00:00:01Z</g:time></g:trkpt>'
        '<g:trkpt lat="50.3" lon="4.3"><g:time>2020-01-01T00:00:02Z</g:time><g:hdop>nan</g:hdop></g:trkpt>'
        "</g:trkseg></g:trk></g:gpx>"
    )
    file = tmp_path / "walk.gpx"
    file.write_bytes(mark + text.encode(encoding))
    walk = gpx.load(file, START_MS)
    fixes = [walk.latest(START_MS), walk.latest(START_MS + 2000)]
    assert [fix and (fix.lat, fix.radius_m) for fix in fixes] == [(50.1, 38.0), (50.3, 50.0)]


def test_times_are_rfc_3339_with_milliseconds() -> None:
    """As the centre reads them."""
    at_ms = 1_795_428_000_123
    assert rfc3339(at_ms).endswith(".123Z")
    assert datetime.fromisoformat(rfc3339(at_ms)) == datetime.fromtimestamp(at_ms / 1000, UTC)
