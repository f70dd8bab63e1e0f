"""A controller of the air at a pseudo-terminal, for an interpreter that brings its own Bluetooth host: H4."""

import asyncio
import contextlib
import os
import tty
from collections.abc import Callable

from bumble import hci
from bumble.transport.common import PacketParser

from sim.radio.air import Air, OnAir

_READ_BYTES = 4096


class HciPort:
    """One radio between the start and the end of a program; `device` is what its host opens.

    `on_advert` is told of each advert that is another than the one before.
    """

    def __init__(self, air: Air, name: str, mac: bytes, on_advert: Callable[..., None]) -> None:
        self._air, self._name = air, name
        self._on_advert = on_advert
        self._last: tuple[str, str, bytes] | None = None
        self._master, self._slave = (
            os.openpty()
        )  # ours is kept open: the host closes its own, and opens it again
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.device = os.ttyname(self._slave)
        self._controller = air.controller(name)
        self._controller.public_address = hci.Address(mac[::-1], hci.AddressType.PUBLIC_DEVICE)
        self._controller.set_packet_sink(self)
        self._parser = PacketParser()
        self._parser.set_packet_sink(self._controller)
        self._unheed = air.on_advert(self._see)
        asyncio.get_running_loop().add_reader(self._master, self._read)

    def close(self) -> None:
        """Fall silent in the middle of whatever it did."""
        self._unheed()
        self._air.remove(self._controller)
        asyncio.get_running_loop().remove_reader(self._master)
        os.close(self._master)
        os.close(self._slave)
        self._master = -1

    def on_packet(self, packet: bytes) -> None:
        """Bring a packet from the controller to the host; one that nobody reads is lost."""
        if self._master >= 0:
            with contextlib.suppress(BlockingIOError):
                os.write(self._master, packet)

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._parser.feed_data(os.read(self._master, _READ_BYTES))

    def _see(self, seen: OnAir) -> None:
        advert = (seen.kind, seen.address, seen.data)
        if seen.transmitter == self._name and advert != self._last:
            self._last = advert
            connectable = seen.kind == "ADV_IND"
            self._on_advert(connectable=connectable, address=seen.address.lower(), data=seen.data)
