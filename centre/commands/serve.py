"""`amr-centre serve` and `amr-centre ca`."""

import argparse
import asyncio
import contextlib
import gc
import signal
from collections.abc import Callable
from dataclasses import Field, replace
from pathlib import Path
from typing import Any

import uvloop

from centre.api import connection_limit
from centre.app import running
from centre.commands.parts import Commands
from centre.platform import time_zone, tls
from centre.platform.home import Home
from centre.platform.log import Log, traces_on_stderr
from centre.settings import CONFIG, Rule, Settings, SettingsError, declared, default_text, load, settle

GARBAGE = 10_000  # objects made and not yet freed, when it is next looked for


def add_serve(commands: Commands) -> None:
    parser = commands.add(serve, begins=True)
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help=f"settings as TOML, by the names of these options (default: {CONFIG} in the home, if any)",
    )
    for name, rule, it in declared():
        parser.add_argument(f"--{name}", default=argparse.SUPPRESS, help=_help(rule, it), **_kind(rule))


def _help(rule: Rule, it: Field[Any]) -> str:
    default = default_text(it)
    meaning = rule.meaning.replace("`", "").replace("%", "%%")
    meaning += "; may be repeated" if rule.is_repeated else ""
    return f"{meaning} (default: {default})" if default else meaning


def _kind(rule: Rule) -> dict[str, Any]:
    if not rule.metavar:
        return {"action": "store_true"}
    action = "append" if rule.is_repeated else "store"
    return {"action": action, "type": _reader(rule), "metavar": rule.metavar}


def add_ca(commands: Commands) -> None:
    parser = commands.add(ca, begins=True)
    parser.add_argument("--path", action="store_true", help="print the path of its certificate alone")
    parser.add_argument(
        "--renew",
        action="store_true",
        help="make it a new certificate with the same key, which is what is pinned",
    )


def _reader(rule: Rule) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            return rule.read(text)
        except ValueError:
            raise argparse.ArgumentTypeError(rule.allowed) from None

    return read


def _settings(home: Home, arguments: argparse.Namespace) -> Settings:
    """Return what the file says, and over it what the command line says. Raises SettingsError."""
    values: dict[str, Any] = {}
    try:
        values = load(arguments.config or home.path / CONFIG)
    except FileNotFoundError:
        if arguments.config:
            raise SettingsError(f"there is no {arguments.config}") from None
    for _, rule, it in declared():
        if hasattr(arguments, it.name):
            value = getattr(arguments, it.name)
            values[it.name] = tuple(value) if rule.is_repeated else value
    return settle(values)


def serve(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C."""
    home = Home(arguments.home)
    settings = _settings(home, arguments)
    time_zone.use(settings.time_zone)
    certificate = tls.given(Path(settings.cert), Path(settings.key)) if settings.cert else None
    home.check_modes()
    lock = home.lock()
    assert lock  # held until the process ends
    connections = connection_limit.allow_files(settings.connections)
    log = Log(settings.json_log)

    async def until_stopped() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        lowered = replace(settings, connections=connections)
        async with running(home, log=log, settings=lowered, certificate=certificate) as centre:
            authority = centre.authority
            where = {} if centre.direct_port is None else {"direct_port": centre.direct_port}
            log("listening", url=centre.url, ca=str(authority.path), ca_sha256=authority.sha256, **where)
            if connections < settings.connections:
                text = f"at most {connections} connections are held, not {settings.connections}: ulimit -Hn"
                centre.log("trouble", reason="open_files", text=text)
            await stop.wait()

    # What is there now stays: looking through it for garbage is a tenth of what an alarm costs.
    gc.freeze()
    gc.set_threshold(GARBAGE)
    with (
        contextlib.closing(log),
        traces_on_stderr(),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(until_stopped())
    return 0


def ca(arguments: argparse.Namespace) -> int:
    """Print where the development CA is."""
    home = Home(arguments.home)
    authority = tls.renew(home) if arguments.renew else tls.development(home)
    if arguments.path:
        print(authority.path)
        return 0
    print(f"CA certificate: {authority.path}\nSHA-256 of its public key: {authority.sha256}")
    return 0
