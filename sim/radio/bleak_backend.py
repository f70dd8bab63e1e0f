"""A phone on the air: bleak backends over Bumble, and the bridge run on them.

`BleakScanner(backend=...)` and `BleakClient(backend=...)` take the classes that `backends` makes.
They behave as bleak on Linux does: an advert is reported again only when it or its address changes,
unless the scanner asks for `bluez={"filters": {"DuplicateData": True}}` (a program that leans on repeats
without asking would hear none on a desk); disconnecting calls the callback whoever did it; and an
adapter that is unplugged leaves a running scan silent and makes all else fail with BleakError.
"""

import argparse
import asyncio
import contextlib
import logging
import struct
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from bleak import BleakScanner
from bleak.args import SizedBuffer
from bleak.assigned_numbers import CHARACTERISTIC_PROPERTIES
from bleak.assigned_numbers import AdvertisementDataType as Ad
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient, NotifyCallback
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, AdvertisementDataCallback, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakDeviceNotFoundError, BleakError
from bleak.uuids import normalize_uuid_16, normalize_uuid_32
from bumble import att
from bumble.core import UUID
from bumble.gatt_client import Client as AttClient

from sim.physics.medium import PROFILES
from sim.radio.adverts import SERVICE_DATA, UUID_LISTS, structures
from sim.radio.host import Adapter, Link, Radio, Scan, Seen
from sim.radio.write_audit import WriteAudit

_CCCD = normalize_uuid_16(0x2902)
_ATT_MTU = 517  # what BlueZ asks for
_VALUE_BYTES_MAX = 512  # Core 6.0, Vol 3, Part F, 3.2.9
_PRIMARY_SERVICE, _CHARACTERISTIC = UUID.from_16_bits(0x2800), UUID.from_16_bits(0x2803)


def backends(
    host: str, port: int, name: str = "phone", profile: str = "desktop"
) -> tuple[type["PhoneScanner"], type["PhoneClient"]]:
    """A phone's scanner and client types; both are on one radio, which is off while neither is used."""
    the_adapter = Adapter(host, port, name, profile)

    class Scanner(PhoneScanner):
        adapter = the_adapter
        listed_only = PROFILES[profile].listed

    class Client(PhoneClient):
        adapter = the_adapter
        scanner = Scanner

    return Scanner, Client


class PhoneScanner(BaseBleakScanner):
    """bleak's scanner on the air; `scanning_mode="passive"` asks for no scan responses."""

    adapter: ClassVar[Adapter]
    listed_only: ClassVar[bool] = False  # who lists no service hears nothing

    def __init__(
        self,
        detection_callback: AdvertisementDataCallback | None,
        service_uuids: list[str] | None,
        scanning_mode: str = "active",
        *,
        bluez: Mapping[str, Any] | None = None,
        **_kwargs: Any,
    ) -> None:
        super().__init__(detection_callback, service_uuids)
        filters = (bluez or {}).get("filters") or {}
        self._scan = Scan(self._hear, scanning_mode == "active", bool(filters.get("DuplicateData")))
        self._radio: Radio | None = None

    async def start(self) -> None:
        if self._radio is not None:
            raise BleakError("Scanner is already running")
        self.seen_devices = {}
        radio = await self.adapter.acquire()
        try:
            await radio.scan(self._scan)
        except BaseException:
            radio.release()
            raise
        self._radio = radio

    async def stop(self) -> None:
        if self._radio is not None:
            radio, self._radio = self._radio, None
            try:
                await radio.unscan(self._scan)
            finally:
                radio.release()
            await radio.released()

    def _hear(self, seen: Seen) -> None:
        advertised = advertisement(seen)
        if self.listed_only and not self._service_uuids:
            return
        if self.is_allowed_uuid(advertised.service_uuids):
            address = seen.address.to_string(with_type_qualifier=False)
            device = self.create_or_update_device(
                str(seen.address), address, advertised.local_name, seen.address, advertised
            )
            self.call_detection_callbacks(device, advertised)


def advertisement(seen: Seen) -> AdvertisementData:
    """What `seen` says in bleak's words; a structure that is cut short ends the reading of its part."""
    name: str | None = None
    tx_power: int | None = None
    manufacturer: dict[int, bytes] = {}
    service_data: dict[str, bytes] = {}
    uuids: list[str] = []
    for kind, value in (*structures(seen.data), *structures(seen.scan_response)):
        if kind in UUID_LISTS:
            size = UUID_LISTS[kind]
            uuids += [_uuid(value[at : at + size]) for at in range(0, len(value) - size + 1, size)]
        elif kind in SERVICE_DATA and len(value) >= SERVICE_DATA[kind]:
            size = SERVICE_DATA[kind]
            service_data[_uuid(value[:size])] = value[size:]
        elif kind in (Ad.SHORTENED_LOCAL_NAME, Ad.COMPLETE_LOCAL_NAME):
            name = value.decode(errors="replace")
        elif kind == Ad.TX_POWER_LEVEL and len(value) == 1:
            tx_power = int.from_bytes(value, "little", signed=True)
        elif kind == Ad.MANUFACTURER_SPECIFIC_DATA and len(value) >= 2:
            manufacturer[int.from_bytes(value[:2], "little")] = value[2:]
    return AdvertisementData(
        name, manufacturer, service_data, uuids, tx_power, seen.rssi_dbm, (seen.address,)
    )


def _uuid(little_endian: bytes) -> str:
    if len(little_endian) == 2:
        return normalize_uuid_16(int.from_bytes(little_endian, "little"))
    if len(little_endian) == 4:
        return normalize_uuid_32(int.from_bytes(little_endian, "little"))
    if len(little_endian) == 16:
        return str(uuid.UUID(bytes=little_endian[::-1]))
    raise BleakError("the peripheral gives a UUID that is none")


class PhoneClient(BaseBleakClient):
    """bleak's client on the air."""

    adapter: ClassVar[Adapter]
    scanner: ClassVar[type[PhoneScanner]]
    write_audit: ClassVar[WriteAudit | None] = None

    def __init__(
        self,
        address_or_ble_device: BLEDevice | str,
        services: set[str] | None = None,
        *,
        disconnected_callback: Callable[[], None] | None,
        timeout: float,
        **_kwargs: Any,
    ) -> None:
        super().__init__(address_or_ble_device, disconnected_callback=disconnected_callback, timeout=timeout)
        self._device = address_or_ble_device if isinstance(address_or_ble_device, BLEDevice) else None
        self._requested_services = services
        self._radio: Radio | None = None
        self._link: Link | None = None

    @property
    def name(self) -> str:
        return (self._device and self._device.name) or self.address.replace(":", "-")

    @property
    def mtu_size(self) -> int:
        return 23 if self._link is None else self._link.connection.att_mtu

    @property
    def is_connected(self) -> bool:
        return self._link is not None and not self._link.gone.done()

    async def connect(self, pair: bool, **kwargs: Any) -> None:
        if self._radio is not None:
            raise BleakError("Client is already connected")
        timeout_s: float = kwargs.get("timeout", self._timeout)
        if self._device is None:
            self._device = await BleakScanner.find_device_by_address(
                self.address, timeout_s, backend=self.scanner
            )
            if self._device is None:
                raise BleakDeviceNotFoundError(
                    self.address, f"Device with address {self.address} was not found."
                )
        self._radio = radio = await self.adapter.acquire()
        try:
            async with asyncio.timeout(timeout_s):
                self._link = link = await radio.connect(self._device.details)
                if pair:
                    await self.pair()
                self.services = await self._discover(link)
        except BaseException:
            if self._link is not None:
                await radio.hang_up(self._link)
            self._forget()
            await radio.released()
            raise
        link.on_gone = self._on_gone
        if link.gone.done():
            self._forget()
            raise BleakError("Not connected")

    async def disconnect(self) -> None:
        if self._radio is not None and self._link is not None:
            radio = self._radio
            await radio.hang_up(self._link)
            await radio.released()

    def _on_gone(self) -> None:
        self._forget()
        if self._disconnected_callback is not None:
            self._disconnected_callback()

    def _forget(self) -> None:
        self.services = None
        self._link = None
        if self._radio is not None:
            radio, self._radio = self._radio, None
            radio.release()

    async def pair(self, *_args: Any, **_kwargs: Any) -> None:
        link = self._connected()
        await link.ask(link.connection.pair())

    async def unpair(self) -> None:
        raise NotImplementedError("the simulated phone keeps no pairings")

    # ---- GATT

    def _connected(self) -> Link:
        if self._link is None or self._link.gone.done():
            raise BleakError("Not connected")
        return self._link

    async def _discover(self, link: Link) -> BleakGATTServiceCollection:
        client = link.connection.gatt_client
        with contextlib.suppress(BleakError):  # a server may refuse; then it stays at 23
            await link.ask(client.request_mtu(_ATT_MTU))
        return await link.ask(discover(client, self._requested_services))

    async def read_gatt_char(self, characteristic: BleakGATTCharacteristic, **_kwargs: Any) -> bytearray:
        return await self._read(characteristic.handle)

    async def read_gatt_descriptor(self, descriptor: BleakGATTDescriptor, **_kwargs: Any) -> bytearray:
        return await self._read(descriptor.handle)

    async def _read(self, handle: int) -> bytearray:
        link = self._connected()
        return bytearray(await link.ask(link.connection.gatt_client.read_value(handle)))

    async def write_gatt_char(
        self, characteristic: BleakGATTCharacteristic, data: SizedBuffer, response: bool
    ) -> None:
        if self.write_audit is not None:
            self.write_audit(self.address, bytes(data))
        await self._write(characteristic.handle, bytes(data), response)

    async def write_gatt_descriptor(self, descriptor: BleakGATTDescriptor, data: SizedBuffer) -> None:
        await self._write(descriptor.handle, bytes(data), True)

    async def _write(self, handle: int, value: bytes, response: bool) -> None:
        link = self._connected()
        if len(value) > (_VALUE_BYTES_MAX if response else self.mtu_size - 3):
            raise BleakError(f"a value of {len(value)} bytes does not fit")
        await link.ask(link.connection.gatt_client.write_value(handle, value, with_response=response))

    async def start_notify(
        self, characteristic: BleakGATTCharacteristic, callback: NotifyCallback, **_kwargs: Any
    ) -> None:
        client = self._connected().connection.gatt_client
        if "notify" in characteristic.properties:
            subscribers, bits = client.notification_subscribers, 1
        elif "indicate" in characteristic.properties:
            subscribers, bits = client.indication_subscribers, 2
        else:
            raise BleakError("the characteristic neither notifies nor indicates")
        if characteristic.handle in subscribers:
            raise ValueError("Characteristic notifications already started")
        # Before the write: the first value may come on the heels of its answer.
        subscribers[characteristic.handle] = {lambda value: callback(bytearray(value))}
        try:
            await self._configure(characteristic, bits)
        except BaseException:
            subscribers.pop(characteristic.handle, None)
            raise

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        client = self._connected().connection.gatt_client
        await self._configure(characteristic, 0)
        client.notification_subscribers.pop(characteristic.handle, None)
        client.indication_subscribers.pop(characteristic.handle, None)

    async def _configure(self, characteristic: BleakGATTCharacteristic, bits: int) -> None:
        descriptor = characteristic.get_descriptor(_CCCD)
        if descriptor is None:
            raise BleakError("the characteristic has no client configuration")
        await self._write(descriptor.handle, struct.pack("<H", bits), True)


async def discover(client: AttClient, wanted: set[str] | None = None) -> BleakGATTServiceCollection:
    """The primary services (of these UUIDs, if given) and all that is in them.

    In as few round trips as the MTU allows: characteristics are asked for over the whole range at once
    and sorted into their services here. Core 6.0, Vol 3, Part G, 4.4.1 and 4.6.1 go service by service,
    with an error to end each.
    """
    found = BleakGATTServiceCollection()
    ends: dict[int, int] = {}
    for handle, end, kind in await (_primary(client) if wanted is None else _primary_of(client, wanted)):
        found.add_service(BleakGATTService(handle, handle, kind))
        ends[handle] = end

    declarations: list[tuple[int, bytes]] = []
    start, last = min(ends, default=1), max(ends.values(), default=0)
    while start < last:  # a characteristic is two attributes at least
        page = await _listed(
            client, att.ATT_Read_By_Type_Request, start, last, attribute_type=_CHARACTERISTIC
        )
        for handle, value in page:
            # 3.3.1: properties:u8 || handle of the value, which comes right after || UUID
            if len(value) < 3 or value[1:3] != struct.pack("<H", handle + 1 & 0xFFFF):
                raise BleakError("the peripheral declares a characteristic wrongly")
            start = _beyond(start, handle + 1)
            declarations.append((handle, value))
        if not page:
            break

    for service in found:
        within = [(at, value) for at, value in declarations if service.handle < at <= ends[service.handle]]
        limits = [at - 1 for at, _ in within[1:]] + [ends[service.handle]]
        for (_, value), limit in zip(within, limits, strict=True):
            await _discover_characteristic(client, found, service, value, limit)
    return found


async def _discover_characteristic(
    client: AttClient, found: BleakGATTServiceCollection, service: BleakGATTService, value: bytes, limit: int
) -> None:
    """Add what the declaration `value` says, with the descriptors up to handle `limit` (4.7.1)."""
    properties, handle = struct.unpack_from("<BH", value)
    names = [name for bit, name in CHARACTERISTIC_PROPERTIES.items() if properties & bit]
    characteristic = BleakGATTCharacteristic(
        handle, handle, _uuid(value[3:]), names, lambda: client.mtu - 3, service
    )
    found.add_characteristic(characteristic)
    start = handle + 1
    while start <= limit:
        page = await _listed(client, att.ATT_Find_Information_Request, start, limit)
        for at, kind in page:
            start = _beyond(start, at)
            found.add_descriptor(BleakGATTDescriptor(at, at, _uuid(kind), characteristic))
        if not page:
            break


async def _primary(client: AttClient) -> list[tuple[int, int, str]]:
    """`(handle, end handle, UUID)` of all primary services (4.4.1)."""
    found: list[tuple[int, int, str]] = []
    start = 1
    while start <= 0xFFFF:
        request = att.ATT_Read_By_Group_Type_Request
        page = await _listed(client, request, start, 0xFFFF, attribute_group_type=_PRIMARY_SERVICE)
        for handle, end, value in page:
            start = max(_beyond(start, handle), _beyond(start, end))
            found.append((handle, end, _uuid(value)))
        if not page:
            break
    return found


async def _primary_of(client: AttClient, wanted: set[str]) -> list[tuple[int, int, str]]:
    """The same of the first service of each UUID in `wanted` (4.4.2): no round trips for the others."""
    found: list[tuple[int, int, str]] = []
    for kind in sorted(wanted):
        by_value = {"attribute_type": _PRIMARY_SERVICE, "attribute_value": UUID(kind).to_pdu_bytes()}
        page = await _listed(client, att.ATT_Find_By_Type_Value_Request, 1, 0xFFFF, **by_value)
        found += [(handle, _beyond(handle, end) - 1, kind) for handle, end in page[:1]]
    return found


async def _listed(client: AttClient, request: Any, start: int, end: int, **by: Any) -> list[Any]:
    """One page of a listing; empty at its end."""
    response = await client.send_request(request(starting_handle=start, ending_handle=end, **by))
    if isinstance(response, att.ATT_Error_Response):
        if response.error_code == att.ErrorCode.ATTRIBUTE_NOT_FOUND:
            return []
        raise att.ATT_Error(response.error_code)
    for name in ("attributes", "information", "handles_information"):
        if hasattr(response, name):
            return list(getattr(response, name))
    raise BleakError("the peripheral answers something else")


def _beyond(start: int, handle: int) -> int:
    """The handle to go on from; a listing that does not advance would never end."""
    if handle < start:
        raise BleakError("the peripheral's attribute list goes backwards")
    return handle + 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run the bridge on a simulated phone."""
    parser = argparse.ArgumentParser(
        prog="python -m sim.radio.bleak_backend",
        description="Run the bridge on a simulated phone's radio.",
        epilog="Everything after -- goes to the bridge, as in: -- run --home DIR",
    )
    parser.add_argument("--air", required=True, metavar="HOST:PORT", help="where the air serves HCI")
    parser.add_argument("--name", default="phone", help="the phone's name on the air (default: phone)")
    parser.add_argument("--profile", default="desktop", choices=PROFILES, help="how its system scans")
    parser.add_argument("--audit", type=Path, metavar="JOURNAL", help="tell what is in it at each write")
    parser.add_argument("args", nargs="*", metavar="-- ARGS", help="the bridge's own arguments")
    options = parser.parse_args(argv)
    host, colon, port = options.air.rpartition(":")
    if not colon or not port.isdecimal() or not 0 < int(port) < 65536:
        parser.error(f"--air wants HOST:PORT, not {options.air!r}")
    if not options.name.isprintable() or " " in options.name or not options.name:
        parser.error("--name wants one word")
    logging.getLogger("bumble").setLevel(logging.CRITICAL)  # it logs what we handle, with tracebacks
    from bridge.commands import main as bridge  # late: the backends serve other programs, too

    scanner, client = backends(host, int(port), options.name, options.profile)
    if options.audit:
        client.write_audit = WriteAudit(options.audit)
    return bridge(options.args, scanner=scanner, client=client)


if __name__ == "__main__":
    sys.exit(main())
