"""The radio: hears adverts, and connects to a button to write and read. The only file that imports bleak.

The scan callback records and signals; it runs for every advert in the street. Platforms differ:
Linux and Windows report every advert, macOS, iOS and Android only those whose service UUID is on a
list, which must be renewed when the expected codes change.

How it listens is its `mode`. "passive" (BlueZ with advertisement monitors): nothing is sent, and each
change of an advert is reported at once. "active" (BlueZ without them, Windows): scan responses are asked
for. "filtered": by the list.
"""

import asyncio
import sys
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from bleak import BleakClient, BleakScanner
from bleak.args.bluez import BlueZScannerArgs, OrPattern
from bleak.assigned_numbers import AdvertisementDataType
from bleak.backends.client import BaseBleakClient
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, BaseBleakScanner
from bleak.exc import BleakBluetoothNotAvailableError, BleakDBusError

from bridge.ports import LinkLost, OnAdvert, Peer, RadioOff
from bridge.rules.expected_codes import uuid_text
from wire.codes import RECEIPT_XOR, STATE_XOR, characteristic

if TYPE_CHECKING:
    from bridge.radio.bluez import Bluez

CONNECT_S_MAX = 10.0
CONNECT_TRIES_MAX = 3
# The button drops who has not written a valid receipt within 5 s.
GATT_S_MAX = 4.0
SCAN_S_MAX = 10.0
# So many starts on end that failed, and another adapter is tried, if there is one.
FAILURES_MAX = 2
CLOSE_S_MAX = 3.0
# Android: five scan starts in 30 s, then silence.
SCAN_STARTS_MAX = 4
SCAN_STARTS_S = 30.0
# While BlueZ discovers, it connects to whom the controller reports anew; but the controller reports each
# advert once per discovery, which lasts 10.24 s, and the button may be gone by then.
NUDGE_FIRST_S = 0.15
NUDGE_S = 1.0
SERVICES_AGAIN_S = 0.05
# A press advertises for 330 s under one address; after that nobody calls from there again.
MET_S = 600.0
# Every advert of ours begins with flags, LE General Discoverable and no BR/EDR (wire/SPEC.md, "Advert"). One
# pattern for all: BlueZ 5.66 with eight patterns, one to a code, heard nothing and raised nothing.
OUR_FLAGS = OrPattern(0, AdvertisementDataType.FLAGS, b"\x06")

# bleak's seam for another radio, such as a simulated one.
ScannerBackend = type[BaseBleakScanner]
ClientBackend = type[BaseBleakClient]
T = TypeVar("T")


class BleakRadio:
    """Hears adverts and connects to buttons.

    `on_advert(peer, service_uuids, rssi)` is called for each advert, in the loop's thread.

    `scanner` and `client` are bleak backends, None the system's own. `filtered`: scan by a list of
    codes; None lets the platform decide. `scan`: "active" or "passive" where BlueZ has both ("auto").
    `adapter`: the one of BlueZ to use, by name or address; empty: any. `scan_s_max`: the longest start.
    """

    def __init__(
        self,
        on_advert: OnAdvert,
        scanner: ScannerBackend | None = None,
        client: ClientBackend | None = None,
        filtered: bool | None = None,
        scan: str = "auto",
        adapter: str = "",
        scan_s_max: float = SCAN_S_MAX,
    ) -> None:
        self._on_advert, self._wish = on_advert, scan
        self._scanner_backend, self._client_backend = scanner, client
        if filtered is None:  # a backend may know of a system that hands over only what was listed
            filtered = getattr(scanner, "listed_only", sys.platform in ("darwin", "ios", "android"))
        self.filtered = filtered
        self.mode = "filtered" if self.filtered else "active"
        self._scanner: BleakScanner | None = None
        self._scanning = asyncio.Lock()
        self._starts: deque[float] = deque(maxlen=SCAN_STARTS_MAX)
        self._heard = 0  # adverts since the scan began
        self._is_unsure = False  # a start or stop had no good answer: what the system does now is not known
        self._scan_s_max = scan_s_max
        self._failures = 0  # starts on end that failed
        self._off: RadioOff | None = None
        self._off_signal = asyncio.Event()
        self._links: set[BleakLink] = set()
        self._closing: dict[str, asyncio.Task[None]] = {}
        self._met: dict[str, float] = {}  # BlueZ's object of a button -> when its link ended
        self._nudging: set[asyncio.Task[None]] = set()
        self._bluez: Bluez | None = None
        if sys.platform == "linux" and scanner is None:
            from bridge.radio import bluez  # dbus_fast is on Linux alone

            self._bluez = bluez.Bluez(self._lose, adapter)

    # -- listening ----------------------------------------------------------------------------

    async def scan(self, codes: Sequence[str]) -> None:
        """Start, or start again with these codes. Raises RadioOff. Waits rather than start too often.

        On Linux an adapter that is off is switched on, and a bluetoothd that starts is waited for.
        """
        if self.filtered and len(self._starts) == SCAN_STARTS_MAX:
            now_s = asyncio.get_running_loop().time()
            await asyncio.sleep(max(0.0, self._starts[0] + SCAN_STARTS_S - now_s))
        async with self._scanning:
            await self._stop_scanner()
            if self._is_unsure:
                await self._begin_afresh()
            self._starts.append(asyncio.get_running_loop().time())
            self._off_signal.clear()
            scanner = await self._make_scanner(codes)
            await self._start(scanner)
            self._scanner, self._heard = scanner, 0
            if self._bluez is not None:
                self._bluez.began(self.mode == "active")
                self._recall(scanner, self._bluez.adapter)

    async def _make_scanner(self, codes: Sequence[str]) -> BleakScanner:
        bluez = BlueZScannerArgs()
        if self._bluez is not None:
            adapter = await self._bluez.ready()
            # Monitors that heard nothing since the last start: there are kernels and controllers on which
            # they hear nothing ever. So the other way is tried, in turn.
            mute = self.mode == "passive" and not self._heard and self._wish == "auto"
            passive = adapter.passive and not mute and self._wish != "active"
            self.mode = "passive" if passive else "active"
            bluez["adapter"] = adapter.name
        if self.mode == "passive":
            bluez["or_patterns"] = [OUR_FLAGS]
        else:
            # BlueZ would otherwise be silent about a button that it has already reported.
            bluez["filters"] = {"DuplicateData": True}
        return BleakScanner(
            self._advert,
            list(codes) if self.filtered else None,
            "passive" if self.mode == "passive" else "active",
            bluez=bluez,
            backend=self._scanner_backend,
        )

    async def _start(self, scanner: BleakScanner) -> None:
        """Start a scan, and remember if that had no good answer. Raises RadioOff."""
        self._is_unsure = True  # also if this is cancelled
        try:
            async with asyncio.timeout(self._scan_s_max):
                await scanner.start()
        except Exception as error:  # backends raise what their system gives them: D-Bus, OS, EOF errors
            self._failures += 1
            if self._bluez is not None and self._failures % FAILURES_MAX == 0:
                self._bluez.pass_over()
            raise self._why(error) from None
        self._is_unsure, self._failures = False, 0

    def _why(self, error: Exception) -> RadioOff:
        if isinstance(error, BleakBluetoothNotAvailableError):
            word = error.reason.name.lower()
            return RadioOff(f"bluetooth_{word}", f"Bluetooth cannot be used: {word.replace('_', ' ')}")
        if self._bluez is not None:
            from bridge.radio import bluez

            if isinstance(error, TimeoutError):
                return bluez.radio_off("bluetooth_silent")
            if isinstance(error, BleakDBusError):
                return bluez.error_off(error.dbus_error)
        return RadioOff("adapter_gone", f"no Bluetooth adapter answers ({type(error).__name__})")

    async def _stop(self, scanner: BleakScanner) -> None:
        """Stop a scan, and remember if that had no good answer."""
        self._is_unsure = True
        if await _quietly(scanner.stop(), CLOSE_S_MAX):
            self._is_unsure = False

    async def _begin_afresh(self) -> None:
        """Have BlueZ forget what it was doing for us: leave the bus as bleak has it.

        A StartDiscovery that is answered late, or never, is carried out all the same, and every later one is
        then refused, InProgress (src/adapter.c: "Every client can only start one discovery"): bleak does not
        know of the discovery, so it does not stop it (bleak#1628, bluez#367). BlueZ ends it when the client
        that wished for it has left; bleak comes back under another name. Links end by that: where there are
        any, the discovery is first ended by a word of bleak's own connection.
        """
        self._is_unsure = False
        if self._bluez is not None:
            await self._bluez.forget_discovery(_bleaks_bus(), keeps_links=bool(self._links or self._nudging))

    async def power_cycle(self) -> bool:
        """Switch an adapter off and on that hears nothing; return whether that was possible."""
        if self._bluez is None:
            return False
        async with self._scanning:
            await self._stop_scanner()
            self._is_unsure = True
            try:
                was_cycled = await self._bluez.power_cycle()
            except RadioOff:  # the scan that follows says why
                return False
            self._bluez.pass_over()
            return was_cycled

    def _recall(self, scanner: BleakScanner, adapter: str) -> None:
        """Report whom a bridge that was killed has left connected: BlueZ will not tell of them."""
        from bleak_retry_connector import restore_discoveries_sync  # late: on Linux it wants dbus_fast

        restore_discoveries_sync(scanner, adapter)
        for peer, data in scanner.discovered_devices_and_advertisement_data.values():
            if peer.details["props"].get("Connected"):
                self._on_advert(peer, data.service_uuids, data.rssi)

    async def lost(self) -> RadioOff:
        """Return when the radio is known to listen no more, with why; where nothing tells it, never."""
        await self._off_signal.wait()
        assert self._off is not None
        return self._off

    def _lose(self, why: RadioOff) -> None:
        """Tell that the radio is gone, and end the links: whoever was killed closes none."""
        self._off = why
        self._off_signal.set()
        if why.reason != "scan_ended":
            for link in list(self._links):
                link.end()

    async def stop(self) -> None:
        """End the scan and let go of all links."""
        async with self._scanning:
            await self._stop_scanner()
        if self._closing:
            await asyncio.wait(self._closing.values())
        await _quietly(self._forget_met(0), CLOSE_S_MAX)
        if self._bluez is not None:
            self._bluez.close()

    async def _stop_scanner(self) -> None:
        if self._bluez is not None:
            self._bluez.forget()
        scanner, self._scanner = self._scanner, None
        if scanner is not None:
            await self._stop(scanner)

    def _advert(self, peer: BLEDevice, data: AdvertisementData) -> None:
        self._heard += 1
        self._on_advert(peer, data.service_uuids, data.rssi)

    # -- connecting ---------------------------------------------------------------------------

    @asynccontextmanager
    async def link(self, peer: Peer, code: bytes, on_lost: Callable[[], None]) -> AsyncGenerator["BleakLink"]:
        """Connect to `peer`, which advertised `code`; call `on_lost()` when it is gone. Raises LinkLost."""
        assert isinstance(peer, BLEDevice), "a link is made to whom the scanner reported"
        if closing := self._closing.get(peer.address):
            await asyncio.wait([closing])
        self._met.pop(_object(peer), None)
        clients: list[BleakClient] = []
        link = None
        try:
            async with self._nudged():
                client = await _bounded(self._connect(peer, code, on_lost, clients), CONNECT_S_MAX, "connect")
            link = BleakLink(client, code, on_lost)
            self._links.add(link)
            yield link
        finally:
            if link is not None:
                self._links.discard(link)
            if clients:
                self._let_go(peer, clients)

    async def _connect(
        self, peer: BLEDevice, code: bytes, on_lost: Callable[[], None], clients: list[BleakClient]
    ) -> BleakClient:
        """Return the last of `clients`, all of which are to be let go."""

        def make(*arguments: Any, **options: Any) -> BleakClient:
            clients.append(BleakClient(*arguments, **options))
            return clients[-1]

        from bleak_retry_connector import establish_connection  # late: on Linux it wants dbus_fast

        for _ in range(CONNECT_TRIES_MAX):
            client = await establish_connection(
                make,  # type: ignore[arg-type]  # called as the class would be
                peer,
                "button",
                lambda _: on_lost(),
                max_attempts=CONNECT_TRIES_MAX,
                use_services_cache=False,  # a code's table is used once
                services=[uuid_text(code)],
                backend=self._client_backend,
            )
            if self._bluez is None or client.services.services:
                break
            # bluetoothd 5.66 says now and then that the services are resolved before it says which they
            # are, and bleak finds none. A new client takes over the connection, and finds them.
            await asyncio.sleep(SERVICES_AGAIN_S)
        return client

    @asynccontextmanager
    async def _nudged(self) -> AsyncGenerator[None]:
        """Begin an active BlueZ discovery again and again, for its reports, while this lasts."""
        if self._bluez is None or self.mode != "active":
            yield
            return
        is_connected = asyncio.Event()
        nudging = asyncio.create_task(self._nudge(is_connected))
        self._nudging.add(nudging)
        nudging.add_done_callback(self._nudging.discard)
        try:
            yield
        finally:
            is_connected.set()  # and not cancelled: half of a restart would be no scan

    async def _nudge(self, is_connected: asyncio.Event) -> None:
        pause_s = NUDGE_FIRST_S
        while not await _is_set_within(is_connected, pause_s):
            pause_s = NUDGE_S
            async with self._scanning:
                if self._scanner is not None and not self._off_signal.is_set():
                    await self._stop(self._scanner)
                    try:
                        await self._start(self._scanner)
                    except RadioOff as off:
                        self._lose(RadioOff("scan_ended", str(off)))

    def _let_go(self, peer: BLEDevice, clients: Sequence[BleakClient]) -> None:
        """Disconnect in the background: it takes BlueZ two seconds, and the next button does not wait."""
        if path := _object(peer):
            self._met[path] = time.monotonic()
        closing = asyncio.get_running_loop().create_task(self._part(clients))
        self._closing[peer.address] = closing
        closing.add_done_callback(lambda done: self._parted(peer.address, done))

    async def _part(self, clients: Sequence[BleakClient]) -> None:
        await asyncio.gather(*(_quietly(client.disconnect(), CLOSE_S_MAX) for client in clients))
        await self._forget_met(MET_S)

    def _parted(self, address: str, done: asyncio.Task[None]) -> None:
        if self._closing.get(address) is done:
            del self._closing[address]

    async def _forget_met(self, age_s: float) -> None:
        """Have BlueZ forget whom it connected to: it keeps them for ever, and an address is used once."""
        for path, since_s in list(self._met.items()):
            if self._bluez is not None and time.monotonic() - since_s >= age_s:
                del self._met[path]
                await _quietly(self._bluez.remove(path), CLOSE_S_MAX)


class BleakLink:
    """A connection; *receipt* and *state* are found by their UUIDs, for BlueZ does not keep their order."""

    def __init__(self, client: BleakClient, code: bytes, on_lost: Callable[[], None]) -> None:
        self._client, self._on_lost = client, on_lost
        self._ended = False
        self._receipt = uuid_text(characteristic(code, RECEIPT_XOR))
        self._state = uuid_text(characteristic(code, STATE_XOR))

    @property
    def is_up(self) -> bool:
        return self._client.is_connected and not self._ended

    def end(self) -> None:
        """Count it as lost: the adapter is gone, and so is what hung on it."""
        self._ended = True
        self._on_lost()

    async def write_receipt(self, value: bytes) -> None:
        """Return when the button has answered the write. Raises LinkLost."""
        await _bounded(self._client.write_gatt_char(self._receipt, value, response=True), GATT_S_MAX, "write")

    async def read_state(self) -> bytes:
        return bytes(await _bounded(self._client.read_gatt_char(self._state), GATT_S_MAX, "read"))


def _bleaks_bus() -> Any:
    """Return the connection to D-Bus that bleak has for this loop; None where it has none."""
    from bleak.backends.bluezdbus import manager

    bleaks = manager._global_instances.get(asyncio.get_running_loop())
    return None if bleaks is None else bleaks._bus


def _object(peer: BLEDevice) -> str:
    """Return BlueZ's object path of `peer`; empty elsewhere."""
    return str(peer.details.get("path", "")) if isinstance(peer.details, dict) else ""


async def _is_set_within(event: asyncio.Event, limit_s: float) -> bool:
    try:
        async with asyncio.timeout(limit_s):
            return await event.wait()
    except TimeoutError:
        return False


async def _bounded(work: Awaitable[T], limit_s: float, what: str) -> T:
    try:
        async with asyncio.timeout(limit_s):
            return await work
    except TimeoutError:
        raise LinkLost(f"{what}_slow") from None
    except Exception:  # a backend's own errors: whatever they are, this link is of no more use
        raise LinkLost(f"{what}_failed") from None


async def _quietly(work: Awaitable[object], limit_s: float) -> bool:
    """Let go of something that may be gone already; return whether it went well."""
    try:
        async with asyncio.timeout(limit_s):
            await work
    except Exception:
        return False
    return True
