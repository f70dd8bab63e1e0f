"""The direct path's wiring: seals, sends, opens answers, and steps the carriers. app.py loads it late.

Nothing of it runs before the first advert, nothing that may block while the motor runs or a press waits, and
whatever a carrier raises fails that carrier alone.

RTC memory, after the life: n:u32 reserve:u32 seq:u16 tries:u8 fixes:u8 bad_starts:u8 silent_sessions:u8
last_bit:u8 suspects:u8 errors:u8 radios:u8, ms:i64 of each carrier's check-in, how far the centre's clock is
ahead (0: not known), and of the clock now, crc32:u32.
`radios` is the marker: which are on, noted before they are switched on and after they are off.
"""

from firmware.board import direct, memory
from firmware.board.direct import CLOSE, LOCATE, RESERVE_NAMES, SEND, UP, Direct, Kept, may_set
from wire import receipts
from wire.direct import (
    CHECKIN,
    CLOCK_LOST,
    FACTS_BYTES,
    LTE,
    NO_MEMORY,
    NO_STAGE,
    RADIO,
    RESET,
    WIFI_HTTPS,
    WIFI_UDP,
    Answer,
    Request,
    checkin_s,
    seal_request,
    unseal_answer,
)
from wire.keys import InvalidMessage, Mac, derive
from wire.state import AGE_UNKNOWN

_KEPT = ">IIHBBBBBBBBqqqq"
_FRAMES_MAX = 4  # of a carrier, to which an answer may still come
_SEQ_MAX = 0xFFFF
_POINT_BYTES = 7
_LOST_FILE_SILENT = 2  # sessions, as if they had been in vain: spare names find the centre
_SOON_MS = 10
_FAR_MS = 3_600_000


class DirectApp:
    """Carry out what `Direct` decides for the button `app`; its board gives the carriers."""

    def __init__(self, app, settings) -> None:  # type: ignore[no-untyped-def]
        self._app = app
        self._life = app.press.life
        self._mac = Mac(derive(app.identity.root, "direct", app.identity.epoch))
        self._errors = self._radios = self._ahead_ms = 0
        self._kept = Kept()
        made = app.board.carriers(settings, self._mac)
        self._carriers = {one.name: one for one in made}
        now_ms = app.board.now_ms()
        is_bad = self._load(now_ms)
        self._is_apart = not getattr(app.board, "wifi_beside_ble", True)
        names = tuple(one.name for one in made)  # MicroPython's dict keeps no order
        self._direct = Direct(
            self._life,
            self._kept,
            settings.profile,
            names,
            lambda n: checkin_s(self._mac, n) * 1000,
            self._is_apart,
        )
        self._direct.boot(now_ms, is_bad)
        app.do(app.press.set_ways(self._direct.ways(), now_ms))
        self._frames: dict[str, list[tuple[Request, bytes]]] = {name: [] for name in names}
        self._waiting: list[direct.Action] = []
        self._seen: tuple[int, int] | None = None  # the press that was taken last
        if self._life.started_ms < app.since_ms:
            self._seen = self._press()
        self._keep()

    def step(self) -> None:
        """Do one small thing of each."""
        now_ms = self._app.board.now_ms()
        if self._seen != self._press() and self._app.may_block():
            self._seen = self._press()
            if self._life.event:
                self._do(self._direct.pressed(now_ms))
        self._do([])  # what waited may end what would be done now
        for name in self._carriers:
            if self._radios & self._bit(name):
                self._guarded(name, self._step, now_ms)
        self._do(self._direct.tick(now_ms))
        if self._life.direct_ms != self._due_ms:
            self._keep()

    def due_ms(self) -> int | None:
        """Return when to step next; None where deep sleep may come until the life's `direct_ms`."""
        now_ms = self._app.board.now_ms()
        if self._waiting:
            return now_ms + _SOON_MS
        if not self._radios and self._direct.state != direct.ARMED:
            return None
        dues = [self._direct.due_ms()]
        for name, carrier in self._carriers.items():
            due_ms = carrier.due_ms(now_ms) if self._radios & self._bit(name) else None
            if due_ms is not None:
                dues.append(due_ms)
        return min(dues)

    def wake_ms(self) -> int:
        """Return when to step next, at rest or not."""
        return self._direct.due_ms()

    def brought(self, stage: int) -> None:
        """Take that a peer has proven `stage` over Bluetooth."""
        if stage > receipts.HEARD:
            self._do(self._direct.brought(self._app.board.now_ms()))
        elif self._app.press.on_air == self._app.press.subject():
            self._direct.heard()

    def stop(self) -> None:
        """Switch every radio off, for good: something is wrong with all this."""
        for name in self._carriers:
            if self._radios & self._bit(name):
                self._close(name, RADIO)
        self._keep()

    def _press(self) -> tuple[int, int]:
        return self._life.press_counter, self._life.started_ms

    # -- carriers ----------------------------------------------------------------------

    def _step(self, name: str, now_ms: int) -> None:
        carrier = self._carriers[name]
        blocks = carrier.blocks
        if self._app.may_block() or not blocks:
            if blocks:
                self._app.tell_state()  # whoever links meanwhile reads what is here: how old the press is
            at = carrier.step(now_ms)
            if at > 0:
                self._do(self._direct.up(name, now_ms, getattr(carrier, "network", "")))
            elif at < 0:
                self._do(self._direct.failed(name, now_ms, carrier.error))
        frame = carrier.receive()
        if frame:
            self._received(name, frame)

    def _guarded(self, name: str, work, *args) -> None:  # type: ignore[no-untyped-def]
        """Let a carrier do its work; whatever it raises is its own failure."""
        try:
            work(name, *args)
        except Exception as error:
            self._app.say("direct", name, repr(error))
            is_memory = isinstance(error, (MemoryError, RuntimeError)) or "NOMEM" in repr(error)
            self._do(self._direct.failed(name, self._app.board.now_ms(), NO_MEMORY if is_memory else RADIO))

    def _do(self, actions: list[direct.Action]) -> None:
        """Carry out `actions` after those that wait, up to the first that must go on waiting."""
        self._waiting += actions
        before = len(self._waiting)
        while self._waiting and (self._waiting[0][0] == SEND or self._app.may_block()):
            self._act(self._waiting.pop(0))
        if len(self._waiting) < before:
            self._keep()

    def _act(self, action: direct.Action) -> None:
        verb, name = action[:2]
        now_ms = self._app.board.now_ms()
        if verb == RESERVE_NAMES:
            try:
                self._app.memory.write(memory.DIRECT_FILE, memory.COUNTER, name)
                self._kept.reserve = name
            except OSError as error:
                self._app.say("flash", error.errno)  # asked for again with the next session
        elif verb == SEND:
            if self._radios & self._bit(name):
                self._guarded(name, self._send, now_ms, *action[2:])
        elif verb == CLOSE:
            self._close(name, action[2])
        elif verb == LOCATE:
            self._guarded(name, lambda name: self._carriers[name].locate(now_ms))
        elif verb == UP:
            self._open(name, action[2], now_ms)

    def _open(self, name: str, is_slow: bool, now_ms: int) -> None:
        if self._excludes_bluetooth(name):
            self._app.pause()
        self._radios |= self._bit(name)
        self._keep()  # before anything draws a current
        self._frames[name] = []
        self._app.say("direct", name, "slow" if is_slow else "on")
        carrier = self._carriers[name]
        carrier.clock_known = bool(self._ahead_ms)
        self._guarded(name, lambda _: carrier.open(now_ms, is_slow))

    def _close(self, name: str, error: int) -> None:
        carrier = self._carriers[name]
        if error:
            self._note(name, carrier.error or error)
        try:
            carrier.close()
        except Exception as fault:
            self._app.say("direct", name, repr(fault))
        self._radios &= ~self._bit(name)
        self._frames[name] = []
        self._app.say("direct", name, "off", error)
        if self._excludes_bluetooth(name):
            self._app.resume()

    def _excludes_bluetooth(self, name: str) -> bool:
        return self._is_apart and name == "wifi"

    def _note(self, name: str, error: int) -> None:
        """Note why a carrier failed last: Wi-Fi's in the low half, LTE's in the high one."""
        shift = 4 if name == "lte" else 0
        self._errors = self._errors & ~(15 << shift) | (error & 15) << shift

    @staticmethod
    def _bit(name: str) -> int:
        return 4 if name == "lte" else 2

    # -- frames ------------------------------------------------------------------------

    def _send(
        self, name: str, now_ms: int, kind: int, wait_s: int, by_https: bool, n: int, again: bool
    ) -> None:
        carrier = self._carriers[name]
        by_https = by_https and carrier.has_https
        code = LTE if name == "lte" else WIFI_HTTPS if by_https else WIFI_UDP
        subject = (0, 0) if kind == CHECKIN else self._app.press.subject()
        if kind != CHECKIN and not subject[0]:
            return  # the press is over meanwhile, and with it this session at the next tick
        frames = self._frames[name]
        frame = b""
        for asked, sealed in frames if again else []:
            if (asked.kind, asked.carrier, asked.n) == (kind, code, n) and (
                asked.event,
                asked.counter,
            ) == subject:
                frame = sealed
        if not frame:
            request = self._request(carrier, kind, code, subject, n, wait_s)
            frame = seal_request(self._mac, request)
            frames.append((request, frame))
            del frames[:-_FRAMES_MAX]
            self._kept.seq = min(self._kept.seq + 1, _SEQ_MAX)
        (carrier.post if by_https else carrier.send)(frame, now_ms)

    def _request(  # type: ignore[no-untyped-def]
        self, carrier, kind: int, code: int, subject: tuple[int, int], n: int, wait_s: int
    ) -> Request:
        values = self._app.values()
        life = self._life
        return Request(
            kind,
            code,
            subject[0],
            values.flags | (0 if self._ahead_ms else CLOCK_LOST),
            subject[1],
            n,
            self._kept.seq,
            values.age_10s if subject[0] else AGE_UNKNOWN,
            values.battery_20mv,
            life.stage if life.event and life.stage > receipts.HEARD else NO_STAGE,
            wait_s,
            max(min(carrier.signal, 0), -128),
            self._errors,
            self._facts(),
        )

    def _facts(self) -> bytes:
        """Return what the modem knows, and beside it the strongest access points for which there is room."""
        lte = self._carriers["lte"].facts if "lte" in self._carriers else b""
        points = self._carriers["wifi"].facts if "wifi" in self._carriers else b""
        room = max(FACTS_BYTES - len(lte) - 2, 0) // _POINT_BYTES * _POINT_BYTES
        if len(points) - 2 > room:
            points = bytes((points[0], room)) + points[2 : 2 + room]
        return (lte + points)[:FACTS_BYTES]

    def _received(self, name: str, frame: bytes) -> None:
        """Take an answer, if it is one to a frame of this session: what it proves, and what time it is."""
        reason = "name"
        for request, asked in self._frames[name]:
            try:
                self._answered(name, request, unseal_answer(self._mac, asked, frame))
                return
            except InvalidMessage as refused:
                reason = refused.reason
        self._app.say("refused", reason, name)

    def _answered(self, name: str, request: Request, answer: Answer) -> None:
        now_ms = self._app.board.now_ms()
        self._note(name, 0)
        self._set_time(answer.time_ms, now_ms)
        carrier = self._carriers[name]
        carrier.clock_known = bool(self._ahead_ms)
        if hasattr(carrier, "proven"):
            carrier.proven()
        if answer.receipt[0]:
            self._take(name, answer.receipt, now_ms)
        self._do(self._direct.answered(name, request, answer, now_ms))

    def _take(self, name: str, receipt: bytes, now_ms: int) -> None:
        """Take what only K_receipt proves, as if a bridge had written it."""
        press, mac = self._app.press, self._app.mac_receipt
        try:
            stage = receipts.check(receipt, mac, mac, (0, 0), press.subject())
        except InvalidMessage as refused:
            self._app.say("refused", refused.reason, name)
            return
        self._app.say("receipt", stage, name)
        self._app.do(press.receipt(stage, now_ms, self._bit(name)))

    def _set_time(self, time_ms: int, now_ms: int) -> None:
        """Take the centre's time, and set the board's clock by it where that is far off, for certificates.

        All else is counted by a clock of its own. RTC memory knows beforehand how far ahead of that the
        board's will be: a reset in between finds a clock that is behind, as if it had been lost.
        """
        if not may_set(time_ms, now_ms + self._ahead_ms if self._ahead_ms else None):
            return
        self._ahead_ms = time_ms - now_ms
        board = self._app.board
        behind_ms = board.behind_ms(time_ms) if hasattr(board, "behind_ms") else 0
        if abs(behind_ms) > _FAR_MS:
            self._life.ahead_ms += behind_ms
            self._keep()
            try:
                board.set_time(time_ms)
            except OSError:  # a clock that cannot be set must not cost the receipt beside it
                self._life.ahead_ms -= behind_ms
                self._keep()

    # -- what outlasts a reset ----------------------------------------------------------

    def _keep(self) -> None:
        kept = self._kept
        self._due_ms = self._life.direct_ms
        self._app.memory.more = memory.sealed(
            _KEPT,
            kept.n,
            kept.reserve,
            kept.seq,
            kept.tries,
            kept.fixes,
            kept.bad_starts,
            kept.silent_sessions,
            kept.last_bit,
            kept.suspects,
            self._errors,
            self._radios,
            *kept.checkins_ms,
            self._ahead_ms,
            self._app.board.now_ms(),
        )
        self._app.remember()

    def _load(self, now_ms: int) -> bool:
        """Read what was kept. Return whether the start before this one ended badly, or may have."""
        kept = self._kept
        store = self._app.memory
        values = memory.unsealed(store.more, _KEPT)
        if not values:  # power was lost: with it whatever a radio may have done to the battery
            reserve = store.read(memory.DIRECT_FILE, memory.COUNTER)
            kept.n = kept.reserve = reserve[0] if reserve else 0
            kept.silent_sessions = 0 if reserve else _LOST_FILE_SILENT
            # Nobody knows which: by chance, so that in a few starts each has been the first.
            kept.suspects = self._bit("lte" if self._app.board.random(1)[0] & 1 else "wifi")
            return bool(self._life.event)
        kept.n, kept.reserve, kept.seq, kept.tries, kept.fixes = values[:5]
        kept.bad_starts, kept.silent_sessions, kept.last_bit, kept.suspects = values[5:9]
        self._errors, radios = values[9:11]
        lost_ms = max(values[14] - now_ms, 0)  # the clock began anew
        self._ahead_ms = 0 if lost_ms else values[13]
        kept.checkins_ms = [due_ms and max(due_ms - lost_ms, 1) for due_ms in values[11:13]]
        if radios:
            kept.suspects = radios
        for name in self._carriers:
            if radios & self._bit(name):
                self._note(name, RESET)
        return bool(radios)
