"""`amr-centre lost`."""

import argparse
from pathlib import Path

from centre.commands.exit_codes import COULD_NOT
from centre.commands.parts import Commands, address, core_of, no
from centre.console import words
from centre.platform import tls
from centre.platform.home import Home
from centre.rules import times
from centre.work import lost
from centre.work.lost import Lost


def add_lost(commands: Commands) -> None:
    group = commands.group()
    parser = group.add(lose_phone, "phone", "cut a phone off, and issue the code of the next one")
    parser.add_argument("bridge_id", metavar="BRIDGE_ID", help="as `amr-centre bridges list` names it")
    parser.add_argument("--url", type=address, help="this centre as bridges reach it: prints the QR text too")
    parser.add_argument(
        "--ca", type=Path, metavar="FILE", help="certificate to pin, where serve runs with --cert"
    )
    parser = group.add(lose_button, "button", "revoke a button, and take it back")
    parser.add_argument("device_id", metavar="DEVICE_ID", help="as it is printed on it")


def lose_phone(arguments: argparse.Namespace) -> int:
    home = Home(arguments.home)
    sha256 = tls.pin(arguments.ca) if arguments.ca else tls.development(home).sha256
    told = lost.lose_any_phone(core_of(arguments), arguments.bridge_id)
    if not told:
        return no(COULD_NOT, f"there is no phone {arguments.bridge_id} here")
    for phone in told:
        _say(phone)
        if phone.code:
            print(f"enrolment code, good once and for 7 days: {phone.code}")
            if arguments.url:
                print(f"QR text: {arguments.url}/e#{phone.code}.{sha256}")
    return 0


def lose_button(arguments: argparse.Namespace) -> int:
    device_id = arguments.device_id.replace(" ", "").upper()
    button = lost.lose_any_button(core_of(arguments), device_id)
    if button is None:
        return no(COULD_NOT, f"there is no button {arguments.device_id} here")
    _say(button)
    return 0


def _say(thing: Lost) -> None:
    print(f"{words.say('en', f'lost.{thing.thing}_title')}: {thing.device_id}")
    for key in thing.sentences:
        print(f"  {words.say('en', f'lost.{key}').format(at=times.minute(thing.at_ms))}")
