"""The command line of `amr-bridge`: one file a sub-command, imported when it is asked for."""

import argparse
import contextlib
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bridge.commands.errors import FAILED, OK, CommandError
from bridge.settings import SettingsError
from bridge.store.home import FILE, KEYRING, Home, HomeError, default_home

if TYPE_CHECKING:
    from bridge.radio.bleak_radio import ClientBackend, ScannerBackend

INTERRUPTED = 130


class Command(Protocol):
    """What each file of a sub-command has."""

    def run(self, home: Home, arguments: argparse.Namespace) -> int:
        """Carry the sub-command out, and return its exit code.

        `arguments.scanner` and `arguments.client` are bleak backends, None for the system's own radio.
        Raises CommandError, SettingsError, HomeError.
        """


def main(
    argv: Sequence[str],
    *,
    scanner: "ScannerBackend | None" = None,
    client: "ClientBackend | None" = None,
) -> int:
    """Run one command, and return its exit code.

    0: done, 1: could not be done, 2: cannot be understood, 130: ended by Ctrl-C. `scanner` and `client` are
    bleak backends, None for the system's own radio.
    """
    try:
        arguments = parser().parse_args(argv, argparse.Namespace(scanner=scanner, client=client))
    except SystemExit as stop:
        return int(stop.code or 0)
    home = Home(arguments.home or default_home())
    _forbid_core_files()
    try:
        command: Command = importlib.import_module(f"bridge.commands.{arguments.command.replace('-', '_')}")
        if arguments.command == "run":  # which tells of mistakes in its log
            return command.run(home, arguments)
        from bridge.reporting.log import mistakes  # late: `--help` does without

        with mistakes(lambda _, **fields: _fail(fields["text"], FAILED)):
            return command.run(home, arguments)
    except CommandError as error:
        return _fail(error, error.exit_code)
    except SettingsError as error:
        return _fail(error, 2)
    except HomeError as error:
        return _fail(error, FAILED)
    except KeyboardInterrupt:
        return INTERRUPTED
    except ModuleNotFoundError:
        raise  # of an extra that is not installed; bridge/__main__.py says so
    except Exception as error:
        return _fail(f"a mistake of this program's own: {_places(error)}", FAILED)


def _places(error: Exception) -> str:
    """Name the kind of `error` and its places only: its text may hold what it stumbled over."""
    import traceback  # late: seldom wanted

    frames = traceback.extract_tb(error.__traceback__)[-5:]
    places = ", ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames)
    return f"{type(error).__name__} at {places}"


def _fail(error: object, exit_code: int) -> int:
    print(f"amr-bridge: {error}", file=sys.stderr)
    return exit_code


def _forbid_core_files() -> None:
    """Forbid core files, where the system has them: one would hold every key."""
    with contextlib.suppress(ImportError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class _Version(argparse.Action):
    """`--version`, which looks it up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib.metadata import version

        print(f"amr-bridge {version('amr')}")
        parser.exit(OK)


def parser() -> argparse.ArgumentParser:
    """Return the parser of every sub-command's options."""
    home = argparse.ArgumentParser(add_help=False)
    home.add_argument("--home", type=Path, help="where keys and journal are kept (default: %(default)s)")
    home.set_defaults(home=default_home())
    settings = argparse.ArgumentParser(add_help=False, parents=[home])
    settings.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a setting, for once: see config"
    )
    whole = argparse.ArgumentParser(
        prog="amr-bridge",
        description="Hears the button, takes its press to the centre, brings the receipt back.",
        epilog="First: amr-bridge enrol - --pin --duress-pin, which asks for the label's QR text and for "
        "both PINs; then: amr-bridge doctor; amr-bridge run. Exit codes: 0 done, 1 could not, 2 wrong usage "
        "or input, 130 ended by Ctrl-C.",
    )
    whole.add_argument("--version", action=_Version, nargs=0, help="print the version, and end")
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_enrol(commands.add_parser("enrol", parents=[home], help="take up a button, by its label"))
    _add_run(commands.add_parser("run", parents=[settings], help="listen, until stopped"))
    trial = commands.add_parser("try-pin", parents=[home], help="ask whether a PIN holds; no alarm is needed")
    trial.add_argument("--button", metavar="ID", help="which, where several are enrolled")
    commands.add_parser("status", parents=[home], help="show which buttons there are, and their presses")
    doctor = commands.add_parser("doctor", parents=[settings], help="check all that an alarm needs")
    doctor.add_argument("--json", action="store_true", help="the findings as JSON")
    commands.add_parser(
        "page", parents=[settings], help="print the address of the protected person's page, with its secret"
    )
    commands.add_parser(
        "config", parents=[settings], help="print every setting, its value and its meaning, as TOML"
    )
    service = commands.add_parser("service", parents=[home], help="run from login on, by systemd")
    service.add_argument("action", choices=("install", "uninstall", "status"))
    service.add_argument("--now", action="store_true", help="also start (or stop) it, instead of saying how")
    return whole


def _add_enrol(enrol: argparse.ArgumentParser) -> None:
    enrol.add_argument(
        "label", metavar="QRTEXT", help="what the label's QR code says, in quotes; - reads it from stdin"
    )
    enrol.add_argument("--pin", action="store_true", help="ask (twice) for the PIN that calls off an alarm")
    enrol.add_argument(
        "--duress-pin", action="store_true", help="ask (twice) for the PIN to give under duress"
    )
    enrol.add_argument(
        "--pin-file", type=Path, help="the PIN on its first line, the duress PIN on its second"
    )
    enrol.add_argument(
        "--secrets",
        choices=("auto", KEYRING, FILE),
        default="auto",
        help="where to keep the keys: the system's keyring, or a file (default: as before, else the keyring"
        " if there is one)",
    )


def _add_run(run: argparse.ArgumentParser) -> None:
    where = run.add_mutually_exclusive_group()
    where.add_argument("--fix", metavar="LAT,LON,RADIUS_M", help="the position to send with an alarm")
    where.add_argument("--gpx", type=Path, metavar="FILE", help="walk this recorded track, from now on")
    run.add_argument("--json-log", action="store_true", help="one JSON object per line on stdout")
