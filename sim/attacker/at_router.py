"""Hours at a router by which buttons reach the centre by themselves, in virtual time."""

import math
from functools import partial
from random import Random

from sim.faults import WIFI
from sim.radio.packets import DATAGRAM, Packet
from sim.virtual.fault_script import Schedule, Step, names
from sim.virtual.world import World
from wire import receipts
from wire.direct import station_mac
from wire.keys import Mac, derive

BUTTONS = 8  # as in a shelter
_SSID = b"Home"
_BEGINS_S, _CLOSED_S = 60.0, 900.0


def at_router(seed: int, hours: float) -> tuple[list[Packet], dict[str, Mac]]:
    """Return what goes by, and whose keys it is under. Each button presses about once an hour.

    Their phones are away for half of it.
    """
    world = World(_life(seed, hours))
    packets: list[Packet] = []
    keys: dict[str, Mac] = {}

    def pass_by(station: str, is_outward: bool, data: bytes) -> None:
        packets.append(Packet(world.time.now_s * 1000, station, is_outward, DATAGRAM, data))

    for button in world.buttons.values():
        made = button.provisioned
        mac = keys[made.device_id] = Mac(derive(made.root, "direct", 0))
        button.uplinks[WIFI].on_datagram = partial(pass_by, station_mac(mac, _SSID).hex(":"))
    world.run()
    return packets, keys


def _life(seed: int, hours: float) -> Schedule:
    random = Random(f"at the router {seed}")  # noqa: S311 -- to be the same again
    steps: list[Step] = []
    for button in names("button", BUTTONS):
        for hour in range(math.ceil(hours)):
            room_s = min(hours - hour, 1) * 3600
            at_s = hour * 3600 + random.uniform(_BEGINS_S, max(_BEGINS_S, room_s - _CLOSED_S))
            steps.append(Step(at_s, random.choice(("hold", "clicks")), button))
            if random.random() < 0.5:  # the phone is empty, or elsewhere
                steps.append(Step(at_s - 1, "out_of_reach", "bridge", for_s=random.uniform(100, 600)))
            for number, stage in enumerate((receipts.ACKNOWLEDGED, receipts.DISPATCHED, receipts.CLOSED)):
                steps.append(Step(at_s + _CLOSED_S / 3 * (number + 1), "operate", "centre", value=stage))
    steps.sort(key=lambda step: step.at_s)
    return Schedule(seed, tuple(steps), minutes=hours * 60, buttons=BUTTONS, direct="always", carriers=WIFI)
