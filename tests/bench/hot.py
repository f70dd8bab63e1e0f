"""From an advert to the alarm's bytes at the centre's socket: journal commit and TLS handshake included.

The bridge's own parts, from the scan callback on; its journal is a file on this disk. Floor: the same
bytes under the same TLS, with nothing to look up, nothing to keep and a connection that is new as well.
"""

import asyncio
import random
import tempfile
import threading
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median

from aiohttp import web

from bridge.centre.client import Centre
from bridge.ports import Link, OnAdvert, Peer, RadioOff
from bridge.rules.expected_codes import uuid_text
from bridge.store.journal import Journal
from bridge.tasks.relay import Relay
from tests.unit.bridge.parts import TOKEN, Authority, TestCentre, device, serve
from wire.codes import ALARM, code
from wire.keys import Mac


class _Street:
    """A radio on which nobody answers; adverts come from the bench."""

    filtered = False
    mode = "active"
    address = "C0:00:00:00:00:01"

    async def scan(self, codes: Sequence[str]) -> None: ...

    async def stop(self) -> None: ...

    async def power_cycle(self) -> bool:
        return False

    async def lost(self) -> RadioOff:
        await asyncio.Event().wait()
        raise AssertionError

    @asynccontextmanager
    async def link(
        self,
        peer: Peer,  # noqa: ARG002
        code: bytes,  # noqa: ARG002
        on_lost: Callable[[], None],  # noqa: ARG002
    ) -> AsyncGenerator[Link]:
        await asyncio.Event().wait()
        yield  # type: ignore[misc]


class _Socket:
    """A centre in a thread of its own, that notes when a post's first bytes are there."""

    def __init__(self) -> None:
        self.authority = Authority()
        self.arrived_s: list[float] = []
        self.url = ""
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait()

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        centre = TestCentre()
        taken = centre.routes[("POST", "/v1/alarms")]

        async def alarm(request: web.Request) -> web.StreamResponse:
            self.arrived_s.append(time.perf_counter())
            return await taken(request)

        routes = {**centre.routes, ("POST", "/v1/alarms"): alarm}
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with serve(self.authority, routes) as self.url:
            self._ready.set()
            await self._stop.wait()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()


async def _ours(home: Path, socket: _Socket, runs: int) -> list[float]:
    own = device(1)
    street = _Street()
    heard: list[OnAdvert] = []

    def radio(on_advert: OnAdvert) -> _Street:
        heard.append(on_advert)
        return street

    stop = asyncio.Event()
    times_ms = []
    async with Centre(socket.url, socket.authority.pem.decode()) as centre:
        journal = Journal(home / "journal.sqlite")
        relay = Relay([own], journal=journal, centre=centre, radio=radio, log=_silent, random=random.random)
        task = asyncio.create_task(relay.run(stop))
        await asyncio.sleep(0.5)
        for counter in range(1, runs + 1):
            uuid = uuid_text(code(Mac(own.k_code), ALARM, counter))
            count, since_s = len(socket.arrived_s), time.perf_counter()
            heard[0](street, [uuid], -60)
            while len(socket.arrived_s) == count:  # noqa: ASYNC110 -- it grows in another thread
                await asyncio.sleep(0.0005)
            times_ms.append((socket.arrived_s[count] - since_s) * 1000)
            await asyncio.sleep(0.1)
        stop.set()
        await task
    return times_ms


async def _floor(socket: _Socket, runs: int) -> list[float]:
    times_ms = []
    own = device(1)
    body = {"device_id": own.device_id, "event": ALARM, "counter": 9000, "path": "ble"}
    body |= {"code": code(Mac(own.k_code), ALARM, 9000).hex()}
    async with Centre(socket.url, socket.authority.pem.decode()) as centre:
        for _ in range(runs):
            count, since_s = len(socket.arrived_s), time.perf_counter()
            await centre.post_alarm(TOKEN, body)
            times_ms.append((socket.arrived_s[count] - since_s) * 1000)
            await asyncio.sleep(0.1)
    return times_ms


def _silent(what: str, **fields: object) -> None: ...


def rows(runs: int) -> list[tuple[str, str, str, str]]:
    socket = _Socket()
    try:
        with tempfile.TemporaryDirectory() as home:
            ours = asyncio.run(_ours(Path(home), socket, runs))
            floor = asyncio.run(_floor(socket, runs))
    finally:
        socket.close()
    ratio = median(ours) / median(floor)
    note = f"{ratio:.2f} x the same post alone ({median(floor):.1f} ms: TLS handshake and bytes)"
    what = f"advert to the alarm's bytes at the centre, journal commit included, {len(ours)} runs"
    return [(what, f"{median(ours):.1f} ms", "<= 10 ms", note)]


if __name__ == "__main__":
    print(rows(30))
