"""`amr-centre person-file`."""

import argparse
import os
from pathlib import Path

from centre.commands.exit_codes import BAD_INPUT, COULD_NOT
from centre.commands.parts import Commands, core_of, no
from centre.console import person_files
from centre.rules import access
from centre.rules.refusals import Refused
from centre.work import event_log, person_file


def add_person_file(commands: Commands) -> None:
    parser = commands.add(run)
    parser.add_argument("case_id", metavar="CASE")
    parser.add_argument("--to", type=Path, metavar="FILE", required=True, help="a ZIP that is not there yet")
    parser.add_argument("--language", default="en", choices=access.LANGUAGES, help="(default: %(default)s)")


def run(arguments: argparse.Namespace) -> int:
    core, case_id, path = core_of(arguments), arguments.case_id, arguments.to
    try:
        content = person_files.made(core, case_id, arguments.language)
    except Refused as refused:
        why = (
            "the file of case {} is damaged"
            if refused.reason == "case_broken"
            else "there is no case {} here"
        )
        return no(COULD_NOT, why.format(case_id))
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return no(BAD_INPUT, f"{path} exists already; nothing was written")
    except OSError as error:
        return no(COULD_NOT, f"cannot write {path}: {error.strerror}")
    with open(descriptor, "wb") as file:
        person_file.give(core, event_log.COMMAND, case_id)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    print(f"{path} is for the person alone: hand it over in person, for at home it may be found")
    return 0
