"""A phone's Bluetooth service, as the bridge's radio asks it: starts and stops that are answered late.

What a client has wished for is carried out also where it has stopped waiting, and each client can start one
discovery only (BlueZ, src/adapter.c). bleak's place is taken by a scanner that speaks to it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bleak.backends.scanner import BaseBleakScanner
from bleak.exc import BleakDBusError

from bridge.ports import RadioOff
from bridge.radio.bluez import Adapter, radio_off
from sim.virtual.radio_world import Advert, Air, Receiver
from sim.virtual.time import Loop, Time

ANSWER_S = 0.01


@dataclass(frozen=True)
class Heard:
    """What the bridge's radio reads of bleak's AdvertisementData."""

    service_uuids: list[str]
    rssi: int


class Bluetoothd:
    """Outlives the bridge's runs. A client is whoever is on the bus: one run's radio, until it leaves.

    `late_s`: how much later it does what it is asked, and answers; `is_gone`: there is no adapter.
    """

    def __init__(self, time: Time, air: Air, receiver: Receiver) -> None:
        self._time, self._air, self._receiver = time, air, receiver
        self._discovering: dict[object, None] = {}
        self._client: Client | None = None
        self.late_s = 0.0
        self.is_gone = False

    def client(self, on_off: Callable[[RadioOff], None]) -> "Client":
        """Return what the radio of a new run has for its D-Bus."""
        self._client = Client(self, on_off)
        return self._client

    def scanner(self, loop: Loop, radio: Any) -> type[BaseBleakScanner]:
        """Return bleak's backend for the radio of a new run."""
        daemon = self

        class Scanner(VirtualScanner):
            pass

        Scanner.loop, Scanner.daemon, Scanner.radio = loop, daemon, radio
        return Scanner

    def leave(self, radio: Any) -> None:
        """Forget a client that has left the bus, and what it wished for."""
        self.hear_no_more()
        self.stop(radio.bluez.name)
        radio.bluez.is_on_bus = False

    def hear(self, report: Callable[[Advert, int], None]) -> None:
        """Report what is discovered to the scanner that has begun."""
        self._receiver.report = report

    def hear_no_more(self) -> None:
        """Report to nobody: a discovery may go on, and nobody is there to be told."""
        self._receiver.report = lambda *_: None

    def go(self, gone: bool) -> None:
        """Unplug the adapter, or plug it in."""
        self.is_gone = gone
        if gone:
            self._discovering.clear()
            self._air.listen(self._receiver, False)
            if self._client is not None and self._client.is_on_bus:
                self._client.tell_gone()

    async def ask(self, loop: Loop, work: Callable[[], None]) -> None:
        """Do `work` in a while, and answer; whoever waits no longer has it done all the same."""
        answer = loop.create_future()
        self._time.after(ANSWER_S + self.late_s, _do, work, answer)
        await answer

    def start(self, client: "Client", name: object) -> None:
        """Start a discovery for a client, unless it has left by now. Raises BleakDBusError."""
        if self.is_gone:
            raise BleakDBusError("org.bluez.Error.NotReady", ["Resource Not Ready"])
        if not client.is_on_bus or client.name is not name:
            return
        if name in self._discovering:
            raise BleakDBusError("org.bluez.Error.InProgress", ["Operation already in progress"])
        self._discovering[name] = None
        self._air.listen(self._receiver, True)

    def stop(self, name: object) -> None:
        """Stop what a client has started, if anything."""
        self._discovering.pop(name, None)
        if not self._discovering:
            self._air.listen(self._receiver, False)


class Client:
    """What bridge/radio/bluez.py is on a real system: an adapter, watched. `name`: its name on the bus."""

    adapter = "hci0"

    def __init__(self, daemon: Bluetoothd, on_off: Callable[[RadioOff], None]) -> None:
        self._daemon, self._on_off = daemon, on_off
        self.name, self.is_on_bus = object(), True

    async def ready(self) -> Adapter:
        """Return the adapter. Raises RadioOff."""
        await asyncio.sleep(ANSWER_S)
        if self._daemon.is_gone:
            raise radio_off("adapter_gone")
        return Adapter(self.adapter, passive=True)

    def tell_gone(self) -> None:
        self._on_off(radio_off("adapter_gone"))

    async def forget_discovery(self, _bus: object, keeps_links: bool) -> None:  # noqa: ARG002 -- the shape
        """Come back under another name."""
        self._daemon.stop(self.name)
        self.name = object()

    async def power_cycle(self) -> bool:
        """Do nothing: in this world an adapter that hears nothing has nothing to hear."""
        return False

    def began(self, active: bool) -> None:
        """Watch nothing."""

    def forget(self) -> None:
        """Watch nothing."""

    def pass_over(self) -> None:
        """Do nothing: there is no other adapter."""

    def close(self) -> None:
        """Leave the bus."""


class VirtualScanner(BaseBleakScanner):
    """bleak's scanner, before a Bluetoothd."""

    loop: Loop
    daemon: Bluetoothd
    radio: Any

    def __init__(self, callback: Any, service_uuids: list[str] | None, *_: Any, **_options: Any) -> None:
        super().__init__(callback, service_uuids)
        self._name: object = None

    async def start(self) -> None:
        """Have the service discover, and hear what it reports. Raises BleakDBusError."""
        client = self.radio.bluez
        name = self._name = client.name
        await self.daemon.ask(self.loop, lambda: self.daemon.start(client, name))
        self.daemon.hear(self._report)

    async def stop(self) -> None:
        """Hear no more, and have the service discover no longer."""
        self.daemon.hear_no_more()
        name = self._name
        await self.daemon.ask(self.loop, lambda: self.daemon.stop(name))

    def _report(self, advert: Advert, rssi: int) -> None:
        if self.is_allowed_uuid([advert.uuid]):
            heard = Heard([advert.uuid], rssi)
            self.loop.call_soon(self.call_detection_callbacks, advert, heard)


def _do(work: Callable[[], None], answer: "asyncio.Future[None]") -> None:
    try:
        work()
    except BleakDBusError as error:
        if not answer.done():
            answer.set_exception(error)
        return
    if not answer.done():
        answer.set_result(None)
