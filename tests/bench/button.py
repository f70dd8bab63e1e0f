"""The button itself: bytes of .mpy, heap through a whole press, VM start to first advert."""

import asyncio
import tempfile
from pathlib import Path
from statistics import median

from firmware.flash.build import compile_firmware, flash_image, sizes
from sim.board.board import Board, BoardEvent
from sim.radio.air import Air
from sim.realtime.world import Trouble, World, WorldEvent
from tests.bench.press import FLOOR
from tests.integration.conftest import said

_HEAP_KIB = 96
_LOADED = ("<= 24 KiB", "<= 34 KiB", "<= 34 KiB", "")
_STEP_KIB = 2

# What a board of the simulator holds without the firmware: its boot, and the shims, once all is used of them
# that the firmware uses.
_BARE = b"""
import gc
import bluetooth, esp32, machine
machine.reset_cause()
pins = machine.Pin(33, machine.Pin.IN, machine.Pin.PULL_UP), machine.Pin(25, machine.Pin.OUT, value=0)
pins[0].irq(lambda pin: None, machine.Pin.IRQ_FALLING | machine.Pin.IRQ_RISING)
machine.RTC().memory(b"x" * 80)
machine.ADC(machine.Pin(35)).read_uv()
ble = bluetooth.BLE()
ble.irq(lambda event, data: None)
ble.active(True)
gc.collect()
print("holds", gc.mem_alloc())
"""


async def _bare_bytes(home: Path) -> int:
    """Return what a board holds whose flash has nothing but `_BARE`."""
    held = asyncio.get_running_loop().create_future()

    def on_event(event: BoardEvent) -> None:
        if event.kind == "serial" and event.data["line"].startswith("holds"):
            held.set_result(int(event.data["line"].split()[1]))

    (home / "flash.img").write_bytes(flash_image({"main.py": b"import bare", "bare.py": _BARE}))
    air = Air()
    board = Board(air, "bare", home, heap_kib=_HEAP_KIB, on_event=on_event)
    await board.power_on()
    try:
        return int(await asyncio.wait_for(held, 60))
    finally:
        await board.power_off()
        await air.close()


async def _carries_a_press(world: World, heap_kib: int) -> bool:
    """Whether boot, hold, receipt and sleep all work in so much heap."""
    name = f"button{heap_kib}"
    since = len(world.events)
    button = await world.add_button(name, heap_kib=heap_kib, hold_ms=500)
    bridge = f"bridge{heap_kib}"
    await world.add_bridge(button.enrolment, bridge)

    async def step(what: str, *args: str) -> bool:
        ended = said(name, "crashed")
        wanted = said(name, what, *args)
        seen: WorldEvent = await world.wait_for(lambda e: wanted(e) or ended(e), since=since)
        return wanted(seen)

    try:
        if not await step("sleep"):
            return False
        await button.press()
        return await step("receipt", "1")
    except Trouble:
        return False
    finally:
        await button.board.power_off()
        await world.programs[bridge].stop()


async def _smallest_heap_kib(home: Path) -> int:
    """By bisection; every probe is a whole press with a bridge and a centre."""
    async with World(home) as world:
        await world.add_centre()
        carries, too_small = _HEAP_KIB, 32
        if not await _carries_a_press(world, carries):
            raise Trouble(f"a press does not go through in {_HEAP_KIB} KiB\n{world.story()}")
        while carries - too_small > _STEP_KIB:
            middle = (carries + too_small) // 2
            if await _carries_a_press(world, middle):
                carries = middle
            else:
                too_small = middle
        return carries


async def _starts(home: Path, runs: int) -> tuple[list[float], list[float]]:
    """ms from VM start to first advert: after power loss with an alarm open, and the floor's."""
    ours: list[float] = []
    floor: list[float] = []
    async with World(home) as world:
        await world.add_centre()
        button = await world.add_button(hold_ms=500)
        await button.press()
        await world.wait_for(said("button", "advert", "1", "1"))
        for _ in range(runs):
            await button.board.power_off()
            ours.append(await _start_to_advert(world, "button", button.board))
            bare = Board(world.air, "floor", script=FLOOR, heap_kib=_HEAP_KIB)
            floor.append(await _start_to_advert(world, "floor", bare))
            await bare.power_off()
    return ours, floor


async def _start_to_advert(world: World, name: str, board: Board) -> float:
    since = len(world.events)
    world.record("bench", "start")
    await board.power_on()
    first = await world.wait_for(
        lambda e: (e.by, e.what, e.data.get("button")) == ("air", "advert", name), since=since
    )
    return first.at_ms - world.events[since].at_ms


def rows(runs: int) -> list[tuple[str, str, str, str]]:
    with tempfile.TemporaryDirectory() as home:
        files = compile_firmware(Path(home) / "build")
        bare = asyncio.run(_bare_bytes(Path(home)))
        needed_kib = asyncio.run(_smallest_heap_kib(Path(home) / "heap"))
        ours, floor = asyncio.run(_starts(Path(home) / "starts", runs))
    apart = needed_kib - bare / 1024
    return [
        *((f"  {name}", f"{len(content)} bytes", "", "") for name, content in files.items() if content),
        *(
            (f"firmware as .mpy, {what}", f"{size / 1024:.1f} KiB", wanted, "")
            for (what, size), wanted in zip(sizes(files).items(), _LOADED, strict=True)
        ),
        (
            "heap peak through a whole press, beside a bare board",
            f"{apart:.0f} KiB",
            "<= 48 KiB",
            f"{needed_kib} KiB is the smallest heap that does; a bare board holds {bare / 1024:.1f} KiB",
        ),
        (
            f"VM start to first advert, alarm open, {runs} runs",
            f"{median(ours):.0f} ms",
            "",
            f"{median(ours) / median(floor):.2f} x a bare script's {median(floor):.0f} ms",
        ),
    ]
