"""`amr-sim explore`: thousands of random fault schedules in virtual time."""

import argparse
import contextlib
import os
import sys
import time
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from sim.commands.arguments import count as at_least_one
from sim.commands.arguments import seconds

if TYPE_CHECKING:
    from sim.virtual.explore import Found
    from sim.virtual.fault_script import Schedule

OK, BROKEN, USAGE = 0, 1, 2
SAY_EVERY_S = 10.0


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `explore` to the parser."""
    explore = commands.add_parser(
        "explore",
        help="thousands of random fault schedules in virtual time",
        description="Play random schedules of presses and faults in virtual time, on all cores, and stop at "
        "the first promise that breaks: with its seed, the smallest schedule that still breaks it, and the "
        "command that replays it. Exit codes: 0 all promises kept, 1 one is broken, 2 wrong usage.",
    )
    explore.add_argument(
        "--seeds", type=at_least_one, default=1000, metavar="N", help="how many (default 1000)"
    )
    explore.add_argument(
        "--seed", type=_seed, default=1, metavar="S", help="the first of them (default 1); today: by the date"
    )
    explore.add_argument(
        "--minutes",
        type=_minutes,
        default=10.0,
        metavar="M",
        help="of each (default 10, at least 6)",
    )
    explore.add_argument("--for", type=seconds, metavar="S", dest="for_s", help="end after so many seconds")
    explore.add_argument("--cores", type=at_least_one, metavar="N", help="how many to use (default: all)")
    explore.add_argument(
        "--play", metavar="SCHEDULE", help="one, as explore wrote it, or a scenario file, with its trace"
    )
    explore.add_argument(
        "--scenario",
        type=Path,
        metavar="FILE",
        help="where the smallest schedule that breaks goes as a scenario (default broken-SEED.toml, here)",
    )
    explore.set_defaults(run=_run)


def _seed(text: str) -> int:
    """Read a number; `today` is another one every day."""
    return int(date.today().strftime("%Y%m%d00000")) if text == "today" else int(text)


def _minutes(text: str) -> float:
    value = float(text)
    if not 6 <= value <= 600:
        raise argparse.ArgumentTypeError("a schedule lasts 6 to 600 minutes: faults must be over in time")
    return value


def _run(arguments: argparse.Namespace) -> int:
    if arguments.play is None:
        return explore(
            arguments.seeds,
            arguments.seed,
            arguments.minutes,
            arguments.cores,
            arguments.for_s,
            arguments.scenario,
        )
    try:
        return replay(_read(arguments.play))
    except ValueError as error:
        print(f"amr-sim: {error}", file=sys.stderr)
        return USAGE


def _read(text: str) -> "Schedule":
    """Read a schedule in one line, or a scenario file. Raises ValueError with a sentence."""
    from sim.scenarios import files
    from sim.virtual import fault_script, scenario_file

    if text.lstrip().startswith("{"):
        return fault_script.read(text)
    try:
        return scenario_file.as_schedule(files.load_any(files.find(text)))
    except files.CannotRead as error:
        raise ValueError(str(error)) from None


def _write(found: "Found", path: Path) -> None:
    """Write the smallest schedule as a scenario, and say where it is and who plays it."""
    from sim.faults import FAULTS, REAL
    from sim.virtual.scenario_file import as_toml

    title = f"Seed {found.seed}: {found.broken.promise}"
    text = as_toml(found.smallest, title, f"{found.broken.text}; found by amr-sim explore.")
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        print(f"amr-sim: {path}: {error.strerror}", file=sys.stderr)
        return
    faults = {step.what: FAULTS[step.what] for step in found.smallest.steps if step.what in FAULTS}
    virtual = ", ".join(what for what, fault in faults.items() if REAL not in fault.worlds)
    print(f"the same as a scenario file: {path}")
    if virtual:
        print(f"  in virtual time alone, for {virtual}: amr-sim explore --play {path}")
    else:
        print(f"  on real parts: amr-sim run {path}")


def explore(
    count: int,
    first: int,
    minutes: float,
    cores: int | None = None,
    for_s: float | None = None,
    scenario: Path | None = None,
) -> int:
    """Seeds `first` to `first + count - 1`, or as many as fit in `for_s`; the exit code."""
    from sim.virtual.explore import played, smallest
    from sim.virtual.fault_script import BOUND_S

    cores = cores or os.cpu_count() or 1
    print(
        f"{count} schedules of {minutes:g} min from seed {first}, on {cores} core(s); "
        f"bound of delivery after the last fault: {BOUND_S:.0f} s",
        flush=True,
    )
    progress = _Progress(count)
    with contextlib.closing(played(count, first, minutes, cores)) as results:
        for done, seed, broken in results:
            progress.more(done)
            if broken is not None:
                progress.end()
                found = smallest(seed, minutes, broken)
                print(found.told())
                _write(found, scenario or Path(f"broken-{seed}.toml"))
                return BROKEN
            if for_s is not None and progress.spent_s() >= for_s:
                break
    progress.end()
    print(f"all promises kept in {progress.done} schedules ({progress.rate():.0f} a minute)")
    return OK


def replay(schedule: "Schedule") -> int:
    """Play one schedule, print its trace, and return the exit code."""
    from sim.virtual.explore import described
    from sim.virtual.fixture import EPOCH_MS
    from sim.virtual.verdict import judge
    from sim.virtual.world import World

    print("\n".join(described(schedule)))
    world = World(schedule)
    world.run()
    print(world.trace())
    found = judge(world)
    for broken in found:
        print(f"BROKEN at {(broken.at_ms - EPOCH_MS) / 1000:.1f} s: {broken}")
    if not found:
        print("all promises kept")
    return BROKEN if found else OK


class _Progress:
    """One line that is written over on a terminal, one every ten seconds elsewhere."""

    def __init__(self, count: int) -> None:
        self._count, self.done = count, 0
        self._since_s = self._said_s = time.monotonic()
        self._is_terminal = sys.stderr.isatty()

    def more(self, count: int) -> None:
        self.done += count
        now_s = time.monotonic()
        if now_s - self._said_s < (0.3 if self._is_terminal else SAY_EVERY_S):
            return
        self._said_s = now_s
        line = f"{self.done} of {self._count} schedules, {self.rate():.0f} a minute"
        print(
            f"\r{line}   " if self._is_terminal else line,
            end="" if self._is_terminal else "\n",
            file=sys.stderr,
        )
        sys.stderr.flush()

    def rate(self) -> float:
        return self.done * 60 / max(self.spent_s(), 0.001)

    def spent_s(self) -> float:
        return time.monotonic() - self._since_s

    def end(self) -> None:
        if self._is_terminal:
            print(file=sys.stderr)
