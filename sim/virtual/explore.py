"""Thousands of random schedules, until a promise breaks.

On all cores, each a process that plays schedules one after the other. The first broken promise is the one
with the lowest seed, whoever finds it first, so that the same command says the same.
"""

import gc
import multiprocessing
import shlex
import signal
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import partial

from sim.judge.promises import Broken
from sim.virtual.fault_script import MINUTES, Schedule, draw
from sim.virtual.fixture import EPOCH_MS
from sim.virtual.shrink import shrink
from sim.virtual.verdict import play

CHUNK = 10


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
            return smallest(seed, minutes, broken[0])
    return None


def smallest(seed: int, minutes: float, broken: Broken) -> Found:
    def breaks(schedule: Schedule) -> bool:
        return any(found.promise == broken.promise for found in play(schedule))

    return Found(seed, broken, shrink(draw(seed, minutes), breaks))


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


def _play_chunk(minutes: float, seeds: range) -> _Result:
    gc.set_threshold(50_000, 20, 100)  # a world makes much, and most of it is garbage at its end alone
    for number, seed in enumerate(seeds, 1):
        broken = play(draw(seed, minutes))
        if broken:
            return number, seed, broken[0]
    return len(seeds), seeds[-1], None
