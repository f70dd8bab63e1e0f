"""A phone of the city: the bridge's own rules, and a network that may be away.

A press is heard, told to the centre until it has it, and its receipts are brought to the button over a link;
what the bridge keeps in its journal survives the phone being off.
"""

from random import Random
from typing import Protocol

from bridge.model import Alive, Device
from bridge.model import Key as PressKey
from bridge.rules.expected_codes import WIDE, ExpectedCodes, Sighting, Window
from bridge.rules.retry_queue import Job, RetryQueue, press_kind
from bridge.rules.supervision import Supervision
from centre.rules.heartbeats import ButtonState, SignOfLife
from centre.rules.incidents import Phone as PhoneState
from sim.city.button import Button
from sim.city.centre import Centre
from sim.city.event_queue import Schedule
from sim.city.people import Habits
from sim.city.statistics import CALLED_GONE, CALLED_GONE_WRONGLY, Tally
from sim.physics.first_heard import first_heard_us
from sim.physics.medium import Medium
from wire import receipts
from wire.codes import ALARM, ALIVE, ALIVE_LOW, CONTACT, PRESSES
from wire.keys import Mac

# The bridge's own is 256 ahead, 64 multiples and the spare range: megabytes for each of thousands.
NARROW = Window(ahead=8, multiples=1, spare=0)
PHONE_LOW_PERCENT = 15
JOURNAL_MS = 5
CONNECT_MS = (120, 400)  # measured on Linux and BlueZ: 180 to 340 ms from the advert to the receipt
LEAVES_AFTER_MS = 1_000
# Assumed: a mobile network's way there and back, a request that nobody answers, an answer that is lost.
WAY_MS, SLOW_WAY_MS, SLOW = (25, 120), (200, 2_000), 0.05
GIVES_UP_MS = 10_000
ANSWER_LOST = 0.003


class Town(Protocol):
    """What is the same for all."""

    schedule: Schedule
    medium: Medium
    centre: Centre
    tally: Tally
    network_is_away: bool

    def opened(self, phone: "Phone", incident: str) -> None: ...

    def battery_told(self, button: Button) -> None: ...


class Phone:
    def __init__(
        self, town: Town, button: Button, habits: Habits, device: Device, bridge_id: str, seed: str
    ) -> None:
        self._town, self.button, self.habits, self.bridge_id = town, button, habits, bridge_id
        self._name = button.name.replace("button", "phone")
        self._chance = Random(seed)  # noqa: S311 -- a simulated life, not a secret
        self._heard_mac, self._device_id = Mac(device.k_heard), device.device_id
        self._period_s = device.alive_period_s
        now_ms, counter = town.schedule.now_ms, button.press.life.alive_counter
        self._device, self._accepted = device, set[tuple[int, int]]()
        heard_ms = button.heard_last_ms
        self._watch = self._expecting(
            NARROW, Alive(device.device_id, counter, heard_ms, counter, heard_ms), now_ms
        )
        self._supervision = Supervision(PHONE_LOW_PERCENT)
        self._supervision.add(device.device_id, device.alive_period_s, now_ms)
        self._supervision.listening(True, now_ms)
        self._retry_queue = RetryQueue(self._chance.random)
        self._unanswered: dict[PressKey, int] = {}  # and when it was heard
        self._incidents: dict[PressKey, str] = {}  # that are not closed
        self._proven: dict[PressKey, tuple[int, bytes]] = {}
        self._is_low, self._running_ms, self._link = False, now_ms, 0
        self._starts = 0
        self.is_off = self.is_apart = False
        self._was_away = False  # the button, at some time since it was heard last
        self._heard_ms: int | None = None
        self._battery_mv: int | None = None
        self._news: tuple[int | None, ...] = ()
        button.aired = self.listen

    # -- its own life ---------------------------------------------------------------------------------

    def switch_off(self) -> None:
        self.is_off = True
        self._starts += 1
        self._unlink()

    def switch_on(self) -> None:
        """The bridge begins anew with its journal."""
        now_ms = self._town.schedule.now_ms
        self.is_off, self._running_ms, self._news = False, now_ms, ()
        self._supervision = Supervision(PHONE_LOW_PERCENT)
        self._supervision.add(self._device_id, self._period_s, now_ms)
        self._supervision.listening(True, now_ms)
        self._retry_queue = RetryQueue(self._chance.random)
        for key in self._unanswered:
            self._retry_queue.add(Job(press_kind(key), key), now_ms)
        self._send()
        self.catch_up()
        self.listen()

    def part(self, apart: bool) -> None:
        """She has left without her button, or is back with it."""
        self.is_apart = apart
        if apart:
            self._unlink()
        else:
            self.listen()

    def sign(self, now_ms: int) -> SignOfLife:
        """What it posts once a minute; mostly the same as a minute ago."""
        in_reach = self._supervision.in_reach(self._device_id, now_ms)
        self._was_away |= self.is_apart or self.button.is_empty
        self._town.tally.counts[CALLED_GONE] += in_reach is False
        self._town.tally.counts[CALLED_GONE_WRONGLY] += in_reach is False and not self._was_away
        counters, percent = self._watch.counters(self._device_id), self.habits.percent(now_ms)
        lost_after_s = self._supervision.lost_after_s(self._device_id)
        news = (self._heard_ms, self._battery_mv, self._is_low, in_reach, lost_after_s, *counters, percent)
        if news != self._news:
            self._news = news
            button = ButtonState(self._device_id, *news[:-1], ())
            self._sign = SignOfLife([button], PhoneState(percent, self.habits.model), (), self._running_ms)
        return self._sign

    def answered(self, counters: dict[str, dict[str, int]]) -> None:
        """To a sign of life."""
        for device_id, known in counters.items():
            self._watch.told(device_id, known["press"], known["alive"])

    # -- hearing --------------------------------------------------------------------------------------

    def listen(self) -> None:
        """Something new is on the air, or this phone is on again: when will it be heard?"""
        town, button, now_ms = self._town, self.button, self._town.schedule.now_ms
        deaf = self.is_off or self.is_apart
        if deaf or not button.interval_us or button.session == self._link:
            return
        times_us = (button.since_ms * 1000, now_ms * 1000, button.until_ms * 1000)
        at_us = first_heard_us(
            town.medium,
            (button.name, self._name),
            button.session,
            times_us,
            button.interval_us,
            self.habits.system(now_ms),
        )
        if at_us is not None:
            town.schedule.at(-(-at_us // 1000), self._hear, button.airing)

    def _hear(self, airing: int) -> None:
        button, town = self.button, self._town
        if self.is_off or self.is_apart or airing != button.airing:
            return
        now_ms = town.schedule.now_ms
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
            self._take(PressKey(self._device_id, sighting.event, sighting.counter))
        if sighting.event in (*PRESSES, CONTACT):
            town.schedule.at(now_ms + self._chance.randint(*CONNECT_MS), self._connect, button.session)

    def _recognise(self, now_ms: int) -> Sighting | None:
        """By the narrow dictionary; what that does not know is asked of one as wide as a phone's."""
        self._watch.tick(now_ms)
        sighting = self._watch.hear([self.button.text], now_ms)
        if sighting is None:
            wide = self._expecting(WIDE, self._watch.alive(self._device_id), now_ms)
            sighting = wide.hear([self.button.text], now_ms)
            self._watch = self._expecting(NARROW, wide.alive(self._device_id), now_ms)
        return sighting

    def _expecting(self, window: Window, alive: Alive | None, now_ms: int) -> ExpectedCodes:
        """What a bridge expects that has just started, and reads its journal."""
        watch = ExpectedCodes(window=window)
        watch.add(self._device, now_ms, self._accepted, alive)
        return watch

    def _low(self, is_low: bool) -> None:
        if is_low and not self._is_low:
            self._town.battery_told(self.button)
        self._is_low = is_low

    # -- the link -------------------------------------------------------------------------------------

    def _connect(self, session: int) -> None:
        button, watch = self.button, self._watch
        if self.is_off or self.is_apart or session != button.session or not button.on_radio:
            return
        self._link = session
        button.do(button.press.links, 1, 0)
        button.take(receipts.value(self._heard_mac, receipts.HEARD, *button.press.on_air))
        self._battery_mv = button.battery_mv  # as *state* says, which it reads
        event, counter = button.press.subject()
        if not event:
            self._town.schedule.at(self._town.schedule.now_ms + LEAVES_AFTER_MS, self._leave, session)
        elif watch.accept(self._device_id, event, counter):
            self._take(PressKey(self._device_id, event, counter))
        else:
            self._bring(PressKey(self._device_id, event, counter))

    def _leave(self, session: int) -> None:
        if self._link == session:
            self._unlink()

    def _unlink(self) -> None:
        if self._link and self._link == self.button.session and self.button.on_radio:
            self.button.do(self.button.press.links, 0, 0)
        self._link = 0

    def _bring(self, key: PressKey) -> None:
        """The highest proof, if the button is linked and has not got it."""
        button = self.button
        if self._link != button.session or not button.on_radio or key not in self._proven:
            return
        stage, proof = self._proven[key]
        if button.press.subject() == key[1:] and stage > button.press.life.stage:
            button.take(bytes((stage,)) + proof)

    # -- the centre -----------------------------------------------------------------------------------

    def _take(self, key: PressKey) -> None:
        """On this phone's disk, and from now on it is told to the centre until that has it."""
        now_ms = self._town.schedule.now_ms + JOURNAL_MS
        self._town.tally.heard(key, now_ms)
        self._accepted.add((key.event, key.counter))
        self._unanswered[key] = now_ms
        self._retry_queue.add(Job(press_kind(key), key), now_ms)
        self._town.schedule.at(now_ms, self._send)

    def _send(self) -> None:
        now_ms, starts = self._town.schedule.now_ms, self._starts
        if self.is_off:
            return
        for job in self._retry_queue.take(now_ms):
            self._town.schedule.at(now_ms + self._way_ms(), self._arrive, job, starts)
        next_ms = self._retry_queue.next_ms(now_ms)
        if next_ms is not None:
            self._town.schedule.at(next_ms, self._send)

    def _way_ms(self) -> int:
        return self._chance.randint(*(SLOW_WAY_MS if self._chance.random() < SLOW else WAY_MS))

    def _arrive(self, job: Job, starts: int) -> None:
        town, key = self._town, job.key
        now_ms = town.schedule.now_ms
        if starts != self._starts or key not in self._unanswered:
            return
        if town.network_is_away:
            town.schedule.at(now_ms + GIVES_UP_MS, self._fail, job, starts)
            return
        body = {
            "device_id": key.device_id,
            "event": key.event,
            "counter": key.counter,
            "code": self._watch.code(*key).hex(),
            "path": "ble",
            "age_s": (now_ms - self._unanswered[key]) // 1000,
        }
        taken = town.centre.take_alarm(self.bridge_id, body)
        town.tally.posted(now_ms)
        town.tally.received(key, now_ms)
        town.tally.counts["posts of a press that was known"] += taken.known
        if key.event == ALARM and not taken.known:
            self._incidents[key] = taken.incident_id
            town.opened(self, taken.incident_id)
        if self._chance.random() < ANSWER_LOST:
            town.tally.counts["answers lost"] += 1
            town.schedule.at(now_ms + GIVES_UP_MS, self._fail, job, starts)
        else:
            way_ms = self._way_ms()
            town.schedule.at(now_ms + way_ms, self._received, job, starts, taken.stage, taken.proof)

    def _fail(self, job: Job, starts: int) -> None:
        if starts == self._starts:
            self._retry_queue.failed(job, "unreachable", False, self._town.schedule.now_ms)
            self._send()

    def _received(self, job: Job, starts: int, stage: int, proof: bytes) -> None:
        if starts != self._starts:
            return
        self._retry_queue.done(job)
        self._retry_queue.hurry(self._town.schedule.now_ms)
        del self._unanswered[job.key]
        self._send()
        self._prove(job.key, stage, proof)

    def advanced(self, incident: str) -> None:
        """An operator has acted: the stream tells it, if there is one now."""
        key = next((key for key, one in self._incidents.items() if one == incident), None)
        if key is None or self.is_off or self._town.network_is_away:
            return
        receipt = self._town.centre.last_receipt(self.bridge_id, incident)
        if receipt.last:
            del self._incidents[key]
        self._prove(key, receipt.stage, receipt.proof)

    def catch_up(self) -> None:
        """On again, or the network is back: what has become of the open ones?"""
        for incident in list(self._incidents.values()):
            self.advanced(incident)

    def _prove(self, key: PressKey, stage: int, proof: bytes) -> None:
        if stage > self._proven.get(key, (receipts.HEARD, b""))[0]:
            self._proven[key] = stage, proof
            self._bring(key)
