"""`amr-bridge doctor`: check all that an alarm needs, and say of each in one sentence what to do.

Each check looks at one thing by the way that an alarm takes: the same radio, the same TLS, the same
files. Every wait has a bound.
"""

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import socket
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cryptography import x509

from bridge import app
from bridge.centre.authority import spki_sha256
from bridge.centre.client import Centre
from bridge.centre.errors import CentreError
from bridge.clock import now_ms
from bridge.commands import errors
from bridge.commands.options import read_settings
from bridge.model import Fix
from bridge.ports import RadioOff, SaysWhatItHears, Source, SourceOff
from bridge.settings import Settings, SettingsError
from bridge.store.home import Credentials, Home, HomeError
from bridge.store.journal import read_contents

RADIO_S_MAX = 15.0
FIX_S_MAX = 8.0
RADIUS_M_USEFUL = 500.0  # what a patrol can search
CENTRE_S_MAX = 10.0
COMMAND_S_MAX = 3.0
FREE_MIB_MIN = 16
RFKILL = Path("/sys/class/rfkill")

OK, WRONG, NOTE = "ok", "wrong", "note"
_RADIO_WAYS_OUT = {
    "powered_off": "switch Bluetooth on",
    "no_bluetooth": "plug in or switch on a Bluetooth adapter, and see that bluetoothd runs",
    "denied": "let this user use Bluetooth (group bluetooth, or the system's privacy settings)",
    "adapter_gone": "plug in or switch on a Bluetooth adapter",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """`state`: "ok", "wrong" (an alarm needs it) or "note" (worth knowing)."""

    name: str
    state: str
    reason: str  # a word for programs; "" where all is well
    text: str


def well(name: str, text: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(name, OK, "", text)


def wrong(name: str, reason: str, text: str) -> Finding:
    """Return a finding of what an alarm needs and has not."""
    return Finding(name, WRONG, reason, text)


def note(name: str, reason: str, text: str) -> Finding:
    """Return a finding that is worth knowing."""
    return Finding(name, NOTE, reason, text)


def run(home: Home, arguments: argparse.Namespace) -> int:
    """Look at everything, and print what was found."""
    try:
        settings, finding = read_settings(home, arguments), well("config", "can be read")
    except SettingsError as error:
        settings, finding = Settings(), wrong("config", "unreadable", str(error))
    sources: list[Source] = []
    for name in settings.position_sources:
        try:
            sources.append(app.source(name, settings))
        except ValueError as error:
            sources.append(app.Unusable(name, str(error)))

    async def listen() -> None:
        radio = app.bleak_radio(settings, arguments.scanner, arguments.client)(lambda *_: None)
        try:
            await radio.scan([])
        finally:
            await radio.stop()

    findings = [finding, *asyncio.run(examine(home, settings, sources, listen))]
    print(render(findings, arguments.json))
    return errors.OK if all_well(findings) else errors.FAILED


async def examine(
    home: Home,
    settings: Settings,
    sources: Sequence[Source],
    listen: Callable[[], Awaitable[None]],
    *,
    radio_s_max: float = RADIO_S_MAX,
    fix_s_max: float = FIX_S_MAX,
) -> list[Finding]:
    """Look at everything at once. `listen()` starts and ends a scan, or raises RadioOff."""
    credentials, keys = _keys(home)
    running = home.path.is_dir() and home.is_locked()
    parts = await asyncio.gather(
        _radio(listen, radio_s_max),
        _positions(sources, fix_s_max),
        _centres(credentials),
        _clock(),
        asyncio.to_thread(_disk, home),
        asyncio.to_thread(_journal, home),
    )
    checks = [keys, *(finding for part in parts for finding in part)]
    checks.append(_page(settings.page_port, running))
    checks.append(
        well("bridge", "a bridge is running with this home")
        if running
        else note("bridge", "not_running", "no bridge is running with this home; run: amr-bridge run")
    )
    return checks


def render(findings: Sequence[Finding], as_json: bool) -> str:
    """Return the findings, a line each, or as JSON."""
    if as_json:
        return json.dumps({"ok": all_well(findings), "checks": [asdict(it) for it in findings]}, indent=1)
    width = max(len(it.name) for it in findings)
    return "\n".join(f"{it.state:5}  {it.name:{width}}  {it.text}" for it in findings)


def all_well(findings: Sequence[Finding]) -> bool:
    """Return whether nothing is missing that an alarm needs."""
    return not any(it.state == WRONG for it in findings)


def _keys(home: Home) -> tuple[Credentials | None, Finding]:
    """Check the permissions of the home, and that its secrets can be read (a keyring may be locked)."""
    try:
        credentials = home.read()
    except HomeError as error:
        return None, wrong("keys", "unreadable", str(error))
    if credentials is None:
        text = f"no button is enrolled in {home.path}; run: amr-bridge enrol - --pin --duress-pin"
        return None, wrong("keys", "not_enrolled", text)
    return credentials, well(
        "keys", f"{len(credentials.devices)} button(s), keys in the {credentials.secrets}, for our eyes only"
    )


# -- the radio --------------------------------------------------------------------------------------


async def _radio(listen: Callable[[], Awaitable[None]], radio_s_max: float) -> list[Finding]:
    blocked = rfkill(RFKILL)
    if blocked is not None:
        return [blocked]
    try:
        async with asyncio.timeout(radio_s_max):
            await listen()
    except RadioOff as error:
        ways = [way for word, way in _RADIO_WAYS_OUT.items() if word in error.reason]
        return [wrong("radio", error.reason, "; ".join([str(error), *ways[:1]]))]
    except TimeoutError:
        text = f"Bluetooth does not answer within {radio_s_max:.0f} s; restart it (bluetoothd)"
        return [wrong("radio", "silent", text)]
    return [well("radio", "listens")]


def rfkill(folder: Path) -> Finding | None:
    """Return what blocks Bluetooth by Linux' own switches (Documentation/driver-api/rfkill.rst), or None."""
    soft = hard = False
    with contextlib.suppress(OSError):
        for switch in folder.iterdir():
            if (switch / "type").read_text().strip() == "bluetooth":
                soft |= (switch / "soft").read_text().strip() == "1"
                hard |= (switch / "hard").read_text().strip() == "1"
    if hard:
        return wrong("radio", "blocked_hard", "Bluetooth is switched off by a switch or key of this machine")
    if soft:
        return wrong("radio", "blocked", "Bluetooth is blocked; run: rfkill unblock bluetooth")
    return None


# -- positions --------------------------------------------------------------------------------------


async def _positions(sources: Sequence[Source], fix_s_max: float) -> list[Finding]:
    """Look at each source: one that gives a fix is enough, and the others are then worth a note."""
    if not sources:
        text = "no source of positions is set, so alarms say no place; set position.sources"
        return [wrong("position", "no_source", text)]
    findings = await asyncio.gather(*(_position(source, fix_s_max) for source in sources))
    if any(it.state != WRONG for it in findings):
        return [it if it.state == OK else note(it.name, it.reason, it.text) for it in findings]
    return list(findings)


async def _position(source: Source, fix_s_max: float) -> Finding:
    name = f"position.{source.name}"
    first: asyncio.Future[Fix] = asyncio.get_running_loop().create_future()

    def report(fix: Fix) -> None:
        if not first.done():
            first.set_result(fix)

    work = asyncio.ensure_future(source.run(report))
    both: list[asyncio.Future[Any]] = [first, work]
    try:
        await asyncio.wait(both, timeout=fix_s_max, return_when=asyncio.FIRST_COMPLETED)
        if first.done():
            fix = first.result()
            if fix.radius_m > RADIUS_M_USEFUL:
                text = f"gives a position, but only within {fix.radius_m:.0f} m; put the receiver at a window"
                return note(name, "inexact", text)
            return well(name, f"gives a position, within {fix.radius_m:.0f} m")
        if not work.done():
            heard = (
                source.heard() if isinstance(source, SaysWhatItHears) else "is the receiver under open sky?"
            )
            return wrong(name, "no_fix", f"gives no position within {fix_s_max:.0f} s; {heard}")
        try:
            work.result()
        except SourceOff as error:
            return wrong(name, error.reason, str(error))
        return wrong(name, "ended", "has ended without a position")
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


# -- the centre, and the time -------------------------------------------------------------------------


async def _centres(credentials: Credentials | None) -> list[Finding]:
    """Look at each address: TLS by our CA, that CA's key by the label, its clock; one good one is enough."""
    if credentials is None:
        return [note("centre", "not_enrolled", "not known before a button is enrolled")]
    urls = dict.fromkeys((credentials.centre, *credentials.addresses))
    findings = await asyncio.gather(*(_centre(url, credentials.ca_pem) for url in urls))
    if any(it.state == OK for it in findings):
        return [it if it.state == OK else note(it.name, it.reason, it.text) for it in findings]
    return list(findings)


async def _centre(url: str, ca_pem: str) -> Finding:
    try:
        pin = spki_sha256(x509.load_pem_x509_certificate(ca_pem.encode()))
        async with Centre(url, ca_pem, CENTRE_S_MAX) as centre:
            try:
                await centre.fetch_ca(pin)
            except CentreError as error:
                why = await centre.explain(error)
                return wrong("centre", why.reason, str(why))
            if centre.skew_s is not None:
                text = f"{url} answers, but its clock and ours differ by {abs(centre.skew_s):.0f} s; set ours"
                return wrong("centre", "clock_wrong", text)
    except ValueError:  # also ssl.SSLError
        return wrong("centre", "no_ca", "the centre's CA in credentials.json is damaged; enrol again")
    return well("centre", f"{url} answers, and is the one on the label")


async def _clock() -> list[Finding]:
    """Look at the clock. Receipts and fixes carry times, and an alarm waits for none: this is a note."""
    answer = await _answer("timedatectl", "show", "--property=NTPSynchronized", "--value")
    if answer == "yes":
        return [well("clock", "is set by the network")]
    if answer == "no":
        text = "is not set by the network; run: timedatectl set-ntp true"
        return [note("clock", "not_synchronised", text)]
    return [note("clock", "unknown", "nobody here says whether it is set by the network")]


async def _answer(*command: str) -> str | None:
    """Return the command's answer, or None where it has none in time."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
    except OSError:
        return None
    try:
        async with asyncio.timeout(COMMAND_S_MAX):
            out, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return None
    return out.decode(errors="replace").strip() if process.returncode == 0 else None


# -- the machine --------------------------------------------------------------------------------------


def _disk(home: Home) -> list[Finding]:
    if not home.path.is_dir():
        return [note("disk", "not_enrolled", f"{home.path} is made when a button is enrolled")]
    try:
        free_mib = shutil.disk_usage(home.path).free >> 20
        with tempfile.TemporaryFile(dir=home.path) as file:
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return [wrong("disk", "unwritable", f"{home.path} cannot be written: {error.strerror}")]
    if free_mib < FREE_MIB_MIN:
        return [wrong("disk", "disk_full", f"{free_mib} MiB are free at {home.path}; make room")]
    return [well("disk", f"takes what is written; {free_mib} MiB are free")]


def _journal(home: Home) -> list[Finding]:
    if not home.journal.exists():
        return [well("journal", "not begun")]
    if home.journal.stat().st_mode & 0o077:
        text = f"{home.journal} can be read by others; run: chmod 600 {home.journal}"
        return [wrong("journal", "wide_open", text)]
    try:
        with closing(sqlite3.connect(f"{home.journal.resolve().as_uri()}?mode=ro", uri=True)) as db:
            sound = db.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
    except sqlite3.OperationalError:  # a full disk has no room for the shared memory beside it
        text = "cannot be opened now, so nobody can say whether it is sound: see disk"
        return [wrong("journal", "journal_unreadable", text)]
    except sqlite3.Error:
        sound = False
    aside = len(list(home.path.glob("*.corrupt-*[0-9]")))
    contents = read_contents(home.journal, now_ms())
    if not sound or contents.unreadable:
        text = (
            f"is damaged: {len(contents.presses)} press(es) can be read, {contents.unreadable} row(s) or more"
            " cannot; when the bridge starts it keeps the file aside, and goes on with what can be read"
        )
        return [wrong("journal", "journal_corrupt", text)]
    if aside:
        return [note("journal", "kept_aside", f"is sound; {aside} damaged one(s) are kept beside it")]
    return [well("journal", "is sound")]


def _page(port: int, running: bool) -> Finding:
    if port == 0:
        return note("page", "off", "is switched off (page.port is 0)")
    with socket.socket() as ear:
        ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            ear.bind(("127.0.0.1", port))
        except OSError:
            if running:
                return well("page", f"port {port} is in use, by the bridge that runs")
            text = f"port {port} on 127.0.0.1 is taken by another program; set page.port to another"
            return wrong("page", "port_taken", text)
    return (
        note("page", "not_served", f"port {port} is free, and the running bridge does not serve it")
        if (running)
        else well("page", f"port {port} on 127.0.0.1 is free")
    )
