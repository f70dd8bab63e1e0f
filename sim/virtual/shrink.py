"""The smallest schedule that still breaks a promise: delta debugging (Zeller, 1999) of its steps.

Deterministic: a world is its schedule, so what broke once breaks again. Steps go first, then what is not
usual about the world, then how long each fault lasts.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

from sim.virtual.fault_script import Schedule, Step

PLAYS_MAX = 400


class _Spent(Exception):
    """Small enough: each play takes a moment."""


def shrink(schedule: Schedule, breaks: Callable[[Schedule], bool]) -> Schedule:
    """A part of `schedule` that `breaks` still, and of which nothing can be left out."""
    return _Shrinking(schedule, breaks).smallest()


class _Shrinking:
    def __init__(self, schedule: Schedule, breaks: Callable[[Schedule], bool]) -> None:
        self._best, self._breaks = schedule, breaks
        self._left = PLAYS_MAX

    def smallest(self) -> Schedule:
        try:
            self._fewer_steps()
            for usual in _more_usual(self._best):
                self._try(usual(self._best))
            self._shorter()
            self._fewer_steps()
        except _Spent:
            pass
        return self._best

    def _try(self, schedule: Schedule) -> bool:
        if schedule == self._best:
            return False
        if not self._left:
            raise _Spent
        self._left -= 1
        if not self._breaks(schedule):
            return False
        self._best = schedule
        return True

    def _fewer_steps(self) -> None:
        """ddmin, by leaving out ever smaller parts."""
        parts = 2
        while self._best.steps:
            steps = self._best.steps
            parts = min(parts, len(steps))
            size = -(-len(steps) // parts)
            for start in range(0, len(steps), size):
                if self._try(self._best.with_steps(steps[:start] + steps[start + size :])):
                    parts = max(2, parts - 1)
                    break
            else:
                if size == 1:
                    return
                parts = min(2 * parts, len(steps))

    def _shorter(self) -> None:
        for number, step in enumerate(self._best.steps):
            for shorter in _shorter(step):
                steps = list(self._best.steps)
                steps[number] = shorter
                if self._try(self._best.with_steps(steps)):
                    break


def _shorter(step: Step) -> Iterator[Step]:
    for for_s in (1.0, 5.0, 20.0):
        if step.for_s > for_s:
            yield replace(step, for_s=for_s)


def _more_usual(schedule: Schedule) -> list[Callable[[Schedule], Schedule]]:
    found: list[Callable[[Schedule], Schedule]] = [
        lambda s: replace(s, loss=0.0),
        lambda s: replace(s, fixes=False),
        lambda s: replace(s, filtered=False),
        lambda s: replace(s, repeats=True),
        lambda s: replace(s, alive_period_s=900),
    ]
    names = {step.who for step in schedule.steps}
    if schedule.phones == 2 and not any(name.startswith("bridge-") for name in names):
        found.append(lambda s: replace(s, phones=1))
    if schedule.buttons == 2 and not any(name.startswith("button-") for name in names):
        found.append(lambda s: replace(s, buttons=1))
    return found
