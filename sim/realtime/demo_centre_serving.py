"""The demo centre, seeded and, where asked, served: its phones go on living until Ctrl-C."""

import asyncio
import contextlib
import ssl
import sys
from pathlib import Path

import aiohttp

from centre.app import Running, running
from centre.platform.home import CannotServe, Home
from centre.platform.log import Log, now_ms
from centre.settings import Settings
from sim.realtime import demo_centre, demo_data
from sim.realtime.demo_centre import Holder, NotEmpty

HEARTBEAT_S = 30.0


def run(home: Path, port: int, *, serve: bool) -> int:
    """Seed, and serve; return the exit code: 1 where it cannot be, with a sentence."""
    try:
        holders = demo_centre.seed(home, now_ms())
        pins = f"PIN {demo_centre.PIN}, duress PIN {demo_centre.DURESS_PIN}"
        print(f"{len(holders)} invented cases are in {home}; {pins}")
        if serve:
            with contextlib.suppress(KeyboardInterrupt):
                asyncio.run(_serve(home, port, holders))
        else:
            print(f"serve it: amr-centre serve --home {home}")
            print(f"come in: amr-centre console --home {home} operator")
    except (NotEmpty, CannotServe) as error:
        print(f"amr-sim: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"amr-sim: cannot use {home}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


async def _serve(home: Path, port: int, holders: list[Holder]) -> None:
    log = Log(as_json=False)
    with contextlib.closing(log):
        async with running(Home(home), log=log, settings=Settings(port=port)) as serving:
            print(f"serving at {serving.url}, until Ctrl-C; each of these lets in once, within ten minutes:")
            for role, address in demo_data.entrances(home, serving.url).items():
                print(f"  {role:13} {address}", flush=True)
            await live_on(serving, holders)


async def live_on(serving: Running, holders: list[Holder]) -> None:
    """Send the heartbeats of all phones but the silent one, for ever."""
    context = ssl.create_default_context(cadata=serving.authority.pem.decode())
    connector = aiohttp.TCPConnector(ssl=context)
    async with aiohttp.ClientSession(connector=connector, base_url=serving.url) as session:
        while True:
            for holder in holders:
                if holder.number != demo_centre.SILENT:
                    with contextlib.suppress(
                        aiohttp.ClientError
                    ):  # a centre that is being stopped needs none
                        await send_heartbeat(session, holder)
            await asyncio.sleep(HEARTBEAT_S)


async def send_heartbeat(session: aiohttp.ClientSession, holder: Holder) -> int:
    """Send one; return the status of the answer."""
    body = demo_centre.body_of_heartbeat(holder, int(now_ms()), low=holder.number == demo_centre.LOW)
    headers = {"Authorization": f"Bearer {holder.token}"}
    async with session.post("/v1/alive", json=body, headers=headers) as response:
        return response.status
