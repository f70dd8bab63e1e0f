"""Somebody else's phone, which connects to whatever advertises."""

import asyncio
import contextlib

from bleak import BleakClient, BleakScanner
from bleak.exc import BleakError

from sim.radio.bleak_backend import backends


class Stranger:
    def __init__(self, hci: str, name: str, profile: str = "desktop") -> None:
        """`hci`: where the air serves radios, HOST:PORT; `profile`: how its system scans and lets go."""
        host, _, port = hci.rpartition(":")
        self.scanner, self.client = backends(host, int(port), name, profile)
        self.link: BleakClient | None = None
        self._clinging: asyncio.Task[None] | None = None

    async def connect(self) -> BleakClient:
        """To the first advert that is heard: at once, but for a machine that has much else to do."""
        device = await BleakScanner.find_device_by_filter(lambda *_: True, timeout=60, backend=self.scanner)
        assert device
        self.link = BleakClient(device, backend=self.client)
        await self.link.connect()
        return self.link

    async def let_go(self, within_s: float | None = 5) -> None:
        """Returns when the other side has ended the link. Raises TimeoutError."""
        assert self.link
        async with asyncio.timeout(within_s):
            while self.link.is_connected:  # noqa: ASYNC110  bleak has no event for it
                await asyncio.sleep(0.02)

    def cling(self) -> None:
        """From now on connect, and connect again when let go; until `leave`."""
        self._clinging = asyncio.create_task(self._cling())

    async def _cling(self) -> None:
        while True:
            with contextlib.suppress(BleakError, TimeoutError, AssertionError, OSError):
                await self.connect()
                await self.let_go(None)
            await asyncio.sleep(0.2)

    async def leave(self) -> None:
        if self._clinging:
            self._clinging.cancel()
            await asyncio.gather(self._clinging, return_exceptions=True)
        if self.link:
            await self.link.disconnect()
