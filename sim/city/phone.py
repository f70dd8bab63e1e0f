"""A phone of the city: the bridge's own rules on the city's clock, and a network that may be away.

What the bridge's tasks do in a phone is done here: rows to a journal that survives the phone being off, jobs
to the centre, steps of a visit over a link. What is done, bridge/rules decide.
"""

from random import Random
from typing import Protocol

from bridge.model import Alive, Device, Press
from bridge.model import Key as PressKey
from bridge.rules import press_age
from bridge.rules.expected_codes import WIDE, ExpectedCodes, Sighting, Window
from bridge.rules.press_flow import Action, Do, Keep, Now, Post, PressFlow, new_press, open_press
from bridge.rules.retry_queue import PRESS_KINDS, Job, RetryQueue
from bridge.rules.supervision import Supervision
from bridge.rules.visit import Then, Visit, Write
from centre.rules.heartbeats import ButtonState, Heartbeat
from centre.rules.incidents import Phone as PhoneState
from centre.work.presses import Taken
from sim.city.button import Button
from sim.city.centre import Centre
from sim.city.event_queue import EventQueue
from sim.city.people import Habits
from sim.city.statistics import CALLED_GONE, CALLED_GONE_WRONGLY, Tally
from sim.physics.first_heard import first_heard
from sim.physics.medium import Medium
from wire import receipts, state
from wire.codes import ALARM, ALIVE, ALIVE_LOW, CONTACT, PRESSES
from wire.keys import Mac

# The bridge's own is 256 ahead, 64 multiples and the spare range: megabytes for each of thousands.
NARROW = Window(ahead=8, multiples=1, spare=0)
PHONE_LOW_PERCENT = 15
JOURNAL_MS = 5
CONNECT_MS = (120, 400)  # measured on Linux and BlueZ: 180 to 340 ms from the advert to the receipt
# Assumed: a mobile network's way there and back, a request that nobody answers, an answer that is lost.
WAY_MS, SLOW_WAY_MS, SLOW = (25, 120), (200, 2_000), 0.05
GIVES_UP_MS = 10_000
ANSWER_LOST = 0.003


class Town(Protocol):
    """What is the same for all."""

    queue: EventQueue
    medium: Medium
    centre: Centre
    tally: Tally
    network_is_away: bool

    def opened(self, phone: "Phone", incident: str) -> None: ...

    def battery_told(self, button: Button) -> None: ...


class Phone:
    """One button's phone. `seed` is what its own chance comes from."""

    def __init__(
        self, town: Town, button: Button, habits: Habits, device: Device, bridge_id: str, seed: str
    ) -> None:
        self._town, self.button, self.habits, self.bridge_id = town, button, habits, bridge_id
        self._name = button.name.replace("button", "phone")
        self._chance = Random(seed)  # noqa: S311 -- a simulated life, not a secret
        self._heard_mac, self._device_id = Mac(device.k_heard), device.device_id
        self._period_s = device.alive_period_s
        now_ms, counter = town.queue.now_ms, button.press.life.alive_counter
        self._device = device
        self._journal: dict[PressKey, Press] = {}  # as it is on disk
        self._flows: dict[PressKey, PressFlow] = {}
        self._visit: Visit | None = None
        heard_ms = button.heard_last_ms
        self._expected = self._expecting(
            NARROW, Alive(device.device_id, counter, heard_ms, counter, heard_ms), now_ms
        )
        self._supervision = Supervision(PHONE_LOW_PERCENT)
        self._supervision.add(device.device_id, device.alive_period_s, now_ms)
        self._supervision.listening(True, now_ms)
        self._retry_queue = RetryQueue(self._chance.random)
        self._is_low, self._running_ms, self._link = False, now_ms, 0
        self._starts = 0
        self.is_off = self.is_apart = False
        self._was_away = False  # the button, at some time since it was heard last
        self._heard_ms: int | None = None
        self._battery_mv: int | None = None
        self._news: tuple[int | None, ...] = ()
        button.aired = self.listen

    @property
    def presses(self) -> list[Press]:
        """Return the rows that are on its disk."""
        return list(self._journal.values())

    # -- its own life ---------------------------------------------------------------------------------

    def switch_off(self) -> None:
        self.is_off = True
        self._starts += 1
        self._unlink()

    def switch_on(self) -> None:
        """Begin anew with the journal."""
        now_ms = self._town.queue.now_ms
        self.is_off, self._running_ms, self._news = False, now_ms, ()
        self._supervision = Supervision(PHONE_LOW_PERCENT)
        self._supervision.add(self._device_id, self._period_s, now_ms)
        self._supervision.listening(True, now_ms)
        self._retry_queue = RetryQueue(self._chance.random)
        self._flows = {}
        self._expected = self._expecting(NARROW, self._expected.alive(self._device_id), now_ms)
        for key, press in self._journal.items():
            flow = self._flows[key] = PressFlow(press, self._expected.code(*key), press.heard_at_ms)
            self._do(flow, flow.resumed(self._now()))
        self.listen()

    def part(self, apart: bool) -> None:
        """Take the phone away from its button, or bring it back (`apart` is false)."""
        self.is_apart = apart
        if apart:
            self._unlink()
        else:
            self.listen()

    def sign(self, now_ms: int) -> Heartbeat:
        """Return what it posts once a minute; mostly the same as a minute ago."""
        in_reach = self._supervision.in_reach(self._device_id, now_ms)
        self._was_away |= self.is_apart or self.button.is_empty
        self._town.tally.counts[CALLED_GONE] += in_reach is False
        self._town.tally.counts[CALLED_GONE_WRONGLY] += in_reach is False and not self._was_away
        counters, percent = self._expected.counters(self._device_id), self.habits.percent(now_ms)
        lost_after_s = self._supervision.lost_after_s(self._device_id)
        news = (self._heard_ms, self._battery_mv, self._is_low, in_reach, lost_after_s, *counters, percent)
        if news != self._news:
            self._news = news
            button = ButtonState(self._device_id, *news[:-1], ())
            self._sign = Heartbeat([button], PhoneState(percent, self.habits.model), (), self._running_ms)
        return self._sign

    def answered(self, counters: dict[str, dict[str, int]]) -> None:
        """To a sign of life."""
        for device_id, known in counters.items():
            self._expected.expect_after(device_id, known["press"], known["alive"])

    # -- hearing --------------------------------------------------------------------------------------

    def listen(self) -> None:
        """Find when what is on the air is heard: it is new, or this phone is on again."""
        town, button, now_ms = self._town, self.button, self._town.queue.now_ms
        deaf = self.is_off or self.is_apart
        if deaf or not button.interval_us or button.session == self._link:
            return
        times_us = (button.since_ms * 1000, now_ms * 1000, button.until_ms * 1000)
        at_us, reception = first_heard(
            town.medium,
            (button.name, self._name),
            button.session,
            times_us,
            button.interval_us,
            self.habits.system(now_ms),
        )
        if reception is not None:
            town.queue.at(-(-at_us // 1000), self._hear, button.airing)

    def _hear(self, airing: int) -> None:
        button, town = self.button, self._town
        if self.is_off or self.is_apart or airing != button.airing:
            return
        now_ms = town.queue.now_ms
        sighting = self._recognise(now_ms)
        if sighting is None:
            town.tally.counts["codes that were not known"] += 1
            return
        if sighting.stale:
            town.tally.counts["signs that were stale"] += 1
        elif sighting.new:
            counter = None if sighting.event in PRESSES else sighting.counter
            self._supervision.heard(self._device_id, now_ms, counter)
            self._heard_ms, self._was_away = now_ms, False
        if sighting.event in (ALIVE, ALIVE_LOW):
            town.tally.counts["bursts of life heard"] += 1
            self._low(sighting.event == ALIVE_LOW)
        if sighting.event in PRESSES and sighting.new:
            self._take(sighting.key, sighting.code)
        if sighting.event == CONTACT or (sighting.event in PRESSES and not self._is_over(sighting.key)):
            town.queue.at(now_ms + self._chance.randint(*CONNECT_MS), self._connect, button.session, sighting)

    def _is_over(self, key: PressKey) -> bool:
        flow = self._flows.get(key)
        return flow is None or flow.is_over_on_air(self._town.queue.now_ms)

    def _recognise(self, now_ms: int) -> Sighting | None:
        """By the narrow dictionary; what that does not know is asked of one as wide as a phone's."""
        self._expected.tick(now_ms)
        sighting = self._expected.hear([self.button.text], now_ms)
        if sighting is None:
            wide = self._expecting(WIDE, self._expected.alive(self._device_id), now_ms)
            sighting = wide.hear([self.button.text], now_ms)
            self._expected = self._expecting(NARROW, wide.alive(self._device_id), now_ms)
        return sighting

    def _expecting(self, window: Window, alive: Alive | None, now_ms: int) -> ExpectedCodes:
        """Return what a bridge expects that has just started, and reads its journal."""
        expected = ExpectedCodes(window=window)
        expected.add(self._device, now_ms, [key[1:] for key in self._journal], alive)
        return expected

    def _low(self, is_low: bool) -> None:
        if is_low and not self._is_low:
            self._town.battery_told(self.button)
        self._is_low = is_low

    # -- the link -------------------------------------------------------------------------------------

    def _connect(self, session: int, sighting: Sighting) -> None:
        button = self.button
        if self.is_off or self.is_apart or session != button.session or not button.on_radio:
            return
        self._link, self._visit = session, Visit(sighting)
        button.do(button.press.links, 1, 0)
        self._go_on()

    def _unlink(self) -> None:
        if self._is_linked():
            self.button.do(self.button.press.links, 0, 0)
        self._link, self._visit = 0, None

    def _is_linked(self) -> bool:
        return bool(self._link) and self._link == self.button.session and self.button.on_radio

    def _go_on(self) -> None:
        """Carry out the visit's next steps, up to one that waits."""
        while (visit := self._visit) is not None and self._is_linked():
            flow = None if visit.key is None else self._flows.get(visit.key)
            # What is on the air is on disk by now, unless it is a press that has just been heard.
            step = visit.next(None if flow is None else flow.press, flow is None or flow.is_kept)
            if isinstance(step, Write):
                self._write(visit, flow, step.stage)
            elif step is Then.READ_STATE:
                self._read_state(visit)
            elif step is Then.LEAVE:
                self._unlink()
            else:
                if step.limit_ms is not None:
                    at_ms = self._town.queue.now_ms + step.limit_ms
                    self._town.queue.at(at_ms, self._ask_state, visit)
                return

    def _write(self, visit: Visit, flow: PressFlow | None, stage: int) -> None:
        visit.wrote(stage)
        if stage == receipts.HEARD:
            self.button.take(receipts.value(self._heard_mac, stage, *self.button.press.on_air))
            return
        assert flow is not None, "a proven stage is a press's"
        self.button.take(bytes((stage,)) + flow.press.proof)
        self._count(visit)

    def _count(self, visit: Visit) -> None:
        flow = None if visit.key is None else self._flows.get(visit.key)
        if flow is not None and visit.taken is not None:
            self._do(flow, flow.taken(visit.taken))

    def _read_state(self, visit: Visit) -> None:
        value = self.button.state()
        self._battery_mv = self.button.battery_mv
        if visit.key is None:
            self._read_contact(visit, value)
            return
        visit.proved()
        flow = self._flows.get(visit.key)
        if flow is not None and open_press(self._device_id, value) == visit.key:
            self._do(flow, flow.state_read(value, self._town.queue.now_ms))
        self._count(visit)

    def _read_contact(self, visit: Visit, value: state.State) -> None:
        key = open_press(self._device_id, value)
        visit.contact_read(key)
        if key is None:
            return
        if self._expected.accept(*key):
            self._take(key, self._expected.code(*key), press_age.when_heard(value))
        elif flow := self._flows.get(key):
            self._do(flow, flow.contact_read(value, self._town.queue.now_ms))

    def _ask_state(self, visit: Visit) -> None:
        if visit is self._visit and self._is_linked() and not visit.is_proven:
            self._read_state(visit)
            self._go_on()

    # -- what the flows ask for -----------------------------------------------------------------------

    def _now(self) -> Now:
        return Now(self._town.queue.now_ms, self._town.queue.now_ms)

    def _take(self, key: PressKey, code: bytes, age: press_age.Age | None = None) -> None:
        """Take up a new press."""
        now_ms = self._town.queue.now_ms
        flow = self._flows[key] = PressFlow(new_press(key, now_ms, None, age), code, now_ms)
        self._do(flow, flow.heard())

    def _do(self, flow: PressFlow, actions: list[Action]) -> None:
        for number, action in enumerate(actions):
            if isinstance(action, Keep):
                rest = actions[number + 1 :] if action.first else []
                at_ms = self._town.queue.now_ms + JOURNAL_MS
                self._town.queue.at(at_ms, self._kept, flow, action, rest, self._starts)
                if action.first:
                    return
            elif isinstance(action, Post):
                job = Job(action.kind, flow.key)
                self._send(self._retry_queue.take(self._town.queue.now_ms, job))
            elif action is Do.BRING:
                self._go_on()
            elif action is Do.FOLLOW:
                self._catch_up(flow)

    def _kept(self, flow: PressFlow, keep: Keep, rest: list[Action], starts: int) -> None:
        """Take note that rows are on disk, if the phone has not been switched off meanwhile."""
        if starts != self._starts:
            return
        if flow.key not in self._journal:
            self._town.tally.heard(flow.key, self._town.queue.now_ms)
        self._journal |= {row.key: row for row in keep.rows if isinstance(row, Press)}
        self._do(flow, flow.kept(self._now()))
        self._do(flow, rest)

    # -- the centre -----------------------------------------------------------------------------------

    def _send_due(self) -> None:
        if not self.is_off:
            self._send(self._retry_queue.take(self._town.queue.now_ms))

    def _send(self, jobs: list[Job]) -> None:
        now_ms, queue = self._town.queue.now_ms, self._town.queue
        for job in jobs:
            queue.at(now_ms + self._way_ms(), self._arrive, job, self._starts)
        next_ms = self._retry_queue.next_ms(now_ms)
        if next_ms is not None:
            queue.at(next_ms, self._send_due)

    def _way_ms(self) -> int:
        return self._chance.randint(*(SLOW_WAY_MS if self._chance.random() < SLOW else WAY_MS))

    def _arrive(self, job: Job, starts: int) -> None:
        town, now_ms = self._town, self._town.queue.now_ms
        if starts != self._starts:
            return
        if town.network_is_away:
            town.queue.at(now_ms + GIVES_UP_MS, self._fail, job, starts)
            return
        flow = self._flows[job.key]
        press, age_sent = flow.press, flow.press.age_s is not None
        body = {
            "device_id": press.device_id,
            "event": press.event,
            "counter": press.counter,
            "code": flow.code.hex(),
            "path": "ble",
            "age_s": press.age_s,
            "age_is_lower_bound": press.age_is_lower_bound,
        }
        taken = town.centre.take_alarm(self.bridge_id, body)
        town.tally.posted(now_ms)
        town.tally.received(job.key, now_ms)
        town.tally.counts["posts of a press that was known"] += taken.known and job.kind in PRESS_KINDS
        if press.event == ALARM and not taken.known:
            town.opened(self, taken.incident_id)
        if self._chance.random() < ANSWER_LOST:
            town.tally.counts["answers lost"] += 1
            town.queue.at(now_ms + GIVES_UP_MS, self._fail, job, starts)
        else:
            town.queue.at(now_ms + self._way_ms(), self._received, job, starts, taken, age_sent)

    def _fail(self, job: Job, starts: int) -> None:
        if starts == self._starts:
            self._retry_queue.failed(job, "unreachable", False, self._town.queue.now_ms)
            self._send_due()

    def _received(self, job: Job, starts: int, taken: Taken, age_sent: bool) -> None:
        if starts != self._starts:
            return
        self._retry_queue.done(job)
        self._retry_queue.hurry(self._town.queue.now_ms)
        self._send_due()
        flow = self._flows[job.key]
        self._do(flow, flow.answered(job.kind, taken.incident_id, taken.stage, taken.proof, age_sent))

    def advanced(self, incident: str) -> None:
        """Take what an operator has done: the stream tells it, if there is one now."""
        for flow in self._flows.values():
            if flow.press.incident == incident:
                self._catch_up(flow)

    def catch_up(self) -> None:
        """Ask what has become of the open alarms: the network is back."""
        for flow in list(self._flows.values()):
            self._catch_up(flow)

    def _catch_up(self, flow: PressFlow) -> None:
        if self.is_off or self._town.network_is_away or not flow.wants_receipts:
            return
        assert flow.press.incident is not None
        receipt = self._town.centre.last_receipt(self.bridge_id, flow.press.incident)
        if str(receipt.seq) != flow.press.last_event_id:
            self._do(flow, flow.proven(receipt.stage, receipt.proof, str(receipt.seq)))
