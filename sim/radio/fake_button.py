"""A radio of Bumble's parts that advertises what it is told to, with a table like a button's behind it."""

import secrets

from bumble.core import UUID
from bumble.device import AdvertisingType, Connection, Device, DeviceConfiguration
from bumble.gatt import Characteristic, CharacteristicValue, Service
from bumble.hci import Address, OwnAddressType
from bumble.host import Host

from sim.radio.air import Air, AirController
from wire.codes import RECEIPT_XOR, STATE_XOR, advert, characteristic


class FakeButton:
    """`show` puts a code on the air under a fresh address; what is written to it stays in `written`."""

    def __init__(self, air: Air, name: str) -> None:
        self._air, self._name = air, name
        self._controller: AirController | None = None
        self.written: list[bytes] = []
        self.connections: list[Connection] = []
        self.state: bytes | None = None  # None: it looks sealed to whoever has no key
        self.reads = 0  # of the state

    async def show(self, code: bytes) -> None:
        """Instead of what it has shown before."""
        self.silence()
        self._controller = self._air.controller(self._name)
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
            CharacteristicValue(read=self._on_read),
        )
        device.add_service(Service(_uuid(code), [receipt, state]))
        device.on("connection", self.connections.append)
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

    def silence(self) -> None:
        """The radio goes off: links end by themselves."""
        if self._controller is not None:
            self._air.remove(self._controller)
            self._controller = None

    def _on_read(self, _connection: Connection) -> bytes:
        self.reads += 1
        return self._shown()

    def _shown(self) -> bytes:
        return secrets.token_bytes(20) if self.state is None else self.state

    def _on_write(self, _connection: Connection, value: bytes) -> None:
        self.written.append(bytes(value))


def _uuid(code: bytes) -> UUID:
    return UUID.from_bytes(code[::-1])
