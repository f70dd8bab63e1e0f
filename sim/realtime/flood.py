"""A flood of heartbeats from other bridges: `python -m sim.realtime.flood HOME CA URL BRIDGES`.

A process of its own, so that the simulated air keeps its time. They are enrolled in the centre's database and
connect; from SIGUSR1 to SIGTERM each sends its next sign as soon as the last is answered, whatever the answer
was. Every second it is told how many were taken and how many refused.
"""

import asyncio
import contextlib
import hashlib
import json
import signal
import ssl
import sys
import time
from collections import Counter
from pathlib import Path

import aiohttp

from centre.platform.home import Home
from centre.rules.registry import Button
from centre.work import buttons
from centre.work.core import Core, open_core

_TELL_S, _KEEP_S = 1.0, 600.0
_TAKEN = 200


def _enrol(core: Core, number: int) -> tuple[str, str]:
    """`(device_id, token)` of one more bridge and its button, which nobody has."""
    digest = hashlib.sha256(f"fleet {number}".encode())
    device_id = digest.hexdigest()[:16].upper().translate(str.maketrans("0189", "GHIJ"))
    code = digest.hexdigest()
    sha256 = hashlib.sha256(code.encode()).hexdigest()
    buttons.import_buttons(core, [Button(device_id, digest.digest(), sha256, "button", "esp32")])
    return device_id, str(buttons.enrol(core, code, None, None)["token"])


def enrol(home: Path, count: int) -> list[tuple[str, str]]:
    core = open_core(Home(home))
    try:
        with core.store.group():
            return [_enrol(core, number) for number in range(count)]
    finally:
        core.store.close()


class HeartbeatFlood:
    def __init__(self, url: str) -> None:
        self._url, self._statuses = url, Counter[int]()

    async def connect(self, session: aiohttp.ClientSession) -> None:
        async with session.get(f"{self._url}/ca.pem") as answer:
            await answer.read()

    async def flood(self, session: aiohttp.ClientSession, device_id: str, token: str) -> None:
        body = {"buttons": [{"device_id": device_id, "in_reach": True}], "phone": {"battery_percent": 80}}
        headers = {"Authorization": f"Bearer {token}"}
        while True:
            with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                async with session.post(f"{self._url}/v1/alive", json=body, headers=headers) as answer:
                    await answer.read()
                    self._statuses[answer.status] += 1

    async def tell(self) -> None:
        while True:
            await asyncio.sleep(_TELL_S)
            taken, refused = self._statuses.pop(_TAKEN, 0), self._statuses.total()
            self._statuses.clear()
            _say("signs", taken=taken, refused=refused)


def _say(what: str, **fields: int) -> None:
    print(json.dumps({"at_ms": time.time() * 1000, "what": what} | fields), flush=True)


async def main(home: Path, ca: Path, url: str, count: int) -> None:
    begun, stopped, loop = asyncio.Event(), asyncio.Event(), asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, begun.set)
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    bridges = await asyncio.to_thread(enrol, home, count)
    trust = ssl.create_default_context(cafile=ca)
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_S, ssl=trust)
    async with aiohttp.ClientSession(connector=connector) as session:
        fleet = HeartbeatFlood(url)
        await asyncio.gather(*(fleet.connect(session) for _ in bridges))
        _say("ready", bridges=count)
        drowning = asyncio.create_task(_drown(fleet, session, bridges, begun))
        await stopped.wait()
        drowning.cancel()
        await asyncio.gather(drowning, return_exceptions=True)


async def _drown(
    fleet: HeartbeatFlood,
    session: aiohttp.ClientSession,
    bridges: list[tuple[str, str]],
    begun: asyncio.Event,
) -> None:
    await begun.wait()
    await asyncio.gather(fleet.tell(), *(fleet.flood(session, *bridge) for bridge in bridges))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
