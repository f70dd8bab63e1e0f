"""A network that comes: Linux says so over netlink, in a network namespace of this test's own."""

import asyncio
import os
import shutil
import subprocess
import sys

import pytest

from bridge.network import SystemNetwork

WATCH = """
import asyncio
from bridge.clock import System
from bridge.network import SystemNetwork

async def main():
    watching = asyncio.create_task(SystemNetwork(System()).run(lambda: print("arrival", flush=True)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # it listens
    print("ready", flush=True)
    await watching

asyncio.run(main())
"""
CABLE = "ip link add name cable type veth peer name plug"
PLUG_IN = "ip address add 192.0.2.5/24 dev cable && ip link set cable up && ip link set plug up"


def _has_namespaces() -> bool:
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "nsenter", "ip"))):
        return False
    command = ["unshare", "--net", *CABLE.split()]
    return subprocess.run(command, capture_output=True).returncode == 0


@pytest.mark.skipif(not _has_namespaces(), reason="only root makes a network namespace, with iproute2")
async def test_a_route_that_appears_is_heard_of() -> None:
    """A cable is plugged in."""
    program = await asyncio.create_subprocess_exec(
        *("unshare", "--net", sys.executable, "-c", WATCH), stdout=asyncio.subprocess.PIPE
    )
    assert program.stdout

    async def inside(command: str) -> None:
        namespace = ["nsenter", "--net", "--target", str(program.pid), "sh", "-c", command]
        await asyncio.to_thread(subprocess.run, namespace, check=True)

    try:
        assert await program.stdout.readline() == b"ready\n"
        await inside(f"{CABLE} && {PLUG_IN}")
        assert await program.stdout.readline() == b"arrival\n"
    finally:
        program.kill()
        await program.wait()


class Clocks:
    """A machine that a test puts to sleep."""

    def __init__(self) -> None:
        self.slept_ms = 0

    def now_ms(self) -> int:
        return 0

    def monotonic_s(self) -> float:
        return asyncio.get_running_loop().time()

    def monotonic_ms(self) -> int:
        return int(self.monotonic_s() * 1000)

    def boottime_ms(self) -> int:
        return self.monotonic_ms() + self.slept_ms


async def test_the_end_of_a_sleep_is_heard_of_each_time() -> None:
    """A lid that was closed for minutes: what waits is sent as soon as it is open."""
    clocks, arrivals = Clocks(), asyncio.Queue[None]()
    watching = asyncio.create_task(
        SystemNetwork(clocks, look_s=0.05, again_s=0.05).run(lambda: arrivals.put_nowait(None))
    )
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # it looks
    for _ in range(2):
        clocks.slept_ms += 120_000
        await arrivals.get()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
