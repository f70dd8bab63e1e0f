"""The way to the centre goes wrong as it says it does, and is right again afterwards."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from sim.realtime.network import Network
from tests.unit.centre.parts import centre


@asynccontextmanager
async def way(tmp_path: Path) -> AsyncIterator[tuple[Network, aiohttp.ClientSession, str]]:
    """A centre, the network before it, and a client that trusts the centre's CA alone."""
    async with centre(tmp_path / "home") as (serving, _):
        host, _, port = serving.url.removeprefix("https://").partition(":")
        network = Network((host, int(port)), tmp_path / "home", tmp_path)
        url = f"https://127.0.0.1:{await network.open()}"
        trust = ssl.create_default_context(cadata=serving.authority.pem.decode())
        connector = aiohttp.TCPConnector(ssl=trust, force_close=True)
        timeout = aiohttp.ClientTimeout(total=1)
        try:
            async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
                yield network, session, url
        finally:
            await network.close()


async def status(session: aiohttp.ClientSession, url: str) -> int:
    async with session.get(f"{url}/ca.pem") as answer:
        await answer.read()
        return answer.status


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"is_cut": True}, aiohttp.ClientConnectionError),
        ({"hangs": True}, TimeoutError),
        ({"latency_ms": 2000}, TimeoutError),
        ({"stand_in": "captive"}, aiohttp.ClientConnectorCertificateError),
        ({"stand_in": "foreign"}, aiohttp.ClientConnectorCertificateError),
        ({"stand_in": "expired"}, aiohttp.ClientConnectorCertificateError),
        ({"stand_in": "loses"}, aiohttp.ServerDisconnectedError),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
async def test_what_is_wrong_is_seen_by_who_calls(
    tmp_path: Path, changed: dict[str, object], error: type[Exception]
) -> None:
    """And when it is over, the centre answers again."""
    async with way(tmp_path) as (network, session, url):
        assert await status(session, url) == 200
        await network.set(**changed)
        with pytest.raises(error):
            await status(session, url)
        await network.set(**dict.fromkeys(changed, ""))
        assert await status(session, url) == 200


async def test_a_status_stands_for_every_answer(tmp_path: Path) -> None:
    """With the centre's own certificate: a load balancer without servers."""
    async with way(tmp_path) as (network, session, url):
        await network.set(stand_in="503")
        assert await status(session, url) == 503


async def test_what_is_open_is_cut_off(tmp_path: Path) -> None:
    """A connection that was good does not outlive the network."""
    async with way(tmp_path) as (network, session, url):
        answer = await session.get(f"{url}/openapi.json")
        await network.set(is_cut=True)
        answer.release()
        with pytest.raises(aiohttp.ClientConnectionError):
            await status(session, url)
