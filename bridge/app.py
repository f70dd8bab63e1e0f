"""`amr-bridge`: enrol a button, run, status. The only place where the bridge's parts are constructed."""

import argparse
import asyncio
import getpass
import random
import re
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bridge import https, settings
from bridge.journal import Journal, read_presses
from bridge.location import fixed, gpx
from bridge.log import Log
from bridge.model import rfc3339
from bridge.ports import Location
from bridge.radio import BleakRadio, ClientBackend, ScannerBackend
from bridge.relay import Relay
from bridge.settings import Credentials, Home, SettingsError
from wire import codes, receipts

OK, FAILED, USAGE = 0, 1, 2


class BadInput(Exception):
    """What the user gave cannot be used; the text is a sentence for them."""


def console() -> None:
    sys.exit(main(sys.argv[1:]))


def main(
    argv: Sequence[str],
    *,
    scanner: ScannerBackend | None = None,
    client: ClientBackend | None = None,
) -> int:
    """Run one command; the exit code: 0 done, 1 could not be done, 2 cannot be understood.

    `scanner` and `client` are bleak backends, None the system's own radio.
    """
    try:
        arguments = _parser().parse_args(argv)
    except SystemExit as stop:
        return int(stop.code or 0)
    home = Home(arguments.home or settings.default_home())
    try:
        if arguments.command == "enrol":
            return asyncio.run(_enrol(home, arguments))
        if arguments.command == "status":
            return _status(home)
        return asyncio.run(_run(home, arguments, scanner, client))
    except BadInput as error:
        return _say(error, USAGE)
    except (SettingsError, https.CentreError) as error:
        return _say(error, FAILED)
    except KeyboardInterrupt:
        return FAILED


def _say(error: Exception, code: int) -> int:
    print(f"amr-bridge: {error}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    home = argparse.ArgumentParser(add_help=False)
    home.add_argument("--home", type=Path, help="where keys and journal are kept (default: %(default)s)")
    home.set_defaults(home=settings.default_home())
    parser = argparse.ArgumentParser(
        prog="amr-bridge",
        description="Hears the button, takes its press to the centre, brings the receipt back.",
        epilog="First: amr-bridge enrol 'THE LABEL'S QR TEXT'; then: amr-bridge run. "
        "Exit codes: 0 done, 1 could not, 2 wrong usage or input.",
    )
    commands = parser.add_subparsers(dest="command", required=True)

    enrol = commands.add_parser("enrol", parents=[home], help="take up a button, by its label")
    enrol.add_argument("label", metavar="QRTEXT", help="what the label's QR code says, in quotes")
    enrol.add_argument("--pin", action="store_true", help="ask for the PIN that calls off an alarm")
    enrol.add_argument("--duress-pin", action="store_true", help="ask for the PIN to give under duress")
    enrol.add_argument(
        "--pin-file", type=Path, help="the PIN on its first line, the duress PIN on its second"
    )

    run = commands.add_parser("run", parents=[home], help="listen, until stopped")
    where = run.add_mutually_exclusive_group()
    where.add_argument("--fix", metavar="LAT,LON,RADIUS_M", help="the position to send with an alarm")
    where.add_argument("--gpx", type=Path, metavar="FILE", help="walk this recorded track, from now on")
    run.add_argument("--json-log", action="store_true", help="one JSON object per line on stdout")

    commands.add_parser("status", parents=[home], help="which buttons, which presses")
    return parser


async def _enrol(home: Home, arguments: argparse.Namespace) -> int:
    try:
        label = https.parse_label(arguments.label)
    except ValueError as error:
        raise BadInput(error) from None
    pin, duress_pin = _pins(arguments)
    home.make()
    before = home.read()
    if before and before.centre != label.centre:
        raise BadInput(f"this home belongs to {before.centre}; use another --home for {label.centre}")
    async with https.Centre(label.centre, None) as stranger:
        ca_pem = await stranger.fetch_ca(label.pin)
    async with https.Centre(label.centre, ca_pem) as centre:
        answer = await centre.enrol(label.code, pin, duress_pin)
    try:
        devices = settings.parse_enrolment(answer)
    except ValueError:
        raise https.NotACentre(
            "not_a_centre", "the centre's answer to the enrolment cannot be read"
        ) from None
    after = Credentials(label.centre, ca_pem, before.devices if before else ()).with_devices(devices)
    home.write(after)
    names = ", ".join(device.device_id for device in devices)
    print(f"enrolled: {names}. A bridge that is running sees it after a restart.")
    return OK


def _pins(arguments: argparse.Namespace) -> tuple[str | None, str | None]:
    pin = duress_pin = None
    if arguments.pin_file:
        try:
            lines = [*arguments.pin_file.read_text(encoding="utf-8").split("\n"), "", ""]
        except (OSError, UnicodeDecodeError):
            raise BadInput(f"cannot read {arguments.pin_file}") from None
        pin, duress_pin = lines[0].strip() or None, lines[1].strip() or None
    if (arguments.pin or arguments.duress_pin) and not sys.stdin.isatty():
        raise BadInput("a PIN is asked for on a terminal; without one, use --pin-file")
    if arguments.pin:
        pin = getpass.getpass("PIN: ")
    if arguments.duress_pin:
        duress_pin = getpass.getpass("PIN under duress: ")
    for given in (pin, duress_pin):
        if given is not None and not re.fullmatch(r"[0-9]{4,8}", given, re.ASCII):
            raise BadInput("a PIN is 4 to 8 digits")
    if duress_pin is not None and (pin is None or pin == duress_pin):
        raise BadInput("a PIN under duress needs a PIN beside it, and a different one")
    return pin, duress_pin


async def _run(
    home: Home,
    arguments: argparse.Namespace,
    scanner: ScannerBackend | None,
    client: ClientBackend | None,
) -> int:
    credentials = home.read()
    if credentials is None:
        raise SettingsError(f"no button is enrolled in {home.path}; run: amr-bridge enrol 'QRTEXT'")
    try:
        location = _location(arguments)
    except ValueError as error:
        raise BadInput(error) from None
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    with home.lock():
        async with https.Centre(credentials.centre, credentials.ca_pem) as centre:
            relay = Relay(
                credentials.devices,
                journal=Journal(home.journal),
                centre=centre,
                radio=lambda on_advert: BleakRadio(on_advert, scanner, client),
                location=location,
                log=Log(arguments.json_log),
                random=random.SystemRandom().random,
            )
            await relay.run(stop)
    return OK


def _location(arguments: argparse.Namespace) -> Location | None:
    now_ms = int(time.time() * 1000)
    if arguments.fix is not None:
        return fixed.Fixed(*fixed.parse(arguments.fix), now_ms)
    return None if arguments.gpx is None else gpx.load(arguments.gpx, now_ms)


def _status(home: Home) -> int:
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
        for press in own[-5:]:
            stage = receipts.NAMES[press.stage] if press.stage else "not at the centre"
            print(
                f"         {rfc3339(press.heard_at_ms)} {codes.NAMES[press.event]} {press.counter}: {stage}"
            )
    return OK


if __name__ == "__main__":
    console()
