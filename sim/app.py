"""amr-sim: the simulated world on the command line.

Each command is a file in `sim/commands`, which adds itself here and imports what it needs when it is chosen:
`amr-sim --help` needs no Bumble.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

from firmware.flash.printing import run_printing
from sim.commands import city, demo, demo_centre, exec_air_board, explore, recording, run, stalk

INTERRUPTED = 130


class _Version(argparse.Action):
    """`--version`, which looks it up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib.metadata import version

        print(f"amr-sim {version('amr')}")
        parser.exit()


def parser() -> argparse.ArgumentParser:
    """Return the parser with every command."""
    top = argparse.ArgumentParser(
        prog="amr-sim", description="Boards, phones and the air between them, on this machine."
    )
    top.add_argument("--version", action=_Version, nargs=0, help="print the version, and end")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in (demo, demo_centre, run, recording, stalk, exec_air_board, explore, city):
        command.add_to(commands)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that `argv` names, and return its exit code."""
    arguments = parser().parse_args(argv)
    command: Callable[[argparse.Namespace], int] = arguments.run
    try:
        return command(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED


def console() -> None:
    """Run `amr-sim` as a program."""
    sys.exit(run_printing("amr-sim", main))


if __name__ == "__main__":
    console()
