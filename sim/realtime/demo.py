"""`amr-sim demo`: one press, all the way to the centre and back to the hand, before your eyes."""

import asyncio
import contextlib
import json
import sys
import tempfile
import termios
import tty
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from sim.realtime import demo_data
from sim.realtime.people import EXAMPLE
from sim.realtime.vibrations import VibrationListener
from sim.realtime.world import Button, Trouble, World, WorldEvent

STAGES = (
    "pressed",
    "held",
    "first_advert",
    "heard",
    "received",
    "receipt",
    "acknowledged",
    "acknowledged_receipt",
)
_STAGE_S_MAX = 30
_PATTERNS_OF_A_PRESS = 3  # taken, RECEIVED, ACKNOWLEDGED
_WHERE = "50.8466,4.3528,25"
_KEYS = "Space or Enter presses, t tests silently, a acknowledges, n new addresses, q ends"
_EVENTS = {1: "alarm", 2: "silent test"}
_WORDS = {
    "pressed": "a finger goes down",
    "held": "the press is on flash: one short pulse, taken",
    "first_advert": "the code is on the air",
    "heard": "the phone has it on disk",
    "received": "the centre has it on disk",
    "receipt": "RECEIVED proven on the button",
    "acknowledged": "an operator has taken it",
    "acknowledged_receipt": "ACKNOWLEDGED proven on the button",
    "own_radio_on": "no phone has heard it: the button's own radio goes on",
    "closed": "an operator has closed it",
    "closed_receipt": "CLOSED proven on the button",
}


@dataclass
class Timeline:
    """The stages of one press, in the order in which they happened."""

    pressed_ms: float
    stages: list[dict[str, object]] = field(default_factory=list)
    event: int = 0
    counter: int = 0
    code: str = ""
    incident: str = ""
    wanted: ClassVar[tuple[str, ...]] = STAGES

    def at(self, stage: str, event: WorldEvent, by: str) -> str:
        self.stages.append({"stage": stage, "at_ms": round(event.at_ms - self.pressed_ms, 1), "by": by})
        return stage

    def has(self, stage: str) -> bool:
        return any(s["stage"] == stage for s in self.stages)

    def missing(self) -> str | None:
        return next((stage for stage in self.wanted if not self.has(stage)), None)

    def take(self, event: WorldEvent) -> str | None:
        """The stage that `event` is of this press, if it is one and the first of it."""
        stage, by = self.stage_of(event)
        if stage is None or self.has(stage):
            return None
        return self.at(stage, event, by)

    def stage_of(self, e: WorldEvent) -> tuple[str | None, str]:
        """Return which stage an event is, None for none, and who has reached it."""
        data = e.data
        if e.what == "pressed":
            return "pressed", "hand"
        if e.what == "motor" and data["on"] and e.by == "button":
            return "held", e.by
        if e.what == "advert" and e.by == "air" and self.has("held"):
            self.code = data["data"][:4:-1].hex()
            return "first_advert", e.by
        if e.what in ("heard", "received", "acknowledged") and data.get("event") in _EVENTS:
            if e.by == "bridge" and e.what == "received":
                return None, e.by  # the same, seen from the phone
            self.event, self.counter = data["event"], data["counter"]
            self.incident = data.get("incident", self.incident)
            return e.what, "operator" if e.what == "acknowledged" else e.by
        return own_stage(e), e.by


def own_stage(e: WorldEvent) -> str | None:
    """Return which stage the button says that it has proven."""
    if e.what != "receipt" or e.by != "button":
        return None
    return {"1": "receipt", "2": "acknowledged_receipt"}.get(e.data["args"][0])


class Screen:
    """Lines for a person; with colours on a terminal."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._colour = sys.stdout.isatty()

    def say(self, line: str = "", shade: str = "") -> None:
        if not self._quiet:
            paint = self._colour and shade
            # In raw mode a newline alone does not go back to the first column.
            print(
                f"\x1b[{shade}m{line}\x1b[0m" if paint else line,
                end="\r\n" if self._colour else "\n",
                flush=True,
            )

    def stage(self, entry: dict[str, object]) -> None:
        stage = str(entry["stage"])
        shade = "1;32" if stage.endswith("receipt") else "1" if stage == "held" else ""
        self.say(f"{entry['at_ms']:>9} ms  {stage:21} {entry['by']!s:9} {_WORDS[stage]}", shade)


class Demo:
    timeline_kind: type[Timeline] = Timeline

    def __init__(
        self, world: World, button: Button, screen: Screen, stage_s_max: float = _STAGE_S_MAX
    ) -> None:
        self._stage_s_max = stage_s_max
        self.world = world
        self.button = button
        self.screen = screen
        self.timeline = self.timeline_kind(0)
        self._tasks: set[asyncio.Task[None]] = set()
        self._vibrations = VibrationListener(self.feel)
        self._patterns = 0
        self.all_felt = asyncio.Event()
        self._alarmed = False

    def watch(self, event: WorldEvent) -> None:
        """Show what happens, as it happens."""
        if event.what == "pressed" and not self.timeline_is_open():
            self.timeline = self.timeline_kind(event.at_ms)
        if self.timeline.take(event):
            self.screen.stage(self.timeline.stages[-1])
        self._vibrations.take(event)
        if event.what == "trouble":
            self.screen.say(f"{'':9}     {event.by}: {event.data.get('text')}", "33")
        if event.what == "retry":
            self.screen.say(f"{'':9}     {event.by}: {event.data.get('reason')}, tries again", "33")

    def timeline_is_open(self) -> bool:
        """A second press while the first waits for its receipt is the same press."""
        return bool(self.timeline.stages) and not self.timeline.has("receipt")

    def restart(self) -> None:
        """Make ready for another press."""
        self.timeline = self.timeline_kind(0)
        self._patterns = 0
        self.all_felt.clear()

    async def once(self) -> None:
        """One press, acknowledged. Raises Trouble naming the first stage that did not happen."""
        self._later(self.button.press())
        await self._stage("receipt")
        await self.world.acknowledge(self.timeline.incident)
        await self._stage("acknowledged_receipt")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._settled(), 5)

    async def _stage(self, last: str) -> None:
        """Each stage after the one before it, as the machine is fast."""
        while not self.timeline.has(last):
            passed = len(self.timeline.stages)
            try:
                await self._next_stage(passed)
            except Trouble as trouble:
                raise Trouble(f"{self.timeline.missing()}: did not happen; {trouble}") from None

    async def _next_stage(self, passed: int) -> None:
        await self.world.wait_for(lambda _: len(self.timeline.stages) > passed, timeout_s=self._stage_s_max)

    def _later(self, job: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(job)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def feel(self, pattern: str) -> None:
        """Show what the hand feels."""
        self._patterns += 1
        if self._patterns == _PATTERNS_OF_A_PRESS:
            self.all_felt.set()
        self.screen.say(f"{'':12}  {'':21} hand      feels {pattern}", "36")

    async def _settled(self) -> None:
        """The finger is up, and the taken pulse and both receipts have been felt."""
        await asyncio.gather(*self._tasks)
        await self.all_felt.wait()

    async def keys(self) -> None:
        """As _KEYS tells."""
        pressed: asyncio.Queue[str] = asyncio.Queue()
        asyncio.get_running_loop().add_reader(sys.stdin, lambda: pressed.put_nowait(sys.stdin.read(1)))
        while (key := await pressed.get()) not in ("q", "\x03", "\x04", ""):
            if key in " \r\n":
                self.screen.say("\npress and hold", "2")
                self._alarmed = True
                self._later(self.button.press())
            elif key == "t":
                self.screen.say("\nthree short clicks: a silent test", "2")
                if self._alarmed:
                    self.screen.say("an alarm is open, for 2 h: clicks mean nothing until then", "33")
                self._later(self.button.clicks())
            elif key == "a" and self.timeline.incident:
                self._later(self._acknowledge())
            elif key == "n":
                self._later(self.entrances())

    async def entrances(self) -> None:
        """How each of the centre's people comes in."""
        addresses = await asyncio.to_thread(demo_data.entrances, self.world.centre_home, self.world.url)
        for role, address in addresses.items():
            self.screen.say(f"{role.replace('_', ' '):14} {address}")

    async def _acknowledge(self) -> None:
        try:
            await self.world.acknowledge(self.timeline.incident)
        except Trouble as trouble:
            self.screen.say(str(trouble), "33")

    def report(self) -> dict[str, object]:
        t = self.timeline
        return {
            "stages": t.stages,
            "device_id": self.button.device_id,
            "event": t.event,
            "counter": t.counter,
            "code": t.code,
            "incident": t.incident,
            "receipt_proven_by": self.button.board.interpreter,
        }


@contextlib.contextmanager
def _raw_terminal() -> Iterator[None]:
    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


async def furnish(world: World) -> Button:
    """Add a centre with its users, a button, the invented protected person, and that person's phone."""
    await world.add_centre()
    button = await world.add_button()
    await asyncio.to_thread(demo_data.hand_out, world.centre_home, button.device_id)
    await world.add_bridge(button.enrolment, "bridge", "--fix", _WHERE)
    await world.wait_for(lambda e: e.by == button.name and e.what == "sleep")
    return button


async def prepare(world: World, screen: Screen) -> Demo:
    """Add who is needed for a press that a phone hears."""
    return Demo(world, await furnish(world), screen)


Prepare = Callable[[World, Screen], Awaitable[Demo]]


async def run(*, once: bool, as_json: bool, prepare: Prepare = prepare) -> int:
    """The whole demo; 0, or 1 with a sentence on stderr."""
    interactive = not once and sys.stdin.isatty() and sys.stdout.isatty()
    screen = Screen(quiet=as_json)
    with tempfile.TemporaryDirectory(prefix="amr-demo-") as home:
        try:
            async with World(Path(home)) as world:
                screen.say("centre, button and bridge are starting ...", "2")
                demo = await prepare(world, screen)
                button = demo.button
                screen.say(f"{'button':14} {button.device_id}, on {button.board.interpreter['version']}")
                screen.say(
                    f"{'case':14} {EXAMPLE.number}, {EXAMPLE.person.name}: invented, like everybody here"
                )
                screen.say("the centre's people come in with a browser, each once, within 10 minutes:", "2")
                await demo.entrances()
                with world.watching(demo.watch):
                    if interactive:
                        screen.say(_KEYS, "1")
                        with _raw_terminal():
                            await demo.keys()
                    else:
                        await demo.once()
                if as_json:
                    print(json.dumps(demo.report()), flush=True)
        except Trouble as trouble:
            print(f"amr-sim demo: {trouble}", file=sys.stderr)
            return 1
    return 0
