"""`amr-centre export`."""

import argparse
import json
import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from centre.commands.exit_codes import BAD_INPUT, COULD_NOT
from centre.commands.parts import Commands, core_of, no
from centre.console.pages import render
from centre.platform import signing
from centre.platform.drafts import draft
from centre.platform.home import Home
from centre.rules import access, times
from centre.rules.places import metres
from centre.work import event_log, export
from centre.work.core import Core


def add_export(commands: Commands) -> None:
    parser = commands.add(run)
    parser.add_argument("case_id", metavar="CASE", nargs="?", help="all incidents of this case")
    parser.add_argument("--incident", metavar="ID", help="this one alone")
    parser.add_argument(
        "--to", type=Path, metavar="DIR", required=True, help="a directory that is not there yet"
    )
    parser.add_argument("--language", default="en", choices=access.LANGUAGES, help="(default: %(default)s)")


def run(arguments: argparse.Namespace) -> int:
    if arguments.case_id is None and arguments.incident is None:
        return no(BAD_INPUT, "which one? name a CASE, or an --incident")
    if arguments.to.exists():
        return no(BAD_INPUT, f"{arguments.to} exists already; nothing was written")
    home = Home(arguments.home)
    core, key = core_of(arguments), signing.key_of(home)
    try:
        which = export.incidents_of(core, arguments.case_id, arguments.incident)
        with draft(home, arguments.to, is_folder=True) as folder:
            for incident_id in which:
                exported = export.read(core, incident_id, key)
                _note(core, incident_id)
                name = f"incident-{incident_id}"
                _write(folder / f"{name}.json", json.dumps(exported, indent=1, ensure_ascii=False))
                page = render(
                    "export.html", arguments.language, exported=exported, utc=utc, local=local, metres=metres
                )
                _write(folder / f"{name}.html", page)
            folder.rename(arguments.to)
    except export.NotHere as error:
        return no(COULD_NOT, str(error))
    except OSError as error:
        return no(COULD_NOT, f"cannot write {arguments.to}: {error.strerror}")
    finally:
        core.store.close()
    print(f"{len(which)} incident(s) in {arguments.to}: names and places are in clear in there")
    return 0


def _note(core: Core, incident_id: str) -> None:
    """Note the look; what a full disk does not take is told instead, for whoever needs it needs it now."""
    try:
        export.note(core, event_log.COMMAND, incident_id)
    except sqlite3.Error as error:
        no(COULD_NOT, f"that {incident_id} is exported could not be noted in the event log: {error}")


def _write(path: Path, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def utc(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def local(at_ms: int) -> str:
    """Return it by the centre's own zone, which is named."""
    return f"{times.second(at_ms)} {datetime.fromtimestamp(at_ms / 1000).astimezone():%Z}"
