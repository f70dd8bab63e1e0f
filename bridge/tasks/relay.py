"""The running bridge: what is heard goes to disk, then to the centre, and the receipt back to the button.

    scan callback --record, signal--> take --disk--> outbox --HTTPS--> centre
          |                                                              | answer, stream of receipts
          +--record, signal--> follower (one per button) <--receipts to bring-+

Memory rules while it runs; the journal is for the day after. Each arrow is a task of its own, so
that connecting does not wait for the centre nor the centre for a connection.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from bridge.clock import System, from_wall_ms, to_wall_ms
from bridge.location.positions import Positions
from bridge.model import (
    Alive,
    Device,
    JournalContents,
    Key,
    Press,
    Record,
    Status,
    Trouble,
    Waypoint,
)
from bridge.ports import Centre, Clock, Log, OnAdvert, Peer, Radio, RadioOff, Source, SourceOff, Store
from bridge.reporting.alerts import Troubles
from bridge.reporting.log import place
from bridge.rules import press_age
from bridge.rules.expected_codes import ExpectedCodes, Sighting
from bridge.store.journal_writer import JournalWriter
from bridge.tasks.follow import Follower, Links
from bridge.tasks.outbox import Outbox
from bridge.tasks.supervision_service import SupervisionService
from wire import codes, receipts, state

TICK_S = 60.0
# Nothing at all heard for so long: the adapter may have gone without a word. Where the system
# filters, silence is the rule, and it allows few starts.
SILENCE_S = 60.0
SILENCE_FILTERED_S = 600.0
# From Bluetooth's coming back to listening, at most 5 s.
SCAN_AGAIN_S_MAX = 4.0
# A button whose power fails right at its receipt starts again with the same code, within moments.
REPLAY_MS = 10 * 60_000
# Troubles that are told to whoever runs the bridge, in the log.
_NOT_THE_WEARERS = ("ourselves", "post", "page")
# The same notice again: something that comes and goes must not have her phone light up every minute.
ANNOUNCE_AGAIN_MS = 600_000


async def no_battery() -> int | None:
    """A machine that has none, or does not say."""
    return None


class Relay:
    """`radio(on_advert)` makes the radio, `random()` is as `random.random`, `battery()` this phone's in
    percent. `announce(trouble)` is told of what the wearer should know. `clock`: None is this machine's;
    `watch`: an empty one. Also `ports.Wearer`."""

    def __init__(
        self,
        devices: Iterable[Device],
        *,
        journal: Store,
        centre: Centre,
        radio: Callable[[OnAdvert], Radio],
        log: Log,
        random: Callable[[], float],
        sources: Sequence[Source] = (),
        follow_every_s: int = 10,
        battery: Callable[[], Awaitable[int | None]] = no_battery,
        phone_low_percent: int = 15,
        announce: Callable[[Trouble], Awaitable[None]] | None = None,
        clock: Clock | None = None,
        watch: ExpectedCodes | None = None,
    ) -> None:
        self._clock = clock = clock or System()
        self._devices = {device.device_id: device for device in devices}
        self._presses: dict[Key, Press] = {}
        self._plain_log, self._announce = log, announce
        self._announced: dict[tuple[str, str], int] = {}
        self._troubles = Troubles(clock, self._log, self._trouble_changed)
        self._radio = radio(self.on_advert)
        self._watch = ExpectedCodes() if watch is None else watch
        self._disk = JournalWriter(
            journal, clock, self._troubles, self._kept, self._everything, self._read_late
        )
        self._sources, self._sources_off = len(sources), dict[str, SourceOff]()
        self._positions = Positions(
            sources, boottime_ms=clock.boottime_ms, on_off=self._source_off, on_fix=self._source_on
        )
        self._outbox = Outbox(
            self._devices,
            self._presses,
            desk=self,
            centre=centre,
            clock=clock,
            location=self._positions if sources else None,
            disk=self._disk,
            troubles=self._troubles,
            log=self._log,
            random=random,
            follow_every_s=follow_every_s,
        )
        self._supervision_service = SupervisionService(
            self._devices,
            watch=self._watch,
            outbox=self._outbox,
            centre=centre,
            clock=clock,
            troubles=self._troubles,
            log=self._log,
            battery=battery,
            phone_low_percent=phone_low_percent,
        )
        links = Links()
        self._followers = {
            device_id: Follower(device, self, self._radio, links, clock)
            for device_id, device in self._devices.items()
        }
        # Not bounded by a number, but by the dictionary: each new sighting uses up one of its codes.
        self._heard: deque[tuple[Sighting, int, int]] = deque()
        self._heard_signal, self._arm_signal = asyncio.Event(), asyncio.Event()
        self._armed = 0
        self._last_advert_ms = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._refusals: dict[str, int] = {}
        self._generation = 0
        self._changed = asyncio.Event()

    # -- running ------------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Everything, until `stop` is set."""
        await self._resume()
        works = [self._take, self._outbox.run, self._scan, self._tick, self._disk.retry, self._positions.run]
        works += [self._supervision_service.look, self._supervision_service.alive]
        works += [follower.run for follower in self._followers.values()]
        for work in works:
            self._spawn(self._forever(work))
        try:
            await stop.wait()
            await self._supervision_service.goodbye()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._radio.stop()
            await self._disk.close()

    async def _resume(self) -> None:
        """Go on where the journal says that we were."""
        kept = await self._disk.load()
        clock = self._clock
        for device in self._devices.values():
            accepted = [(p.event, p.counter) for p in kept.presses if p.device_id == device.device_id]
            alive = next((alive for alive in kept.alives if alive.device_id == device.device_id), None)
            if alive is not None:
                self._supervision_service.heard_at_ms[device.device_id] = alive.heard_at_ms
                alive = _by(from_wall_ms, clock, alive)
            self._watch.add(device, clock.boottime_ms(), accepted, alive)
        for health in kept.healths:
            if health.device_id in self._devices:
                self._supervision_service.resume(health)
        self._resume_presses(kept)

    def _resume_presses(self, kept: JournalContents) -> None:
        waypoints: dict[Key, list[Waypoint]] = {}
        for waypoint in kept.waypoints:
            waypoints.setdefault(waypoint.key, []).append(waypoint)
        for press in kept.presses:
            if press.key in self._presses:
                continue
            self._presses[press.key] = press
            press.heard_boottime_ms = from_wall_ms(self._clock, press.heard_at_ms)
            if press.device_id in self._devices:
                self._outbox.resume(press, waypoints.get(press.key, ()))

    def _read_late(self, kept: JournalContents) -> None:
        """The journal could not be read when we began. What it tells of buttons is old news by now; its
        presses are not."""
        for press in kept.presses:
            if press.device_id in self._devices:
                self._watch.accept(*press.key)
        self._resume_presses(kept)

    def _spawn(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _forever(self, work: Callable[[], Awaitable[None]]) -> None:
        """A mistake of ours in one task must not silence the others."""
        while True:
            try:
                await work()
                return
            except Exception as error:
                text = f"a mistake of the bridge's own, going on: {place(error)}"
                self._troubles.tell("ourselves", "internal", text)
                await asyncio.sleep(1)

    # -- hearing ------------------------------------------------------------------------------------

    def on_advert(self, peer: Peer, uuids: Sequence[str], rssi: int) -> None:
        """The scan callback: records and signals."""
        self._last_advert_ms = self._clock.monotonic_ms()
        now_ms = self._clock.boottime_ms()
        sighting = self._watch.hear(uuids, now_ms)
        if sighting is None:
            return
        if self._is_over(sighting, now_ms):
            self.refused("replayed_code")
            return
        if sighting.new:  # before all else: it is not new a second time
            self._disk.heard(sighting.key)
            self._heard.append((sighting, now_ms, rssi))
            self._heard_signal.set()
            self._arm_signal.set()
        self._followers[sighting.device_id].note(peer, sighting)

    def _is_over(self, sighting: Sighting, now_ms: int) -> bool:
        """A press that has its receipt is not on the air again: to call on whoever says so would show
        the wearer's phone to anybody who has recorded a code."""
        if sighting.new or sighting.event not in codes.PRESSES:
            return False
        press = self._presses.get(sighting.key)
        received = press is None or press.delivered >= receipts.RECEIVED
        return received and (press is None or now_ms - press.heard_boottime_ms > REPLAY_MS)

    async def _take(self) -> None:
        """On disk first, then on the wire; presses before signs of life."""
        while True:
            await self._heard_signal.wait()
            self._heard_signal.clear()
            batch = list(self._heard)
            self._heard.clear()
            await self._take_presses([one for one in batch if one[0].event in codes.PRESSES])
            await self._take_signs(batch)

    async def _take_presses(self, heard: Sequence[tuple[Sighting, int, int]]) -> None:
        if heard:
            presses = [self._new_press(sighting.key, now_ms) for sighting, now_ms, _ in heard]
            await self._disk.keep(*presses, keys=[press.key for press in presses])
            for sighting, _, rssi in heard:
                self._told_heard(sighting, rssi)

    async def _take_signs(self, heard: Sequence[tuple[Sighting, int, int]]) -> None:
        """A press is one, too."""
        rows: list[Record] = []
        signs = [one for one in heard if one[0].event not in codes.PRESSES]
        for sighting, now_ms, _ in heard:
            self._supervision_service.heard(sighting, to_wall_ms(self._clock, now_ms))
        for sighting, _, _ in signs:
            if alive := self._alive(sighting.device_id):
                rows += (alive, self._supervision_service.healths[sighting.device_id])
        if signs:
            await self._disk.keep(*rows, keys=[sighting.key for sighting, _, _ in signs])
            for sighting, _, rssi in signs:
                self._told_heard(sighting, rssi)

    def _alive(self, device_id: str) -> Alive | None:
        """As the journal keeps it."""
        alive = self._watch.alive(device_id)
        return None if alive is None else _by(to_wall_ms, self._clock, alive)

    def _new_press(self, key: Key, now_ms: int, told: press_age.Age | None = None) -> Press:
        press = Press(*key, heard_at_ms=to_wall_ms(self._clock, now_ms), heard_boottime_ms=now_ms)
        if told is not None:
            press.age_s, press.age_is_lower_bound = told
        self._outbox.add_fix(press)
        return self._presses.setdefault(key, press)

    def _told_heard(self, sighting: Sighting, rssi: int | None) -> None:
        if sighting.event in codes.PRESSES:
            self._outbox.send(self._presses[sighting.key])
        self._followers[sighting.device_id].wake()
        fields: dict[str, Any] = {} if rssi is None else {"rssi": rssi}
        if sighting.stale:
            fields["stale"] = True
        if not self.is_kept(sighting):
            fields["on_disk"] = False
        who = {"device_id": sighting.device_id, "event": sighting.event, "counter": sighting.counter}
        self._log("heard", **who, **fields)

    # -- the desk of the followers (follow.py) --------------------------------------------------------

    def press(self, key: Key) -> Press | None:
        return self._presses.get(key)

    def is_kept(self, sighting: Sighting) -> bool:
        return self._disk.is_kept(sighting.key)

    def state_read(self, sighting: Sighting, value: state.State) -> Key | None:
        now_ms = self._clock.boottime_ms()
        self._watch.lives(sighting.device_id, now_ms)
        health = self._supervision_service.state_read(sighting.device_id, value, self._clock.now_ms())
        rows: list[Record] = [health]
        if alive := self._alive(sighting.device_id):
            rows.append(alive)
        self._spawn(self._disk.keep(*rows))
        key = _open_press(sighting.device_id, value)
        if key is None:
            return None
        if self._watch.accept(*key):
            self._spawn(self._take_told(key, now_ms, press_age.when_heard(value)))
        elif press := self._presses.get(key):
            self._learn_age(press, value)
            self._outbox.follow(press)
        return key

    def age_read(self, sighting: Sighting, value: state.State) -> None:
        press = self._presses.get(sighting.key)
        if press is not None and _open_press(sighting.device_id, value) == press.key:
            self._learn_age(press, value)

    def _learn_age(self, press: Press, value: state.State) -> None:
        told = press_age.when_heard(value, self._clock.boottime_ms() - press.heard_boottime_ms)
        if press.lacks_age and told is not None:
            press.age_s, press.age_is_lower_bound = told
            self._spawn(self._take_age(press))

    async def _take_age(self, press: Press) -> None:
        await self._disk.keep(press)
        self._outbox.send_age(press)

    async def _take_told(self, key: Key, now_ms: int, told: press_age.Age | None) -> None:
        """A press that nobody heard, told by a later CONTACT; reported with its own code."""
        press = self._new_press(key, now_ms, told)
        self._disk.heard(key)
        await self._disk.keep(press, keys=[key])
        self._told_heard(Sighting(*key, "", True, False), None)

    def delivered(self, key: Key, stage: int) -> None:
        press = self._presses[key]
        if stage <= press.delivered:
            return
        press.delivered = stage
        self._log("receipt", device_id=key.device_id, event=key.event, counter=key.counter, stage=stage)
        self._spawn(self._disk.keep(press))

    def refused(self, reason: str) -> None:
        self._refusals[reason] = self._refusals.get(reason, 0) + 1

    # -- the desk of the outbox (outbox.py), and of the disk ------------------------------------------

    def code(self, key: Key) -> bytes:
        return self._watch.code(*key)

    def advanced(self, press: Press) -> None:
        self._followers[press.device_id].wake()
        self._touch()

    def centre_answered(self) -> None:
        self._supervision_service.centre_answered()

    def _kept(self, keys: Iterable[Key]) -> None:
        for device_id in sorted({key.device_id for key in keys}):
            self._followers[device_id].wake()

    def _everything(self) -> Iterator[Record]:
        yield from self._presses.values()
        yield from self._supervision_service.healths.values()
        alives: list[Alive | None] = [self._alive(device_id) for device_id in self._devices]
        yield from (alive for alive in alives if alive)
        yield from self._outbox.waypoints()

    # -- listening ------------------------------------------------------------------------------------

    async def _scan(self) -> None:
        again_s = 1.0
        listening = False
        while True:
            self._arm_signal.clear()
            self._armed = self._watch.generation
            try:
                await self._radio.scan(self._watch.filter_codes(self._clock.boottime_ms()))
            except RadioOff as error:
                listening = False
                self._deaf(error)
                await asyncio.sleep(again_s)
                again_s = min(again_s * 2, SCAN_AGAIN_S_MAX)
                continue
            if not listening:
                self._log("scanning", buttons=len(self._devices), mode=self._radio.mode)
            listening, again_s = True, 1.0
            self._supervision_service.supervision.listening(True, self._clock.monotonic_ms())
            self._troubles.over("radio")
            if off := await self._until_stale():
                listening = False
                self._deaf(off)

    def _deaf(self, off: RadioOff) -> None:
        self._supervision_service.supervision.listening(False, self._clock.monotonic_ms())
        self._troubles.tell("radio", off.reason, f"{off}; trying again")

    async def _until_stale(self) -> RadioOff | None:
        """Until the scan must be started again: other codes are expected, nothing is heard at all, or
        the radio is known to be gone."""
        lost = asyncio.ensure_future(self._radio.lost())
        started_ms = self._clock.monotonic_ms()
        silence_s = SILENCE_FILTERED_S if self._radio.filtered else SILENCE_S
        try:
            while self._clock.monotonic_ms() - max(started_ms, self._last_advert_ms) < silence_s * 1000:
                armed = asyncio.ensure_future(self._arm_signal.wait())
                await asyncio.wait((lost, armed), timeout=silence_s / 10, return_when=asyncio.FIRST_COMPLETED)
                armed.cancel()
                if lost.done():
                    return lost.result()
                self._arm_signal.clear()
                if self._radio.filtered and self._watch.generation != self._armed:
                    return None
            return None
        finally:
            lost.cancel()

    async def _tick(self) -> None:
        unknown = 0
        while True:
            await asyncio.sleep(TICK_S)
            self._watch.tick(self._clock.boottime_ms())
            if self._watch.unknown > unknown:
                self.refused("unknown_code")
                self._refusals["unknown_code"] += self._watch.unknown - unknown - 1
                unknown = self._watch.unknown
            for reason, count in self._refusals.items():
                self._log("refused", reason=reason, count=count)
            self._refusals.clear()

    # -- what is told -----------------------------------------------------------------------------------

    def _source_off(self, name: str, off: SourceOff) -> None:
        """Not every machine has every source: what counts is whether any is left."""
        self._sources_off[name] = off
        if len(self._sources_off) == self._sources:
            why = "; ".join(str(each) for each in self._sources_off.values())
            self._troubles.tell("location", "no_position", f"alarms go without a position: {why}")

    def _source_on(self, name: str) -> None:
        self._sources_off.pop(name, None)
        self._troubles.over("location")

    def hurry(self) -> None:
        """Send at once what waits to be tried again: a network has come."""
        self._outbox.hurry()

    def trouble(self, where: str, reason: str, text: str) -> None:
        """Something beside the bridge is not as it must be."""
        self._troubles.tell(where, reason, text)

    def _log(self, what: str, **fields: Any) -> None:
        self._plain_log(what, **fields)
        self._touch()

    def _touch(self) -> None:
        """Something that the page shows may have changed."""
        self._generation += 1
        self._changed.set()
        self._changed = asyncio.Event()

    def _trouble_changed(self, trouble: Trouble | None) -> None:
        if trouble is None or self._announce is None or trouble.where in _NOT_THE_WEARERS:
            return
        what, now_ms = (trouble.where, trouble.reason), self._clock.monotonic_ms()
        if now_ms - self._announced.get(what, -ANNOUNCE_AGAIN_MS) >= ANNOUNCE_AGAIN_MS:
            self._announced[what] = now_ms
            self._spawn(self._announce(trouble))

    # -- the wearer (ports.Wearer) ------------------------------------------------------------------------

    def status(self) -> Status:
        supervision_service = self._supervision_service
        return Status(
            self._generation,
            self._clock.now_ms(),
            tuple(
                supervision_service.button(device_id, self._presses.values()) for device_id in self._devices
            ),
            supervision_service.centre_ok,
            supervision_service.centre_at_ms,
            supervision_service.supervision.is_listening,
            supervision_service.supervision.battery_percent,
            self._positions.latest(self._clock.boottime_ms()),
            tuple(self._troubles),
        )

    async def changed(self, seen: int) -> None:
        while self._generation == seen:
            await self._changed.wait()

    async def call_off(self, key: Key, pin: str) -> str:
        return await self._outbox.call_off(key, pin) if key.device_id in self._devices else ""

    async def check(self) -> bool:
        return await self._supervision_service.check()


def _by(ms: Callable[[Clock, int], int], clock: Clock, alive: Alive) -> Alive:
    """`alive` in the time of another clock."""
    return replace(
        alive, heard_at_ms=ms(clock, alive.heard_at_ms), on_time_at_ms=ms(clock, alive.on_time_at_ms)
    )


def _open_press(device_id: str, value: state.State) -> Key | None:
    """The press that a button says is open."""
    if not value.flags & state.OPEN:
        return None
    event = codes.TEST if value.flags & state.IS_TEST else codes.ALARM
    return Key(device_id, event, value.press_counter)
