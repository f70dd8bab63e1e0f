"""The running bridge: what is heard goes to disk, then to the centre, and the receipt back to the button.

    scan callback --record, signal--> take --journal--> courier --HTTPS--> centre
          |                                                                   | answer, stream of receipts
          +--record, signal--> follower (one per button) <--receipts to bring-+

Memory rules while it runs; the journal is for the day after. Each arrow is a task of its own, so
that connecting does not wait for the centre nor the centre for a connection.
"""

import asyncio
import platform
import time
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from bridge.courier import Courier
from bridge.follow import Follower, Links
from bridge.https import CentreError
from bridge.model import Alive, Device, Key, Press, rfc3339
from bridge.ports import Answer, Centre, Location, Log, OnAdvert, Peer, Radio, RadioOff, Store
from bridge.watch import Sighting, Watch
from wire import codes, receipts, state

DISK_S_MAX = 2.0
DISK_AGAIN_S = 5.0
TICK_S = 60.0
# Nothing at all heard for so long: the adapter may have gone without a word. Where the system
# filters, silence is the rule, and it allows few starts.
SILENCE_S = 60.0
SILENCE_FILTERED_S = 600.0
SCAN_AGAIN_S_MAX = 30.0
# The button keeps a received press open for 2 h; after that a stage has nowhere to go.
FOLLOW_S = 2 * 3600 + 600.0
# A button whose power fails right at its receipt starts again with the same code, within moments.
REPLAY_MS = 10 * 60_000
STREAMS_MAX = 16
STREAM_AGAIN_S_MAX = 57.0


class Relay:
    """`radio(on_advert)` makes the radio; `random()` is as `random.random`."""

    def __init__(
        self,
        devices: Iterable[Device],
        *,
        journal: Store,
        centre: Centre,
        radio: Callable[[OnAdvert], Radio],
        location: Location | None,
        log: Log,
        random: Callable[[], float],
    ) -> None:
        self._devices = {device.device_id: device for device in devices}
        self._journal, self._centre, self._location = journal, centre, location
        self._log, self._random = log, random
        self._radio = radio(self.on_advert)
        self._watch = Watch()
        self._courier = Courier(random)
        links = Links()
        self._followers = {
            device_id: Follower(device, self, self._radio, links)
            for device_id, device in self._devices.items()
        }
        self._presses: dict[Key, Press] = {}
        # Not bounded by a number, but by the dictionary: each new sighting uses up one of its codes.
        self._heard: deque[tuple[Sighting, int, int]] = deque()
        self._unkept: set[Key] = set()  # heard, and not on disk yet
        self._submitted: set[Key] = set()  # of these, handed to the disk
        self._disk = ThreadPoolExecutor(1, "journal")
        self._disk_work: asyncio.Future[str | None] | None = None
        self._heard_signal, self._send_signal, self._arm_signal = (asyncio.Event() for _ in range(3))
        self._armed = 0
        self._last_advert_s = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._streams: dict[Key, asyncio.Task[None]] = {}
        self._troubles: dict[str, str] = {}  # where -> the reason last told
        self._refusals: dict[str, int] = {}

    # -- running ------------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Everything, until `stop` is set."""
        await self._resume()
        works = [self._take, self._send, self._scan, self._tick, self._retry_disk]
        works += [follower.run for follower in self._followers.values()]
        for work in works:
            self._spawn(self._forever(work))
        try:
            await stop.wait()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._radio.stop()
            await asyncio.get_running_loop().run_in_executor(self._disk, self._journal.close)
            self._disk.shutdown()

    async def _resume(self) -> None:
        """Go on where the journal says that we were."""
        loop = asyncio.get_running_loop()
        presses, alives, reason = await loop.run_in_executor(self._disk, self._journal.load)
        if reason:
            self._disk_trouble(reason)
        now_ms = _now_ms()
        self._presses = {press.key: press for press in presses}
        for device in self._devices.values():
            accepted = [(p.event, p.counter) for p in presses if p.device_id == device.device_id]
            alive = next((alive for alive in alives if alive.device_id == device.device_id), None)
            self._watch.add(device, now_ms, accepted, alive)
        for press in presses:
            if press.device_id not in self._devices:
                continue
            if press.incident is None:
                self._courier.add(press.key, _tick_ms())
            elif now_ms - press.heard_at_ms < FOLLOW_S * 1000:
                self._follow_incident(press)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _forever(self, work: Callable[[], Awaitable[None]]) -> None:
        """A mistake of ours in one task must not silence the others."""
        while True:
            try:
                await work()
            except Exception as error:
                frame = traceback.extract_tb(error.__traceback__)[-1]
                where = f"{type(error).__name__} at {frame.filename.rsplit('/', 2)[-1]}:{frame.lineno}"
                self._trouble("ourselves", "internal", f"a mistake of the bridge's own, going on: {where}")
                await asyncio.sleep(1)

    # -- hearing ------------------------------------------------------------------------------------

    def on_advert(self, peer: Peer, uuids: Sequence[str], rssi: int) -> None:
        """The scan callback: records and signals."""
        self._last_advert_s = time.monotonic()
        now_ms = _now_ms()
        sighting = self._watch.hear(uuids, now_ms)
        if sighting is None:
            return
        if self._is_over(sighting, now_ms):
            self.refused("replayed_code")
            return
        self._followers[sighting.device_id].note(peer, sighting)
        if sighting.new:
            self._unkept.add(Key(*sighting[:3]))
            self._heard.append((sighting, now_ms, rssi))
            self._heard_signal.set()
            self._arm_signal.set()

    def _is_over(self, sighting: Sighting, now_ms: int) -> bool:
        """A press that has its receipt is not on the air again: to call on whoever says so would show
        the wearer's phone to anybody who has recorded a code."""
        if sighting.new or sighting.event not in codes.PRESSES:
            return False
        press = self._presses.get(Key(*sighting[:3]))
        received = press is None or press.delivered >= receipts.RECEIVED
        return received and (press is None or now_ms - press.heard_at_ms > REPLAY_MS)

    async def _take(self) -> None:
        """On disk first, then on the wire."""
        while True:
            await self._heard_signal.wait()
            self._heard_signal.clear()
            batch = list(self._heard)
            self._heard.clear()
            rows: list[Press | Alive] = []
            for sighting, now_ms, _ in batch:
                if sighting.event in codes.PRESSES:
                    rows.append(self._new_press(Key(*sighting[:3]), now_ms, None))
                elif alive := self._watch.alive(sighting.device_id):
                    rows.append(alive)
            self._submitted.update(Key(*sighting[:3]) for sighting, _, _ in batch)
            await self._keep(*rows)
            for sighting, _, rssi in batch:
                self._told_heard(sighting, rssi)

    def _new_press(self, key: Key, heard_at_ms: int, age_s: int | None) -> Press:
        press = Press(*key, heard_at_ms=heard_at_ms, age_s=age_s)
        self._add_fix(press)
        return self._presses.setdefault(key, press)

    def _told_heard(self, sighting: Sighting, rssi: int | None) -> None:
        if sighting.event in codes.PRESSES:
            self._courier.add(Key(*sighting[:3]), _tick_ms())
            self._send_signal.set()
        self._followers[sighting.device_id].wake()
        fields = {} if rssi is None else {"rssi": rssi}
        if sighting.stale:
            fields["stale"] = True
        if not self.is_kept(sighting):
            fields["on_disk"] = False
        self._log(
            "heard", device_id=sighting.device_id, event=sighting.event, counter=sighting.counter, **fields
        )

    # -- the desk of the followers (follow.py) --------------------------------------------------------

    def press(self, key: Key) -> Press | None:
        return self._presses.get(key)

    def is_kept(self, sighting: Sighting) -> bool:
        return Key(*sighting[:3]) not in self._unkept

    def state_read(self, sighting: Sighting, value: state.State) -> Key | None:
        now_ms = _now_ms()
        self._watch.lives(sighting.device_id, now_ms)
        if not value.flags & state.OPEN:
            return None
        event = codes.TEST if value.flags & state.IS_TEST else codes.ALARM
        key = Key(sighting.device_id, event, value.press_counter)
        if self._watch.accept(*key):
            vague = value.age_10s == state.AGE_UNKNOWN or value.flags & state.AGE_LOWER_BOUND
            self._spawn(self._take_told(key, now_ms, None if vague else value.age_10s * 10))
        elif press := self._presses.get(key):
            self._follow_incident(press)
        return key

    async def _take_told(self, key: Key, now_ms: int, age_s: int | None) -> None:
        """A press that nobody heard, told by a later CONTACT; reported with its own code."""
        press = self._new_press(key, now_ms, age_s)
        self._unkept.add(key)
        self._submitted.add(key)
        await self._keep(press)
        self._told_heard(Sighting(*key, "", True, False), None)

    def delivered(self, key: Key, stage: int) -> None:
        press = self._presses[key]
        if stage <= press.delivered:
            return
        press.delivered = stage
        self._log("receipt", device_id=key.device_id, event=key.event, counter=key.counter, stage=stage)
        self._spawn(self._keep(press))

    def refused(self, reason: str) -> None:
        self._refusals[reason] = self._refusals.get(reason, 0) + 1

    # -- the centre -----------------------------------------------------------------------------------

    async def _send(self) -> None:
        while True:
            self._send_signal.clear()
            now_ms = _tick_ms()
            for key in self._courier.take(now_ms):
                self._spawn(self._post(key))
            next_ms = self._courier.next_ms(now_ms)
            try:
                async with asyncio.timeout(None if next_ms is None else (next_ms - now_ms) / 1000):
                    await self._send_signal.wait()
            except TimeoutError:
                pass

    async def _post(self, key: Key) -> None:
        press, device = self._presses[key], self._devices[key.device_id]
        fields = {"device_id": key.device_id, "event": key.event, "counter": key.counter}
        try:
            answer = await self._centre.post_alarm(device.token, self._alarm(press))
        except CentreError as error:
            retry = self._courier.failed(key, error.reason, error.permanent, _tick_ms())
            if error.permanent and retry.tell:
                self._log("trouble", reason=error.reason, text=f"{error}; it is kept, and sent again")
            elif not error.permanent:
                self._trouble("centre", error.reason, f"{error}; presses are kept, and sent again")
            self._log("retry", **fields, reason=error.reason, in_ms=retry.in_ms)
        except Exception as error:  # a mistake of ours must not end the tries
            retry = self._courier.failed(key, "internal", False, _tick_ms())
            self._trouble(
                "post", "internal", f"a mistake of the bridge's own, sent again: {type(error).__name__}"
            )
            self._log("retry", **fields, reason="internal", in_ms=retry.in_ms)
        else:
            self._courier.done(key)
            self._troubles.pop("centre", None)
            self._answered(press, answer)
            self._log("received", **fields, incident=answer.incident)
        self._send_signal.set()

    def _answered(self, press: Press, answer: Answer) -> None:
        for dropped in answer.dropped:
            self.refused(f"field {dropped}")
        press.incident = answer.incident
        self._advance(press, answer.stage, answer.proof)
        self._spawn(self._keep(press))
        self._follow_incident(press)

    def _advance(self, press: Press, stage: int, proof: bytes) -> None:
        if stage > press.stage:
            press.stage, press.proof = stage, proof
            self._followers[press.device_id].wake()

    def _alarm(self, press: Press) -> dict[str, Any]:
        self._add_fix(press)
        return {
            "device_id": press.device_id,
            "event": press.event,
            "counter": press.counter,
            "code": self._watch.code(*press.key).hex(),
            "path": "ble",
            "heard_at": rfc3339(press.heard_at_ms),
            "age_s": press.age_s,
            "fix": press.fix,
            "phone": {"model": platform.system() or "unknown"},
        }

    def _add_fix(self, press: Press) -> None:
        """With the alarm goes what is at hand. It never waits for a fix."""
        if press.fix is None and self._location is not None:
            try:
                fix = self._location.latest(_now_ms())
            except Exception as error:  # a source is somebody's hardware; the press goes without it
                self._trouble(
                    "location", "no_position", f"the position source failed: {type(error).__name__}"
                )
                return
            press.fix = None if fix is None else fix.as_json()

    def _follow_incident(self, press: Press) -> None:
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
        token = self._devices[press.device_id].token
        again_s = 0.5
        try:
            async with asyncio.timeout(FOLLOW_S):
                while press.stage < receipts.CLOSED:
                    try:
                        events = self._centre.receipts(token, press.incident, press.last_event_id)
                        async with aclosing(events):
                            async for receipt in events:
                                again_s = 0.5
                                press.last_event_id = receipt.event_id
                                self._advance(press, receipt.stage, receipt.proof)
                                self._troubles.pop("centre", None)
                                await self._keep(press)
                    except CentreError as error:
                        where = f"stream {press.incident}" if error.permanent else "centre"
                        self._trouble(where, error.reason, f"{error}; trying again")
                    await asyncio.sleep(again_s * (0.5 + self._random() / 2))
                    again_s = min(again_s * 2, STREAM_AGAIN_S_MAX)
        except TimeoutError:
            return

    # -- the disk -------------------------------------------------------------------------------------

    async def _keep(self, *rows: Press | Alive) -> None:
        """Have `rows` on disk; where that is not possible, say so and go on from memory."""
        loop = asyncio.get_running_loop()
        stuck = self._disk_work is not None and not self._disk_work.done()
        submitted = frozenset(self._submitted)
        copies = [replace(row) for row in rows]  # the thread must not see a press change
        work = self._disk_work = loop.run_in_executor(self._disk, self._journal.write, *copies)
        work.add_done_callback(lambda done: self._disk_done(done, submitted))
        await asyncio.wait([work], timeout=0.0 if stuck and "disk" in self._troubles else DISK_S_MAX)
        if not work.done():
            self._disk_trouble("journal_slow")

    def _disk_done(self, work: asyncio.Future[str | None], submitted: frozenset[Key]) -> None:
        if work.cancelled():
            return
        reason = "journal_unwritable" if work.exception() else work.result()
        if reason:
            self._disk_trouble(reason)
            if reason == "journal_corrupt":  # a new file has been begun: put in it all that we know
                self._spawn(self._keep(*self._presses.values()))
            return
        self._troubles.pop("disk", None)
        self._submitted -= submitted
        if self._unkept & submitted:
            self._unkept -= submitted
            for device_id in {key.device_id for key in submitted}:
                self._followers[device_id].wake()

    async def _retry_disk(self) -> None:
        while True:
            await asyncio.sleep(DISK_AGAIN_S)
            if "disk" in self._troubles:
                await self._keep()

    def _disk_trouble(self, reason: str) -> None:
        texts = {
            "disk_full": "the disk is full; presses go on from memory and are written when there is room",
            "read_only": "the journal cannot be written (read-only?); presses go on from memory",
            "journal_corrupt": "the journal was damaged; it is kept beside the new one, as *.corrupt-*",
            "journal_slow": "the disk does not answer; presses go on from memory",
            "journal_unwritable": "the journal cannot be written; presses go on from memory",
        }
        self._trouble("disk", reason, texts[reason])

    # -- listening ------------------------------------------------------------------------------------

    async def _scan(self) -> None:
        again_s = 1.0
        listening = False
        while True:
            self._arm_signal.clear()
            self._armed = self._watch.generation
            try:
                await self._radio.scan(self._watch.filter_codes())
            except RadioOff as error:
                listening = False
                self._trouble("radio", error.reason, f"{error}; trying again")
                await asyncio.sleep(again_s)
                again_s = min(again_s * 2, SCAN_AGAIN_S_MAX)
                continue
            if not listening:
                self._log("scanning", buttons=len(self._devices))
            listening, again_s = True, 1.0
            self._troubles.pop("radio", None)
            await self._until_stale()

    async def _until_stale(self) -> None:
        """Until the scan must be started again: other codes are expected, or nothing is heard at all."""
        started_s = time.monotonic()
        silence_s = SILENCE_FILTERED_S if self._radio.filtered else SILENCE_S
        while time.monotonic() - max(started_s, self._last_advert_s) < silence_s:
            try:
                async with asyncio.timeout(silence_s / 10):
                    await self._arm_signal.wait()
            except TimeoutError:
                continue
            self._arm_signal.clear()
            if self._radio.filtered and self._watch.generation != self._armed:
                return

    async def _tick(self) -> None:
        unknown = 0
        while True:
            await asyncio.sleep(TICK_S)
            self._watch.tick(_now_ms())
            if self._watch.unknown > unknown:
                self.refused("unknown_code")
                self._refusals["unknown_code"] += self._watch.unknown - unknown - 1
                unknown = self._watch.unknown
            for reason, count in self._refusals.items():
                self._log("refused", reason=reason, count=count)
            self._refusals.clear()

    def _trouble(self, where: str, reason: str, text: str) -> None:
        """Said once, until it is well again or another reason."""
        if self._troubles.get(where) != reason:
            self._troubles[where] = reason
            self._log("trouble", reason=reason, text=text)


def _now_ms() -> int:
    return int(time.time() * 1000)


def _tick_ms() -> int:
    return int(time.monotonic() * 1000)
