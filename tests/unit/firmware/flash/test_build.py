"""What the compiler makes of our sources: integers are folded, and the names of private ones are gone."""

from pathlib import Path

from firmware.board import gesture, press
from firmware.flash.build import compile_firmware, sizes
from firmware.flash.interpreter import KINDS


def test_a_private_constant_takes_no_memory_on_the_board(tmp_path: Path) -> None:
    """Neither its name nor a place in a module's table; a public one stays, for other modules ask for it."""
    files = compile_firmware(tmp_path)
    private = [name for name, value in vars(press).items() if name.startswith("_") and type(value) is int]
    assert "_CONTACT_EVERY_MS" in private
    for name in private:
        assert name.encode() not in files["firmware/board/press.mpy"]
    assert b"QUIET_PHASE" in files["firmware/board/press.mpy"]
    assert gesture.SETTLE_MS == 20
    assert b"SETTLE_MS" in files["firmware/board/gesture.mpy"]


def test_the_firmware_of_every_board_fits(tmp_path: Path) -> None:
    """24 KiB at most without the direct path; nothing is left of the sources."""
    for board in KINDS:
        loaded = sizes(compile_firmware(tmp_path / board, board))
        assert loaded["without the direct path"] <= 24 * 1024
        assert loaded["with Wi-Fi"] <= 43 * 1024
        assert loaded["with a modem"] <= 47 * 1024
        assert loaded["with both"] <= 52 * 1024
        assert not list((tmp_path / board).rglob("*.py"))
