"""Other people's MicroPython programs on our air: `amr-sim exec` and `amr-sim air`."""

import asyncio
import itertools
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from sim.air import Air, Medium
from sim.board import Board, BoardEvent, Sockets, shims_path
from sim.chip import Chip, Stop


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
    done = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, done.set)
    try:
        for name, value in (("MICROPYPATH", _micropypath()), ("AMR_AIR", sockets.address)):
            print(f"export {name}={shlex.quote(value)}", flush=True)
        await done.wait()
    finally:
        await sockets.close()
        await air.close()
    return 0


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
