"""How long the button is awake for each event, and how much of that is not its time on the air.

Real firmware, real interpreter; no phone is near, so nothing but the button's own work is counted.
`make bench` leaves the medians in firmware/flash/awake.json, where `amr-button life` reads them.
"""

import asyncio
import contextlib
import datetime
import json
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import median
from typing import Any

from firmware.flash.life import AWAKE
from firmware.flash.provision import provision
from sim.board.board import Board, BoardEvent
from sim.radio.air import Air
from wire.codes import ALARM, ALIVE, CONTACT, NAMES, TEST, rhythm
from wire.keys import Mac, derive

OVER_MS_MAX = 20
_PERIOD_S = 900
_HOLD_MS = 500
_CONTACT_MS = 3_000
_PIN = 33
_ORDER = (ALIVE, CONTACT, TEST, ALARM)
_LANES = 2  # boards at a time: they mostly wait, but their interpreters crowd each other


class Lane:
    """One board that lives the same minute again and again: check-in, sign of life, press."""

    def __init__(self, air: Air, name: str, image: Path, root: bytes) -> None:
        self._image = image
        self._pristine = (image / "flash.img").read_bytes()
        self._mac = Mac(derive(root, "code", 0))
        self._events: asyncio.Queue[tuple[BoardEvent, float]] = asyncio.Queue()
        self.board = Board(air, name, image, on_event=self._on_event)
        self.seen: dict[str, list[dict[str, float]]] = {NAMES[event]: [] for event in _ORDER}

    def _on_event(self, event: BoardEvent) -> None:
        words = event.data.get("line", "").split()
        if event.kind == "start" or words[:1] in (["advert"], ["sleep"]):
            self._events.put_nowait((event, self._cpu_ms()))

    def _cpu_ms(self) -> float:
        """What the interpreter has computed so far, without its waiting; 0 where nobody can tell."""
        if not self.board.process:
            return 0.0
        with contextlib.suppress(OSError, ValueError):
            threads = Path(f"/proc/{self.board.process.pid}/task").glob("*/schedstat")
            return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e6
        return 0.0

    async def _next(self, what: str) -> tuple[float, float, list[str]]:
        """`(at_ms, cpu_ms, words)` of the next start, advert or sleep."""
        async with asyncio.timeout(20):
            while True:
                event, cpu_ms = await self._events.get()
                words = event.data.get("line", event.kind).split()
                if words[0] == what:
                    return event.at_ms, cpu_ms, words

    async def live(self, press: int) -> None:
        """A check-in after power-on, a sign of life after a reset, and a press."""
        self._events = asyncio.Queue()
        (self._image / "flash.img").write_bytes(self._pristine)
        await self.board.power_on()
        await self._slot()
        await self.board.reset()
        await self._slot()
        await self._press(press)
        await self.board.power_off()

    async def _slot(self) -> None:
        start_ms, start_cpu_ms, _ = await self._next("start")
        _, cpu_ms, words = await self._next("advert")
        sleep_ms, _, _ = await self._next("sleep")
        event, counter = int(words[1]), int(words[2])
        burst_ms = _CONTACT_MS if event == CONTACT else rhythm(self._mac, counter, _PERIOD_S * 1000)[1]
        awake_ms = sleep_ms - start_ms
        times = {"awake_ms": awake_ms, "over_ms": awake_ms - burst_ms, "cpu_ms": cpu_ms - start_cpu_ms}
        self.seen[NAMES[event]].append(times)

    async def _press(self, event: int) -> None:
        """Asleep; a finger wakes it. What counts begins where the finger has done its part."""
        loop = asyncio.get_running_loop()
        since_s = loop.time()
        self.board.set_pin(_PIN, 0)
        await self._next("start")
        if event == TEST:
            for level in (1, 0, 1, 0, 1):
                await asyncio.sleep(0.12)
                self.board.set_pin(_PIN, level)
        else:
            await asyncio.sleep(_HOLD_MS / 1000 - (loop.time() - since_s))
        done_ms = time.time() * 1000
        advert_ms, _, _ = await self._next("advert")
        self.board.set_pin(_PIN, 1)
        self.seen[NAMES[event]].append({"over_ms": advert_ms - done_ms})


@contextlib.asynccontextmanager
async def _lanes(home: Path, count: int) -> AsyncIterator[list[Lane]]:
    first = home / "0"
    settings = {"alive_period_s": _PERIOD_S, "hold_ms": _HOLD_MS}
    made = await asyncio.to_thread(
        provision,
        first,
        registry=home / "registry.jsonl",
        board="esp32",
        centre=None,
        ca=None,
        again=False,
        settings=settings,
    )
    root = bytes.fromhex(json.loads(made.registry.read_text())["root"])
    for n in range(1, count):
        shutil.copytree(first, home / str(n))
    air = Air()
    lanes = [Lane(air, f"button{n}", home / str(n), root) for n in range(count)]
    try:
        yield lanes
    finally:
        await asyncio.gather(*(lane.board.power_off() for lane in lanes))
        await air.close()


async def measure(runs: int, lanes: int = _LANES) -> dict[str, dict[str, float]]:
    """Medians per event: awake_ms, over_ms (and the best), cpu_ms that the VM computes to the advert."""

    async def live(lane: Lane, number: int) -> None:
        await asyncio.sleep(number * 0.7)  # so that they seldom compute at the same time
        for n in range(number, runs, len(made)):
            await lane.live(TEST if n % 2 else ALARM)

    with tempfile.TemporaryDirectory() as home:
        async with _lanes(Path(home), min(lanes, runs)) as made:
            await asyncio.gather(*(live(lane, n) for n, lane in enumerate(made)))
    return {name: _medians([one for lane in made for one in lane.seen[name]]) for name in made[0].seen}


def _medians(seen: list[dict[str, float]]) -> dict[str, float]:
    if not seen:
        return {}
    best = {"over_ms_best": round(min(one["over_ms"] for one in seen), 2)}
    return {key: round(median(one[key] for one in seen), 2) for key in seen[0]} | best


def rows(runs: int) -> list[tuple[str, str, str, str]]:
    measured: dict[str, Any] = asyncio.run(measure(runs))
    today = datetime.date.today().isoformat()
    if measured["ALIVE"]["cpu_ms"]:  # only Linux can tell
        AWAKE.write_text(json.dumps({"measured": today, "runs": runs, "events": measured}, indent=1) + "\n")
    return [_row(name, times) for name, times in measured.items() if times]


def _row(name: str, times: dict[str, float]) -> tuple[str, str, str, str]:
    measured = f"{times['over_ms']:.1f} ms"
    beside = f"best {times['over_ms_best']:.1f} ms"
    if name in ("ALARM", "TEST"):
        return f"{name}, asleep before: gesture complete to first advert", measured, "", beside
    beside += f"; awake {times['awake_ms']:.0f} ms in all, computes {times['cpu_ms']:.1f} ms to the advert"
    wanted = f"<= {OVER_MS_MAX} ms" if name == "ALIVE" else ""
    return f"{name}, awake over its advertising time", measured, wanted, beside
