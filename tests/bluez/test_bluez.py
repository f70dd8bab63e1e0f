"""The bridge as it is installed, on Linux's own Bluetooth: kernel, bluetoothd, bleak's backend for it."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from dbus_fast import Message
from dbus_fast.aio import MessageBus

from bridge.ports import Peer, RadioOff
from bridge.radio.bleak_radio import BleakRadio
from sim.bluez.vm_world import LinuxWorld
from sim.realtime.world import Button, Match
from tests.integration.conftest import incidents, is_stage, said
from wire.codes import ALARM, TEST

pytestmark = [pytest.mark.bluez, pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="session")]


def trouble(reason: str) -> Match:
    return lambda e: e.by == "bridge" and e.what == "trouble" and e.data["reason"] == reason


def scanning(by: str = "bridge") -> Match:
    return lambda e: e.by == by and e.what == "scanning"


async def press_is_received(world: LinuxWorld, button: Button) -> str:
    """A press, all the way; its incident."""
    since = len(world.events)
    await button.press()
    received = await world.wait_for(lambda e: is_stage(e, "received"), since=since)
    await world.wait_for(said("button", "receipt", "1"), since=since)
    return str(received.data["incident"])


async def test_alarm_goes_all_the_way_and_back(world: LinuxWorld) -> None:
    """Heard, received, acknowledged; both receipts proven on the button; nothing sent to listen."""
    button = await world.watched()
    assert world.listens == "passive"
    since = len(world.events)
    await world.acknowledge(await press_is_received(world, button))
    await world.wait_for(said("button", "receipt", "2"), since=since)
    assert incidents(world) == [(button.device_id, ALARM, 1)]


async def test_silent_test_is_answered(world: LinuxWorld) -> None:
    """Three clicks, and RECEIVED on the button."""
    button = await world.watched()
    await button.clicks()
    await world.wait_for(said("button", "receipt", "1"))
    assert incidents(world) == [(button.device_id, TEST, 1)]


async def test_presses_one_after_the_other(world: LinuxWorld) -> None:
    """Each under an address and with a table of its own; the link to the last is not in the way."""
    button = await world.watched()
    for number in (1, 2, 3):
        await press_is_received(world, button)
        assert len(incidents(world)) == number


async def test_ten_strangers_advertise(world: LinuxWorld) -> None:
    """With our flags, and some with data that changes; the press is heard among them."""
    strangers = await world.add_strangers(10)
    button = await world.watched()
    for stranger in strangers[::2]:
        await stranger.change()
    await press_is_received(world, button)


async def test_a_bridge_that_is_killed_in_the_middle_brings_the_receipt(world: LinuxWorld) -> None:
    """SIGKILL after the press is on disk; BlueZ still knows the button, and its advert does not change."""
    button = await world.watched()
    await world.programs["centre"].stop()
    since = len(world.events)
    await button.press()
    await world.wait_for(lambda e: is_stage(e, "heard"), since=since)
    await world.kill("bridge")
    await world.start("centre")
    await world.start("bridge")
    await world.wait_for(said("button", "receipt", "1"), since=since)
    assert incidents(world) == [(button.device_id, ALARM, 1)]


async def test_bluez_is_left_as_it_was(world: LinuxWorld) -> None:
    """BlueZ keeps whom it connected to, on disk; whose button called when is nobody's to read there."""
    button = await world.watched()
    await press_is_received(world, button)
    assert await world.machine.devices()
    await world.programs["bridge"].stop()
    assert not await world.machine.devices()


# -- without advertisement monitors, as bluetoothd is on most machines ----------------------------------


@pytest_asyncio.fixture(loop_scope="session")
async def plain(world: LinuxWorld) -> AsyncIterator[LinuxWorld]:
    await world.machine.restart_daemon()
    yield world
    await world.machine.restart_daemon("--experimental")


async def test_without_monitors_it_asks_and_connects_at_once(plain: LinuxWorld) -> None:
    """Active discovery; the receipt does not wait for the next one, up to ten seconds later."""
    button = await plain.watched()
    assert plain.listens == "active"
    since = len(plain.events)
    await button.press()
    await plain.wait_for(said("button", "receipt", "1"), since=since, timeout_s=7)
    assert not any(trouble("scan_ended")(event) for event in plain.events), "it goes on listening meanwhile"


# -- what befalls an adapter ----------------------------------------------------------------------------


async def test_an_adapter_that_is_switched_off_is_switched_on_again(world: LinuxWorld) -> None:
    """Said, repaired, and a press works."""
    button = await world.watched()
    since = len(world.events)
    await world.machine.power(False)
    await world.wait_for(trouble("bluetooth_off"), since=since)
    await world.wait_for(scanning(), since=since)
    await press_is_received(world, button)


async def test_a_bluetoothd_that_is_killed_and_comes_back(world: LinuxWorld) -> None:
    """Said; and when it is back, it scans and a press works."""
    button = await world.watched()
    since = len(world.events)
    await world.machine.run("daemon_dies")
    await world.wait_for(trouble("bluetoothd_gone"), since=since)
    await world.machine.run("daemon --experimental")
    await world.wait_for(scanning(), since=since)
    await press_is_received(world, button)


async def test_an_adapter_that_is_unplugged_and_plugged_in(world: LinuxWorld) -> None:
    """The same."""
    button = await world.watched()
    since = len(world.events)
    await world.machine.run("unplug")
    await world.wait_for(trouble("adapter_gone"), since=since)
    await world.machine.run("plug")
    await world.wait_for(scanning(), since=since)
    await press_is_received(world, button)


async def test_a_blocked_adapter_is_told_and_used_when_it_is_free(world: LinuxWorld) -> None:
    """Flight mode is a person's wish: it is told, not undone."""
    button = await world.watched()
    since = len(world.events)
    await world.machine.run("block 1")
    try:
        await world.wait_for(trouble("bluetooth_blocked"), since=since)
        assert not await world.machine.is_powered()
    finally:
        await world.machine.run("block 0")
    await world.wait_for(scanning(), since=since)
    await press_is_received(world, button)


# -- the radio alone ------------------------------------------------------------------------------------


class Ears(BleakRadio):
    """Keeps what it hears."""

    def __init__(self) -> None:
        super().__init__(lambda peer, uuids, _: self.heard.put_nowait((peer, list(uuids))))
        self.heard: asyncio.Queue[tuple[Peer, list[str]]] = asyncio.Queue()


@pytest_asyncio.fixture(loop_scope="session")
async def radio(world: LinuxWorld, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator["Ears"]:
    """On the machine's Bluetooth, in this process."""
    for name, value in world.machine.environment.items():
        monkeypatch.setenv(name, value)
    radio = Ears()
    yield radio
    await radio.stop()


async def test_where_monitors_hear_nothing_the_other_way_is_tried(world: LinuxWorld, radio: Ears) -> None:
    """In turn, until there is something to hear."""
    modes = []
    for _ in range(3):
        await radio.scan([])
        modes.append(radio.mode)
        await world.until_it_listens(radio.mode)
    assert modes == ["passive", "active", "passive"]
    await world.add_strangers(1)
    await asyncio.wait_for(radio.heard.get(), 10)
    await radio.scan([])
    assert radio.mode == "passive"


async def test_a_link_ends_with_its_adapter(world: LinuxWorld, radio: Ears) -> None:
    """A bluetoothd that is killed says no more to those who wait for a word of it."""
    await radio.scan([])
    await world.add_button()
    peer, uuids = await asyncio.wait_for(radio.heard.get(), 10)
    ended = asyncio.Event()
    async with radio.link(peer, bytes.fromhex(uuids[0].replace("-", "")), ended.set) as link:
        assert link.is_up
        await world.machine.run("daemon_dies")
        assert (await asyncio.wait_for(radio.lost(), 10)).reason == "bluetoothd_gone"
        await asyncio.wait_for(ended.wait(), 1)
        assert not link.is_up
    await world.machine.run("daemon --experimental")
    await radio.scan([])
    assert radio.mode == "passive"


async def test_a_bluetoothd_that_stalls_as_a_scan_begins_leaves_nobody_deaf(
    plain: LinuxWorld, radio: Ears, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stalled disk, a busy kernel: StartDiscovery is answered after 12 s, and the next scan hears again."""
    machine = plain.machine
    call = MessageBus.call
    stalls: list[asyncio.Task[None]] = []

    async def stall() -> None:
        await machine.run('kill -STOP "$(cat /run/bluetoothd.pid)"')
        await asyncio.sleep(12)
        await machine.run('kill -CONT "$(cat /run/bluetoothd.pid)"')

    async def stalling(bus: MessageBus, message: Message) -> Message | None:
        if message.member == "StartDiscovery" and not stalls:
            stalls.append(asyncio.create_task(stall()))
            await asyncio.sleep(0.5)  # it is stopped by now
        return await call(bus, message)

    monkeypatch.setattr(MessageBus, "call", stalling)
    with pytest.raises(RadioOff) as off:
        await radio.scan([])
    assert off.value.reason == "bluetooth_silent"
    await stalls[0]
    async with asyncio.timeout(20):
        while True:
            try:
                await radio.scan([])
                break
            except RadioOff:
                await asyncio.sleep(1)
    await plain.add_strangers(1)
    await asyncio.wait_for(radio.heard.get(), 10)
