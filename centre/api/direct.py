"""The direct path: buttons that speak without a phone, by datagrams and by `POST /v1/direct`.

A frame whose name is not known costs one look into a dictionary, and gets no word; so does one that is not
sealed by who has that name. A press is stored in the same lane, and committed with the same alarms, as a
phone's. Who asks for news may wait for it a while; each button waits once, at its newest address.
"""

import asyncio
import contextlib
import socket
import sqlite3
from typing import NamedTuple

from aiohttp import web

from centre.api.load_shedding import LoadShedding
from centre.api.routing import Route, anyone, read_body
from centre.platform.change_signals import ChangeSignals
from centre.platform.log import Log, now_ms
from centre.platform.worker import AFTER, SPARE, Worker
from centre.rules import direct as rules
from centre.rules.direct import Said, Session
from centre.rules.refusals import Refused, Tally
from centre.rules.token_bucket import TokenBucket
from centre.settings import Settings
from centre.work import direct
from centre.work.core import Core
from centre.work.direct import Known, Standing
from wire.direct import (
    ANSWER_BYTES,
    CHECKIN,
    FIX,
    NAME_BYTES,
    POLL,
    POSITION_WANTED,
    PRESS,
    REQUEST_BYTES,
    SLOW_DOWN,
    Answer,
    name,
)
from wire.direct_centre import read_facts, seal_answer, unseal_request
from wire.keys import InvalidMessage
from wire.receipts import VALUE_BYTES

HELD_MAX = 2000  # answers that wait for news; one more is given at once
AT_ONCE_MAX = 4000  # frames that are being answered, those that wait included
TURN_MAX = 64  # datagrams that are read before anybody else has a turn
BUFFER_BYTES = 1 << 20  # of datagrams that nobody has read yet
LOOK_S = 1.0  # how often it is looked whether there are new buttons
PAGE, PAGE_S = 50, 0.01
NAMES_MAX = 2_000_000  # beyond it nobody is looked for far ahead
SAME_S = 1.0  # for which the same frame gets the same answer
# What a button says in a session is heard once; and so many buttons are stored in one transaction.
HEAR_S, HEARD_AT_ONCE = 1.0, 50
AGAIN_PER_S = 1000  # frames that came before, of all buttons: whoever plays them again wins no more
OCTETS = "application/octet-stream"
_NOTHING = bytes(VALUE_BYTES)


class _Answered(NamedTuple):
    """A frame, its answer, and when that was."""

    frame: bytes
    answer: bytes
    at_s: float


class _Button:
    """A button, the names that it is known by, and what it waits for."""

    __slots__ = ("answered", "device_id", "held", "mac", "names", "numbers", "session")

    def __init__(self, known: Known) -> None:
        self.device_id, self.mac, self.session = known.device_id, known.mac, known.session
        self.numbers: tuple[int, ...] = ()
        self.names: tuple[bytes, ...] = ()
        self.answered: _Answered | None = None  # the last one
        self.held: asyncio.Future[None] | None = None  # done: it has spoken since, perhaps from elsewhere

    def let_go(self) -> None:
        """Leave the frame that waits for news without an answer: the button waits for that of a newer one."""
        if self.held is not None and not self.held.done():
            self.held.set_result(None)


class Direct:
    """Answer the frames of buttons. `reader` sees what is committed, in the loop's own thread."""

    def __init__(
        self, worker: Worker, reader: Core, signals: ChangeSignals, log: Log, settings: Settings
    ) -> None:
        self._worker, self._reader, self._signals, self._log = worker, reader, signals, log
        self._names: dict[bytes, _Button] = {}
        self._number, self._looked_s = 0, -LOOK_S
        self.held, self._tally = 0, Tally()
        self._checkins = TokenBucket(settings.signs_per_s, burst=max(1, settings.signs_per_s // 10))
        self._heard: dict[tuple[str, str], Said] = {}
        self._hearing: asyncio.Task[None] | None = None
        self._again = TokenBucket(AGAIN_PER_S, burst=AGAIN_PER_S)
        self.stopping = False
        self.routes = (Route("POST", "/v1/direct", anyone, self.post),)

    # -- by which names buttons are known -------------------------------------------------------------

    def knows(self, frame: bytes) -> bool:
        """Whether a frame has the name of a button: all that junk is looked at for."""
        return len(frame) == REQUEST_BYTES and self._find(frame[:NAME_BYTES]) is not None

    async def look(self) -> None:
        """Take in the buttons that are new; at the start, all of them, a few at a time."""
        while True:
            if not self._take_in():
                return
            await asyncio.sleep(PAGE_S)  # others have their turn

    def _find(self, name: bytes) -> _Button | None:
        button = self._names.get(name)
        if button is None:
            now_s = asyncio.get_running_loop().time()
            if now_s - self._looked_s >= LOOK_S:
                self._looked_s = now_s
                self._take_in()
                button = self._names.get(name)
        return button

    def _take_in(self) -> bool:
        """Take in a page of buttons; whether there may be more."""
        before = self._number
        found, self._number = direct.buttons_after(self._reader, before, PAGE)
        for known in found:
            is_far = known.is_restored and len(self._names) < NAMES_MAX
            self._rename(_Button(known), rules.AHEAD_RESTORED if is_far else rules.AHEAD)
        return self._number != before

    def _rename(self, button: _Button, ahead: int = rules.AHEAD) -> None:
        """Know a button by the names that its session allows."""
        before = dict(zip(button.numbers, button.names, strict=True))
        button.numbers = rules.numbers(button.session, ahead=ahead)
        button.names = tuple(before.pop(n) if n in before else name(button.mac, n) for n in button.numbers)
        for gone in before.values():
            del self._names[gone]
        for one in button.names:
            self._names[one] = button

    # -- frames ---------------------------------------------------------------------------------------

    async def post(self, request: web.Request, _caller: str) -> web.Response:
        """Take a frame as the body of a request, and answer with one."""
        if request.content_type != OCTETS or request.content_length != REQUEST_BYTES:
            raise Refused("bad_frame")
        answered = await self.exchange(await read_body(request))
        if answered is None:
            raise Refused("let_go")
        return web.Response(body=answered, content_type=OCTETS)

    async def answer(self, frame: bytes, source: str) -> bytes | None:  # noqa: ARG002
        """Return the 64 bytes for a frame, or None: not a word.

        `source`, where it came from, decides nothing: addresses change, and anybody can write one.
        """
        try:
            return await self.exchange(frame)
        except Refused as refused:
            self.count(refused.reason)
        except sqlite3.Error as error:  # a full disk: nothing was stored, and the button comes again
            self.count("store_unavailable", f"the database refuses: {error}")
        return None

    async def exchange(self, frame: bytes) -> bytes | None:
        """Do the same; None only where a newer frame of that button is answered instead.

        Raises Refused: bad_frame, busy, shed. Raises sqlite3.Error.
        """
        button = self._find(frame[:NAME_BYTES]) if len(frame) == REQUEST_BYTES else None
        if button is None:
            raise Refused("bad_frame")
        loop, answered = asyncio.get_running_loop(), button.answered
        if answered is not None and answered.frame == frame and loop.time() - answered.at_s < SAME_S:
            return answered.answer
        said = self._read(button, frame)
        if said.session is not None:
            button.let_go()
        standing = await self._do(button, said)
        if said.request.kind == POLL and said.session is not None and standing is not None:
            standing = await self._wait(button, said, standing)
            if standing is None:
                return None
        answer = self._seal(button, frame, standing)
        button.answered = _Answered(frame, answer, loop.time())
        return answer

    def _read(self, button: _Button, frame: bytes) -> Said:
        """Open a frame. Raises Refused("bad_frame")."""
        n = button.numbers[button.names.index(frame[:NAME_BYTES])]
        try:
            request = unseal_request(button.mac, frame, n)
        except InvalidMessage:
            raise Refused("bad_frame") from None
        session = button.session.after(n, request.seq, self._reader.now_ms())
        return Said(button.device_id, request, read_facts(request.facts), session)

    async def _do(self, button: _Button, said: Said) -> Standing | None:
        """Store what a frame says, where that is new; return how its press stands, or None."""
        kind = said.request.kind
        if kind == PRESS:
            standing = await self._press(button, said)
            self._move(button, said.session)
            return standing
        if said.session is None:
            self._pass_again()  # it came before, or from a button that was lost: it is answered, and no more
        elif kind == CHECKIN:
            if not self._checkins.takes(int(asyncio.get_running_loop().time() * 1000)):
                raise Refused("shed")
            await LoadShedding.until_the_next()
            await self._worker(direct.hear, said, lane=SPARE)
        elif kind == FIX:
            if await self._worker(direct.take_fix, said, lane=AFTER):
                self._signals.board_changed()
        else:
            self._hear_soon(said)
        self._move(button, said.session)
        return None if kind == CHECKIN else direct.standing(self._reader, said)

    async def _press(self, button: _Button, said: Said) -> Standing:
        """Take a press; of one that came before, over the same carrier, nothing is stored again."""
        if said.session is None:
            before = direct.standing(self._reader, said)
            if before is not None and before.is_arrived:
                self._pass_again()
                return before
        taken, standing = await self._worker(direct.take_press, said)
        self._log(
            "received",
            device_id=button.device_id,
            event=said.request.event,
            counter=said.request.counter,
            incident=taken.incident_id,
            known=taken.known,
            path=said.path,
            **({"exercise": True} if taken.is_exercise else {}),
        )
        self._signals.board_changed()
        self._hear_soon(said)
        return standing

    def _hear_soon(self, said: Said) -> None:
        """Have it stored that a button was heard, behind all alarms; of each carrier the newest is enough."""
        if said.session is not None:
            self._heard[said.device_id, said.path] = said
            if self._hearing is None:
                self._hearing = asyncio.get_running_loop().create_task(self._hear())

    async def _hear(self) -> None:
        try:
            await asyncio.sleep(HEAR_S)
            while self._heard and not self.stopping:
                at_once = [self._heard.pop(key) for key in list(self._heard)[:HEARD_AT_ONCE]]
                await self._store_heard(at_once)
        finally:
            self._hearing = None

    async def _store_heard(self, at_once: list[Said]) -> None:
        try:
            await self._worker(direct.hear, *at_once, lane=SPARE)
        except (Refused, sqlite3.Error):  # alarms come first; a newer word may have come meanwhile
            self._heard = {(one.device_id, one.path): one for one in at_once} | self._heard
            await LoadShedding.until_the_next()

    def _pass_again(self) -> None:
        """Let one frame pass that came before, or raise Refused("shed")."""
        if not self._again.takes(int(asyncio.get_running_loop().time() * 1000)):
            raise Refused("shed")

    def _move(self, button: _Button, session: Session | None) -> None:
        """Follow a button to its next session, now that it is stored."""
        before = button.session
        if session is None or (session.n, session.seq) <= (before.n, before.seq):
            return
        button.session = session
        if session.n != before.n:
            self._rename(button)

    async def _wait(self, button: _Button, said: Said, standing: Standing) -> Standing | None:
        """Wait for news of a press, as long as the button asks; None: a newer frame came meanwhile."""
        wait_s = rules.may_wait(said.request, standing.stage, is_last=standing.is_last)
        if not wait_s or self.held >= HELD_MAX or self.stopping:
            return standing
        gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        button.let_go()
        button.held = gone
        self.held += 1
        changed = self._signals.of_incident(standing.incident_id)
        news = asyncio.get_running_loop().create_task(_wait_for(changed))
        try:
            now = direct.standing(self._reader, said) or standing
            if now.stage == standing.stage:  # it is no news that came while it was asked
                await asyncio.wait([news, gone], timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            news.cancel()
            self.held -= 1
            if button.held is gone:
                button.held = None
        return None if gone.done() else direct.standing(self._reader, said) or standing

    def _seal(self, button: _Button, frame: bytes, standing: Standing | None) -> bytes:
        flags = SLOW_DOWN if self.held >= HELD_MAX else 0
        if standing is not None and standing.wants_position:
            flags |= POSITION_WANTED
        receipt = _NOTHING if standing is None else standing.receipt
        answer = Answer(receipt, self._reader.now_ms(), 0, flags, button.session.n)
        return seal_answer(button.mac, frame, answer)

    # -- what is not answered -------------------------------------------------------------------------

    def count(self, reason: str, trouble: str = "") -> None:
        """Count what gets no answer; a flood is a line a minute."""
        count = self._tally.note(reason, now_ms())
        if count is not None:
            if trouble:
                self._log("trouble", reason=reason, text=trouble)
            self._log("refused", reason=reason, count=count)

    async def flush_due(self) -> None:
        """Log what was counted."""
        for reason, count in self._tally.due(now_ms()):
            self._log("refused", reason=reason, count=count)


async def _wait_for(changed: asyncio.Event) -> None:
    await changed.wait()


class Datagrams:
    """Sockets on which frames come as datagrams. Each is answered at the address that it came from."""

    def __init__(self, direct: Direct) -> None:
        self._direct = direct
        self._sockets: list[socket.socket] = []
        self._answering: set[asyncio.Task[None]] = set()
        self._loop: (
            asyncio.AbstractEventLoop
        )  # asked for once: it is a system call, and there are many frames

    async def start(self, host: str, port: int) -> int:
        """Listen; return on which port. Raises OSError."""
        loop = self._loop = asyncio.get_running_loop()
        where = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)
        for family, address in dict.fromkeys((info[0], info[4][:2]) for info in where):
            one = socket.socket(family, socket.SOCK_DGRAM)
            self._sockets.append(one)
            one.setblocking(False)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
            one.bind(address)
            loop.add_reader(one, self._read, one)
        return int(self._sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening; what waits for news is answered by who wakes it."""
        for one in self._sockets:
            self._loop.remove_reader(one)
        if self._answering:
            await asyncio.wait(self._answering, timeout=1.0)
        for task in self._answering:
            task.cancel()
        for one in self._sockets:
            one.close()

    def _read(self, one: socket.socket) -> None:
        """Take in what has come, but not more than leaves others their turn."""
        for _ in range(TURN_MAX):
            try:
                frame, address = one.recvfrom(REQUEST_BYTES + 1)
            except OSError:  # nothing more, or word that somebody was not reached
                return
            if not self._direct.knows(frame):
                self._direct.count("bad_frame")
            elif len(self._answering) >= AT_ONCE_MAX:
                self._direct.count("busy")
            else:
                task = self._loop.create_task(self._answer(one, frame, address))
                self._answering.add(task)
                task.add_done_callback(self._answering.discard)

    async def _answer(self, one: socket.socket, frame: bytes, address: tuple[object, ...]) -> None:
        answered = await self._direct.answer(frame, "udp")
        if answered is not None:
            assert len(answered) == ANSWER_BYTES
            with contextlib.suppress(OSError):  # the button asks again
                one.sendto(answered, address)
