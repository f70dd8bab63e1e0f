"""The radio: hears adverts, and connects to a button to write and read. The only file that imports bleak.

The scan callback records and signals; it runs for every advert in the street. Platforms differ:
Linux and Windows report every advert, macOS, iOS and Android only those whose service UUID is on a
list, which must be renewed when the expected codes change.
"""

import asyncio
import sys
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from bleak import BleakClient, BleakScanner
from bleak.backends.client import BaseBleakClient
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, BaseBleakScanner
from bleak.exc import BleakBluetoothNotAvailableError

from bridge.ports import LinkLost, OnAdvert, Peer, RadioOff
from bridge.watch import uuid_text
from wire.codes import RECEIPT_XOR, STATE_XOR, characteristic

CONNECT_S_MAX = 10.0
# The button drops who has not written a valid receipt within 5 s.
GATT_S_MAX = 4.0
SCAN_S_MAX = 10.0
CLOSE_S_MAX = 3.0
# Android: five scan starts in 30 s, then silence.
SCAN_STARTS_MAX = 4
SCAN_STARTS_S = 30.0

# bleak's seam for another radio, such as a simulated one.
ScannerBackend = type[BaseBleakScanner]
ClientBackend = type[BaseBleakClient]
T = TypeVar("T")


class BleakRadio:
    """`on_advert(peer, service_uuids, rssi)` is called for each advert, in the loop's thread.

    `scanner` and `client` are bleak backends, None the system's own. `filtered`: scan by a list of
    codes; None lets the platform decide.
    """

    def __init__(
        self,
        on_advert: OnAdvert,
        scanner: ScannerBackend | None = None,
        client: ClientBackend | None = None,
        filtered: bool | None = None,
    ) -> None:
        self._on_advert = on_advert
        self._scanner_backend, self._client_backend = scanner, client
        self.filtered = sys.platform in ("darwin", "ios", "android") if filtered is None else filtered
        self._scanner: BleakScanner | None = None
        self._starts: deque[float] = deque(maxlen=SCAN_STARTS_MAX)

    async def scan(self, codes: Sequence[str]) -> None:
        """Start, or start again with these codes. Raises RadioOff. Waits rather than start too often."""
        if self.filtered and len(self._starts) == SCAN_STARTS_MAX:
            await asyncio.sleep(max(0.0, self._starts[0] + SCAN_STARTS_S - time.monotonic()))
        await self.stop()
        self._starts.append(time.monotonic())
        try:
            scanner = BleakScanner(
                self._advert,
                list(codes) if self.filtered else None,
                # BlueZ would otherwise be silent about a button that it has already reported.
                bluez={"filters": {"DuplicateData": True}},
                backend=self._scanner_backend,
            )
            async with asyncio.timeout(SCAN_S_MAX):
                await scanner.start()
        except BleakBluetoothNotAvailableError as error:
            word = error.reason.name.lower()
            raise RadioOff(
                f"bluetooth_{word}", f"Bluetooth cannot be used: {word.replace('_', ' ')}"
            ) from None
        except Exception as error:  # backends raise what their system gives them: D-Bus, OS, EOF errors
            raise RadioOff("adapter_gone", f"no Bluetooth adapter answers ({type(error).__name__})") from None
        self._scanner = scanner

    async def stop(self) -> None:
        scanner, self._scanner = self._scanner, None
        if scanner is not None:
            await _quietly(scanner.stop(), CLOSE_S_MAX)

    @asynccontextmanager
    async def link(self, peer: Peer, code: bytes, on_lost: Callable[[], None]) -> AsyncGenerator["BleakLink"]:
        """A connection to `peer`, which advertised `code`; `on_lost()` when it is gone. Raises LinkLost."""
        assert isinstance(peer, BLEDevice), "a link is made to whom the scanner reported"
        client = BleakClient(
            peer,
            lambda _: on_lost(),
            services=[uuid_text(code)],
            timeout=CONNECT_S_MAX,
            backend=self._client_backend,
        )
        try:
            await _bounded(client.connect(), CONNECT_S_MAX, "connect")
            yield BleakLink(client, code)
        finally:
            await _quietly(client.disconnect(), CLOSE_S_MAX)

    def _advert(self, peer: BLEDevice, data: AdvertisementData) -> None:
        self._on_advert(peer, data.service_uuids, data.rssi)


class BleakLink:
    """A connection: *receipt* is written, *state* read, both by UUID (BlueZ does not keep their order)."""

    def __init__(self, client: BleakClient, code: bytes) -> None:
        self._client = client
        self._receipt = uuid_text(characteristic(code, RECEIPT_XOR))
        self._state = uuid_text(characteristic(code, STATE_XOR))

    @property
    def is_up(self) -> bool:
        return self._client.is_connected

    async def write_receipt(self, value: bytes) -> None:
        """Returns when the button has answered the write."""
        await _bounded(self._client.write_gatt_char(self._receipt, value, response=True), GATT_S_MAX, "write")

    async def read_state(self) -> bytes:
        return bytes(await _bounded(self._client.read_gatt_char(self._state), GATT_S_MAX, "read"))


async def _bounded(work: Awaitable[T], limit_s: float, what: str) -> T:
    try:
        async with asyncio.timeout(limit_s):
            return await work
    except TimeoutError:
        raise LinkLost(f"{what}_slow") from None
    except Exception:  # a backend's own errors: whatever they are, this link is of no more use
        raise LinkLost(f"{what}_failed") from None


async def _quietly(work: Awaitable[object], limit_s: float) -> None:
    """Let go of something that may be gone already."""
    try:
        async with asyncio.timeout(limit_s):
            await work
    except Exception:
        return
