"""A button of the city: the firmware's own state machine, its keys, its battery. Its radio is `aired`."""

from collections.abc import Callable
from random import Random
from typing import Any

from bridge.rules.expected_codes import uuid_text
from firmware.board.press import (
    ADVERTISE,
    FAST_PHASE,
    HUSH,
    NOT_CONFIRMED,
    QUIET_PHASE,
    SESSION,
    SILENCE,
    SLOW_PHASE,
    VIBRATE,
    Life,
    Press,
)
from firmware.flash.life import TYPICAL, Currents, Use
from sim.city.event_queue import EventQueue
from sim.city.own_way import OwnWay
from sim.city.people import DAY_MS
from sim.city.statistics import TakenPress, Tally
from wire import receipts, state
from wire.codes import ALIVE, ALIVE_LOW, RESERVE, TEST, code, rhythm
from wire.keys import InvalidMessage, Mac, derive

PERIOD_S = 900
LOW, FULL_MV, EMPTY_MV = 0.2, 4150, 3300
_AGE_SLOTS_MAX = 40 * 96  # how long a button has been in use: up to forty days
# How long at most each phase is on the air (press.py's table).
_LASTS_MS = {FAST_PHASE: 30_000, SLOW_PHASE: 300_000}
_BURST_MS_MAX = 4_000


class Power:
    """What takes from a battery, and how much there is in one."""

    def __init__(self, board: str, mah: float) -> None:
        self.currents = Currents(board)
        self.usable_mah = mah * self.currents.at("usable", TYPICAL)
        leak_ma = mah / 100 / 30.4 / 24 * self.currents.at("self_discharge", TYPICAL)
        self.rest_ma = self.currents.at("rest_ma", TYPICAL) + self.currents.at("board_ma", TYPICAL) + leak_ma

    def used_mah(self, use: Use, hours: float) -> float:
        return self.currents.mah(use, TYPICAL) + self.rest_ma * hours


class Button:
    """`aired` is called whenever something new is on the air; `airing` then has a new number."""

    def __init__(
        self,
        number: int,
        device_id: str,
        root: bytes,
        power: Power,
        queue: EventQueue,
        tally: Tally,
        seed: str,
        has_own_way: bool = False,
    ) -> None:
        self.device_id, self.name = device_id, f"button {number}"
        self._power, self._queue, self._tally = power, queue, tally
        self._code, self._heard, self._receipt = (
            Mac(derive(root, label)) for label in ("code", "heard", "receipt")
        )
        chance = Random(seed)  # noqa: S311 -- a simulated life, not a secret
        now_ms, life = queue.now_ms, Life()
        life.alive_counter = chance.randrange(1, _AGE_SLOTS_MAX)
        life.alive_reserve = (life.alive_counter // RESERVE + 1) * RESERVE
        life.alive_ms = now_ms + chance.randrange(PERIOD_S * 1000)
        life.checkin_ms = now_ms + chance.randrange(DAY_MS)
        self.heard_last_ms = life.alive_ms - rhythm(self._code, life.alive_counter, PERIOD_S * 1000)[0]
        self.press = Press(life, lambda n: rhythm(self._code, n, PERIOD_S * 1000), lambda: 0)
        self.aired: Callable[[], None] = lambda: None
        self.airing = self.session = self._timer = 0
        self.interval_us, self.since_ms, self.text, self.on_radio = 0, now_ms, "", False
        self.is_empty = False
        self._emptied: list[tuple[int, int]] = []  # and charged again
        self._empty_ms = 0
        self._use, self._last_ms, self._charged_ms = Use(), now_ms, now_ms
        self._used_before_mah = power.usable_mah * chance.uniform(0, 0.9)
        self.earlier_mah = -self._used_before_mah  # of earlier charges; what was used before does not count
        self.own_way: OwnWay | None = None
        if has_own_way:
            self.own_way = OwnWay(device_id, root, self.press, queue, f"own way {seed}", self._proven)
        self._aim()

    # -- what happens to it ---------------------------------------------------------------------------

    def do(self, what: Callable[..., list[tuple[Any, ...]]], *args: int) -> None:
        """One step of the state machine, at this moment."""
        now_ms, press = self._queue.now_ms, self.press
        if press.phase != QUIET_PHASE:
            self._use.air_ms[self.interval_us or 152_500] += now_ms - self._last_ms
        self._last_ms = now_ms
        for verb, *values in what(*args, now_ms):
            if verb == SESSION:
                self.session, self.on_radio = self.session + 1, True
                self._use.wakes += 1
                self._tally.counts["bursts of life sent"] += values[0] in (ALIVE, ALIVE_LOW)
                self.text = uuid_text(code(self._code, *values))
            elif verb == ADVERTISE:
                self._air(values[0])
                self.aired()
            elif verb in (HUSH, SILENCE):
                self._air(0)
                self.on_radio = self.on_radio and verb == HUSH
            elif verb == VIBRATE and values[0] == NOT_CONFIRMED:
                self._tally.counts["not confirmed within a minute"] += 1
        self._aim()

    def hand(self, what: Callable[[int], list[tuple[Any, ...]]]) -> None:
        """Press by a hold or three clicks; it counts as made when the button has taken it as a new press."""
        if self.is_empty:
            self._tally.counts["presses of an empty button"] += 1
            return
        life = self.press.life
        before = life.press_counter
        self._use.presses += 1
        self.do(what)
        if life.press_counter == before:
            self._tally.counts["presses while one is open"] += 1
        else:
            self._tally.taken[self.device_id, life.event, life.press_counter] = TakenPress(self._queue.now_ms)
        if self.own_way is not None and life.event:
            self.own_way.pressed()

    def take(self, value: bytes) -> None:
        """Take a receipt that a bridge has written, which must prove itself."""
        press = self.press
        subject = press.subject()
        try:
            stage = receipts.check(value, self._heard, self._receipt, press.on_air, subject)
        except InvalidMessage:
            self._tally.counts["receipts refused"] += 1
            return
        if stage > receipts.HEARD:
            self._tally.confirmed((self.device_id, *subject), self._queue.now_ms)
            self.do(press.links, 1, 1)
            self.do(press.receipt, stage)
        if self.own_way is not None:
            self.own_way.brought(stage)

    def _proven(self, stage: int, way: int) -> None:
        """Take a stage that no bridge has brought."""
        subject = self.press.subject()
        self._tally.confirmed((self.device_id, *subject), self._queue.now_ms)
        self.do(lambda now_ms: self.press.receipt(stage, now_ms, way))

    def charge(self) -> None:
        self.earlier_mah += self._used_mah()
        self._used_before_mah, self._use, self._charged_ms = 0.0, Use(), self._queue.now_ms
        self._tally.counts["charges"] += 1
        if self.is_empty:
            self.is_empty = False
            self._emptied.append((self._empty_ms, self._queue.now_ms))
            self.do(lambda now_ms: self.press.boot(now_ms, False, True))

    # -- its battery ----------------------------------------------------------------------------------

    @property
    def level(self) -> float:
        return 1 - self._used_mah() / self._power.usable_mah

    @property
    def battery_mv(self) -> int:
        return round(EMPTY_MV + (FULL_MV - EMPTY_MV) * max(0.0, self.level))

    def state(self) -> state.State:
        """Return what it says over a link."""
        life = self.press.life
        flags, age_10s = 0, state.AGE_UNKNOWN
        if life.event:
            flags = state.OPEN | (life.event == TEST) * state.IS_TEST
            flags |= life.age_is_lower_bound * state.AGE_LOWER_BOUND
            age_10s = min((self._queue.now_ms - life.opened_ms) // 10_000, state.AGE_UNKNOWN)
        return state.State(self.battery_mv // 20 % 256, flags, age_10s, life.press_counter)

    def spent_mah(self) -> float:
        """Since the beginning."""
        return self.earlier_mah + self._used_mah()

    def _used_mah(self) -> float:
        hours = (self._queue.now_ms - self._charged_ms) / 3_600_000
        return self._used_before_mah + self._power.used_mah(self._use, hours)

    def empty_spans(self) -> list[tuple[int, int]]:
        """When it was empty, until now."""
        return self._emptied + [(self._empty_ms, self._queue.now_ms)] * self.is_empty

    # -- its time -------------------------------------------------------------------------------------

    def _aim(self) -> None:
        self._timer += 1
        self._queue.at(self.press.due_ms(), self._due, self._timer)

    def _due(self, timer: int) -> None:
        if timer != self._timer:
            return
        if self.press.phase == QUIET_PHASE:
            level = self.level
            self.press.life.battery_low = level < LOW
            if level <= 0:
                self.is_empty, self._empty_ms = True, self._queue.now_ms
                self._tally.counts["buttons empty"] += 1
                return
        self.do(self.press.tick)

    def _air(self, interval_us: int) -> None:
        self.airing, self.interval_us, self.since_ms = self.airing + 1, interval_us, self._queue.now_ms

    @property
    def until_ms(self) -> int:
        """When what is on the air now ends, at the latest."""
        return self.since_ms + _LASTS_MS.get(self.press.phase, _BURST_MS_MAX)
