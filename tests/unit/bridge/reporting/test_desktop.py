"""The desktop: a real D-Bus daemon, with the notification server and UPower that python-dbusmock plays."""

import asyncio
import contextlib
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("dbus_fast", reason="D-Bus is there on Linux alone")
from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from bridge.model import Trouble
from bridge.page.words import notice
from bridge.reporting.desktop import DBusDesktop

MOCK = Path("/usr/lib/python3/dist-packages/dbusmock")
UPOWER = "org.freedesktop.UPower"
NOTIFICATIONS = "org.freedesktop.Notifications"
DISPLAY = "/org/freedesktop/UPower/devices/DisplayDevice"
pytestmark = pytest.mark.skipif(
    not (MOCK.exists() and shutil.which("dbus-daemon")),
    reason="no python-dbusmock here: apt-get install python3-dbusmock dbus-daemon",
)


# No service directories: nothing of this machine is started by our questions.
CONFIGURATION = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path={path}</listen>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
<allow own="*"/></policy>
</busconfig>"""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Run a bus of our own."""
    path, configuration = tmp_path / "bus", tmp_path / "bus.conf"
    configuration.write_text(CONFIGURATION.format(path=path))
    process = subprocess.Popen(
        ["dbus-daemon", f"--config-file={configuration}", "--nofork", "--print-address"],  # noqa: S607
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    process.stdout.readline()
    yield f"unix:path={path}"
    process.terminate()
    process.wait()
    process.stdout.close()


async def ask(bus: MessageBus, name: str, path: str, call: str, signature: str, *body: Any) -> Any:
    """Return the first value of the answer to `call`, which is "interface.Member"."""
    interface, _, member = call.rpartition(".")
    message = Message(name, path, interface, member, signature=signature, body=list(body))
    answer = await bus.call(message)
    assert answer.message_type is MessageType.METHOD_RETURN, answer.body
    return answer.body[0] if answer.body else None


@contextlib.asynccontextmanager
async def played(address: str, template: str, name: str) -> AsyncIterator[MessageBus]:
    """Somebody plays `template` under the bus name `name`; to be told what, over this connection."""
    kind = "--system" if template == "upower" else "--session"
    process = await asyncio.create_subprocess_exec(
        *("/usr/bin/python3", "-m", "dbusmock", kind, "--template", template),
        env={"DBUS_SESSION_BUS_ADDRESS": address, "DBUS_SYSTEM_BUS_ADDRESS": address, "PATH": "/usr/bin"},
        stdout=asyncio.subprocess.DEVNULL,
    )
    bus = await MessageBus(address, BusType.SESSION).connect()
    daemon = "org.freedesktop.DBus"
    try:
        async with asyncio.timeout(60):
            while not await ask(bus, daemon, "/org/freedesktop/DBus", f"{daemon}.NameHasOwner", "s", name):  # noqa: ASYNC110 -- the mock says nothing when it is ready
                await asyncio.sleep(0.05)
        yield bus
    finally:
        bus.disconnect()
        process.terminate()
        await process.wait()


async def has_battery(bus: MessageBus, percent: float, present: bool) -> None:
    values = {"Percentage": Variant("d", percent), "IsPresent": Variant("b", present)}
    call = "org.freedesktop.DBus.Mock.UpdateProperties"
    await ask(bus, UPOWER, DISPLAY, call, "sa{sv}", f"{UPOWER}.Device", values)


async def test_a_notice_is_shown_in_neutral_words(address: str) -> None:
    """What the desktop shows to everybody in the room says no more than the page does."""
    summary, body = notice(Trouble("centre", "centre_down", "the centre cannot be reached", 0), "nl")
    async with played(address, "notification_daemon", NOTIFICATIONS) as bus:
        await DBusDesktop("Tag", session_address=address).notify(summary, body)
        path, call = "/org/freedesktop/Notifications", "org.freedesktop.DBus.Mock.GetMethodCalls"
        calls = await ask(bus, NOTIFICATIONS, path, call, "s", "Notify")
    [(_, [name, replaces, icon, shown, text, actions, _hints, expires])] = calls
    shown_values = [value.value for value in (name, replaces, icon, shown, text, actions, expires)]
    assert shown_values == ["Tag", 0, "", "Synchronisatie werkt niet", body, [], -1]


async def test_the_battery_of_this_phone(address: str) -> None:
    """Followed as it empties; a machine without one has none, not 0 %."""
    at = DBusDesktop("Tag", system_address=address)
    async with played(address, "upower", UPOWER) as bus:
        assert await at.battery_percent() is None
        await has_battery(bus, 63.6, True)
        assert await at.battery_percent() == 64
        await has_battery(bus, 4.0, True)
        assert await at.battery_percent() == 4
        for nonsense in (float("nan"), -1.0, 101.0):
            await has_battery(bus, nonsense, True)
            assert await at.battery_percent() is None


async def test_nobody_on_the_bus_is_silence(address: str) -> None:
    """No notification server, no UPower: nothing happens, and nothing is raised."""
    at = DBusDesktop("Tag", session_address=address, system_address=address)
    await at.notify("Bluetooth", "")
    assert await at.battery_percent() is None


@pytest.mark.parametrize("where", ["unix:path=/nowhere/bus", "nonsense", "tcp:host=127.0.0.1,port=1"])
async def test_no_bus_is_silence(where: str) -> None:
    """A server in a cupboard has no desktop."""
    at = DBusDesktop("Tag", session_address=where, system_address=where)
    await at.notify("Bluetooth", "")
    assert await at.battery_percent() is None


async def test_a_bus_that_does_not_answer_keeps_nobody(tmp_path: Path) -> None:
    """It is given up after a bounded time, with its connection."""
    gone: asyncio.Queue[bytes] = asyncio.Queue()

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(100):
            pass
        writer.close()
        gone.put_nowait(b"")

    async with await asyncio.start_unix_server(mute, tmp_path / "mute"):
        at = f"unix:path={tmp_path}/mute"
        patient = DBusDesktop("Tag", session_address=at, system_address=at, answer_s_max=0.1)
        await patient.notify("Bluetooth", "")
        assert await patient.battery_percent() is None
        for _ in range(2):
            await asyncio.wait_for(gone.get(), 10)
