"""The network behind a modem's cell: its datagrams go, really, from 127.0.0.1 to where the centre listens."""

import asyncio
import random
from collections.abc import Callable, Coroutine

Address = tuple[str, int]


class Cell:
    """`centre`: where the centre takes datagrams, under whatever numeric address the board knows it."""

    def __init__(self, centre: Address, seed: int = 0) -> None:
        self._centre = centre
        self._random = random.Random(seed)  # noqa: S311 -- loss, not a secret
        self._tasks: set[asyncio.Task[None]] = set()
        self._ports: dict[int, _Port] = {}
        self.latency_ms = 0  # each way
        self.loss = 0.0
        self.is_cut = False
        self.datagrams: list[bytes] = []  # what modems have sent

    def send(self, data: bytes, to: Address, answer: Callable[[bytes], None]) -> None:
        """Carry a datagram out; what comes back to its port goes to `answer`."""
        del to  # one centre, whatever number it goes by
        self.datagrams.append(data)
        self._later(self._out(data, answer))

    async def _out(self, data: bytes, answer: Callable[[bytes], None]) -> None:
        port = _Port(self, answer)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: port, local_addr=("127.0.0.1", 0))
        self._ports[id(port)] = port
        port.transport = transport
        await self._carry(lambda: transport.sendto(data, self._centre))

    async def _carry(self, act: Callable[[], None]) -> None:
        if self.is_cut or self._random.random() < self.loss:
            return
        await asyncio.sleep(self.latency_ms / 1000)
        act()

    def back(self, data: bytes, answer: Callable[[bytes], None]) -> None:
        """Carry an answer in."""
        self._later(self._carry(lambda: answer(data)))

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Let all go."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for port in self._ports.values():
            if port.transport:
                port.transport.close()
        await asyncio.sleep(0)  # a transport closes in the loop's next turn


class _Port(asyncio.DatagramProtocol):
    def __init__(self, cell: Cell, answer: Callable[[bytes], None]) -> None:
        self._cell, self._answer = cell, answer
        self.transport: asyncio.DatagramTransport | None = None

    def datagram_received(self, data: bytes, _addr: Address) -> None:
        self._cell.back(data, self._answer)

    def error_received(self, _exc: Exception) -> None:
        """Nobody listens there just now."""
