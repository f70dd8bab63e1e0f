"""An nRF52840 with MicroPython's Zephyr port: other pins, another root folder, and much that is not there."""

import json

import pytest

from firmware.flash.interpreter import KINDS
from sim.board.board import Board
from tests.integration.parts import Box

BUTTON, MOTOR = KINDS["nrf52840dk"].pins
MOTOR_ON_PORT_1 = 32 + 4  # P1.04


async def made(box: Box, *options: str) -> Board:
    """A button out of an erased nRF52840-DK."""
    board = await box.board(zephyr=True)
    await box.done("flash", "--board", "nrf52840dk", board=board)
    await box.done("provision", *options, board=board)
    await box.says(board, "boot")
    return board


async def test_it_becomes_a_button_and_says_what_it_cannot_do(box: Box) -> None:
    """Its files are on /flash; what it lacks is skipped by the self-test, and goes into the registry."""
    board = await made(box, "--set", f"motor_gpio={MOTOR_ON_PORT_1}")
    tested = await box.done("selftest", "--json", "report.json", board=board)
    report = json.loads((box.home / "report.json").read_text())
    results = {item["name"]: item["result"] for item in report["items"]}
    assert report["passed"], tested
    assert {name for name, result in results.items() if result == "skip"} == {"rtc", "battery"}
    assert f"no {', no '.join(['battery', 'deep sleep', 'fresh address', 'rtc memory'])}" in tested
    (line,) = box.registry()
    assert (line["board"], line["capabilities"]) == ("nrf52840dk", report["capabilities"])
    assert {name for name, has in line["capabilities"].items() if has} == {"codes", "receipts"}
    assert MOTOR_ON_PORT_1 in {event.data["gpio"] for event in box.seen if event.kind == "pin"}


async def test_a_hold_is_an_alarm_and_outlives_power(box: Box) -> None:
    """It is felt and goes on the air; there is no memory but flash, so it does again after power loss."""
    board = await made(box)
    await box.says(board, "sleep")
    board.set_pin(BUTTON, 0)
    assert (await box.says(board, "advert 1")).startswith("advert 1 1 ")
    assert MOTOR in {event.data["gpio"] for event in box.seen if event.kind == "pin"}
    board.set_pin(BUTTON, 1)
    await board.power_off()
    assert box.files(board)["press.bin"][:5] == bytes((0, 0, 0, 1, 1))
    box.lines[board.name].clear()
    await board.power_on()
    assert (await box.says(board, "advert")).startswith("advert 1 1 ")  # the same press


@pytest.mark.slow
async def test_its_address_stays(box: Box) -> None:
    """As that port has it: what the guide says that this board cannot do, it does not do here either."""
    board = await made(box)
    await box.says(board, "advert 5")  # the first check-in
    board.set_pin(BUTTON, 0)
    await box.says(board, "advert 1")
    adverts = [event.data for event in box.seen if event.kind == "advert" and event.data["interval_us"]]
    assert len({advert["data"] for advert in adverts}) > 1
    assert len({advert["address"] for advert in adverts}) == 1
