"""NMEA as receivers write it: what becomes a fix, how wide it is, and what is passed over."""

import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bridge.location.nmea import Reader
from bridge.location.nmea_sentences import SENTENCE_BYTES_MAX, SentenceFinder, checksum
from bridge.model import Fix

NOW = int(datetime(2026, 11, 23, 10, 15, 4, tzinfo=UTC).timestamp() * 1000)
WALK = Path(__file__).parents[3] / "integration" / "walk.nmea"
PLACE = "5047.9000,N,00422.3000,E"
# The same place to the millimetre, as receivers for surveyors say it: 92 bytes with its line end.
LONG = "GNGGA,101503.00,5047.90000000,N,00422.30000000,E,4,19,0.7,90.123,M,47.123,M,6.0,0002"
# One packet of each binary protocol that receivers mix with NMEA: header, length, contents, checksum.
UBX = b"\xb5\x62\x01\x07\x0c\x00" + bytes(range(200, 212)) + b"\x1b\x7e"
RTCM3 = b"\xd3\x00\x08" + b"\x3e\xd7\xd3\x02\x02\x98\x0e\xde" + b"\xef\x34\xb4"
CASIC = b"\xba\xce\x08\x00\x01\x03" + b"$$!*\x24\x0a\x0d," + b"\x0c\x00\x09\x03"


def sentence(body: str, start: str = "$") -> bytes:
    """Return it with its checksum."""
    return f"{start}{body}*{checksum(body.encode()):02X}\r\n".encode()


def rmc(
    time: str = "101503.00", place: str = PLACE, date: str = "231126", status: str = "A", mode: str = "A"
) -> bytes:
    return sentence(f"GNRMC,{time},{status},{place},1.0,90.0,{date},,,{mode}")


def gga(
    time: str = "101503.00",
    place: str = PLACE,
    quality: object = 1,
    hdop: str = "1.0",
    satellites: str = "08",
    height: str = "90.0",
) -> bytes:
    return sentence(f"GNGGA,{time},{place},{quality},{satellites},{hdop},{height},M,47.0,M,,")


def gst(time: str = "101503.00", axes: str = "4.0,2.0,10.0,3.9,2.1") -> bytes:
    return sentence(f"GNGST,{time},9.0,{axes},5.0")


def gll(place: str = PLACE, time: str = "101503.00", status: str = "A", mode: str = "A") -> bytes:
    return sentence(f"GPGLL,{place},{time},{status},{mode}")


def gns(modes: str = "AAN", place: str = PLACE, satellites: str = "08", time: str = "101503.00") -> bytes:
    return sentence(f"GNGNS,{time},{place},{modes},{satellites},1.0,90.0,47.0,,,V")


def clock(second: int) -> str:
    """Return the time of day so many seconds after 10:15, as NMEA writes it."""
    return f"10{15 + second // 60:02}{second % 60:02}.00"


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


@pytest.mark.parametrize("odd", ["nan", "inf", "-inf", "-1", "0", "1e999", "wide", "", " "])
def test_an_odd_accuracy_costs_itself_alone(odd: str) -> None:
    """The place is there, with the next estimate; a word in a field that nobody uses costs nothing."""
    assert [fix.radius_m for fix in read(gga(), gst(axes=",".join([odd] * 5)))] == [19.0]
    assert [fix.radius_m for fix in read(gga(hdop=odd, height="high"))] == [50.0]
    assert [fix.radius_m for fix in read(sentence(f"GNRMC,101503,A,{PLACE},{odd},{odd},231126,,,A"))] == [
        50.0
    ]


@pytest.mark.parametrize(
    "said",
    [
        [gga(quality=0, place=",,,")],
        [gga(quality=6)],  # dead reckoning
        [gga(quality=7)],  # typed in
        [gga(quality=8)],  # simulated
        [gga(quality="")],  # nothing vouches for it
        [gga(satellites="00")],  # a receiver that coasts
        [gga(satellites="0"), rmc()],
        [gns(satellites="00")],
        [gga(), rmc(status="V")],
        [rmc(mode="S"), gga()],
        [rmc(mode="E")],
        [rmc(mode="M")],
        [gll(status="V")],
        [gll(mode="E")],
        [gns(modes="NNN")],
        [gns(modes="E")],
        [gst()],
        [rmc(place=",,,")],
    ],
)
def test_without_satellites_there_is_no_fix(said: list[bytes]) -> None:
    """A receiver goes on talking when it has none."""
    assert read(*said) == []


@pytest.mark.parametrize(
    "said",
    [
        [gga(quality=9)],  # satellite-based augmentation, by NovAtel
        [gga(quality=12), rmc()],
        [gga(quality="?"), rmc()],
        [gga(satellites="")],
        [rmc(mode="Q")],
        [rmc(mode="")],
        [gns(modes="NNA")],
        [gns(modes="ED")],
        [gns(modes="AA"), sentence("GPGNS,101503.00,,,,,,7,,,,5.2,23")],
    ],
)
def test_what_is_not_known_to_be_something_else_is_satellites(said: list[bytes]) -> None:
    """Makers give numbers of their own to new kinds of fixes."""
    assert [round(fix.lat, 4) for fix in read(*said)] == [50.7983]


@pytest.mark.parametrize("said", [gll(), gll(mode=""), gns(), rmc(), gga()])
def test_any_sentence_with_a_place_is_enough(said: bytes) -> None:
    """Some receivers send no other."""
    assert [(round(fix.lat, 4), round(fix.lon, 4)) for fix in read(said)] == [(50.7983, 4.3717)]


SPEAKERS: list[Callable[..., bytes]] = [rmc, gga, gll, gns]


@pytest.mark.parametrize("speak", SPEAKERS)
@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("3352.1000,S,07040.5000,W", (-33.868333, -70.675)),
        ("0000.0000,S,18000.0000,W", (0, -180)),
        ("9000.0000,N,00000.0000,E", (90, 0)),
        ("5047.900,N,-00422.300,E", None),
        ("-5047.900,N,00422.300,E", None),
        ("+5047.900,N,00422.300,E", None),
        ("3352.1000,,07040.5000,", None),
        ("3352.1000,S,07040.5000,", None),
        ("3352.1000,s,07040.5000,w", None),
        ("3352.1000,E,07040.5000,N", None),
        ("3352.1000,NS,07040.5000,W", None),
        ("5060.0000,N,00422.3000,E", None),
        ("9000.1000,N,00422.3000,E", None),
        ("5047.9000,N,18000.1000,E", None),
        ("5047.9e0,N,00422.3000,E", None),
        ("nan,N,nan,E", None),
        ("50 47.9,N,00422.3000,E", None),
    ],
)
def test_a_place_is_two_unsigned_numbers_and_their_hemispheres(
    speak: Callable[..., bytes], place: str, expected: tuple[float, float] | None
) -> None:
    """Anything else would be a mirrored place, thousands of kilometres off."""
    fixes = read(speak(place=place))
    assert [(round(fix.lat, 6), round(fix.lon, 6)) for fix in fixes] == (
        [] if expected is None else [expected]
    )


def test_a_mirrored_place_is_never_given() -> None:
    """Any change of a sign or of a hemisphere: the place, its true mirror by the letters, or none."""
    for seed in range(500):
        chance = random.Random(seed)
        letters = chance.choice(["N", "S", "n", "", " ", "W"]), chance.choice(["E", "W", "e", "", "-", "N"])
        signs = chance.choice(["", "-", "+", " "]), chance.choice(["", "-", "+", " "])
        place = f"{signs[0]}5047.9,{letters[0]},{signs[1]}00422.3,{letters[1]}"
        fixes = read(chance.choice(SPEAKERS)(place=place))
        if signs == ("", "") and letters[0] in ("N", "S") and letters[1] in ("E", "W"):
            north, east = 1 if letters[0] == "N" else -1, 1 if letters[1] == "E" else -1
            assert [(round(fix.lat * north, 4), round(fix.lon * east, 4)) for fix in fixes] == [
                (50.7983, 4.3717)
            ], seed
        else:
            assert fixes == [], seed


# -- the day ------------------------------------------------------------------------------------------


def test_the_day_is_the_one_nearest_to_the_phones_clock() -> None:
    """GGA says only the time of day; the phone's clock may be on the other side of midnight."""
    midnight = int(datetime(2026, 11, 24, 0, 0, 1, tzinfo=UTC).timestamp() * 1000)
    assert [fix.taken_at for fix in read(gga(time="235959.00"), now_ms=midnight)] == [
        "2026-11-23T23:59:59.000Z"
    ]


@pytest.mark.parametrize("date", ["231126", "090407", "060180", "231180", "010180", "310299", "", "soon"])
def test_a_receivers_date_moves_nothing(date: str) -> None:
    """Its week number starts again every 1,024 weeks, or it has not been told the date yet."""
    for said in ([rmc(date=date)], [rmc(date=date), gga()], [gga(), rmc(date=date)]):
        assert [fix.taken_at for fix in read(*said)] == ["2026-11-23T10:15:03.000Z"]


def test_a_receivers_date_serves_where_the_phone_has_lost_its_own() -> None:
    """From RMC or ZDA; but not a date that cannot be, and not that of a sentence that is not valid."""
    fixes = read(rmc(time="235959.00"), gga(time="000000.00"), gga(time="000001.00"), now_ms=0)
    assert [fix.taken_at[:19] for fix in fixes] == [
        "2026-11-23T23:59:59",
        "2026-11-24T00:00:00",
        "2026-11-24T00:00:01",
    ]
    zda = sentence("GPZDA,101503.00,23,11,2026,00,00")
    assert [fix.taken_at[:10] for fix in read(zda, gga(), now_ms=0)] == ["2026-11-23"]
    for doubtful in (rmc(date="090407"), rmc(date="060180"), rmc(status="V", date="230531")):
        (fix,) = read(doubtful, gga(time="101504.00"), now_ms=0)[-1:]
        assert fix.taken_at[:10] in ("2025-12-31", "2026-01-01")


def test_a_moment_that_names_no_time_is_of_now() -> None:
    """An odd time costs itself alone; what names none belongs to the moment that is being told."""
    assert [fix.taken_at for fix in read(gga(time=""))] == ["2026-11-23T10:15:04.000Z"]
    assert [fix.taken_at for fix in read(rmc(), gga(time="2x1503"))] == ["2026-11-23T10:15:03.000Z"]
    assert len(read(gga(time="99"), gga(time="99"), gga(time="99"))) == 3


# -- sentences in bytes -------------------------------------------------------------------------------


def test_a_sentence_may_be_as_long_as_its_receiver_likes() -> None:
    """Whole classes of receivers send more than NMEA's 82 bytes."""
    (fix,) = read(sentence(LONG))
    assert len(sentence(LONG)) > 82
    assert round(fix.lat, 6) == 50.798333
    assert fix.radius_m == pytest.approx(0.7 * 19)
    most = LONG + "," * (SENTENCE_BYTES_MAX - 4 - len(LONG))
    assert len(read(sentence(most))) == 1
    assert read(sentence(most + ",")) == []


@pytest.mark.parametrize("packet", [UBX, RTCM3, CASIC, b"\x00", b"$", b"!", b"$GPGGA,1*", b"\\s:a*00\\"])
def test_what_is_between_sentences_costs_none(packet: bytes) -> None:
    """120 of 120, with the radius of the GGA, wherever the packet is."""
    for order in ("{0}{1}{2}", "{1}{0}{2}", "{1}{2}{0}", "{0}{1}{0}{2}{0}"):
        parts = []
        for second in range(120):
            place = {"{0}": packet, "{1}": rmc(clock(second)), "{2}": gga(clock(second))}
            parts += [place[order[at : at + 3]] for at in range(0, len(order), 3)]
        assert [fix.radius_m for fix in read(*parts)] == [19.0] * 120


def test_a_lost_warning_is_none() -> None:
    """The RMC that says V after a packet counts as one that stands alone."""
    assert read(UBX, rmc(status="V"), UBX, gga()) == []


def test_two_sentences_on_a_line_are_two() -> None:
    """Lines are for people."""
    assert [fix.radius_m for fix in read(rmc().strip() + gga().strip() + b"noise" + gst())] == [
        pytest.approx(9.8)
    ]


def test_ships_are_no_noise() -> None:
    """A receiver of ships' positions speaks NMEA, in sentences that begin otherwise, and says no place."""
    reader = Reader()
    ship = sentence("AIVDM,1,1,,A,15M67F0000G?Uf6E`FepT@3n00Sa,0", "!")
    reader.feed(ship * 20, NOW)
    assert (reader.bad, reader.sentences, reader.kinds, reader.pause()) == (0, 20, {"VDM"}, [])
    assert len(read(ship, gga(), ship)) == 1


def test_what_is_damaged_is_passed_over() -> None:
    """A wrong checksum, a half line, noise, a line without end: the next whole sentence is read."""
    reader = Reader()
    wrong = rmc().replace(b"5047.9", b"5147.9")
    for part in (
        wrong,
        rmc()[:30] + b"\r\n",
        b"\xff\x00\x80 noise\r\n",
        b"$" * 5000,
        b"$" + b"x" * 5000,
        gga(),
    ):
        assert reader.feed(part, NOW) == []
    assert (reader.bad, reader.sentences) == (1, 1)
    assert [round(fix.lat, 4) for fix in reader.pause()] == [50.7983]


@pytest.mark.parametrize("seed", range(40))
def test_every_whole_sentence_is_found_however_the_bytes_come(seed: int) -> None:
    """Sentences of any length, with packets, noise and halves between them, cut anywhere."""
    chance = random.Random(seed)
    expected: list[str] = []
    stream = b""
    for number in range(60):
        body = f"GP{number:03},{'x' * chance.choice([0, 60, 90, 300, 1000])}"
        expected.append(body)
        noise = bytes(chance.randrange(256) for _ in range(chance.choice([0, 0, 3, 40, 1500])))
        half = sentence(LONG)[: chance.randrange(60)]
        stream += chance.choice([b"", noise, half, UBX, RTCM3, CASIC, half + noise])
        stream += sentence(body, chance.choice("$!"))
    finder, found = SentenceFinder(), []
    while stream:
        size = chance.randrange(1, 200)
        found += [",".join(fields) for fields in finder.feed(stream[:size])]
        stream = stream[size:]
    assert [body for body in found if body in expected] == expected


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
    lines = [line for line in WALK.read_bytes().splitlines()[2:]] + [gll(), gns(), sentence(LONG)]
    lines += [sentence("GPZDA,101503.00,23,11,2026,00,00")]
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
                assert fix.radius_m > 0, seed
                assert fix.taken_at[:10] in ("2026-11-22", "2026-11-23", "2026-11-24"), seed
