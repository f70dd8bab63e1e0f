"""A phone's radio on the virtual air: the bridge's own listening, and links that break."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Protocol

from bleak import BleakScanner

from bridge.ports import LinkLost, OnAdvert, Peer
from bridge.radio.bleak_radio import CONNECT_S_MAX, GATT_S_MAX, BleakRadio
from sim.virtual.ble import Central
from sim.virtual.bluetoothd import Bluetoothd
from sim.virtual.radio_world import Advert, Air
from sim.virtual.time import Loop

CONNECT_S = 0.15
PACKET_S = 0.02
AGAIN_S = 1.0
SUPERVISION_S = 2.0
# A system that repeats reports (BlueZ with DuplicateData, filtered scans): one in so long is looked at.
REPORTS_AGAIN_S = 5.0


class Peripheral(Protocol):
    """Who can be connected to under an address."""

    def connect(self, central: Central, address: str) -> int | None: ...
    def disconnect(self, connection: int) -> None: ...
    def write(self, connection: int, value: bytes) -> bool: ...
    def read(self, connection: int) -> bytes | None: ...


class RadioWorld(Protocol):
    """What the radio asks of its world."""

    def peripheral(self, name: str) -> Peripheral | None: ...
    def wrote(self, phone: str, button: str, value: bytes) -> None:
        """A value is on its way: everybody near can read it."""

    def read(self, button: str, value: bytes) -> None:
        """A phone has read the state of a button, or of whoever passes for it."""


class PhoneRadio(BleakRadio):
    """Belongs to one run of a bridge. How it listens is the bridge's own; its links are the world's."""

    def __init__(
        self,
        name: str,
        loop: Loop,
        air: Air,
        daemon: Bluetoothd,
        world: RadioWorld,
        random: Random,
        on_advert: OnAdvert,
        filtered: bool,
    ) -> None:
        super().__init__(on_advert, daemon.scanner(loop, self), filtered=filtered, scan="passive")
        self._daemon = daemon
        self.bluez = daemon.client(self._lose)
        self._bluez = self.bluez  # type: ignore[assignment]  # as much of it as is asked for
        self._name, self._loop, self._air = name, loop, air
        self._world, self._random = world, random
        self._links: set[VirtualLink] = set()  # type: ignore[assignment]

    def _recall(self, scanner: BleakScanner, adapter: str) -> None:
        """Do nothing: in this world the links of a bridge that was killed are gone."""

    def end(self) -> None:
        """Its process is dead."""
        self._daemon.leave(self)
        self.break_links()

    def break_links(self) -> None:
        for link in list(self._links):
            link.lose()

    def out_of_reach(self) -> None:
        """Something has moved: links end whose other end is too far, after their supervision timeout."""
        for link in list(self._links):
            if not self._air.reaches(link.button, self._name):
                self._loop.call_later(SUPERVISION_S, link.lose)

    @asynccontextmanager
    async def link(  # type: ignore[override]
        self,
        peer: Peer,
        code: bytes,  # noqa: ARG002 -- the port's shape; here a button has one table at a time
        on_lost: Callable[[], None],
    ) -> AsyncGenerator["VirtualLink"]:
        assert isinstance(peer, Advert)
        link = VirtualLink(self, peer.sender.name, on_lost)
        try:
            async with asyncio.timeout(CONNECT_S_MAX):
                while not link.connect(peer.address):  # noqa: ASYNC110 -- as controllers do
                    await asyncio.sleep(AGAIN_S)
                self._links.add(link)
                await asyncio.sleep(CONNECT_S * (0.5 + self._random.random()))
        except TimeoutError:
            raise LinkLost("connect_slow") from None
        except BaseException:
            link.lose()
            raise
        try:
            if not link.is_up:
                raise LinkLost("connect_failed")
            yield link
        finally:
            link.lose()


class VirtualLink:
    """A connection; every wait is one packet's or the bound's."""

    def __init__(self, radio: PhoneRadio, button: str, on_lost: Callable[[], None]) -> None:
        self.button = button
        self._radio, self._on_lost = radio, on_lost
        self._peripheral = radio._world.peripheral(button)
        self._connection: int | None = None

    @property
    def is_up(self) -> bool:
        return self._connection is not None

    def connect(self, address: str) -> bool:
        radio = self._radio
        if (
            radio._daemon.is_gone
            or self._peripheral is None
            or not radio._air.reaches(self.button, radio._name)
        ):
            return False
        if radio._random.random() < radio._air.loss / 2:
            return False
        self._connection = self._peripheral.connect(Central(radio._name, self._ended), address)
        return self._connection is not None

    def end(self) -> None:
        """The adapter is gone."""
        self.lose()

    def lose(self) -> None:
        """From this side, or by the air."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            assert self._peripheral is not None
            self._peripheral.disconnect(connection)
            self._gone()

    def _ended(self) -> None:
        """From the other side."""
        if self._connection is not None:
            self._connection = None
            self._gone()

    def _gone(self) -> None:
        if self in self._radio._links:
            self._radio._links.discard(self)
        if not self._radio._loop.is_dead:
            self._radio._loop.call_soon(self._on_lost)

    async def write_receipt(self, value: bytes) -> None:
        await self._packet("write")
        assert self._peripheral is not None
        self._radio._world.wrote(self._radio._name, self.button, value)
        if self._connection is None or not self._peripheral.write(self._connection, value):
            raise LinkLost("write_failed")
        # NimBLE answers by itself, before the program knows of it; what ends the link comes after that.
        await asyncio.sleep(PACKET_S * self._radio._random.random())

    async def read_state(self) -> bytes:
        await self._packet("read")
        assert self._peripheral is not None
        value = None if self._connection is None else self._peripheral.read(self._connection)
        if value is None:
            raise LinkLost("read_failed")
        self._radio._world.read(self.button, value)
        return value

    async def _packet(self, what: str) -> None:
        """The link layer repeats what is lost, so loss is time here."""
        radio = self._radio
        wait_s = PACKET_S * (0.5 + radio._random.random()) / (1 - min(radio._air.loss, 0.9))
        if not radio._air.reaches(self.button, radio._name):
            wait_s = GATT_S_MAX
        await asyncio.sleep(min(wait_s, GATT_S_MAX))
        if wait_s >= GATT_S_MAX:
            raise LinkLost(f"{what}_slow")
        if self._connection is None:
            raise LinkLost(f"{what}_failed")
