"""`amr-sim demo --direct`: the phone is off, and a press reaches the centre by each of the button's ways."""

import asyncio
import contextlib
from dataclasses import dataclass

from sim.faults import LTE, WIFI
from sim.realtime import demo_data
from sim.realtime.demo import Demo, Screen, Timeline, own_stage
from sim.realtime.own_way import OwnWay
from sim.realtime.world import Button, Trouble, World, WorldEvent

STAGES = (
    "pressed",
    "held",
    "first_advert",
    "own_radio_on",
    "received",
    "receipt",
    "closed",
    "closed_receipt",
)
_STAGE_S_MAX = 90  # a modem starts, registers and is asked, on a machine that is busy otherwise
_FELT_S_MAX = 5


@dataclass(frozen=True)
class Way:
    """One way to the centre, and what is wrong with the others meanwhile."""

    name: str
    words: str
    carrier: str
    faults: tuple[str, ...]


WAYS = (
    Way("wifi-datagram", "Wi-Fi of the home: one datagram there, one back", WIFI, ("cell_gone",)),
    Way("wifi-https", "the network drops datagrams: the same over TLS", WIFI, ("cell_gone", "udp_blocked")),
    Way("modem", "no Wi-Fi in reach: an LTE-M modem by AT", LTE, ("wifi_gone",)),
)


class DirectTimeline(Timeline):
    """The stages of a press that no phone hears."""

    wanted = STAGES

    def stage_of(self, e: WorldEvent) -> tuple[str | None, str]:
        """Return which stage an event is, and who has reached it."""
        if e.what == "direct" and e.by == "button" and e.data["args"][1:] in (["on"], ["slow"]):
            return "own_radio_on", e.by
        if e.what == "closed" and self.incident and e.data.get("incident") == self.incident:
            return "closed", "operator"
        if e.what == "receipt" and e.by == "button" and e.data["args"][0] == "4":
            return "closed_receipt", e.by
        stage, by = super().stage_of(e)
        return (stage if stage in self.wanted else None), by


class DirectDemo(Demo):
    """One press for each way; an operator closes it before the next."""

    timeline_kind = DirectTimeline

    def __init__(self, world: World, button: Button, screen: Screen) -> None:
        super().__init__(world, button, screen, _STAGE_S_MAX)
        assert button.way
        self._way: OwnWay = button.way
        self._reports: list[dict[str, object]] = []

    async def once(self) -> None:
        """Show all ways. Raises Trouble naming the way, and the first stage that did not happen."""
        for way in WAYS:
            self.screen.say(f"\n{way.words}", "1")
            for fault in way.faults:
                self._way.begin(fault)
            try:
                await self._one(way)
            except Trouble as trouble:
                raise Trouble(f"{way.name}: {trouble}") from None
            for fault in way.faults:
                self._way.end(fault)

    async def _one(self, way: Way) -> None:
        since = len(self.world.events)
        traffic = self._way.uplink.traffic
        before = traffic.datagrams, traffic.connections
        self.restart()
        self._later(self.button.press())
        await self._stage("receipt")
        by = next(e.data["args"][1:] for e in self.world.events[since:] if own_stage(e) == "receipt")
        went = (traffic.datagrams > before[0], traffic.connections > before[1])
        if by != [way.carrier] or went != (way.name == "wifi-datagram", way.name == "wifi-https"):
            raise Trouble(f"receipt: came by another way than it was to, {' '.join(by) or 'Bluetooth'}")
        await self.world.operate(self.timeline.incident, "close", reason="technical")
        await self._stage("closed_receipt")
        closed = len(self.world.events)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._settled(), _FELT_S_MAX)
        await self.world.wait_for(lambda e: e.by == self.button.name and e.what == "sleep", since=closed)
        self._reports.append(
            {
                "way": way.name,
                "carrier": way.carrier,
                "stages": self.timeline.stages,
                "counter": self.timeline.counter,
                "incident": self.timeline.incident,
            }
        )

    def feel(self, pattern: str) -> None:
        """Show what the hand feels; CLOSED is the last of it."""
        super().feel(pattern)
        if pattern == "CLOSED":
            self.all_felt.set()
        else:
            self.all_felt.clear()

    def report(self) -> dict[str, object]:
        """Return what a program reads."""
        return {
            "ways": self._reports,
            "device_id": self.button.device_id,
            "receipt_proven_by": self.button.board.interpreter,
        }


async def prepare(world: World, screen: Screen) -> Demo:
    """Add a centre, a button with Wi-Fi and a modem, and the protected person's phone, which goes off."""
    await world.add_centre()
    button = await world.add_button("button", "backup", (WIFI, LTE))
    await asyncio.to_thread(demo_data.hand_out, world.centre_home, button.device_id)
    await world.add_bridge(button.enrolment, "bridge")
    await world.wait_for(lambda e: e.by == button.name and e.what == "sleep")
    await world.programs["bridge"].stop()
    screen.say(f"{'phone':14} switched off", "33")
    return DirectDemo(world, button, screen)
