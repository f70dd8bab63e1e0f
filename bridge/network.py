"""The system's word that a network is there again: a route on Linux (rtnetlink(7)), or an end of sleep.

Only a courtesy: where the system says nothing, what waits is tried again in its own time.
"""

import asyncio
import socket
from collections.abc import Callable

from bridge.ports import Clock
from bridge.rules.network_changes import SleepDetector, has_new_route

# Routes come in swarms, and one may come and go all day: nobody is asked more often than that.
AGAIN_S = 2.0
LOOK_S = 2.0
_ROUTE_GROUPS = 0x40 | 0x400  # RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_ROUTE
_DATAGRAM_BYTES_MAX = 65_536
_KERNEL = 0  # the port that only the kernel sends from


class SystemNetwork:
    """This machine's networks; `ports.Network`."""

    def __init__(self, clock: Clock, look_s: float = LOOK_S, again_s: float = AGAIN_S) -> None:
        self._clock, self._look_s, self._again_s = clock, look_s, again_s

    async def run(self, on_arrival: Callable[[], None]) -> None:
        """Call `on_arrival` soon after a network has come, at most every `again_s`, until cancelled."""
        arrival = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen(arrival))
            group.create_task(self._look(arrival))
            while True:
                await arrival.wait()
                arrival.clear()
                on_arrival()
                await asyncio.sleep(self._again_s)

    async def _listen(self, arrival: asyncio.Event) -> None:
        """Listen to the kernel; on other systems, and where that is forbidden, there is nothing to hear."""
        while True:
            try:
                kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
            except (AttributeError, OSError):
                return
            with kernel:
                try:
                    kernel.setblocking(False)
                    kernel.bind((0, _ROUTE_GROUPS))
                    await self._read(kernel, arrival)
                except OSError:  # ENOBUFS: more was said than there was room for
                    arrival.set()
            await asyncio.sleep(self._again_s)

    async def _read(self, kernel: socket.socket, arrival: asyncio.Event) -> None:
        while True:
            datagram, (port, _) = await asyncio.get_running_loop().sock_recvfrom(kernel, _DATAGRAM_BYTES_MAX)
            if port == _KERNEL and has_new_route(datagram):
                arrival.set()

    async def _look(self, arrival: asyncio.Event) -> None:
        """Look now and then whether the machine has slept: its radio has, too, and finds its network anew."""
        detector = SleepDetector(self._clock.monotonic_ms(), self._clock.boottime_ms())
        while True:
            await asyncio.sleep(self._look_s)
            if detector.has_slept(self._clock.monotonic_ms(), self._clock.boottime_ms()):
                arrival.set()
