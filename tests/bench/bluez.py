"""The bridge on real BlueZ, idle in a busy street: its memory, and its time next to a bare scanner."""

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from sim.bluez.image import NoImage, make
from sim.bluez.vm import Machine
from sim.bluez.vm_world import LinuxWorld, Stranger

_STRANGERS = 21  # every 100 ms and 0 to 10 ms of advDelay: 200 adverts per second
_IDLE_S = 30.0
_RESTARTS_MAX = 10  # three seconds each
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
Row = tuple[str, str, str, str]


def _cpu_s(pid: int) -> float:
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / _TICKS_PER_S


def _resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024 / 1e6


async def _change(strangers: list[Stranger]) -> None:
    """Every second one's advert says something new, ten times per second: BlueZ passes on nothing else."""
    while True:
        for stranger in strangers[1::2]:
            await stranger.change()
        await asyncio.sleep(0.1)


async def _idle(world: LinuxWorld) -> list[Row]:
    floor = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.floor_bluez"),
        env=os.environ | world.machine.environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert floor.stdin
    assert floor.stdout
    assert await floor.stdout.readline() == b"scanning\n"
    changing = asyncio.create_task(_change(await world.add_strangers(_STRANGERS)))
    pids = (world.pid("bridge"), floor.pid)
    await asyncio.sleep(3)
    before = [_cpu_s(pid) for pid in pids]
    await asyncio.sleep(_IDLE_S)
    ours, bare = (_cpu_s(pid) - past for pid, past in zip(pids, before, strict=True))
    memory = [_resident_mb(pid) for pid in pids]
    changing.cancel()
    floor.stdin.close()
    await floor.wait()
    street = (
        f"{_STRANGERS} strangers, 200 adverts/s, of which 100 changes/s; both at once, for {_IDLE_S:.0f} s"
    )
    return [
        (
            "bridge idle on BlueZ, processor",
            f"{ours / bare:.2f}x",
            "<= 1.3x",
            f"{ours:.2f} s; a bare bleak scanner: {bare:.2f} s; {street}",
        ),
        (
            "bridge idle on BlueZ, resident",
            f"{memory[0]:.0f} MB",
            "<= 80 MB",
            f"the bare scanner: {memory[1]:.0f} MB",
        ),
    ]


async def _restarts(world: LinuxWorld, runs: int) -> Row:
    """From the start of a new bluetoothd until the bridge scans."""
    took = []
    for _ in range(min(runs, _RESTARTS_MAX)):
        since = len(world.events)
        await world.machine.run("daemon_dies")
        await world.wait_for(lambda e: e.by == "bridge" and e.what == "trouble", since=since)
        started_s = time.monotonic()
        await world.machine.run("daemon --experimental")
        await world.wait_for(lambda e: e.by == "bridge" and e.what == "scanning", since=since)
        took.append(time.monotonic() - started_s)
        await asyncio.sleep(0.5)
    note = f"median of {len(took)}, the worst {max(took):.1f} s; under QEMU's interpreter of machine code"
    return ("bluetoothd back to scanning", f"{median(took):.1f} s", "<= 5 s", note)


async def _measure(runs: int) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="amr-bench-") as home:
        async with Machine(make(), Path(home)) as machine:
            world = LinuxWorld(Path(home), machine)
            async with world:
                await world.add_centre()
                async with machine.plugged(world.air) as world.radio:
                    await world.watched()
                    found = [*await _idle(world), await _restarts(world, runs)]
                    await world.programs["bridge"].stop()
                    return found


def rows(runs: int) -> list[Row]:
    try:
        return asyncio.run(_measure(runs))
    except NoImage as why:
        return [("bridge on BlueZ", "not measured", "", str(why))]
