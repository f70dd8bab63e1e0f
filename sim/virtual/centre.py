"""The centre in virtual time: its own routes, work and SQL, behind a virtual network and on a virtual disk.

Only aiohttp's sockets are replaced: a request is an object with what the routes ask of aiohttp's, a stream
writes to the network. Its one thread is the loop's (`Loop.run_in_executor`).
"""

import asyncio
import contextlib
import json
import re
import sqlite3
import struct
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from random import Random
from typing import Any, TypeVar, cast

from aiohttp import web

from centre.api.bridges import STREAMS_MAX, STREAMS_PER_BRIDGE_MAX, Intake
from centre.api.direct import Direct
from centre.api.event_streams import Streams
from centre.api.routing import Refusals, Route
from centre.jobs.closings import LOOK_S as CLOSINGS_S
from centre.jobs.closings import Closings
from centre.platform.change_signals import ChangeSignals
from centre.platform.log import Log
from centre.platform.sealing import Sealer
from centre.platform.worker import ALARMS, Worker
from centre.rules.access import Caller
from centre.rules.incidents import CloseReason
from centre.rules.refusals import Refused
from centre.rules.running_log import UNDO_MS
from centre.settings import Settings
from centre.store import Store
from centre.work import board as desk
from centre.work import closings, positions
from centre.work.core import Core
from sim.judge.audit import centre_has, incidents, incidents_of
from sim.virtual.disk import DISK_S, Disk
from sim.virtual.network import Exchange, Network, Response
from sim.virtual.time import Killed, Loop, Time
from wire import receipts
from wire.direct import NAME_BYTES, REQUEST, REQUEST_BYTES, unseal, unseal_answer
from wire.direct import Request as DirectRequest
from wire.keys import InvalidMessage, Mac

T = TypeVar("T")
NAME = "centre"
START_S = 0.5
_LOGGED = {receipts.ACKNOWLEDGED: "acknowledged", receipts.DISPATCHED: "dispatched"}


class OneThread(Worker):
    """The worker without a thread of its own."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def __call__(self, method: Callable[..., T], *arguments: Any, lane: int = ALARMS) -> T:  # noqa: ARG002
        work = partial(method, self._core, *arguments)
        return cast(T, await asyncio.get_running_loop().run_in_executor(None, work))


class Told(Log):
    """What the centre says becomes a happening. Its count of refusals goes by the wall's clock: not here."""

    def __init__(self, happen: Callable[..., None]) -> None:
        self._happen = happen

    def __call__(self, what: str, *, at_ms: float | None = None, **fields: Any) -> None:  # noqa: ARG002
        if what != "refused":
            self._happen(NAME, what, **fields)


class Centre:
    """One process that can be killed, on a disk that outlives it."""

    def __init__(
        self,
        time: Time,
        network: Network,
        disk: Disk,
        sealer: Sealer,
        operator: Caller,
        random: Random,
        happen: Callable[..., None],
        clock_ms: Callable[[], float],
        direct_keys: Mapping[str, Mac],
    ) -> None:
        self._direct_keys = direct_keys  # of each button, by which the judge reads what it is told
        self._time, self._network, self.disk, self._sealer = time, network, disk, sealer
        self._operator, self._random, self._happen, self._clock_ms = operator, random, happen, clock_ms
        self.slow_s = DISK_S
        self.is_up = False
        self._starts = 0
        network.server = self

    def now_s(self) -> float:
        return self._clock_ms() / 1000

    def clock_is_set(self) -> None:
        """Tell it: what it says of times after that is not what it said before."""
        self._happen(NAME, "clock_set")

    # -- its life -------------------------------------------------------------------------------------

    def start(self) -> None:
        self._starts += 1
        self._time.after(START_S, self._start, self._starts)

    def _start(self, number: int) -> None:
        if self.is_up or number != self._starts:
            return
        self.disk.open()
        self.disk.on_kill = _nobody
        try:
            core = self._core = Core(Store("", self.disk.connect), self._sealer, self._clock_ms)
        except Killed:  # while it opens its database
            self.disk.fence()
            return
        self._loop = Loop(self._time, self._disk_s, self._mistake)  # type: ignore[abstract]
        self.disk.on_kill = self._strike
        self._worker, self._signals, log = OneThread(core), ChangeSignals(), Told(self._happen)
        respond = cast(Callable[[Mapping[str, str]], web.StreamResponse], Stream)
        streams = Streams(STREAMS_MAX, STREAMS_PER_BRIDGE_MAX, respond)
        intake = Intake(self._worker, core, self._signals, log, b"", Settings(), streams)
        self._direct = Direct(self._worker, core, self._signals, log, Settings())
        self._routes = (*intake.routes, *self._direct.routes)
        self._refusals = Refusals(log)
        self._closings = Closings(self._worker, self._signals, log)
        for later_s in (0.0, UNDO_MS / 1000):  # what was closed before it was killed
            self._loop.call_later(later_s, self._look_at_closings)
        self.is_up = True
        self._happen(NAME, "listening")

    def _strike(self) -> None:
        """In the middle of a call: it is dead at once, and what is left of it a moment later."""
        self._loop.halt()
        self._time.after(0.0, self.kill)

    def kill(self) -> None:
        """SIGKILL: what is committed stays."""
        self._starts += 1
        if self.is_up:
            self.is_up = False
            self.disk.fence()
            self._loop.kill()
            self._network.server_died()
            self._happen(NAME, "killed")

    def cut_power(self) -> None:
        self.kill()
        self.disk.cut_power()
        self._happen(NAME, "power_cut")

    def _disk_s(self) -> float:
        return self.slow_s * self._random.random() + 0.0002

    def _mistake(self, text: str) -> None:
        self._happen(NAME, "mistake", text=text)

    # -- bridges --------------------------------------------------------------------------------------

    def serve(self, exchange: Exchange) -> None:
        self._loop.create_task(self._serve(exchange))

    async def _serve(self, exchange: "Exchange | Posted") -> None:
        request = Request(exchange)
        handler = self._find(request)
        response = await self._refusals.middleware(cast(web.Request, request), handler)
        if isinstance(response, Stream):
            response.end()
            return
        assert isinstance(response, web.Response)
        body = response.body if isinstance(response.body, bytes) else b""
        if response.status == 500:
            self._mistake(f"{exchange.method} {exchange.path} answers 500")
        self._told(exchange, response.status, body)
        exchange.answer(response.status, response.content_type, body)

    def _find(self, request: "Request") -> Callable[[web.Request], Any]:
        for route in self._routes:
            match = _pattern(route.path).fullmatch(request.path)
            if match and route.method == request.method:
                request.match_info = match.groupdict()
                return partial(_handle, route)
        return _nowhere

    def _told(self, exchange: "Exchange | Posted", status: int, body: bytes) -> None:
        """An alarm's answer leaves: what it says, and whether that is on the disk."""
        if isinstance(exchange, Posted):
            if status == 200:
                self._told_direct(exchange.body, body)
        elif exchange.path == "/v1/alarms" and status in (200, 201):
            press, answer = json.loads(exchange.body), json.loads(body)
            who = {name: press[name] for name in ("device_id", "event", "counter")}
            self._gave(answer["incident"], answer["receipt"]["stage"], **who)

    def _gave(self, incident: str, stage: int, **who: object) -> None:
        on_disk = centre_has(self.disk.query, incident, stage)
        self._happen(NAME, "gave", incident=incident, stage=stage, on_disk=on_disk, **who)

    def streamed(self, path: str, chunk: bytes) -> None:
        """A line of a stream leaves."""
        data = re.search(rb"^data: (.*)$", chunk, re.MULTILINE)
        if data:
            self._gave(path.split("/")[3], json.loads(data[1])["stage"])

    # -- buttons without a phone ----------------------------------------------------------------------

    def datagram(self, frame: bytes, source: str, back: Callable[[bytes], None]) -> None:
        """Take a datagram; `back` gets the answer, if there is one."""
        self._came(frame, source)
        self._loop.create_task(self._answer(frame, source, back))

    async def _answer(self, frame: bytes, source: str, back: Callable[[bytes], None]) -> None:
        answer = await self._direct.answer(frame, source)
        if answer is not None:
            self._told_direct(frame, answer)
            back(answer)

    def posted(self, frame: bytes, source: str, back: Callable[[int, bytes], None]) -> None:
        """Take the same as a POST."""
        self._came(frame, source)
        self._loop.create_task(self._serve(Posted(frame, source, back)))

    def _came(self, frame: bytes, source: str) -> None:
        """Note what a frame asks, by whatever name."""
        for device_id, _, asked in self._asked(frame):
            told = {"kind": asked.kind, "carrier": asked.carrier, "n": asked.n, "seq": asked.seq}
            self._happen(NAME, "frame", device_id=device_id, source=source, **told)

    def _told_direct(self, frame: bytes, answer: bytes) -> None:
        """Note a receipt that leaves for a button: of which press, and whether that is on the disk."""
        for device_id, mac, asked in self._asked(frame):
            receipt = unseal_answer(mac, frame, answer).receipt
            if any(receipt):
                which = (device_id, asked.event, asked.counter)
                for incident in incidents_of(self.disk.query, *which):
                    who = dict(zip(("device_id", "event", "counter"), which, strict=True))
                    self._gave(incident, receipt[0], **who)

    def _asked(self, frame: bytes) -> Iterator[tuple[str, Mac, DirectRequest]]:
        """Yield whose frame it is, by their keys alone, and what it asks."""
        for device_id, mac in self._direct_keys.items():
            with contextlib.suppress(InvalidMessage):
                plain = unseal(mac, 1, frame[:NAME_BYTES], b"", frame, REQUEST_BYTES)
                yield device_id, mac, DirectRequest(*struct.unpack(REQUEST, plain[:101]))

    # -- operators ------------------------------------------------------------------------------------

    def operate(self, stage: int) -> None:
        """An operator at the console brings the topmost alarm that is not there yet to `stage`."""
        if self.is_up:
            self._loop.create_task(self._try_to_operate(stage))

    async def _try_to_operate(self, stage: int) -> None:
        with contextlib.suppress(Refused, sqlite3.Error):  # the operator's page says so
            await self._operate(stage)

    async def _operate(self, stage: int) -> None:
        board = await self._worker(desk.board)
        below = [one for one in (*board.untaken, *board.taken) if one.stage < stage]
        if not below:
            return
        incident_id = below[0].incident_id
        act = partial(desk.advance, stage=stage)
        if stage == receipts.CLOSED:
            act = partial(closings.close, reason=CloseReason.REAL)
        done = await self._worker(act, self._operator, incident_id)
        if stage == receipts.CLOSED:  # from when it was closed, and not from when that was asked for
            self._loop.call_later(UNDO_MS / 1000, self._look_at_closings)
        for reached in done.reached:
            who = {"device_id": done.device_id, "event": done.event, "counter": done.counter}
            self._happen(NAME, _LOGGED[reached], incident=incident_id, **who)
        if done.now:
            self._signals.incident_changed(incident_id)

    def _look_at_closings(self) -> None:
        self._loop.create_task(self._finish_closings())

    async def _finish_closings(self) -> None:
        """Do as the centre's job does each second, at the moments at which there can be something to do."""
        try:
            await self._closings.look()
        except sqlite3.Error:
            self._loop.call_later(CLOSINGS_S, self._look_at_closings)

    def audit(self) -> None:
        """What is in the database, read as somebody does who knows nothing of the program."""
        for incident in incidents(self.disk.query):
            self._happen("auditor", "incident", **incident)
            newest = positions.newest(self._core, incident["incident"]) if self.is_up else None
            if newest is not None:  # what an operator sees
                fix = newest.position.fix
                self._happen("auditor", "position", incident=incident["incident"], lat=fix.lat, lon=fix.lon)


class Posted:
    """A sealed frame as the body of a request, of a button that reads no streams."""

    method, path = "POST", "/v1/direct"

    def __init__(self, body: bytes, source: str, back: Callable[[int, bytes], None]) -> None:
        self.body, self.source, self._back = body, source, back
        self.headers = {"Content-Type": "application/octet-stream", "Content-Length": str(len(body))}

    def answer(self, status: int, _content_type: str, body: bytes) -> None:
        self._back(status, body)


class Request(dict[Any, Any]):
    """What the routes ask of an aiohttp request; as a mapping it is what they keep with it."""

    def __init__(self, exchange: Exchange | Posted) -> None:
        super().__init__()
        self.content_type = exchange.headers.get("Content-Type", "application/json")
        self.exchange = exchange
        self.method, self.path, self.headers = exchange.method, exchange.path, exchange.headers
        self.content_length = len(exchange.body)
        self.match_info: dict[str, str] = {}
        self.content = self

    def is_eof(self) -> bool:
        """All of it has come."""
        return True

    async def read(self) -> bytes:
        return self.exchange.body


class Stream:
    """What a server-sent stream asks of an aiohttp response."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._type = headers["Content-Type"].partition(";")[0]

    async def prepare(self, request: Request) -> None:
        assert isinstance(request.exchange, Exchange)
        self._exchange = request.exchange
        self._response: Response = self._exchange.begin(200, self._type)

    async def write(self, data: bytes) -> None:
        if not self._exchange.is_open:
            raise ConnectionResetError("nobody reads")
        server = self._exchange._network.server
        assert isinstance(server, Centre)
        server.streamed(self._exchange.path, data)
        self._exchange.more(self._response, data)

    def end(self) -> None:
        self._exchange.more(self._response, None)


async def _handle(route: Route, request: web.Request) -> web.StreamResponse:
    return await route.handle(request)


def _nobody() -> None:
    """Nobody is told."""


async def _nowhere(_request: web.Request) -> web.StreamResponse:
    raise Refused("unknown_path")


@cache
def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))
