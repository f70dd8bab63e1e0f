"""Scanners that keep what they hear: a radio on the simulated air, and this machine's own adapter."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from bleak import BleakScanner
from bleak.args.bluez import BlueZScannerArgs
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.uuids import normalize_uuid_16
from bumble import hci

from bridge.radio.bleak_radio import ScannerBackend
from sim.radio.adverts import KINDS, MANUFACTURER, TX_POWER, Heard, joined
from sim.radio.host import Radio, Scan

Take = Callable[[Heard], None]

_BASE = normalize_uuid_16(0)
_COMPLETE_NAME, _VALUE_BYTES_MAX = 0x09, 254


@asynccontextmanager
async def on_the_air(hci_at: tuple[str, int], name: str, take: Take) -> AsyncGenerator[None]:
    """While this lasts, a radio `name` on the air hears every packet, and sends none.

    Raises BleakBluetoothNotAvailableError where there is no air.
    """
    began_s = time.monotonic()

    def report(given: hci.HCI_LE_Advertising_Report_Event.Report) -> None:
        address = given.address
        take(
            Heard(
                (time.monotonic() - began_s) * 1000,
                given.rssi,
                address.to_string(with_type_qualifier=False),
                "public" if address.is_public else "random",
                KINDS[given.event_type],
                bytes(given.data),
            )
        )

    radio = await Radio.open(hci_at, f"{name} desktop\n".encode())
    radio.users += 1
    scan = Scan(lambda _: None, active=False, every_packet=True, report=report)
    try:
        await radio.scan(scan)
        yield
    finally:
        if not radio.lost.done():
            await radio.unscan(scan)
        radio.release()
        await radio.released()


@asynccontextmanager
async def on_this_machine(take: Take, scanner: ScannerBackend | None = None) -> AsyncGenerator[None]:
    """The same with a real adapter, which asks for scan responses. Raises what bleak raises.

    A system gives the parts of an advert, and not its bytes: they are put together anew, in an order of
    ours, and whether it was connectable is not known.
    """
    began_s = time.monotonic()

    def hear(device: BLEDevice, advertised: AdvertisementData) -> None:
        at_ms = (time.monotonic() - began_s) * 1000
        take(
            Heard(
                at_ms,
                advertised.rssi,
                device.address.upper(),
                _address_type(device),
                "unknown",
                rebuilt(advertised),
            )
        )

    # BlueZ would otherwise be silent about whom it has reported already.
    every_packet = BlueZScannerArgs(filters={"DuplicateData": True})
    async with BleakScanner(hear, bluez=every_packet, backend=scanner):
        yield


def _address_type(device: BLEDevice) -> str:
    details = device.details if isinstance(device.details, dict) else {}
    told = str(details.get("props", {}).get("AddressType", ""))
    return told if told in ("public", "random") else "unknown"


def rebuilt(advertised: AdvertisementData) -> bytes:
    """Advertising data that says what `advertised` says; a value that fits in no structure is cut."""
    parts: list[tuple[int, bytes]] = []
    listed: dict[int, bytes] = {}
    for uuid in advertised.service_uuids:
        value, size = _little_endian(uuid)
        listed[size] = listed.get(size, b"") + value
    parts += [({2: 0x03, 4: 0x05, 16: 0x07}[size], value) for size, value in sorted(listed.items())]
    for company, value in sorted(advertised.manufacturer_data.items()):
        parts.append((MANUFACTURER, company.to_bytes(2, "little") + value))
    for uuid, value in sorted(advertised.service_data.items()):
        kind, size = _little_endian(uuid)
        parts.append(({2: 0x16, 4: 0x20, 16: 0x21}[size], kind + value))
    if advertised.tx_power is not None:
        parts.append((TX_POWER, advertised.tx_power.to_bytes(1, "little", signed=True)))
    if advertised.local_name:
        parts.append((_COMPLETE_NAME, advertised.local_name.encode()))
    return joined([(kind, value[:_VALUE_BYTES_MAX]) for kind, value in parts])


def _little_endian(uuid: str) -> tuple[bytes, int]:
    """`(bytes, how many)`, in the shortest form that it has."""
    whole = bytes.fromhex(uuid.replace("-", ""))
    if uuid.endswith(_BASE[8:]):
        size = 2 if whole[:2] == b"\0\0" else 4
        return whole[4 - size : 4][::-1], size
    return whole[::-1], 16


async def until(stop: asyncio.Event, for_s: float | None) -> None:
    """Until somebody stops it, or the time is over."""
    try:
        async with asyncio.timeout(for_s):
            await stop.wait()
    except TimeoutError:
        return
