"""The air: radios come onto it by name, in this process or over TCP, and leave it."""

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bumble import core, hci
from bumble.transport.common import PacketParser

from sim.physics.medium import PROFILES, Duty, Medium
from sim.radio.controller import Advert, AirController, AirLink

__all__ = ["Air", "AirController", "Medium", "OnAir"]

HELLO_BYTES_MAX = 256
UNSENT_BYTES_MAX = 1 << 20  # a host that reads no more is unplugged


@dataclass(frozen=True)
class OnAir:
    """One advertising event, heard by somebody or not."""

    transmitter: str
    at_ms: float  # by the air's clock
    event: int
    kind: str  # ADV_IND, ADV_SCAN_IND or ADV_NONCONN_IND
    address: str  # as AA:BB:CC:DD:EE:FF
    data: bytes


def wall_ms() -> float:
    """Milliseconds since 1970, as in every log of this project."""
    return time.time() * 1000


class Air:
    """One air; make it inside a running event loop. `clock` stamps what observers are told, in ms."""

    def __init__(self, medium: Medium | None = None, clock: Callable[[], float] = wall_ms) -> None:
        self.medium = medium or Medium()
        self._clock = clock
        self._observers: list[Callable[[OnAir], None]] = []
        self._servers: list[asyncio.Server] = []
        self._hosts: set[_HciHost] = set()
        self._unplugged: set[str] = set()
        self._link = AirLink(self.medium, self._observe)

    def controller(self, name: str, profile: str | Duty | None = None) -> AirController:
        """A new radio. `profile` (a name from PROFILES, or a Duty) overrules its host's scan duty.

        The seeded chances belong to `name`: two radios of one name at the same time share them.
        """
        duty = PROFILES[profile] if isinstance(profile, str) else profile
        namesakes = sum(other.name == name for other in self._link.controllers)
        return AirController(name, self._link, _public_address(name, namesakes), duty)

    def remove(self, controller: AirController) -> None:
        """Take a radio away without a word: its peers see the supervision timeout (0x08)."""
        self._link.remove_controller(controller)

    def change(self, **changed: Any) -> None:
        """Another medium from now on, as in `change(loss=0.5)`."""
        self.medium = self._link.medium = replace(self.medium, **changed)

    def radio(self, name: str) -> AirController | None:
        """The radio of that name, while it is on the air."""
        return next((one for one in self._link.controllers if one.name == name), None)

    def unplug(self, name: str) -> None:
        """Pull the radio out of its host; until `plug_in` it finds no other."""
        self._unplugged.add(name)
        for host in [host for host in self._hosts if host.name == name]:
            host.abort()

    def plug_in(self, name: str) -> None:
        self._unplugged.discard(name)

    def on_advert(self, observer: Callable[[OnAir], None]) -> Callable[[], None]:
        """Call `observer` with each advertising event; the answer takes it off again."""
        self._observers.append(observer)
        return lambda: self._observers.remove(observer)

    async def serve_hci(self, host: str = "127.0.0.1", port: int = 0) -> tuple[str, int]:
        """Give every TCP client a radio of its own; answers `(host, port)`.

        The client says one line, `name` or `name profile`, then speaks HCI (H4). When its connection
        ends, so does its radio.
        """
        server = await asyncio.get_running_loop().create_server(lambda: _HciHost(self), host, port)
        self._servers.append(server)
        address: tuple[str, int] = server.sockets[0].getsockname()[:2]
        return address

    @asynccontextmanager
    async def plug(self, path: Path, name: str) -> AsyncGenerator[AirController]:
        """While this lasts, who serves the Unix socket `path` has a radio: a machine's serial port, say."""
        loop = asyncio.get_running_loop()
        transport, host = await loop.create_unix_connection(lambda: _HciHost(self), str(path))
        try:
            yield host.join(name)
        finally:
            transport.abort()

    async def close(self) -> None:
        """Take everybody off the air and stop serving."""
        for server in self._servers:
            server.close()
        for client in list(self._hosts):
            client.abort()
        self._link.close()
        for server in self._servers:
            await server.wait_closed()
        self._servers.clear()

    def _observe(self, sender: AirController, advert: Advert) -> None:
        if self._observers:
            address = advert.address.to_string(with_type_qualifier=False)
            seen = OnAir(sender.name, self._clock(), advert.event, advert.kind.name, address, advert.data)
            for observer in list(self._observers):
                observer(seen)


def _public_address(name: str, namesakes: int) -> hci.Address:
    digest = hashlib.blake2b(f"{name} {namesakes}".encode(), digest_size=6).digest()
    return hci.Address(digest, hci.Address.PUBLIC_DEVICE_ADDRESS)


class _HciHost(asyncio.Protocol):
    """One TCP client: a hello line, then H4 both ways."""

    def __init__(self, air: Air) -> None:
        self._air = air
        self._hello = b""
        self._controller: AirController | None = None
        self._parser = PacketParser()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._air._hosts.add(self)

    def data_received(self, data: bytes) -> None:
        if self._controller is None:
            self._hello += data
            line, newline, data = self._hello.partition(b"\n")
            if not newline:
                if len(line) > HELLO_BYTES_MAX:
                    self.abort()
                return
            if not self._greet(line):
                self.abort()
                return
        try:
            self._parser.feed_data(data)
        except core.InvalidPacketError:
            self.abort()

    def _greet(self, line: bytes) -> bool:
        name, _, profile = line.decode(errors="replace").strip().partition(" ")
        if not name or (profile and profile not in PROFILES) or name in self._air._unplugged:
            return False
        self.join(name, profile)
        return True

    @property
    def name(self) -> str:
        return self._controller.name if self._controller else ""

    def join(self, name: str, profile: str = "") -> AirController:
        self._controller = self._air.controller(name, profile or None)
        self._controller.set_packet_sink(self)
        self._parser.set_packet_sink(self._controller)
        return self._controller

    def on_packet(self, packet: bytes) -> None:
        """A packet from the controller to the host."""
        if self._transport.get_write_buffer_size() > UNSENT_BYTES_MAX:
            self.abort()
        elif not self._transport.is_closing():
            self._transport.write(packet)

    def abort(self) -> None:
        self._transport.abort()

    def connection_lost(self, _exc: Exception | None) -> None:
        self._air._hosts.discard(self)
        if self._controller is not None:
            self._air.remove(self._controller)
