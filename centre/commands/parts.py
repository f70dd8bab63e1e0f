"""What the commands share: exit codes, sentences, how a command is added."""

import argparse
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from centre.platform.home import CannotServe, Home, default_path
from centre.rules import retention
from centre.rules.cases import LINE_CHARS_MAX
from centre.store import MIGRATIONS
from centre.work.core import Core, is_older, open_core

COULD_NOT, BAD_INPUT = 1, 2
PAUSE_S = 0.02

T = TypeVar("T")

Run = Callable[[argparse.Namespace], int]


class Commands:
    """A group of commands; each gets `--home` and a function that runs it."""

    def __init__(self, group: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
        self._group = group
        self._common = argparse.ArgumentParser(add_help=False)
        self._common.add_argument(
            "--home",
            type=Path,
            default=default_path(),
            metavar="DIR",
            help="where everything is kept: database, keys, certificates (default: %(default)s)",
        )

    def add(self, name: str, text: str, run: Run, *, begins: bool = False) -> argparse.ArgumentParser:
        """`begins`: with it a centre may begin. What asks of one takes no mistyped home for an empty one."""
        made = self._group.add_parser(name, parents=[self._common], help=text, description=text)
        made.set_defaults(run=run, begins=begins)
        return made

    def group(self, name: str, text: str) -> "Commands":
        made: Any = self._group.add_parser(name, help=text, description=text)
        return Commands(made.add_subparsers(required=True, metavar="COMMAND"))


def core_of(arguments: argparse.Namespace) -> Core:
    """Open the database beside a running centre or without one; it is closed when the command ends.

    Raises CannotServe.
    """
    core = open_beside(Home(arguments.home))
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
    """With a pause behind each: a running centre, whose alarms need the database too, never waits for all."""
    for turn in turns:
        yield turn
        time.sleep(PAUSE_S)


def no(code: int, sentence: str) -> int:
    """Say why not; returns `code`."""
    print(f"amr-centre: {sentence}", file=sys.stderr)
    return code


def day(at_ms: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at_ms / 1000))


def address(text: str) -> str:
    """For argparse: a centre's, as browsers and bridges reach it."""
    url = text.rstrip("/")
    try:
        parts = urlsplit(url)
        good = (
            (parts.scheme, parts.path, parts.query, parts.fragment, parts.username)
            == ("https", "", "", "", None)
            and bool(parts.hostname)
            and parts.port != 0  # reading it refuses what is no port
            and url.isascii()
            and url.isprintable()
            and " " not in url
        )
    except ValueError:
        good = False
    if not good:
        raise argparse.ArgumentTypeError(f"{text!r} is not https://HOST[:PORT]")
    return url


def line(text: str) -> str:
    """For argparse: what is shown on pages and terminals as it stands."""
    text = text.strip()
    if not 0 < len(text) <= LINE_CHARS_MAX or not text.isprintable():
        raise argparse.ArgumentTypeError(f"it is one line of 1 to {LINE_CHARS_MAX} characters")
    return text


def days(text: str) -> int:
    """For argparse: how many."""
    if not re.fullmatch(r"[0-9]{1,4}", text, re.ASCII) or not 1 <= int(text) <= retention.DAYS_MAX:
        raise argparse.ArgumentTypeError(f"it is 1 to {retention.DAYS_MAX} days")
    return int(text)
