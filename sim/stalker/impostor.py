"""An attacker's radio that advertises what it likes, with a table like a button's behind it."""

import asyncio
import secrets

from bumble.core import UUID
from bumble.device import AdvertisingType, Connection, Device, DeviceConfiguration
from bumble.gatt import Characteristic, CharacteristicValue, Service
from bumble.hci import Address, OwnAddressType
from bumble.host import Host

from sim.air import Air, AirController
from wire.codes import RECEIPT_XOR, STATE_XOR, advert, characteristic

NAME = "attacker"


class Impostor:
    """`say` puts a code on the air under a fresh address; what is written to it stays in `written`."""

    def __init__(self, air: Air) -> None:
        self._air = air
        self._controller: AirController | None = None
        self.written: list[bytes] = []

    async def say(self, code: bytes, for_s: float) -> None:
        self._controller = self._air.controller(NAME)
        address = bytearray(secrets.token_bytes(6))
        address[5] |= 0xC0
        device = Device(
            config=DeviceConfiguration(
                name="", address=Address(bytes(address)), gap_service_enabled=False, classic_enabled=False
            ),
            host=Host(self._controller, self._controller),
        )
        receipt: Characteristic[bytes] = Characteristic(
            _uuid(characteristic(code, RECEIPT_XOR)),
            Characteristic.Properties.WRITE,
            Characteristic.WRITEABLE,
            CharacteristicValue(write=self._on_write),
        )
        state: Characteristic[bytes] = Characteristic(
            _uuid(characteristic(code, STATE_XOR)),
            Characteristic.Properties.READ,
            Characteristic.READABLE,
            CharacteristicValue(read=lambda _: secrets.token_bytes(20)),
        )
        device.add_service(Service(_uuid(code), [receipt, state]))
        try:
            await device.power_on()
            await device.start_advertising(
                advertising_type=AdvertisingType.UNDIRECTED_CONNECTABLE_SCANNABLE,
                own_address_type=OwnAddressType.RANDOM,
                advertising_data=advert(code),
                scan_response_data=b"",
                advertising_interval_min=20,
                advertising_interval_max=20,
                auto_restart=True,
            )
            await asyncio.sleep(for_s)
        finally:
            self._air.remove(self._controller)

    def _on_write(self, _connection: Connection, value: bytes) -> None:
        self.written.append(bytes(value))


def _uuid(code: bytes) -> UUID:
    return UUID.from_bytes(code[::-1])
