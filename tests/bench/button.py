"""The button itself: bytes of .mpy, heap through a whole press, VM start to first advert."""

import asyncio
import tempfile
from pathlib import Path
from statistics import median

from firmware.flash.build import ROOT, _compile, compile_firmware, flash_image, sizes
from sim.board.board import Board, BoardEvent
from sim.radio.air import Air
from sim.realtime.world import Trouble, World, WorldEvent
from tests.bench.press import FLOOR
from tests.integration.conftest import said

_HEAP_KIB = 96
_MORE_KIB = 256
_CENTRE = Path("wire/direct_centre.py")
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


# What the modules of the direct path hold beside those that a button has anyway, in bytes.
_DIRECT = b"""
import gc
import firmware.board.app
def held():
    gc.collect()
    return gc.mem_alloc()
before = held()
import firmware.board.direct_config, firmware.board.direct_app
core = held() - before
import firmware.board.wifi
wifi = held() - before
import firmware.board.lte, firmware.board.modems.sim7080g
print("holds", core, wifi, core + held() - before - wifi)
"""

# How long it takes to seal a request and to open an answer, in calls of `Mac` over 64 bytes.
_SEAL = b"""
import time
from wire.direct import Answer, Request, seal_request, unseal_answer
from wire.direct_centre import seal_answer
from wire.keys import Mac

mac = Mac(bytes(range(32)))
asked = Request(1, 1, 1, 0, 1, 1, 0, 0, 0, 255, 0, -60, 0, bytes(72))
frame = seal_request(mac, asked)
answer = seal_answer(mac, frame, Answer(bytes(17), 1, 0, 0, 2))

def lasts(work, *args):
    since = time.ticks_us()
    for _ in range(2000):
        work(*args)
    return time.ticks_diff(time.ticks_us(), since)

def least(work, *args):
    return min([lasts(work, *args) for _ in range(5)])

unit = least(mac, bytes(64))
print("holds", least(seal_request, mac, asked) / unit, least(unseal_answer, mac, frame, answer) / unit)
"""


async def _told(home: Path, name: str, script: bytes, *, heap_kib: int = _HEAP_KIB) -> list[float]:
    """Return the numbers that `script` prints on a board with the firmware's modules, which it may load."""
    said = asyncio.get_running_loop().create_future()

    def on_event(event: BoardEvent) -> None:
        if event.kind == "serial" and event.data["line"].startswith("holds") and not said.done():
            said.set_result([float(word) for word in event.data["line"].split()[1:]])

    files = compile_firmware(home / f"build-{name}")
    centre = _compile((ROOT / _CENTRE).read_text(), _CENTRE, home)  # which no button carries
    files |= {str(_CENTRE.with_suffix(".mpy")): centre, "main.py": b"import script", "script.py": script}
    (home / "flash.img").write_bytes(flash_image(files))
    air = Air()
    board = Board(air, name, home, heap_kib=heap_kib, on_event=on_event)
    await board.power_on()
    try:
        return list(await asyncio.wait_for(said, 120))
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


async def _starts(home: Path, runs: int) -> tuple[list[float], list[float], list[float]]:
    """ms from VM start to first advert: after power loss with an alarm open, the same with the direct path
    (which nothing answers), and the floor's."""
    took: tuple[list[float], list[float], list[float]] = [], [], []
    async with World(home) as world:
        await world.add_centre()
        buttons = {
            "button": await world.add_button(hold_ms=500),
            "alone": await world.add_button("alone", "always", hold_ms=500),
        }
        for name, button in buttons.items():
            await button.press()
            await world.wait_for(said(name, "advert", "1", "1"))
            await button.board.power_off()
        for _ in range(runs):
            for (name, button), times in zip(buttons.items(), took, strict=False):
                times.append(await _start_to_advert(world, name, button.board))
                await button.board.power_off()
            bare = Board(world.air, "floor", script=FLOOR, heap_kib=_HEAP_KIB)
            took[2].append(await _start_to_advert(world, "floor", bare))
            await bare.power_off()
    return took


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
        (bare,) = asyncio.run(_told(Path(home), "bare", _BARE))
        core, wifi, lte = asyncio.run(_told(Path(home), "heap", _DIRECT, heap_kib=_MORE_KIB))
        seal, unseal = asyncio.run(_told(Path(home), "seal", _SEAL))
        needed_kib = asyncio.run(_smallest_heap_kib(Path(home) / "heap"))
        ours, alone, floor = asyncio.run(_starts(Path(home) / "starts", runs))
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
        (
            f"the same with the direct path set to `always`, {runs} runs",
            f"{median(alone) / median(ours):.2f} x",
            "<= 1.02 x",
            f"{median(alone):.0f} ms",
        ),
        (
            "heap that the direct path holds, with Wi-Fi",
            f"{wifi / 1024:.1f} KiB",
            "<= 14 KiB",
            f"with a modem {lte / 1024:.1f} KiB, without a carrier {core / 1024:.1f} KiB",
        ),
        ("sealing a request, in calls of Mac", f"{seal:.1f} x", "<= 6 x", "of 64 bytes"),
        ("opening an answer, in calls of Mac", f"{unseal:.1f} x", "<= 8 x", ""),
    ]
