"""What is heard: to the presses, to supervision, to the visitors. Also what buttons say over a link.

scan callback --record, signal--> take --> presses.py; heartbeats to disk, to supervision
      |
      +--record, signal--> visits.py (one visitor per button)
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from bridge.clock import from_wall_ms, to_wall_ms
from bridge.model import Alive, Device, JournalContents, Key, Press, Record
from bridge.ports import Clock, Log, Peer, Radio
from bridge.rules import press_age
from bridge.rules.expected_codes import ExpectedCodes, Sighting
from bridge.rules.press_flow import open_press
from bridge.store.journal_writer import JournalWriter
from bridge.tasks.background import Background
from bridge.tasks.presses import Presses
from bridge.tasks.supervision_service import SupervisionService
from bridge.tasks.visits import Links, Visitor
from wire import codes, state

REFUSED_EVERY_S = 60.0


class _Heard(NamedTuple):
    sighting: Sighting
    boottime_ms: int
    rssi: int


class Hearing:
    """The ears of the bridge; also `visits.Host`. `on_new()` is called when other codes are expected now."""

    def __init__(
        self,
        devices: Mapping[str, Device],
        *,
        expected: ExpectedCodes,
        presses: Presses,
        supervision: SupervisionService,
        journal: JournalWriter,
        clock: Clock,
        log: Log,
        on_new: Callable[[], None],
    ) -> None:
        self._devices, self._expected, self._presses = devices, expected, presses
        self._supervision, self._journal, self._clock, self._log = supervision, journal, clock, log
        self._on_new = on_new
        # Not bounded by a number, but by the dictionary: each new sighting uses up one of its codes.
        self._heard: deque[_Heard] = deque()
        self._signal = asyncio.Event()
        self._background = Background()
        self._refusals: dict[str, int] = {}
        self.last_advert_ms = 0  # monotonic
        self.visitors: dict[str, Visitor] = {}

    def visit_by(self, radio: Radio) -> None:
        """Have a visitor for each button."""
        links = Links()
        self.visitors = {
            device_id: Visitor(device, self, radio, links, self._clock)
            for device_id, device in self._devices.items()
        }

    # -- at the start -----------------------------------------------------------------------------------

    def resume(self, contents: JournalContents) -> None:
        """Expect what comes after what the journal tells of."""
        clock = self._clock
        alives = {alive.device_id: alive for alive in contents.alives}
        for device_id, device in self._devices.items():
            accepted = [(p.event, p.counter) for p in contents.presses if p.device_id == device_id]
            alive = alives.get(device_id)
            if alive is not None:
                self._supervision.heard_at_ms[device_id] = alive.heard_at_ms
                alive = _by_clock(alive, lambda at_ms: from_wall_ms(clock, at_ms))
            self._expected.add(device, clock.boottime_ms(), accepted, alive)

    def accept(self, presses: Iterable[Press]) -> None:
        """Expect presses no more that a journal tells of which could not be read at the start."""
        for press in presses:
            if press.device_id in self._devices:
                self._expected.accept(*press.key)

    # -- hearing ----------------------------------------------------------------------------------------

    def on_advert(self, peer: Peer, uuids: Sequence[str], rssi: int) -> None:
        """Record an advert, and signal: the scan callback."""
        self.last_advert_ms = self._clock.monotonic_ms()
        boottime_ms = self._clock.boottime_ms()
        sighting = self._expected.hear(uuids, boottime_ms)
        if sighting is None:
            return
        is_press = sighting.event in codes.PRESSES
        if is_press and not sighting.new and self._presses.is_over_on_air(sighting.key, boottime_ms):
            # A visit would show the protected person's phone to anybody who has recorded the code.
            self.refused("replayed_code")
            return
        if sighting.new:  # before all else: it is not new a second time
            if not is_press:
                self._journal.heard(sighting.key)
            self._heard.append(_Heard(sighting, boottime_ms, rssi))
            self._signal.set()
            self._on_new()
        self.visitors[sighting.device_id].note(peer, sighting, rssi)

    async def take(self) -> None:
        """Take up what was heard, until cancelled: presses before heartbeats."""
        while True:
            await self._signal.wait()
            self._signal.clear()
            batch = list(self._heard)
            self._heard.clear()
            for sighting, boottime_ms, rssi in batch:
                if sighting.event in codes.PRESSES:
                    self._presses.heard(sighting.key, sighting.code, boottime_ms, rssi)
            for sighting, boottime_ms, _ in batch:  # a press is a heartbeat, too
                self._supervision.heard(sighting, to_wall_ms(self._clock, boottime_ms))
            heartbeats = [one for one in batch if one.sighting.event not in codes.PRESSES]
            if heartbeats:
                self._background.spawn(self._keep(heartbeats))

    async def _keep(self, heartbeats: Sequence[_Heard]) -> None:
        rows: list[Record] = []
        for sighting, _, _ in heartbeats:
            if alive := self._alive(sighting.device_id):
                rows += (alive, self._supervision.healths[sighting.device_id])
        await self._journal.keep(*rows, keys=[sighting.key for sighting, _, _ in heartbeats])
        for sighting, _, rssi in heartbeats:
            self.wake(sighting.device_id)
            fields: dict[str, Any] = {"stale": True} if sighting.stale else {}
            if not self._journal.is_kept(sighting.key):
                fields["on_disk"] = False
            self._log("heard", **sighting.key._asdict(), rssi=rssi, **fields)

    def wake(self, device_id: str) -> None:
        """Have the visitor look whether there is something for its button."""
        self.visitors[device_id].wake()

    def _alive(self, device_id: str) -> Alive | None:
        """Return what the journal is to hold of a button's heartbeats."""
        alive = self._expected.alive(device_id)
        return None if alive is None else _by_clock(alive, lambda at_ms: to_wall_ms(self._clock, at_ms))

    def rows(self) -> Iterator[Record]:
        """Return all that the journal is to hold of buttons."""
        yield from self._supervision.healths.values()
        for device_id in self._devices:
            if alive := self._alive(device_id):
                yield alive

    # -- what visitors ask and tell (visits.Host) -------------------------------------------------------

    def press(self, key: Key) -> Press | None:
        """Return the row of this press, if there is one."""
        flow = self._presses.flows.get(key)
        return None if flow is None else flow.press

    def is_kept(self, sighting: Sighting) -> bool:
        """Return whether the code is on disk, so that HEARD may be said."""
        if sighting.event not in codes.PRESSES:
            return self._journal.is_kept(sighting.key)
        flow = self._presses.flows.get(sighting.key)
        return flow is not None and flow.is_kept

    def contact_read(self, sighting: Sighting, value: state.State) -> Key | None:
        """Take a CONTACT's state; return the press that is open, which now goes to the centre."""
        device_id, boottime_ms = sighting.device_id, self._clock.boottime_ms()
        self._expected.lives(device_id, boottime_ms)
        rows: list[Record] = [self._supervision.state_read(device_id, value, self._clock.now_ms())]
        if alive := self._alive(device_id):
            rows.append(alive)
        self._background.spawn(self._journal.keep(*rows))
        key = open_press(device_id, value)
        if key is None:
            return None
        if self._expected.accept(*key):
            code = self._expected.code(*key)
            self._presses.heard(key, code, boottime_ms, age=press_age.when_heard(value))
        else:
            self._presses.contact_read(key, value)
        return key

    def state_read(self, sighting: Sighting, value: state.State) -> None:
        """Take the state of a button that has a press on the air: how old that is."""
        self._presses.state_read(sighting.key, value)

    def taken(self, key: Key, stage: int) -> None:
        """Take note that the button itself has taken `stage`."""
        self._presses.taken(key, stage)

    def refused(self, reason: str) -> None:
        """Count something that was not what a button of ours, or the centre, says."""
        self._refusals[reason] = self._refusals.get(reason, 0) + 1

    # -- the time ---------------------------------------------------------------------------------------

    async def tick(self) -> None:
        """Expect what the time implies, and tell what was refused; every minute, until cancelled."""
        unknown = 0
        while True:
            await asyncio.sleep(REFUSED_EVERY_S)
            self._expected.tick(self._clock.boottime_ms())
            if self._expected.unknown > unknown:
                self._refusals["unknown_code"] = self._expected.unknown - unknown
                unknown = self._expected.unknown
            for reason, count in self._refusals.items():
                self._log("refused", reason=reason, count=count)
            self._refusals.clear()

    async def close(self) -> None:
        """End what still waits for the disk."""
        await self._background.cancel()


def _by_clock(alive: Alive, by: Callable[[int], int]) -> Alive:
    """Return `alive` in the time of another clock."""
    return replace(alive, heard_at_ms=by(alive.heard_at_ms), on_time_at_ms=by(alive.on_time_at_ms))
