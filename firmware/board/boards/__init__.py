"""The boards. Each file has a `Board` (pins, clock, sleep, battery) and what that board can do."""

import sys


def module():  # type: ignore[no-untyped-def]
    """The module of the board that this runs on."""
    if sys.platform == "zephyr":
        from firmware.board.boards import nrf52840

        return nrf52840
    from firmware.board.boards import esp32

    return esp32
