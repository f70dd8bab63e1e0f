"""No answer of BlueZ is for ever: a real D-Bus daemon, a bluetoothd that answers late, wrongly or never."""

import asyncio
import contextlib
import random
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from bridge.ports import RadioOff
from bridge.radio.bleak_radio import BleakRadio
from sim.bluez.bluetoothd import BLUEZ, DAEMON, Answer, Bluetoothd
from tests.parts import seeds
from tests.unit.bridge.radio.parts import a_bus

UUID = "7e57c0de-0000-4000-8000-00000000beef"
AGAIN_S = 0.05
# What a start, or a stop, may be answered with.
ERRORS = [
    *(f"{BLUEZ}.Error.{name}" for name in ("InProgress", "Busy", "NotReady", "Failed", "NotSupported")),
    *(f"{BLUEZ}.Error.{name}" for name in ("NotAuthorized", "NotPermitted", "Blocked", "NotAvailable")),
    *(f"{DAEMON}.Error.{name}" for name in ("AccessDenied", "NoReply", "ServiceUnknown", "UnknownObject")),
    *(f"{DAEMON}.Error.{name}" for name in ("LimitsExceeded", "Disconnected", "Timeout", "UnknownMethod")),
    "com.example.Error.NobodyKnows",
]
pytestmark = pytest.mark.skipif(shutil.which("dbus-daemon") is None, reason="no dbus-daemon here")


@pytest.fixture
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with a_bus(tmp_path) as address:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
        yield address


@pytest.fixture
async def daemon(bus: str) -> AsyncIterator[Bluetoothd]:
    async with Bluetoothd(bus, "hci0") as daemon:
        yield daemon


class Ears:
    """A radio, as the bridge has it, with less patience; `heard` is who was reported."""

    def __init__(self, adapter: str = "") -> None:
        self.heard: list[str] = []
        self.radio = BleakRadio(
            lambda peer, *_: self.heard.append(peer.address), adapter=adapter, scan_s_max=0.3
        )

    async def fails(self) -> RadioOff:
        """Return why a scan does not begin."""
        with pytest.raises(RadioOff) as off:
            await self.radio.scan([])
        return off.value

    async def listen(self, tries_max: int = 30) -> list[str]:
        """Scan as the bridge does, until that goes; return the reasons why it did not."""
        reasons: list[str] = []
        for _ in range(tries_max):
            try:
                await self.radio.scan([])
            except RadioOff as off:
                reasons.append(off.reason)
                await asyncio.sleep(AGAIN_S)
            else:
                return reasons
        raise AssertionError(f"never listens: {reasons}")

    async def hears(self, daemon: Bluetoothd, adapter: str = "hci0") -> bool:
        """Return whether an advert on the air is reported."""
        address = f"C0:00:00:00:00:{random.randrange(256):02X}"
        self.heard.clear()
        daemon.advertise(address, UUID, adapter)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(3):
                while address not in self.heard:  # noqa: ASYNC110 -- the radio calls back
                    await asyncio.sleep(0.01)
        return address in self.heard


@pytest.fixture
async def ears() -> AsyncIterator[Ears]:
    ears = Ears()
    yield ears
    await ears.radio.stop()


@pytest.mark.parametrize("delay_s", [0.6, None])
async def test_a_start_that_is_answered_late_or_never_costs_one_try(
    daemon: Bluetoothd, ears: Ears, delay_s: float | None
) -> None:
    """The discovery that came of it is not in the way of the next; and the reason names the truth."""
    daemon.answer("StartDiscovery", Answer(delay_s))
    assert (await ears.fails()).reason == "bluetooth_silent"
    assert await ears.listen() == []
    assert await ears.hears(daemon)
    assert len(daemon.adapters["hci0"].clients) == 1


async def test_a_start_that_is_cancelled_costs_no_try(daemon: Bluetoothd, ears: Ears) -> None:
    """Half of a start leaves a discovery of which bleak does not know."""
    daemon.answer("StartDiscovery", Answer(None))
    scanning = asyncio.create_task(ears.radio.scan([]))
    while "StartDiscovery" not in daemon.calls:  # noqa: ASYNC110 -- the other end is asked
        await asyncio.sleep(0.01)
    scanning.cancel()
    await asyncio.gather(scanning, return_exceptions=True)
    assert await ears.listen() == []
    assert await ears.hears(daemon)


@pytest.mark.parametrize(
    "error", [f"{BLUEZ}.Error.Failed", f"{BLUEZ}.Error.NotAuthorized", "com.example.Odd"]
)
async def test_a_stop_that_is_refused_costs_no_try(daemon: Bluetoothd, ears: Ears, error: str) -> None:
    """The scan is begun anew each minute of silence, so it is stopped often."""
    await ears.listen()
    daemon.answer("StopDiscovery", Answer(error=error))
    assert await ears.listen() == []
    assert await ears.hears(daemon)
    assert len(daemon.adapters["hci0"].clients) == 1


async def test_a_stop_that_is_not_answered_costs_no_try(daemon: Bluetoothd, ears: Ears) -> None:
    """Nor does it hold up the next start for longer than a few seconds."""
    await ears.listen()
    daemon.answer("StopDiscovery", Answer(None))
    before_s = time.monotonic()
    assert await ears.listen() == []
    assert time.monotonic() - before_s < 20
    assert await ears.hears(daemon)


async def test_every_error_has_a_sentence_of_its_own_and_is_not_for_ever(
    daemon: Bluetoothd, ears: Ears
) -> None:
    """What is refused once is asked again; and no error but a missing adapter is called one."""
    reasons = {}
    for error in ERRORS:
        daemon.answer("StartDiscovery", Answer(error=error))
        off = await ears.fails()
        assert str(off)
        reasons[error.rpartition(".")[2]] = off.reason
        assert await ears.listen() == []
        assert await ears.hears(daemon), error
    assert reasons == {
        **dict.fromkeys(("InProgress", "Busy", "LimitsExceeded"), "bluetooth_busy"),
        **dict.fromkeys(("NotSupported", "NotAvailable"), "bluetooth_unfit"),
        **dict.fromkeys(("NotAuthorized", "NotPermitted", "AccessDenied"), "permission"),
        **dict.fromkeys(("NoReply", "Timeout"), "bluetooth_silent"),
        **dict.fromkeys(("ServiceUnknown", "Disconnected"), "bluetoothd_gone"),
        **dict.fromkeys(("UnknownObject", "UnknownMethod"), "adapter_gone"),
        **dict.fromkeys(("Failed", "NobodyKnows"), "bluetooth_failing"),
        "NotReady": "bluetooth_off",
        "Blocked": "bluetooth_blocked",
    }


@pytest.mark.parametrize("seed", seeds(2, 8))
async def test_whatever_it_answers_it_listens_again_once_it_is_well(
    daemon: Bluetoothd, ears: Ears, seed: int
) -> None:
    """Starts and stops late, refused or never answered, in any order, some of ours cancelled."""
    chance = random.Random(seed)
    for _ in range(12):
        method = chance.choice(["StartDiscovery", "StartDiscovery", "SetDiscoveryFilter", "StopDiscovery"])
        delay_s = chance.choice([0.0, 0.1, 0.5, None] if method != "StopDiscovery" else [0.0, 0.1, 0.5])
        daemon.answer(method, Answer(delay_s, chance.choice(["", *ERRORS])))
        scanning = asyncio.create_task(ears.radio.scan([]))
        if chance.random() < 0.3:
            await asyncio.sleep(chance.choice([0, 0.01, 0.05]))
            scanning.cancel()
        await asyncio.gather(scanning, return_exceptions=True)
    daemon.answers.clear()
    assert len(await ears.listen()) <= 1, seed
    assert await ears.hears(daemon), seed


async def test_of_two_adapters_the_one_that_does_is_used(bus: str, ears: Ears) -> None:
    """After two starts that failed; and back again when the other one fails."""
    async with Bluetoothd(bus, "hci0", "hci1") as daemon:
        daemon.adapters["hci0"].is_dead = True
        assert await ears.listen() == ["bluetooth_failing"] * 2
        assert await ears.hears(daemon, "hci1")
        daemon.adapters["hci0"].is_dead, daemon.adapters["hci1"].is_dead = False, True
        assert await ears.listen() == ["bluetooth_failing"] * 2
        assert await ears.hears(daemon, "hci0")


@pytest.mark.parametrize("wish", ["hci1", "00:11:22:33:44:01", "HCI1"])
async def test_the_adapter_that_is_named_is_used_and_no_other(bus: str, wish: str) -> None:
    """By its name or its address."""
    ears = Ears(wish)
    async with Bluetoothd(bus, "hci0", "hci1") as daemon:
        await ears.listen()
        assert await ears.hears(daemon, "hci1")
        daemon.adapters["hci1"].is_dead = True
        for _ in range(4):
            await ears.fails()
        assert not daemon.adapters["hci0"].clients
        await ears.radio.stop()


async def test_one_that_is_named_and_not_there_is_named_in_the_reason(daemon: Bluetoothd) -> None:
    """Waited for, like any."""
    ears = Ears("hci7")
    off = await ears.fails()
    assert off.reason == "adapter_gone"
    assert "hci7" in str(off)
    await ears.radio.stop()


async def test_an_adapter_that_hears_nothing_is_switched_off_and_on(daemon: Bluetoothd, ears: Ears) -> None:
    """And listens again afterwards."""
    await ears.listen()
    assert await ears.radio.power_cycle()
    assert daemon.adapters["hci0"].powered == [False, True]
    assert await ears.listen() == []
    assert await ears.hears(daemon)


async def test_nobodys_headset_is_cut_off(daemon: Bluetoothd, ears: Ears) -> None:
    """An adapter with somebody else's device connected stays on; so does one that is not ours to switch."""
    await ears.listen()
    daemon.connect("AA:BB:CC:DD:EE:FF")
    assert not await ears.radio.power_cycle()
    daemon.devices.clear()
    daemon.answer("Set", Answer(error=f"{DAEMON}.Error.AccessDenied"))
    assert not await ears.radio.power_cycle()
    assert daemon.adapters["hci0"].powered == []
    assert await ears.listen() == []
    assert await ears.hears(daemon)
