"""`amr-bridge`: enrol a button, run, and what its owner asks of it. Here alone are the parts constructed."""

import argparse
import asyncio
import contextlib
import getpass
import random
import re
import resource
import signal
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bridge import settings as configuration
from bridge.centre import client as https
from bridge.centre.errors import CentreError, NotACentre
from bridge.clock import now_ms
from bridge.location import fixed
from bridge.model import Device, Fix, Trouble, rfc3339
from bridge.page import words
from bridge.ports import Source, SourceOff
from bridge.radio.bleak_radio import BleakRadio, ClientBackend, ScannerBackend
from bridge.reporting.desktop import DBusDesktop
from bridge.reporting.log import Log, Sink, mistakes
from bridge.settings import Config, ConfigError
from bridge.store import home as settings
from bridge.store.home import Credentials, Home, SettingsError
from bridge.store.journal import Journal, read_presses
from bridge.tasks.relay import Relay
from wire import codes, receipts

OK, FAILED, USAGE = 0, 1, 2
LABEL_CHARS_MAX = 2000


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
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold every key
    try:
        return _command(home, arguments, scanner, client)
    except (BadInput, ConfigError) as error:
        return _say(error, USAGE)
    except (SettingsError, CentreError) as error:
        return _say(error, FAILED)
    except KeyboardInterrupt:
        return FAILED
    except ModuleNotFoundError:
        raise  # of an extra that is not installed; `__main__` says so
    except Exception as error:
        # The places only: an exception's text may hold what it stumbled over.
        frames = traceback.extract_tb(error.__traceback__)[-5:]
        places = ", ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames)
        return _say(f"a mistake of this program's own: {type(error).__name__} at {places}", FAILED)


def _command(
    home: Home, arguments: argparse.Namespace, scanner: ScannerBackend | None, client: ClientBackend | None
) -> int:
    commands: dict[str, Callable[[], int]] = {
        "enrol": lambda: asyncio.run(_enrol(home, arguments)),
        "run": lambda: asyncio.run(_run(home, arguments, scanner, client)),
        "status": lambda: _status(home),
        "config": lambda: _show_config(home, arguments),
        "page": lambda: _page(home, arguments),
        "doctor": lambda: asyncio.run(_doctor(home, arguments, scanner, client)),
        "service": lambda: _service(home, arguments),
    }
    if arguments.command == "run":  # which tells of mistakes in its log
        return commands["run"]()
    with mistakes(lambda _, **fields: _say(fields["text"], FAILED)):
        return commands[arguments.command]()


def _say(error: object, code: int) -> int:
    print(f"amr-bridge: {error}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    home = argparse.ArgumentParser(add_help=False)
    home.add_argument("--home", type=Path, help="where keys and journal are kept (default: %(default)s)")
    home.set_defaults(home=settings.default_home())
    changed = argparse.ArgumentParser(add_help=False, parents=[home])
    changed.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a setting, for once: see config"
    )
    parser = argparse.ArgumentParser(
        prog="amr-bridge",
        description="Hears the button, takes its press to the centre, brings the receipt back.",
        epilog="First: amr-bridge enrol 'THE LABEL'S QR TEXT'; then: amr-bridge doctor; amr-bridge run. "
        "Exit codes: 0 done, 1 could not, 2 wrong usage or input.",
    )
    commands = parser.add_subparsers(dest="command", required=True)

    enrol = commands.add_parser("enrol", parents=[home], help="take up a button, by its label")
    enrol.add_argument(
        "label", metavar="QRTEXT", help="what the label's QR code says, in quotes; - reads it from stdin"
    )
    enrol.add_argument("--pin", action="store_true", help="ask for the PIN that calls off an alarm")
    enrol.add_argument("--duress-pin", action="store_true", help="ask for the PIN to give under duress")
    enrol.add_argument(
        "--pin-file", type=Path, help="the PIN on its first line, the duress PIN on its second"
    )
    enrol.add_argument(
        "--secrets",
        choices=("auto", settings.KEYRING, settings.FILE),
        default="auto",
        help="where to keep the keys: the system's keyring, or a file (default: as before, else the keyring"
        " if there is one)",
    )

    run = commands.add_parser("run", parents=[changed], help="listen, until stopped")
    where = run.add_mutually_exclusive_group()
    where.add_argument("--fix", metavar="LAT,LON,RADIUS_M", help="the position to send with an alarm")
    where.add_argument("--gpx", type=Path, metavar="FILE", help="walk this recorded track, from now on")
    run.add_argument("--json-log", action="store_true", help="one JSON object per line on stdout")

    commands.add_parser("status", parents=[home], help="which buttons, which presses")
    doctor = commands.add_parser("doctor", parents=[changed], help="is all here that an alarm needs?")
    doctor.add_argument("--json", action="store_true", help="the findings as JSON")
    commands.add_parser("page", parents=[changed], help="the address of the wearer's page, with its secret")
    commands.add_parser("config", parents=[changed], help="every setting, its value and its meaning, as TOML")
    service = commands.add_parser("service", parents=[home], help="run from login on, by systemd")
    service.add_argument("action", choices=("install", "uninstall", "status"))
    service.add_argument("--now", action="store_true", help="also start (or stop) it, instead of saying how")
    return parser


# -- enrolling ----------------------------------------------------------------------------------------


async def _enrol(home: Home, arguments: argparse.Namespace) -> int:
    try:
        label = https.parse_label(_label_text(arguments.label))
    except ValueError as error:
        raise BadInput(error) from None
    devices = await enrol(home, label, *_pins(arguments), secrets=arguments.secrets)
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
    """Take up what the label is for, and keep it in `home`. Raises BadInput, SettingsError, CentreError."""
    home.make()
    before = home.read()
    if before and before.centre != label.centre:
        raise BadInput(f"this home belongs to {before.centre}; use another --home for {label.centre}")
    kept = _place_for_secrets(home, before, secrets)
    async with https.Centre(label.centre, None) as stranger:
        ca_pem = await stranger.fetch_ca(label.pin)
    async with https.Centre(label.centre, ca_pem) as centre:
        answer = await centre.enrol(label.code, pin, duress_pin)
    try:
        enrolment = settings.parse_enrolment(answer)
    except ValueError:
        raise NotACentre("not_a_centre", "the centre's answer to the enrolment cannot be read") from None
    devices = before.devices if before else ()
    after = Credentials(label.centre, ca_pem, devices, enrolment.addresses, kept)
    home.write(after.with_devices(enrolment.devices))
    return enrolment.devices


def _label_text(given: str) -> str:
    """From stdin it is in nobody's list of processes, nor in the shell's history."""
    if given != "-":
        return given
    if sys.stdin.isatty():
        print("The label's text: ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline(LABEL_CHARS_MAX)


def _place_for_secrets(home: Home, before: Credentials | None, wish: str) -> str:
    """FILE or KEYRING, tried before the label's code is used up."""
    if wish == "auto" and before is None:
        from bridge.store import keyring_store

        kept = settings.KEYRING if keyring_store.usable() else settings.FILE
        with contextlib.suppress(SettingsError):
            home.rehearse(kept)
            return kept
        kept = settings.FILE  # a keyring that is there and takes nothing
    elif wish == "auto":
        assert before is not None
        kept = before.secrets
    else:
        kept = wish
    home.rehearse(kept)
    return kept


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


# -- running ------------------------------------------------------------------------------------------


async def _run(
    home: Home,
    arguments: argparse.Namespace,
    scanner: ScannerBackend | None,
    client: ClientBackend | None,
) -> int:
    credentials = home.read()
    if credentials is None:
        raise _nothing_enrolled(home)
    config = _config(home, arguments)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    urls = (credentials.centre, *credentials.addresses, *config.centre_addresses)
    with home.lock(), _log(config) as log:
        async with https.Centre(urls, credentials.ca_pem) as centre:
            desktop = DBusDesktop(config.page_name)
            relay = Relay(
                credentials.devices,
                journal=Journal(home.journal),
                centre=centre,
                radio=lambda on_advert: BleakRadio(on_advert, scanner, client, scan=config.radio_scan),
                log=log,
                random=random.SystemRandom().random,
                sources=_sources(config),
                follow_every_s=config.position_follow_every_s,
                battery=desktop.battery_percent,
                phone_low_percent=config.supervision_phone_battery_low_percent,
                announce=_announcer(desktop, config, log),
            )
            async with _serving_page(relay, home, config, log):
                await relay.run(stop)
    return OK


def _announcer(desktop: DBusDesktop, config: Config, log: Log) -> Callable[[Trouble], Awaitable[None]] | None:
    if not config.supervision_notify:
        return None

    async def announce(trouble: Trouble) -> None:
        if await desktop.notify(*words.notice(trouble, config.page_language, config.page_name)):
            log("notice", reason=trouble.reason)

    return announce


@contextlib.asynccontextmanager
async def _serving_page(relay: Relay, home: Home, config: Config, log: Log) -> AsyncIterator[None]:
    """The wearer's page beside the bridge, which goes on without it."""
    async with contextlib.AsyncExitStack() as stack:
        if config.page_port:
            from bridge.page.server import Page, PageError  # late: not all have one

            page = Page(
                relay,
                home.page_secret(),
                port=config.page_port,
                name=config.page_name,
                language=config.page_language,
                log=log,
            )
            try:
                await stack.enter_async_context(page)
            except PageError as error:
                relay.trouble("page", error.reason, str(error))
        yield


@contextlib.contextmanager
def _log(config: Config) -> Iterator[Log]:
    """The log, and the figures that are made of it."""
    with contextlib.ExitStack() as stack:
        sinks: tuple[Sink, ...] = ()
        problem = None
        if config.metrics_port:
            from bridge.reporting import metrics  # late: 2 MB for those who ask for it

            figures = metrics.Metrics()
            sinks = (figures,)
            try:
                stack.enter_context(metrics.serving(figures, config.metrics_port))
            except OSError as error:  # alarms do not wait for figures
                problem = f"metrics.port {config.metrics_port} cannot be used: {error.strerror}"
        log = stack.enter_context(Log(config.log_format == "json", sinks))
        stack.enter_context(mistakes(log))
        if problem:
            log("trouble", where="metrics", reason="port_taken", text=problem)
        yield log


def _config(home: Home, arguments: argparse.Namespace) -> Config:
    """The file, then the flags. Raises ConfigError, BadInput."""
    config = configuration.override(configuration.load(home.config), arguments.set)
    if getattr(arguments, "json_log", False):
        config = replace(config, log_format="json")
    if getattr(arguments, "fix", None) is not None:
        try:
            fixed.parse(arguments.fix)
        except ValueError as error:
            raise BadInput(error) from None
        config = replace(config, position_sources=("fixed",), position_fixed=arguments.fix)
    if getattr(arguments, "gpx", None) is not None:
        track = str(arguments.gpx.absolute())
        config = replace(config, position_sources=("gpx",), position_gpx=track)
    return configuration.settle(config, home.path)


@dataclass(frozen=True, slots=True)
class _Unusable:
    """In the place of a source that this machine cannot have; the others go on."""

    name: str
    why: str

    async def run(self, report: Callable[[Fix], None]) -> None:  # noqa: ARG002 -- the port's shape
        raise SourceOff("unusable", self.why)


def _sources(config: Config) -> list[Source]:
    """What `position.sources` names, in its order. Raises BadInput for what cannot even begin."""
    try:
        return [_source(name, config) for name in config.position_sources]
    except ValueError as error:
        raise BadInput(error) from None


def _source(name: str, config: Config) -> Source:
    """Each is imported only when it is used: some bring a library along. Raises ValueError."""
    if name == "gpsd":
        from bridge.location.gpsd import Gpsd

        host, _, port = config.position_gpsd.rpartition(":")
        return Gpsd(host.strip("[]"), int(port), now_ms=now_ms)
    if name == "nmea":
        from bridge.location import nmea

        device, _, baud = config.position_nmea.partition("@")
        return nmea.Nmea(Path(device), int(baud or nmea.BAUD), now_ms=now_ms)
    if name == "geoclue":
        try:
            from bridge.location.geoclue import GeoClue
        except ImportError:  # its D-Bus library is for Linux alone
            return _Unusable(name, "there is no GeoClue on this system; take it out of position.sources")
        return GeoClue(now_ms=now_ms)
    if name == "gpx":
        from bridge.location import gpx

        return gpx.load(Path(config.position_gpx), now_ms(), now_ms)
    assert name == "fixed", "config.SOURCES names no other"
    return fixed.Fixed(*fixed.parse(config.position_fixed), now_ms())


def _nothing_enrolled(home: Home) -> SettingsError:
    return SettingsError(f"no button is enrolled in {home.path}; run: amr-bridge enrol 'QRTEXT'")


# -- asking -------------------------------------------------------------------------------------------


def _show_config(home: Home, arguments: argparse.Namespace) -> int:
    config = _config(home, arguments)
    print(f"# What is in force. To change it, put any of this into {home.config}\n")
    print(configuration.render(config), end="")
    return OK


def _page(home: Home, arguments: argparse.Namespace) -> int:
    config = _config(home, arguments)
    if config.page_port == 0:
        raise SettingsError("the page is switched off; set page.port in config.toml")
    if home.read() is None:
        raise _nothing_enrolled(home)
    print(f"http://127.0.0.1:{config.page_port}/#{home.page_secret()}")
    return OK


async def _doctor(
    home: Home,
    arguments: argparse.Namespace,
    scanner: ScannerBackend | None,
    client: ClientBackend | None,
) -> int:
    from bridge.commands import doctor

    async def listen() -> None:
        radio = BleakRadio(lambda *_: None, scanner, client)
        try:
            await radio.scan([])
        finally:
            await radio.stop()

    try:
        config, finding = _config(home, arguments), doctor.well("config", "can be read")
    except ConfigError as error:
        config, finding = Config(), doctor.wrong("config", "unreadable", str(error))
    sources: list[Source] = []
    for name in config.position_sources:
        try:
            sources.append(_source(name, config))
        except ValueError as error:
            sources.append(_Unusable(name, str(error)))
    findings = [finding, *await doctor.examine(home, config, sources, listen)]
    print(doctor.render(findings, arguments.json))
    return OK if doctor.all_well(findings) else FAILED


def _service(home: Home, arguments: argparse.Namespace) -> int:
    from bridge.commands import service

    try:
        if arguments.action == "status":
            runs, said = service.status()
            print(said)
            return OK if runs else FAILED
        if arguments.action == "install":
            print(service.install(home.path, arguments.now))
        else:
            print(service.uninstall(arguments.now))
    except service.ServiceError as error:
        return _say(error, FAILED)
    return OK


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
