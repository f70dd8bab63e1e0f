"""One schedule, played and judged."""

from sim.judge.promises import Broken, check
from sim.virtual.fault_script import BOUND_S, Schedule
from sim.virtual.fixture import EPOCH_MS
from sim.virtual.world import World


def judge(world: World) -> list[Broken]:
    """Of a world that has ended."""
    calm_from_ms = EPOCH_MS + world.schedule.faults_end_s * 1000
    return check(world.events, calm_from_ms, BOUND_S * 1000)


def play(schedule: Schedule) -> list[Broken]:
    """Every promise that breaks, the first one first."""
    world = World(schedule)
    world.run()
    return judge(world)
