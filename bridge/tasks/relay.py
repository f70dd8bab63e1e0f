"""The running bridge: its tasks, joined.

    hearing.py ----> presses.py ----HTTPS----> centre
        |               ^  |                     |
        v               |  +-- journal           | answer, stream of receipts
    visits.py <---------+------------------------+

Memory rules while it runs; the journal is for the day after. Each arrow is a task of its own, so that
connecting does not wait for the centre nor the centre for a connection. What is decided, rules/ decide.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from bridge.clock import System
from bridge.location.positions import Positions
from bridge.model import (
    CallOff,
    Device,
    Fix,
    JournalContents,
    Key,
    Record,
    Status,
    Trouble,
    Waypoint,
    rfc3339,
)
from bridge.ports import Centre, Clock, Log, OnAdvert, Radio, Source, SourceOff, Store
from bridge.reporting.alerts import Alerts
from bridge.reporting.log import place
from bridge.rules.accuracy import age_ms
from bridge.rules.expected_codes import ExpectedCodes
from bridge.rules.supervision import Supervision
from bridge.store.journal_writer import JournalWriter
from bridge.tasks.background import Background
from bridge.tasks.centre_reach import CentreReach
from bridge.tasks.hearing import Hearing
from bridge.tasks.listening import Listening
from bridge.tasks.presses import Presses
from bridge.tasks.supervision_service import SupervisionService

# Alerts that are told to whoever runs the bridge, in the log.
_NOT_THE_PROTECTED_PERSONS = ("ourselves", "post", "page")
# The same notice again: something that comes and goes must not light the phone's screen up every minute.
ANNOUNCE_AGAIN_MS = 600_000


async def no_battery() -> int | None:
    """Return None: a machine that has no battery, or does not say."""
    return None


class Relay:
    """Joins the tasks of one bridge, and answers its page (`ports.PageBridge`).

    `radio(on_advert)` makes the radio, `random()` is as `random.random`, `battery()` this phone's in percent.
    `announce(trouble)` is told what the protected person should know. `clock`: None is this machine's;
    `expected`: None is an empty one.
    """

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
        expected: ExpectedCodes | None = None,
    ) -> None:
        self._clock = clock = clock or System()
        self._devices = {device.device_id: device for device in devices}
        expected = ExpectedCodes() if expected is None else expected
        self._plain_log, self._announce = log, announce
        self._announced: dict[tuple[str, str], int] = {}
        self._generation, self._changed = 0, asyncio.Event()
        self._background = Background()
        self._alerts = alerts = Alerts(clock, self._log, self._alert_changed)
        self._sources, self._sources_off = len(sources), dict[str, SourceOff]()
        self._positions = Positions(
            sources, boottime_ms=clock.boottime_ms, on_off=self._source_off, on_fix=self._source_on
        )
        supervision = Supervision(phone_low_percent)
        self._reach = CentreReach(centre, supervision, clock, alerts, lambda: self._presses.hurry())
        self._journal = JournalWriter(journal, clock, alerts, self._rows, self._read_late)
        self._presses = Presses(
            self._devices,
            centre=centre,
            reach=self._reach,
            journal=self._journal,
            clock=clock,
            location=self._positions if sources else None,
            alerts=alerts,
            log=self._log,
            random=random,
            follow_every_s=follow_every_s,
            code=lambda key: expected.code(*key),
            on_news=self._on_news,
            on_refused=lambda reason: self._hearing.refused(reason),
        )
        self._journal.on_kept = self._presses.kept
        self._supervision = SupervisionService(
            self._devices,
            supervision=supervision,
            expected=expected,
            calm=self._presses.calm,
            centre=centre,
            reach=self._reach,
            clock=clock,
            alerts=alerts,
            log=self._log,
            battery=battery,
        )
        self._hearing = Hearing(
            self._devices,
            expected=expected,
            presses=self._presses,
            supervision=self._supervision,
            journal=self._journal,
            clock=clock,
            log=self._log,
            on_new=lambda: self._listening.arm(),
        )
        self.on_advert = self._hearing.on_advert
        self._radio = radio(self.on_advert)
        self._hearing.visit_by(self._radio)
        self._listening = Listening(
            self._radio,
            expected=expected,
            supervision=supervision,
            clock=clock,
            alerts=alerts,
            log=self._log,
            buttons=len(self._devices),
            last_advert_ms=lambda: self._hearing.last_advert_ms,
        )

    # -- running ----------------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Do everything, until `stop` is set."""
        contents = await self._journal.load()
        self._hearing.resume(contents)
        for health in contents.healths:
            if health.device_id in self._devices:
                self._supervision.resume(health)
        self._resume_presses(contents)
        works = [self._hearing.take, self._presses.run, self._listening.run, self._hearing.tick]
        works += [self._journal.retry, self._positions.run]
        works += [self._supervision.look, self._supervision.alive]
        works += [visitor.run for visitor in self._hearing.visitors.values()]
        for work in works:
            self._background.spawn(self._forever(work))
        try:
            await stop.wait()
            await self._supervision.goodbye()
        finally:
            await self._background.cancel()
            await self._hearing.close()
            await self._reach.close()
            await self._radio.stop()
            await self._journal.close()

    def _resume_presses(self, contents: JournalContents) -> None:
        waypoints: dict[Key, list[Waypoint]] = {}
        for waypoint in contents.waypoints:
            waypoints.setdefault(waypoint.key, []).append(waypoint)
        for press in contents.presses:
            if press.key not in self._presses.flows:
                self._presses.resume(press, waypoints.get(press.key, ()))

    def _read_late(self, contents: JournalContents) -> None:
        """Take up what a journal holds that could not be read when we began.

        What it tells of buttons is old news by now; its presses are not.
        """
        self._hearing.accept(contents.presses)
        self._resume_presses(contents)

    def _rows(self) -> Iterator[Record]:
        """Return all that the journal is to hold."""
        yield from self._presses.rows()
        yield from self._hearing.rows()

    async def _forever(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work`; a mistake of ours in one task must not silence the others."""
        while True:
            try:
                await work()
                return
            except Exception as error:
                text = f"a mistake of the bridge's own, going on: {place(error)}"
                self._alerts.tell("ourselves", "internal", text)
                await asyncio.sleep(1)

    # -- what is told -----------------------------------------------------------------------------------

    def _source_off(self, name: str, off: SourceOff) -> None:
        """Tell that no source of positions is left: not every machine has every source."""
        self._sources_off[name] = off
        if len(self._sources_off) == self._sources:
            why = "; ".join(str(each) for each in self._sources_off.values())
            self._alerts.tell("location", "no_position", f"alarms go without a position: {why}")

    def _source_on(self, name: str) -> None:
        self._sources_off.pop(name, None)
        self._alerts.over("location")

    def hurry(self) -> None:
        """Send at once what waits to be tried again: a network has come."""
        self._presses.hurry()

    def trouble(self, where: str, reason: str, text: str) -> None:
        """Tell that something beside the bridge is not as it must be."""
        self._alerts.tell(where, reason, text)

    def _on_news(self, device_id: str) -> None:
        self._hearing.wake(device_id)
        self._touch()

    def _log(self, what: str, **fields: Any) -> None:
        self._plain_log(what, **fields)
        self._touch()

    def _touch(self) -> None:
        """Take note that something may have changed that the page shows."""
        self._generation += 1
        self._changed.set()
        self._changed = asyncio.Event()

    def _alert_changed(self, trouble: Trouble | None) -> None:
        if trouble is None or self._announce is None or trouble.where in _NOT_THE_PROTECTED_PERSONS:
            return
        what, now_ms = (trouble.where, trouble.reason), self._clock.monotonic_ms()
        if now_ms - self._announced.get(what, -ANNOUNCE_AGAIN_MS) >= ANNOUNCE_AGAIN_MS:
            self._announced[what] = now_ms
            self._background.spawn(_wait_for(self._announce(trouble)))

    # -- the protected person's page (ports.PageBridge) -----------------------------------------------------

    def status(self) -> Status:
        """Return how everything is now."""
        presses = [flow.press for flow in self._presses.flows.values()]
        return Status(
            self._generation,
            self._clock.now_ms(),
            tuple(self._supervision.button(device_id, presses) for device_id in self._devices),
            self._reach.is_ok,
            self._reach.answered_at_ms,
            self._supervision.rules.is_listening,
            self._supervision.rules.battery_percent,
            self._position(),
            tuple(self._alerts),
        )

    def _position(self) -> Fix | None:
        """Return the best position with the time at which it came, for it is shown beside our own clock."""
        boottime_ms = self._clock.boottime_ms()
        fix = self._positions.latest(boottime_ms)
        if fix is None or fix.method == "MANUAL":  # it says when it was stated
            return fix
        return replace(fix, taken_at=rfc3339(self._clock.now_ms() - age_ms(fix, boottime_ms)))

    async def changed(self, seen: int) -> None:
        """Return when `status().generation` is not `seen`."""
        while self._generation == seen:
            await self._changed.wait()

    async def call_off(self, key: Key, pin: str) -> CallOff:
        """Call an alarm off; return what became of it."""
        return await self._presses.call_off(key, pin)

    async def check(self) -> bool:
        """Ask the centre now; return whether it answered."""
        return await self._supervision.check()


async def _wait_for(work: Awaitable[None]) -> None:
    await work
