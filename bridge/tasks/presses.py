"""Carries out what the flows of presses ask for: rows to disk, posts to the centre, positions, receipts.

    heard, read, written, called off ---> rules/press_flow.py --actions--> journal, retry queue,
                the centre's answers -----------^                          streams, visits

It decides nothing: what happens is the flow's to say, and when a post is tried again, the retry queue's.
"""

import asyncio
import contextlib
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from bridge.centre.errors import CentreError, CentreRefused
from bridge.clock import from_wall_ms, to_wall_ms
from bridge.model import CallOff, Device, Fix, Key, Press, Record, Waypoint, fix_to_send, rfc3339
from bridge.ports import Answer, Centre, Clock, Location, Log, Receipt
from bridge.reporting.alerts import Alerts
from bridge.rules import press_flow
from bridge.rules.press_age import Age
from bridge.rules.press_flow import Action, Do, Keep, Now, Post, PressFlow, Refusal
from bridge.rules.retry_queue import PRESS_KINDS, Job, Kind, RetryQueue
from bridge.store.journal_writer import JournalWriter
from bridge.tasks.background import Background
from bridge.tasks.centre_reach import CentreReach
from bridge.tasks.receipt_streams import ReceiptStreams
from wire import codes, state

# So long the protected person looks at a call-off that is on its way.
CALL_OFF_S = 8.0
TICK_S_MIN = 0.05
_NAMES = {Kind.CALL_OFF: "call-off", Kind.AGE: "age", Kind.FIXES: "positions"}


class Presses:
    """All presses of this phone. `on_news(device_id)`: something is new for that button, or for the page."""

    def __init__(
        self,
        devices: Mapping[str, Device],
        *,
        centre: Centre,
        reach: CentreReach,
        journal: JournalWriter,
        clock: Clock,
        location: Location | None,
        alerts: Alerts,
        log: Log,
        random: Callable[[], float],
        follow_every_s: int,
        code: Callable[[Key], bytes],
        on_news: Callable[[str], None],
        on_refused: Callable[[str], None],
    ) -> None:
        self._devices, self._centre, self._reach, self._journal = devices, centre, reach, journal
        self._clock, self._location, self._alerts, self._log = clock, location, alerts, log
        self._follow_every_s = None if location is None else follow_every_s
        self._code, self._on_news, self._on_refused = code, on_news, on_refused
        self.flows: dict[Key, PressFlow] = {}
        self._not_ours: dict[Key, Press] = {}  # of buttons that are not enrolled any more
        self._queue = RetryQueue(random)
        self._signal, self._calm = asyncio.Event(), asyncio.Event()
        self._calm.set()
        self._background = Background()
        self._streams = ReceiptStreams(
            devices, centre=centre, reach=reach, alerts=alerts, random=random, on_receipt=self._proven
        )
        self._call_offs: dict[Key, asyncio.Event] = {}

    # -- what happens to presses ------------------------------------------------------------------------

    def heard(
        self, key: Key, code: bytes, boottime_ms: int, rssi: int | None = None, age: Age | None = None
    ) -> None:
        """Take up a new press; `age`: its button told of it by a later CONTACT."""
        press = press_flow.new_press(key, to_wall_ms(self._clock, boottime_ms), self._position(), age)
        flow = self.flows[key] = PressFlow(press, code, boottime_ms, self._follow_every_s)
        self._journal.heard(key)
        self._do(flow, flow.heard(rssi))

    def resume(self, press: Press, waypoints: Iterable[Waypoint]) -> None:
        """Take up a press of the journal; of a button that is not enrolled any more its row is kept."""
        if press.device_id not in self._devices:
            self._not_ours[press.key] = press
            return
        boottime_ms = from_wall_ms(self._clock, press.heard_at_ms)
        code = self._code(press.key)
        flow = self.flows[press.key] = PressFlow(press, code, boottime_ms, self._follow_every_s)
        self._do(flow, flow.resumed(self._now(), waypoints))

    def is_over_on_air(self, key: Key, boottime_ms: int) -> bool:
        """Return whether the code of this press, heard again, can only be a recording."""
        flow = self.flows.get(key)
        return flow is None or flow.is_over_on_air(boottime_ms)

    def kept(self, keys: Iterable[Key]) -> None:
        """Take note that these are on disk, which they were not."""
        for key in sorted(keys):
            if flow := self.flows.get(key):
                self._do(flow, flow.kept(self._now()))
            else:
                self._on_news(key.device_id)

    def taken(self, key: Key, stage: int) -> None:
        """Take note that the button itself has taken `stage`."""
        flow = self.flows[key]
        self._do(flow, flow.taken(stage))

    def contact_read(self, key: Key, value: state.State) -> None:
        """Take a CONTACT's state, which names this press, known already."""
        if flow := self.flows.get(key):
            self._do(flow, flow.contact_read(value, self._clock.boottime_ms()))

    def state_read(self, key: Key, value: state.State) -> None:
        """Take the state of a button that has this press on the air."""
        flow = self.flows.get(key)
        if flow is not None and press_flow.open_press(key.device_id, value) == key:
            self._do(flow, flow.state_read(value, self._clock.boottime_ms()))

    async def call_off(self, key: Key, pin: str) -> CallOff:
        """Return what became of it; NONE where there is nothing to call off.

        Waits some seconds for the centre; then it is KEPT, and sent as soon as that is possible.
        """
        flow = self.flows.get(key)
        if flow is None or key.event != codes.ALARM:
            return CallOff.NONE
        if not self._devices[key.device_id].has_pin:
            return CallOff.NO_PIN
        answered = self._call_offs.setdefault(key, asyncio.Event())
        self._do(flow, flow.call_off(pin))
        try:
            async with asyncio.timeout(CALL_OFF_S):
                await answered.wait()
        except TimeoutError:
            outcome = CallOff.KEPT.value
            self._log("call_off", device_id=key.device_id, counter=key.counter, outcome=outcome)
        return flow.press.call_off

    def rows(self) -> Iterator[Record]:
        """Return all that the journal is to hold of presses."""
        yield from self._not_ours.values()
        for flow in self.flows.values():
            yield flow.press
            yield from flow.waypoints

    async def calm(self) -> None:
        """Return when no alarm waits for its answer: nothing else should ask for the centre's time."""
        await self._calm.wait()

    def hurry(self) -> None:
        """Send at once what waits to be tried again: the centre answers, or a network has come."""
        self._queue.hurry(self._clock.monotonic_ms())
        self._signal.set()

    # -- what the flows ask for -------------------------------------------------------------------------

    def _do(self, flow: PressFlow, actions: list[Action]) -> None:
        for number, action in enumerate(actions):
            match action:
                case Keep(rows, first):
                    written = self._journal.keep(*rows, keys=[] if flow.is_kept else [flow.key])
                    if first:
                        self._background.spawn(self._go_on(flow, written, actions[number + 1 :]))
                        return
                    self._background.spawn(written)
                case Post(kind):
                    self._post(Job(kind, flow.key))
                case press_flow.Log(what, fields):
                    self._log(what, **fields)
                case _:
                    self._do_plain(flow, action)

    def _do_plain(self, flow: PressFlow, action: Do) -> None:
        if action is Do.BRING:
            self._on_news(flow.key.device_id)
        elif action is Do.CONNECT:
            self._centre.prepare_alarm(self._devices[flow.key.device_id].token)
        elif action is Do.FOLLOW:
            self._streams.follow(flow)
        elif action is Do.WATCH:
            self._background.spawn(self._watch(flow))
        elif answered := self._call_offs.pop(flow.key, None):
            assert action is Do.CALL_OFF_ANSWERED
            answered.set()

    async def _go_on(self, flow: PressFlow, written: Any, actions: list[Action]) -> None:
        await written
        self._do(flow, flow.disk_is_slow(self._now()))
        self._do(flow, actions)

    def _proven(self, flow: PressFlow, receipt: Receipt) -> None:
        self._do(flow, flow.proven(receipt.stage, receipt.proof, receipt.event_id))

    async def _watch(self, flow: PressFlow) -> None:
        while True:
            self._do(flow, flow.tick(self._now(), self._position()))
            wait_ms = flow.wait_ms(self._now())
            if wait_ms is None:
                return
            await asyncio.sleep(max(TICK_S_MIN, wait_ms / 1000))

    def _position(self) -> Fix | None:
        """Return the best position at hand. Nothing waits for one."""
        if self._location is None:
            return None
        try:
            return self._location.latest(self._clock.boottime_ms())
        except Exception as error:  # a source is somebody's hardware; the press goes without it
            text = f"the position source failed: {type(error).__name__}"
            self._alerts.tell("location", "no_position", text)
            return None

    def _now(self) -> Now:
        return Now(self._clock.now_ms(), self._clock.boottime_ms())

    # -- jobs for the centre ----------------------------------------------------------------------------

    async def run(self) -> None:
        """Send what is due, when it is due, until cancelled."""
        try:
            while True:
                self._signal.clear()
                now_ms = self._clock.monotonic_ms()
                self._send(self._queue.take(now_ms))
                next_ms = self._queue.next_ms(now_ms)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(None if next_ms is None else (next_ms - now_ms) / 1000):
                        await self._signal.wait()
        finally:
            await self._background.cancel()
            await self._streams.close()

    def _post(self, job: Job) -> None:
        if job.kind is Kind.ALARM:
            self._calm.clear()
        self._send(self._queue.take(self._clock.monotonic_ms(), job))
        self._signal.set()  # the next try may be due at another time now

    def _send(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            self._background.spawn(self._try(job))

    async def _try(self, job: Job) -> None:
        flow = self.flows[job.key]
        try:
            actions = await self._carry(job.kind, flow)
        except CentreError as error:
            self._failed(job, flow, error)
        except Exception as error:  # a mistake of ours must not end the tries
            text = f"a mistake of the bridge's own, sent again: {type(error).__name__}"
            self._alerts.tell("post", "internal", text)
            self._again(job, "internal", False)
        else:
            self._done(job, flow, actions)
        if not self._queue.has_alarm():
            self._calm.set()
        self._signal.set()

    async def _carry(self, kind: Kind, flow: PressFlow) -> list[Action]:
        """Post one job; return what its answer leads to."""
        token = self._devices[flow.key.device_id].token
        if kind is Kind.CALL_OFF:
            return await self._carry_call_off(flow, token)
        if kind is Kind.FIXES:
            boottime_ms = self._clock.boottime_ms()
            fixes = [fix_to_send(waypoint.fix, boottime_ms) for waypoint in flow.batch()]
            assert flow.press.incident is not None, "positions are sent once the incident is known"
            await self._centre.post_fixes(token, flow.press.incident, fixes)
            return flow.fixes_taken()
        if flow.press.fix is None:
            flow.at_hand(self._position())
        alarm = _alarm(flow, self._clock.boottime_ms())
        answer = await self._centre.post_alarm(token, alarm)
        self._note_dropped(answer)
        age_sent = alarm["age_s"] is not None
        return flow.answered(kind, answer.incident, answer.stage, answer.proof, age_sent)

    async def _carry_call_off(self, flow: PressFlow, token: str) -> list[Action]:
        pin = flow.pin_to_send()
        if pin is None:
            return []
        await self._centre.post_call_off(token, {**flow.key._asdict(), "pin": pin})
        return flow.call_off_taken(self._now())

    def _note_dropped(self, answer: Answer) -> None:
        for field in answer.dropped:
            self._on_refused(f"field {field}")

    def _done(self, job: Job, flow: PressFlow, actions: list[Action]) -> None:
        self._queue.done(job)
        self._reach.answered()
        self._do(flow, actions)

    def _failed(self, job: Job, flow: PressFlow, error: CentreError) -> None:
        if isinstance(error, CentreRefused):
            refusal = Refusal(error.reason, error.status, error.permanent, str(error))
            actions = flow.refused(job.kind, refusal)
            if actions is not None:
                self._done(job, flow, actions)
                return
        is_news = self._again(job, error.reason, error.permanent)
        # What only follows an alarm says nothing of the way that an alarm would find.
        if not error.permanent and job.kind in PRESS_KINDS:
            self._reach.unreachable(error)
        elif is_news:
            text = f"{error}; the {_name(job.kind)} is kept, and sent again"
            self._log("trouble", where="press", reason=error.reason, text=text)

    def _again(self, job: Job, reason: str, permanent: bool) -> bool:
        """Have the job tried again; return whether the reason is another than before."""
        retry = self._queue.failed(job, reason, permanent, self._clock.monotonic_ms())
        fields = {"reason": reason, "in_ms": retry.in_ms, "what_for": _name(job.kind)}
        self._log("retry", **job.key._asdict(), **fields)
        return retry.is_news


def _name(kind: Kind) -> str:
    return _NAMES.get(kind, "press")


def _alarm(flow: PressFlow, boottime_ms: int) -> dict[str, Any]:
    """Return the body of the post that tells the centre of a press."""
    press = flow.press
    return {
        "device_id": press.device_id,
        "event": press.event,
        "counter": press.counter,
        "code": flow.code.hex(),
        "path": "ble",
        "heard_at": rfc3339(press.heard_at_ms),
        "age_s": press.age_s,
        "age_is_lower_bound": press.age_is_lower_bound,
        "fix": None if press.fix is None else fix_to_send(press.fix, boottime_ms),
        "phone": {"model": platform.system() or "unknown"},
    }
