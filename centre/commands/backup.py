"""`amr-centre backup` and `amr-centre restore`."""

import argparse
import os
import sqlite3
from pathlib import Path

from centre.commands.exit_codes import BAD_INPUT, COULD_NOT
from centre.commands.parts import Commands, core_of, no
from centre.platform import sealing, signing
from centre.platform.home import Home
from centre.platform.sealing import Sealer
from centre.work import backup
from centre.work.core import SEALING_KEY

SHOWN_MAX = 20


def add_backup(commands: Commands) -> None:
    parser = commands.add(make_backup)
    parser.add_argument("file", type=Path, metavar="FILE", help="must not exist yet")


def add_restore(commands: Commands) -> None:
    parser = commands.add(restore, begins=True)
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument(
        "--even-if-changed", action="store_true", help="also where its log is not as it was written"
    )


def make_backup(arguments: argparse.Namespace) -> int:
    home, file = Home(arguments.home), arguments.file
    core, key = core_of(arguments), signing.key_of(home).public_key()
    try:
        findings = backup.backup(home, core, file, key)
    except FileExistsError:
        return no(BAD_INPUT, f"{file} exists already; nothing was written")
    except backup.NotWhole as error:
        return no(COULD_NOT, f"{file} was not written: {error}")
    except (OSError, sqlite3.Error) as error:
        return no(COULD_NOT, f"cannot write {file}: {_why(error)}")
    finally:
        core.store.close()
    if findings:
        return no(COULD_NOT, f"{file} is written, but its log is not as it was: run amr-centre verify-log")
    print(f"{file} is whole, and its log as it was written; the keys are not in it")
    return 0


def restore(arguments: argparse.Namespace) -> int:
    home = Home(arguments.home)
    lock = home.lock()
    try:
        return _restore(home, arguments.file, anyway=arguments.even_if_changed)
    finally:
        os.close(lock)


def _restore(home: Home, file: Path, *, anyway: bool) -> int:
    for name in (SEALING_KEY, signing.SIGNING_KEY):
        if not (home.path / name).exists():
            return no(COULD_NOT, f"{home.path / name} is missing: put it there first, from your copy")
    try:
        sealer = Sealer(home.secret(SEALING_KEY, sealing.new_key))
        key = signing.key_of(home).public_key()
        findings = backup.restore(home, file, sealer, key, anyway=anyway)
    except backup.NotWhole as error:
        return no(COULD_NOT, f"{file}: {error}; nothing was changed")
    except (OSError, ValueError, sqlite3.Error) as error:
        return no(COULD_NOT, f"cannot restore {file}: {_why(error)}")
    for finding in findings[:SHOWN_MAX]:
        print(finding)
    if findings and not anyway:
        return no(COULD_NOT, f"{file}: its log is not as it was written; nothing was changed")
    print(f"{file} is in place; the database before it is kept beside it, as {home.database.name}.before-*")
    return 0


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
