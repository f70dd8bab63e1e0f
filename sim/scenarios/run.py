"""Scenarios are read, all of them, then played, told as they go, and judged."""

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from sim.judge.events import WorldEvent
from sim.realtime.clock import NoFaketime
from sim.realtime.small_disk import CannotMount
from sim.realtime.world import Trouble
from sim.scenarios import report
from sim.scenarios.expectations import Verdict
from sim.scenarios.files import CannotRead, load
from sim.scenarios.model import Scenario
from sim.scenarios.play import Play, Played
from sim.scenarios.sentences import words

HELD, BROKEN = 0, 1
_TOLD_OF = (
    *("told", "has done", "does not believe the webhook"),
    *("acts", "felt", "called off", "fault_begins", "fault_ends"),
    *("heard", "received", "acknowledged", "dispatched", "closed", "called_off", "trouble"),
)


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
    """Write a report, and return whether it could be written; the others are written all the same."""
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
                print(f"{path.stem}: {_mark(verdict)} {verdict.text}{line}")
        print(f"{path.stem}: {'held' if played.holds else 'BROKEN'}", flush=True)
        return played


def _mark(verdict: Verdict) -> str:
    if not verdict.holds:
        return "BROKEN"
    return "holds " if verdict.is_seen else "unseen"


def _silent(_happening: WorldEvent) -> None:
    pass


def _teller(name: str) -> Callable[[WorldEvent], None]:
    """Return what tells a person of each event, as it happens; times count from the play's beginning."""
    begun_ms: list[float] = []

    def tell(e: WorldEvent) -> None:
        if (e.by, e.what) == ("world", "begins"):
            begun_ms.append(e.at_ms)
        if begun_ms and e.what in _TOLD_OF and e.data.get("event") not in (3, 4, 5):
            at = f"{(e.at_ms - begun_ms[0]) / 1000:8.2f} s"
            print(f"{name}: {at}  {e.by:10} {words(e)}", flush=True)

    return tell
