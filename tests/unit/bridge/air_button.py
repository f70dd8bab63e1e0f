"""A button of Bumble's parts on the air, for tests of the bridge alone: says codes, keeps what is written."""

import asyncio

from bumble.core import UUID
from bumble.device import AdvertisingType, Connection, Device, DeviceConfiguration
from bumble.gatt import Characteristic, CharacteristicValue, Service
from bumble.hci import Address, OwnAddressType
from bumble.host import Host

from sim.air import Air, AirController
from wire import codes
from wire.codes import RECEIPT_XOR, STATE_XOR, advert, characteristic
from wire.keys import Mac, derive


class AirButton:
    """`say` puts a code on the air with a fresh address and a one-time table."""

    def __init__(self, air: Air, number: int = 1, name: str = "button") -> None:
        self.root = bytes([number]) * 32
        self._air, self._name = air, name
        self._sessions = 0
        self._device: Device | None = None
        self._controller: AirController | None = None
        self.written: list[bytes] = []
        self.news = asyncio.Event()
        self.connections: list[Connection] = []
        self.state = b""
        self.reads = 0

    async def say(self, event: int, counter: int) -> bytes:
        await self.silence()
        code = codes.code(Mac(derive(self.root, "code")), event, counter)
        self._sessions += 1
        address = Address(f"C0:00:00:00:{self._sessions:02X}:{self.root[0]:02X}")
        self._controller = self._air.controller(self._name)
        device = Device(
            config=DeviceConfiguration(name="", address=address, gap_service_enabled=False),
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
        self._device = device
        return code

    async def silence(self) -> None:
        """The radio goes off: links end by themselves."""
        if self._controller is not None:
            self._air.remove(self._controller)
            self._controller = self._device = None

    async def took(self, stage: int, count: int = 1, limit_s: float = 10) -> bytes:
        """The `count`th value written with this stage."""
        try:
            async with asyncio.timeout(limit_s):
                while True:
                    news = self.news
                    found = [value for value in self.written if value[0] == stage]
                    if len(found) >= count:
                        return found[count - 1]
                    await news.wait()
        except TimeoutError:
            raise AssertionError(f"stage {stage} was not written; only {self.written}") from None

    def _on_read(self, _connection: Connection) -> bytes:
        self.reads += 1
        return self.state

    def _on_write(self, _connection: Connection, value: bytes) -> None:
        self.written.append(bytes(value))
        self.news.set()
        self.news = asyncio.Event()


def _uuid(code: bytes) -> UUID:
    return UUID.from_bytes(code[::-1])
