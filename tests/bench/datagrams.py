"""The client of the direct path's bench, a process of its own: sealed frames as datagrams, or junk.

Reads what to do as one JSON object on stdin, prints what came of it as another.
"""

import asyncio
import json
import os
import sys
import time
from collections import deque
from collections.abc import Iterator
from typing import Any, cast

from wire import codes, direct
from wire.direct import Request
from wire.keys import InvalidMessage, Mac, derive

LOST_S = 1.0  # then a frame is sent again, as a button does
SIZE_BYTES = 128


def frames(spec: dict[str, Any]) -> Iterator[tuple[Mac, bytes]]:
    """Yield as many as wanted: one of each button in turn, never the same."""
    macs = [Mac(derive(bytes.fromhex(button["root"]), "direct")) for button in spec["buttons"]]
    for number in range(spec["count"]):
        mac, turn = macs[number % len(macs)], spec["first"] + number // len(macs)
        if spec["kind"] == "junk":
            yield mac, os.urandom(SIZE_BYTES)
            continue
        said = (direct.PRESS, codes.ALARM, turn) if spec["kind"] == "press" else (direct.CHECKIN, 0, 0)
        kind, event, counter = said
        asked = Request(kind, direct.LTE, event, 1, counter, 0, turn, 0, 190, direct.NO_STAGE, 0, -90, 0)
        yield mac, direct.seal_request(mac, asked)


class Load(asyncio.DatagramProtocol):
    """So many frames that wait for an answer, or so many a second."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self._spec, self._waiting = spec, deque(frames(spec))
        self._sent: dict[bytes, tuple[Mac, bytes, float, float]] = {}  # by name: frame, first and last sent
        self.times_ms: list[float] = []
        self.sent = self.again = 0
        self._done = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    async def run(self) -> dict[str, Any]:
        print(json.dumps("ready"), flush=True)
        sys.stdin.readline()
        self._since_s = time.perf_counter()
        self._until_s = self._since_s + self._spec["seconds"]
        if self._spec["rate"]:
            await self._paced()
        else:
            for _ in range(self._spec["window"]):
                self._next()
        while self._sent and time.perf_counter() < self._until_s + 10 and self._spec["kind"] == "press":
            await asyncio.sleep(0.05)
            self._send_again()
        took_s = time.perf_counter() - self._since_s
        return {"took_s": took_s, "sent": self.sent, "again": self.again, "times_ms": self.times_ms}

    async def _paced(self) -> None:
        rate, count = self._spec["rate"], len(self._waiting)
        while self._waiting and time.perf_counter() < self._until_s:
            due = min(count, round((time.perf_counter() - self._since_s) * rate))
            while self.sent < due:
                self._next(self._since_s + self.sent / rate)
            self._send_again()
            await asyncio.sleep(0.002)

    def _next(self, due_s: float | None = None) -> None:
        if self._waiting and time.perf_counter() < self._until_s:
            mac, frame = self._waiting.popleft()
            now_s = time.perf_counter()
            if self._spec["kind"] == "press":
                self._sent[frame[: direct.NAME_BYTES]] = (mac, frame, due_s or now_s, now_s)
            self.sent += 1
            self._transport.sendto(frame)

    def _send_again(self) -> None:
        now_s = time.perf_counter()
        for name, (mac, frame, first_s, last_s) in list(self._sent.items()):
            if now_s - last_s > LOST_S:
                self._sent[name] = (mac, frame, first_s, now_s)
                self.again += 1
                self._transport.sendto(frame)

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002
        sent = self._sent.get(data[: direct.NAME_BYTES])
        if sent is None:
            return
        try:
            answer = direct.unseal_answer(sent[0], sent[1], data)
        except InvalidMessage:
            return
        assert any(answer.receipt), "a press was not received"
        del self._sent[data[: direct.NAME_BYTES]]
        self.times_ms.append((time.perf_counter() - sent[2]) * 1000)
        if not self._spec["rate"]:
            self._next()


async def main() -> None:
    spec = json.loads(sys.stdin.readline())
    loop, where = asyncio.get_running_loop(), ("127.0.0.1", spec["port"])
    _, load = await loop.create_datagram_endpoint(lambda: Load(spec), remote_addr=where)
    print(json.dumps(await load.run()), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
