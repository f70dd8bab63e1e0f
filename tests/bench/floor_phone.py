"""The least that any bridge can do: for every new address, connect, discover, write 17 bytes.

python -m tests.bench.floor_phone HOST PORT
"""

import asyncio
import sys

from bleak import BleakClient, BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakError

from sim.radio.bleak_backend import backends


async def main(host: str, port: int) -> None:
    scanner_type, client_type = backends(host, port, "floor")
    heard: asyncio.Queue[tuple[BLEDevice, str]] = asyncio.Queue()
    seen = set()

    def on_advert(device: BLEDevice, data: AdvertisementData) -> None:
        if device.address not in seen:
            seen.add(device.address)
            heard.put_nowait((device, data.service_uuids[0]))

    async with BleakScanner(on_advert, backend=scanner_type):
        print("ready", flush=True)
        while True:
            device, uuid = await heard.get()
            try:
                async with BleakClient(device, services=[uuid], backend=client_type) as link:
                    await link.write_gatt_char(uuid, bytes(17), response=True)
            except (BleakError, TimeoutError):
                continue


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
