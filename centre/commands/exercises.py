"""`amr-centre exercise`: training with real buttons that nobody holds."""

import argparse
import re

from centre.commands.exit_codes import BAD_INPUT, COULD_NOT
from centre.commands.parts import Commands, core_of, day, no, zone
from centre.rules import registry
from centre.rules.exercises import MINUTES_MAX
from centre.rules.refusals import Refused
from centre.work import exercises


def add_exercise(commands: Commands) -> None:
    group = commands.group()
    parser = group.add(begin, "begin", "presses of a button are an exercise, until that ends by itself")
    parser.add_argument("device_id", metavar="DEVICE_ID")
    parser.add_argument("--zone", type=zone, required=True, help="the police zone that exercises")
    parser.add_argument(
        "--minutes",
        type=_minutes,
        default=60,
        help=f"how long, 1 to {MINUTES_MAX} (default: %(default)s)",
    )
    parser = group.add(end, "end", "end it now: the button's next press is a true alarm")
    parser.add_argument("device_id", metavar="DEVICE_ID")
    group.add(list_running, "list", "one line per button that is in exercise, or a check button")


def _minutes(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,3}", text, re.ASCII) or not 1 <= int(text) <= MINUTES_MAX:
        raise argparse.ArgumentTypeError(f"it is 1 to {MINUTES_MAX} minutes")
    return int(text)


def begin(arguments: argparse.Namespace) -> int:
    """Put a button in exercise."""
    if not registry.DEVICE_ID.fullmatch(arguments.device_id):
        return no(BAD_INPUT, "a device_id is 16 characters A-Z and 2-7")
    try:
        ends_at_ms = exercises.begin(
            core_of(arguments), arguments.device_id, arguments.zone, arguments.minutes
        )
    except Refused as refused:
        return no(COULD_NOT, f"{arguments.device_id}: {_WHY.get(refused.reason, refused.detail)}")
    print(f"{arguments.device_id} is in exercise until {day(ends_at_ms)}: its alarms say EXERCISE")
    return 0


_WHY = {
    "unknown_device": "there is no such button here",
    "button_revoked": "it is revoked",
}


def end(arguments: argparse.Namespace) -> int:
    """End an exercise early."""
    if not exercises.end(core_of(arguments), arguments.device_id):
        return no(COULD_NOT, f"{arguments.device_id} is not in exercise")
    print(f"{arguments.device_id}: its next press is a true alarm")
    return 0


def list_running(arguments: argparse.Namespace) -> int:
    """Print who exercises."""
    core = core_of(arguments)
    for one in exercises.running(core):
        print(f"{one.device_id}  zone {one.zone}  in exercise until {day(one.ends_at_ms)}")
    for button in exercises.check_buttons(core):
        print(f"{button.device_id}  zone {button.zone}  check button since {day(button.added_at_ms)}")
    return 0
