"""One board's way from its access point to the centre: a port on 127.0.0.1, for UDP and for TCP.

What is real stays real: datagrams, connections and TLS. In between lies a router that maps ports and forgets
them, and a network that loses, doubles, reorders and delays; or somebody else's, which answers in the place
of the centre.
"""

import asyncio
import contextlib
import os
import random
import time
import weakref
from collections.abc import Collection, Coroutine
from dataclasses import dataclass
from pathlib import Path

from sim.board import wifi
from sim.board.wifi import Station
from sim.radio.packets import DATAGRAM, LEASE, NAME, STREAM, OnPacket, Packet
from sim.realtime.network import Network, Way

NAT_S = 120  # RFC 4787, REQ-5
FORGETFUL_NAT_S = 2
_REORDER_S = 0.15  # after which one that was held back goes on all the same
_TRIES = 20
_DATAGRAM_BYTES_MAX = 65_535

Address = tuple[str, int]


@dataclass
class Datagrams:
    """What happens to datagrams on their way, each way."""

    loss: float = 0.0
    latency_ms: int = 0
    are_doubled: bool = False
    are_reordered: bool = False
    nat_s: float = NAT_S


@dataclass
class Traffic:
    """What has gone through, both ways."""

    datagrams: int = 0
    datagram_bytes: int = 0
    connections: int = 0
    connection_bytes: int = 0


class Uplink(Network):
    """`https` and `udp`: where the centre listens; `hosts`: the names and numbers under which it is known."""

    def __init__(
        self,
        station: Station,
        https: Address,
        udp: Address,
        hosts: Collection[str],
        home: Path,
        scratch: Path,
        seed: int = 0,
    ) -> None:
        super().__init__(https, home, scratch)
        self._station, self._udp, self._hosts = station, udp, hosts
        self.datagrams = Datagrams()
        self.traffic = Traffic()
        self.latency_ms = 0  # each way, of everything
        self.asked: list[str] = []  # names that somebody was asked for
        self.asked_ms = 0.0  # when, since 1970, the first byte after this was set to 0 came from the board
        self.on_packet: OnPacket | None = None
        self._told = ""
        self._boards: weakref.WeakSet[asyncio.StreamReader] = weakref.WeakSet()
        self._random = random.Random(seed)  # noqa: S311
        self._mappings: dict[Address, _Mapping] = {}
        self._held: list[tuple[asyncio.DatagramTransport, bytes, Address]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._port = 0

    async def open(self) -> int:
        """Take a port that is free for both, and steer the station's sockets there."""
        loop = asyncio.get_running_loop()
        for left in reversed(range(_TRIES)):
            self._port = await super().open()
            try:
                self._transport, _ = await loop.create_datagram_endpoint(
                    lambda: _Inner(self), local_addr=("127.0.0.1", self._port)
                )
                break
            except OSError:
                assert self._server
                self._server.close()
                if not left:
                    raise
        self._station.resolve = self.resolve
        return self._port

    async def close(self) -> None:
        self._station.resolve = None
        self._transport.close()
        for mapping in self._mappings.values():
            mapping.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await super().close()

    async def resolve(self, host: str, _port: int) -> Address | None:
        """Return where on this machine a number or a name leads."""
        is_number = host.replace(".", "").isdigit() or ":" in host
        if not is_number:
            self.asked.append(host)
            self._pass_by(True, NAME, host.encode())
            if self._leads_to() in (None, wifi.DEAD):
                return None
            if self._leads_to() == wifi.CAPTIVE:
                return "127.0.0.1", self._port  # whatever it is asked for, it is that itself
        return ("127.0.0.1", self._port) if is_number or host in self._hosts else None

    def _leads_to(self) -> str | None:
        point = self._station.point
        return point.leads_to if point else None

    def _pass_by(self, is_outward: bool, what: str, data: bytes) -> None:
        """Let whoever owns the router see it, and what DHCP was told by then."""
        if self.on_packet is not None:
            at_ms = asyncio.get_running_loop().time() * 1000
            station = self._station.mac.hex(":")
            if self._station.hostname != self._told:
                self._told = self._station.hostname
                self.on_packet(Packet(at_ms, station, True, LEASE, self._told.encode()))
            self.on_packet(Packet(at_ms, station, is_outward, what, data))

    # -- connections -----------------------------------------------------------------------------------

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        leads_to = self._leads_to()
        if leads_to is None:
            return
        self.asked_ms = self.asked_ms or time.time() * 1000
        self.traffic.connections += 1
        self._boards.add(reader)
        stand_in = {wifi.CAPTIVE: "captive", wifi.TWIN: "foreign"}.get(leads_to, "")
        if stand_in and stand_in not in self._stand_ins:
            self._stand_ins[stand_in] = await self._start(stand_in)
        self.way = Way(latency_ms=self.latency_ms, stand_in=stand_in)
        await self._passable()
        await asyncio.sleep(
            2 * self.latency_ms / 1000
        )  # the handshake of TCP, which is over before we see it
        await super()._carry(reader, writer)

    async def _passable(self) -> None:
        """Wait while nothing comes through: the other side sends it again until something does."""
        while self._leads_to() in (None, wifi.DEAD):  # noqa: ASYNC110  a place has no event for it
            await asyncio.sleep(0.05)

    async def _take(self, source: asyncio.StreamReader) -> bytes:
        chunk = await super()._take(source)
        await self._passable()
        self._pass_by(source in self._boards, STREAM, chunk)
        self.traffic.connection_bytes += len(chunk)
        return chunk

    # -- datagrams -------------------------------------------------------------------------------------

    def from_board(self, data: bytes, board: Address) -> None:
        """Carry a datagram of the board's to the centre."""
        leads_to = self._leads_to()
        self._pass_by(True, DATAGRAM, data)
        if leads_to == wifi.TWIN:
            self._transport.sendto(os.urandom(64), board)  # whatever that is good for
        if leads_to == wifi.INTERNET:
            self.asked_ms = self.asked_ms or time.time() * 1000
            self._later(self._out(data, board))

    async def _out(self, data: bytes, board: Address) -> None:
        mapping = self._mappings.get(board)
        if mapping is None or mapping.is_over(self.datagrams.nat_s):
            if mapping:
                mapping.close()
            mapping = self._mappings[board] = _Mapping(self, board)
            await mapping.open()
        mapping.used()
        await self._carry_datagram(mapping.transport, data, self._udp)

    def from_centre(self, mapping: "_Mapping", data: bytes) -> None:
        """Carry an answer back, where its way is still known."""
        self._pass_by(False, DATAGRAM, data)
        if self._leads_to() == wifi.INTERNET and not mapping.is_over(self.datagrams.nat_s):
            self._later(self._carry_datagram(self._transport, data, mapping.board))

    async def _carry_datagram(self, sink: asyncio.DatagramTransport, data: bytes, to: Address) -> None:
        mood = self.datagrams
        self.traffic.datagrams += 1
        self.traffic.datagram_bytes += len(data)
        if self._random.random() < mood.loss:
            return
        if late_ms := self.latency_ms + mood.latency_ms:
            await asyncio.sleep(late_ms / 1000)
        if mood.are_reordered and not self._held:
            self._held.append((sink, data, to))
            await asyncio.sleep(_REORDER_S)
            self._release()
            return
        for _ in range(1 + mood.are_doubled):
            sink.sendto(data, to)
        self._release()

    def _release(self) -> None:
        held, self._held = self._held, []
        for sink, data, to in held:
            if not sink.is_closing():
                sink.sendto(data, to)

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Inner(asyncio.DatagramProtocol):
    """The side of the board."""

    def __init__(self, uplink: Uplink) -> None:
        self._uplink = uplink

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._uplink.from_board(data, addr)


class _Mapping(asyncio.DatagramProtocol):
    """A port of the router's outer side, for one of the board's."""

    def __init__(self, uplink: Uplink, board: Address) -> None:
        self._uplink, self.board = uplink, board

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self.transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        self.used()

    def used(self) -> None:
        self._used_s = asyncio.get_running_loop().time()

    def is_over(self, nat_s: float) -> bool:
        return asyncio.get_running_loop().time() - self._used_s >= nat_s

    def datagram_received(self, data: bytes, _addr: Address) -> None:
        self._uplink.from_centre(self, data)

    def error_received(self, _exc: Exception) -> None:
        """Nobody listens there just now."""

    def close(self) -> None:
        with contextlib.suppress(AttributeError):  # it was closed while it opened
            self.transport.close()
