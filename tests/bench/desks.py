"""A new alarm on the boards of a control room: fifty alarms open, twenty desks, one a real browser."""

import asyncio
import base64
import contextlib
import hashlib
import re
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

import aiohttp

from centre.platform.home import Home
from centre.work import buttons
from centre.work.core import open_core
from tests.browser.chromium import CHROMIUM, chromium, new_tab
from tests.integration.parts import served
from tests.unit.centre.parts import FIX, Hand, entrance, phone_of

Rows = list[tuple[str, str, str, str]]
OPEN, DESKS = 50, 20
WANTED_S = 1.0


class NumberedHand(Hand):
    """One of as many buttons as are wanted."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.root = hashlib.sha256(f"bench {n}".encode()).digest()
        name = base64.b32encode(self.root).decode()
        self.device_id, self.enrolment_code = name[:16], name[16:36]


async def _times(alarms: int) -> tuple[list[float], list[float]]:
    """Return how long each desk waited for each new alarm, and how long the browser did."""
    waits, seen = list[float](), list[float]()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as kept:
        home = Path(folder) / "home"
        hands = [NumberedHand(n) for n in range(OPEN + alarms)]
        core = open_core(Home(home))
        buttons.import_buttons(core, (hand.registered for hand in hands))
        core.store.close()
        async with contextlib.AsyncExitStack() as stack:
            _, phone = await stack.enter_async_context(served(home))
            url, ca_pem = phone.url, (home / "ca.pem").read_text()
            for hand in hands[:OPEN]:
                await phone.enrol(hand)
                await phone.post(hand.alarm(1, fix=FIX))
            has_come: dict[str, asyncio.Event] = {}
            boards: list[dict[str, float]] = [{} for _ in range(DESKS - 1)]
            for n, board in enumerate(boards):
                operator = await stack.enter_async_context(phone_of(url, ca_pem))
                await operator.session.get(entrance(home, url, login=f"desk{n}"))
                stream = await operator.session.get(f"{url}/console/live")
                task = asyncio.create_task(_watch(stream, board, boards, has_come))
                stack.callback(task.cancel)
            tab = None
            if CHROMIUM is not None:
                address = kept.enter_context(chromium(Path(folder) / "profile"))
                tab = await stack.enter_async_context(new_tab(address))
                await tab.open(entrance(home, url, login="browser"))
                await tab.until("document.getElementById('live')?.textContent.startsWith('● ')")
            for hand in hands[OPEN:]:
                await phone.enrol(hand)
                begun_s = time.perf_counter()
                _, answer = await phone.post(hand.alarm(1, fix=FIX))
                incident = str(answer["incident"])
                if tab is not None:
                    await tab.until(f"Boolean(document.getElementById('i-{incident}'))")
                    seen.append(time.perf_counter() - begun_s)
                while not all(incident in board for board in boards):
                    await asyncio.wait_for(has_come.setdefault(incident, asyncio.Event()).wait(), 30)
                waits += [board[incident] - begun_s for board in boards]
    return waits, seen


async def _watch(
    stream: aiohttp.ClientResponse,
    board: dict[str, float],
    boards: list[dict[str, float]],
    has_come: dict[str, asyncio.Event],
) -> None:
    """Note when each alarm comes, with as little work as can be: twenty desks share this processor."""
    async for line in stream.content:
        came_s = time.perf_counter()
        for incident in re.findall(rb'article id=\\"i-([0-9a-f]+)\\"', line):
            board.setdefault(incident.decode(), came_s)
        for incident in board:
            if all(incident in other for other in boards):
                has_come.setdefault(incident, asyncio.Event()).set()


def rows(runs: int) -> Rows:
    waits, seen = asyncio.run(_times(runs))
    found = []
    for name, times in (("on the wire to each desk", waits), ("in view in a browser", seen)):
        if len(times) > 1:
            p95 = quantiles(times, n=20)[-1]
            note = f"{name}; median {median(times) * 1000:.0f} ms, most {max(times) * 1000:.0f} ms"
            what = f"a new alarm, {OPEN} open, {DESKS} desks: p95"
            found.append((what, f"{p95 * 1000:.0f} ms", f"<= {WANTED_S * 1000:.0f} ms", note))
    return found
