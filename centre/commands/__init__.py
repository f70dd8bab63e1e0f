"""The centre's command line: `amr-centre`."""

import argparse
import contextlib
import sqlite3
import sys
from collections.abc import Sequence

from centre.commands import backup, buttons, cases, export, serve, users, verify_log
from centre.commands.parts import BAD_INPUT, COULD_NOT, Commands, no
from centre.platform import tls
from centre.platform.home import DATABASE, CannotServe


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="amr-centre",
        description="The emergency centre: takes alarms from bridges, shows them to operators, proves to the "
        "button how far its press has come.",
        epilog="Start with: amr-centre serve. Exit codes: 0 done, 1 could not, 2 wrong usage or input.",
    )
    commands = Commands(made.add_subparsers(required=True, metavar="COMMAND"))
    for part in (serve, users, buttons, cases, verify_log, backup, export):
        part.add(commands)
    return made


def main(argv: Sequence[str]) -> int:
    """Run one command; its exit code: 0 done, 1 could not, 2 wrong usage or input."""
    arguments = parser().parse_args(argv)
    if not arguments.begins and not (arguments.home / DATABASE).exists():
        return no(COULD_NOT, f"there is no centre in {arguments.home}")
    try:
        with contextlib.ExitStack() as arguments.at_end:
            return int(arguments.run(arguments))
    except tls.BadCertificate as error:
        return no(BAD_INPUT, str(error))
    except CannotServe as error:
        return no(COULD_NOT, str(error))
    except sqlite3.Error as error:
        return no(COULD_NOT, f"the database refuses: {error}")
    except KeyboardInterrupt:
        return 130


def console() -> None:
    sys.exit(main(sys.argv[1:]))
