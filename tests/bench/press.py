"""Press to receipt: from the first advert to the receipt proven in the VM, next to a floor."""

import asyncio
import sys
import tempfile
from pathlib import Path
from statistics import median

from sim.board.board import Board, BoardEvent
from sim.radio.air import OnAir
from sim.realtime.world import World
from tests.integration.conftest import said

FLOOR = Path(__file__).with_name("floor_button.py")


class Stopwatch:
    """From the first advert under each new address of one button to a line on its serial port."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._address = ""
        self._since_ms = 0.0
        self.times_ms: list[float] = []

    def advert(self, seen: OnAir) -> None:
        if seen.transmitter == self._name and seen.address != self._address:
            self._address, self._since_ms = seen.address, seen.at_ms

    def done(self, at_ms: float) -> None:
        self.times_ms.append(at_ms - self._since_ms)


async def _floor(world: World, watch: Stopwatch, runs: int) -> None:
    def on_event(event: BoardEvent) -> None:
        if event.kind == "serial" and event.data["line"] == "written":
            watch.done(event.at_ms)
            if len(watch.times_ms) >= runs:
                enough.set()

    enough = asyncio.Event()
    board = Board(world.air, "floor", script=FLOOR, on_event=on_event)
    host, _, port = world.hci.rpartition(":")
    phone = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.floor_phone", host, port, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert phone.stdout
        await phone.stdout.readline()
        await board.power_on()
        await asyncio.wait_for(enough.wait(), runs * 5)
    finally:
        await board.power_off()
        phone.terminate()
        await phone.wait()


async def _ours(world: World, watch: Stopwatch, runs: int) -> None:
    button = world.buttons["button"]
    for _ in range(runs):
        since = len(world.events)
        await button.press()
        proven = await world.wait_for(said("button", "receipt", "1"), since=since)
        watch.done(proven.at_ms)
        await asyncio.sleep(0.2)


async def press_to_receipt(runs: int) -> tuple[list[float], list[float]]:
    """`(ours_ms, floor_ms)`, measured in turns on one air, so that both see the same machine."""
    with tempfile.TemporaryDirectory() as home:
        async with World(Path(home)) as world:
            await world.add_centre()
            button = await world.add_button(hold_ms=500)
            await world.add_bridge(button.enrolment)
            await world.wait_for(said("button", "sleep"))
            ours, floor = Stopwatch("button"), Stopwatch("floor")
            world.air.on_advert(ours.advert)
            world.air.on_advert(floor.advert)
            turns = 3
            for turn in range(1, turns + 1):
                await _floor(world, floor, runs * turn // turns)
                await _ours(world, ours, runs // turns)
            return ours.times_ms, floor.times_ms


def rows(runs: int) -> list[tuple[str, str, str, str]]:
    ours, floor = asyncio.run(press_to_receipt(runs))
    ratio = median(ours) / median(floor)
    note = (
        f"{median(ours):.0f} ms; floor {median(floor):.0f} ms (any advert: connect, discover, write 17 bytes)"
    )
    return [
        (f"press to receipt, first advert to proof, {len(ours)} runs", f"{ratio:.2f} x floor", "<= 1.5", note)
    ]
