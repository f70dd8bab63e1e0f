"""The button itself: bytes of .mpy, heap through a whole press, VM start to first advert."""

import asyncio
import tempfile
from pathlib import Path
from statistics import median

from firmware.flash.build import compile_firmware
from sim.board.board import Board, BoardEvent
from sim.radio.air import Air
from sim.realtime.world import Trouble, World, WorldEvent
from tests.bench.press import FLOOR
from tests.integration.conftest import said

_HEAP_KIB = 96
_STEP_KIB = 2

# What the shims hold for the firmware, once it has used all that it uses of them.
_SHIMS_SHARE = """
import gc
gc.collect()
empty = gc.mem_alloc()
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
print("share", gc.mem_alloc() - empty)
"""


async def _lines(script: Path, wanted: str) -> list[list[str]]:
    """The words of each serial line of `script` that begins with `wanted`."""
    found: list[list[str]] = []

    def on_event(event: BoardEvent) -> None:
        if event.kind == "serial" and event.data["line"].startswith(wanted):
            found.append(event.data["line"].split())

    air = Air()
    board = Board(air, "shims", script=script, heap_kib=_HEAP_KIB, on_event=on_event)
    await board.power_on()
    await asyncio.wait_for(board.wait(), 10)
    await air.close()
    return found


async def _shims_bytes(home: Path) -> int:
    script = home / "share.py"
    script.write_text(_SHIMS_SHARE)
    return int((await _lines(script, "share"))[0][1])


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
        shims = asyncio.run(_shims_bytes(Path(home)))
        needed_kib = asyncio.run(_smallest_heap_kib(Path(home) / "heap"))
        ours, floor = asyncio.run(_starts(Path(home) / "starts", runs))
    apart = needed_kib - shims / 1024
    return [
        *((f"  {name}", f"{len(content)} bytes", "", "") for name, content in files.items() if content),
        ("firmware as .mpy", f"{sum(map(len, files.values())) / 1024:.1f} KiB", "<= 24 KiB", ""),
        (
            "heap peak through a whole press, without the shims",
            f"{apart:.0f} KiB",
            "<= 64 KiB",
            f"{needed_kib} KiB is the smallest heap that carries it; the shims hold {shims / 1024:.1f} KiB",
        ),
        (
            f"VM start to first advert, alarm open, {runs} runs",
            f"{median(ours):.0f} ms",
            "",
            f"{median(ours) / median(floor):.2f} x a bare script's {median(floor):.0f} ms",
        ),
    ]
