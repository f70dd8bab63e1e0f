"""`amr-sim exec`, `amr-sim air`, `amr-sim board`: other people's programs on our air and at our boards."""

import argparse
import asyncio
import sys
from pathlib import Path

from sim.commands.arguments import seconds, share

FAILED, USAGE = 1, 2


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the three commands to the parser."""
    _add_exec(commands)
    _add_air(commands)
    _add_board(commands)


def _add_exec(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    execute = commands.add_parser(
        "exec",
        help="run MicroPython scripts, one board each, on one air",
        description="Run MicroPython scripts unchanged, one simulated ESP32 each, on one air of real "
        "Bluetooth packets. Ends when all of them have ended: with 0 if all ended well, else with the exit "
        "code of the first script, in the order given, that failed.",
    )
    execute.add_argument("scripts", nargs="+", type=Path, metavar="SCRIPT.py")
    execute.add_argument(
        "--timeout", type=seconds, metavar="S", help="give up after so many seconds (exit code 1)"
    )
    execute.add_argument("--heap-kib", type=int, metavar="N", help="each board's heap (default 2048)")
    _add_air_options(execute)
    execute.set_defaults(run=_exec)


def _add_air(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    air = commands.add_parser(
        "air",
        help="keep an air open for `micropython` processes started elsewhere",
        description="Keep an air open until Ctrl-C and print, as shell commands, the two environment "
        "variables with which any `micropython` process becomes a board on it, and AMR_HCI, where radios "
        "(as `amr-sim record --air`) join it. A board's stdin and stdout stay its own.",
    )
    air.add_argument("--port", type=int, default=0, help="TCP port on 127.0.0.1 (default: any free one)")
    _add_air_options(air)
    air.set_defaults(run=_air)


def _add_board(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    board = commands.add_parser(
        "board",
        help="keep one board with a serial port, for `mpremote` and `amr-button`",
        description="Keep one board switched on until Ctrl-C. The first line printed is its serial port, for "
        "`mpremote connect PORT` and `amr-button ... --port PORT`; then what can be seen of the board. "
        "Lines on stdin (r: reset, u: unplug, p: plug in, GPIO=LEVEL) are its buttons and wires; "
        "SIGUSR1 is its reset button, too.",
    )
    board.add_argument(
        "--image", type=Path, required=True, metavar="DIR", help="its flash; an erased one is made if needed"
    )
    board.add_argument(
        "--gpio", type=_level, action="append", default=[], metavar="N=LEVEL", help="drive pin N to 0 or 1"
    )
    board.add_argument("--heap-kib", type=int, default=96, metavar="N", help="its heap (default 96)")
    board.add_argument(
        "--battery-mv",
        type=int,
        default=3900,
        metavar="N",
        help="its battery; GPIO 35 sees half (default 3900)",
    )
    board.set_defaults(run=_board)


def _add_air_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=0, help="the air's chances (default 0)")
    parser.add_argument("--loss", type=share, default=0.0, help="share of adverts lost, 0 to 1")


def _level(text: str) -> tuple[int, int]:
    from sim.board.chip import GPIOS

    gpio, _, level = text.partition("=")
    if not gpio.isdecimal() or int(gpio) not in GPIOS or level not in ("0", "1"):
        raise argparse.ArgumentTypeError(f"a pin of an ESP32 and its level are expected, as 0=1, not {text}")
    return int(gpio), int(level)


def _exec(arguments: argparse.Namespace) -> int:
    for script in arguments.scripts:
        if not script.is_file():
            print(f"amr-sim: there is no script {script}", file=sys.stderr)
            return USAGE
    from sim.board.runner import execute

    return asyncio.run(
        execute(
            arguments.scripts,
            seed=arguments.seed,
            loss=arguments.loss,
            timeout_s=arguments.timeout,
            heap_kib=arguments.heap_kib,
        )
    )


def _air(arguments: argparse.Namespace) -> int:
    from sim.board.runner import keep_air

    try:
        return asyncio.run(keep_air(arguments.port, seed=arguments.seed, loss=arguments.loss))
    except OSError as error:
        print(f"amr-sim: port {arguments.port} cannot be opened: {error.strerror}", file=sys.stderr)
        return FAILED


def _board(arguments: argparse.Namespace) -> int:
    from sim.board.runner import keep_board

    try:
        return asyncio.run(
            keep_board(
                arguments.image,
                arguments.gpio,
                _level,
                heap_kib=arguments.heap_kib,
                battery_mv=arguments.battery_mv,
            )
        )
    except OSError as error:
        print(f"amr-sim: {arguments.image}: {error.strerror or error}", file=sys.stderr)
        return FAILED
