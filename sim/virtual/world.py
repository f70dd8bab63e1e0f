"""A world in virtual time: made from a schedule, run to its end, read from its events.

    world = World(draw(7))
    world.run()
    world.events, world.trace()

Everything that is left to chance comes from streams of the schedule's seed, one for each subject, so that a
step that is left out changes as little as can be of the rest.
"""

import json
from contextlib import suppress
from random import Random
from typing import Any

from sim.faults import CENTRE
from sim.judge.audit import journal_has
from sim.judge.events import WorldEvent
from sim.virtual.button import Button, OwnWay
from sim.virtual.centre import Centre
from sim.virtual.disk import Disk
from sim.virtual.fault_script import Schedule, Step, names
from sim.virtual.fixture import EPOCH_MS, make_fixture, sealer
from sim.virtual.network import Network
from sim.virtual.phone import Phone
from sim.virtual.radio_world import Air
from sim.virtual.script_runner import Parts, ScriptRunner
from sim.virtual.stranger import Overheard
from sim.virtual.time import Clock, Time
from sim.virtual.uplink import OpenWays
from wire import codes, state
from wire.keys import InvalidMessage, Mac, derive

EVENTS_MAX = 200_000


class World:
    """`buttons`, `phones` and `centre` by name; `do(step)` is what the schedule does, too."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.events: list[WorldEvent] = []
        self._is_over = False
        self.time = Time(self._random("time"))
        self.air = Air(self.time, schedule.seed)
        self.air.set_loss(schedule.loss)
        self.network = Network(self.time, self._random("network"))
        self.overheard = Overheard()
        self._incidents: dict[str, str] = {}
        self._on_air: dict[str, tuple[int, int]] = {}
        self._ways: dict[str, OpenWays] = {}
        fixture = make_fixture(schedule.buttons, schedule.phones, schedule.alive_period_s)
        self._disks = [Disk(fixture.centre_image, self._now_s)]
        centre_clock = Clock(self.time, EPOCH_MS)
        self.centre = Centre(
            self.time,
            self.network,
            self._disks[0],
            sealer(),
            fixture.operator,
            self._random("centre"),
            self.record,
            centre_clock.now_ms,
            {one.device_id: Mac(derive(one.root, "direct", 0)) for one in fixture.buttons},
        )
        own_way = None
        if schedule.direct != "off":
            own_way = OwnWay(schedule.direct, tuple(schedule.carriers.split()), self.centre)
        self.buttons = {
            name: Button(name, made, self.time, self.air, self._random(name), self.record, own_way)
            for name, made in zip(names("button", schedule.buttons), fixture.buttons, strict=True)
        }
        self.phones: dict[str, Phone] = {}
        for name, devices in zip(names("bridge", schedule.phones), fixture.devices, strict=True):
            self._disks.append(Disk(fixture.journal_image, self._now_s))
            self.phones[name] = Phone(
                name,
                devices,
                self.time,
                self.air,
                self.network,
                self._disks[-1],
                self,
                self._random(name),
                self.record,
                EPOCH_MS,
                is_filtered=schedule.filtered,
                has_fixes=schedule.fixes,
                repeats=schedule.repeats,
            )
        parts = Parts(
            self.time,
            self.air,
            self.network,
            self.centre,
            centre_clock,
            self.buttons,
            self.phones,
            self.overheard,
            schedule.loss,
            self.record,
        )
        self._runner = ScriptRunner(parts, self._random("strangers"))
        self.impostors = self._runner.impostors
        for step in schedule.steps:
            self.time.at(step.at_s, self.do, step)

    def _random(self, subject: str) -> Random:
        return Random(f"{subject} {self.schedule.seed}")  # noqa: S311 -- to be the same again

    def _now_s(self) -> float:
        return self.time.now_s

    # -- running --------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Switch everything on."""
        self.centre.start()
        for phone in self.phones.values():
            phone.start()
        for number, (name, button) in enumerate(self.buttons.items()):
            self.time.at(0.5 + number, button.power_on)
            if self.schedule.direct != "off":
                carriers = self.schedule.carriers.split()
                self._ways[name] = OpenWays(name, carriers, self.time, self.record)

    def run(self) -> list[WorldEvent]:
        """From the beginning to the end of the schedule; all that happened."""
        self.begin()
        self.run_until(self.schedule.minutes * 60)
        self.end()
        return self.events

    def run_until(self, at_s: float) -> None:
        self.time.run(at_s)

    def end(self) -> None:
        """The auditor reads the centre's database, and the world is no more."""
        self.centre.audit()
        self._is_over = True
        for phone in self.phones.values():
            phone.kill()
        self.centre.kill()
        for disk in self._disks:
            disk.dispose()

    def do(self, step: Step) -> None:
        """One act or fault, now; what it begins ends by itself."""
        self.record("schedule", step.what, who=step.who, for_s=step.for_s, value=step.value)
        for name, ways in self._ways.items():
            if step.who in (name, CENTRE):
                ways.trouble(step.what, step.for_s)
        self._runner.do(step)

    # -- what happens ---------------------------------------------------------------------------------

    def record(self, by: str, what: str, **data: Any) -> None:
        """Add what has just happened, unless the world has ended."""
        if self._is_over:
            return
        incident = data.get("incident")
        if incident is not None:  # ids are drawn by chance that is not ours
            data["incident"] = self._incidents.setdefault(incident, f"incident-{len(self._incidents) + 1}")
        if what == "session":
            self.overheard.codes.append(data["code"])
            self.overheard.newest[data["button"]] = data["code"]
        elif what == "advert":
            self._on_air[by] = (int(data["args"][0]), int(data["args"][1]))
        self.events.append(WorldEvent(EPOCH_MS + self.time.now_s * 1000, by, what, data))
        assert len(self.events) < EVENTS_MAX, "this world is too busy"

    def trace(self) -> str:
        """Every event, a line each; the same for the same schedule, byte for byte."""
        return "\n".join(
            f"{(e.at_ms - EPOCH_MS) / 1000:10.4f} {e.by:10} {e.what} {json.dumps(e.data, sort_keys=True)}"
            for e in self.events
        )

    # -- radio.RadioWorld ---------------------------------------------------------------------------------

    def peripheral(self, name: str) -> Any:
        return self.buttons[name].ble if name in self.buttons else self.impostors.get(name)

    def wrote(self, phone: str, button: str, value: bytes) -> None:
        self.overheard.value(value)
        if button not in self.buttons:
            self.record(phone, "wrote_elsewhere", stage=value[0])
            return
        event, counter = self._on_air.get(button, (0, 0))
        data: dict[str, Any] = {"button": button, "stage": value[0], "event": event, "counter": counter}
        if value[0] == 0:
            device_id = self.buttons[button].provisioned.device_id
            data["on_disk"] = journal_has(self.phones[phone].disk.query, device_id, event, counter)
        self.record(phone, "wrote", **data)

    def read(self, button: str, value: bytes) -> None:
        """Record how old the button says that its press is."""
        if button not in self.buttons:
            return
        code = bytes.fromhex(self.overheard.newest[button].replace("-", ""))
        mac = Mac(derive(self.buttons[button].provisioned.root, "state", 0))
        with suppress(InvalidMessage):  # the code may be another one by now
            said = state.unseal(mac, code, value)
            if said.flags & state.OPEN and said.age_10s != state.AGE_UNKNOWN:
                is_bound = bool(said.flags & state.AGE_LOWER_BOUND)
                event = codes.TEST if said.flags & state.IS_TEST else codes.ALARM
                which = {"event": event, "counter": said.press_counter, "age_s": said.age_10s * 10}
                self.record("air", "age", button=button, is_lower_bound=is_bound, **which)
