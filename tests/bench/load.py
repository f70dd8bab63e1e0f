"""The client of the centre's bench, a process of its own: as little as HTTP/1.1 over TLS can be.

Reads what to do as one JSON object on stdin, prints what came of it as another. The same for the centre and
for its floor, so that what the client costs is in both.
"""

import asyncio
import json
import ssl
import sys
import time
from collections import Counter, deque
from typing import Any
from urllib.parse import urlsplit

from wire import codes
from wire.keys import Mac, derive

POST = (
    "POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
    "Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
)


def requests(spec: dict[str, Any], host: str) -> list[bytes]:
    """As many as wanted, their codes computed ahead: one press of each button in turn, never the same."""
    buttons, made = spec["buttons"], []
    macs = [Mac(derive(bytes.fromhex(button["root"]), "code")) for button in buttons]
    for number in range(spec["count"]):
        button, mac = buttons[number % len(buttons)], macs[number % len(buttons)]
        if spec["path"] == "/v1/alarms":
            counter = spec["first"] + number // len(buttons)
            code = codes.code(mac, codes.ALARM, counter).hex()
            body: dict[str, Any] = {"device_id": button["device_id"], "event": codes.ALARM, "code": code}
            body |= {"counter": counter, "path": "ble", "age_s": 0.4, "fix": spec["fix"]}
        else:
            body = {"buttons": [{"device_id": button["device_id"], "battery_mv": 2950, "low": False}]}
        content = json.dumps(body)
        head = POST.format(path=spec["path"], host=host, token=button["token"], length=len(content))
        made.append(head.encode() + content.encode())
    return made


class Connection(asyncio.Protocol):
    """One request at a time; `answer` becomes the status, or 0 where the server hung up."""

    def __init__(self) -> None:
        self._received = b""
        self.answer: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def ask(self, request: bytes) -> "asyncio.Future[int]":
        self.answer = asyncio.get_running_loop().create_future()
        if self.transport.is_closing():
            self.answer.set_result(0)
        self.transport.write(request)
        return self.answer

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, blank, body = self._received.partition(b"\r\n\r\n")
        if blank and len(body) >= int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]):
            self._received = b""
            assert self.answer
            self.answer.set_result(int(head[9:12]))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        if self.answer and not self.answer.done():
            self.answer.set_result(0)


class Load:
    def __init__(self, spec: dict[str, Any]) -> None:
        self._spec = spec
        self._url = urlsplit(spec["url"])
        self._waiting = deque(requests(spec, self._url.netloc))
        self._context = ssl.create_default_context(cadata=spec["ca"])
        self.statuses: Counter[int] = Counter()
        self.times_ms: list[float] = []

    async def run(self) -> dict[str, Any]:
        opened = [await self._open() for _ in range(self._spec["connections"])]
        print(json.dumps("ready"), flush=True)
        sys.stdin.readline()
        self._since_s = time.perf_counter()
        self._until_s = self._since_s + self._spec["seconds"]
        every = self._paced if self._spec["rate"] else self._at_once
        await asyncio.gather(*(every(connection) for connection in opened))
        took_s = time.perf_counter() - self._since_s
        return {"took_s": took_s, "statuses": self.statuses, "times_ms": self.times_ms}

    async def _open(self) -> Connection:
        loop, host, port = asyncio.get_running_loop(), self._url.hostname, self._url.port
        _, connection = await loop.create_connection(Connection, host, port, ssl=self._context)
        return connection

    async def _at_once(self, connection: Connection) -> None:
        """The next one when the last is answered."""
        while self._waiting and time.perf_counter() < self._until_s:
            connection = await self._ask(connection, time.perf_counter())

    async def _paced(self, connection: Connection) -> None:
        """Each at its time, whatever became of the others: what waits for a connection, waits.

        All alarms are sent, however late; of a flood, what has not been sent when it ends is not.
        """
        rate = self._spec["rate"]
        while self._waiting:
            due_s = self._since_s + (self._spec["count"] - len(self._waiting)) / rate
            if due_s >= self._until_s or (self._spec["ends"] and time.perf_counter() >= self._until_s):
                return
            request = self._waiting.popleft()
            wait_s = due_s - time.perf_counter()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            connection = await self._ask(connection, due_s, request)

    async def _ask(self, connection: Connection, since_s: float, request: bytes = b"") -> Connection:
        status = await connection.ask(request or self._waiting.popleft())
        self.times_ms.append((time.perf_counter() - since_s) * 1000)
        self.statuses[status] += 1
        return connection if status else await self._open()


async def main() -> None:
    load = Load(json.loads(sys.stdin.readline()))
    print(json.dumps(await load.run()), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
