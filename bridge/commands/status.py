"""`amr-bridge status`: which buttons there are, and how far their presses have come."""

import argparse

from bridge.commands.errors import OK
from bridge.model import rfc3339
from bridge.store.home import Home
from bridge.store.journal import read_presses
from wire import codes, receipts

PRESSES_SHOWN_MAX = 5


def run(home: Home, arguments: argparse.Namespace) -> int:  # noqa: ARG001 -- the shape of a command
    """Print the centre, whether a bridge runs, and each button's last presses."""
    credentials = home.read()
    if credentials is None:
        print(f"no button is enrolled in {home.path}")
        return OK
    print(f"centre   {credentials.centre}")
    print(f"bridge   {'running' if home.is_locked() else 'not running'}")
    presses = read_presses(home.journal)
    for device in credentials.devices:
        own = [press for press in presses if press.device_id == device.device_id]
        unsent = sum(press.incident is None for press in own)
        print(f"button   {device.device_id}: {len(own)} press(es), {unsent} not yet at the centre")
        for press in own[-PRESSES_SHOWN_MAX:]:
            stage = receipts.NAMES[press.stage] if press.stage else "not at the centre"
            print(
                f"         {rfc3339(press.heard_at_ms)} {codes.NAMES[press.event]} {press.counter}: {stage}"
            )
    return OK
