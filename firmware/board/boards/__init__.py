"""The boards.

A family's file has its `Board` (clock, sleep, battery), `CAPABILITIES`, `pin_id`, `wake_on`, `battery_mv`.

Which family a board belongs to, its name and its default PINS stand in `this`, which is not a file here:
firmware/flash/build.py makes it for the one board that it compiles for.
"""


def module():  # type: ignore[no-untyped-def]
    """Return the module of the board that this runs on: `NAME`, `PINS`, and all that its family has."""
    from firmware.board.boards import this  # type: ignore[attr-defined]

    return this
