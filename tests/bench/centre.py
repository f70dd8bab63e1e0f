"""The centre next to a no-op handler: the same TLS, keep-alive, bodies and client, in turns, one run.

`amr-centre serve` and the floor are processes of their own on one core, the client is another on the other;
every alarm is a new press with its own code, of many buttons and their bridges.
"""

import asyncio
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from centre.platform import tls
from centre.platform.home import Home
from centre.rules import heartbeats
from centre.rules.registry import Button
from centre.work import buttons
from centre.work.core import open_core
from tests.unit.centre.parts import FIX

Rows = list[tuple[str, str, str, str]]

BUTTONS = 3_000  # of each, by one bridge, 60 presses in an hour are kept: enough for all runs
CONNECTIONS = 128  # each phone has its own: a burst is many of them, each with little to say
BURST_S = 3.0  # of one measurement at full speed
RATE = 500  # alarms per second that must be answered in time
RATE_S = 60.0
CALM_RATE = 50  # alarms per second beside the flood: a country's, many times over
CALM_S = 10.0
TIMES_TOO_MUCH = 10
FLOOD_CONNECTIONS = 400

SERVER_CORE, CLIENT_CORE = 0, max(os.sched_getaffinity(0))


class BenchHome:
    """A centre's home with buttons whose bridges are enrolled, and which press they are at."""

    def __init__(self, path: Path) -> None:
        self.path, self._next = path, 1
        core = open_core(Home(path))
        names = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(BUTTONS)]
        made = [self._button(name) for name in names]
        buttons.import_buttons(core, made)
        self.buttons = [
            {
                "device_id": button.device_id,
                "root": button.root.hex(),
                "token": buttons.enrol(core, name, None, None)["token"],
            }
            for name, button in zip(names, made, strict=True)
        ]
        core.store.close()
        self.ca = tls.development(Home(path)).pem.decode()

    @staticmethod
    def _button(name: str) -> Button:
        device_id = name[:16].upper().translate(str.maketrans("0189", "GHIJ"))
        code_sha256 = hashlib.sha256(name.encode()).hexdigest()
        return Button(device_id, hashlib.sha256(name.encode()).digest(), code_sha256, "button", "esp32")

    def presses(self, count: int) -> int:
        """The first counter of that many new presses."""
        first = self._next
        self._next += -(-count // BUTTONS)
        return first


class Client:
    """Loads run in processes of their own, and start together."""

    def __init__(self, home: BenchHome) -> None:
        self.home = home

    def alarms(self, url: str, *, rate: int, seconds: float, at_most: int = 0) -> dict[str, Any]:
        count = at_most or round(rate * seconds)
        first = self.home.presses(count)
        load = {"path": "/v1/alarms", "ends": False, "fix": FIX, "connections": CONNECTIONS, "first": first}
        return load | self._common(url, rate, seconds, count)

    def signs_of_life(self, url: str, *, rate: int, seconds: float) -> dict[str, Any]:
        load = {"path": "/v1/alive", "ends": True, "connections": FLOOD_CONNECTIONS}
        return load | self._common(url, rate, seconds, round(rate * seconds))

    def _common(self, url: str, rate: int, seconds: float, count: int) -> dict[str, Any]:
        every = {"url": url, "ca": self.home.ca, "buttons": self.home.buttons}
        return every | {"rate": rate, "seconds": seconds, "count": count}

    async def run(self, *loads: dict[str, Any]) -> list[dict[str, Any]]:
        modules = [load.get("module", "tests.bench.load") for load in loads]
        clients = [await _process(module, core=CLIENT_CORE) for module in modules]
        for client, load in zip(clients, loads, strict=True):
            _pipe(client.stdin).write(json.dumps(load).encode() + b"\n")
        for client in clients:
            await _line(client)
        for client in clients:
            _pipe(client.stdin).write(b"go\n")
        results = [json.loads(await _line(client)) for client in clients]
        for client in clients:
            await client.wait()
        return results


async def _process(module: str, *arguments: object, core: int) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *map(str, arguments)),
        stdin=pipe,
        stdout=pipe,
        limit=1 << 26,
        preexec_fn=partial(os.sched_setaffinity, 0, {core}),
    )


def _pipe(stream: Any) -> Any:
    assert stream is not None
    return stream


async def _line(process: asyncio.subprocess.Process) -> bytes:
    line: bytes = await _pipe(process.stdout).readline()
    assert line, "a process of the bench has ended"
    return line


@asynccontextmanager
async def serving(home: BenchHome, *options: str) -> AsyncIterator[tuple[str, str, int]]:
    """The addresses of the centre and of its floor, and the centre's port of datagrams, 0 without one."""
    arguments = ("serve", "--home", home.path, "--port", 0, "--json-log", *options)
    centre = await _process("centre", *arguments, core=SERVER_CORE)
    floor = await _process("tests.bench.floor_centre", home.path, core=SERVER_CORE)
    try:
        listening = json.loads(await _line(centre))
        asyncio.create_task(_drain(centre))  # noqa: RUF006 -- it ends with the process
        floor_url = (await _line(floor)).decode().strip()
        yield str(listening["url"]), floor_url, int(listening.get("direct_port", 0))
    finally:
        for process in (centre, floor):
            process.terminate()
            await process.wait()


async def _drain(process: asyncio.subprocess.Process) -> None:
    while await _pipe(process.stdout).read(1 << 16):
        pass


def p99(times_ms: list[float]) -> float:
    return quantiles(times_ms, n=100)[98]


def _taken(result: dict[str, Any]) -> list[float]:
    assert set(result["statuses"]) == {"201"}, result["statuses"]
    return list(result["times_ms"])


async def throughput(client: Client, url: str, floor_url: str, runs: int) -> Rows:
    ours: list[float] = []
    floor: list[float] = []
    for _ in range(runs):
        for target, rates in ((floor_url, floor), (url, ours)):
            load = client.alarms(target, rate=0, seconds=BURST_S, at_most=round(8000 * BURST_S))
            (result,) = await client.run(load)
            rates.append(len(_taken(result)) / result["took_s"])
    ratio = median(a / b for a, b in zip(ours, floor, strict=True))
    note = f"{median(ours):.0f}/s, each on disk before its answer; no-op handler {median(floor):.0f}/s"
    return [(f"durable alarms next to no-op requests, {runs} runs", f"{ratio:.2f} x", ">= 0.5", note)]


async def latency(client: Client, url: str, seconds: float) -> Rows:
    (result,) = await client.run(client.alarms(url, rate=RATE, seconds=seconds))
    times_ms = _taken(result)
    note = f"median {median(times_ms):.1f} ms, worst {max(times_ms):.0f} ms"
    what = f"99 of 100 alarms answered within, {RATE}/s for {seconds:.0f} s"
    return [(what, f"{p99(times_ms):.0f} ms", "<= 50 ms", note)]


async def flood(client: Client, url: str, runs: int, seconds: float) -> Rows:
    """Pairs: without the flood, with it; the median of their ratios."""
    rate = TIMES_TOO_MUCH * heartbeats.SIGNS_PER_S
    calm, flooded, answered = [], [], []
    for _ in range(runs):
        alarms = partial(client.alarms, url, rate=CALM_RATE, seconds=seconds)
        (without,) = await client.run(alarms())
        beside, signs = await client.run(alarms(), client.signs_of_life(url, rate=rate, seconds=seconds))
        calm.append(p99(_taken(without)))
        flooded.append(p99(_taken(beside)))
        answered.append(sum(signs["statuses"].values()) / signs["took_s"])
    ratio = median(a / b for a, b in zip(flooded, calm, strict=True))
    note = (
        f"{median(flooded):.1f} ms and {median(calm):.1f} ms at {CALM_RATE}/s; {rate} signs/s offered, "
        f"{median(answered):.0f}/s answered"
    )
    what = f"alarm p99 under ten times the signs of life that it takes, {runs} pairs"
    return [(what, f"{ratio:.2f} x", "<= 1.2", note)]


async def _measure(runs: int, seconds: float) -> Rows:
    few = max(1, runs // 6)
    with tempfile.TemporaryDirectory() as path:
        home = BenchHome(Path(path) / "home")
        client = Client(home)
        async with serving(home) as (url, floor_url, _):
            await throughput(client, url, floor_url, 1)  # warm
            found = await throughput(client, url, floor_url, few)
            found += await latency(client, url, seconds)
            found += await flood(client, url, few, CALM_S)
    return found


def rows(runs: int) -> Rows:
    return asyncio.run(_measure(runs, RATE_S if runs >= 30 else 2.0 * runs))


if __name__ == "__main__":
    for row in rows(int(sys.argv[1])):
        print("  ".join(row))
