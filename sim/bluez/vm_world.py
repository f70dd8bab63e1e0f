"""A world with a Linux machine in it: its bridge is `amr-bridge run` as it is installed, on BlueZ."""

import asyncio
import sys
from pathlib import Path

from bumble.device import AdvertisingType, Device, DeviceConfiguration
from bumble.hci import Address, HCI_LE_Set_Advertising_Data_Command

from sim.bluez.vm import Broken, Machine
from sim.radio.air import Air, AirController
from sim.radio.controller import LeanHost
from sim.realtime.world import Button, World

LISTEN_S_MAX = 15.0


class Stranger:
    """A thing of somebody else's, whose advert has our flags and a counter."""

    def __init__(self, air: Air, number: int) -> None:
        self._number = number
        self._counter = 0
        controller = air.controller(f"stranger {number}")
        self._device = Device(
            config=DeviceConfiguration(
                address=Address(f"C5:5E:00:00:{number >> 8:02X}:{number & 255:02X}"), classic_enabled=False
            ),
            host=LeanHost(controller, controller),
        )

    def _data(self) -> bytes:
        numbers = self._number.to_bytes(2, "big") + self._counter.to_bytes(4, "big")
        return b"\x02\x01\x06\x09\xff\xff\xff" + numbers

    async def advertise(self, interval_ms: float = 100) -> None:
        await self._device.power_on()
        await self._device.start_advertising(
            advertising_type=AdvertisingType.UNDIRECTED,
            advertising_data=self._data(),
            advertising_interval_min=interval_ms,
            advertising_interval_max=interval_ms,
        )

    async def change(self) -> None:
        self._counter += 1
        command = HCI_LE_Set_Advertising_Data_Command(advertising_data=self._data())
        await self._device.send_sync_command(command)


class LinuxWorld(World):
    """As World; `add_linux_bridge` beside `add_bridge`, while the machine is `plugged` into the air."""

    def __init__(self, home: Path, machine: Machine) -> None:
        super().__init__(home)
        self.machine = machine
        self.radio: AirController | None = None

    @property
    def listens(self) -> str:
        """How the machine's radio is asked to listen, by its controller."""
        if self.radio is None or not self.radio.le_scan_enable:
            return ""
        return "active" if self.radio.le_scan_type == 1 else "passive"

    async def until_it_listens(self, mode: str) -> None:
        """Raises Broken where it does not come to that."""
        try:
            async with asyncio.timeout(LISTEN_S_MAX):
                while self.listens != mode:  # noqa: ASYNC110  # it is another machine's
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise Broken(f"the radio is asked to be {self.listens or 'off'}, not {mode}") from None

    async def add_linux_bridge(self, enrolment: str, name: str = "bridge", *options: str) -> None:
        """Enrol with a QR text, and run the bridge on the virtual machine's Bluetooth."""
        await self.enrol(name, enrolment)
        home = ["--home", str(self.home / name)]
        bridge = [sys.executable, "-m", "bridge"]
        alone = ["--set", "page.port=0", "--set", "supervision.notify=false"]
        there = ["env", *(f"{key}={value}" for key, value in self.machine.environment.items())]
        await self._start(name, [*there, *bridge, "run", "--json-log", *home, *alone, *options], "scanning")

    def pid(self, name: str) -> int:
        """Of a program's process, which `env` has become."""
        process = self.programs[name]._process
        assert process is not None
        return process.pid

    async def add_strangers(self, count: int) -> list[Stranger]:
        """Other people's things on the air, some 10 adverts per second each, until the air closes."""
        strangers = [Stranger(self.air, number) for number in range(count)]
        for stranger in strangers:
            await stranger.advertise()
        return strangers

    async def watched(self, *options: str) -> Button:
        """A button with a short hold, the bridge, and the calm after both have started."""
        button = await self.add_button(hold_ms=500)
        await self.add_linux_bridge(button.enrolment, "bridge", *options)
        await self.wait_for(lambda h: h.by == "button" and h.what == "sleep")
        return button
