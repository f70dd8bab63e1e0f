"""A scenario played in the real-time world: hands, walks, faults and operators, each at its time."""

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp

from bridge.store.home import Home as BridgeHome
from sim.faults import DIRECT_FAULTS
from sim.judge.events import WorldEvent
from sim.physics.medium import PROFILES
from sim.realtime.brown_out import brown_outs
from sim.realtime.clock import SettableClock
from sim.realtime.impostor import impersonate
from sim.realtime.network import Network
from sim.realtime.protected_person import ProtectedPerson, free_port
from sim.realtime.receiver import Receiver
from sim.realtime.small_disk import SmallDisk
from sim.realtime.stranger import Stranger
from sim.realtime.vibrations import VibrationListener
from sim.realtime.world import Trouble, World
from sim.scenarios.expectations import PlayedPress, Verdict, expected, presses, promised
from sim.scenarios.model import Act, Fault, PhoneSpec, Scenario
from sim.scenarios.places import Places

FAR_M = 400.0
_SETTLE_S = 1.0  # after all has come: what must not come may still do so


@dataclass
class Played:
    """A scenario that was played, and what came of it. Times are since `started_ms`, in ms since 1970."""

    scenario: Scenario
    started_ms: float
    ended_ms: float
    events: list[WorldEvent]
    presses: list[PlayedPress]
    verdicts: list[Verdict]
    names: dict[str, str] = field(default_factory=dict)  # what each actor is: button, phone, ...

    @property
    def holds(self) -> bool:
        return all(verdict.holds for verdict in self.verdicts)


# Who else is there from before the first act until after the last: entered and left with the others present.
Bystanders = Callable[[World], contextlib.AbstractAsyncContextManager[object]]


def nobody(_world: World) -> contextlib.AbstractAsyncContextManager[object]:
    return contextlib.nullcontext()


class Play:
    """`happened` is told of everything, as it happens."""

    def __init__(
        self,
        scenario: Scenario,
        beside: Path,
        home: Path,
        happened: Callable[[WorldEvent], None],
        bystanders: Bystanders = nobody,
    ) -> None:
        """`beside`: the scenario's own folder; `home`: an empty one."""
        self._bystanders = bystanders
        self.scenario, self._beside, self._home, self._happened = scenario, beside, home, happened
        self._places = Places(scenario)
        self._started_ms = time.time() * 1000
        self._networks: dict[str, Network] = {}
        self._pages: dict[str, tuple[int, str]] = {}
        self._strangers: list[Stranger] = []
        self._disks: dict[str, SmallDisk] = {}
        self._receivers: dict[str, Receiver] = {}
        self._going_on: dict[int, asyncio.Task[None]] = {}  # by line: faults that are somebody's work
        self._out_of_reach: set[str] = set()
        # Lines of acts that were done and of faults that have struck; and of those that are over.
        self._begun: set[int] = set()
        self._over: set[int] = set()
        self._clocks = {
            fault.who: SettableClock(home, fault.who)
            for fault in scenario.faults
            if fault.what == "clock_jumps"
        }

    async def run(self) -> Played:
        """Play it, and judge. Raises Trouble where the world cannot be set up, NoFaketime, CannotMount."""
        world = World(
            self._home,
            seed=self.scenario.seed,
            loss=self.scenario.loss,
            distance_m=self._distance_m,
            between_db=lambda one, other: self._places.between_db(one, other, self._now_ms()),
            shadow_db=self.scenario.shadow_db,
            crowd=self.scenario.crowd,
            clocks=self._clocks,
        )
        async with world, self._peopled(world), self._bystanders(world):
            self._world = world
            started_ms = self._started_ms = time.time() * 1000
            since = len(world.events)
            world.record("world", "begins")
            jobs = [asyncio.create_task(job) for job in self._jobs()]
            try:
                await self._until_done(jobs, since, started_ms)
            finally:
                for job in jobs:
                    job.cancel()
                await asyncio.gather(*jobs, return_exceptions=True)
            events = world.events[since:]
            verdicts = expected(self.scenario, events, self._device_ids, started_ms)
            verdicts += [Verdict(False, f"{error}") for error in self._failures(jobs)]
            verdicts += self._never_played()
            verdicts += promised(world.judge(self._calm_from_ms()))
            return Played(
                self.scenario,
                started_ms,
                time.time() * 1000,
                events,
                presses(events, self._device_ids),
                verdicts,
                {"centre": "centre"}
                | {one.name: "button" for one in self.scenario.buttons}
                | {one.name: "phone" for one in self.scenario.phones},
            )

    def _distance_m(self, one: str, other: str) -> float:
        is_away = bool({one, other} & self._out_of_reach)
        return FAR_M if is_away else self._places.distance_m(one, other, self._now_ms())

    def _now_ms(self) -> float:
        """Since it began."""
        return time.time() * 1000 - self._started_ms

    # -- who is there ---------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def _peopled(self, world: World) -> AsyncIterator[None]:
        try:
            for fault in self.scenario.faults:
                if fault.what in _DISKS_KIB and fault.who not in self._disks:
                    kib = _DISKS_KIB[fault.what]
                    self._disks[fault.who] = SmallDisk(self._home / fault.who, kib)
            with world.watching(self._happened):
                add = world.add_dispatch_system if self.scenario.dispatch_system else world.add_centre
                await add("--signs-per-s", str(self.scenario.signs_per_s))
                for spec in self.scenario.buttons:
                    battery = {"battery_mv": spec.battery_mv}
                    await world.add_button(spec.name, spec.direct, spec.carriers, **battery, **spec.settings)
                self._device_ids = {name: button.device_id for name, button in world.buttons.items()}
                feeling = {name: VibrationListener(self._felt(world, name)) for name in world.buttons}
                for phone in self.scenario.phones:
                    await self._add_phone(world, phone)
                for name in world.buttons:
                    await world.wait_for(partial(_sleeps, name))
                await self._add_flood(world)

                def feel(e: WorldEvent) -> None:
                    if e.by in feeling:
                        feeling[e.by].take(e)

                with world.watching(feel):
                    yield
        finally:
            await asyncio.gather(*(self._end_work(line) for line in list(self._going_on)))
            for receiver in self._receivers.values():
                receiver.close()
            await asyncio.gather(*(one.leave() for one in self._strangers), return_exceptions=True)
            await asyncio.gather(*(network.close() for network in self._networks.values()))
            for disk in self._disks.values():
                disk.close()  # lazily: whoever has files open there keeps them to its end

    def _felt(self, world: World, name: str) -> Callable[[str], None]:
        return lambda pattern: world.record("hand", "felt", button=name, pattern=pattern)

    async def _add_phone(self, world: World, spec: PhoneSpec) -> None:
        host, _, port = world.url.removeprefix("https://").partition(":")
        network = self._networks[spec.name] = Network((host, int(port)), world.home / "centre", self._home)
        url = f"https://127.0.0.1:{await network.open()}"
        enrolments = [
            (await self._enrolment(world, name, spec)).replace(world.url, url) for name in spec.buttons
        ]
        for enrolment in enrolments[1:]:
            await world.enrol(spec.name, enrolment, *spec.pins)
        page = free_port()
        options = ["--set", f"page.port={page}"]
        if any((one.what, one.who) == ("receiver_date", spec.name) for one in self.scenario.faults):
            receiver = self._receivers[spec.name] = Receiver(*spec.fix[:2])
            receiver.begin()
            options += ["--set", 'position.sources=["nmea"]', "--set", f"position.nmea={receiver.port}"]
        elif spec.fix:
            options += ["--fix", ",".join(f"{part:g}" for part in spec.fix)]
        if spec.gpx:
            options += ["--gpx", str(self._beside / spec.gpx)]
        await world.add_bridge(enrolments[0], spec.name, *options, profile=spec.profile, pins=spec.pins)
        self._pages[spec.name] = page, BridgeHome(world.home / spec.name).page_secret()

    async def _add_flood(self, world: World) -> None:
        for fault in self.scenario.faults:
            if fault.what == "flood":
                await world.add_flood(_fleet(fault), fault.values["bridges"])

    async def _enrolment(self, world: World, name: str, spec: PhoneSpec) -> str:
        """Return the QR text of a button for one more phone; the first one has that of its provisioning."""
        is_taken = any(name in other.buttons for other in self._phones_before(spec))
        button = world.buttons[name]
        return await world.another_enrolment(button) if is_taken else button.enrolment

    def _phones_before(self, spec: PhoneSpec) -> list[PhoneSpec]:
        return list(self.scenario.phones[: self.scenario.phones.index(spec)])

    # -- what happens, and when -----------------------------------------------------------------------

    def _jobs(self) -> list[Any]:
        return [self._act(act) for act in self.scenario.acts] + [
            self._fault(fault) for fault in self.scenario.faults
        ]

    async def _until_done(self, jobs: list[asyncio.Task[None]], since: int, started_ms: float) -> None:
        """All was done, what went wrong is over, and all that is expected has come; or the time is over."""
        if self.scenario.to_the_end or any(expect.never for expect in self.scenario.expects):
            await asyncio.sleep(self.scenario.ends_after_ms / 1000)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.scenario.ends_after_ms / 1000):
                await self._world.until(lambda: self._all_came(jobs, since, started_ms))
                await asyncio.sleep(_SETTLE_S)

    def _all_came(self, jobs: list[asyncio.Task[None]], since: int, started_ms: float) -> bool:
        if self._failures(jobs):
            return True
        if any(item.line not in self._over for item in self._to_play()):
            return False
        seen = self._world.events[since:]
        return all(one.holds for one in expected(self.scenario, seen, self._device_ids, started_ms))

    def _to_play(self) -> list[Act | Fault]:
        return [*self.scenario.acts, *self.scenario.faults]

    def _never_played(self) -> list[Verdict]:
        """Whatever held without it has shown nothing."""
        missing = [item for item in self._to_play() if item.line not in self._begun]
        return [
            Verdict(False, f"{_what(item)}: it never came to that{self._why_not(item)}", item.line)
            for item in missing
        ]

    def _why_not(self, item: Act | Fault) -> str:
        """Say what it waited for, and what was still wrong."""
        waits = f" waits for press {item.press} to be {item.after}" if item.after else ""
        still = [fault.what for fault in self.scenario.faults if self._lasts(fault)]
        wrong = f", while {' and '.join(still)} was still on" if still else ""
        return f":{waits or ' it was not done'}; the play ended after {self._now_ms() / 1000:.0f} s{wrong}"

    def _lasts(self, fault: Fault) -> bool:
        return fault.line in self._begun and (not fault.for_ms or fault.line not in self._over)

    def _calm_from_ms(self) -> float | None:
        """From when on nothing was wrong; None: something still is."""
        if any(self._lasts(fault) for fault in self.scenario.faults):
            return None
        return max((e.at_ms for e in self._world.events if e.what == "fault_ends"), default=self._started_ms)

    @staticmethod
    def _failures(jobs: list[asyncio.Task[None]]) -> list[BaseException]:
        done = [job for job in jobs if job.done() and not job.cancelled()]
        return [error for job in done if (error := job.exception())]

    async def _when(self, at_ms: int, after: str, press: int) -> None:
        begun_ms = self._started_ms
        if after:
            await self._world.until(lambda: after in self._stages(press))
            begun_ms = self._stages(press)[after]
        await asyncio.sleep(max(0.0, begun_ms + at_ms - time.time() * 1000) / 1000)

    def _stages(self, number: int) -> dict[str, float]:
        acts = presses(self._world.events, self._device_ids)
        return acts[number - 1].stages if number <= len(acts) else {}

    # -- hands, the protected person, the operator ---

    async def _act(self, act: Act) -> None:
        await self._when(act.at_ms, act.after, act.press)
        if act.does in ("press", "hold", "test"):
            button = self._world.buttons[act.who]
            self._world.record("hand", "acts", button=act.who, does=act.does)
            if act.does == "press":
                await button.press()
            elif act.does == "test":
                await button.clicks()
            else:
                button.down()
                await asyncio.sleep(act.for_ms / 1000)
                button.up()
        elif act.does == "call_off":
            await self._call_off(act)
        else:
            incident = await self._incident(act.press)
            await self._world.until(self._centre_serves)
            form = {"reason": act.reason} if act.does == "close" else {}
            if act.who and self._world.dispatch_system:
                await self._world.dispatch_system.act(incident, act.does, **form)
            else:
                await self._world.operate(incident, act.does, **form)
        self._begun.add(act.line)
        self._is_over(act)

    def _is_over(self, item: Act | Fault) -> None:
        self._over.add(item.line)
        self._world.record("world", "done", line=item.line)  # whoever waits looks again

    def _centre_serves(self) -> bool:
        """Return whether the centre serves: an operator waits until a killed one is back."""
        told = (e.what for e in reversed(self._world.events) if e.by == "centre")
        return next((what for what in told if what in ("listening", "ended")), "") == "listening"

    async def _incident(self, number: int) -> str:
        await self._world.until(lambda: "received" in self._stages(number))
        return presses(self._world.events, self._device_ids)[number - 1].incident

    async def _call_off(self, act: Act) -> None:
        port, secret = self._pages[act.who]
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {secret}"}) as session:
            person = ProtectedPerson(session, port)
            shown = await person.see()
            while not (press := shown["tags"][0]["last"]):
                shown = await person.see(shown["seen"])
            outcome = await person.call_off(press, act.pin)
            self._world.record("hand", "called off", phone=act.who, outcome=outcome)

    # -- what goes wrong -------------------------------------------------------------------------------

    async def _fault(self, fault: Fault) -> None:
        await self._when(fault.at_ms, fault.after, fault.press)
        begin, end = self._faults(fault)
        self._world.record("world", "fault_begins", fault=fault.what, who=fault.who, for_ms=fault.for_ms)
        await begin()
        self._begun.add(fault.line)
        if fault.for_ms:
            await asyncio.sleep(fault.for_ms / 1000)
            await end()
            self._world.record("world", "fault_ends", fault=fault.what, who=fault.who)
        self._is_over(fault)

    def _faults(self, fault: Fault) -> tuple[Callable[[], Awaitable[None]], Callable[[], Awaitable[None]]]:
        """How it begins, and how it ends."""
        world, who = self._world, fault.who
        if fault.what in _WAYS or fault.what == "centre_answers":
            way = _WAYS.get(fault.what) or {"stand_in": str(fault.values["status"])}
            way = way | {name: value for name, value in fault.values.items() if name == "latency_ms"}
            normal = dict.fromkeys(way, False) | {"stand_in": "", "latency_ms": 0}
            network = self._networks[who]
            return lambda: network.set(**way), lambda: network.set(**normal)
        if fault.what in ("phone_killed", "centre_killed"):
            return lambda: world.kill(who), lambda: world.start(who)
        if fault.what == "phone_off":
            return world.programs[who].stop, lambda: world.start(who)
        if fault.what == "flood":
            fleet = world.programs[_fleet(fault)]
            return _later(partial(fleet.signal, signal.SIGUSR1)), fleet.stop
        if fault.what in ("impostors", "brown_out"):
            return _later(lambda: self._begin_work(fault)), lambda: self._end_work(fault.line)
        if fault.what == "strangers":
            strangers = self._strangers_of(fault)
            return _later(lambda: self._gather_strangers(strangers)), lambda: self._disperse(strangers)
        if fault.what in DIRECT_FAULTS:
            own = world.buttons[who].way
            assert own
            return _later(partial(own.begin, fault.what, **fault.values)), _later(
                partial(own.end, fault.what)
            )
        if who in world.buttons:
            return self._button_faults(fault)
        begin, end = self._quick_faults(fault)
        return _later(begin), _later(end)

    def _button_faults(
        self, fault: Fault
    ) -> tuple[Callable[[], Awaitable[None]], Callable[[], Awaitable[None]]]:
        world, who = self._world, fault.who
        board = world.buttons[who].board
        if fault.what == "power_cut_at":

            async def end() -> None:
                await board.cut_power_at_write(0)
                if not board.is_on:
                    await board.power_on()

            # Counted from 1 there, from 0 here.
            return partial(board.cut_power_at_write, fault.values["operation"] + 1), end
        if fault.what == "button_destroyed":

            async def destroy() -> None:
                await board.power_off()
                world.record(who, "destroyed")

            return destroy, _later(_nothing)
        if fault.what == "button_reset":
            return board.reset, _later(_nothing)
        return board.power_off, board.power_on

    def _quick_faults(self, fault: Fault) -> tuple[Callable[[], Any], Callable[[], Any]]:
        air, who = self._world.air, fault.who
        if fault.what in ("phone_disk_full", "centre_disk_full"):
            return self._disks[who].fill, self._disks[who].empty
        if fault.what == "out_of_reach":
            away = self._out_of_reach
            return lambda: away.add(who), lambda: away.discard(who)
        if fault.what == "adapter_gone":
            return lambda: air.unplug(who), lambda: air.plug_in(who)
        if fault.what == "receiver_date":
            receiver, date = self._receivers[who], fault.values["date"]
            return lambda: setattr(receiver, "date", date), lambda: setattr(receiver, "date", "")
        if fault.what == "clock_jumps":
            by_ms, clock = fault.values["by_ms"], self._clocks[who]
            return lambda: clock.jump(by_ms), lambda: clock.jump(-by_ms)
        if fault.what == "radio_loss":
            loss, normal = fault.values["loss"], self.scenario.loss
            return lambda: air.change(loss=loss), lambda: air.change(loss=normal)
        if fault.what == "interference":
            busy = fault.values["busy"]
            return lambda: air.change(wifi=busy), lambda: air.change(wifi=(0.0, 0.0, 0.0))
        if fault.what == "phone_asleep":
            radio = air.radio(who)
            before = radio and radio.profile
            asleep = PROFILES["android-sleeping"]
            return lambda: setattr(radio, "profile", asleep), lambda: setattr(radio, "profile", before)
        raise AssertionError(f"nobody knows how to {fault.what}")

    def _begin_work(self, fault: Fault) -> None:
        if fault.what == "impostors":
            work = impersonate(self._world, fault.who, fault.values["shows"], fault.values["count"])
        else:
            work = brown_outs(self._world, fault.who, fault.values["keeps"])
        self._going_on[fault.line] = asyncio.create_task(work)

    async def _end_work(self, line: int) -> None:
        work = self._going_on.pop(line)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)

    def _strangers_of(self, fault: Fault) -> list[Stranger]:
        profile = "desktop-lingering" if fault.values["manner"] == "linger" else "desktop"
        names = [f"stranger-{fault.line}-{number}" for number in range(fault.values["count"])]
        return [Stranger(self._world.hci, name, profile) for name in names]

    def _gather_strangers(self, strangers: list[Stranger]) -> None:
        self._strangers += strangers
        for stranger in strangers:
            stranger.cling()

    async def _disperse(self, strangers: list[Stranger]) -> None:
        await asyncio.gather(*(one.leave() for one in strangers), return_exceptions=True)


# Room for the program, and little more.
_DISKS_KIB = {"phone_disk_full": 256, "centre_disk_full": 2048}
_WAYS: dict[str, dict[str, object]] = {
    "network_gone": {"is_cut": True},
    "network_lies": {"stand_in": "lies"},
    "network_redirects": {"stand_in": "302"},
    "network_cut": {"is_cut": True},
    "network_hangs": {"hangs": True},
    "network_slow": {"latency_ms": 0},
    "network_captive": {"stand_in": "captive"},
    "answers_lost": {"stand_in": "loses"},
    "certificate_expired": {"stand_in": "expired"},
    "certificate_foreign": {"stand_in": "foreign"},
}


def _sleeps(name: str, e: WorldEvent) -> bool:
    return e.by == name and e.what == "sleep"


def _fleet(fault: Fault) -> str:
    return f"fleet-{fault.line}"


def _nothing() -> None:
    """End what is over by itself."""


def _what(item: Act | Fault) -> str:
    return item.does if isinstance(item, Act) else item.what


def _later(do: Callable[[], Any]) -> Callable[[], Awaitable[None]]:
    async def done() -> None:
        do()

    return done


__all__ = ["Play", "Played", "Trouble"]
