"""Explored schedules per minute: each ten simulated minutes of the product's own code, judged."""

import time

from sim.virtual.explore import played

_CORES = 2
_FIRST = 70_000


def rows(runs: int) -> list[tuple[str, str, str, str]]:
    count = max(100, 20 * runs)
    since_s = time.monotonic()
    done = sum(number for number, _, _ in played(count, _FIRST, 10, _CORES))
    took_s = time.monotonic() - since_s
    rate = done * 60 / took_s
    note = f"{took_s * _CORES / done * 1000:.0f} ms of a core each, of ten simulated minutes"
    return [(f"explored schedules per minute on two cores, {done} of them", f"{rate:.0f}", ">= 2000", note)]


if __name__ == "__main__":
    print(rows(30))
