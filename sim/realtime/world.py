"""One machine's whole world: an air, buttons in MicroPython, bridges and a centre as processes.

Everything that happens anywhere arrives as a `WorldEvent`, in the order in which it was seen; the
demo, the bench and the tests of kills and power cuts all read that one stream.
"""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import sqlite3
import ssl
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

from bridge.centre.errors import CentreError
from bridge.store.home import HomeError
from centre.platform.home import CannotServe
from centre.rules import access
from firmware.board.config import SETTINGS
from firmware.flash.provision import Provisioned, provision
from sim.board.board import Board, BoardEvent
from sim.faults import WIFI
from sim.judge import promises
from sim.judge.events import WorldEvent
from sim.judge.promises import Judgement, judge
from sim.judge.story import Bounds
from sim.radio.air import Air, Medium, OnAir
from sim.realtime import dispatch_system, own_way, setup
from sim.realtime.auditor import Auditor
from sim.realtime.clock import SettableClock
from sim.realtime.dispatch_system import DispatchSystem
from sim.realtime.own_way import OwnWay
from sim.realtime.protected_person import free_port
from wire.codes import ALARM

__all__ = ["Button", "Match", "Program", "Trouble", "World", "WorldEvent"]

_PIN = SETTINGS["button_gpio"][0]
_MOTOR = SETTINGS["motor_gpio"][0]
BATTERY_GPIO = SETTINGS["battery_gpio"][0]  # through a divider of two equal resistors (docs/boards/esp32.md)
_STOP_S = 5
_START_S = 120  # on a machine that is busy otherwise; whoever fails to start ends, and is told at once
_OPERATOR = "operator"
_HEAP_KIB, _MORE_KIB = 96, 192  # without the direct path, and with it
_FORM_TOKEN = re.compile(r'data-csrf="([0-9a-f]{64})"')
_LIFT_S = 0.15  # a finger's time to feel the pulse and let go
_CLICK_S = 0.15
_EVENTS_MAX = 100_000
# A busy machine boots between the clicks of a silent test, and writes slowly to the flash of a board.
BOUNDS = Bounds(
    hold_ms_sure=10_000,
    taken_ms=20_000,
    told_ms=80_000,
    clicks_ms_max=15_000,
    cut_ms=1000,
    pulses_may_stretch=True,
)

BLIND = {
    promises.ON_AIR: "the air in real time does not tell when a button falls silent",
    promises.OWN_WAY: "in real time no event tells when a button's own way opens and shuts",
    promises.AGED: "what is read over a link is not looked into in real time",
    promises.PLACED: "in real time nobody asks the operator's page where it shows an alarm",
}


class Trouble(Exception):
    """The world could not be set up or did not do what was waited for; the message says what."""


Match = Callable[[WorldEvent], bool]
T = TypeVar("T")


class Button:
    """A provisioned board, and the hand on its pin."""

    def __init__(self, world: "World", name: str, made: Provisioned, image: Path, heap_kib: int) -> None:
        self.name = name
        self.device_id = made.device_id
        self.enrolment = made.qr_text or ""
        self._world = world
        self._session: tuple[str, bytes] | None = None
        self.board = Board(world.air, name, image, heap_kib=heap_kib, on_event=self._on_event)
        self.way: OwnWay | None = None  # to the centre, without a phone

    async def press(self) -> None:
        """Hold the button down until it has taken the press. Raises Trouble when it never does."""
        since = len(self._world.events)
        self.down()
        try:
            await self._world.wait_for(self._took, since=since)
            await asyncio.sleep(_LIFT_S)
        finally:
            self.up()

    async def clicks(self) -> None:
        """Three short clicks: a silent test. The one that wakes it is the first of them; on a busy machine
        it boots for longer than a hand takes for all three. Raises Trouble when it never does."""
        for _ in range(3):
            await self.click()
            await asyncio.sleep(_CLICK_S)

    async def click(self, down_s: float = _CLICK_S) -> None:
        """Returns when the button is awake, if it slept."""
        slept, since = self.board.asleep, len(self._world.events)
        self.down()
        await asyncio.sleep(down_s)
        self.up()
        if slept:
            await self._world.wait_for(lambda e: e.by == self.name and e.what == "boot", since=since)

    def _took(self, e: WorldEvent) -> bool:
        """An alarm has just gone on the air. A hand feels the pulse; we need not tell it from others."""
        return e.by == self.name and e.what == "advert" and e.data["args"][0] == str(ALARM)

    def down(self) -> None:
        self._world.record("hand", "pressed", button=self.name)
        self.board.set_pin(_PIN, 0)

    def up(self) -> None:
        self._world.record("hand", "released", button=self.name)
        self.board.set_pin(_PIN, 1)

    def _on_event(self, event: BoardEvent) -> None:
        if event.kind == "serial":
            what, *args = event.data["line"].split() or [""]
            if what != "sleep":  # so far it only says so
                self._world.add(WorldEvent(event.at_ms, self.name, what, {"args": args}))
        elif event.kind == "pin" and event.data["gpio"] == _MOTOR:
            self._world.add(WorldEvent(event.at_ms, self.name, "motor", {"on": bool(event.data["level"])}))
        elif event.kind == "advert":
            self._on_session(event)
        elif event.kind != "pin":
            self._world.add(WorldEvent(event.at_ms, self.name, event.kind, dict(event.data)))

    def _on_session(self, event: BoardEvent) -> None:
        """Tell of a new code or a new address; the same again is the same session.

        Told here and not by the air: the board's program says what the code means only after this.
        """
        address, data = event.data.get("address"), event.data.get("data")
        if not address or not data or (address, data) == self._session:
            return
        self._session = (address, data)
        session = {"button": self.name, "address": address.upper(), "code": data[:4:-1].hex()}
        self._world.add(WorldEvent(event.at_ms, "air", "session", session))


class Program:
    """One of our programs as a process: its JSON log becomes events, its stderr is kept."""

    def __init__(
        self, world: "World", name: str, argv: list[str], clock: "SettableClock | None" = None
    ) -> None:
        self.name = name
        self._clock = clock
        self._world = world
        self._argv = argv
        self._process: asyncio.subprocess.Process | None = None
        self._readers: list[asyncio.Task[None]] = []
        self.stderr: list[str] = []

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *self._argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=os.environ | (self._clock.environment() if self._clock else {}),
        )
        self._readers = [asyncio.create_task(self._read_log()), asyncio.create_task(self._read_stderr())]

    async def kill(self) -> None:
        """SIGKILL: no goodbye, nothing flushed."""
        self.send_kill()
        await self._ended()

    def send_kill(self) -> None:
        """SIGKILL at this very moment, without waiting for the end; `kill` waits for it."""
        self.signal(signal.SIGKILL)

    def signal(self, number: signal.Signals) -> None:
        if self._process and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL for whoever does not listen."""
        if not self._process or self._process.returncode is not None:
            return await self._ended()
        self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), _STOP_S)
        except TimeoutError:
            self.send_kill()
        return await self._ended()

    async def _ended(self) -> None:
        if self._process:
            await self._process.wait()
        await asyncio.gather(*self._readers)
        self._readers = []

    async def _read_log(self) -> None:
        assert self._process
        assert self._process.stdout
        async for line in self._process.stdout:
            with contextlib.suppress(ValueError):  # a line that SIGKILL has cut
                said = json.loads(line)
                at_ms = said.pop("at_ms")
                if self._clock:  # which says what it likes
                    at_ms = time.time() * 1000
                self._world.add(WorldEvent(at_ms, self.name, said.pop("what"), said))
        self._world.record(self.name, "ended")

    async def _read_stderr(self) -> None:
        assert self._process
        assert self._process.stderr
        async for line in self._process.stderr:
            self.stderr.append(line.decode(errors="replace").rstrip())


class World:
    """`async with World(folder) as world:`; then a centre, buttons and bridges, in this order."""

    def __init__(
        self,
        home: Path,
        *,
        seed: int = 0,
        loss: float = 0.0,
        clocks: Mapping[str, SettableClock] | None = None,
        **medium: Any,
    ) -> None:
        """`clocks`: of programs whose clock somebody may set; the rest as `Medium` has it."""
        self.home = home
        self._clocks = clocks or {}
        self._operator: aiohttp.ClientSession | None = None
        self._form_token = ""
        self.dispatch_system: DispatchSystem | None = None
        self.events: list[WorldEvent] = []
        self.buttons: dict[str, Button] = {}
        self.programs: dict[str, Program] = {}
        self.url = ""
        self._direct_port = free_port(socket.SOCK_DGRAM)  # of the centre, for buttons without a phone
        self._medium = Medium(seed, loss, **medium)
        self._seed = seed
        self._news = asyncio.Event()
        self._observers: list[Callable[[WorldEvent], None]] = []
        self._last_advert: dict[str, tuple[str, bytes]] = {}
        self.auditor = Auditor(self.centre_home.absolute() / "centre.sqlite")

    @property
    def centre_home(self) -> Path:
        return self.home / "centre"

    async def __aenter__(self) -> "World":
        self.air = Air(self._medium)
        self.air.on_advert(self._on_advert)
        self.hci = "{}:{}".format(*await self.air.serve_hci())
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(button.board.power_off() for button in self.buttons.values()))
        await asyncio.gather(*(button.way.close() for button in self.buttons.values() if button.way))
        await asyncio.gather(*(program.stop() for program in self.programs.values()))
        if self._operator:
            await self._operator.close()
        if self.dispatch_system:
            await self.dispatch_system.close()
        await self.air.close()

    # -- who is there ------------------------------------------------------------------

    async def add_centre(self, *options: str) -> None:
        """Start a centre on a free port; it keeps that port when it is started again."""
        options = ("--direct-port", str(self._direct_port), *options)
        said = await self._start(
            "centre", self._centre("serve", "--json-log", "--port", "0", *options), "listening"
        )
        self.url = said.data["url"]
        await self._told(setup.add_user, _OPERATOR, "An operator", access.OPERATOR)
        self._ca = Path(said.data["ca"])
        port = self.url.rsplit(":", 1)[1]
        self.programs["centre"]._argv = self._centre("serve", "--json-log", "--port", port, *options)

    async def add_dispatch_system(self, *options: str) -> None:
        """Start a centre that tells a dispatch system of alarms, which may act on them."""
        system = self.dispatch_system = DispatchSystem(self.home / dispatch_system.NAME, self.record)
        url, ca = await system.open()
        await self.add_centre(*options, "--webhook", url, "--webhook-ca", str(ca))
        system.join(self.url, self._ca, *await self._told(setup.dispatch_system, dispatch_system.NAME))

    async def entrance(self) -> str:
        """An address that signs the operator in, once."""
        return await self._told(setup.entrance, self.url, _OPERATOR)

    async def add_button(
        self,
        name: str = "button",
        direct: str = "off",
        carriers: tuple[str, ...] = (WIFI,),
        modem: tuple[str, str] = (own_way.MAKE, ""),
        /,
        *,
        heap_kib: int = 0,
        battery_mv: int = 0,
        **settings: int,
    ) -> Button:
        """Provision a board, tell the centre, and switch it on. `battery_mv`: as measured; 0: it cannot.

        `direct`: when it reaches for the centre by itself, over its `carriers`; `modem`: of which make, and
        the PIN that the button gives it. `heap_kib` 0: as much as such a board has, in this machine's
        objects, which are twice as large as a chip's.
        """
        make, pin = modem
        alone = None if direct == "off" else own_way.asked(direct, carriers, self._ca, make, pin)
        image = self.home / name
        made = await asyncio.to_thread(
            provision,
            image,
            registry=image / "registry.jsonl",
            board="esp32",
            centre=self.url,
            ca=self._ca,
            again=False,
            settings=settings,
            alone=alone,
        )
        await self._told(setup.import_buttons, made.registry)
        button = Button(self, name, made, image, heap_kib or (_MORE_KIB if alone else _HEAP_KIB))
        button.board.set_adc(BATTERY_GPIO, battery_mv * 1000 // 2)
        self.buttons[name] = button
        hold_ms = settings.get("hold_ms", SETTINGS["hold_ms"][0])
        self.record(name, "provisioned", device_id=button.device_id, hold_ms=hold_ms)
        if alone:
            await self._add_way(button, carriers, make)
        await button.board.power_on()
        return button

    async def _add_way(self, button: Button, carriers: tuple[str, ...], make: str) -> None:
        """Give a button a home with Wi-Fi, and a modem, as its carriers ask for."""
        if WIFI in carriers:
            image = self.home / button.name
            await asyncio.to_thread(own_way.add_network, image, image / "registry.jsonl")
        host, _, port = self.url.removeprefix("https://").partition(":")
        button.way = OwnWay(
            button.board,
            (host, int(port)),
            (host, self._direct_port),
            carriers,
            self.centre_home,
            self.home / f"{button.name}-way",
            self._seed,
            make,
        )
        await button.way.open()

    async def another_enrolment(self, button: Button) -> str:
        """The QR text with which one more bridge can watch `button`."""
        return await self._told(setup.label, self.url, button.device_id)

    async def add_bridge(
        self,
        enrolment: str,
        name: str = "bridge",
        *options: str,
        profile: str = "desktop",
        pins: tuple[str, ...] = (),
    ) -> None:
        """Enrol a phone with a QR text and the protected person's PINs, and run its bridge on the air."""
        await self.enrol(name, enrolment, *pins)
        home = ["--home", str(self.home / name)]
        phone = [
            "-m",
            "sim.radio.bleak_backend",
            "--air",
            self.hci,
            "--name",
            name,
            "--profile",
            profile,
            "--audit",
            str(self.home / name / "journal.sqlite"),
            "--",
        ]
        # Several bridges live on this machine at once, and none of them is anybody's phone.
        alone = ["--set", "page.port=0", "--set", "supervision.notify=false"]
        run = [sys.executable, *phone, "run", "--json-log", *home, *alone, *options]
        await self._start(name, run, "scanning")

    async def enrol(self, name: str, enrolment: str, *pins: str) -> None:
        """Take up a button on the phone of that name, which does not run yet. Raises Trouble."""
        try:
            await setup.enrol(self.home / name, enrolment, *pins)
        except (HomeError, CentreError) as error:
            raise Trouble(str(error)) from None

    async def add_flood(self, name: str, bridges: int) -> None:
        """Other people's bridges, a program of that name: it drowns the centre, from SIGUSR1 to its end."""
        where = [str(self.centre_home), str(self._ca), self.url, str(bridges)]
        await self._start(name, [sys.executable, "-m", "sim.realtime.flood", *where], "ready")

    async def start(self, name: str) -> None:
        """Start a program again that was killed or stopped; returns when it serves or scans."""
        await self._run(self.programs[name], "listening", "scanning")

    async def kill(self, name: str) -> None:
        await self.programs[name].kill()

    async def acknowledge(self, incident: str) -> None:
        """An operator takes the alarm. Raises Trouble where that fails."""
        await self.operate(incident, "acknowledge")

    async def operate(self, incident: str, act: str, **form: str) -> None:
        """`acknowledge`, `dispatch` or `close` on the console's own page. Raises Trouble where that fails."""
        trust = ssl.create_default_context(cafile=self._ca)
        try:
            if self._operator is None:
                self._operator = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
            if not self._form_token:
                async with self._operator.get(await self.entrance(), ssl=trust) as page:
                    page.raise_for_status()
                    self._form_token = "".join(_FORM_TOKEN.findall(await page.text()))
            headers = {"Origin": self.url, "X-CSRF-Token": self._form_token}
            url = f"{self.url}/console/incidents/{incident}/{act}"
            async with self._operator.post(url, data=form, headers=headers, ssl=trust) as answer:
                answer.raise_for_status()
        except aiohttp.ClientError as error:
            raise Trouble(f"the centre did not take it: {error}") from None

    # -- what happens ------------------------------------------------------------------

    def record(self, by: str, what: str, **data: object) -> None:
        """Something that this process itself does or sees, now."""
        self.add(WorldEvent(time.time() * 1000, by, what, data))

    def add(self, event: WorldEvent) -> None:
        """Add what was seen, and what the auditor sees at the same moment."""
        seen = self.auditor.seen(event)
        self._add(seen)
        for beside in self.auditor.beside(seen):
            self._add(beside)

    def judge(self, calm_from_ms: float | None = None) -> Judgement:
        """Judge what has happened so far. From `calm_from_ms` on nothing was wrong; None: from now on."""
        now_ms = time.time() * 1000
        tracebacks = [
            WorldEvent(now_ms, program.name, "mistake", {"text": program.stderr[-1]})
            for program in self.programs.values()
            if any(line.startswith("Traceback") for line in program.stderr)
        ]
        # A program's line says when it was said; it may arrive after another's later one.
        seen = sorted(self.events, key=lambda event: event.at_ms)
        events = [*seen, *tracebacks, *self.auditor.incidents(now_ms)]
        return judge(events, now_ms if calm_from_ms is None else calm_from_ms, BOUNDS, BLIND)

    def _add(self, event: WorldEvent) -> None:
        self.events.append(event)
        assert len(self.events) < _EVENTS_MAX, "this world is too busy"
        for observer in list(self._observers):
            observer(event)
        self._news.set()
        self._news = asyncio.Event()

    @contextlib.contextmanager
    def watching(self, observer: Callable[[WorldEvent], None]) -> Iterator[None]:
        """Call `observer` with each event, at once."""
        self._observers.append(observer)
        try:
            yield
        finally:
            self._observers.remove(observer)

    async def wait_for(self, match: Match, *, since: int = 0, timeout_s: float = 90) -> WorldEvent:
        """The first event from number `since` on that matches. Raises Trouble where none comes."""
        try:
            async with asyncio.timeout(timeout_s):
                async for event in self.stream(since):
                    if match(event):
                        return event
        except TimeoutError:
            pass
        raise Trouble(f"nothing of the kind within {timeout_s} s\n{self.story()}")

    async def until(self, condition: Callable[[], bool]) -> None:
        """Returns when it holds; it is asked again at everything that happens."""
        while not condition():
            await self._news.wait()

    def story(self, last: int = 40) -> str:
        """The last events and what the programs complained of, for a person."""
        lines = [f"{e.at_ms / 1000 % 1000:9.3f} {e.by:10} {e.what} {e.data}" for e in self.events[-last:]]
        for program in self.programs.values():
            lines += [f"{program.name}: {line}" for line in program.stderr[-10:]]
        return "\n".join(lines)

    async def stream(self, since: int = 0) -> AsyncIterator[WorldEvent]:
        """All events from number `since` on, as they come."""
        while True:
            while since < len(self.events):
                yield self.events[since]
                since += 1
            await self._news.wait()

    # -- processes ---------------------------------------------------------------------

    async def _told(self, command: Callable[..., T], *arguments: object) -> T:
        """One of the clerk's, at the centre. Raises Trouble."""
        try:
            return await asyncio.to_thread(command, self.centre_home, *arguments)
        except (CannotServe, sqlite3.Error) as error:
            raise Trouble(str(error)) from None

    def _centre(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "centre", *words, "--home", str(self.centre_home)]

    async def _start(self, name: str, argv: list[str], ready: str) -> WorldEvent:
        program = self.programs[name] = Program(self, name, argv, self._clocks.get(name))
        return await self._run(program, ready)

    async def _run(self, program: Program, *ready: str) -> WorldEvent:
        """What it said when it was `ready`. Raises Trouble where it ends instead."""
        since = len(self.events)
        await program.start()
        said = await self.wait_for(
            lambda e: e.by == program.name and e.what in (*ready, "ended"), since=since, timeout_s=_START_S
        )
        if said.what == "ended":
            raise Trouble(f"the {program.name} did not start:\n" + "\n".join(program.stderr))
        return said

    def _on_advert(self, seen: OnAir) -> None:
        """Only a first advert of its kind is news: the same code at the same address is not."""
        key = (seen.address, seen.data)
        if key != self._last_advert.get(seen.transmitter):
            self._last_advert[seen.transmitter] = key
            data = {"button": seen.transmitter, "kind": seen.kind, "data": seen.data, "address": seen.address}
            self.add(WorldEvent(seen.at_ms, "air", "advert", data))
