"""A box of boards becomes working buttons: `amr-button` and the real mpremote at a simulated board's port."""

import csv
import fcntl
import itertools
import json
import re
import stat

import pytest
import serial

from firmware.board.config import PROMPT_MS, SETTINGS
from firmware.board.memory import sealed
from firmware.flash.build import flash_image
from firmware.flash.interpreter import KINDS
from sim.board.board import Board
from sim.board.chip import WDT_RESET
from tests.integration.parts import Box
from wire.codes import ALARM

CENTRE = "https://centre.example:8443"
FILL = """
for size in (4096, 100):
    try:
        for n in range(200):
            f = open("fill%d-%d" % (size, n), "wb")
            f.write(bytes(size))
            f.close()
    except OSError:
        pass
"""
COUNTER = 7  # of a press that is open
STRANDS = 6  # side by side, so that none takes too long
OPERATIONS_MIN, OPERATIONS_MAX = 20, 160  # what provisioning may take of writes and erases
DIRECT = ("--direct", "backup", "--address", "198.51.100.7:443")
OLD_WAY = {
    "direct.json": b'{"profile": "backup", "addresses": [["203.0.113.5", 443]]}',
    "networks.json": json.dumps([{"id": "01" * 8, "pmk": "ab" * 32}]).encode(),
}


async def test_an_erased_board_becomes_a_working_button(box: Box) -> None:
    """Flash, provision, self-test, import: then a hold is an alarm. The root is in two files alone."""
    board = await box.board()
    flashed = await box.done("flash", board=board)
    assert "read back and right" in flashed
    assert (await box.run("amr-centre", "ca", "--home", "centre")).code == 0
    label = ["--centre", CENTRE, "--ca", "centre/ca.pem"]
    made = await box.done("provision", *label, board=board)
    (line,) = box.registry()
    device_id, root = line["device_id"], line["root"]
    assert made.splitlines()[-1] == f"button {device_id} has restarted: it sleeps and answers"
    assert await box.says(board, "boot") == f"boot {device_id} False"
    assert flashed.splitlines()[-1].endswith("it is no button yet, so provision it")
    tested = await box.done("selftest", "--json", "report.json", board=board)
    assert tested.splitlines()[-1] == made.splitlines()[-1]
    report = json.loads((box.home / "report.json").read_text())
    assert (report["passed"], report["device_id"]) == (True, device_id)
    assert {item["name"] for item in report["items"]} >= {"pin", "motor", "radio", "flash", "rtc", "battery"}
    assert report["capabilities"]["deep_sleep"] is True
    assert (line["board"], line["capabilities"]) == ("esp32", report["capabilities"])
    (clock,) = [item for item in report["items"] if item["name"] == "clock"]
    assert re.match(r"[+-]\d\.\d\d % \(± \d\.\d\d %\) against this computer", clock["detail"]), clock

    assert (
        await box.run("amr-centre", "buttons", "import", str(box.registry_file), "--home", "centre")
    ).code == 0
    assert await box.says(board, "boot")
    board.set_pin(SETTINGS["button_gpio"][0], 0)
    await box.says(board, "advert 1 1")

    png = box.registry_file.with_name(f"{device_id}.png").read_bytes()
    assert png.startswith(b"\x89PNG")
    assert CENTRE in made
    assert root not in flashed + made + tested + "".join(box.lines[board.name])
    holders = [path for path in box.home.rglob("*") if path.is_file() and root.encode() in path.read_bytes()]
    assert {path.name for path in holders} == {"registry.jsonl", "flash.img"}
    for name in ("registry.jsonl", f"{device_id}.png"):
        assert stat.S_IMODE(box.registry_file.with_name(name).stat().st_mode) == 0o600


@pytest.mark.slow
async def test_an_update_keeps_the_button(box: Box, firmware: dict[str, bytes]) -> None:
    """Only what differs is written, our old modules go; identity, settings and others' files stay."""
    board = await box.board(flash=flash_image(firmware))
    await box.done("provision", "--set", "hold_ms=1500", board=board)
    await board.power_off()
    for name in ("wire/codes.mpy", "firmware/board/app.py", "notes.txt"):
        box.put(board, name, b"old")
    kept = {name: box.files(board)[name] for name in ("identity.json", "config.json", "notes.txt")}
    await board.power_on()
    assert "1 of them new" in await box.done("flash", board=board)
    after = box.files(board)
    assert {name: after[name] for name in kept} == kept
    assert json.loads(kept["config.json"]) == {"hold_ms": 1500}
    assert "firmware/board/app.py" not in after
    assert after["wire/codes.mpy"] != b"old"
    assert "0 of them new" in await box.done("flash", board=board)


@pytest.mark.slow
async def test_a_button_is_not_overwritten(box: Box, firmware: dict[str, bytes]) -> None:
    """Without --again it stays who it is; with it, it is another, with counters from the beginning."""
    assert "flash it first" in await box.refused("provision", board=await box.board())
    board = await box.board(flash=flash_image(firmware))
    await box.done("provision", board=board)
    before = box.files(board)
    sentence = await box.refused("provision", board=board)
    assert "--again" in sentence
    assert box.files(board)["identity.json"] == before["identity.json"]
    assert len(box.registry()) == 1
    await box.done("provision", "--again", board=board)
    first, second = (line["device_id"] for line in box.registry())
    assert json.loads(box.files(board)["identity.json"])["device_id"] == second != first


@pytest.mark.slow
async def test_a_board_of_another_kind_is_refused(box: Box) -> None:
    """Its firmware knows what it was made for; nothing is written, neither there nor in the registry."""
    board = await box.board()
    await box.done("flash", "--board", "esp32s3", board=board)
    sentence = await box.refused("provision", "--board", "esp32c3", board=board)
    assert "was flashed as an esp32s3" in sentence
    assert not box.registry()
    await box.done("provision", board=board)
    assert [line["board"] for line in box.registry()] == ["esp32s3"]
    await box.says(board, "boot")
    board.set_pin(KINDS["esp32s3"].pins[0], 0)  # its own pin, which no setting names
    await box.says(board, "advert 1")


@pytest.mark.parametrize("damaged", ["", "firmware/board/app.mpy", "firmware/board/boards/this.mpy"])
async def test_a_prompt_gives_the_board_back_to_the_button(
    box: Box, firmware: dict[str, bytes], damaged: str
) -> None:
    """Minutes after somebody looked, or after the firmware did not even start: then a hold is an alarm."""
    board = await in_need(box, firmware)
    await box.says(board, "boot")
    if damaged:
        whole = box.files(board)[damaged]
        await board.power_off()
        box.put(board, damaged, b"no bytecode")
        await board.power_on()
    looked = await box.run("mpremote", "connect", str(board.port), "fs", "ls")
    assert "identity.json" in looked.out
    if damaged:
        (box.home / "whole").write_bytes(whole)
        await box.run("mpremote", "connect", str(board.port), "resume", "fs", "cp", "whole", f":{damaged}")
    box.lines.clear()
    box.seen.clear()
    board.starve(PROMPT_MS - 60_000)
    assert "1" in (await box.run("mpremote", "connect", str(board.port), "resume", "exec", "print(1)")).out
    assert "reset" not in [event.kind for event in box.seen]
    board.starve(60_000)
    await box.says(board, "advert 1")
    assert [event.data["cause"] for event in box.seen if event.kind == "reset"] == [WDT_RESET]


@pytest.mark.slow
@pytest.mark.parametrize("gpio", [24, 5], ids=["is not there", "cannot wake"])
async def test_a_pin_that_cannot_be_the_buttons(box: Box, firmware: dict[str, bytes], gpio: int) -> None:
    """The self-test fails by name; whoever ignores that has a button that works on the board's own pin."""
    board = await box.board(flash=flash_image(firmware))
    await box.done("provision", "--set", f"button_gpio={gpio}", board=board)
    ran = await box.button("selftest", board=board)
    assert (ran.code, ran.out.splitlines()[-1]) == (1, "FAILED: pin")
    await box.says(board, "sleep")
    board.set_pin(SETTINGS["button_gpio"][0], 0)
    await box.says(board, "advert 1")


async def test_an_unplugged_cable(box: Box) -> None:
    """While our files go over: one sentence; plugged in again, the next run finishes."""
    board = await box.board()

    def unplug(line: str) -> None:
        if "5/" in line:
            board.unplug()

    ran = await box.button("flash", board=board, watch=unplug)
    assert ran.code == 1
    (sentence,) = ran.err.splitlines()
    assert "stopped answering" in sentence
    assert "main.py" not in box.files(board)
    board.plug()
    await board.reset()
    await box.done("flash", board=board)
    assert "main.py" in box.files(board)


@pytest.mark.slow
# Not nearer to the end: two runs differ by some operations of the file system (277 to 279 were seen).
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.97])
async def test_a_board_that_resets_half_way_is_flashed_by_a_second_run(box: Box, share: float) -> None:
    """The power fails in the middle of a write: one sentence, and the next run finishes."""
    pattern = await box.board()
    await pattern.cut_power_at_write(1_000_000)
    await box.done("flash", board=pattern)
    board = await box.board()
    await board.cut_power_at_write(int(share * pattern.flash_operations))
    assert "stopped answering" in await box.refused("flash", board=board)
    await board.power_on()
    await box.done("flash", board=board)
    assert box.files(board) == box.files(pattern)


async def half_provisioned(box: Box, board: Board, operation: int, *options: str) -> bool:
    """Provision; the power fails at this operation. It is one button or none then, and one that was in need
    still is; a re-run finishes. Returns whether it came to that operation."""
    await board.cut_power_at_write(operation)
    known = len(box.registry())
    ran = await box.button("provision", *options, board=board)
    was_cut = board.flash_operations >= operation
    await board.power_off()
    whole = box.is_whole(board)
    if ran.code:
        assert len(ran.err.splitlines()) == 1, ran.err
    else:
        assert whole
    if whole and len(box.registry()) == known:  # it is still who it was
        box.lines[board.name].clear()
        await board.power_on()
        assert (await box.says(board, "advert")).startswith(f"advert {ALARM} {COUNTER} ")
    if not (whole and len(box.registry()) > known) or "provision.new" in box.files(board):
        await board.power_on()
        await box.done("provision", *options, board=board)
    assert box.is_whole(board)
    files = box.files(board)
    assert not any(name.endswith(".new") for name in files)
    assert "networks.json" not in files  # sealed under the old key
    assert (b"198.51.100.7" in files.get("direct.json", b"")) == ("--direct" in options)
    assert len(box.registry()) == known + 1
    await board.power_off()
    return was_cut


async def in_need(box: Box, firmware: dict[str, bytes]) -> Board:
    """A button of the registry whose alarm nobody has received yet."""
    device_id, root = f"OLD{len(box.registry()):013}".replace("0", "A").replace("1", "B"), "11" * 32
    registry = box.registry_file
    registry.parent.mkdir(exist_ok=True)
    registry.touch(mode=0o600)
    with registry.open("a") as file:
        file.write(json.dumps({"device_id": device_id, "root": root}) + "\n")
    box.presses[device_id] = (COUNTER, ALARM, 0)
    files = {
        "identity.json": json.dumps({"device_id": device_id, "root": root, "epoch": 0}).encode(),
        "config.json": b"{}",
        "press.bin": sealed(">IBB", COUNTER, ALARM, 0),
        "alive.bin": sealed(">I", 32),
        **OLD_WAY,
    }
    return await box.board(flash=flash_image({**firmware, **files}))


@pytest.mark.slow
async def test_power_cut_while_provisioning(box: Box, firmware: dict[str, bytes]) -> None:
    """In the middle of it; the slow tests try every single operation."""
    board = await box.board(flash=flash_image(firmware))
    assert await half_provisioned(box, board, 12)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("first", range(STRANDS))
@pytest.mark.parametrize("again", [False, True], ids=["new", "again"])
async def test_power_cut_at_every_flash_operation_of_provisioning(
    box: Box, firmware: dict[str, bytes], again: bool, first: int
) -> None:
    """Before, while and after the registry gets its line; for a board that is none, and for a button in need
    that gets another identity: never the one's key with the other's counters, and no press is forgotten."""
    for operation in itertools.count(first + 1, STRANDS):
        board = await (in_need(box, firmware) if again else box.board(flash=flash_image(firmware)))
        if not await half_provisioned(box, board, operation, *(["--again", *DIRECT] if again else [])):
            break
        assert operation < OPERATIONS_MAX
    assert operation > OPERATIONS_MIN


async def test_a_full_file_system(box: Box, firmware: dict[str, bytes]) -> None:
    """One sentence; the board is what it was, and no button is in the registry."""
    board = await box.board(flash=flash_image(firmware))
    filled = await box.run("mpremote", "connect", str(board.port), "exec", FILL)
    assert filled.code == 0, filled
    before = box.files(board)
    assert "full" in await box.refused("provision", board=board)
    assert box.files(board) == before
    assert not box.registry()


async def test_ports_that_cannot_be_used(box: Box) -> None:
    """None there, no serial port, in use, nobody behind it: what to do, in a sentence."""
    board = await box.board()
    assert "Is the board plugged in?" in await box.refused("flash", "--port", "/dev/ttyNone")
    assert "cannot be opened" in await box.refused("selftest", "--port", str(box.home))
    with serial.Serial(str(board.port), exclusive=True):
        assert "in use by another program" in await box.refused("flash", board=board)
    await board.power_off()


async def test_a_registry_that_is_locked_elsewhere(box: Box, firmware: dict[str, bytes]) -> None:
    """The board stays untouched."""
    board = await box.board(flash=flash_image(firmware))
    before = box.files(board)
    registry = box.registry_file
    registry.parent.mkdir(exist_ok=True)
    registry.touch(mode=0o600)
    with registry.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert "in use by another program" in await box.refused("provision", board=board)
    assert box.files(board) == before
    registry.chmod(0o644)
    assert "chmod 600" in await box.refused("provision", board=board)
    assert box.files(board) == before


@pytest.mark.slow
async def test_a_fleet_goes_on_after_a_failure(box: Box) -> None:
    """A line per board and run, an exit code, and a second run that leaves alone what is ready."""
    board = await box.board()
    fleet = ["fleet", "--table", "table.csv", "--ports"]
    ran = await box.button(*fleet, "/dev/ttyNone", str(board.port))
    assert ran.code == 1, ran
    assert "1 of 2" in ran.out
    await board.reset()
    assert (await box.button(*fleet, str(board.port))).code == 0
    with (box.home / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["port"] for row in rows] == ["/dev/ttyNone", str(board.port), str(board.port)]
    assert [row["selftest"] for row in rows] == ["", "done", "done"]
    assert rows[0]["flash"] == "failed"
    assert "plugged in" in rows[0]["trouble"]
    (known,) = [line["device_id"] for line in box.registry()]
    assert [row["device_id"] for row in rows] == ["", known, known]
