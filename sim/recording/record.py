"""`amr-sim record`: what an adapter or a radio on the simulated air hears, or a capture holds, to a file."""

import asyncio
import contextlib
import os
import secrets
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bleak.exc import BleakError

from bridge.radio.bleak_radio import ScannerBackend
from sim.realtime.clock import NoFaketime
from sim.realtime.small_disk import CannotMount
from sim.realtime.world import Trouble, World
from sim.recording import btsnoop, scanners
from sim.recording.lines import Unreadable, Writer
from sim.recording.pseudonyms import Pseudonyms
from sim.scenarios import files
from sim.scenarios.play import Play

OK, FAILED, USAGE = 0, 1, 2
SCANNER = "scanner"


class CannotRecord(Exception):
    """The text is a sentence; `code` is the exit code."""

    def __init__(self, text: str, code: int = FAILED) -> None:
        super().__init__(text)
        self.code = code


@contextmanager
def writing(path: Path, source: str) -> Iterator[Writer]:
    """A new recording; whoever is interrupted leaves one without a last line. Raises CannotRecord."""
    try:
        # Only for who runs this: pseudonyms or not, it says who was near whom, and when.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise CannotRecord(f"{path} is there already", USAGE) from None
    except OSError as error:
        raise CannotRecord(f"{path}: {error.strerror}", USAGE) from None
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            writer = Writer(file, source, Pseudonyms(secrets.token_bytes(32)))
            yield writer
            writer.close()
    except OSError as error:
        raise CannotRecord(f"{path}: {error.strerror or error}") from None
    print(f"{writer.adverts} adverts are in {path}")


async def from_air(where: str, path: Path, for_s: float | None) -> None:
    """Raises CannotRecord."""
    with writing(path, "air") as writer, _told(where):
        async with scanners.on_the_air(host_port(where), SCANNER, writer.take):
            await scanners.until(_stopped(), for_s)


async def from_adapter(path: Path, for_s: float | None, scanner: ScannerBackend | None = None) -> None:
    """Raises CannotRecord."""
    with writing(path, "adapter") as writer, _told("the adapter"):
        async with scanners.on_this_machine(writer.take, scanner):
            await scanners.until(_stopped(), for_s)


@contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except BleakError as error:
        raise CannotRecord(f"{what} cannot be listened to: {error}") from None
    except OSError as error:
        raise CannotRecord(f"{what} cannot be listened to: {error.strerror or error}") from None


def _stopped() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    print("listening; Ctrl-C ends", file=sys.stderr, flush=True)
    return stop


async def from_scenario(name: str, path: Path, keep: Path | None) -> None:
    """All of a scenario, by a radio of its own three metres from everybody. Raises CannotRecord."""
    try:
        found = files.find(name)
        scenario = files.load(found)
    except files.CannotRead as error:
        raise CannotRecord(str(error), USAGE) from None
    with contextlib.ExitStack() as stack:
        home = keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        home.mkdir(parents=True, exist_ok=True)
        writer = stack.enter_context(writing(path, "scenario"))

        def scanner(world: World) -> contextlib.AbstractAsyncContextManager[None]:
            return scanners.on_the_air(host_port(world.hci), SCANNER, writer.take)

        try:
            played = await Play(scenario, found.parent, home, lambda _: None, scanner).run()
        except (Trouble, NoFaketime, CannotMount, BleakError) as error:
            raise CannotRecord(f"{name} could not be played: {error}") from None
    for verdict in played.verdicts:
        if not verdict.holds:
            print(f"beside it, this did not hold: {verdict.text}", file=sys.stderr)


def host_port(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


def from_btsnoop(capture: Path, path: Path) -> None:
    """Write down what the capture holds, and say what of it was left out. Raises CannotRecord."""
    skipped = btsnoop.Skipped()
    try:
        with capture.open("rb") as file:
            adverts = list(btsnoop.read(file, skipped))
    except OSError as error:
        raise CannotRecord(f"{capture}: {error.strerror}", USAGE) from None
    except Unreadable as error:
        raise CannotRecord(f"{capture}: {error}", USAGE) from None
    with writing(path, "btsnoop") as writer:
        for heard in adverts:
            writer.take(heard)
    for count, text in (
        (skipped.packets, "advertising event(s) were cut or broken, and left out"),
        (skipped.clock_steps, "time(s) the clock was set: what follows is written as if at once"),
        (skipped.rest_bytes, "byte(s) at the end are no whole record, and left out"),
    ):
        if count:
            print(f"{count} {text}", file=sys.stderr)
