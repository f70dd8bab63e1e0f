"""A button tries its own ways to the centre: `amr-button modem test` and the self-test."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from firmware.flash.build import MAIN, compile_firmware, flash_image
from sim.board.board import Board
from sim.board.modem import Modem, Sim, Times
from sim.realtime.cell import Cell
from tests.integration.parts import Box
from wire import direct, direct_centre
from wire.keys import InvalidMessage, Mac, derive

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
        for line in self._box.registry() if self.is_known else []:
            mac = Mac(derive(bytes.fromhex(line["root"]), "direct", 0))
            for n in range(direct.SPARE_FIRST, direct.SPARE_FIRST + direct.SPARE_NAMES):
                try:
                    self.asked.append(direct_centre.unseal_request(mac, data, n))
                except InvalidMessage:
                    continue
                answer = direct.Answer(bytes(17), NOW_MS, 0, 0, 1)
                self._transport.sendto(direct_centre.seal_answer(mac, data, answer), addr)


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    made = Box(tmp_path)
    yield made
    await asyncio.gather(*(board.power_off() for board in made.boards))
    await made.air.close()


@pytest.fixture
async def centre(box: Box) -> AsyncIterator[Centre]:
    loop = asyncio.get_running_loop()
    transport, made = await loop.create_datagram_endpoint(lambda: Centre(box), local_addr=("127.0.0.1", 0))
    yield made
    transport.close()


@pytest.fixture(scope="module")
def firmware(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What flashing leaves on a board."""
    return {**compile_firmware(tmp_path_factory.mktemp("build")), "main.py": MAIN}


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
