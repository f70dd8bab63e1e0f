"""`amr-bridge enrol`: take up a button by its label, and keep its keys in the home."""

import argparse
import asyncio
import contextlib
import getpass
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bridge.centre import client as https
from bridge.centre.errors import CentreError, NotACentre
from bridge.commands.errors import OK, BadInput, CommandError
from bridge.model import Device
from bridge.store import home as homes
from bridge.store import keyring_store
from bridge.store.home import Credentials, Home, HomeError

LABEL_CHARS_MAX = 2000
PIN_TRIES_MAX = 3
_PIN = re.compile(r"[0-9]{4,8}", re.ASCII)


def run(home: Home, arguments: argparse.Namespace) -> int:
    """Ask for what is missing, enrol, and say which buttons there are.

    Only the questions to the centre run in an event loop: inside one, a first Ctrl-C would not end a wait for
    the terminal or for the keyring.
    """
    try:
        label = https.parse_label(_label_text(arguments.label))
    except ValueError as error:
        raise BadInput(error) from None
    pins = _pins(arguments)
    draft = prepare(home, label, arguments.secrets)
    try:
        credentials, devices = asyncio.run(ask_centre(draft, label, *pins))
    except CentreError as error:
        raise CommandError(error) from None
    home.write(credentials)
    names = ", ".join(device.device_id for device in devices)
    print(f"enrolled: {names}. A bridge that is running sees it after a restart.")
    return OK


async def enrol(
    home: Home,
    label: https.Label,
    pin: str | None = None,
    duress_pin: str | None = None,
    *,
    secrets: str = "auto",
) -> Sequence[Device]:
    """Take up what the label is for, and keep it in `home`. Raises BadInput, HomeError, CentreError."""
    credentials, devices = await ask_centre(prepare(home, label, secrets), label, pin, duress_pin)
    home.write(credentials)
    return devices


def prepare(home: Home, label: https.Label, wish: str) -> Credentials:
    """Return what is enrolled in `home` by now, and where its secrets will be kept.

    All that can be refused here is refused before the label's code is used up. Raises BadInput, HomeError.
    """
    home.make()
    before = home.read()
    if before and before.centre != label.centre:
        raise BadInput(f"this home belongs to {before.centre}; use another --home for {label.centre}")
    place = _place_for_secrets(home, before, wish)
    return Credentials(label.centre, "", before.devices if before else (), secrets=place)


async def ask_centre(
    draft: Credentials, label: https.Label, pin: str | None, duress_pin: str | None
) -> tuple[Credentials, Sequence[Device]]:
    """Use up the label's code; return `draft` with what the centre answers, and the new devices alone.

    Raises CentreError.
    """
    async with https.Centre(label.centre, None) as stranger:
        ca_pem = await stranger.fetch_ca(label.pin)
    async with https.Centre(label.centre, ca_pem) as centre:
        answer = await centre.enrol(label.code, pin, duress_pin)
    try:
        enrolment = homes.parse_enrolment(answer)
    except ValueError:
        raise NotACentre("not_a_centre", "the centre's answer to the enrolment cannot be read") from None
    credentials = replace(draft, ca_pem=ca_pem, addresses=enrolment.addresses)
    return credentials.with_devices(enrolment.devices), enrolment.devices


def _place_for_secrets(home: Home, before: Credentials | None, wish: str) -> str:
    """Return FILE or KEYRING, which has been tried. Raises HomeError."""
    if wish == "auto" and before is None:
        place = homes.KEYRING if keyring_store.usable() else homes.FILE
        with contextlib.suppress(HomeError):
            home.rehearse(place)
            return place
        place = homes.FILE  # a keyring that is there and takes nothing
    elif wish == "auto":
        assert before is not None
        place = before.secrets
    else:
        place = wish
    home.rehearse(place)
    return place


def _label_text(text: str) -> str:
    """Return the label's text; `-` reads it from stdin, where it is in no list of processes or commands."""
    if text != "-":
        return text
    if sys.stdin.isatty():
        print("The label's text: ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline(LABEL_CHARS_MAX)


# -- PINs -----------------------------------------------------------------------------------------------


def _pins(arguments: argparse.Namespace) -> tuple[str | None, str | None]:
    """Return the PIN and the duress PIN, None where there is none. Raises BadInput."""
    pin = duress_pin = None
    if arguments.pin_file:
        pin, duress_pin = _pins_of_file(arguments.pin_file)
    if (arguments.pin or arguments.duress_pin) and not sys.stdin.isatty():
        raise BadInput("a PIN is asked for on a terminal; without one, use --pin-file")
    if arguments.pin:
        pin = _ask_twice("PIN that calls off an alarm")
    if arguments.duress_pin and pin is not None:
        duress_pin = _ask_twice("PIN to give under duress, a different one")
    elif arguments.duress_pin:
        raise BadInput("a PIN under duress needs a PIN beside it: add --pin")
    for each in (pin, duress_pin):
        if each is not None and not _PIN.fullmatch(each):
            raise BadInput("a PIN is 4 to 8 digits")
    if duress_pin is not None and (pin is None or pin == duress_pin):
        raise BadInput("a PIN under duress needs a PIN beside it, and a different one")
    return pin, duress_pin


def _pins_of_file(path: Path) -> tuple[str | None, str | None]:
    try:
        lines = [*path.read_text(encoding="utf-8").split("\n"), "", ""]
    except (OSError, UnicodeDecodeError):
        raise BadInput(f"cannot read {path}") from None
    return lines[0].strip() or None, lines[1].strip() or None


def _ask_twice(name: str) -> str:
    """Ask for a PIN until it was typed twice alike: a slip would be found only when it is needed."""
    for _ in range(PIN_TRIES_MAX):
        pin = getpass.getpass(f"{name}: ")
        if getpass.getpass("The same once more: ") == pin:
            return pin
        print("These two are not the same. Please type it again.", file=sys.stderr)
    raise BadInput(f"the PIN was not typed twice alike {PIN_TRIES_MAX} times; nothing has been enrolled")
