"""Hours beside protected persons, in virtual time: the firmware's own program, bridge and centre."""

import math
from dataclasses import dataclass
from random import Random
from uuid import UUID

from bridge.model import Device
from sim.attacker.crowd import strength_dbm
from sim.physics.medium import ADV_DELAY_US_MAX
from sim.radio.adverts import Heard
from sim.recording.replay import device_of
from sim.virtual.fault_script import Schedule, Step, names
from sim.virtual.radio_world import Sender
from sim.virtual.world import World
from wire import codes, receipts

BUTTONS = 3
BEGINS_S = 20.0
_CLOSED_S = 600.0


@dataclass(frozen=True, slots=True)
class _Sent:
    at_us: int
    interval_us: int
    address: str
    uuid: str
    connectable: bool


def beside(seed: int, hours: float) -> tuple[list[Heard], list[Device]]:
    """Return what a scanner hears of them, and whose buttons they are. Each presses about once an hour."""
    schedule = _life(seed, hours)
    world = World(schedule)
    sent: dict[str, list[_Sent]] = {}

    def on_send(sender: Sender) -> None:
        now_us = int(world.time.now_s * 1e6)
        one = _Sent(now_us, sender.interval_us, sender.address, sender.uuid, sender.connectable)
        sent.setdefault(sender.name, []).append(one)

    world.air.on_send = on_send
    world.run()
    heard = [one for name in world.buttons for one in _heard(seed, name, sent.get(name, []), hours * 3.6e9)]
    devices = [device_of(one.provisioned.device_id, one.provisioned.root) for one in world.buttons.values()]
    return sorted(heard), devices


def _life(seed: int, hours: float) -> Schedule:
    random = Random(f"beside {seed}")  # noqa: S311 -- to be the same again
    steps: list[Step] = []
    for button in names("button", BUTTONS):
        for hour in range(math.ceil(hours)):
            at_s = hour * 3600 + random.uniform(BEGINS_S, min(hours - hour, 1) * 3600 - BEGINS_S)
            steps.append(Step(at_s, random.choice(("hold", "clicks")), button))
            if random.random() < 0.5:  # the phone is in another room
                steps.append(Step(at_s - 1, "out_of_reach", "bridge", for_s=random.uniform(10, 90)))
            for number, stage in enumerate((receipts.ACKNOWLEDGED, receipts.DISPATCHED, receipts.CLOSED)):
                steps.append(Step(at_s + _CLOSED_S + number, "operate", "centre", value=stage))
    steps.sort(key=lambda step: step.at_s)
    return Schedule(seed, tuple(steps), minutes=hours * 60, buttons=BUTTONS)


def _heard(seed: int, name: str, sent: list[_Sent], end_us: float) -> list[Heard]:
    random = Random(f"heard {seed} {name}")  # noqa: S311
    turns = [(random.uniform(0.3, 2) * 1e-9, random.uniform(0, 6.3)) for _ in range(3)]
    heard: list[Heard] = []
    for number, one in enumerate(sent):
        until_us = sent[number + 1].at_us if number + 1 < len(sent) else end_us
        at_us: float = one.at_us
        while one.interval_us and at_us < until_us:
            wander = sum(math.sin(6.3 * speed * at_us + phase) for speed, phase in turns) / 3
            # The protected person goes about, 2 to 12 m away.
            strength = strength_dbm(6.5 + 5 * wander, random)
            kind = "ADV_IND" if one.connectable else "ADV_SCAN_IND"
            data = codes.advert(UUID(one.uuid).bytes)
            heard.append(Heard(at_us / 1000, strength, _colons(one.address), "random", kind, data))
            at_us += one.interval_us + random.uniform(0, ADV_DELAY_US_MAX)
    return heard


def _colons(address: str) -> str:
    return ":".join(address[at : at + 2] for at in range(0, 12, 2))
