"""What goes to the centre and what comes back: alarms, call-offs and fixes out, receipts in.

    press --> retry_queue --POST /v1/alarms--> receipt, incident --> stream of later stages
                 ^                                  |
                 +---- call-off, age, fixes <-------+

An alarm leaves at once with the position at hand; better ones follow it (tracking.py). So does its age
(age.py), with the same press once more, when the button has been asked.
"""

import asyncio
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import aclosing
from typing import Any, Protocol

from bridge.centre.errors import CentreError, CentreRefused
from bridge.clock import from_wall_ms
from bridge.model import Device, Fix, Key, Press, Waypoint, fix_to_send, rfc3339
from bridge.ports import Answer, Centre, Clock, Location, Log
from bridge.reporting.alerts import Troubles
from bridge.rules.accuracy import read_time
from bridge.rules.retry_queue import AGE, ALARM, CALL_OFF, FIXES, TEST, Job, RetryQueue, press_job
from bridge.rules.tracking import Track, thin
from bridge.store.journal_writer import JournalWriter
from wire import codes, receipts

# The button keeps a received press open for 2 h; after that a stage has nowhere to go.
FOLLOW_S = 2 * 3600 + 600.0
STREAMS_MAX = 16
STREAM_AGAIN_S_MAX = 57.0
FIXES_IN_POST_MAX = 64
FIXES_KEPT_MAX = 120
# So long the wearer looks at a call-off that is on its way.
CALL_OFF_S = 8.0
# What the centre says of a PIN, and what the wearer is told.
_PIN_REFUSED = {"wrong_pin": "wrong_pin", "pin_locked": "locked", "no_pin": "no_pin", "bad_pin": "wrong_pin"}
# An incident that takes no more positions: they are of no more use to anybody.
_FIXES_OVER = ("incident_closed", "unknown_incident")
_NAMES = {CALL_OFF: "call-off", AGE: "age", FIXES: "positions"}


class Desk(Protocol):
    """What the outbox asks of the bridge and tells it (relay.py)."""

    def code(self, key: Key) -> bytes: ...

    def advanced(self, press: Press) -> None:
        """A higher stage is proven: the button should have it."""

    def refused(self, reason: str) -> None: ...

    def centre_answered(self) -> None: ...


class Outbox:
    """`presses` is the bridge's memory of them, shared with relay.py."""

    def __init__(
        self,
        devices: Mapping[str, Device],
        presses: dict[Key, Press],
        *,
        desk: Desk,
        centre: Centre,
        clock: Clock,
        location: Location | None,
        disk: JournalWriter,
        troubles: Troubles,
        log: Log,
        random: Callable[[], float],
        follow_every_s: int,
    ) -> None:
        self._devices, self._presses = devices, presses
        self._desk, self._centre, self._clock, self._location = desk, centre, clock, location
        self._disk, self._troubles, self._log, self._random = disk, troubles, log, random
        self._every_s = follow_every_s
        self._retry_queue = RetryQueue(random)
        self._signal, self._calm = asyncio.Event(), asyncio.Event()
        self._calm.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._streams: dict[Key, asyncio.Task[None]] = {}
        self._tracks: dict[Key, Track] = {}
        self._waypoints: dict[Key, list[Waypoint]] = {}
        self._called_off: dict[Key, asyncio.Event] = {}

    # -- what others hand in ------------------------------------------------------------------------

    def resume(self, press: Press, waypoints: Iterable[Waypoint]) -> None:
        """Go on with a press of the journal."""
        age_ms = self._clock.now_ms() - press.heard_at_ms
        if press.incident is None:
            self.send(press)
        elif age_ms < FOLLOW_S * 1000:
            self.follow(press)
            self._track(press)
        self.send_age(press)
        if press.pin is not None and press.incident is not None:  # else right after the alarm itself
            self._add(Job(CALL_OFF, press.key))
        self._waypoints[press.key] = list(waypoints)
        self._send_waypoints(press)

    def send(self, press: Press) -> None:
        """Take a press to the centre, as soon as may be."""
        self._add(press_job(press.key))
        self._track(press)

    def send_age(self, press: Press) -> None:
        """Where the centre has the press without it; else it goes with the press itself."""
        if press.incident is not None and press.age_s is not None and not press.age_told:
            self._add(Job(AGE, press.key))

    def add_fix(self, press: Press) -> None:
        """With the alarm goes what is at hand. It never waits for a position."""
        if press.fix is None and (fix := self._latest()):
            press.fix = fix.as_json()

    async def call_off(self, key: Key, pin: str) -> str:
        """One of `model.CALL_OFFS`, "" where there is nothing to call off.

        Waits some seconds for the centre; then it is "kept", and sent as soon as that is possible.
        """
        press = self._presses.get(key)
        if press is None or press.event != codes.ALARM:
            return ""
        if not self._devices[key.device_id].has_pin:
            return "no_pin"
        if press.call_off != "done":
            press.call_off, press.pin = "kept", pin
            answered = self._called_off.setdefault(key, asyncio.Event())
            await self._disk.keep(press)
            if press.incident is not None:
                self._add(Job(CALL_OFF, key))
            try:
                async with asyncio.timeout(CALL_OFF_S):
                    await answered.wait()
            except TimeoutError:
                self._log("call_off", device_id=key.device_id, counter=key.counter, outcome="kept")
        return press.call_off

    def waypoints(self) -> Iterator[Waypoint]:
        """Those that are on their way."""
        for kept in self._waypoints.values():
            yield from kept

    async def calm(self) -> None:
        """Returns when no alarm waits for its answer: nothing else should ask for the centre's time."""
        await self._calm.wait()

    # -- the retry_queue's rounds -----------------------------------------------------------------------

    async def run(self) -> None:
        try:
            while True:
                self._signal.clear()
                now_ms = self._clock.monotonic_ms()
                for job in self._retry_queue.take(now_ms):
                    self._spawn(self._go(job))
                next_ms = self._retry_queue.next_ms(now_ms)
                try:
                    async with asyncio.timeout(None if next_ms is None else (next_ms - now_ms) / 1000):
                        await self._signal.wait()
                except TimeoutError:
                    pass
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _add(self, job: Job) -> None:
        self._retry_queue.add(job, self._clock.monotonic_ms())
        if job.kind == ALARM:
            self._calm.clear()
        self._signal.set()

    async def _go(self, job: Job) -> None:
        jobs = {ALARM: self._post_press, TEST: self._post_press, AGE: self._post_age}
        jobs |= {CALL_OFF: self._post_call_off, FIXES: self._post_fixes}
        press = self._presses[job.key]
        try:
            await jobs[job.kind](press, self._devices[press.device_id].token)
        except CentreError as error:
            self._failed(job, error)
        except Exception as error:  # a mistake of ours must not end the tries
            text = f"a mistake of the bridge's own, sent again: {type(error).__name__}"
            self._troubles.tell("post", "internal", text)
            self._again(job, "internal", False)
        else:
            self._retry_queue.done(job)
            self.answers()
            if job.kind == FIXES:
                self._send_waypoints(press)
            elif job.kind == ALARM:
                self.send_age(press)  # the button may have said it meanwhile
            if press.pin is not None and job.kind != FIXES:  # also one that was given meanwhile
                self._add(Job(CALL_OFF, press.key))
        if not self._retry_queue.has_alarm():
            self._calm.set()
        self._signal.set()

    def hurry(self) -> None:
        """Try at once what waits to be tried again."""
        self._retry_queue.hurry(self._clock.monotonic_ms())
        self._signal.set()

    def answers(self) -> None:
        """The centre has just answered something."""
        if "centre" in self._troubles:
            self._troubles.over("centre")
            self.hurry()
        self._desk.centre_answered()

    def _failed(self, job: Job, error: CentreError) -> None:
        tell = self._again(job, error.reason, error.permanent)
        # What only follows an alarm says nothing of the way that an alarm would find.
        if not error.permanent and job.kind in (ALARM, TEST):
            self.unreachable(error)
        elif tell:
            what = _NAMES.get(job.kind, "press")
            text = f"{error}; the {what} is kept, and sent again"
            self._log("trouble", where="press", reason=error.reason, text=text)

    def _again(self, job: Job, reason: str, permanent: bool) -> bool:
        retry = self._retry_queue.failed(job, reason, permanent, self._clock.monotonic_ms())
        fields = {"reason": reason, "in_ms": retry.in_ms, "what_for": _NAMES.get(job.kind, "press")}
        self._log("retry", **job.key._asdict(), **fields)
        return retry.tell

    def unreachable(self, error: CentreError) -> None:
        """Say so now, and what is behind it as soon as that is known."""
        self._troubles.tell("centre", error.reason, f"{error}; presses are kept, and sent again")
        self._spawn(self._explain(error))

    async def _explain(self, error: CentreError) -> None:
        better = await self._centre.explain(error)
        if better is not error and "centre" in self._troubles:
            self._troubles.tell("centre", better.reason, f"{better}; presses are kept, and sent again")

    # -- presses ------------------------------------------------------------------------------------

    async def _post_press(self, press: Press, token: str) -> None:
        answer = await self._post(press, token)
        fields = {"device_id": press.device_id, "event": press.event, "counter": press.counter}
        self._log("received", **fields, incident=answer.incident)

    async def _post_age(self, press: Press, token: str) -> None:
        try:
            await self._post(press, token)
        except CentreRefused as error:
            if not error.permanent:
                raise
            # The centre has the press; from a bridge that it no longer knows it wants no more of it.
            self._log("trouble", where="press", reason=error.reason, text=f"the age is not taken: {error}")
        else:
            await self._disk.keep(press)  # that it was told; whoever is killed from here on tells it no more
            self._log("age", **press.key._asdict(), age_s=press.age_s)

    async def _post(self, press: Press, token: str) -> Answer:
        self.add_fix(press)
        alarm = {
            "device_id": press.device_id,
            "event": press.event,
            "counter": press.counter,
            "code": self._desk.code(press.key).hex(),
            "path": "ble",
            "heard_at": rfc3339(press.heard_at_ms),
            "age_s": press.age_s,
            "age_is_lower_bound": press.age_is_lower_bound,
            "fix": None if press.fix is None else fix_to_send(press.fix, self._clock.boottime_ms()),
            "phone": {"model": platform.system() or "unknown"},
        }
        answer = await self._centre.post_alarm(token, alarm)
        press.age_told |= alarm["age_s"] is not None
        self._received(press, answer)
        return answer

    def _received(self, press: Press, answer: Answer) -> None:
        for dropped in answer.dropped:
            self._desk.refused(f"field {dropped}")
        press.incident = answer.incident
        self._advance(press, answer.stage, answer.proof)
        self._spawn(self._disk.keep(press))
        self.follow(press)
        self._send_waypoints(press)

    def _advance(self, press: Press, stage: int, proof: bytes) -> None:
        if stage > press.stage:
            press.stage, press.proof = stage, proof
            if stage == receipts.CLOSED and press.key in self._tracks:
                self._tracks[press.key].close()
            self._desk.advanced(press)

    # -- call-offs ----------------------------------------------------------------------------------

    async def _post_call_off(self, press: Press, token: str) -> None:
        who = {"device_id": press.device_id, "event": press.event, "counter": press.counter}
        if press.pin is None:
            return
        pin = press.pin
        try:
            await self._centre.post_call_off(token, who | {"pin": pin})
        except CentreRefused as error:
            if error.reason not in _PIN_REFUSED:
                raise
            outcome = _PIN_REFUSED[error.reason]
        else:
            outcome = "done"
            press.called_off_at_ms = self._clock.now_ms()
            if press.key in self._tracks:
                self._tracks[press.key].call_off(self._clock.boottime_ms())
        if press.pin == pin:  # else another one has been given meanwhile
            press.call_off, press.pin = outcome, None
        self._log("call_off", device_id=press.device_id, counter=press.counter, outcome=outcome)
        await self._disk.keep(press)
        if press.pin is None and (event := self._called_off.pop(press.key, None)):
            event.set()

    # -- positions ----------------------------------------------------------------------------------

    def _latest(self) -> Fix | None:
        if self._location is None:
            return None
        try:
            return self._location.latest(self._clock.boottime_ms())
        except Exception as error:  # a source is somebody's hardware; the press goes without it
            text = f"the position source failed: {type(error).__name__}"
            self._troubles.tell("location", "no_position", text)
            return None

    def _track(self, press: Press) -> None:
        """Follow an alarm until it is closed, called off for a while, or two hours old."""
        if press.is_test or press.stage == receipts.CLOSED:
            return
        if press.key in self._tracks or self._location is None:
            return
        clock = self._clock
        track = Track(_sent_with(press), press.heard_boottime_ms, self._every_s)
        if press.called_off_at_ms is not None:
            track.call_off(from_wall_ms(clock, press.called_off_at_ms))
        if not track.ended(clock.boottime_ms()):
            self._tracks[press.key] = track
            self._spawn(self._follow_track(press, track))

    async def _follow_track(self, press: Press, track: Track) -> None:
        clock = self._clock
        try:
            while not track.ended(now_ms := clock.boottime_ms()):
                if fix := track.due(now_ms, self._latest()):
                    await self._keep_waypoint(press, fix)
                if (next_ms := track.next_ms(now_ms)) is not None:
                    await asyncio.sleep(max(0.05, (next_ms - clock.boottime_ms()) / 1000))
        finally:
            self._tracks.pop(press.key, None)

    async def _keep_waypoint(self, press: Press, fix: Fix) -> None:
        new = Waypoint(press.key, fix.taken_at, fix.as_json())
        kept = self._waypoints.setdefault(press.key, [])
        thinned = thin([*kept, new], FIXES_KEPT_MAX, self._arrived_ms)
        gone = [_sent(waypoint) for waypoint in kept if waypoint not in thinned]
        self._waypoints[press.key] = thinned
        await self._disk.keep(new, *gone)
        self._send_waypoints(press)

    def _arrived_ms(self, waypoint: Waypoint) -> int:
        """Return when a position came; of one that an earlier run has kept, its own time tells."""
        arrived_ms = waypoint.fix.get("arrived_ms")
        return (
            from_wall_ms(self._clock, read_time(waypoint.taken_at)) if arrived_ms is None else int(arrived_ms)
        )

    def _send_waypoints(self, press: Press) -> None:
        if press.incident is not None and self._waypoints.get(press.key):
            self._add(Job(FIXES, press.key))

    async def _post_fixes(self, press: Press, token: str) -> None:
        assert press.incident is not None, "sent once the incident is known"
        batch = self._waypoints.get(press.key, [])[:FIXES_IN_POST_MAX]
        fixes = [fix_to_send(waypoint.fix, self._clock.boottime_ms()) for waypoint in batch]
        try:
            await self._centre.post_fixes(token, press.incident, fixes)
        except CentreRefused as error:
            if error.reason not in _FIXES_OVER and error.status != 422:
                raise
            # Nobody wants them, or our own were wrong: there will be others.
            self._log("trouble", where="fixes", reason=error.reason, text=f"positions not taken: {error}")
        else:
            self._log("fixes", incident=press.incident, stored=len(batch))
        sent = {id(waypoint) for waypoint in batch}
        self._waypoints[press.key] = [w for w in self._waypoints[press.key] if id(w) not in sent]
        await self._disk.keep(*(_sent(waypoint) for waypoint in batch))

    # -- receipts -----------------------------------------------------------------------------------

    def follow(self, press: Press) -> None:
        """Have the later stages of an alarm come in, if they do not yet."""
        if press.incident is None or press.is_test or press.stage == receipts.CLOSED:
            return
        if press.key not in self._streams:
            while len(self._streams) >= STREAMS_MAX:
                self._streams.pop(next(iter(self._streams))).cancel()
            task = self._streams[press.key] = self._spawn(self._stream(press))
            task.add_done_callback(lambda done: self._stream_ended(press.key, done))

    def _stream_ended(self, key: Key, done: asyncio.Task[None]) -> None:
        if self._streams.get(key) is done:
            del self._streams[key]

    async def _stream(self, press: Press) -> None:
        assert press.incident is not None
        token, where = self._devices[press.device_id].token, f"stream {press.incident}"
        again_s = 0.5
        try:
            async with asyncio.timeout(FOLLOW_S):
                while press.stage < receipts.CLOSED:
                    try:
                        events = self._centre.receipts(token, press.incident, press.last_event_id)
                        async with aclosing(events):
                            async for receipt in events:
                                again_s = 0.5
                                self._troubles.over(where)
                                press.last_event_id = receipt.event_id
                                self._advance(press, receipt.stage, receipt.proof)
                                self.answers()
                                await self._disk.keep(press)
                    except CentreError as error:
                        if error.permanent:
                            self._troubles.tell(where, error.reason, f"{error}; trying again")
                        else:
                            self.unreachable(error)
                    await asyncio.sleep(again_s * (0.5 + self._random() / 2))
                    again_s = min(again_s * 2, STREAM_AGAIN_S_MAX)
        except TimeoutError:
            return
        finally:
            self._troubles.over(where)

    def _spawn(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _sent_with(press: Press) -> Fix | None:
    """The position that went with the alarm; one of another version's journal costs nobody the alarm."""
    try:
        return None if press.fix is None else Fix.from_json(press.fix)
    except (TypeError, ValueError):
        return None


def _sent(waypoint: Waypoint) -> Waypoint:
    return Waypoint(waypoint.key, waypoint.taken_at, waypoint.fix, sent=True)
