"""`amr-centre export`."""

import argparse
import json
import os
import secrets
import shutil
from datetime import UTC, datetime
from pathlib import Path

from centre.commands.exit_codes import BAD_INPUT, COULD_NOT
from centre.commands.parts import Commands, core_of, no
from centre.console.pages import render
from centre.platform import signing
from centre.platform.home import Home
from centre.rules import access, times
from centre.rules.places import metres
from centre.work import event_log, export


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
    draft = arguments.to.with_name(f".{arguments.to.name}.{secrets.token_hex(4)}")
    try:
        draft.mkdir(mode=0o700)
        which = export.incidents_of(core, arguments.case_id, arguments.incident)
        for incident_id in which:
            exported = export.export(core, event_log.COMMAND, incident_id, key)
            name = f"incident-{incident_id}"
            _write(draft / f"{name}.json", json.dumps(exported, indent=1, ensure_ascii=False))
            page = render(
                "export.html", arguments.language, exported=exported, utc=utc, local=local, metres=metres
            )
            _write(draft / f"{name}.html", page)
        draft.rename(arguments.to)
    except export.NotHere as error:
        return no(COULD_NOT, str(error))
    except OSError as error:
        return no(COULD_NOT, f"cannot write {arguments.to}: {error.strerror}")
    finally:
        core.store.close()
        shutil.rmtree(draft, ignore_errors=True)
    print(f"{len(which)} incident(s) in {arguments.to}: names and places are in clear in there")
    return 0


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
