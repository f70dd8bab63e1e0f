"""The simulated board's Bluetooth host: how it stops beside a peer that is gone, and how it pairs."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sim.board.nimble import IRQ_CENTRAL_CONNECT, IRQ_CENTRAL_DISCONNECT, Ble
from sim.radio.air import Air

FLAGS = b"\x02\x01\x06"


class Host:
    """A radio whose events are kept."""

    def __init__(self, air: Air, name: str, number: int) -> None:
        self.events: asyncio.Queue[tuple[int, list[Any]]] = asyncio.Queue()
        self.mac = bytes((0, 0, 0, 0, 0, number))
        self.ble = Ble(
            air, name, self.mac, lambda event, values: self.events.put_nowait((event, values)), self.ask
        )
        self.ble.handled = True

    async def ask(self, *_: Any) -> int:
        return 0

    async def wait(self, wanted: int) -> list[Any]:
        while True:
            event, values = await self.events.get()
            if event == wanted:
                return values


@pytest.fixture
async def linked() -> AsyncIterator[tuple[Host, Host, int]]:
    """`(server, client, the server's connection)`."""
    air = Air()
    server, client = Host(air, "server", 1), Host(air, "client", 2)
    await server.ble.active(True)
    await client.ble.active(True)
    await server.ble.gap_advertise(20_000, FLAGS)
    await client.ble.gap_connect(0, server.mac)
    connection = (await server.wait(IRQ_CENTRAL_CONNECT))[0]
    yield server, client, connection
    server.ble.power_off()
    client.ble.power_off()
    await air.close()


async def test_a_stop_waits_for_a_link_whose_peer_is_gone(linked: tuple[Host, Host, int]) -> None:
    """Up to its supervision timeout, and no longer than two seconds, as NimBLE."""
    server, client, _ = linked
    client.ble.power_off()
    since_s = asyncio.get_running_loop().time()
    await server.ble.active(False)
    assert asyncio.get_running_loop().time() - since_s > 1.9


async def test_a_stop_does_not_wait_for_a_link_that_was_let_go_of(linked: tuple[Host, Host, int]) -> None:
    """It is over while the link would still last."""
    server, client, connection = linked
    client.ble.power_off()
    server.ble.gap_disconnect(connection)
    stop = asyncio.ensure_future(server.ble.active(False))
    link_ends = asyncio.ensure_future(asyncio.sleep(1.5))
    done, _ = await asyncio.wait([stop, link_ends], return_when=asyncio.FIRST_COMPLETED)
    assert done == {stop}
    link_ends.cancel()


async def test_a_link_that_was_let_go_of_lasts_until_its_peer_answers(linked: tuple[Host, Host, int]) -> None:
    """A peer that is there answers at once; then the program is told."""
    server, _, connection = linked
    server.ble.gap_disconnect(connection)
    assert (await server.wait(IRQ_CENTRAL_DISCONNECT))[0] == connection
