"""A phone in virtual time: the bridge's own Relay, Journal and Centre in a process that can be killed."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from random import Random
from typing import Any

from bridge.centre.client import Centre
from bridge.location.nmea import Reader
from bridge.model import Device, Fix, Key, rfc3339
from bridge.ports import Source
from bridge.rules.accuracy import CONFIDENCE
from bridge.rules.expected_codes import ExpectedCodes, Window, quick_texts
from bridge.store.journal import Journal
from bridge.tasks.relay import Relay
from sim.judge.audit import journal_presses
from sim.physics.receiver import sentences
from sim.virtual.bluetoothd import Bluetoothd
from sim.virtual.disk import DISK_S, Disk
from sim.virtual.network import Network, VirtualEndpoint
from sim.virtual.radio import REPORTS_AGAIN_S, PhoneRadio, RadioWorld
from sim.virtual.radio_world import Air
from sim.virtual.radio_world import Receiver as Scanner
from sim.virtual.time import Clock, Loop, Time
from sim.virtual.walk import place_at

START_S = 1.0
# No button of this world loses both its memories: of the spare range a few are enough, and a start is quick.
EXPECTED = Window(spare=16)
FIX_EVERY_S, CIRCLE_EVERY_S, FOLLOW_EVERY_S = 10.0, 30.0, 20
CIRCLE_M, CIRCLE_OFF_DEG = 5000.0, 0.03


@cache
def remembered(k_code: bytes) -> Callable[[int, int], str]:
    """`quick_texts` for worlds that are made by the thousand, with the same keys."""
    return cache(quick_texts(k_code))


class Receiver:
    """A satellite receiver at the serial port, read by the bridge's own reader: it knows the time of day."""

    name = "nmea"

    def __init__(self, phone: "Phone", time: Time, epoch_ms: int) -> None:
        self._phone, self._time, self._epoch_ms = phone, time, epoch_ms

    async def run(self, report: Callable[[Fix], None]) -> None:
        """Report each position until cancelled."""
        reader = Reader()
        while True:
            lat, lon = place_at(self._time.now_s)
            at_ms = self._epoch_ms + int(self._time.now_s * 1000)
            said = sentences(lat, lon, at_ms, self._phone.receiver_date)
            self._phone.is_at(lat, lon)
            for fix in (*reader.feed(said, self._phone.clock.now_ms()), *reader.pause()):
                report(fix)
            await asyncio.sleep(FIX_EVERY_S)


class Circle:
    """A guess by the network: a wide circle around another place, with the phone's own time."""

    name = "geoclue"

    def __init__(self, clock: Clock, time: Time) -> None:
        self._clock, self._time = clock, time

    async def run(self, report: Callable[[Fix], None]) -> None:
        """Report each guess until cancelled."""
        while True:
            lat, lon = place_at(self._time.now_s)
            taken_at = rfc3339(self._clock.now_ms())
            report(
                Fix(lat + CIRCLE_OFF_DEG, lon, CIRCLE_M, CONFIDENCE, "NETWORK", taken_at, source=self.name)
            )
            await asyncio.sleep(CIRCLE_EVERY_S)


class Phone:
    """`is_filtered`: its system scans by a list of codes; `has_fixes`: it knows where it is."""

    def __init__(
        self,
        name: str,
        devices: Sequence[Device],
        time: Time,
        air: Air,
        network: Network,
        disk: Disk,
        world: RadioWorld,
        random: Random,
        happen: Callable[..., None],
        epoch_ms: int,
        *,
        is_filtered: bool = False,
        has_fixes: bool = False,
        repeats: bool = True,
    ) -> None:
        self.name, self.disk = name, disk
        self._devices, self._time, self._air, self._network = devices, time, air, network
        self._world, self._random, self._happen = world, random, happen
        self._is_filtered, self._has_fixes = is_filtered, has_fixes
        self.clock, self._epoch_ms = Clock(time, epoch_ms), epoch_ms
        self.receiver_date = ""  # what the satellite receiver has instead of the right day
        self.receiver = Scanner(name, lambda *_: None, REPORTS_AGAIN_S if repeats else None)
        self.bluetoothd = Bluetoothd(time, air, self.receiver)
        self.slow_s = DISK_S
        self.is_up = False
        self._starts = 0

    # -- its life -------------------------------------------------------------------------------------

    def start(self) -> None:
        self._starts += 1
        self._time.after(START_S, self._start, self._starts)

    def _start(self, number: int) -> None:
        if self.is_up or number != self._starts:
            return
        self.is_up = True
        self.disk.open()
        self._has_read = False
        self._loop = Loop(self._time, self._disk_s, self._mistake)  # type: ignore[abstract]
        self.disk.on_kill = self._strike
        self._loop.create_task(self._run())

    async def _run(self) -> None:
        endpoint = VirtualEndpoint(self._network, self.name, lambda: self.clock.now_ms() / 1000)
        sources: list[Source] = []
        if self._has_fixes:
            sources = [Receiver(self, self._time, self._epoch_ms), Circle(self.clock, self._time)]
        async with Centre(endpoint.url, None, endpoint=lambda *_: endpoint) as centre:
            self.relay = Relay(
                self._devices,
                journal=Journal(self.disk.path, self.disk.connect),
                centre=centre,
                radio=self._make_radio,
                log=self._log,
                random=self._random.random,
                sources=sources,
                follow_every_s=FOLLOW_EVERY_S,
                clock=self.clock,
                expected=ExpectedCodes(remembered, EXPECTED),
            )
            await self.relay.run(asyncio.Event())

    def _make_radio(self, on_advert: Any) -> PhoneRadio:
        self.radio = PhoneRadio(
            self.name,
            self._loop,
            self._air,
            self.bluetoothd,
            self._world,
            self._random,
            on_advert,
            self._is_filtered,
        )
        return self.radio

    def _strike(self) -> None:
        """In the middle of a call: it is dead at once, and what is left of it a moment later."""
        self._loop.halt()
        self._time.after(0.0, self.kill)

    def kill(self) -> None:
        """SIGKILL: what is committed stays; its links end a moment later."""
        self._starts += 1
        if not self.is_up:
            return
        self.is_up = False
        self.disk.fence()
        self._air.listen(self.receiver, False)
        radio = getattr(self, "radio", None)
        self._loop.kill()
        if radio is not None:
            radio.end()
        self._happen(self.name, "killed")

    def cut_power(self) -> None:
        self.kill()
        self.disk.cut_power()
        self._happen(self.name, "power_cut")

    def damage_disk(self) -> None:
        """Have a bit or a sector of its journal damaged that no press needs, while it is off."""
        self.disk.damage(("press",), self._random)

    def set_adapter(self, gone: bool) -> None:
        self.bluetoothd.go(gone)

    def moved(self) -> None:
        """Who is linked may be out of reach."""
        if self.is_up and hasattr(self, "radio"):
            self.radio.out_of_reach()

    def set_clock(self, by_ms: int) -> None:
        """Somebody sets its clock."""
        self.clock.set_ms += by_ms
        self._happen(self.name, "clock_set")

    def is_at(self, lat: float, lon: float) -> None:
        """Tell where it truly is, as far as it has anything that could know."""
        self._happen(self.name, "is_at", lat=lat, lon=lon)

    def _disk_s(self) -> float:
        return self.slow_s * self._random.random() + 0.0002

    def _mistake(self, text: str) -> None:
        self._happen(self.name, "mistake", text=text)

    def _log(self, what: str, **fields: Any) -> None:
        if what == "trouble" and fields.get("reason") == "internal":
            self._mistake(fields["text"])
        if not self._has_read:  # whatever it says first, it says after it has read its journal
            self._has_read = True
            with suppress(sqlite3.Error):  # a damaged file, with no room for a sound one yet
                self._happen(self.name, "journal", presses=journal_presses(self.disk.query))
        self._happen(self.name, what, **fields)

    # -- the protected person -------------------------------------------------------------------------

    def call_off(self, pin: str) -> None:
        """Call off, as on the page, the last alarm that it shows."""
        if not (self.is_up and hasattr(self, "relay")):
            return
        for button in self.relay.status().buttons:
            press = button.last_press
            if press is not None and press.can_call_off:
                key = Key(press.device_id, press.event, press.counter)
                self._loop.create_task(self._call_off(key, pin))

    async def _call_off(self, key: Key, pin: str) -> None:
        outcome = await self.relay.call_off(key, pin)
        self._happen(self.name, "call_off_shown", counter=key.counter, outcome=outcome)
