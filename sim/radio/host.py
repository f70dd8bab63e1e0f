"""A phone's Bluetooth adapter: Bumble's host, speaking HCI over TCP to a radio on the air.

What an operating system does between its applications and the controller: one scan for all scanners,
one connection attempt for all that want to connect, links that end by themselves.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakError,
    BleakGATTProtocolError,
)
from bumble import att, core, hci
from bumble.device import Connection, Device, DeviceConfiguration
from bumble.transport.common import PacketParser, TransportLostError

from sim.physics.scan_profiles import PROFILES
from sim.radio.controller import LeanHost

_T = TypeVar("_T")

OPEN_TIMEOUT_S = 5.0
COMMAND_TIMEOUT_S = 5.0  # a controller that takes longer for a command is broken
HANG_UP_TIMEOUT_S = 2.0
SEEN_MAX = 1024
WANTED_MAX = 8  # what the controller's filter accept list holds

# Linux's defaults (net/bluetooth/hci_core.h and .c), in HCI units.
SCAN_SLOTS = 0x12  # discovery: 11.25 ms window in 11.25 ms, always listening
CONNECT_SCAN_SLOTS = 0x60
INTERVAL_MIN, INTERVAL_MAX = 0x18, 0x28  # x 1.25 ms
SUPERVISION, SUPERVISION_MAX = 0x2A, 0xC80  # x 10 ms

# The controller reports the same advert of the same address once. As long as this Linux discovers
# before it starts over (DISCOV_LE_TIMEOUT); then whoever still advertises is reported again.
DISCOVERY_S = 10.24


@dataclass
class Seen:
    """What is known of one advertiser, its scan response merged in as BlueZ does."""

    address: hci.Address
    rssi_dbm: int = -127
    data: bytes = b""
    scan_response: bytes = b""


@dataclass(eq=False)
class Scan:
    """One application's scan. `report`: told of every report just as the controller gives it, too."""

    hear: Callable[[Seen], None]
    active: bool
    every_packet: bool = False
    report: Callable[[hci.HCI_LE_Advertising_Report_Event.Report], None] = lambda _: None


@dataclass(eq=False)
class Link:
    """A connection, until `gone` holds the reason for its end."""

    connection: Connection
    gone: asyncio.Future[int]
    on_gone: Callable[[], None] = lambda: None
    _asking: set[asyncio.Task[Any]] = field(default_factory=set)

    def end(self, reason: int) -> None:
        if not self.gone.done():
            self.gone.set_result(reason)
            for task in self._asking:
                task.cancel()
            self.on_gone()

    async def ask(self, question: Coroutine[Any, Any, _T]) -> _T:
        """The answer to an ATT exchange, or BleakError as soon as the link is gone.

        A caller that is cancelled leaves the exchange to its end: ATT has no cancelling, and the late
        answer would be taken for that to the next request.
        """
        task = asyncio.ensure_future(question)
        self._asking.add(task)
        task.add_done_callback(self._asked)
        if self.gone.done():
            task.cancel()
        await asyncio.wait((task,))
        if task.cancelled():
            raise BleakError("Not connected")
        try:
            return task.result()
        except att.ATT_Error as error:
            raise BleakGATTProtocolError(error.error_code) from error
        except core.TimeoutError as error:
            raise TimeoutError("the peripheral did not answer") from error

    def _asked(self, task: asyncio.Task[Any]) -> None:
        self._asking.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, even where the caller has gone


class Adapter:
    """A radio that is on the air while somebody uses it, however often the air comes and goes."""

    def __init__(self, host: str, port: int, name: str, profile: str) -> None:
        self._where = (host, port)
        self._hello = f"{name} {profile}\n".encode()
        self._supervision = SUPERVISION_MAX if PROFILES[profile].lingers else SUPERVISION
        self._opening = asyncio.Lock()
        self._radio: Radio | None = None

    async def acquire(self) -> "Radio":
        """The radio; give it back by `Radio.release`.

        Raises BleakBluetoothNotAvailableError where there is no air.
        """
        async with self._opening:
            if self._radio is None or self._radio.lost.done():
                self._radio = await Radio.open(self._where, self._hello)
                self._radio.supervision = self._supervision
            self._radio.users += 1
            return self._radio


class Radio(asyncio.Protocol):
    """One HCI connection, from its opening to `lost`; then all that hung on it is gone."""

    def __init__(self) -> None:
        self.users = 0
        self.supervision = SUPERVISION  # what it asks for as a central
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None
        self._host = LeanHost()
        self._host.set_packet_sink(self)
        self._parser = PacketParser(self._host)
        config = DeviceConfiguration(
            gap_service_enabled=False, gatt_service_enabled=False, classic_enabled=False
        )
        self._device = Device(config=config, host=self._host)
        self._device.connect_own_address_type = hci.OwnAddressType.RANDOM
        self._device.on(Device.EVENT_CONNECTION, self._on_connection)
        self._device.on(Device.EVENT_CONNECTION_FAILURE, self._on_attempt_end)
        # Bumble's own handler keeps an accumulator per address for ever; ours is bounded.
        self._host.remove_listener("advertising_report", self._device.on_advertising_report)
        self._host.on("advertising_report", self._on_report)
        self._seen: OrderedDict[hci.Address, Seen] = OrderedDict()
        self._scans: list[Scan] = []
        self._scanning = asyncio.Lock()
        self._links: set[Link] = set()
        self._wanted: dict[hci.Address, asyncio.Future[Link]] = {}
        self._wanted_changed = asyncio.Event()
        self._attempt: asyncio.Future[None] | None = None
        self._dialler: asyncio.Task[None] | None = None
        self._dropping: set[asyncio.Task[None]] = set()
        self._refresher: asyncio.Task[None] | None = None

    # ---- the line to the controller

    @classmethod
    async def open(cls, where: tuple[str, int], hello: bytes) -> "Radio":
        radio = cls()
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                transport, _ = await asyncio.get_running_loop().create_connection(lambda: radio, *where)
                transport.write(hello)
                await radio._device.power_on()
        except (OSError, TimeoutError, core.BaseBumbleError) as error:
            radio._close()
            raise BleakBluetoothNotAvailableError(
                "the simulated air does not answer", BleakBluetoothNotAvailableReason.NO_BLUETOOTH
            ) from error
        except BaseException:
            radio._close()
            raise
        return radio

    def release(self) -> None:
        self.users -= 1
        if self.users == 0:
            self._close()

    async def released(self) -> None:
        """If nobody uses it any more, wait until its connection is closed."""
        if self.users == 0 and self._transport is not None:
            await self.lost

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except core.InvalidPacketError:
            self._close()

    def on_packet(self, packet: bytes) -> None:
        """A packet from the host to the controller."""
        if self._transport is None or self._transport.is_closing():
            raise TransportLostError("the radio is off")
        self._transport.write(packet)

    def connection_lost(self, _exc: Exception | None) -> None:
        """Unplugged, or the air is gone."""
        self.lost.set_result(None)
        for task in (self._dialler, self._refresher, *self._dropping):
            if task is not None:
                task.cancel()
        response = self._host.pending_response
        if response is not None and not response.done():
            response.set_exception(TransportLostError("the radio is off"))
        for wanted in self._wanted.values():
            if not wanted.done():
                wanted.set_exception(_unplugged())
        for link in list(self._links):
            link.end(hci.HCI_ErrorCode.CONNECTION_TERMINATED_BY_LOCAL_HOST_ERROR)
        self._links.clear()

    async def _command(self, command: Any) -> None:
        if self.lost.done():
            raise _unplugged()
        try:
            if isinstance(command, hci.HCI_SyncCommand):
                await self._host.send_sync_command(command, response_timeout=COMMAND_TIMEOUT_S)
            else:
                await self._host.send_async_command(command, response_timeout=COMMAND_TIMEOUT_S)
        except TransportLostError as error:
            raise _unplugged() from error
        except (hci.HCI_Error, TimeoutError) as error:
            raise BleakError(f"the controller refuses: {error}") from error

    # ---- scanning

    async def scan(self, scan: Scan) -> None:
        """Add `scan`; it is told of all that is on the air now, known to other scans or not."""
        async with self._scanning:
            self._scans.append(scan)
            try:
                await self._enable_scan(True)
            except BaseException:
                self._scans.remove(scan)
                raise
            if self._refresher is None:
                self._refresher = asyncio.create_task(self._refresh())

    async def unscan(self, scan: Scan) -> None:
        async with self._scanning:
            self._scans.remove(scan)
            if not self._scans and self._refresher is not None:
                self._refresher.cancel()
                self._refresher = None
                with suppress(BleakError):  # unplugged: then it does not scan, either
                    await self._enable_scan(False)

    async def _enable_scan(self, enable: bool) -> None:
        # Disabled first, as parameters cannot change and filters are not cleared while scanning.
        await self._command(hci.HCI_LE_Set_Scan_Enable_Command(le_scan_enable=0, filter_duplicates=0))
        if enable:
            await self._command(
                hci.HCI_LE_Set_Scan_Parameters_Command(
                    le_scan_type=int(any(scan.active for scan in self._scans)),
                    le_scan_interval=SCAN_SLOTS,
                    le_scan_window=SCAN_SLOTS,
                    own_address_type=hci.OwnAddressType.RANDOM,
                    scanning_filter_policy=0,
                )
            )
            filter_duplicates = int(not any(scan.every_packet for scan in self._scans))
            await self._command(
                hci.HCI_LE_Set_Scan_Enable_Command(le_scan_enable=1, filter_duplicates=filter_duplicates)
            )

    async def _refresh(self) -> None:
        with suppress(BleakError):
            while True:
                await asyncio.sleep(DISCOVERY_S)
                async with self._scanning:
                    await self._enable_scan(True)

    def _on_report(self, report: hci.HCI_LE_Advertising_Report_Event.Report) -> None:
        answer = report.event_type == hci.HCI_LE_Advertising_Report_Event.EventType.SCAN_RSP
        if answer and not report.data:
            return  # the advert itself was heard before it
        for scan in list(self._scans):
            scan.report(report)
        seen = self._seen.get(report.address)
        if seen is None:
            seen = self._seen[report.address] = Seen(report.address)
            if len(self._seen) > SEEN_MAX:
                self._seen.popitem(last=False)
        seen.rssi_dbm = report.rssi
        if answer:
            seen.scan_response = bytes(report.data)
        else:
            seen.data = bytes(report.data)
        for scan in list(self._scans):
            scan.hear(seen)

    # ---- connecting

    async def connect(self, address: hci.Address) -> Link:
        """Wait for a connectable advert of `address` and connect; the caller bounds the wait.

        Several may wait at once: an absent peripheral does not keep others from being connected.
        """
        if self.lost.done():
            raise _unplugged()
        if address in self._wanted or len(self._wanted) >= WANTED_MAX:
            raise BleakError("a connection attempt is already in progress")
        wanted: asyncio.Future[Link] = asyncio.get_running_loop().create_future()
        self._wanted[address] = wanted
        self._wanted_changed.set()
        if self._dialler is None:
            self._dialler = asyncio.create_task(self._dial())
        try:
            return await wanted
        except asyncio.CancelledError:
            if wanted.done() and not wanted.cancelled() and wanted.exception() is None:
                self._drop(wanted.result())
            raise
        finally:
            if self._wanted.get(address) is wanted:
                del self._wanted[address]
                self._wanted_changed.set()

    async def hang_up(self, link: Link) -> None:
        """Disconnect; a peer or air that does not answer is given up after a bounded time."""
        command = hci.HCI_Disconnect_Command(
            connection_handle=link.connection.handle,
            reason=hci.HCI_ErrorCode.REMOTE_USER_TERMINATED_CONNECTION_ERROR,
        )
        with suppress(BleakError, TimeoutError):
            async with asyncio.timeout(HANG_UP_TIMEOUT_S):
                if not link.gone.done():
                    await self._command(command)
                    await asyncio.shield(link.gone)
        link.end(hci.HCI_ErrorCode.CONNECTION_TERMINATED_BY_LOCAL_HOST_ERROR)

    async def _dial(self) -> None:
        """One attempt after the other, each for all that are wanted at the time."""
        try:
            while self._wanted:
                self._wanted_changed.clear()
                self._attempt = asyncio.get_running_loop().create_future()
                await self._start_attempt(list(self._wanted))
                changed = asyncio.ensure_future(self._wanted_changed.wait())
                try:
                    await asyncio.wait((self._attempt, changed), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    changed.cancel()
                if not self._attempt.done():
                    with suppress(BleakError):  # refused where it has just connected
                        await self._command(hci.HCI_LE_Create_Connection_Cancel_Command())
                    async with asyncio.timeout(COMMAND_TIMEOUT_S):
                        await self._attempt
        except (BleakError, TimeoutError) as error:
            for wanted in self._wanted.values():
                if not wanted.done():
                    wanted.set_exception(BleakError(str(error)))
            self._wanted.clear()
        finally:
            self._dialler = None

    async def _start_attempt(self, addresses: list[hci.Address]) -> None:
        several = len(addresses) > 1
        if several:
            await self._command(hci.HCI_LE_Clear_Filter_Accept_List_Command())
            for address in addresses:
                await self._command(
                    hci.HCI_LE_Add_Device_To_Filter_Accept_List_Command(
                        address_type=address.address_type, address=address
                    )
                )
        await self._command(
            hci.HCI_LE_Create_Connection_Command(
                le_scan_interval=CONNECT_SCAN_SLOTS,
                le_scan_window=CONNECT_SCAN_SLOTS,
                initiator_filter_policy=int(several),
                peer_address_type=addresses[0].address_type,
                peer_address=addresses[0],
                own_address_type=hci.OwnAddressType.RANDOM,
                connection_interval_min=INTERVAL_MIN,
                connection_interval_max=INTERVAL_MAX,
                max_latency=0,
                supervision_timeout=self.supervision,
                min_ce_length=0,
                max_ce_length=0,
            )
        )

    def _on_connection(self, connection: Connection) -> None:
        link = Link(connection, asyncio.get_running_loop().create_future())
        self._links.add(link)
        connection.on(Connection.EVENT_DISCONNECTION, lambda reason: self._on_disconnection(link, reason))
        wanted = self._wanted.pop(connection.peer_address, None)
        if wanted is not None and not wanted.done():
            wanted.set_result(link)
        else:
            self._drop(link)
        self._on_attempt_end()

    def _drop(self, link: Link) -> None:
        """Hang up a link that came in the moment that its application gave up."""
        task = asyncio.create_task(self.hang_up(link))
        self._dropping.add(task)
        task.add_done_callback(self._dropping.discard)

    def _on_disconnection(self, link: Link, reason: int) -> None:
        self._links.discard(link)
        link.end(reason)

    def _on_attempt_end(self, _error: Exception | None = None) -> None:
        if self._attempt is not None and not self._attempt.done():
            self._attempt.set_result(None)


def _unplugged() -> BleakError:
    return BleakBluetoothNotAvailableError(
        "the Bluetooth adapter is gone", BleakBluetoothNotAvailableReason.NO_BLUETOOTH
    )
