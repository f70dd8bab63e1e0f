"""`amr-centre buttons` and `amr-centre bridges`."""

import argparse
from pathlib import Path

from centre.commands.exit_codes import BAD_INPUT, COULD_NOT
from centre.commands.parts import Commands, address, core_of, day, in_turns, no
from centre.console import words
from centre.platform import tls
from centre.platform.home import Home
from centre.rules import registry
from centre.work import buttons, incident_sheet

AT_ONCE = 50  # buttons imported in one transaction


def add_buttons(commands: Commands) -> None:
    group = commands.group()
    parser = group.add(
        import_buttons, "import", "take the registry that provisioning wrote, all of it", begins=True
    )
    parser.add_argument("file", type=Path, metavar="FILE")
    group.add(list_buttons, "list", "one line per button")
    parser = group.add(enrol, "enrol", "issue a new enrolment code, for another bridge")
    parser.add_argument("device_id", metavar="DEVICE_ID")
    parser.add_argument("--url", type=address, help="this centre as bridges reach it: prints the QR text too")
    parser.add_argument(
        "--ca", type=Path, metavar="FILE", help="certificate to pin, where serve runs with --cert"
    )
    parser = group.add(
        revoke_button, "revoke", "mark a button as no longer in use; its presses wait for an administrator"
    )
    parser.add_argument("device_id", metavar="DEVICE_ID")


def add_bridges(commands: Commands) -> None:
    group = commands.group()
    group.add(list_bridges, "list", "one line per bridge")
    parser = group.add(revoke_bridge, "revoke", "refuse a bridge from now on (a lost or stolen phone)")
    parser.add_argument("bridge_id", metavar="BRIDGE_ID")


def import_buttons(arguments: argparse.Namespace) -> int:
    try:
        registered = registry.read(arguments.file.read_text("utf-8"))
    except OSError as error:
        return no(BAD_INPUT, f"cannot read {arguments.file}: {error.strerror}")
    except UnicodeDecodeError:
        return no(BAD_INPUT, f"{arguments.file} is not text")
    except registry.Malformed as error:
        return no(BAD_INPUT, f"{arguments.file}: {error}; nothing was imported")
    try:
        core = core_of(arguments)
        buttons.check_buttons(core, registered)
        new = known = 0
        for some in in_turns([registered[at : at + AT_ONCE] for at in range(0, len(registered), AT_ONCE)]):
            counted = buttons.import_buttons(core, some)
            new, known = new + counted[0], known + counted[1]
    except buttons.Conflict as error:
        return no(COULD_NOT, f"{error}; nothing was imported")
    print(f"{new} imported, {known} already here")
    if new:
        print(f"{arguments.file} holds the roots in clear: delete it when it is no longer needed")
    return 0


def list_buttons(arguments: argparse.Namespace) -> int:
    for button in buttons.all_buttons(core_of(arguments)):
        bridges = f"{button.bridges} bridge(s)" if button.bridges else "waits for a bridge"
        state = f"revoked {day(button.revoked_at_ms)}" if button.revoked_at_ms else bridges
        press = f"last press {day(button.last_press_at_ms)}" if button.last_press_at_ms else "no press yet"
        state += "  TRACKABLE by a revoked bridge" if button.trackable else ""
        line = f"{button.device_id}  {button.kind}  {button.board}  {state}  {press}  {_life(button)}"
        lacks = incident_sheet.lacks(button.capabilities)
        print(f"{line}  lacks: {', '.join(lacks)}" if lacks else line)
    return 0


def _life(button: buttons.ImportedButton) -> str:
    """Return what bridges last told of a button."""
    heard = f"last heard {day(button.heard_at_ms)}" if button.heard_at_ms else "not heard yet"
    charge = words.charge("en", button.battery_mv, bool(button.low)) if button.battery_mv else ""
    battery = f"  battery {charge}" if charge else ""
    low = "  BATTERY LOW" if button.low else ""
    faults = f"  faults: {', '.join(button.faults.split())}" if button.faults else ""
    return heard + battery + low + faults


def enrol(arguments: argparse.Namespace) -> int:
    if not registry.DEVICE_ID.fullmatch(arguments.device_id):
        return no(BAD_INPUT, "a device_id is 16 characters A-Z and 2-7")
    home = Home(arguments.home)
    sha256 = tls.pin(arguments.ca) if arguments.ca else tls.development(home).sha256
    code = buttons.issue_enrolment(core_of(arguments), arguments.device_id)
    if code is None:
        return no(COULD_NOT, f"there is no button {arguments.device_id} in use here")
    print(f"enrolment code, good once and for 7 days: {code}")
    if arguments.url:
        print(f"QR text: {arguments.url}/e#{code}.{sha256}")
    return 0


def revoke_button(arguments: argparse.Namespace) -> int:
    if not buttons.revoke_button(core_of(arguments), arguments.device_id):
        return no(COULD_NOT, f"there is no button {arguments.device_id} here")
    print(
        f"{arguments.device_id} is revoked: its alarms wait for an administrator, on /console/administration"
    )
    return 0


def list_bridges(arguments: argparse.Namespace) -> int:
    for bridge in buttons.all_bridges(core_of(arguments)):
        state = "in use"
        if bridge.revoked_at_ms:
            state = f"revoked {day(bridge.revoked_at_ms)}, its buttons are TRACKABLE by it"
        alive = f"last alive {day(bridge.alive_at_ms)}" if bridge.alive_at_ms else "no sign of life yet"
        battery = f"  battery {bridge.battery_percent} %" if bridge.battery_percent is not None else ""
        troubles = f"  troubles: {', '.join(bridge.troubles.split())}" if bridge.troubles else ""
        since = f"since {day(bridge.enrolled_at_ms)}"
        print(f"{bridge.bridge_id}  {state}  {since}  {bridge.device_ids}  {alive}{battery}{troubles}")
    return 0


def revoke_bridge(arguments: argparse.Namespace) -> int:
    device_ids = buttons.revoke_bridge(core_of(arguments), arguments.bridge_id)
    if device_ids is None:
        return no(COULD_NOT, f"there is no bridge {arguments.bridge_id} here")
    print(f"{arguments.bridge_id} is revoked: it can no longer send or read anything here")
    # It keeps K_code, which predicts every code to come (protocol, "Keys").
    print(f"whoever has that phone can still FOLLOW {' '.join(device_ids)} until provisioned again")
    return 0
