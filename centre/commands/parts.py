"""What the commands share: exit codes, sentences, how a command is added and run."""

import argparse
import contextlib
import errno
import os
import re
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from centre.commands.exit_codes import BAD_INPUT, COULD_NOT
from centre.platform import time_zone, tls
from centre.platform.home import DATABASE, CannotServe, Home, default_path
from centre.rules import retention
from centre.rules import text as typed
from centre.rules.cases import LINE_CHARS_MAX
from centre.rules.refusals import Refused
from centre.settings import CONFIG, SettingsError, https_address, load
from centre.store import MIGRATIONS, takes_no_file
from centre.work.core import Core, is_older, open_core

PAUSE_S = 0.02

T = TypeVar("T")

Run = Callable[[argparse.Namespace], int]


class Commands:
    """Where a file of this folder adds the options of its commands, or a group its commands."""

    def __init__(
        self,
        parser: argparse.ArgumentParser,
        group: "argparse._SubParsersAction[argparse.ArgumentParser] | None" = None,
    ) -> None:
        self._parser, self._group = parser, group

    def add(
        self, run: Run, name: str = "", text: str = "", *, begins: bool = False
    ) -> argparse.ArgumentParser:
        """Return the parser of the command that is asked for, or of a new one of this group.

        `begins`: with it a centre may begin. What asks of one takes no mistyped home for an empty one.
        """
        parser = self._parser
        if self._group is not None:
            parser = self._group.add_parser(name, help=text, description=text)
        parser.add_argument(
            "--home",
            type=Path,
            default=default_path(),
            metavar="DIR",
            help="where everything is kept: database, keys, certificates (default: %(default)s)",
        )
        parser.set_defaults(run=run, begins=begins)
        return parser

    def group(self) -> "Commands":
        """Return where the commands of the group that is asked for are added."""
        return Commands(self._parser, self._parser.add_subparsers(required=True, metavar="COMMAND"))


def execute(arguments: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    try:
        with contextlib.suppress(FileNotFoundError):  # what is wrong in there, `serve` says
            time_zone.use(load(arguments.home / CONFIG).get("time_zone", ""))
    except SettingsError:
        pass
    try:
        if not arguments.begins and not (arguments.home / DATABASE).exists():
            return no(COULD_NOT, f"there is no centre in {arguments.home}")
    except OSError as error:  # a name that is too long, a folder that nobody may look into
        return no(BAD_INPUT, f"cannot use {arguments.home}: {error.strerror}")
    try:
        with contextlib.ExitStack() as arguments.at_end:
            return int(arguments.run(arguments))
    except (tls.BadCertificate, SettingsError) as error:
        return no(BAD_INPUT, str(error))
    except CannotServe as error:
        return no(COULD_NOT, str(error))
    except sqlite3.Error as error:
        return no(COULD_NOT, f"the database refuses: {error}")
    except OSError as error:
        code = BAD_INPUT if error.errno == errno.ENAMETOOLONG else COULD_NOT
        return no(code, f"cannot use {error.filename}: {error.strerror}" if error.filename else str(error))


def core_of(arguments: argparse.Namespace) -> Core:
    """Open the database beside a running centre or without one; it is closed when the command ends.

    Raises CannotServe.
    """
    home = Home(arguments.home)
    try:
        core = open_beside(home)
    except (sqlite3.Error, CannotServe) as error:
        if not takes_no_file(error if isinstance(error, sqlite3.Error) else error.__cause__):
            raise
        core = open_core(home, is_alone=True)  # a full disk: what only reads can do without it
    arguments.at_end.callback(core.store.close)
    return core


def open_beside(home: Home, migrations: Sequence[Path] = MIGRATIONS) -> Core:
    """Open the database, with a running centre beside or without one: both keep to its own locks.

    Raises CannotServe, also where the database is an older version's and a centre serves it, which would be
    left with a schema that it does not know.
    """
    if not is_older(home, migrations):
        return open_core(home, migrations=migrations)
    try:
        lock = home.lock()
    except CannotServe as error:
        raise CannotServe(
            f"{home.database} is an older version's, and in use: stop that centre first"
        ) from error
    try:
        return open_core(home, migrations=migrations)
    finally:
        os.close(lock)


def in_turns(turns: Iterable[T]) -> Iterator[T]:
    """Yield each, with a pause behind it: a running centre needs the database, and must not wait for all."""
    for turn in turns:
        yield turn
        time.sleep(PAUSE_S)


def no(code: int, sentence: str) -> int:
    """Say why not; return `code`."""
    print(f"amr-centre: {sentence}", file=sys.stderr)
    return code


def day(at_ms: int) -> str:
    """Return a time as lists show it."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at_ms / 1000))


def address(text: str) -> str:
    """Read a centre's address, as browsers and bridges reach it, for argparse."""
    try:
        return https_address(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not https://HOST[:PORT]") from None


def line(text: str) -> str:
    """Read what is shown on pages and terminals as it stands, for argparse."""
    return _checked(lambda: typed.check(typed.clean(text), "it", LINE_CHARS_MAX))


def zone(text: str) -> str:
    """Read a police zone's name, for argparse."""
    return _checked(lambda: typed.zone(text))


def _checked(read: Callable[[], str]) -> str:
    try:
        text = read()
    except Refused as refused:
        raise argparse.ArgumentTypeError(refused.detail) from None
    if not text:
        raise argparse.ArgumentTypeError("it must not be empty")
    return text


def days(text: str) -> int:
    """Read how many, for argparse."""
    if not re.fullmatch(r"[0-9]{1,4}", text, re.ASCII) or not 1 <= int(text) <= retention.DAYS_MAX:
        raise argparse.ArgumentTypeError(f"it is 1 to {retention.DAYS_MAX} days")
    return int(text)
