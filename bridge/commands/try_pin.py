"""`amr-bridge try-pin`: whether a PIN holds, asked of the centre on a quiet day; nothing is called off."""

import argparse
import asyncio
import getpass
import sys

from bridge.centre.client import Centre
from bridge.centre.errors import CentreError
from bridge.commands.errors import OK, BadInput, CommandError
from bridge.commands.options import enrolled
from bridge.model import Device
from bridge.store.home import Credentials, Home

_REFUSED = {
    "wrong_pin": "that PIN is not right; five wrong ones lock it for a minute, and longer each time",
    "pin_locked": "too many wrong PINs: wait, and try again; an alarm is not touched by it",
    "no_pin": "no PIN is set for this button; a new label of the case manager's sets one",
    "alarm_open": "an alarm is open: only its page calls it off",
}


def run(home: Home, arguments: argparse.Namespace) -> int:
    """Ask for a PIN, and say whether it is one of the two; which of them it was is said nowhere."""
    credentials = enrolled(home)
    device = _chosen(credentials, arguments.button)
    if not sys.stdin.isatty():
        raise BadInput("a PIN is asked for on a terminal")
    pin = getpass.getpass("PIN or duress PIN: ")
    try:
        asyncio.run(_ask(credentials, device, pin))
    except CentreError as error:
        raise CommandError(_REFUSED.get(error.reason, error)) from None
    print("That PIN is right.")
    return OK


def _chosen(credentials: Credentials, button: str | None) -> Device:
    """Return the button that is meant; with one enrolled it need not be said. Raises BadInput."""
    chosen = [device for device in credentials.devices if button in (None, device.device_id)]
    if len(chosen) != 1:
        names = ", ".join(device.device_id for device in credentials.devices)
        raise BadInput(f"say which button, with --button; enrolled: {names}")
    return chosen[0]


async def _ask(credentials: Credentials, device: Device, pin: str) -> None:
    async with Centre((credentials.centre, *credentials.addresses), credentials.ca_pem) as centre:
        await centre.post_pin_trial(device.token, {"device_id": device.device_id, "pin": pin})
