"""How soon a sleeping phone hears a press beside four strangers who cannot be let go of, next to none.

In virtual time, the same presses in both: the mean of each, over several seeds.
"""

from statistics import mean

from sim.virtual.fault_script import Schedule, Step
from sim.virtual.fixture import EPOCH_MS
from sim.virtual.world import World

STRANGERS = 4
WANTED = 1.2
_HELD_S, _TAKEN_S = 20.0, 22.0


def heard_s(seed: int, strangers: int) -> float:
    """Return how long after it was taken the phone heard the press."""
    steps = (
        Step(11, "phone_asleep", "bridge", 320),
        *[Step(12, "strangers", "button", 300, "linger")] * strangers,
        Step(_HELD_S, "hold", "button"),
    )
    events = World(Schedule(seed, steps, minutes=2)).run()
    pressed_ms = EPOCH_MS + _TAKEN_S * 1000
    heard_ms = (event.at_ms for event in events if (event.by, event.what) == ("bridge", "heard"))
    return next(at_ms - pressed_ms for at_ms in heard_ms if at_ms > pressed_ms) / 1000


def ratio(runs: int) -> tuple[float, float]:
    """Return the mean with strangers over that without, and the latter in seconds."""
    alone_s = mean(heard_s(seed, 0) for seed in range(runs))
    return mean(heard_s(seed, STRANGERS) for seed in range(runs)) / alone_s, alone_s


def rows(runs: int) -> list[tuple[str, str, str, str]]:
    """Return the row of this measurement."""
    beside, alone_s = ratio(runs)
    what = f"a sleeping phone hears beside {STRANGERS} strangers who stay, over alone, {runs} presses"
    return [
        (
            what,
            f"{beside:.2f}",
            f"<= {WANTED}",
            f"alone: {alone_s:.1f} s after TAKEN, in virtual time",
        )
    ]


if __name__ == "__main__":
    print(rows(30))
