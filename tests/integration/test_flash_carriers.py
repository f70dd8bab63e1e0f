"""A button tries its own ways to the centre: `amr-button networks test`, `modem test` and the self-test."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from centre.platform import tls
from centre.platform.home import Home
from firmware.flash.build import flash_image
from firmware.flash.networks import pmk_of
from sim.board import wifi
from sim.board.board import Board
from sim.board.modem import Modem, Sim, Times
from sim.board.wifi import AccessPoint
from sim.realtime.cell import Cell
from sim.realtime.uplink import Uplink
from tests.integration.parts import IDENTITY, Box
from wire import direct, direct_centre
from wire.keys import InvalidMessage, Mac, derive

NUMBER, HOST = "203.0.113.5", "alarm.example.org"
SSID, PASSPHRASE = "Zuhause", "correct horse battery"
ADDRESS = ("--direct", "backup", "--address", "203.0.113.5:443")
NOW_MS = 1_800_000_000_000


class Centre(asyncio.DatagramProtocol):
    """Answers the box's buttons, under their spare names, and nobody else."""

    def __init__(self, box: Box) -> None:
        self._box = box
        self.asked: list[direct.Request] = []
        self.is_known = True

    def connection_made(self, transport: Any) -> None:
        """Keep it for the answers."""
        self._transport = transport

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self._transport.get_extra_info("sockname")
        return host, port

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Answer as the centre does: not a word to whom it does not know."""
        answer = self.answer(data)
        if answer:
            self._transport.sendto(answer, addr)

    def answer(self, data: bytes) -> bytes | None:
        """Return the answer to a frame; None: not a word."""
        for line in self._box.registry() if self.is_known else []:
            mac = Mac(derive(bytes.fromhex(line["root"]), "direct", 0))
            for n in range(direct.SPARE_FIRST, direct.SPARE_FIRST + direct.SPARE_NAMES):
                try:
                    self.asked.append(direct_centre.unseal_request(mac, data, n))
                except InvalidMessage:
                    continue
                answer = direct.Answer(bytes(17), NOW_MS, 0, 0, 1)
                return direct_centre.seal_answer(mac, data, answer)
        return None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer posts over TLS."""
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                answer = self.answer(await reader.readexactly(direct.REQUEST_BYTES)) or b""
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(answer)}\r\n\r\n"
                writer.write(head.encode() + answer)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        writer.close()


@dataclass
class Place:
    """Where a board is, and how its Wi-Fi leads to the centre."""

    board: Board
    uplink: Uplink
    points: list[AccessPoint]


@pytest.fixture
async def centre(box: Box) -> AsyncIterator[Centre]:
    loop = asyncio.get_running_loop()
    transport, made = await loop.create_datagram_endpoint(lambda: Centre(box), local_addr=("127.0.0.1", 0))
    yield made
    transport.close()


@pytest.fixture
async def modem(centre: Centre) -> AsyncIterator[Callable[[Board], Modem]]:
    """Wire a quick modem to a board."""
    cell = Cell(centre.address)

    def wire(board: Board) -> Modem:
        made = Modem("sim7080g", cell)
        made.times = Times(boot=0.4, register=0.3, activate=0.1, psm=4.0, fix=1.0)
        board.attach_modem(made)
        return made

    yield wire
    await cell.close()


@pytest.mark.slow
async def test_a_modem_says_each_step_to_the_centre_and_back(
    box: Box, firmware: dict[str, bytes], centre: Centre, modem: Callable[[Board], Modem]
) -> None:
    """What is sent is a sign of life under a spare name, which the centre answers and does not count."""
    board = await box.board(flash=flash_image(firmware))
    modem(board)
    await box.done("provision", *ADDRESS, "--modem", "sim7080g", board=board)
    before = {name: data for name, data in box.files(board).items() if name.endswith((".bin", ".json"))}
    said = await box.done("modem", "test", board=board)
    assert "dBm" in said
    assert "proved that it was the centre" in said
    assert "sim7080g: the button reaches the centre without a phone" in said
    assert {(one.kind, one.carrier, one.counter) for one in centre.asked} == {(direct.CHECKIN, direct.LTE, 0)}
    after = box.files(board)
    assert {name: after[name] for name in before} == before

    tested = await box.done("selftest", "--json", "report.json", board=board)
    (item,) = [
        one for one in json.loads((box.home / "report.json").read_text())["items"] if one["name"] == "lte"
    ]
    assert item["result"] == "pass", tested
    assert "the centre answered" in item["detail"]


@pytest.mark.slow
async def test_a_modem_that_does_not_get_through_is_a_failure(
    box: Box, firmware: dict[str, bytes], centre: Centre, modem: Callable[[Board], Modem]
) -> None:
    """A centre that does not know the button, a wrong PIN: a sentence each, and exit code 1."""
    board = await box.board(flash=flash_image(firmware))
    wired = modem(board)
    await box.done("provision", *ADDRESS, board=board)
    assert "no modem is set" in await box.refused("modem", "test", board=board)
    await box.done("direct", *ADDRESS[1:], "--modem", "sim7080g", "--pin", board=board, typed="1111\n")
    centre.is_known = False
    ran = await box.button("modem", "test", board=board)
    assert ran.code == 1
    assert "no answer of the centre's to a datagram" in ran.out
    (sentence,) = ran.err.splitlines()
    assert "know this button?" in sentence
    wired.sim = Sim(pin="2468")
    ran = await box.button("modem", "test", board=board)
    assert ran.code == 1
    assert "the SIM wants another PIN" in ran.out
    assert "1111" not in ran.out + ran.err


# -- Wi-Fi ---------------------------------------------------------------------------------


@pytest.fixture
async def place(box: Box, centre: Centre, firmware: dict[str, bytes]) -> AsyncIterator[Place]:
    """A board in a room with access points, and the way to a centre that also speaks HTTPS."""
    home = Home(box.home / "centre")
    context = tls.development_context(home, HOST)
    server = await asyncio.start_server(centre.serve, "127.0.0.1", 0, ssl=context)
    board = await box.board(flash=flash_image(firmware))
    uplink = Uplink(
        board.station,
        server.sockets[0].getsockname(),
        centre.address,
        (NUMBER, HOST),
        box.home / "centre",
        box.home,
    )
    await uplink.open()
    pmk = bytes.fromhex(pmk_of(SSID.encode(), PASSPHRASE))
    made = Place(board, uplink, [AccessPoint(SSID.encode(), bytes.fromhex("0211223344aa"), pmk)])
    board.station.around = lambda: made.points
    yield made
    await uplink.close()
    server.close()


@pytest.mark.slow
async def test_a_network_is_tried_by_datagram_and_by_https(box: Box, place: Place, centre: Centre) -> None:
    """Each step is a sentence with the network's name; what the button remembers is not changed."""
    ca = ("--host", HOST, "--ca", str(tls.development(Home(box.home / "centre")).path))
    await box.done("provision", *ADDRESS, *ca, board=place.board)
    assert "networks add" in await box.refused("networks", "test", board=place.board)
    await box.done("networks", "add", board=place.board, typed=f"{SSID}\n{PASSPHRASE}\n")
    before = box.files(place.board)
    said = await box.done("networks", "test", board=place.board)
    assert f"{SSID} is in reach, at -55 dBm" in said
    assert "answered a datagram" in said
    assert "answered HTTPS" in said
    assert f"{SSID}: the button reaches the centre without a phone" in said
    assert {one.kind for one in centre.asked} == {direct.CHECKIN}
    after = box.files(place.board)
    assert {name: after[name] for name in IDENTITY} == {name: before[name] for name in IDENTITY}

    await box.done("selftest", "--json", "report.json", board=place.board)
    report = (box.home / "report.json").read_text()
    (item,) = [one for one in json.loads(report)["items"] if one["name"] == "wifi"]
    assert item["result"] == "pass"
    assert "the centre answered" in item["detail"]
    assert SSID not in report


@pytest.mark.slow
async def test_each_network_that_fails_says_why(box: Box, place: Place) -> None:
    """A wrong passphrase, a sign-in page, nothing in reach; another network that works does not hide it."""
    await box.done("provision", *ADDRESS, board=place.board)
    for ssid in (SSID, "Other"):
        await box.done("networks", "add", board=place.board, typed=f"{ssid}\n{PASSPHRASE}\n")
    place.points.append(AccessPoint(b"Other", bytes.fromhex("0211223344bb"), bytes(32), rssi=-70))
    ran = await box.button("networks", "test", board=place.board)
    assert ran.code == 1
    assert "it refused: the key is wrong" in ran.out
    assert "by all ways of Other:" in ran.err
    place.points.pop()
    place.points[0].leads_to = wifi.CAPTIVE
    ran = await box.button("networks", "test", board=place.board)
    assert ran.code == 1
    assert "no answer of the centre's to a datagram" in ran.out
    place.points[0] = AccessPoint(b"Strangers", bytes.fromhex("0211223344cc"), bytes(32))
    assert "in reach here, of others 1" in await box.refused("networks", "test", board=place.board)
    assert PASSPHRASE not in ran.out + ran.err
