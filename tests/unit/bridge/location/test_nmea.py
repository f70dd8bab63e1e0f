"""NMEA as receivers write it: what becomes a fix, how wide it is, and what is skipped."""

import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bridge.location.nmea import Reader
from bridge.model import Fix

NOW = int(datetime(2026, 11, 23, 10, 15, 4, tzinfo=UTC).timestamp() * 1000)
WALK = Path(__file__).parents[3] / "integration" / "walk.nmea"
PLACE = "5047.9000,N,00422.3000,E"


def sentence(body: str) -> bytes:
    """With its checksum."""
    total = 0
    for character in body.encode():
        total ^= character
    return f"${body}*{total:02X}\r\n".encode()


def rmc(
    time: str = "101503.00", place: str = PLACE, date: str = "231126", status: str = "A", **mode: str
) -> bytes:
    return sentence(f"GNRMC,{time},{status},{place},1.0,90.0,{date},,,{mode.get('mode', 'A')}")


def gga(time: str = "101503.00", place: str = PLACE, quality: int = 1, hdop: str = "1.0") -> bytes:
    return sentence(f"GNGGA,{time},{place},{quality},08,{hdop},90.0,M,47.0,M,,")


def gst(time: str = "101503.00", axes: str = "4.0,2.0,10.0,3.9,2.1") -> bytes:
    return sentence(f"GNGST,{time},9.0,{axes},5.0")


def read(*parts: bytes, now_ms: int = NOW) -> list[Fix]:
    reader = Reader()
    return [fix for part in parts for fix in reader.feed(part, now_ms)] + reader.pause()


def test_one_moment_is_one_fix() -> None:
    """Place and time to the hundredth, however many sentences tell of it."""
    (fix,) = read(rmc(time="101503.25"), gga(time="101503.25"), gst(time="101503.25"))
    assert (round(fix.lat, 6), round(fix.lon, 6)) == (50.798333, 4.371667)
    assert (fix.taken_at, fix.method, fix.source) == ("2026-11-23T10:15:03.250Z", "GNSS", "nmea")


def test_the_radius_is_the_receivers_own_estimate_where_it_has_one() -> None:
    """95 %: GST's sigma by 2.45, else the dilution by gpsd's 19 m, else what an emergency call is allowed."""
    assert [fix.radius_m for fix in read(gga(), gst())] == [pytest.approx(9.8)]
    assert [fix.radius_m for fix in read(gga(), gst(axes=",,,3.0,2.0"))] == [pytest.approx(7.35)]
    assert [fix.radius_m for fix in read(gga(hdop="2.0"))] == [38.0]
    assert [fix.radius_m for fix in read(rmc())] == [50.0]


@pytest.mark.parametrize(
    "said",
    [
        [gga(quality=0, place=",,,")],
        [gga(quality=6)],  # dead reckoning
        [gga(quality=7)],  # typed in
        [gga(quality=8)],  # simulated
        [gga(), rmc(status="V")],
        [rmc(mode="S"), gga()],
        [rmc(mode="E")],
        [gst()],
        [rmc(place=",,,")],
    ],
)
def test_without_satellites_there_is_no_fix(said: list[bytes]) -> None:
    """A receiver goes on talking when it has none."""
    assert read(*said) == []


def test_the_day_comes_from_rmc_and_else_from_the_nearest_midnight() -> None:
    """GGA says only the time of day; the phone's clock may be on the other side of midnight."""
    midnight = int(datetime(2026, 11, 24, 0, 0, 1, tzinfo=UTC).timestamp() * 1000)
    assert [fix.taken_at for fix in read(gga(time="235959.00"), now_ms=midnight)] == [
        "2026-11-23T23:59:59.000Z"
    ]
    # A receiver's own date is better than a phone's that lost its own.
    fixes = read(rmc(time="235959.00"), gga(time="000000.00"), gga(time="000001.00"), now_ms=0)
    assert [fix.taken_at[:19] for fix in fixes] == [
        "2026-11-23T23:59:59",
        "2026-11-24T00:00:00",
        "2026-11-24T00:00:01",
    ]


def test_what_is_damaged_is_counted_and_skipped() -> None:
    """A wrong checksum, a half line, noise, a line without end: the next whole sentence is read."""
    reader = Reader()
    wrong = rmc().replace(b"5047.9", b"5147.9")
    for part in (wrong, rmc()[:30] + b"\r\n", b"\xff\x00\x80 noise\r\n", b"$" * 500, b"\r\n", gga()):
        assert reader.feed(part, NOW) == []
    assert reader.take_bad() == 4
    assert reader.bad_in_a_row == 0
    assert [round(fix.lat, 4) for fix in reader.pause()] == [50.7983]


def test_a_recording_gives_the_same_however_it_is_cut() -> None:
    """A serial port hands over bytes, not lines."""
    whole = WALK.read_bytes().split(b"\n", 2)[2]
    expected = read(whole)
    assert len(expected) == 37  # three of forty moments were before the first fix
    for seed in range(10):
        chance, rest, parts = random.Random(seed), whole, []
        while rest:
            size = chance.randrange(1, 90)
            parts.append(rest[:size])
            rest = rest[size:]
        assert read(*parts) == expected, seed


def test_no_bytes_make_it_fail() -> None:
    """Recorded sentences with bytes changed, swapped and lost, checksums made right again."""
    lines = WALK.read_bytes().splitlines()[2:]
    for seed in range(20):
        chance, reader = random.Random(seed), Reader()
        for line in lines:
            body = bytearray(line[1 : line.rindex(b"*")])
            for _ in range(chance.randrange(4)):
                place = chance.randrange(len(body))
                body[place : place + chance.randrange(2)] = bytes([chance.randrange(32, 127)])
            fixes = reader.feed(sentence(body.decode()), NOW) + (
                reader.pause() if chance.random() < 0.1 else []
            )
            for fix in fixes:
                assert abs(fix.lat) <= 90, seed
                assert abs(fix.lon) <= 180, seed
