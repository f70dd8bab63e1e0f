"""A world in virtual time: made from a schedule, run to its end, read from its happenings.

    world = World(draw(7))
    world.run()
    world.happenings, world.trace()

Everything that is left to chance comes from streams of the schedule's seed, one for each subject, so that a
step that is left out changes as little as can be of the rest.
"""

import json
from random import Random
from typing import Any

from sim.judge.events import Happening
from sim.virtual.button import Button
from sim.virtual.centre import Centre
from sim.virtual.disk import Disk
from sim.virtual.fault_script import Schedule, Step, names
from sim.virtual.fixture import EPOCH_MS, beginning, sealer
from sim.virtual.network import Network
from sim.virtual.phone import Phone
from sim.virtual.radio_world import Air
from sim.virtual.script_runner import Steps
from sim.virtual.stranger import Overheard
from sim.virtual.time import Time

HAPPENINGS_MAX = 200_000


class World:
    """`buttons`, `phones` and `centre` by name; `do(step)` is what the schedule does, too."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.happenings: list[Happening] = []
        self.time = Time(self._random("time"))
        self.air = Air(self.time, schedule.seed)
        self.air.set_loss(schedule.loss)
        self.network = Network(self.time, self._random("network"))
        self.overheard = Overheard()
        self._incidents: dict[str, str] = {}
        self._on_air: dict[str, tuple[int, int]] = {}
        start = beginning(schedule.buttons, schedule.phones, schedule.alive_period_s)
        self._disks = [Disk(start.centre_image, self._now_s)]
        self.centre_set_ms = 0
        self.centre = Centre(
            self.time,
            self.network,
            self._disks[0],
            sealer(),
            start.operator,
            self._random("centre"),
            self.happen,
            lambda: EPOCH_MS + self.time.now_s * 1000 + self.centre_set_ms,
        )
        self.buttons = {
            name: Button(name, made, self.time, self.air, self._random(name), self.happen)
            for name, made in zip(names("button", schedule.buttons), start.made, strict=True)
        }
        self.phones: dict[str, Phone] = {}
        for name, devices in zip(names("bridge", schedule.phones), start.devices, strict=True):
            self._disks.append(Disk(start.journal_image, self._now_s))
            self.phones[name] = Phone(
                name,
                devices,
                self.time,
                self.air,
                self.network,
                self._disks[-1],
                self,
                self._random(name),
                self.happen,
                EPOCH_MS,
                is_filtered=schedule.filtered,
                has_fixes=schedule.fixes,
                repeats=schedule.repeats,
            )
        self._steps = Steps(self, self._random("strangers"))
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
        for number, button in enumerate(self.buttons.values()):
            self.time.at(0.5 + number, button.power_on)

    def run(self) -> list[Happening]:
        """From the beginning to the end of the schedule; all that happened."""
        self.begin()
        self.run_until(self.schedule.minutes * 60)
        self.end()
        return self.happenings

    def run_until(self, at_s: float) -> None:
        self.time.run(at_s)

    def end(self) -> None:
        """The auditor reads the centre's database, and the world is no more."""
        self.centre.audit()
        happen, self.happen = self.happen, _nobody  # type: ignore[method-assign]
        for phone in self.phones.values():
            phone.kill()
        self.centre.kill()
        for disk in self._disks:
            disk.dispose()
        self.happen = happen  # type: ignore[method-assign]

    def do(self, step: Step) -> None:
        """One act or fault, now; what it begins ends by itself."""
        self.happen("schedule", step.what, who=step.who, for_s=step.for_s, value=step.value)
        self._steps.do(step)

    # -- what happens ---------------------------------------------------------------------------------

    def happen(self, by: str, what: str, **data: Any) -> None:
        incident = data.get("incident")
        if incident is not None:  # ids are drawn by chance that is not ours
            data["incident"] = self._incidents.setdefault(incident, f"incident-{len(self._incidents) + 1}")
        if what == "advert":
            if by == "air":
                self.overheard.codes.append(data["code"])
            else:
                self._on_air[by] = (int(data["args"][0]), int(data["args"][1]))
        self.happenings.append(Happening(EPOCH_MS + self.time.now_s * 1000, by, what, data))
        assert len(self.happenings) < HAPPENINGS_MAX, "this world is too busy"

    def trace(self) -> str:
        """Every happening, a line each; the same for the same schedule, byte for byte."""
        return "\n".join(
            f"{(h.at_ms - EPOCH_MS) / 1000:10.4f} {h.by:10} {h.what} {json.dumps(h.data, sort_keys=True)}"
            for h in self.happenings
        )

    # -- radio.Aether ---------------------------------------------------------------------------------

    def peripheral(self, name: str) -> Any:
        return self.buttons[name].ble if name in self.buttons else None

    def wrote(self, phone: str, button: str, value: bytes) -> None:
        self.overheard.value(value)
        event, counter = self._on_air.get(button, (0, 0))
        data: dict[str, Any] = {"button": button, "stage": value[0], "event": event, "counter": counter}
        if value[0] == 0:
            device_id = self.buttons[button].made.device_id
            data["on_disk"] = self.phones[phone].has_on_disk(device_id, event, counter)
        self.happen(phone, "wrote", **data)


def _nobody(*_: object, **__: object) -> None:
    """Nobody watches the end of a world."""
