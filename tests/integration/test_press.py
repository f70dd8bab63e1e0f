"""One press, all the way on real parts: what the protected person, the operator and a stranger see of it.

Each test makes a whole world, which costs seconds: those whose promise virtual time shows with the same code
(tests/scenario) are slow.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from bleak.exc import BleakError
from littlefs import LittleFS

from firmware.flash.build import BLOCK_BYTES, BLOCK_COUNT
from sim.judge.vibrations import ACKNOWLEDGED, RECEIVED, TAKEN
from sim.judge.vibrations import vibrations as feels
from sim.realtime.stranger import Stranger
from sim.realtime.world import Button, Trouble, World
from tests.integration.conftest import PATIENT, incidents, is_stage, said, watched
from wire.codes import ALARM, TEST


async def test_alarm_goes_all_the_way_and_back(world: World) -> None:
    """Taken, heard, received, acknowledged; both receipts proven on the button and felt in the hand."""
    button = await watched(world)
    since = len(world.events)
    await button.press()
    received = await world.wait_for(lambda e: is_stage(e, "received"), since=since)
    await world.wait_for(said("button", "receipt", "1"), since=since)
    await world.acknowledge(received.data["incident"])
    await world.wait_for(said("button", "receipt", "2"), since=since)
    felt = [TAKEN, RECEIVED, ACKNOWLEDGED]
    await world.wait_for(lambda _: [one.pattern for one in feels(world.events[since:])] == felt, since=since)
    assert incidents(world) == [(button.device_id, ALARM, 1)]


async def test_silent_test_is_answered_without_an_operator(world: World) -> None:
    """Three clicks: RECEIVED is felt, and nothing waits on the operator's page for it."""
    button = await watched(world, settings=PATIENT)
    await button.clicks()
    await world.wait_for(said("button", "receipt", "1"))
    assert incidents(world) == [(button.device_id, TEST, 1)]
    with pytest.raises(Trouble, match=r"40\d"):
        await world.acknowledge(next(e.data["incident"] for e in world.events if is_stage(e, "received")))


@pytest.mark.slow
async def test_a_click_that_is_over_before_the_button_is_awake_counts(world: World) -> None:
    """To boot takes a board longer than a click: the one that woke it is the first of the three."""
    button = await watched(world, settings=PATIENT)
    await button.click(0.005)
    for _ in range(2):
        await asyncio.sleep(0.15)
        await button.click()
    await world.wait_for(said("button", "receipt", "1"))
    assert incidents(world) == [(button.device_id, TEST, 1)]


@pytest.mark.slow
async def test_presses_one_after_the_other_are_incidents_of_their_own(world: World) -> None:
    """After RECEIVED, a hold is a new press, with a new code under a new address."""
    button = await watched(world)
    for number in (1, 2, 3):
        since = len(world.events)
        await button.press()
        await world.wait_for(said("button", "receipt", "1"), since=since)
        assert len(incidents(world)) == number
        await asyncio.sleep(0.3)  # a finger that comes back within 20 ms has never left
    adverts = [
        e.data for e in world.events if e.what == "advert" and e.by == "air" and e.data["button"] == "button"
    ]
    assert len({a["data"] for a in adverts}) == len({a["address"] for a in adverts}) == len(adverts)


async def test_what_is_on_the_air_says_nothing(world: World) -> None:
    """21 bytes: flags and one UUID of version 4; a random static address; no name to read."""
    button = await watched(world)
    await button.press()
    await world.wait_for(said("button", "receipt", "1"))
    for advert in (
        e.data for e in world.events if e.what == "advert" and e.by == "air" and e.data["button"] == "button"
    ):
        data = advert["data"]
        assert (len(data), data[:5].hex()) == (21, "0201061107")
        uuid = data[:4:-1]
        assert (uuid[6] >> 4, uuid[8] >> 6) == (4, 2)
        assert int(advert["address"][:2], 16) >> 6 == 3  # random static


async def test_centre_down_is_said_and_the_press_is_sent_later(world: World) -> None:
    """The person gets no false receipt; the bridge says why; the press arrives when the centre is back."""
    button = await watched(world)
    await world.programs["centre"].stop()
    await button.press()
    trouble = await world.wait_for(lambda e: e.by == "bridge" and e.what == "trouble")
    assert trouble.data["text"]
    assert not any(said("button", "receipt", "1")(e) for e in world.events)
    await world.start("centre")
    await world.wait_for(said("button", "receipt", "1"))
    assert incidents(world) == [(button.device_id, ALARM, 1)]


@pytest.mark.slow
async def test_two_bridges_that_hear_the_same_press_give_one_incident(world: World) -> None:
    """Both send it; the centre opens one incident; the button has its receipt."""
    button = await watched(world)
    await world.add_bridge(await world.another_enrolment(button), "second")
    await button.press()
    for bridge in ("bridge", "second"):
        await world.wait_for(lambda e, b=bridge: e.by == b and e.what == "received")  # type: ignore[misc]
    await world.wait_for(said("button", "receipt", "1"))
    assert incidents(world) == [(button.device_id, ALARM, 1)]


@pytest.mark.slow
async def test_a_press_that_arrives_after_a_later_one_is_not_lost(world: World) -> None:
    """One bridge holds a test while it is off; another brings the alarm that came after it."""
    button = await watched(world, settings=PATIENT)
    await world.programs["centre"].stop()
    await button.clicks()
    await world.wait_for(lambda e: is_stage(e, "heard") and e.data["event"] == TEST)
    await world.kill("bridge")
    await world.start("centre")
    await world.add_bridge(await world.another_enrolment(button), "second")
    await button.press()
    await world.wait_for(said("button", "receipt", "1"))
    await world.start("bridge")
    await world.wait_for(lambda e: is_stage(e, "received") and e.data["counter"] == 1)
    assert sorted(incidents(world)) == [(button.device_id, ALARM, 2), (button.device_id, TEST, 1)]


@pytest.mark.slow
async def test_reset_in_the_middle_goes_on(world: World) -> None:
    """A reset while the press is on the air: the same press, one incident."""
    button = await watched(world)
    await world.programs["bridge"].stop()
    await button.press()
    await button.board.reset()
    await world.start("bridge")
    await world.wait_for(said("button", "receipt", "1"))
    assert incidents(world) == [(button.device_id, ALARM, 1)]


@pytest.mark.slow
async def test_a_chip_without_ext0_is_woken_by_its_gpio(world: World) -> None:
    """As an ESP32-C3: the same firmware sleeps, and a press wakes it."""
    button = await watched(world)
    await button.board.power_off()
    image = world.home / "button" / "flash.img"
    disk = LittleFS(block_size=BLOCK_BYTES, block_count=BLOCK_COUNT, mount=False)
    disk.context.buffer = bytearray(image.read_bytes())
    disk.mount()
    with disk.open("boot.py", "w") as boot:
        boot.write("import esp32\ndel esp32.wake_on_ext0\n")
    image.write_bytes(disk.context.buffer)
    since = len(world.events)
    await button.board.power_on()
    await world.wait_for(said("button", "sleep"), since=since)
    await button.press()
    await world.wait_for(said("button", "receipt", "1"), since=since)
    assert not any(said("button", "fault")(e) for e in world.events)


@pytest.mark.slow
async def test_a_press_right_after_the_phone_has_gone_is_felt_as_taken(world: World) -> None:
    """Its link lasts on at the button, and is let go of first; a radio that waits makes no long pulse."""
    button = await watched(world)
    await button.press()
    await world.wait_for(lambda _: [one.pattern for one in feels(world.events)] == [TAKEN, RECEIVED])
    await world.kill("bridge")  # its radio says no farewell
    since = len(world.events)
    await button.press()
    await world.wait_for(lambda _: bool(feels(world.events[since:])))
    assert [one.pattern for one in feels(world.events[since:])] == [TAKEN]
    await world.start("bridge")
    await world.wait_for(lambda _: [one.pattern for one in feels(world.events[since:])] == [TAKEN, RECEIVED])
    assert incidents(world) == [(button.device_id, ALARM, 1), (button.device_id, ALARM, 2)]


@pytest.mark.slow
async def test_a_sleeping_android_hears_it_through_half_of_the_packets_lost(tmp_path: Path) -> None:
    """Scan duty of a phone with its screen off, and 50 % loss."""
    async with World(tmp_path, seed=7, loss=0.5) as world:
        await world.add_centre()
        button = await watched(world, profile="android-sleeping")
        since = len(world.events)
        await button.press()
        await world.wait_for(said("button", "receipt", "1"), since=since)
        assert incidents(world) == [(button.device_id, ALARM, 1)]


# -- strangers ---------------------------------------------------------------------------


@pytest.fixture
async def strangers(world: World) -> AsyncIterator[list[Stranger]]:
    made = [Stranger(world.hci, f"stranger{n}") for n in range(4)]
    yield made
    await asyncio.gather(*(stranger.leave() for stranger in made), return_exceptions=True)


async def alone(world: World) -> Button:
    """A press with no bridge near."""
    button = await watched(world)
    await world.programs["bridge"].stop()
    await button.press()
    return button


@pytest.mark.parametrize("how_many", [pytest.param(1, marks=pytest.mark.slow), 4])
async def test_strangers_who_connect_first_and_stay_do_not_keep_the_bridge_out(
    world: World, strangers: list[Stranger], how_many: int
) -> None:
    """They are let go; adverts go on; the bridge gets through."""
    await alone(world)
    for stranger in strangers[:how_many]:
        await stranger.connect()
    await world.start("bridge")
    await world.wait_for(said("button", "receipt", "1"))
    assert len(incidents(world)) == 1


@pytest.mark.slow
async def test_a_stranger_who_proves_nothing_is_dropped_after_five_seconds(
    world: World, strangers: list[Stranger]
) -> None:
    """Whoever holds a link without a proof loses it."""
    await alone(world)
    await strangers[0].connect()
    await world.wait_for(said("button", "stranger"))
    await strangers[0].let_go()


WRONG = {
    "forged": (b"\x01" + bytes(16), "proof"),
    "cut": (b"\x01" + bytes(15), "length"),
    "too long": (bytes(32), "length"),
    "of no stage": (b"\xff" * 17, "stage"),
}


async def test_a_wrong_receipt_is_ignored_and_the_peer_dropped(
    world: World, strangers: list[Stranger]
) -> None:
    """Forged, cut, over-long: the hand feels nothing, the press stays open and is received after it."""
    await alone(world)
    for stranger, (value, reason) in zip(strangers, WRONG.values(), strict=True):
        since = len(world.events)
        link = await stranger.connect()
        service = next(s for s in link.services if s.uuid[14] == "4")
        receipt = next(c for c in service.characteristics if "write" in c.properties)
        try:
            await link.write_gatt_char(receipt, value, response=True)
        except BleakError:
            assert len(value) > 20  # a stack may refuse what no button takes
        await world.wait_for(said("button", "refused", reason), since=since)
        await stranger.let_go()
    assert not any(said("button", "receipt", stage)(e) for e in world.events for stage in "1234")
    await world.start("bridge")
    await world.wait_for(said("button", "receipt", "1"))


@pytest.mark.slow
async def test_a_stranger_who_pairs_is_let_go_and_the_receipt_arrives(
    world: World, strangers: list[Stranger]
) -> None:
    """The stack pairs with whoever asks; the button keeps nobody for it, though he has proven nothing."""
    await alone(world)
    link = await strangers[0].connect()
    await link.pair()
    await world.wait_for(said("button", "paired"))
    await strangers[0].let_go()
    await world.start("bridge")
    await world.wait_for(said("button", "receipt", "1"))


async def test_the_button_has_no_name_and_a_sealed_state(world: World, strangers: list[Stranger]) -> None:
    """Who connects reads 20 bytes that change with every session, and an empty name."""
    await alone(world)
    link = await strangers[0].connect()
    names = [c for s in link.services for c in s.characteristics if c.uuid.startswith("00002a00")]
    assert [bytes(await link.read_gatt_char(c)) for c in names] in ([], [b""])
    service = next(s for s in link.services if s.uuid[14] == "4")
    state = next(c for c in service.characteristics if "read" in c.properties)
    assert len(await link.read_gatt_char(state)) == 20


# -- the disk ----------------------------------------------------------------------------


@pytest.mark.slow
async def test_a_bridge_whose_disk_is_full_says_so_and_sends_the_press(world: World) -> None:
    """The press goes on from memory."""
    small = world.home / "bridge"
    small.mkdir()
    if os.system(f"mount -t tmpfs -o size=256k,mode=700 tmpfs {small} 2>/dev/null"):  # noqa: ASYNC221, S605
        pytest.skip("needs the right to mount a small disk")
    try:
        button = await watched(world)
        with (small / "filler").open("wb", buffering=0) as filler:
            try:
                while filler.write(bytes(512)):
                    pass
            except OSError:
                pass
        await button.press()
        await world.wait_for(lambda e: e.by == "bridge" and e.what == "trouble")
        await world.wait_for(said("button", "receipt", "1"))
        assert incidents(world) == [(button.device_id, ALARM, 1)]
        await world.programs["bridge"].stop()
    finally:
        os.system(f"umount -l {small}")  # noqa: ASYNC221, S605


async def test_what_cannot_start_says_why(tmp_path: Path) -> None:
    """A centre that cannot have its port is a sentence, not a traceback."""
    async with World(tmp_path) as world:
        with pytest.raises(Trouble) as trouble:
            await world.add_centre("--cert", "/nowhere.pem", "--key", "/nowhere.pem")
    assert "Traceback" not in str(trouble.value)
    assert "/nowhere.pem" in str(trouble.value)
