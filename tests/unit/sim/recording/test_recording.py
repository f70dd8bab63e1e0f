"""Recordings: what bad ones get, what is a pseudonym in them, and what a btsnoop capture becomes."""

import io
import json
import struct
from collections.abc import Sequence
from pathlib import Path

import pytest
from bleak.backends.scanner import AdvertisementData
from bumble import hci

from sim.radio.adverts import Heard, structures, uuids_128
from sim.recording import btsnoop
from sim.recording.lines import Unreadable, Writer, read
from sim.recording.pseudonyms import Pseudonyms
from sim.recording.record import CannotRecord, from_btsnoop
from sim.recording.scanners import rebuilt
from wire import codes
from wire.keys import Mac

CODE = codes.code(Mac(bytes(range(32))), codes.ALARM, 1)
OURS = Heard(10.5, -50, "C0:FF:EE:00:00:01", "random", "ADV_IND", codes.advert(CODE))
NAMED = bytes.fromhex("020106") + b"\x0a\x09Anna's TV" + b"\x05\xff\x4c\x00\x10\x05"
FOREIGN = Heard(12.25, -70, "5A:00:00:00:00:02", "random", "ADV_NONCONN_IND", NAMED)


def written(*heard: Heard, secret: bytes = b"s") -> str:
    file = io.StringIO()
    writer = Writer(file, "air", Pseudonyms(secret))
    for one in heard:
        writer.take(one)
    writer.close()
    return file.getvalue()


def parsed(text: str) -> list[Heard]:
    return list(read(io.BytesIO(text.encode())))


def refused(text: str | bytes) -> str:
    with pytest.raises(Unreadable) as caught:
        list(read(io.BytesIO(text if isinstance(text, bytes) else text.encode())))
    return str(caught.value)


# -- what is in it -----------------------------------------------------------------------------------


def test_what_replays_is_kept_and_the_rest_is_a_pseudonym() -> None:
    """The code, times and strengths stay; addresses, names and contents do not."""
    ours, foreign = parsed(written(OURS, FOREIGN))
    assert (ours.data, ours.at_ms, ours.rssi_dbm, ours.kind) == (OURS.data, 10.5, -50, "ADV_IND")
    assert ours.address != OURS.address
    assert b"Anna" not in foreign.data
    assert len(foreign.data) == len(FOREIGN.data)
    before, after = list(structures(FOREIGN.data)), list(structures(foreign.data))
    assert [kind for kind, _ in after] == [kind for kind, _ in before]
    assert (after[0], after[2][1][:2]) == (before[0], b"\x4c\x00")  # flags and the maker's number
    assert after[2][1][2:] != before[2][1][2:]


def test_an_address_is_the_same_within_one_recording_and_in_no_other() -> None:
    """And of the same kind: static random stays static random, resolvable resolvable."""
    one, two, other = parsed(written(OURS, OURS._replace(at_ms=20), FOREIGN))
    assert one.address == two.address != other.address
    assert (int(one.address[:2], 16) >> 6, int(other.address[:2], 16) >> 6) == (3, 1)
    assert parsed(written(OURS, secret=b"t"))[0].address != one.address


def test_a_uuid_that_cannot_be_a_code_is_a_pseudonym_and_a_short_one_stays() -> None:
    """0x180D says what kind of thing it is; a maker's own UUID may say whose."""
    own = bytes(range(16))
    data = b"\x03\x03\x0d\x18" + b"\x11\x07" + own
    (heard,) = parsed(written(FOREIGN._replace(data=data)))
    assert heard.data.startswith(b"\x03\x03\x0d\x18\x11\x07")
    assert own not in heard.data


def test_data_that_ends_in_the_middle_of_a_structure_keeps_its_length() -> None:
    """Whatever is on the air can be written down."""
    for data in (b"", b"\x00", b"\xff", b"\x05\x09ab", b"\x02\x01\x06\x1fxyz"):
        (heard,) = parsed(written(FOREIGN._replace(data=data)))
        assert len(heard.data) == len(data)


# -- what a bad one gets -----------------------------------------------------------------------------

GOOD = written(OURS, FOREIGN).splitlines()


def with_line(number: int, **fields: object) -> str:
    lines = [json.loads(line) for line in GOOD]
    lines[number] |= fields
    return "".join(json.dumps(line) + "\n" for line in lines)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "line 1: it is empty"),
        (b"\xff\xfe\x00\x01", "line 1: this is no recording"),
        ("hello\n", "line 1: this is no recording"),
        (b"btsnoop\0" + bytes(8), "amr-sim record --btsnoop"),
        (with_line(0, kind="amr-centre"), "line 1: a recording of kind 'amr-centre'"),
        (with_line(0, version=2), "line 1: version 2"),
        (with_line(0, version=True), "line 1: version True"),
        ("\n".join(GOOD[:-1]) + "\n", "line 3: it ends here without a last line"),
        ("\n".join(GOOD)[:-40], "line 3: it was cut in the middle"),
        ("\n".join([GOOD[0], GOOD[2], GOOD[1], GOOD[3]]) + "\n", "line 3: at_ms is 10.5, and 12.25"),
        ("\n".join([GOOD[0], GOOD[1], GOOD[3]]) + "\n", "line 3: 2 adverts are told, 1 are there"),
        ("\n".join([*GOOD, GOOD[1]]) + "\n", "line 5: something stands after the last line"),
        ("\n".join([*GOOD[:2], "x", *GOOD[2:]]) + "\n", "line 3: not JSON"),
        ("\n".join([*GOOD[:2], "[" * 5000, *GOOD[2:]]) + "\n", "line 3: not JSON"),
        ("\n".join([*GOOD[:2], "1", *GOOD[2:]]) + "\n", "line 3: not a JSON object"),
        ("\n".join([*GOOD[:2], " " * 9000, *GOOD[2:]]) + "\n", "line 3: longer than"),
        (with_line(1, at_ms=-1), "line 2: `at_ms` is -1"),
        (with_line(1, at_ms=float("nan")), "line 2: `at_ms` is nan"),
        (with_line(1, at_ms=True), "line 2: `at_ms` is True"),
        (with_line(1, rssi_dbm=50), "line 2: `rssi_dbm` is 50"),
        (with_line(1, address="c0:ff:ee:00:00:01"), "line 2: `address`"),
        (with_line(1, address_type="odd"), "line 2: `address_type` is 'odd'"),
        (with_line(1, kind="ADV"), "line 2: `kind` is 'ADV'; ADV_IND"),
        (with_line(1, kind=[]), "line 2: `kind` is []"),
        (with_line(1, data="0"), "line 2: `data` is '0'"),
        (with_line(1, data="zz"), "line 2: `data` is 'zz'"),
        (with_line(1, name="Ann"), "line 2: there is no `name`"),
        (with_line(3, adverts=True), "line 4: True adverts are told"),
        (with_line(3, by="me"), "line 4: the last line is"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str | bytes, told: str) -> None:
    """Cut, reordered, of another kind, not text."""
    assert told in refused(text)


# -- btsnoop -----------------------------------------------------------------------------------------


def report(heard: Heard) -> bytes:
    """As a controller tells it, in H4."""
    event = hci.HCI_LE_Advertising_Report_Event.Report(
        event_type=0,
        address_type=1,
        address=hci.Address(heard.address, hci.Address.RANDOM_DEVICE_ADDRESS),
        data=heard.data,
        rssi=heard.rssi_dbm,
    )
    return bytes(hci.HCI_LE_Advertising_Report_Event([event]))


EXTENDED = (
    bytes((0x04, 0x3E, 26 + len(OURS.data), 0x0D, 1))
    + struct.pack("<HB", 0x13, 1)
    + bytes.fromhex(OURS.address.replace(":", ""))[::-1]
    + struct.pack("<BBBbbHB6sB", 1, 0, 0xFF, 127, -50, 0, 0, bytes(6), len(OURS.data))
    + OURS.data
)


def capture(*packets: bytes, framing: int = 1002, flags: int = 3, times_us: Sequence[int] = ()) -> bytes:
    data = b"btsnoop\0" + struct.pack(">II", 1, framing)
    for number, packet in enumerate(packets):
        at_us = 0x00E03AB44A676000 + (times_us[number] if times_us else number * 1500)
        shown = packet if framing == 1002 else packet[1:]
        data += struct.pack(">IIIIQ", len(shown), len(shown), flags, 0, at_us) + shown
    return data


def snooped(data: bytes) -> tuple[list[Heard], int]:
    skipped = btsnoop.Skipped()
    return list(btsnoop.read(io.BytesIO(data), skipped)), skipped.packets


@pytest.mark.parametrize(
    ("framing", "event", "other"),
    [(1001, 3, 2), (1002, 3, 2), (2001, 0x0001_0003, 0x0001_0002)],
    ids=["H1", "H4", "btmon"],
)
def test_advertising_reports_are_found_among_other_packets(framing: int, event: int, other: int) -> None:
    """Each framing; commands, data and other events are passed over; extended reports count, too."""
    command = bytes.fromhex("01030c00")
    complete = bytes.fromhex("040e0401030c00")
    packets = (report(OURS), complete, report(FOREIGN), EXTENDED)
    found, skipped = snooped(capture(*packets, framing=framing, flags=event))
    assert skipped == 0
    assert [(one.at_ms, one.rssi_dbm, one.address) for one in found] == [
        (0.0, -50, OURS.address),
        (3.0, -70, FOREIGN.address),
        (4.5, -50, OURS.address),
    ]
    assert [one.data for one in found] == [OURS.data, FOREIGN.data, OURS.data]
    assert {one.kind for one in found} == {"ADV_IND"}
    assert snooped(capture(command, framing=framing, flags=other)) == ([], 0)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "does not begin like one"),
        (b"text, not a capture at all", "does not begin like one"),
        (capture(framing=1003), "framed as BCSP"),
        (capture(report(OURS))[:-3], "its first record is cut"),
        (capture(report(OURS))[:20], "its first record is cut"),
        (
            capture() + struct.pack(">IIIIQ", 1 << 31, 1 << 31, 3, 0, 0),
            "its first record is cut, or cannot be",
        ),
    ],
)
def test_a_capture_that_cannot_be_used_is_told(tmp_path: Path, data: bytes, told: str) -> None:
    """Nothing is written for it."""
    (tmp_path / "capture").write_bytes(data)
    with pytest.raises(CannotRecord, match=told) as caught:
        from_btsnoop(tmp_path / "capture", tmp_path / "recording")
    assert caught.value.code == 2
    assert not (tmp_path / "recording").exists()


@pytest.mark.parametrize(
    "rest",
    [
        capture(report(OURS))[16:-3],
        capture(report(OURS))[16:30],
        struct.pack(">IIIIQ", 1 << 31, 1 << 31, 3, 0, 0) + bytes(100_000),
    ],
    ids=["cut packet", "cut head", "a length that cannot be"],
)
def test_a_capture_that_breaks_off_is_read_as_far_as_it_is_whole(
    tmp_path: Path, rest: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """What comes before counts, and how many bytes were left is told."""
    (tmp_path / "capture").write_bytes(capture(report(OURS), report(FOREIGN)) + rest)
    from_btsnoop(tmp_path / "capture", tmp_path / "recording")
    output = capsys.readouterr()
    assert "2 adverts are in" in output.out
    assert f"{len(rest)} byte(s) at the end" in output.err


@pytest.mark.parametrize("second_us", [-3_600_000_000, 40 * 86_400_000_000], ids=["back", "far ahead"])
def test_a_clock_that_is_set_begins_a_new_stretch(second_us: int) -> None:
    """The next record follows at once, and those after it by their own times."""
    skipped = btsnoop.Skipped()
    data = capture(*[report(OURS)] * 4, times_us=(0, 7_000, second_us, second_us + 2_000))
    assert [one.at_ms for one in btsnoop.read(io.BytesIO(data), skipped)] == [0.0, 7.0, 7.0, 9.0]
    assert skipped.clock_steps == 1


def test_a_broken_event_is_counted_and_the_others_are_kept() -> None:
    """A report whose lengths are wrong, and one that says more reports than there are."""
    broken = bytearray(report(OURS))
    broken[4] = 9
    shorter = bytearray(report(OURS)[:-4])
    found, skipped = snooped(capture(bytes(broken), bytes(shorter), report(FOREIGN)))
    assert [one.address for one in found] == [FOREIGN.address]
    assert skipped == 2


def test_a_capture_becomes_a_recording_that_is_not_written_over(tmp_path: Path) -> None:
    """For its owner's eyes only."""
    (tmp_path / "capture").write_bytes(capture(report(OURS), report(FOREIGN)))
    to = tmp_path / "recording"
    from_btsnoop(tmp_path / "capture", to)
    assert to.stat().st_mode & 0o777 == 0o600
    with to.open("rb") as file:
        assert [next(uuids_128(one.data), None) for one in read(file)] == [CODE, None]
    with pytest.raises(CannotRecord, match="is there already"):
        from_btsnoop(tmp_path / "capture", to)


# -- a system's parts --------------------------------------------------------------------------------


def test_an_advert_is_put_together_from_what_a_system_tells() -> None:
    """UUIDs of all lengths, name, maker's and service data, power."""
    advertised = AdvertisementData(
        "TV",
        {0x4C: b"\x10"},
        {"0000feaa-0000-1000-8000-00805f9b34fb": b"\x01"},
        ["0000180d-0000-1000-8000-00805f9b34fb", "12345678-1234-4234-8234-123456789abc"],
        -4,
        -60,
        (),
    )
    assert dict(structures(rebuilt(advertised))) == {
        0x03: b"\x0d\x18",
        0x07: bytes.fromhex("12345678123442348234123456789abc")[::-1],
        0xFF: b"\x4c\x00\x10",
        0x16: b"\xaa\xfe\x01",
        0x0A: b"\xfc",
        0x09: b"TV",
    }
