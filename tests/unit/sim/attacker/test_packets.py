"""What a router's owner can tell of a button's own way: what is there to be found is found, and no more."""

import json
import struct
from dataclasses import replace
from random import Random

import pytest

from sim.attacker.at_router import at_router
from sim.attacker.packets import ATTACKS, Watched, client_hello, truth, watch
from sim.attacker.stalk import Stalked, as_json, as_text
from sim.radio.packets import DATAGRAM, LEASE, NAME, STREAM, Packet
from wire import direct
from wire.direct import CHECKIN, POLL, PRESS, Answer, Request, seal_request, station_mac
from wire.direct_centre import seal_answer
from wire.keys import Mac, derive

DAY_MS = 86_400_000.0
KEYS = {f"BUTTON{number}": Mac(derive(bytes([number]) * 32, "direct", 0)) for number in range(1, 4)}


def station_of(mac: Mac) -> str:
    return station_mac(mac, b"Home").hex(":")


def sealed(mac: Mac, kind: int, n: int, seq: int, counter: int, random: Random) -> bytes:
    facts = direct.access_points([(random.randbytes(5) + b"\x01", -random.randrange(40, 90))])
    event = 0 if kind == CHECKIN else 1
    request = Request(kind, 1, event, 0, counter, n, seq, 65535, 195, 255, 0, -60, 0, facts)
    return seal_request(mac, request)


def life(days: int = 60) -> list[Packet]:
    """A check-in a day, and on each fourth day a press with questions after it, of each button."""
    random = Random(1)
    packets = []
    for mac in KEYS.values():
        counter = 0
        for day in range(days):
            at_ms = day * DAY_MS + random.uniform(0, DAY_MS / 2)
            kinds = [CHECKIN]
            if day % 4 == 0:
                counter += 1
                kinds = [PRESS, *[POLL] * 6]
            for seq, kind in enumerate(kinds):
                frame = sealed(mac, kind, day, seq, counter if kind != CHECKIN else 0, random)
                answer = seal_answer(mac, frame, Answer(bytes(17), 1_800_000_000_000, 0, 0, day + 1))
                packets.append(Packet(at_ms + seq * 20_000, station_of(mac), True, DATAGRAM, frame))
                packets.append(Packet(at_ms + seq * 20_000 + 200, station_of(mac), False, DATAGRAM, answer))
    return packets


@pytest.fixture(scope="module")
def packets() -> list[Packet]:
    return life()


def of_kind(packets: list[Packet], kind: int) -> set[bytes]:
    return {frame for frame, said in truth(packets, KEYS, 256).items() if said.kind == kind}


def watched(packets: list[Packet]) -> Watched:
    return watch("at home", packets, KEYS)


@pytest.mark.slow
@pytest.mark.computes
def test_a_press_and_a_check_in_look_alike(packets: list[Packet]) -> None:
    """By length, by first and last bytes, by how random they are; only the company that a press has tells."""
    found = watched(packets)
    assert found.leaks == ()
    assert (found.frames, found.presses) == (3 * (45 + 15 * 7), 45)
    scores = {one.by: one.score for one in found.told}
    assert scores["length"] == 0.5
    assert {one.by for one in found.told if one.tells} <= {"company within a minute"}
    only_check_ins = [one for one in packets if one.data not in of_kind(packets, POLL)]
    assert {one.by for one in watched(only_check_ins).told if one.tells} == set()


def test_a_press_that_is_longer_is_found(packets: list[Packet]) -> None:
    """One more byte would be enough for whoever looks; so the attack sees it."""
    presses = of_kind(packets, PRESS)
    longer = [replace(one, data=one.data + b"\0") if one.data in presses else one for one in packets]
    assert watched(longer).leaks == ("a datagram out has 129 bytes",)
    answer = next(one for one in packets if not one.is_outward)
    odd = [replace(one, data=one.data[:-1]) if one is answer else one for one in packets]
    assert watched(odd).leaks == ("a datagram back has 63 bytes",)


def test_a_form_that_tells_is_found(packets: list[Packet], monkeypatch: pytest.MonkeyPatch) -> None:
    """Were the kind to show in a byte, it would be seen at once."""
    presses = of_kind(packets, PRESS)
    monkeypatch.setitem(
        ATTACKS,
        "last byte",
        lambda seen: [float(one.data in presses) + one.data[-1] / 999 for one in seen],
    )
    assert watched(packets).leaks == ("a press is told by its last byte",)


def test_a_name_that_comes_back_is_found(packets: list[Packet]) -> None:
    """The frame of an earlier session, sent again after a later one; the same session once more is none."""
    first = min(packets)
    again = replace(first, at_ms=70 * DAY_MS)
    assert watched([*packets, again]).leaks == (f"the name {first.data[:8].hex()} links two sessions",)
    assert watched([*packets, replace(first, at_ms=first.at_ms + 1)]).leaks == ()


def test_spare_names_come_back_by_design(packets: list[Packet]) -> None:
    """After two sessions without an answer; SPEC.md says so."""
    mac = KEYS["BUTTON1"]
    spare = sealed(mac, CHECKIN, direct.SPARE_FIRST + 1, 3, 0, Random(2))
    more = [Packet(day * DAY_MS + 40_000_000, station_of(mac), True, DATAGRAM, spare) for day in (10, 20, 30)]
    found = watched([*packets, *more])
    assert found.leaks == ()
    assert found.frames == watched(packets).frames + 3


def test_what_names_the_product_is_found(packets: list[Packet]) -> None:
    """A maker's address, a host name, the button's own name; a name that is asked for is no leak."""
    station = station_of(KEYS["BUTTON1"])
    more = [
        Packet(1.0, "24:0a:c4:00:00:01", True, LEASE, b"mpy-esp32"),
        Packet(2.0, station, True, LEASE, b"android"),
        Packet(3.0, station, True, STREAM, b"POST /BUTTON2"),
        Packet(4.0, station, True, NAME, b"alarm.example.org"),
    ]
    found = watched([*packets, *more])
    assert found.leaks == (
        "the MAC address 24:0a:c4:00:00:01 is a maker's",
        "the host name 'mpy-esp32' names the product",
        "the device_id BUTTON2 is in a packet",
    )
    assert any("'alarm.example.org' was asked for" in seen for seen in found.seen)
    assert sum("spoke in" in seen for seen in found.seen) == 4


def hello(name: bytes) -> bytes:
    """A ClientHello with a server name and one more extension."""
    entry = struct.pack(">HBH", len(name) + 3, 0, len(name)) + name
    extensions = struct.pack(">HH", 0, len(entry)) + entry + struct.pack(">HH", 23, 0)
    body = b"\x03\x03" + bytes(32) + b"\x00" + struct.pack(">HHH", 4, 0xC02B, 0xC02C) + b"\x01\x00"
    body += struct.pack(">H", len(extensions)) + extensions
    shake = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + struct.pack(">H", len(shake)) + shake


def test_a_client_hello_is_read() -> None:
    """Which name it asks for, and what tells one make of TLS from another."""
    found = client_hello(hello(b"alarm.example.org"))
    assert found
    assert found.server_name == "alarm.example.org"
    assert found.form == "version 0x0303, 2 suites, extensions 0-23"


@pytest.mark.parametrize(
    "data", [b"", b"\x16", b"\x16\x03\x01\x00\x05\x01\x00\x00\x01", b"GET / HTTP/1.1", bytes(200)]
)
def test_what_is_no_client_hello_is_none(data: bytes) -> None:
    """Whatever goes over a connection; nor is one that was cut."""
    assert client_hello(data) is None
    assert client_hello(hello(b"alarm.example.org")[:40]) is None


def test_two_networks_see_two_addresses() -> None:
    """What one owner knows does not help another."""
    mac = KEYS["BUTTON1"]
    home, work = station_mac(mac, b"Home"), station_mac(mac, b"Work")
    assert home != work
    assert all(one[0] & 3 == 2 for one in (home, work))


def test_hours_at_a_router_leak_nothing() -> None:
    """In virtual time, the firmware's own program: presses, questions and check-ins of eight buttons."""
    packets, keys = at_router(1, 2.0)
    found = watch("at the router of a shelter", packets, keys)
    assert found.leaks == ()
    assert found.presses >= 8
    assert {said.kind for said in truth(packets, keys, 256).values()} == {PRESS, POLL, CHECKIN}
    assert {len(one.data) for one in packets if one.is_outward} == {128}
    assert {len(one.data) for one in packets if not one.is_outward} == {64}
    report = as_text(Stalked("Hours", watched=[found]))
    assert "# at the router of a shelter" in report
    assert "cannot be hidden" in report
    assert "LEAKS" not in report
    assert json.loads(as_json(Stalked("Hours", watched=[found])))["watched"][0]["presses"] == found.presses


def test_a_leak_is_told_and_breaks_it(packets: list[Packet]) -> None:
    """The report says so, and the exit code does."""
    found = watched([*packets, Packet(1.0, "24:0a:c4:00:00:01", True, LEASE, b"mpy-esp32")])
    stalked = Stalked("Hours", watched=[found])
    assert not stalked.holds
    assert "LEAKS      the host name 'mpy-esp32' names the product" in as_text(stalked)
    assert as_text(stalked).splitlines()[-1] == "BROKEN"
