"""The checkers can fail: each seeded bug is found within 1,000 seeds, with a small schedule that shows it."""

import pytest

from sim.virtual.explore import find
from sim.virtual.fault_script import draw
from sim.virtual.verdict import play
from tests.scenario.bugs import BUGS, Bug

SEEDS = 1000
STEPS_MAX = 7  # four strangers, a phone that sleeps, and a press
# Found within a few seeds, and of different parts: these are tried at every `make test`.
QUICK = {
    "a journal without sync",
    "received before the commit",
    "a reused address",
    "a contact that is not fresh",
    "a pulse skipped by a late loop",
}
_SLOW = (pytest.mark.slow, pytest.mark.computes)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "bug",
    [pytest.param(bug, id=bug.name, marks=() if bug.name in QUICK else _SLOW) for bug in BUGS],
)
def test_a_seeded_bug_is_found(bug: Bug) -> None:
    """By one of the promises that it breaks; and without the bug the same schedule breaks none."""
    with bug.seeded():
        found = find(_seeds(bug))
        assert found is not None, f"{bug.name}: not found within {SEEDS} seeds"
        told = found.told()
    print(f"\n{bug.name}\n{told}")
    assert found.broken.promise in bug.breaks, told
    assert len(found.smallest.steps) <= STEPS_MAX, told
    assert play(found.smallest) == []


def _seeds(bug: Bug) -> list[int]:
    """Those whose buttons have a way of their own, or have none: where one mends what the other broke."""
    own_way = [draw(seed).direct != "off" for seed in range(1, 2 * SEEDS + 200)]
    return [seed for seed, has in enumerate(own_way, 1) if has == bug.is_of_own_way][:SEEDS]


def test_there_are_enough_of_them() -> None:
    """At least twelve, each with a name of its own."""
    assert len({bug.name for bug in BUGS}) == len(BUGS) >= 12
