"""The button's Wi-Fi carrier on the real interpreter: simulated access points, real sockets and TLS."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from centre.platform import tls
from centre.platform.home import Home
from sim.attacker.packets import watch
from sim.board import wifi
from sim.board.board import Board, BoardEvent
from sim.board.wifi import AccessPoint
from sim.radio.air import Air, Medium
from sim.radio.packets import DATAGRAM, LEASE, STREAM, Packet
from sim.realtime.uplink import Uplink
from wire import direct, direct_centre
from wire.keys import InvalidMessage, Mac, derive

ROOT_KEY = bytes(range(32))
MAC = Mac(derive(ROOT_KEY, "direct", 0))
NOW_MS = 1_800_000_000_000
PMK = bytes([7]) * 32
HOME_AP = AccessPoint(b"Home", bytes.fromhex("0211223344aa"), PMK)
CARRIER = Path(__file__).parents[1] / "vm" / "carrier.py"
NUMBER = "203.0.113.5"

Answerer = Callable[[bytes], Awaitable[bytes | None]]


def sealed(frame: bytes) -> bytes | None:
    """Answer as the centre does, and nobody who does not know the key."""
    try:
        direct_centre.unseal_request(MAC, frame, 1)
    except InvalidMessage:
        return None
    return direct_centre.seal_answer(MAC, frame, direct.Answer(bytes(17), NOW_MS, 0, 0, 2))


class Udp(asyncio.DatagramProtocol):
    """The centre's port for datagrams."""

    def __init__(self, answers: Callable[[bytes], list[bytes]]) -> None:
        self._answers = answers

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        for answer in self._answers(data):
            self._transport.sendto(answer, addr)


def http(status: str, *headers: str, body: bytes = b"") -> bytes:
    """The bytes of an answer."""
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode() + body


def as_centre(frame: bytes) -> bytes:
    """What the centre says over HTTPS."""
    answer = sealed(frame) or b""
    return http("200 OK", "Content-Type: application/octet-stream", "Content-Length: 64", body=answer)


@dataclass
class Place:
    """A board in a room with access points, and a centre far away."""

    home: Path
    board: Board
    uplink: Uplink
    points: list[AccessPoint]
    asked_udp: list[bytes] = field(default_factory=list)
    asked_https: list[bytes] = field(default_factory=list)
    udp: Callable[[bytes], list[bytes]] = lambda frame: [answer for answer in [sealed(frame)] if answer]
    https: Callable[[bytes], bytes] = as_centre
    closes: bool = False
    host: str = "127.0.0.1"
    lines: list[str] = field(default_factory=list)

    async def run(self, *sessions: dict[str, Any], clock_known: bool = True) -> list[str]:
        """Let the carrier do this; return what it says."""
        ca = x509.load_pem_x509_certificate(tls.development(Home(self.home / "centre")).pem)
        plan = {
            "addresses": [[NUMBER, 443]],
            "host": self.host,
            "networks": {direct.network_id(MAC, b"Home").hex(): PMK.hex()},
            "ca": ca.public_bytes(Encoding.DER).hex(),
            "root": ROOT_KEY.hex(),
            "clock_known": clock_known,
            "sessions": sessions,
        }
        folder = self.home / "board"
        text = f"PLAN = {plan!r}\nROOT = {str(Path(__file__).parents[2])!r}\n"
        (folder / "plan.py").write_text(text)
        await self.board.power_on()
        code = await self.board.wait()
        assert code == 0, self.lines
        assert self.lines[-1] == "done", self.lines
        return self.lines[:-1]


@pytest.fixture
async def place(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """Set up the room; the centre listens for datagrams and for TLS. A parameter is its certificate's age."""
    air = Air(Medium(0, 0.0))
    folder = tmp_path / "board"
    folder.mkdir()
    (folder / "carrier.py").write_text(CARRIER.read_text())

    def seen(event: BoardEvent) -> None:
        if event.kind == "serial":
            made.lines.append(event.data["line"])

    board = Board(air, "button", script=folder / "carrier.py", heap_kib=None, on_event=seen)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                made.asked_https.append(head)
                frame = await reader.readexactly(128)
                writer.write(made.https(frame))
                await writer.drain()
                if made.closes:
                    break
        except (OSError, asyncio.IncompleteReadError):
            pass
        writer.close()

    home = Home(tmp_path / "centre")
    days_old = getattr(request, "param", 0)
    context = tls.development_context(home, "127.0.0.1", "alarm.example.org", days_old=days_old)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)

    def answers(frame: bytes) -> list[bytes]:
        made.asked_udp.append(frame)
        return made.udp(frame)

    loop = asyncio.get_running_loop()
    datagrams, _ = await loop.create_datagram_endpoint(lambda: Udp(answers), local_addr=("127.0.0.1", 0))
    uplink = Uplink(
        board.station,
        server.sockets[0].getsockname(),
        datagrams.get_extra_info("sockname"),
        (NUMBER, "alarm.example.org"),
        tmp_path / "centre",
        tmp_path,
    )
    await uplink.open()
    made = Place(tmp_path, board, uplink, [AccessPoint(HOME_AP.ssid, HOME_AP.bssid, HOME_AP.pmk)])
    board.station.around = lambda: made.points
    yield made
    await board.power_off()
    await uplink.close()
    datagrams.close()
    server.close()
    await air.close()


def came(lines: list[str]) -> list[str]:
    """Return what each session said, without the list of access points."""
    return [" ".join(line.split()[:3]) if line.startswith(("up", "failed")) else line for line in lines]


async def test_a_datagram_is_answered_over_wifi(place: Place) -> None:
    """The press goes out and is answered; the router sees neither the product nor the factory's address."""
    lines = await place.run({"says": ["udp"]})
    assert lines[0] == f"up 0 {direct.access_points([(HOME_AP.bssid, HOME_AP.rssi)]).hex()}"
    assert lines[1:] == [f"answer udp {NOW_MS}"]
    assert place.asked_https == []
    assert place.uplink.asked == [], "nobody is asked for a name"


async def test_a_press_goes_by_https_where_datagrams_are_blocked(place: Place) -> None:
    """The certificate is asked for by name and proven; two posts share one connection."""
    place.host = "alarm.example.org"
    place.points[0].leads_to = wifi.UDP_BLOCKED
    lines = await place.run({"says": ["udp", "https", "https"], "for_ms": 3000})
    assert [line.split()[0] for line in lines] == ["up", "none", "answer", "answer"]
    assert place.asked_udp == []
    assert place.uplink.traffic.connections == 1
    assert place.asked_https[0].startswith(b"POST /v1/direct HTTP/1.1\r\nHost: alarm.example.org\r\n")


async def test_the_second_time_needs_no_scan(place: Place) -> None:
    """Where it was answered it goes straight back, without a scan; no list of neighbours then."""
    lines = await place.run({"says": ["udp"]}, {"says": ["udp"]})
    assert len(lines[0].split()) == 3
    assert lines[2].split() == ["up", "0"], "no scan, no list"
    assert lines[3] == f"answer udp {NOW_MS}"


@pytest.mark.slow
async def test_it_is_found_again_where_the_access_point_has_moved(place: Place) -> None:
    """The place of last time is gone: a scan finds the other radio of the same network."""

    other = AccessPoint(b"Home", bytes.fromhex("0211223344bb"), PMK, channel=1)
    place.board.station.on_leave = lambda: place.points.__setitem__(0, other)
    lines = await place.run({"says": ["udp"]}, {"says": ["udp"]})
    assert lines[2].startswith("up ")
    assert "0211223344bb" in lines[2]
    assert lines[3] == f"answer udp {NOW_MS}"


@pytest.mark.parametrize(
    ("points", "error"),
    [
        ([], direct.NOT_SEEN),
        ([AccessPoint(b"Cafe", bytes(6), PMK)], direct.NOT_SEEN),
        ([AccessPoint(b"Home", bytes(6), PMK, security=wifi.OPEN)], direct.NOT_SEEN),
        ([AccessPoint(b"Home", bytes(6), PMK, security=wifi.WEP)], direct.NOT_SEEN),
        ([AccessPoint(b"Home", bytes(6), PMK, security=wifi.WPA3)], direct.NOT_SEEN),
        ([AccessPoint(b"", bytes(6), PMK)], direct.NOT_SEEN),
        ([AccessPoint(b"Home", bytes(6), bytes(32))], direct.REFUSED),
        ([AccessPoint(b"Home", bytes(6), PMK, has_dhcp=False)], direct.NO_ADDRESS),
    ],
    ids=["nothing", "another", "open", "wep", "wpa3 alone", "hidden", "another key", "dhcp silent"],
)
async def test_a_network_that_cannot_be_used_is_given_up(
    place: Place, points: list[AccessPoint], error: int
) -> None:
    """Within its own deadline, with a number that says why; nothing was sent to whoever it is."""
    place.points[:] = points
    (line,) = await place.run({})
    assert line.split()[:2] == ["failed", str(error)]


async def test_an_evil_twin_without_the_key_is_passed_by(place: Place) -> None:
    """It is stronger and has the name; the true one is behind it."""
    place.points.append(AccessPoint(b"Home", bytes.fromhex("02deadbeef00"), bytes(32), rssi=-20))
    lines = await place.run({"says": ["udp"]})
    assert lines[1] == f"answer udp {NOW_MS}"


@pytest.mark.slow
async def test_an_evil_twin_with_the_key_proves_nothing(place: Place) -> None:
    """It answers everything in the centre's place; nothing of that is believed. Next time it is last."""
    twin = AccessPoint(b"Home", bytes.fromhex("02deadbeef00"), PMK, rssi=-20, leads_to=wifi.TWIN)
    place.points.append(twin)
    lines = await place.run({"says": ["udp", "https"], "for_ms": 2500}, {"says": ["udp"]})
    said = [line.split()[0] for line in lines]
    assert "unproven" in said
    assert [one for one in said if one != "unproven"] == ["up", "none", "none", "up", "answer"]
    assert f" {direct.TLS}" in next(line for line in lines if line.startswith("none https"))


async def test_a_captive_portal_is_no_centre(place: Place) -> None:
    """It answers names, TCP and HTTP with 200, and drops datagrams."""
    place.points[0].leads_to = wifi.CAPTIVE
    lines = await place.run({"says": ["udp", "https"], "for_ms": 2500})
    assert [line.split()[0] for line in lines] == ["up", "none", "none"]


@pytest.mark.slow
async def test_a_name_is_asked_for_last_and_once(place: Place) -> None:
    """No address answers; the name service, which blocks for as long as it likes, is asked a single time."""
    place.host = "alarm.example.org"
    place.points[0].leads_to = wifi.UDP_BLOCKED
    place.https = lambda _frame: http("503 Later", "Content-Length: 0")
    await place.run({"says": ["https", "https"], "for_ms": 9000})
    assert place.uplink.asked == ["alarm.example.org"] * 2, "for the datagrams' port and for HTTPS', once"


EXPIRED = pytest.mark.parametrize("place", [tls.LEAF_DAYS + 1], indirect=True)


@EXPIRED
@pytest.mark.parametrize("clock_known", [True, False])
async def test_a_date_is_forgiven_only_where_the_clock_is_lost(place: Place, clock_known: bool) -> None:
    """One exchange goes without a certificate, and its seal tells the time; with a clock it is refused."""
    place.host = "alarm.example.org"
    place.points[0].leads_to = wifi.UDP_BLOCKED
    lines = await place.run({"says": ["https", "https"], "for_ms": 3000}, clock_known=clock_known)
    said = [line.split()[0] for line in lines]
    assert said == (["up", "none", "none"] if clock_known else ["up", "answer", "none"])
    assert len(place.asked_https) == (0 if clock_known else 1)


@EXPIRED
async def test_no_other_flaw_is_forgiven_beside_the_date(place: Place) -> None:
    """An old certificate for another name stays refused, clock or no clock."""
    place.host = "elsewhere.example.org"
    place.points[0].leads_to = wifi.UDP_BLOCKED
    lines = await place.run({"says": ["https"], "for_ms": 3000}, clock_known=False)
    assert lines[1] == f"none https None {direct.TLS}"
    assert place.asked_https == []


async def test_answers_of_others_and_of_other_lengths_are_not_heard(place: Place) -> None:
    """63 and 65 bytes, rubbish, and an answer to another request; then the centre's own."""
    foreign = direct.seal_request(MAC, direct.Request(1, 1, 1, 0, 7, 1, 99, 0, 0, 0, 0, 0, 0))

    def noisy(frame: bytes) -> list[bytes]:
        answer = sealed(frame)
        assert answer
        other = sealed(foreign)
        assert other
        return [b"", answer[:63], answer + b"x", bytes(64), other, answer]

    place.udp = noisy
    lines = await place.run({"says": ["udp"]})
    assert lines[1:] == ["unproven name", "unproven tag", f"answer udp {NOW_MS}"]


async def test_a_driver_without_memory_fails_the_carrier_alone(place: Place) -> None:
    """The program catches it and goes on."""
    place.board.station.free_kib = wifi.DRIVER_KIB - 1
    assert await place.run({}) == ["raised WiFi Out of Memory"]


async def test_no_memory_for_a_socket_is_no_answer_and_no_more(place: Place) -> None:
    """`ENOMEM`, for datagrams and for TLS: the program goes on, and says so."""
    place.board.station.free_kib = wifi.DRIVER_KIB
    lines = await place.run({"says": ["udp", "https"], "for_ms": 1500})
    assert [line.split()[0] for line in lines] == ["up", "none", "none"]
    assert place.asked_udp == []


async def test_a_scan_that_fails_is_done_again(place: Place) -> None:
    """ESP-IDF says that it heard nobody, where it could not listen."""
    station = place.board.station
    station.scans_fail = True

    def recovers() -> None:
        asyncio.get_running_loop().call_later(
            wifi.SCAN_MS / 1000 + 0.5, setattr, station, "scans_fail", False
        )

    station.on_transmit = recovers
    lines = await place.run({"says": ["udp"]})
    assert lines[1] == f"answer udp {NOW_MS}"


@pytest.mark.slow
async def test_what_is_lost_doubled_and_late_is_answered_in_the_end(place: Place) -> None:
    """Each datagram goes twice, out of order, half of them never; the true answer is found among them."""
    mood = place.uplink.datagrams
    mood.loss, mood.are_doubled, mood.are_reordered, mood.latency_ms = 0.5, True, True, 100
    lines = await place.run({"says": ["udp"], "for_ms": 20_000})
    assert lines[-1] == f"answer udp {NOW_MS}"


@pytest.mark.slow
async def test_a_router_that_forgets_is_asked_anew(place: Place) -> None:
    """An answer that comes after the mapping is gone does not arrive; the next request has its own."""
    place.uplink.datagrams.nat_s = 0.0
    lost = await place.run({"says": ["udp"], "for_ms": 2500})
    assert lost[1].startswith("none")
    place.lines.clear()
    place.uplink.datagrams.nat_s = 1.0
    assert (await place.run({"says": ["udp"]}))[1] == f"answer udp {NOW_MS}"


# -- what may be answered over HTTPS ------------------------------------------------------------------

BODY = b"A" * 64
LENGTH = "Content-Length: 64"
GOOD = {
    "good": http("200 OK", LENGTH, body=BODY),
    "continue": http("100 Continue") + http("200 OK", LENGTH, body=BODY),
    "old": http("200 OK", LENGTH, "Connection: close", body=BODY).replace(b"HTTP/1.1", b"HTTP/1.0"),
}
BAD = {
    "html": http("200 OK", "Content-Type: text/html", "Content-Length: 20", body=b"<html>Welcome!</html>"),
    "204": http("204 No Content"),
    "302": http("302 Found", "Location: https://portal.example/", LENGTH, body=BODY),
    "500": http("500 Oh", LENGTH, body=BODY),
    "continues": http("100 Continue") * 3,
    "chunked": http("200 OK", "Transfer-Encoding: chunked", body=b"40\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "no-length": http("200 OK", body=BODY),
    "two-lengths": http("200 OK", "Content-Length: 64", "Content-Length: 65", body=BODY),
    "negative": http("200 OK", "Content-Length: -64", body=BODY),
    "header": http("200 OK", "X: " + "a" * 10_000, LENGTH, body=BODY),
    "endless": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 10_000,
    "63": http("200 OK", "Content-Length: 63", body=BODY[1:]),
    "65": http("200 OK", "Content-Length: 65", body=BODY + b"A"),
    "63-of-64": http("200 OK", LENGTH, body=BODY[1:]),
    "65-of-64": http("200 OK", LENGTH, body=BODY + b"A"),
    "not-http": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "nothing": b"",
    "binary": bytes(range(256)) * 4,
}


async def test_only_64_bytes_with_a_length_and_200_are_an_answer(tmp_path: Path) -> None:
    """Everything else is refused or waited for in vain, and none of it ends the program."""
    home = Home(tmp_path / "centre")
    context = tls.development_context(home, "127.0.0.1")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                await reader.readexactly(128)
                name = head.split()[1].decode().strip("/")
                writer.write((GOOD | BAD)[name])
                await writer.drain()
        writer.close()

    async def close(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await reader.read()
        writer.close()

    def refuse(_sslobject: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> int:
        return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

    refusing = tls.development_context(home, "127.0.0.1")
    refusing.sni_callback = refuse
    servers = {
        "answers": await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context),
        "closes": await asyncio.start_server(close, "127.0.0.1", 0, ssl=context),
        "hangs-up": await asyncio.start_server(close, "127.0.0.1", 0),
        "silent": await asyncio.start_server(swallow, "127.0.0.1", 0),
        "alert": await asyncio.start_server(swallow, "127.0.0.1", 0, ssl=refusing),
    }
    ports = {name: server.sockets[0].getsockname()[1] for name, server in servers.items()}
    folder = tmp_path / "board"
    folder.mkdir()
    (folder / "https_answers.py").write_text((CARRIER.parent / "https_answers.py").read_text())
    ca = x509.load_pem_x509_certificate(tls.development(home).pem).public_bytes(Encoding.DER)
    exchanges = [[ports["answers"], f"/{name}", name == "good"] for name in GOOD | BAD]
    exchanges += [[port, f"/{name}", False] for name, port in ports.items() if name != "answers"]
    exchanges += [[1, "/nobody", False], [ports["answers"], "/good", False]]
    plan = {"ca": ca.hex(), "host": "127.0.0.1", "patience_ms": 1000, "exchanges": exchanges}
    (folder / "plan.py").write_text(f"PLAN = {plan!r}\nROOT = {str(Path(__file__).parents[2])!r}\n")
    lines: list[str] = []

    def seen(event: BoardEvent) -> None:
        if event.kind == "serial":
            lines.append(event.data["line"])

    air = Air(Medium(0, 0.0))
    board = Board(air, "button", script=folder / "https_answers.py", heap_kib=None, on_event=seen)
    await board.power_on()
    code = await board.wait()
    for server in servers.values():
        server.close()
    await board.power_off()
    await air.close()
    assert (code, lines[-1]) == (0, "done"), lines
    outcome = [line.split(" ", 1) for line in lines[:-1]]
    good = [line for line in outcome if "64 bytes" in line[1]]
    assert good == [
        ["/good", "64 bytes, 64 bytes"],
        ["/continue", "64 bytes"],
        ["/old", "64 bytes"],
        ["/good", "64 bytes"],
    ]
    assert {name for name, said in outcome if said == "nothing"} <= {
        *("/continues", "/63-of-64", "/nothing", "/binary", "/closes", "/silent", "/hangs-up"),
    }


async def test_the_owner_of_the_router_learns_no_more_than_that_it_spoke_to_the_centre(place: Place) -> None:
    """By datagram, and with the name of the centre by HTTPS: no maker's address, no name of the product."""
    place.host = "alarm.example.org"
    seen: list[Packet] = []
    place.uplink.on_packet = seen.append
    await place.run({"says": ["udp", "https"]})
    found = watch("at home", seen, {"BUTTON": MAC})
    assert found.leaks == ()
    assert found.frames == 1
    assert {one.what for one in seen} == {DATAGRAM, STREAM, LEASE}
    assert {one.station for one in seen} == {direct.station_mac(MAC, b"Home").hex(":")}
    assert any("TLS to alarm.example.org" in told for told in found.seen)
    frame = next(one.data for one in seen if one.what == DATAGRAM and one.is_outward)
    assert frame in place.asked_udp
