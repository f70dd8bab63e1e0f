"""A button's own way to the centre, in a city: the firmware's own Direct, on carriers that take their time.

What is sealed and sent is an event here; what the centre does with it, and what a button takes for a proof,
are the product's own.
"""

from collections.abc import Callable
from random import Random
from typing import Any

from centre.rules.direct import Said, Session
from centre.work.direct import Standing
from firmware.board.direct import CLOSE, LOCATE, RESERVE_NAMES, SEND, UP, Direct, Kept
from firmware.board.press import NEVER_MS, Press
from sim.city.event_queue import EventQueue
from sim.faults import LTE, WIFI
from wire import direct, receipts
from wire.direct_centre import Facts
from wire.keys import InvalidMessage, Mac, derive

PROFILE = "backup"
_BITS = {WIFI: 2, LTE: 4}
_CODES = {WIFI: direct.WIFI_UDP, LTE: direct.LTE}
# Assumed: a scan and a lease, a modem's start and its cell; and how often there is no network that it knows.
_UP_MS = {WIFI: (1_500, 4_000), LTE: (4_000, 15_000)}
_WAY_MS = {WIFI: (20, 80), LTE: (120, 600)}
_NONE = {WIFI: 0.4, LTE: 0.05}
_FAILS_MS = {WIFI: 4_000, LTE: 60_000}
_POLL_MS = 20_000

Ask = Callable[[Said], "Standing | None"]


class OwnWay:
    """`ask(said)` is the centre, None where nothing gets there; `act(stage, way)` takes what was proven."""

    def __init__(
        self,
        device_id: str,
        root: bytes,
        press: Press,
        queue: EventQueue,
        seed: str,
        act: Callable[..., None],
    ) -> None:
        self._device_id, self._press, self._queue, self._act = device_id, press, queue, act
        self.ask: Ask = lambda _: None
        self._mac, self._proof = Mac(derive(root, "direct")), Mac(derive(root, "receipt"))
        self._chance = Random(seed)  # noqa: S311 -- a simulated life, not a secret
        self._carriers = (WIFI, LTE) if self._chance.random() < 0.5 else (WIFI,)
        self._kept, self._at_centre = Kept(), Session()
        self._direct = Direct(press.life, self._kept, PROFILE, self._carriers, self._checkin_ms)
        self._opened = dict.fromkeys(self._carriers, 0)  # which session of it
        self._timer = 0
        self._direct.boot(queue.now_ms, False)
        press.ways = self._direct.ways()
        self._aim()

    def _checkin_ms(self, n: int) -> int:
        return 1000 * direct.checkin_s(self._mac, n)

    def pressed(self) -> None:
        self._do(self._direct.pressed(self._queue.now_ms))

    def brought(self, stage: int) -> None:
        """Take that a bridge has proven a stage."""
        if stage > receipts.HEARD:
            self._do(self._direct.brought(self._queue.now_ms))
        else:
            self._direct.heard()
            self._aim()

    # -- carriers -------------------------------------------------------------------------------------

    def _do(self, actions: list[tuple[Any, ...]]) -> None:
        now_ms = self._queue.now_ms
        for verb, what, *rest in actions:
            if verb == RESERVE_NAMES:
                self._kept.reserve = what
            elif verb == CLOSE:
                self._opened[what] += 1
            elif verb in (UP, LOCATE):
                self._opened[what] += 1
                is_none = verb == UP and self._chance.random() < _NONE[what]
                takes_ms = _FAILS_MS[what] if is_none else self._chance.randint(*_UP_MS[what])
                self._queue.at(now_ms + takes_ms, self._is_up, what, self._opened[what], is_none)
            elif verb == SEND:
                kind, wait_s, _, n, is_again = rest
                if kind != direct.CHECKIN and not self._press.life.event:
                    continue  # it is over meanwhile
                self._kept.seq += not is_again
                asked = self._request(what, kind, n, wait_s)
                self._queue.at(now_ms + self._way_ms(what), self._arrives, what, self._opened[what], asked)
        self._aim()

    def _is_up(self, name: str, opened: int, is_none: bool) -> None:
        if opened == self._opened[name]:
            now_ms = self._queue.now_ms
            failed = self._direct.failed
            self._do(failed(name, now_ms, direct.NOT_SEEN) if is_none else self._direct.up(name, now_ms))

    def _way_ms(self, name: str) -> int:
        return self._chance.randint(*_WAY_MS[name])

    def _request(self, name: str, kind: int, n: int, wait_s: int) -> direct.Request:
        life = self._press.life
        event, counter = (0, 0) if kind == direct.CHECKIN else self._press.subject()
        age_10s = min(max(self._queue.now_ms - life.opened_ms, 0) // 10_000, 0xFFFF)
        stage = life.stage if life.event and life.stage else direct.NO_STAGE
        values = (kind, _CODES[name], event, 0, counter, n, self._kept.seq, age_10s, 0, stage, wait_s, 0, 0)
        return direct.Request(*values)

    # -- at the centre --------------------------------------------------------------------------------

    def _arrives(self, name: str, opened: int, asked: direct.Request) -> None:
        """Ask; an answer that may wait for news comes at the end of that time."""
        now_ms = self._queue.now_ms
        session = self._at_centre.after(asked.n, asked.seq, now_ms)
        if session is not None:
            self._at_centre = session
        wait_ms = min(1000 * asked.wait_s, _POLL_MS)
        self._queue.at(
            now_ms + wait_ms, self._answers, name, opened, Said(self._device_id, asked, Facts(), session)
        )

    def _answers(self, name: str, opened: int, said: Said) -> None:
        standing = self.ask(said)
        if standing is not None or said.request.kind == direct.CHECKIN:
            at_ms = self._queue.now_ms + self._way_ms(name)
            self._queue.at(at_ms, self._answered, name, opened, said.request, standing)

    def _answered(self, name: str, opened: int, asked: direct.Request, standing: Standing | None) -> None:
        if opened != self._opened[name]:
            return
        now_ms, receipt = self._queue.now_ms, bytes(receipts.VALUE_BYTES)
        if standing is not None:
            receipt = standing.receipt
            try:
                stage = receipts.check(receipt, self._proof, self._proof, (0, 0), self._press.subject())
                self._act(stage, _BITS[name])
            except InvalidMessage:  # of a press that is over
                pass
        answer = direct.Answer(receipt, now_ms, 0, 0, self._at_centre.n)
        self._do(self._direct.answered(name, asked, answer, now_ms))

    # -- its time -------------------------------------------------------------------------------------

    def _aim(self) -> None:
        self._timer += 1
        due_ms = self._direct.due_ms()
        if due_ms < NEVER_MS:
            self._queue.at(due_ms, self._due, self._timer)

    def _due(self, timer: int) -> None:
        if timer == self._timer:
            self._do(self._direct.tick(self._queue.now_ms))
