"""The radio where Linux has no Bluetooth as it should be: a real D-Bus daemon, a bluetoothd by dbusmock.

With the real bluetoothd: tests/bluez.
"""

import asyncio
import contextlib
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("dbus_fast", reason="D-Bus is there on Linux alone")
from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from bridge.ports import RadioOff
from bridge.radio.bluez import Adapter, Bluez, is_blocked
from tests.unit.bridge.radio.parts import a_bus

ADAPTER = "org.bluez.Adapter1"
HCI0 = "/org/bluez/hci0"
pytestmark = pytest.mark.skipif(
    not (Path("/usr/lib/python3/dist-packages/dbusmock").exists() and shutil.which("dbus-daemon")),
    reason="no python-dbusmock here: apt-get install python3-dbusmock dbus-daemon",
)


class Heard(asyncio.Queue[RadioOff]):
    """What was told to be off."""

    async def reason(self) -> str:
        return (await asyncio.wait_for(self.get(), 10)).reason


@pytest.fixture
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Run a system bus of our own, with nobody on it."""
    with a_bus(tmp_path) as address:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
        yield address


class Daemon:
    """dbusmock's bluetoothd."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def __aenter__(self) -> "Daemon":
        self._process = await asyncio.create_subprocess_exec(
            *("/usr/bin/python3", "-m", "dbusmock", "--system", "--template", "bluez5"),
            env={"DBUS_SYSTEM_BUS_ADDRESS": self._address, "PATH": "/usr/bin"},
            stdout=asyncio.subprocess.DEVNULL,
        )
        self._bus = await MessageBus(self._address, BusType.SYSTEM).connect()
        async with asyncio.timeout(60):
            while not await self._is_there():  # noqa: ASYNC110  # the mock says nothing when it is ready
                await asyncio.sleep(0.05)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()
        self._bus.disconnect()

    async def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    async def _is_there(self) -> bool:
        name = "org.freedesktop.DBus"
        there = await self._ask(name, "/org/freedesktop/DBus", f"{name}.NameHasOwner", "s", "org.bluez")
        return bool(there)

    async def add(self, name: str = "hci0") -> None:
        await self._ask("org.bluez", "/org/bluez", "org.bluez.Mock.AddAdapter", "ss", name, "laptop")

    async def remove(self, name: str = "hci0") -> None:
        await self._ask("org.bluez", "/org/bluez", "org.bluez.Mock.RemoveAdapter", "s", name)

    async def change(self, **properties: bool) -> None:
        values = {name: Variant("b", value) for name, value in properties.items()}
        call = "org.freedesktop.DBus.Mock.UpdateProperties"
        await self._ask("org.bluez", HCI0, call, "sa{sv}", ADAPTER, values)

    async def get(self, name: str) -> Any:
        call = "org.freedesktop.DBus.Properties.Get"
        return (await self._ask("org.bluez", HCI0, call, "ss", ADAPTER, name)).value

    async def _ask(self, name: str, path: str, call: str, signature: str, *body: Any) -> Any:
        interface, _, member = call.rpartition(".")
        message = Message(name, path, interface, member, signature=signature, body=list(body))
        answer = await self._bus.call(message)
        assert answer.message_type is MessageType.METHOD_RETURN, answer.body
        return answer.body[0] if answer.body else None


@pytest.fixture
async def daemon(bus: str) -> AsyncIterator[Daemon]:
    async with Daemon(bus) as daemon:
        yield daemon


@pytest.fixture
async def off() -> Heard:
    return Heard()


@pytest.fixture
async def bluez(off: Heard) -> AsyncIterator[Bluez]:
    """As the radio has it, with less patience."""
    bluez = Bluez(off.put_nowait, repair_s_max=1.0, pause_s_max=0.3)
    yield bluez
    bluez.close()


async def reason(bluez: Bluez) -> str:
    with pytest.raises(RadioOff) as off:
        await bluez.ready()
    assert str(off.value)
    return off.value.reason


async def test_no_system_bus_is_told(bluez: Bluez, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As in a container."""
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/nobody")
    assert await reason(bluez) == "bluetoothd_gone"


async def test_no_bluetooth_service_is_told(bus: str, bluez: Bluez) -> None:
    """Waited for, but not for ever."""
    assert await reason(bluez) == "bluetoothd_gone"


async def test_who_may_not_ask_is_told(tmp_path: Path, bluez: Bluez, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bus's policy keeps this user from bluetoothd, which is there."""
    with a_bus(tmp_path, '<deny send_interface="org.freedesktop.DBus.ObjectManager"/>') as address:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
        async with Daemon(address):
            assert await reason(bluez) == "permission"


async def test_no_adapter_is_told(daemon: Daemon, bluez: Bluez) -> None:
    """A bluetoothd runs, but has nothing to run."""
    assert await reason(bluez) == "adapter_gone"


async def test_an_adapter_that_comes_late_is_waited_for(daemon: Daemon, bluez: Bluez) -> None:
    """As after bluetoothd was started."""
    ready = asyncio.create_task(bluez.ready())
    await asyncio.sleep(0.1)
    await daemon.add()
    assert await ready == Adapter("hci0", passive=False)


async def test_an_adapter_that_is_off_is_switched_on(daemon: Daemon, bluez: Bluez) -> None:
    """Before a scan."""
    await daemon.add()
    await daemon.change(Powered=False)
    assert await bluez.ready() == Adapter("hci0", passive=False)
    assert await daemon.get("Powered")


async def test_one_that_is_on_goes_before_one_that_is_off(daemon: Daemon, bluez: Bluez) -> None:
    """Nobody's second adapter is switched on without need."""
    await daemon.add("hci0")
    await daemon.change(Powered=False)
    await daemon.add("hci1")
    assert (await bluez.ready()).name == "hci1"
    assert not await daemon.get("Powered")


async def test_what_happens_to_the_adapter_is_told_once(daemon: Daemon, bluez: Bluez, off: Heard) -> None:
    """Switched off, unplugged, bluetoothd killed; to another adapter, nothing."""
    await daemon.add()
    await bluez.ready()
    await daemon.change(Powered=False)
    assert await off.reason() == "bluetooth_off"
    await daemon.change(Powered=True)

    await bluez.ready()
    await daemon.add("hci1")
    await daemon.remove("hci1")
    await daemon.remove()
    assert await off.reason() == "adapter_gone"

    await daemon.add()
    await bluez.ready()
    await daemon.kill()
    assert await off.reason() == "bluetoothd_gone"
    assert off.empty()


async def test_a_bus_that_goes_away_is_told(
    tmp_path: Path, bluez: Bluez, off: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And asked again when it is back."""
    for _ in range(2):
        with a_bus(tmp_path) as address:
            monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
            async with Daemon(address) as daemon:
                await daemon.add()
                await bluez.ready()
        assert await off.reason() == "bluetoothd_gone"
    assert off.empty()


async def test_a_discovery_that_pauses_is_not_lost_and_one_that_ends_is(
    daemon: Daemon, bluez: Bluez, off: Heard
) -> None:
    """BlueZ begins a discovery anew every ten seconds."""
    await daemon.add()
    await bluez.ready()
    await daemon.change(Discovering=True)
    bluez.began(active=True)
    await daemon.change(Discovering=False)
    await daemon.change(Discovering=True)
    await asyncio.sleep(0.5)
    assert off.empty()
    await daemon.change(Discovering=False)
    assert await off.reason() == "scan_ended"


async def test_a_passive_scan_is_no_discovery(daemon: Daemon, bluez: Bluez, off: Heard) -> None:
    """Somebody else's discovery ends; ours has none."""
    await daemon.add()
    await bluez.ready()
    bluez.began(active=False)
    await daemon.change(Discovering=True)
    await daemon.change(Discovering=False)
    await asyncio.sleep(0.5)
    assert off.empty()


def test_flight_mode_is_known_by_the_kernels_word(tmp_path: Path) -> None:
    """Of Bluetooth's switches alone, by hand or by program; what cannot be read says nothing."""
    for number, (kind, soft, hard) in enumerate([("wlan", "1", "1"), ("bluetooth", "0", "0")]):
        switch = tmp_path / f"rfkill{number}"
        switch.mkdir()
        for name, text in (("type", kind), ("soft", soft), ("hard", hard)):
            (switch / name).write_text(f"{text}\n")
    (tmp_path / "rfkill9").mkdir()
    assert not is_blocked(tmp_path)
    for name in ("soft", "hard"):
        (tmp_path / "rfkill1" / name).write_text("1\n")
        assert is_blocked(tmp_path)
        (tmp_path / "rfkill1" / name).write_text("0\n")
    assert not is_blocked(tmp_path / "nowhere")


def test_where_there_is_no_d_bus_the_radio_does_not_ask_for_it() -> None:
    """macOS, Windows and Android have no dbus_fast: adapter.py is for a radio on Linux, when it is made."""
    code = "import sys, bridge.radio; sys.exit('bridge.adapter' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
