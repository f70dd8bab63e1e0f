"""`amr-sim run`: scenarios are read, all of them, then played, and judged."""

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from bridge.location import gpx
from sim.judge.events import Happening
from sim.realtime.clock import NoFaketime
from sim.realtime.small_disk import CannotMount
from sim.realtime.world import Trouble
from sim.scenarios import report
from sim.scenarios.expectations import Verdict
from sim.scenarios.model import ACTS, EXPECTS, FAULTS, STAGES, TABLES, Expect, Scenario, read
from sim.scenarios.play import Play, Played
from sim.scenarios.toml_tables import Lines, Wrong

SHIPPED = Path(__file__).parent
HELD, BROKEN, USAGE = 0, 1, 2
_SAID = (
    *("acts", "felt", "fault", "over", "heard", "received", "acknowledged", "dispatched", "closed"),
    *("called_off", "trouble", "called off"),
)


class CannotRead(Exception):
    """A scenario is not there or wrong, or a report has no place; the text is a sentence."""


def find(name: str) -> Path:
    """A file, or one of the shipped ones by its name."""
    for path in (Path(name), SHIPPED / f"{name}.toml"):
        if path.is_file():
            return path
    if Path(name).is_dir():
        raise CannotRead(f"{name} is a folder; a scenario is a TOML file")
    raise CannotRead(f"there is no scenario {name}; shipped ones: amr-sim run --list")


def load(path: Path) -> Scenario:
    """Raises CannotRead, with the line."""
    try:
        text = path.read_text("utf-8")
        scenario = read(text)
        for number, phone in enumerate(scenario.phones):
            if phone.gpx:
                _check_walk(path.parent / phone.gpx, Lines(text).of("phone", number, "gpx"))
        return scenario
    except Wrong as wrong:
        raise CannotRead(f"{path}: {wrong}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CannotRead(f"{path}: cannot be read: {getattr(error, 'strerror', 'not UTF-8')}") from None


def _check_walk(path: Path, line: int) -> None:
    """Raises Wrong."""
    try:
        gpx.load(path, 0)
    except ValueError as error:
        raise Wrong(f"line {line}: [[phone]] `gpx`: {error}") from None


def shipped() -> list[Path]:
    return sorted(SHIPPED.glob("*.toml"))


def described() -> str:
    """A page for each shipped scenario, as docs/scenarios.md has them."""
    pages = ["# The shipped scenarios", "", "`amr-sim run NAME` plays one, `amr-sim run --all` all of them."]
    for path in shipped():
        scenario = load(path)
        pages += ["", f"## `{path.stem}`: {scenario.title}", "", scenario.about.strip(), ""]
        pages += [f"* {_sentence(expect)}" for expect in scenario.expects]
    return "\n".join(pages) + "\n"


def _sentence(expect: Expect) -> str:
    """What must hold, as a person would say it."""
    if expect.what in ("incidents", "fixes"):
        number = "exactly" if expect.what == "incidents" else "at least"
        noun = {"incidents": "incident(s)", "fixes": "position(s)"}[expect.what]
        return f"{number} {expect.count} {noun} at the centre"
    if expect.what == "strangers":
        return f"the button lets go of a stranger at least {expect.count} time(s)"
    if expect.what == "refused":
        return f"at least {expect.count} signs of life are refused before press {expect.press} is received"
    what = expect.what.replace("_", " ")
    if expect.what in (*STAGES, "called_off"):
        what = f"press {expect.press} is {what}" + (f" at {expect.who}" if expect.who else "")
    if expect.reason:
        what = f"{expect.who or 'a phone'} tells of `{expect.reason}`"
    if expect.never:
        return f"never: {what}"
    return what + (f" within {expect.within_ms / 1000:g} s" if expect.within_ms else "")


async def run(
    paths: Sequence[Path], *, at_once: int, reports: dict[str, Path], quiet: bool, keep: Path | None = None
) -> int:
    """Play all; the exit code is the verdict. `keep`: where the worlds' files are left. Raises CannotRead."""
    scenarios = [load(path) for path in paths]  # nothing is started before all of them can be read
    for path in reports.values():  # and nobody waits for a report that cannot be written
        if path.is_dir() or not path.parent.is_dir():
            why = "is a folder" if path.is_dir() else f"there is no folder {path.parent}"
            raise CannotRead(f"{path}: {why}")
    room = asyncio.Semaphore(at_once)
    played = await asyncio.gather(
        *(_one(path, scenario, room, quiet, keep) for path, scenario in zip(paths, scenarios, strict=True))
    )
    written = [_write(kind, path, played) for kind, path in reports.items()]
    bad = sum(not one.holds for one in played)
    print(f"{len(played) - bad} of {len(played)} scenario(s) held")
    return BROKEN if bad or not all(written) else HELD


def _write(kind: str, path: Path, played: Sequence[Played]) -> bool:
    """A report; whether it could be written. The others are, all the same."""
    write = {"json": report.as_json, "junit": report.as_junit, "html": report.as_html}[kind]
    try:
        path.write_text(write(played), "utf-8")
    except OSError as error:
        print(f"amr-sim run: {path}: {error.strerror}", file=sys.stderr)
        return False
    return True


async def _one(
    path: Path, scenario: Scenario, room: asyncio.Semaphore, quiet: bool, keep: Path | None
) -> Played:
    async with room:
        print(f"{path.stem}: {scenario.title}", flush=True)
        with contextlib.ExitStack() as stack:
            home = keep / path.stem if keep else Path(stack.enter_context(tempfile.TemporaryDirectory()))
            home.mkdir(parents=True, exist_ok=True)
            try:
                tell = _silent if quiet else _teller(path.stem)
                played = await Play(scenario, path.parent, home, tell).run()
            except (Trouble, NoFaketime, CannotMount) as trouble:
                nothing = Verdict(False, f"it could not be played: {trouble}")
                played = Played(scenario, 0, 0, [], [], [nothing])
        for verdict in played.verdicts:
            if not verdict.holds or not quiet:
                line = f" (line {verdict.line})" if verdict.line else ""
                print(f"{path.stem}: {'holds ' if verdict.holds else 'BROKEN'} {verdict.text}{line}")
        print(f"{path.stem}: {'held' if played.holds else 'BROKEN'}", flush=True)
        return played


def _silent(_happening: Happening) -> None:
    pass


def _teller(name: str) -> Callable[[Happening], None]:
    """Tells a person what happens, as it happens."""
    begun_ms: list[float] = []

    def tell(h: Happening) -> None:
        if h.what in _SAID and h.data.get("event") not in (3, 4, 5):
            begun_ms[:] = begun_ms or [h.at_ms]
            words = " ".join(
                _EVENTS.get((key, h.data[key]), str(h.data[key])) for key in _TOLD if key in h.data
            )
            at = f"{(h.at_ms - begun_ms[0]) / 1000:8.2f} s"
            print(f"{name}: {at}  {h.by:10} {h.what} {words}", flush=True)

    return tell


_EVENTS = {("event", 1): "ALARM", ("event", 2): "TEST"}
_TOLD = ("button", "does", "pattern", "kind", "who", "event", "counter", "reason", "outcome")


def vocabulary() -> list[str]:
    """Every word that a scenario may hold: tables and their keys, acts, faults, what can be expected."""
    keys = [key for table in TABLES.values() for key in table]
    keys += [key for _, own in FAULTS.values() for key in own]
    return list(dict.fromkeys([*filter(None, TABLES), *keys, *ACTS, *FAULTS, *EXPECTS]))
