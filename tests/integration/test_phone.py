"""Unmodified bleak on the phone's backends, against a Bumble peripheral on the same air."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

import pytest
from bleak import BleakClient, BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakDeviceNotFoundError,
    BleakError,
    BleakGATTProtocolError,
)
from bumble import att, gatt, hci
from bumble.core import UUID
from bumble.device import AdvertisingType, Connection, Device, DeviceConfiguration
from bumble.host import Host

from sim.radio.air import Air
from sim.radio.bleak_backend import backends, main

SERVICE, WRITE, READ, INDICATE = (f"0d1e2f30-4a5b-4c6d-8e7f-a0b1c2d3e4f{digit}" for digit in "0123")
Backends = tuple[type[Any], type[Any]]


def refuse(_connection: Connection) -> bytes:
    raise att.ATT_Error(att.ErrorCode.READ_NOT_PERMITTED)


class Peripheral:
    """A Bumble device of our own on the air, with a writable, a notifying and an indicating value."""

    def __init__(self, air: Air, name: str = "button") -> None:
        self.controller = air.controller(name)
        self.device = Device(
            config=DeviceConfiguration(
                classic_enabled=False, advertising_interval_min=20, advertising_interval_max=20
            ),
            host=Host(self.controller, self.controller),
        )
        self.written: asyncio.Queue[bytes] = asyncio.Queue()
        self.connections: asyncio.Queue[Connection] = asyncio.Queue()
        self.device.on("connection", self.connections.put_nowait)
        can = gatt.Characteristic.Properties
        readable, writeable = att.Attribute.READABLE, att.Attribute.WRITEABLE
        self.sink = gatt.Characteristic(
            UUID(WRITE),
            can.WRITE | can.WRITE_WITHOUT_RESPONSE,
            writeable,
            gatt.CharacteristicValue(refuse, lambda _connection, value: self.written.put_nowait(value)),
        )
        told = gatt.Descriptor("2901", readable, b"what it is")
        self.source = gatt.Characteristic(UUID(READ), can.READ | can.NOTIFY, readable, b"state", [told])
        self.sure = gatt.Characteristic(UUID(INDICATE), can.INDICATE, readable, b"")
        self.device.add_service(gatt.Service(UUID(SERVICE), [self.sink, self.source, self.sure]))

    async def advertise(self, connectable: bool = True, new_address: bool = False) -> str:
        if new_address or not self.device.powered_on:
            await self.device.stop_advertising()
            self.device.random_address = hci.Address.generate_static_address()
            self.device.static_address = self.device.random_address
            if not self.device.powered_on:
                await self.device.power_on()
            address = hci.HCI_LE_Set_Random_Address_Command(random_address=self.device.random_address)
            await self.device.send_sync_command(address)
        kind = AdvertisingType.UNDIRECTED_CONNECTABLE_SCANNABLE if connectable else AdvertisingType.UNDIRECTED
        data = b"\x02\x01\x06\x11\x07" + bytes.fromhex(SERVICE.replace("-", ""))[::-1]
        await self.device.start_advertising(advertising_type=kind, advertising_data=data)
        return self.device.random_address.to_string(with_type_qualifier=False)


@pytest.fixture
async def air() -> AsyncIterator[Air]:
    air = Air()
    yield air
    await air.close()


@pytest.fixture
async def phone(air: Air) -> Callable[..., AbstractAsyncContextManager[Any]]:
    """Phones by name; each is a pair of backends."""
    host, port = await air.serve_hci()

    @asynccontextmanager
    async def with_scanner(name: str = "phone") -> AsyncIterator[tuple[Heard, Backends]]:
        scanner, client = backends(host, port, name)
        heard = Heard()
        async with BleakScanner(heard.put, service_uuids=[SERVICE.upper()], backend=scanner):
            yield heard, (scanner, client)

    return with_scanner


class Heard(asyncio.Queue[tuple[BLEDevice, AdvertisementData]]):
    def put(self, device: BLEDevice, advertised: AdvertisementData) -> None:  # type: ignore[override]
        self.put_nowait((device, advertised))

    async def device(self) -> BLEDevice:
        return (await asyncio.wait_for(self.get(), 60))[0]


Phone = Callable[..., AbstractAsyncContextManager[tuple[Heard, Backends]]]


async def test_an_advert_is_heard_as_it_was_sent(air: Air, phone: Phone) -> None:
    """Address, service UUID and a plausible RSSI, once for as long as nothing changes."""
    button = Peripheral(air)
    async with phone() as (heard, _):
        address = await button.advertise()
        device, advertised = await asyncio.wait_for(heard.get(), 60)
        assert device.address == address
        assert advertised.service_uuids == [SERVICE]
        assert -70 < advertised.rssi < -30
        await asyncio.sleep(0.2)
        assert heard.empty()
        second = await button.advertise(new_address=True)
        assert (await heard.device()).address == second


async def test_every_packet_comes_to_those_who_ask(air: Air, phone: Phone) -> None:
    """DuplicateData, bleak's knob for it; beside a scan that did not ask and goes on."""
    button = Peripheral(air)
    async with phone() as (_, (scanner, _)):
        heard = Heard()
        async with BleakScanner(heard.put, bluez={"filters": {"DuplicateData": True}}, backend=scanner):
            await button.advertise()
            for _ in range(3):
                await heard.device()


async def test_a_foreign_advert_is_filtered(air: Air, phone: Phone) -> None:
    """`service_uuids` keeps the others out."""
    other = Peripheral(air, "other")
    async with phone() as (heard, _):
        await other.advertise()
        await heard.device()
        await other.device.start_advertising(advertising_data=b"\x03\x03\x0f\x18")
        await asyncio.sleep(0.2)
        assert heard.empty()


async def test_values_are_read_written_notified_and_indicated(air: Air, phone: Phone) -> None:
    """All of GATT that a bridge and its tests need, errors included."""
    button = Peripheral(air)
    async with phone() as (heard, (_, backend)):
        await button.advertise()
        async with BleakClient(await heard.device(), backend=backend) as client:
            assert client.mtu_size > 100
            assert client.services.get_service(SERVICE) is not None

            await client.write_gatt_char(WRITE, b"x" * 17, response=True)
            await client.write_gatt_char(WRITE, b"y" * 17, response=False)
            await client.write_gatt_char(WRITE, b"z" * 512, response=True)
            assert [await asyncio.wait_for(button.written.get(), 60) for _ in "xyz"] == [
                b"x" * 17,
                b"y" * 17,
                b"z" * 512,
            ]
            with pytest.raises(BleakError):
                await client.write_gatt_char(WRITE, b"z" * 513, response=True)

            assert await client.read_gatt_char(READ) == b"state"
            source = client.services.get_characteristic(READ)
            assert source is not None
            assert sorted(source.properties) == ["notify", "read"]
            told = source.get_descriptor("2901")
            assert told is not None
            assert await client.read_gatt_descriptor(told) == b"what it is"
            with pytest.raises(BleakGATTProtocolError) as refused:
                await client.read_gatt_char(WRITE)
            assert refused.value.code == 2  # Read Not Permitted

            values: asyncio.Queue[bytes] = asyncio.Queue()
            await client.start_notify(READ, lambda _, value: values.put_nowait(bytes(value)))
            await client.start_notify(INDICATE, lambda _, value: values.put_nowait(bytes(value)))
            await button.device.notify_subscribers(button.source, b"n")
            await asyncio.wait_for(button.device.indicate_subscribers(button.sure, b"i"), 60)
            assert [await asyncio.wait_for(values.get(), 60) for _ in "ni"] == [b"n", b"i"]
            await client.stop_notify(READ)
            await button.device.notify_subscribers(button.source, b"unheard")
            await asyncio.sleep(0.05)
            assert values.empty()


async def test_scanning_goes_on_while_connected(air: Air, phone: Phone) -> None:
    """A second button is heard while the first is connected, and connected besides it."""
    first, second = Peripheral(air, "first"), Peripheral(air, "second")
    async with phone() as (heard, (_, backend)):
        await first.advertise()
        async with BleakClient(await heard.device(), backend=backend) as one:
            await second.advertise()
            async with BleakClient(await heard.device(), backend=backend) as two:
                assert await one.read_gatt_char(READ) == await two.read_gatt_char(READ) == b"state"


async def test_links_outlive_the_address_they_were_made_with(air: Air, phone: Phone) -> None:
    """A button that draws a new address keeps its links, each under its own."""
    button = Peripheral(air)
    async with phone() as (heard, (_, backend)):
        clients = []
        for _ in range(3):
            await button.advertise(new_address=True)
            client = BleakClient(await heard.device(), backend=backend)
            await client.connect()
            clients.append(client)
        assert len({client.address for client in clients}) == 3
        for client in clients:
            await client.write_gatt_char(WRITE, client.address.encode(), response=True)
            assert await button.written.get() == client.address.encode()
        for client in clients:
            await client.disconnect()


async def test_two_phones_on_one_button(air: Air, phone: Phone) -> None:
    """The first to call gets the advert; the second gets the next one."""
    button = Peripheral(air)
    button.device.on("connection", lambda _: asyncio.ensure_future(button.advertise()))
    async with phone("one") as (heard_one, (_, one)), phone("two") as (heard_two, (_, two)):
        await button.advertise()
        clients = [
            BleakClient(await heard_one.device(), backend=one),
            BleakClient(await heard_two.device(), backend=two),
        ]
        await asyncio.gather(*(client.connect() for client in clients))
        for client in clients:
            assert await client.read_gatt_char(READ) == b"state"
            await client.disconnect()
    await button.device.stop_advertising()


async def test_an_absent_button_does_not_hold_up_another(air: Air, phone: Phone) -> None:
    """Two connection attempts at once: the one that can be made is made, the other as soon as it can be."""
    gone, here = Peripheral(air, "gone"), Peripheral(air, "here")
    async with phone() as (heard, (_, backend)):
        await gone.advertise()
        absent = BleakClient(await heard.device(), backend=backend, timeout=30)
        await gone.device.stop_advertising()
        waiting = asyncio.create_task(absent.connect())
        await here.advertise()
        async with BleakClient(await heard.device(), backend=backend) as client:
            assert await client.read_gatt_char(READ) == b"state"
            assert not waiting.done()
        await gone.advertise()
        await waiting
        await absent.disconnect()


async def test_what_is_not_connectable_times_out(air: Air, phone: Phone) -> None:
    """A non-connectable advert is heard, but there is nothing to connect to; later there is."""
    button = Peripheral(air)
    async with phone() as (heard, (_, backend)):
        await button.advertise(connectable=False)
        device = await heard.device()
        client = BleakClient(device, backend=backend, timeout=0.3)
        with pytest.raises(asyncio.TimeoutError):
            await client.connect()
        assert not client.is_connected
        await button.device.stop_advertising()
        await button.advertise()
        async with BleakClient(device, backend=backend) as client:
            assert client.is_connected


async def test_an_address_that_nobody_has_is_not_found(phone: Phone) -> None:
    """bleak's own error for it, after the time-out."""
    async with phone() as (_, (_, backend)):
        with pytest.raises(BleakDeviceNotFoundError):
            await BleakClient("C0:FF:EE:C0:FF:EE", backend=backend, timeout=0.2).connect()


async def test_an_address_as_text_is_looked_for(air: Air, phone: Phone) -> None:
    """As everywhere in bleak, a scan stands before such a connection."""
    button = Peripheral(air)
    address = await button.advertise()
    async with phone() as (_, (_, backend)), BleakClient(address, backend=backend, timeout=5) as client:
        assert await client.read_gatt_char(READ) == b"state"


@pytest.mark.parametrize("how", ["disconnects", "vanishes"])
async def test_a_button_that_leaves_is_noticed(air: Air, phone: Phone, how: str) -> None:
    """Whether it says so or not: a callback, BleakError from then on, and room to connect again."""
    button = Peripheral(air)
    async with phone() as (heard, (_, backend)):
        await button.advertise()
        left: asyncio.Queue[BleakClient] = asyncio.Queue()
        client = BleakClient(await heard.device(), left.put_nowait, backend=backend)
        await client.connect()
        reading = asyncio.create_task(client.read_gatt_char(READ))
        if how == "disconnects":
            await reading
            await (await button.connections.get()).disconnect()
        else:
            air.remove(button.controller)
            with pytest.raises(BleakError):  # asked and never answered
                await asyncio.wait_for(reading, 60)
        assert await asyncio.wait_for(left.get(), 60) is client
        assert not client.is_connected
        with pytest.raises(BleakError):
            await client.write_gatt_char(WRITE, b"late", response=True)
        await client.disconnect()  # once more does no harm


async def test_the_button_sees_the_phone_hang_up(air: Air, phone: Phone) -> None:
    """Remote User Terminated Connection, and the phone's own callback."""
    button = Peripheral(air)
    async with phone() as (heard, (_, backend)):
        await button.advertise()
        left: asyncio.Queue[BleakClient] = asyncio.Queue()
        client = BleakClient(await heard.device(), left.put_nowait, backend=backend)
        await client.connect()
        reason = asyncio.get_running_loop().create_future()
        (await button.connections.get()).on("disconnection", reason.set_result)
        await client.disconnect()
        assert await asyncio.wait_for(reason, 60) == 0x13
        assert left.get_nowait() is client


async def test_a_phone_that_is_killed_is_noticed_by_the_button(air: Air) -> None:
    """SIGKILL of the bridge's process: its radio goes with it, and the link after its time-out."""
    host, port = await air.serve_hci()
    button = Peripheral(air)
    address = await button.advertise()
    code = (
        "import asyncio, sys; from bleak import BleakClient; from sim.radio.bleak_backend import backends\n"
        "async def main():\n"
        "    _, client = backends(sys.argv[1], int(sys.argv[2]))\n"
        "    async with BleakClient(sys.argv[3], backend=client):\n"
        "        await asyncio.sleep(60)\n"
        "asyncio.run(main())"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, host, str(port), address, stderr=subprocess.DEVNULL
    )
    try:
        connection = await asyncio.wait_for(button.connections.get(), 60)
        reason = asyncio.get_running_loop().create_future()
        connection.on("disconnection", reason.set_result)
    finally:
        process.kill()
        await process.wait()
    assert await asyncio.wait_for(reason, 60) == hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR


async def test_an_air_that_goes_away_is_an_adapter_unplugged(air: Air, phone: Phone) -> None:
    """Links end, calls raise BleakError, nothing hangs; and there is nothing to start again with."""
    button = Peripheral(air)
    async with asyncio.timeout(60), phone() as (heard, (scanner, backend)):
        await button.advertise()
        device = await heard.device()
        left: asyncio.Queue[BleakClient] = asyncio.Queue()
        client = BleakClient(device, left.put_nowait, backend=backend)
        await client.connect()
        waiting = BleakClient(
            BLEDevice("C0:FF:EE:C0:FF:EE", None, hci.Address("C0:FF:EE:C0:FF:EE")), backend=backend
        )
        attempt = asyncio.create_task(waiting.connect())
        await asyncio.sleep(0.05)
        await air.close()
        with pytest.raises(BleakError):
            await attempt
        assert await left.get() is client
        with pytest.raises(BleakError):
            await client.read_gatt_char(READ)
        with pytest.raises(BleakBluetoothNotAvailableError):
            await BleakClient(device, backend=backend).connect()
        with pytest.raises(BleakBluetoothNotAvailableError):
            await BleakScanner(backend=scanner).start()


async def test_a_caller_who_gives_up_leaves_the_link_usable(air: Air, phone: Phone) -> None:
    """A cancelled read is not answered to the next one."""
    button = Peripheral(air)
    async with phone() as (heard, (_, backend)):
        await button.advertise()
        async with BleakClient(await heard.device(), backend=backend) as client:
            reading = asyncio.create_task(client.read_gatt_char(READ))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            reading.cancel()
            button.source.value = b"newer"
            assert await client.read_gatt_char(READ) == b"newer"


@pytest.mark.parametrize("hello", [b"\n", b"phone no-such-profile\n", b"x" * 1000, b"phone\n\x99\x99\x99"])
async def test_nonsense_on_the_line_is_shut_out(air: Air, hello: bytes) -> None:
    """A client that does not speak HCI is hung up on, and the air goes on."""
    host, port = await air.serve_hci()
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(hello)
    with suppress(ConnectionResetError):
        assert await asyncio.wait_for(reader.read(), 60) == b""
    writer.close()
    with suppress(ConnectionResetError):
        await writer.wait_closed()


@pytest.mark.parametrize(
    "wrong", [[], ["--air", "nowhere"], ["--air", "127.0.0.1:1", "--profile", "none"]], ids=len
)
def test_a_wrong_command_line_is_one_sentence(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2 and no traceback."""
    with pytest.raises(SystemExit) as ended:
        main(wrong)
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err.splitlines()[-1]
