"""One schedule, played and judged."""

from sim.judge.promises import Broken
from sim.judge.promises import judge as judge_events
from sim.virtual.fault_script import Schedule
from sim.virtual.fixture import EPOCH_MS
from sim.virtual.world import World


def judge(world: World) -> list[Broken]:
    """Return every promise that a world which has ended broke, the first one first."""
    calm_from_ms = EPOCH_MS + world.schedule.faults_end_s * 1000
    return judge_events(world.events, calm_from_ms).broken


def play(schedule: Schedule) -> list[Broken]:
    """Play a schedule and return every promise that it broke, the first one first."""
    world = World(schedule)
    world.run()
    return judge(world)
