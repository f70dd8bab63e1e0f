"""The centre's command line: `amr-centre`. A command's own file is read when that command is asked for."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from centre.commands.exit_codes import INTERRUPTED
from centre.commands.printing import run_printing
from centre.platform.process import keep_memory_private

# Each command, its file in this folder, and what it does.
COMMANDS = {
    "serve": ("serve", "serve bridges and operators until SIGTERM or Ctrl-C"),
    "webhook": ("webhook", "the secrets that --webhook signs with"),
    "ca": ("serve", "print where the development CA is, making it if needed"),
    "console": ("users", "print an address that signs somebody in, once, within 10 minutes"),
    "users": ("users", "who works here"),
    "buttons": ("buttons", "hand out and take back buttons"),
    "dispatch": ("dispatch", "dispatch systems, which may act on alarms"),
    "exercise": ("exercises", "buttons whose presses are an exercise for some hours"),
    "check": ("check", "send a test alarm to the desks through the whole chain, and wait until it is seen"),
    "bridges": ("buttons", "the phones that are enrolled"),
    "lost": (
        "lost",
        "a phone or a button was lost or stolen: cut it off, and say what is left of it",
    ),
    "report": ("cases", "one day: presses, tests, outcomes, batteries, grants due"),
    "erase": ("cases", "erase a closed case: its file, photos and names, for ever"),
    "verify-log": ("verify_log", "check that the event log is as it was written"),
    "backup": ("backup", "copy the database, checked, also while the centre serves"),
    "restore": ("backup", "put a backup in the database's place; the old one is kept"),
    "person-file": ("person_file", "write what is held about a protected person, to be given to that person"),
    "export": ("export", "write incidents as pages to print and as JSON, with their proof"),
}


class CommandParser(argparse.ArgumentParser):
    """The parser of a command, which learns its options when it is used."""

    file = ""

    def fill(self) -> None:
        """Add the options, once."""
        if self.file:
            from importlib import import_module

            from centre.commands.parts import Commands

            module, self.file = import_module(f"centre.commands.{self.file}"), ""
            name = self.prog.rpartition(" ")[2].replace("-", "_")
            getattr(module, f"add_{name}")(Commands(self))

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse, after the options are known."""
        self.fill()
        return super().parse_known_args(args, namespace)


class _Version(argparse.Action):
    """`--version`, which looks it up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_arguments: Any) -> None:
        from importlib.metadata import version

        print(f"amr-centre {version('amr')}")
        parser.exit()


def parser() -> CommandParser:
    """Return the parser of the whole command line."""
    whole = CommandParser(
        prog="amr-centre",
        description="The emergency centre: takes alarms from bridges, shows them to operators, proves to the "
        "button how far its press has come.",
        epilog="Start with: amr-centre serve. Exit codes: 0 done, 1 could not, 2 wrong usage or input.",
    )
    whole.add_argument("--version", action=_Version, nargs=0, help="print the version, and end")
    group = whole.add_subparsers(required=True, metavar="COMMAND")
    for name, (file, text) in COMMANDS.items():
        command = group.add_parser(name, help=text, description=text)
        command.file = file
    return whole


def main(argv: Sequence[str]) -> int:
    """Run one command; its exit code: 0 done, 1 could not, 2 wrong usage or input."""
    try:
        arguments = parser().parse_args(argv)
        from centre.commands.parts import execute

        return execute(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED


def console() -> None:
    """Be the program `amr-centre`."""
    keep_memory_private()
    sys.exit(run_printing("amr-centre", lambda: main(sys.argv[1:])))
