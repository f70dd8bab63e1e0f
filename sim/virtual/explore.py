"""`amr-sim explore`: thousands of random schedules, until a promise breaks.

On all cores, each a process that plays schedules one after the other. The first broken promise is the one
with the lowest seed, whoever finds it first, so that the same command says the same.
"""

import contextlib
import gc
import multiprocessing
import os
import shlex
import signal
import sys
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import partial

from sim.judge.promises import Broken
from sim.virtual.fault_script import BOUND_S, MINUTES, Schedule, draw
from sim.virtual.fixture import EPOCH_MS
from sim.virtual.shrink import shrink
from sim.virtual.verdict import judge, play
from sim.virtual.world import World

OK, BROKEN = 0, 1
CHUNK = 10
SAY_EVERY_S = 10.0


@dataclass(frozen=True)
class Found:
    """The first schedule that broke a promise, and the smallest that still does."""

    seed: int
    broken: Broken
    smallest: Schedule

    def told(self) -> str:
        again = next(one for one in play(self.smallest) if one.promise == self.broken.promise)
        at_s = (again.at_ms - EPOCH_MS) / 1000
        return "\n".join(
            [
                f"BROKEN, with seed {self.seed}: {self.broken.promise}",
                f"  {again.text} (at {at_s:.1f} s)",
                "the smallest schedule that still breaks it:",
                *(f"  {line}" for line in described(self.smallest)),
                "replay it, with all that happens:",
                f"  amr-sim explore --play {shlex.quote(self.smallest.written())}",
            ]
        )


def described(schedule: Schedule) -> list[str]:
    """For people."""
    world = [f"{schedule.minutes:g} min, {schedule.buttons} button(s), {schedule.phones} phone(s)"]
    world += [f"{schedule.loss:.0%} of packets lost"] if schedule.loss else []
    world += ["phones scan by a list of codes"] if schedule.filtered else []
    world += ["phones report an advert once"] if not schedule.repeats else []
    world += ["phones know where they are"] if schedule.fixes else []
    world += [f"a sign of life every {schedule.alive_period_s} s"] if schedule.alive_period_s != 900 else []
    return [", ".join(world), *map(str, schedule.steps)]


def find(seeds: Sequence[int], minutes: float = MINUTES) -> Found | None:
    """In this process: the first of `seeds` that breaks a promise, made as small as it goes."""
    for seed in seeds:
        broken = play(draw(seed, minutes))
        if broken:
            return _smallest(seed, minutes, broken[0])
    return None


def _smallest(seed: int, minutes: float, broken: Broken) -> Found:
    def breaks(schedule: Schedule) -> bool:
        return any(found.promise == broken.promise for found in play(schedule))

    return Found(seed, broken, shrink(draw(seed, minutes), breaks))


def explore(
    count: int, first: int, minutes: float, cores: int | None = None, for_s: float | None = None
) -> int:
    """Seeds `first` to `first + count - 1`, or as many as fit in `for_s`; the exit code."""
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
                print(_smallest(seed, minutes, broken).told())
                return BROKEN
            if for_s is not None and progress.spent_s() >= for_s:
                break
    progress.end()
    print(f"all promises kept in {progress.done} schedules ({progress.rate():.0f} a minute)")
    return OK


def replay(schedule: Schedule) -> int:
    """One schedule with its trace; the exit code."""
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


_Result = tuple[int, int, Broken | None]


def played(count: int, first: int, minutes: float, cores: int) -> Generator[_Result]:
    """`(how many, the last seed, what it broke)`, in the order of the seeds."""
    chunks = [range(seed, min(seed + CHUNK, first + count)) for seed in range(first, first + count, CHUNK)]
    work = partial(_play_chunk, minutes)
    if cores == 1:
        yield from map(work, chunks)
        return
    with multiprocessing.Pool(cores, _begin) as pool:
        yield from pool.imap(work, chunks)


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends us
    gc.set_threshold(50_000, 20, 100)


def _play_chunk(minutes: float, seeds: range) -> _Result:
    for number, seed in enumerate(seeds, 1):
        broken = play(draw(seed, minutes))
        if broken:
            return number, seed, broken[0]
    return len(seeds), seeds[-1], None


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
