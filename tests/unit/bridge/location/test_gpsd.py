"""Lines of gpsd: what becomes a fix, and that nothing it may say makes the bridge fail."""

import json
import random

import pytest

from bridge.location.gpsd import _UNREADABLE, read
from bridge.model import rfc3339

NOW = 1_795_428_000_000
TPV = {"class": "TPV", "mode": 3, "time": "2026-11-23T10:15:04.500Z", "lat": 50.8, "lon": 4.37, "eph": 22.8}


# Of a receiver whose week number started again, that begins with its own day, or is far ahead.
DAYS = ("2026-11-23", "2007-04-09", "1987-08-24", "1980-01-06", "2080-01-01", "2046-07-09", "9999-12-31")

ODD_TIMES: tuple[object, ...] = ("yesterday", "2026-11-23T10:15:04", 5, [], True, None)


def line(**changes: object) -> bytes:
    said = {name: value for name, value in (TPV | changes).items() if value is not None}
    return json.dumps(said).encode() + b"\r\n"


def test_a_report_becomes_a_fix() -> None:
    """With the receiver's time, and gpsd's circle of 95 %."""
    heard, fix = read(line(), NOW)
    assert heard
    assert fix
    assert (fix.lat, fix.lon, fix.radius_m, fix.confidence) == (50.8, 4.37, 22.8, 95.0)
    assert (fix.taken_at, fix.method, fix.source) == ("2026-11-23T10:15:04.500Z", "GNSS", "gpsd")


def test_what_it_leaves_out_is_not_made_up() -> None:
    """Older ones have only the axes; without any estimate the radius is wide; without a time, it is now."""
    for changes, radius_m in (({"epx": 3, "epy": 4}, 5.0), ({}, 50.0)):
        _, fix = read(line(eph=None, **changes), NOW)
        assert fix
        assert fix.radius_m == radius_m


@pytest.mark.parametrize(
    "changes",
    [
        *({"mode": mode} for mode in (0, 1, None)),
        {"lat": None},
        *({"status": status} for status in (5, 7, 8, 5.0)),
    ],
)
def test_a_receiver_without_a_fix_is_heard_and_gives_none(changes: dict[str, object]) -> None:
    """It has none yet, or not from satellites: dead reckoning (5), typed in (7), a simulation (8)."""
    assert read(line(**changes), NOW) == (True, None)


@pytest.mark.parametrize("status", [None, 0, 1, 2, 3, 4, 6, 9, 10, 255, "good", [], 1.5])
def test_a_status_that_is_not_known_to_be_something_else_is_satellites(status: object) -> None:
    """6 is satellites and dead reckoning together, 9 the military signal; what comes next, nobody knows."""
    _, fix = read(line(status=status), NOW)
    assert fix


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), -1, 0, 10**400, "wide", True, [], {}])
def test_an_odd_accuracy_costs_itself_alone(odd: object) -> None:
    """The place is there, with the next estimate."""
    for changes, radius_m in (
        ({"eph": odd}, 50.0),
        ({"eph": odd, "epx": 3, "epy": 4}, 5.0),
        ({"eph": odd, "epx": odd, "epy": 4}, 50.0),
        ({"alt": odd, "speed": odd, "status": 2}, 22.8),
    ):
        _, fix = read(line(**changes), NOW)
        assert fix
        assert fix.radius_m == radius_m


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        *((f"{day}T10:15:04.500Z", "2026-11-23T10:15:04.500Z") for day in DAYS),
        ("2007-04-09T12:15:04.500+02:00", "2026-11-23T10:15:04.500Z"),
        ("0001-01-01T00:00:00+10:00", "2026-11-23T14:00:00.000Z"),
        *((odd, rfc3339(NOW)) for odd in ODD_TIMES),
    ],
)
def test_of_its_time_the_time_of_day_counts(time: object, expected: str) -> None:
    """Its day is the nearest one; where it says no time that can be read, it is now."""
    _, fix = read(line(time=time), NOW)
    assert fix
    assert fix.taken_at == expected


@pytest.mark.parametrize("said", [b'{"class":"SKY","hdop":1.2}', b'{"class":"ERROR","message":"what?"}'])
def test_other_reports_are_passed_over(said: bytes) -> None:
    """They are no sign of a receiver."""
    assert read(said, NOW) == (False, None)


@pytest.mark.parametrize(
    "said",
    [
        *(b"", b"hello", b"[]", b"{}", b'{"class":7}', b"[" * 16_000, b"\xff\xfe"),
        line(lat=91),
        line(lat="north"),
        line(lat=True),
        line(lat=float("nan")),
    ],
)
def test_nonsense_is_told_from_a_report(said: bytes) -> None:
    """And is never a fix."""
    with pytest.raises(_UNREADABLE):
        read(said, NOW)


def test_no_line_makes_it_fail_otherwise() -> None:
    """A report with any byte changed."""
    for seed in range(2000):
        chance, said = random.Random(seed), bytearray(line())
        for _ in range(1 + chance.randrange(3)):
            said[chance.randrange(len(said))] = chance.randrange(256)
        try:
            _, fix = read(bytes(said), NOW)
        except _UNREADABLE:
            continue
        assert fix is None or abs(fix.lat) <= 90, seed
