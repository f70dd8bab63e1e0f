"""Sealed presses next to HTTPS alarms at the same centre, in turns; and beside junk and check-ins."""

import asyncio
import sys
import tempfile
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from centre.rules import heartbeats
from tests.bench.centre import BURST_S, CALM_RATE, CALM_S, CONNECTIONS, BenchHome, Client, Rows, p99, serving

TIMES_TOO_MUCH = 10
PER_S_MAX = 8000  # more than one core stores


class Buttons(Client):
    """Buttons without a phone: half of them press, the others check in."""

    def datagrams(self, port: int, kind: str, *, rate: int, seconds: float) -> dict[str, Any]:
        """Return a load of frames; `rate` 0: as many as are answered."""
        half = len(self.home.buttons) // 2
        count = round((rate or PER_S_MAX) * seconds)
        # A button of the half has its turn twice as often as the home reckons.
        first = self.home.presses(2 * count)
        load = {"module": "tests.bench.datagrams", "port": port, "kind": kind, "first": first, "count": count}
        own = self.home.buttons[:half] if kind == "press" else self.home.buttons[half:]
        return load | {"buttons": own, "rate": rate, "seconds": seconds, "window": CONNECTIONS}


async def throughput(client: Buttons, url: str, port: int, runs: int) -> Rows:
    """Measure in turns; each press is on disk before its answer."""
    sealed: list[float] = []
    posted: list[float] = []
    for _ in range(runs):
        (result,) = await client.run(client.datagrams(port, "press", rate=0, seconds=BURST_S))
        sealed.append(len(result["times_ms"]) / result["took_s"])
        load = client.alarms(url, rate=0, seconds=BURST_S, at_most=round(PER_S_MAX * BURST_S))
        (result,) = await client.run(load)
        posted.append(len(result["times_ms"]) / result["took_s"])
    ratio = median(a / b for a, b in zip(sealed, posted, strict=True))
    note = f"{median(sealed):.0f}/s and {median(posted):.0f}/s, each on disk before its answer"
    return [(f"durable sealed presses next to HTTPS alarms, {runs} runs", f"{ratio:.2f} x", ">= 2", note)]


async def flood(client: Buttons, port: int, runs: int, seconds: float) -> Rows:
    """Measure pairs: without the flood, with it."""
    rate = TIMES_TOO_MUCH * heartbeats.SIGNS_PER_S
    calm, flooded = [], []
    for _ in range(runs):
        presses = partial(client.datagrams, port, "press", rate=CALM_RATE, seconds=seconds)
        others = [client.datagrams(port, kind, rate=rate, seconds=seconds) for kind in ("junk", "checkin")]
        (without,) = await client.run(presses())
        beside, *_ = await client.run(presses(), *others)
        calm.append(p99(without["times_ms"]))
        flooded.append(p99(beside["times_ms"]))
    ratio = median(a / b for a, b in zip(flooded, calm, strict=True))
    note = f"{median(flooded):.1f} ms and {median(calm):.1f} ms at {CALM_RATE}/s; {rate}/s of each beside it"
    what = f"sealed press p99 under ten times the check-ins and as much junk, {runs} pairs"
    return [(what, f"{ratio:.2f} x", "<= 1.2", note)]


async def _measure(runs: int) -> Rows:
    few = max(1, runs // 6)
    with tempfile.TemporaryDirectory() as path:
        client = Buttons(BenchHome(Path(path) / "home"))
        async with serving(client.home, "--direct-port", "0") as (url, _, port):
            await throughput(client, url, port, 1)  # warm
            found = await throughput(client, url, port, few)
            found += await flood(client, port, few, CALM_S if runs >= 30 else 2.0)
    return found


def rows(runs: int) -> Rows:
    return asyncio.run(_measure(runs))


if __name__ == "__main__":
    for row in rows(int(sys.argv[1])):
        print("  ".join(row))
