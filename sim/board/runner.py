"""Other people's programs on our air and at our boards: `amr-sim exec`, `amr-sim air`, `amr-sim board`."""

import argparse
import asyncio
import contextlib
import itertools
import os
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from sim.board.board import Board, BoardEvent, Sockets, erase_flash, shims_path
from sim.board.chip import Chip, Stop
from sim.radio.air import Air, Medium

_BATTERY_GPIO = 35  # where docs/boards/esp32.md wires it, through a divider of two equal resistors


async def execute(
    scripts: Sequence[Path],
    *,
    seed: int = 0,
    loss: float = 0.0,
    timeout_s: float | None = None,
    heap_kib: int | None = None,
) -> int:
    """Run the scripts, print what they print, and answer amr-sim's exit code."""
    air = Air(Medium(seed, loss))
    boards = [
        Board(air, name, script=script.resolve(), heap_kib=heap_kib, on_event=_print)
        for name, script in zip(_names(scripts), scripts, strict=True)
    ]
    try:
        async with asyncio.timeout(timeout_s):
            # In order, so that of two scripts the first is on the air first.
            for board in boards:
                await board.power_on()
            codes = await asyncio.gather(*(board.wait() for board in boards))
        return next((abs(code) for code in codes if code), 0)
    except TimeoutError:
        late = ", ".join(board.name for board in boards if board.is_on)
        print(f"amr-sim: not ended after {timeout_s:g} s: {late}", file=sys.stderr)
        return 1
    finally:
        for board in boards:
            await board.power_off()
        await air.close()


def _names(scripts: Sequence[Path]) -> list[str]:
    """Each script's stem, numbered where one occurs twice."""
    names: list[str] = []
    for script in scripts:
        tries = itertools.chain([script.stem], (f"{script.stem}-{n}" for n in itertools.count(2)))
        names.append(next(name for name in tries if name not in names))
    return names


def _print(event: BoardEvent) -> None:
    if event.kind == "serial":
        print(f"{event.board}: {event.data['line']}", flush=True)


async def keep_air(port: int, *, seed: int = 0, loss: float = 0.0) -> int:
    """Keep an air open until SIGINT or SIGTERM; raises OSError where the port is taken."""
    air = Air(Medium(seed, loss))
    numbers = itertools.count(1)

    def guest(board: str | None) -> Chip:
        return Chip(air, board or f"board-{next(numbers)}", _unheard, _unstoppable)

    sockets = Sockets(guest)
    await sockets.open(port)
    host, hci_port = await air.serve_hci()
    exported = (
        ("MICROPYPATH", _micropypath()),
        ("AMR_AIR", sockets.address),
        ("AMR_HCI", f"{host}:{hci_port}"),
    )
    done = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, done.set)
    try:
        for name, value in exported:
            print(f"export {name}={shlex.quote(value)}", flush=True)
        await done.wait()
    finally:
        await sockets.close()
        await air.close()
    return 0


class _Hand:
    """A person next to a board: what they do comes as lines on stdin."""

    def __init__(self, board: Board, level_of: Callable[[str], tuple[int, int]]) -> None:
        self._board = board
        self._level_of = level_of
        self._resets: set[asyncio.Task[None]] = set()

    def look(self) -> None:
        """There is something to read on stdin."""
        lines = os.read(0, 1024)
        if not lines:
            asyncio.get_running_loop().remove_reader(0)
        for line in lines.decode(errors="replace").split():
            try:
                self._do(line)
            except argparse.ArgumentTypeError as error:
                print(f"amr-sim: {error} (or r, u, p)", file=sys.stderr)

    def _do(self, line: str) -> None:
        if line == "r":
            self.reset()
        elif line == "u":
            self._board.unplug()
        elif line == "p":
            print(self._board.plug(), flush=True)
        else:
            self._board.set_pin(*self._level_of(line))

    def reset(self) -> None:
        self._resets.add(asyncio.get_running_loop().create_task(self._board.reset()))


async def keep_board(
    image: Path,
    levels: Sequence[tuple[int, int]],
    level_of: Callable[[str], tuple[int, int]],
    *,
    heap_kib: int | None = None,
    battery_mv: int = 0,
) -> int:
    """Keep a board with a serial port until SIGINT or SIGTERM; raises OSError where `image` is no use.

    `level_of` reads a pin and its level from a line on stdin."""
    if not (image / "flash.img").exists():
        erase_flash(image)
    air = Air(Medium(0, 0.0))
    board = Board(air, "board", image, heap_kib=heap_kib, on_event=_print_seen)
    board.set_adc(_BATTERY_GPIO, battery_mv * 1000 // 2)
    for gpio, level in levels:
        board.set_pin(gpio, level)
    print(board.plug(), flush=True)
    hand = _Hand(board, level_of)
    done = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, done.set)
    loop.add_signal_handler(signal.SIGUSR1, hand.reset)
    with contextlib.suppress(PermissionError):  # a file that nobody can wait for, as /dev/null
        loop.add_reader(0, hand.look)
    try:
        await board.power_on()
        await done.wait()
    finally:
        await board.power_off()
        board.unplug()
        await air.close()
    return 0


def _print_seen(event: BoardEvent) -> None:
    """What somebody next to the board would see or measure; the serial port is the client's."""
    if event.kind in ("power", "sleep", "wake", "reset", "pin", "crashed"):
        print(event.kind, *(f"{name}={value}" for name, value in event.data.items()), flush=True)


def _micropypath() -> str:
    """Ours first, then what the user has set, or the interpreter's own default."""
    theirs = os.environ.get("MICROPYPATH", ".frozen:~/.micropython/lib:/usr/lib/micropython").split(":")
    if ".frozen" not in theirs:
        theirs.insert(0, ".frozen")
    return ":".join([str(shims_path()), *(os.path.expanduser(path) for path in theirs)])


def _unheard(_kind: str, **_data: object) -> None:
    pass


def _unstoppable(_stop: Stop) -> None:
    """Not our process: a sleep or a reset is answered by its end (see Sockets), hunger by nothing."""
