"""The whole city: who lives in it, what their hands do, and the second in which phones give signs of life."""

import gc
import hashlib
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random

from centre.api.load_shedding import HOLD_S
from centre.rules.direct import Said
from centre.rules.heartbeats import ALIVE_S, SIGNS_PER_S
from centre.rules.registry import DEVICE_ID
from centre.work.direct import Standing
from firmware.board.press import Press
from sim.city.button import PERIOD_S, Button, Power
from sim.city.centre import Centre
from sim.city.event_queue import EventQueue
from sim.city.judgement import judge
from sim.city.people import DAY_MS, HOUR_MS, Habits
from sim.city.phone import Phone
from sim.city.statistics import INVENTED, SIGNS, Span, Tally, Watched
from sim.judge.promises import Judgement
from sim.physics.medium import Medium
from wire.codes import ALARM
from wire.receipts import ACKNOWLEDGED, CLOSED, DISPATCHED

START_MS = 1_767_571_200_000  # Monday, 5 January 2026, 00:00 UTC: any day will do, and always the same
BOARD, BATTERY_MAH = "esp32", 500.0
LOSS = 0.3  # of adverts, assumed: a house with Wi-Fi in it
# Of ten presses in the field nine are tests and mistakes; mistakes are alarms like any other.
TESTS = 0.7
AGAIN_MS = 10_000  # supervision_service.py: when a sign of life that had no answer is tried again
STEP_MS = 60_000  # of progress, and of the centre's look for what is lost
# What is still open when the time is over has so long to arrive, with all phones on and a network.
DRAIN_MS = 8 * HOUR_MS
# Assumed: how long operators and police take.
_TAKES_MS, _SENDS_MS, _CLOSES_MS = (5_000, 40_000), (30_000, 120_000), (5 * 60_000, 45 * 60_000)
_EVENING_MS = (21 * HOUR_MS, 23 * HOUR_MS)
_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


@dataclass(frozen=True)
class Plan:
    """What was asked for."""

    buttons: int
    hours: float
    seed: int
    presses_per_day: float  # of all buttons together
    outage_at_h: float | None = None
    outage_min: float = 0.0
    signs_per_s: int = SIGNS_PER_S  # that the centre takes
    own_way: float = 0.0  # share of the buttons that reach the centre without a phone, too

    @property
    def span_ms(self) -> int:
        return round(self.hours * HOUR_MS)

    @property
    def outage_ms(self) -> tuple[int, int] | None:
        """Since the beginning."""
        if self.outage_at_h is None:
            return None
        begins_ms = round(self.outage_at_h * HOUR_MS)
        return begins_ms, begins_ms + round(self.outage_min * 60_000)


@dataclass
class Outcome:
    """What came of it, and what it took."""

    plan: Plan
    tally: Tally
    judgement: Judgement
    spent_mah: float  # of all buttons together
    usable_mah: float
    took_s: float  # of real time, without setting up
    computed_s: float  # of that, what this process has had a core
    busy_s: float  # of that, the centre's own work
    watched: Watched

    @property
    def holds(self) -> bool:
        return not self.judgement.broken


class City:
    """What Town of phone.py says, and the clockwork."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.queue = EventQueue(START_MS)
        self.medium = Medium(plan.seed, LOSS)
        self.tally = Tally(START_MS, -(-plan.span_ms // 60_000))
        self.centre = Centre(lambda: self.queue.now_ms, plan.signs_per_s)
        self.network_is_away = False
        self._end_ms = START_MS + plan.span_ms
        self._chance = Random(f"hands {plan.seed}")  # noqa: S311 -- to be the same again
        self._operators = Random(f"operators {plan.seed}")  # noqa: S311
        self._power = Power(BOARD, BATTERY_MAH)
        self._settle()
        self._plan_what_happens()

    def run(self, told: Callable[[int, int], None]) -> Outcome:
        """`told(done_ms, presses)` is called every simulated minute."""
        gc.collect()
        gc.freeze()  # a million codes, which live to the end: nobody need look at them again
        since_s, since_cpu_s, queue = time.perf_counter(), time.process_time(), self.queue
        try:
            while queue.now_ms < self._end_ms:
                queue.run(min(queue.now_ms + STEP_MS, self._end_ms))
                self.centre.look(START_MS)
                told(queue.now_ms - START_MS, len(self.tally.taken))
            spent_mah = sum(button.spent_mah() for button in self._buttons)
            took_s, computed_s = time.perf_counter() - since_s, time.process_time() - since_cpu_s
            busy_s = self.centre.busy_s
            watched = Watched(self._absences(), self.centre.out_of_reach())
            counts, self.tally.counts = self.tally.counts, Counter()
            self._drain()
            counts[INVENTED] += self.tally.counts[INVENTED]
            self.tally.counts = counts
        finally:
            gc.unfreeze()
        judgement = judge(self.tally, self.centre.audit(), self._end_ms, queue.now_ms)
        usable_mah = self._power.usable_mah
        return Outcome(
            self._plan, self.tally, judgement, spent_mah, usable_mah, took_s, computed_s, busy_s, watched
        )

    def close(self) -> None:
        self.centre.close()

    # -- who lives here -------------------------------------------------------------------------------

    def _settle(self) -> None:
        plan = self._plan
        roots = dict(_identity(plan.seed, number) for number in range(plan.buttons))
        self._buttons: list[Button] = []
        self.phones: list[Phone] = []
        # Who gives a sign of life in which second.
        self._signs: dict[int, list[Phone]] = {}
        enrolled = self.centre.enrol(roots, PERIOD_S)
        for number, (bridge_id, device) in enumerate(enrolled):
            button = Button(
                number,
                device.device_id,
                roots[device.device_id],
                self._power,
                self.queue,
                self.tally,
                f"button {plan.seed} {number}",
                has_own_way=int((number + 1) * plan.own_way) > int(number * plan.own_way),
            )
            habits = Habits(f"habits {plan.seed} {number}", START_MS, self._end_ms)
            phone = Phone(self, button, habits, device, bridge_id, f"phone {plan.seed} {number}")
            for begins_ms, ends_ms in habits.off:
                self.queue.at(begins_ms, phone.switch_off)
                self.queue.at(min(ends_ms, self._end_ms), phone.switch_on)
            for begins_ms, ends_ms in habits.apart:
                self.queue.at(begins_ms, phone.part, True)
                self.queue.at(min(ends_ms, self._end_ms), phone.part, False)
            if button.own_way is not None:
                button.own_way.ask = partial(self._asked, phone)
            self._buttons.append(button)
            self.phones.append(phone)
            first_s = START_MS // 1000 + self.centre.next_in_s(device.device_id, START_MS) % ALIVE_S
            self._speaks(first_s, phone)

    def _plan_what_happens(self) -> None:
        plan, at_ms = self._plan, float(START_MS)
        while plan.presses_per_day:
            at_ms += self._chance.expovariate(plan.presses_per_day / DAY_MS)
            if at_ms >= self._end_ms:
                break
            phone = self._chance.choice(self.phones)
            what = Press.clicks if self._chance.random() < TESTS else Press.hold
            self.queue.at(int(at_ms), self.press, phone, what)
        if plan.outage_ms is not None:
            for at, away in zip(plan.outage_ms, (True, False), strict=True):
                self.queue.at(START_MS + at, self.network, away)

    def press(self, phone: Phone, what: Callable[..., list[tuple[object, ...]]]) -> None:
        """Press, if the hand has its button: it may have been left behind."""
        if phone.is_apart:
            self.tally.counts["presses without a button at hand"] += 1
        else:
            phone.button.hand(lambda now_ms: what(phone.button.press, now_ms))

    def _asked(self, phone: Phone, said: Said) -> Standing | None:
        """Ask the centre without a phone; None where nothing gets there, or nothing is known."""
        if self.network_is_away:
            return None
        taken, standing = self.centre.take_direct(said)
        self.tally.counts["frames of buttons without a phone"] += 1
        if taken is not None:
            key = (said.device_id, said.request.event, said.request.counter)
            self.tally.received(key, self.queue.now_ms)
            self.tally.counts["presses brought without a phone"] += not taken.known
            if said.request.event == ALARM and not taken.known:
                self.opened(phone, taken.incident_id)
        return standing

    def _absences(self) -> dict[str, list[Span]]:
        """When each button was not with its phone, or was empty."""
        return {
            phone.button.device_id: [*phone.habits.apart, *phone.button.empty_spans()]
            for phone in self.phones
        }

    def network(self, away: bool) -> None:
        self.network_is_away = away
        if not away:
            for phone in self.phones:
                phone.catch_up()

    def _drain(self) -> None:
        """Nobody presses any more, and no sign of life is given; what is open arrives, or is lost."""
        self.network(False)
        until_ms = self._end_ms + DRAIN_MS
        for button in self._buttons:
            if button.is_empty:
                button.charge()
        while self.tally.awaited() and self.queue.now_ms < until_ms:
            self.queue.run(self.queue.now_ms + STEP_MS)

    # -- what happens ---------------------------------------------------------------------------------

    def _speaks(self, second: int, *phones: Phone) -> None:
        """They give their next sign of life in that second."""
        if second not in self._signs:
            self._signs[second] = []
            self.queue.at(second * 1000, self._second)
        self._signs[second].extend(phones)

    def _second(self) -> None:
        """All signs of life that are due in this second, in one commit."""
        now_ms = self.queue.now_ms
        second = now_ms // 1000
        due = self._signs.pop(second)
        if now_ms >= self._end_ms:
            return
        if self.network_is_away:
            self._speaks(second + AGAIN_MS // 1000, *due)
            return
        awake = [phone for phone in due if not phone.is_off]
        taken, shed = list[Phone](), list[Phone]()
        for number, phone in enumerate(awake):  # evenly over the second
            fits = self.centre.takes_sign(now_ms + number * 1000 // len(awake))
            (taken if fits else shed).append(phone)
        self.tally.counts[SIGNS] += len(taken)
        self.tally.counts["signs of life shed"] += len(shed)
        self.tally.posted(now_ms, len(awake))
        answers = self.centre.take_signs([(phone.bridge_id, phone.sign(now_ms)) for phone in taken])
        for phone, answer in zip(taken, answers, strict=True):
            phone.answered(answer)
            self._speaks(second + self.centre.next_in_s(phone.button.device_id, now_ms), phone)
        for phone in due:
            if phone.is_off:
                self._speaks(second + ALIVE_S, phone)
        # Whoever is refused is kept waiting first (centre/api/load_shedding.py): a herd does not stay one.
        for phone in shed:
            self._speaks(second + ALIVE_S + round(self._operators.uniform(*HOLD_S)), phone)

    def opened(self, phone: Phone, incident: str) -> None:
        """Plan what operators do about a new incident."""
        chance, at_ms = self._operators, self.queue.now_ms
        for stage, takes_ms, reason in (
            (ACKNOWLEDGED, _TAKES_MS, None),
            (DISPATCHED, _SENDS_MS, None),
            (CLOSED, _CLOSES_MS, "mis-press"),
        ):
            at_ms += chance.randint(*takes_ms)
            self.queue.at(at_ms, self.advance, phone, incident, stage, reason)

    def advance(self, phone: Phone, incident: str, stage: int, reason: str | None) -> None:
        self.centre.advance(incident, stage, reason)
        phone.advanced(incident)

    def battery_told(self, button: Button) -> None:
        """Charge the button in the evening, as its phone says that it is low."""
        now_ms = self.queue.now_ms
        evening_ms = now_ms - now_ms % DAY_MS + self._operators.randint(*_EVENING_MS)
        self.queue.at(evening_ms if evening_ms > now_ms else evening_ms + DAY_MS, button.charge)


def _identity(seed: int, number: int) -> tuple[str, bytes]:
    """`(device_id, root)`: always the same ones, and nobody's."""
    digest = hashlib.sha256(f"button {seed} {number}".encode()).digest()
    device_id = "".join(_BASE32[byte % 32] for byte in digest[:16])
    assert DEVICE_ID.fullmatch(device_id)
    return device_id, hashlib.sha256(b"root" + digest).digest()
