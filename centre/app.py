"""The centre's wiring and its command line: `amr-centre`."""

import argparse
import asyncio
import contextlib
import ipaddress
import re
import signal
import sqlite3
import ssl
import sys
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

from centre import registry, sealing, supervision, tls, views
from centre.console import routes as console_routes
from centre.home import CannotServe, Home, default_path
from centre.intake import HEARTBEAT_S, Intake
from centre.log import Log, now_ms
from centre.routing import BODY_BYTES_MAX, Refusals, Route
from centre.service import Conflict, Service
from centre.store import Store, TooNew
from centre.worker import Bells, Worker

COULD_NOT, BAD_INPUT = 1, 2
STOP_S_MAX = 5.0
SEALING_KEY = "sealing.key"
CONSOLE_KEY = "console.key"

# Nothing is loaded from elsewhere, nothing frames us, nothing learns our addresses.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def open_service(home: Home, clock_ms: Callable[[], float] = now_ms) -> Service:
    """The store and its sealing key. Raises CannotServe; call it in the thread that will use it."""
    if home.database.exists() and not (home.path / SEALING_KEY).exists():
        raise CannotServe(f"{home.path / SEALING_KEY} is missing: the buttons' roots cannot be opened")
    key = home.secret(SEALING_KEY, sealing.new_key)
    try:
        home.database.touch(mode=0o600)
        return Service(Store(str(home.database)), sealing.Sealer(key), clock_ms)
    except (sealing.Broken, ValueError) as error:
        raise CannotServe(f"{home.path / SEALING_KEY} is the wrong key: {error}") from error
    except TooNew as error:
        raise CannotServe(f"{home.database} was made by a newer version: {error}") from error
    except (sqlite3.Error, OSError) as error:
        raise CannotServe(f"cannot use {home.database}: {error}") from error


@dataclass(frozen=True, slots=True)
class Running:
    url: str
    console_url: str
    authority: tls.Authority
    routes: tuple[Route, ...]


@contextlib.asynccontextmanager
async def running(
    home: Home,
    *,
    host: str,
    port: int,
    log: Log,
    certificate: tuple[tls.Authority, ssl.SSLContext] | None = None,
    heartbeat_s: float = HEARTBEAT_S,
    addresses: tuple[str, ...] = (),
    alive_s: int = supervision.ALIVE_S,
) -> AsyncGenerator[Running]:
    """The centre, serving until the block ends. Raises CannotServe."""
    authority, context = certificate or (tls.development(home), tls.development_context(home, host))
    console_key = home.secret(CONSOLE_KEY, console_routes.new_key)
    worker, bells = Worker(lambda: open_service(home)), Bells()
    intake = Intake(worker, bells, log, authority.pem, heartbeat_s, addresses, alive_s)
    console = console_routes.Console(worker, bells, log, console_key)
    refusals = Refusals(log)
    app = web.Application(middlewares=[refusals.middleware], client_max_size=BODY_BYTES_MAX)
    routes = intake.routes + console.routes
    for route in routes:
        app.router.add_route(route.method, route.path, route.handle)

    async def set_headers(_request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(HEADERS)

    app.on_response_prepare.append(set_headers)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_S_MAX)
    flusher = asyncio.create_task(_flush(refusals))
    try:
        await runner.setup()
        site = web.TCPSite(runner, host, port, ssl_context=context)
        try:
            await site.start()
        except OSError as error:
            raise CannotServe(f"cannot listen on {host} port {port}: {_why(error)}") from error
        url = _url(host, runner.addresses[0][1])
        yield Running(url, console_routes.entrance(url, console_key), authority, routes)
    finally:
        flusher.cancel()
        intake.streams.stopping = console.streams.stopping = True
        bells.ring_all()
        await _close(runner)
        intake.close()
        worker.close()
        refusals.flush(all_of_it=True)


async def _close(runner: web.AppRunner) -> None:
    """Finish what is being answered; a peer that never says goodbye (TLS close_notify) keeps nothing open."""
    connections = runner.server.connections if runner.server else []
    transports = [connection.transport for connection in connections]
    await runner.cleanup()
    for transport in transports:
        if transport is not None:
            transport.abort()
    await asyncio.sleep(0)  # their sockets close at the next turn of the loop


async def _flush(refusals: Refusals) -> None:
    while True:
        await asyncio.sleep(5)
        refusals.flush()


def _url(host: str, port: int) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return f"https://{host}:{port}"
    if address.is_unspecified:
        return f"https://localhost:{port}"
    return f"https://[{host}]:{port}" if address.version == 6 else f"https://{host}:{port}"


def _why(error: OSError) -> str:
    # asyncio puts the address into `strerror`; the cause is after the last colon.
    return (error.strerror or str(error)).rpartition(": ")[2]


# -- commands -------------------------------------------------------------------------------------


def serve(arguments: argparse.Namespace) -> int:
    if bool(arguments.cert) != bool(arguments.key):
        return _no(BAD_INPUT, "--cert and --key go together")
    certificate = tls.given(arguments.cert, arguments.key) if arguments.cert else None
    home = Home(arguments.home)
    lock = home.lock()
    assert lock  # held until the process ends

    async def until_stopped() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        log = Log(arguments.json_log)
        async with running(
            home,
            host=arguments.host,
            port=arguments.port,
            log=log,
            certificate=certificate,
            addresses=tuple(arguments.address),
            alive_s=arguments.alive_s,
        ) as centre:
            log(
                "listening",
                url=centre.url,
                ca=str(centre.authority.path),
                ca_sha256=centre.authority.sha256,
            )
            await stop.wait()

    asyncio.run(until_stopped())
    return 0


def ca(arguments: argparse.Namespace) -> int:
    authority = tls.development(Home(arguments.home))
    print(f"CA certificate: {authority.path}\nSHA-256 of its public key: {authority.sha256}")
    return 0


def operators_page(arguments: argparse.Namespace) -> int:
    key = Home(arguments.home).secret(CONSOLE_KEY, console_routes.new_key)
    print(console_routes.entrance(arguments.url.rstrip("/"), key))
    return 0


def buttons_import(arguments: argparse.Namespace) -> int:
    try:
        buttons = registry.read(arguments.file.read_text("utf-8"))
    except OSError as error:
        return _no(BAD_INPUT, f"cannot read {arguments.file}: {error.strerror}")
    except UnicodeDecodeError:
        return _no(BAD_INPUT, f"{arguments.file} is not text")
    except registry.Malformed as error:
        return _no(BAD_INPUT, f"{arguments.file}: {error}; nothing was imported")
    try:
        new, known = open_service(Home(arguments.home)).import_buttons(buttons)
    except Conflict as error:
        return _no(COULD_NOT, f"{error}; nothing was imported")
    print(f"{new} imported, {known} already here")
    if new:
        print(f"{arguments.file} holds the roots in clear: delete it when it is no longer needed")
    return 0


def buttons_list(arguments: argparse.Namespace) -> int:
    for row in open_service(Home(arguments.home)).buttons():
        bridges = f"{row['bridges']} bridge(s)" if row["bridges"] else "waits for a bridge"
        state = f"revoked {_day(row['revoked_at_ms'])}" if row["revoked_at_ms"] else bridges
        press = f"last press {_day(row['last_press_at_ms'])}" if row["last_press_at_ms"] else "no press yet"
        line = f"{row['device_id']}  {row['kind']}  {row['board']}  {state}  {press}  {_life(row)}"
        lacks = views.lacks(row["capabilities"])
        print(f"{line}  lacks: {', '.join(lacks)}" if lacks else line)
    return 0


def _life(row: sqlite3.Row) -> str:
    """What bridges last told of a button."""
    heard = f"last heard {_day(row['heard_at_ms'])}" if row["heard_at_ms"] else "not heard yet"
    battery = f"  battery {row['battery_mv'] / 1000:.2f} V" if row["battery_mv"] else ""
    low = "  BATTERY LOW" if row["low"] else ""
    faults = f"  faults: {', '.join(row['faults'].split())}" if row["faults"] else ""
    return heard + battery + low + faults


def buttons_enrol(arguments: argparse.Namespace) -> int:
    url = arguments.url and arguments.url.rstrip("/")
    if not _is_address(url or "https://localhost"):
        return _no(BAD_INPUT, "--url must be https://HOST[:PORT], as bridges reach this centre")
    if not registry.DEVICE_ID.fullmatch(arguments.device_id):
        return _no(BAD_INPUT, "a device_id is 16 characters A-Z and 2-7")
    home = Home(arguments.home)
    sha256 = tls.pin(arguments.ca) if arguments.ca else tls.development(home).sha256
    code = open_service(home).issue_enrolment(arguments.device_id)
    if code is None:
        return _no(COULD_NOT, f"there is no button {arguments.device_id} in use here")
    print(f"enrolment code, good once and for 7 days: {code}")
    if url:
        print(f"QR text: {url}/e#{code}.{sha256}")
    return 0


def buttons_revoke(arguments: argparse.Namespace) -> int:
    if not open_service(Home(arguments.home)).revoke_button(arguments.device_id):
        return _no(COULD_NOT, f"there is no button {arguments.device_id} here")
    print(f"{arguments.device_id} is revoked: its presses are still stored and shown, marked as such")
    return 0


def bridges_list(arguments: argparse.Namespace) -> int:
    for row in open_service(Home(arguments.home)).bridges():
        state = f"revoked {_day(row['revoked_at_ms'])}" if row["revoked_at_ms"] else "in use"
        alive = f"last alive {_day(row['alive_at_ms'])}" if row["alive_at_ms"] else "no sign of life yet"
        battery = f"  battery {row['battery_percent']} %" if row["battery_percent"] is not None else ""
        troubles = f"  troubles: {', '.join(row['troubles'].split())}" if row["troubles"] else ""
        since = f"since {_day(row['enrolled_at_ms'])}"
        print(f"{row['bridge_id']}  {state}  {since}  {row['device_ids']}  {alive}{battery}{troubles}")
    return 0


def bridges_revoke(arguments: argparse.Namespace) -> int:
    device_ids = open_service(Home(arguments.home)).revoke_bridge(arguments.bridge_id)
    if device_ids is None:
        return _no(COULD_NOT, f"there is no bridge {arguments.bridge_id} here")
    print(f"{arguments.bridge_id} is revoked: it can no longer send or read anything here")
    # It keeps K_code, which predicts every code to come (protocol, "Keys").
    print(f"whoever has that phone can still FOLLOW {' '.join(device_ids)} until provisioned again")
    return 0


def _day(at_ms: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at_ms / 1000))


def _no(code: int, sentence: str) -> int:
    print(f"amr-centre: {sentence}", file=sys.stderr)
    return code


def _port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text, re.ASCII) or int(text) > 65535:
        raise argparse.ArgumentTypeError("a port is 0 (any free one) to 65535")
    return int(text)


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return (
            (parts.scheme, parts.path, parts.query, parts.fragment, parts.username)
            == ("https", "", "", "", None)
            and bool(parts.hostname)
            and parts.port != 0  # reading it refuses what is no port
            and url.isascii()
            and url.isprintable()
            and " " not in url
        )
    except ValueError:
        return False


def _address(text: str) -> str:
    url = text.rstrip("/")
    if not _is_address(url):
        raise argparse.ArgumentTypeError(f"{text!r} is not https://HOST[:PORT]")
    return url


def _alive_s(text: str) -> int:
    least, most = supervision.ALIVE_S_MIN, supervision.ALIVE_S_MAX
    if not re.fullmatch(r"[0-9]{1,4}", text, re.ASCII) or not least <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"it is {least} to {most} seconds")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--home",
        type=Path,
        default=default_path(),
        metavar="DIR",
        help="where everything is kept: database, keys, certificates (default: %(default)s)",
    )
    parser = argparse.ArgumentParser(
        prog="amr-centre",
        description="The emergency centre: takes alarms from bridges, shows them to operators, proves to the "
        "button how far its press has come.",
        epilog="Start with: amr-centre serve. Exit codes: 0 done, 1 could not, 2 wrong usage or input.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(group: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, text: str,
                run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:  # fmt: skip
        made = group.add_parser(name, parents=[common], help=text, description=text)
        made.set_defaults(run=run)
        return made

    made = command(commands, "serve", "serve bridges and operators until SIGTERM or Ctrl-C", serve)
    made.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    made.add_argument("--port", type=_port, default=8443, help="0 = any free one (default: %(default)s)")
    made.add_argument(
        "--cert",
        type=Path,
        metavar="FILE",
        help="PEM chain, leaf first, CA last; else a development CA is made",
    )
    made.add_argument("--key", type=Path, metavar="FILE", help="PEM private key of --cert, not encrypted")
    made.add_argument(
        "--address",
        type=_address,
        action="append",
        default=[],
        metavar="URL",
        help="another address of this same centre, told to bridges as they enrol; may be repeated",
    )
    made.add_argument(
        "--alive-s",
        type=_alive_s,
        default=supervision.ALIVE_S,
        metavar="S",
        help="how often bridges shall give a sign of life (default: %(default)s)",
    )
    made.add_argument("--json-log", action="store_true", help="one JSON object per event on stdout")
    command(commands, "ca", "print where the development CA is, making it if needed", ca)

    made = command(commands, "console", "print the operator's page address, with its key", operators_page)
    made.add_argument("--url", default="https://127.0.0.1:8443", help="this centre (default: %(default)s)")

    buttons = commands.add_parser("buttons", help="hand out and take back buttons")
    group = buttons.add_subparsers(required=True, metavar="COMMAND")
    made = command(
        group, "import", "take the registry that provisioning wrote: all lines or none", buttons_import
    )
    made.add_argument("file", type=Path, metavar="FILE")
    command(group, "list", "one line per button", buttons_list)
    made = command(group, "enrol", "issue a new enrolment code, for another bridge", buttons_enrol)
    made.add_argument("device_id", metavar="DEVICE_ID")
    made.add_argument("--url", help="this centre as bridges reach it: prints the QR text too")
    made.add_argument(
        "--ca", type=Path, metavar="FILE", help="certificate to pin, where serve runs with --cert"
    )
    made = command(
        group, "revoke", "mark a button as no longer in use; its presses are still taken", buttons_revoke
    )
    made.add_argument("device_id", metavar="DEVICE_ID")

    bridges = commands.add_parser("bridges", help="the phones that are enrolled")
    group = bridges.add_subparsers(required=True, metavar="COMMAND")
    command(group, "list", "one line per bridge", bridges_list)
    made = command(group, "revoke", "refuse a bridge from now on (a lost or stolen phone)", bridges_revoke)
    made.add_argument("bridge_id", metavar="BRIDGE_ID")
    return parser


def main(argv: Sequence[str]) -> int:
    """Run one command; its exit code: 0 done, 1 could not, 2 wrong usage or input."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except tls.BadCertificate as error:
        return _no(BAD_INPUT, str(error))
    except CannotServe as error:
        return _no(COULD_NOT, str(error))
    except sqlite3.Error as error:
        return _no(COULD_NOT, f"the database refuses: {error}")
    except KeyboardInterrupt:
        return 130


def console() -> None:
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    console()
