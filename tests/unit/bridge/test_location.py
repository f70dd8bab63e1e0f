"""Positions: stated or walked, and what is said of a file that is none."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from bridge.location import fixed, gpx
from bridge.model import rfc3339

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


def test_a_stated_position_says_when_it_was_stated() -> None:
    """It does not get younger by being sent."""
    source = fixed.Fixed(*fixed.parse("50.85, 4.35,25"), START_MS)
    fix = source.latest(START_MS + 10_000_000)
    assert fix
    assert fix.as_json() == {
        "lat": 50.85,
        "lon": 4.35,
        "radius_m": 25.0,
        "confidence": 95.0,
        "method": "MANUAL",
        "taken_at": rfc3339(START_MS),
    }


@pytest.mark.parametrize("text", ["", "50,4", "a,b,c", "91,0,1", "0,181,1", "0,0,-1", "nan,0,1", "0,0,inf"])
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
        (50.0, 15.0, rfc3339(START_MS)),
        (50.0, 15.0, rfc3339(START_MS)),
        (50.1, 10.0, rfc3339(START_MS + 30_000)),
        (50.1, 10.0, rfc3339(START_MS + 30_000)),
    ]


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


def test_times_are_rfc_3339_with_milliseconds() -> None:
    """As the centre reads them."""
    at_ms = 1_795_428_000_123
    assert rfc3339(at_ms).endswith(".123Z")
    assert datetime.fromisoformat(rfc3339(at_ms)) == datetime.fromtimestamp(at_ms / 1000, UTC)
