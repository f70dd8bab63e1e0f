"""A recording in a radio's place: bleak backends that report what is on a tape, and connect to nobody."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from bleak.backends.client import BaseBleakClient
from bleak.backends.scanner import AdvertisementDataCallback, BaseBleakScanner
from bleak.exc import BleakDeviceNotFoundError
from bumble import hci

from sim.radio.adverts import Heard
from sim.radio.bleak_backend import PhoneClient, advertisement
from sim.radio.host import SEEN_MAX, Seen


class Playback:
    """`play` reports each advert at its time to whoever scans, and waits while nobody does."""

    def __init__(self) -> None:
        self._scanner: TapeScanner | None = None
        self._scanning = asyncio.Event()
        self._seen: OrderedDict[str, Seen] = OrderedDict()

    async def play(self, adverts: Iterable[Heard], playing: Callable[[Heard], None]) -> float:
        """`playing` is told of each right before it is reported; returns the last one's time in ms."""
        await self._scanning.wait()
        loop = asyncio.get_running_loop()
        began_s, at_ms = loop.time(), 0.0
        for heard in adverts:
            at_ms = heard.at_ms
            ahead_s = began_s + at_ms / 1000 - loop.time()
            if ahead_s > 0:
                await asyncio.sleep(ahead_s)
            await self._scanning.wait()  # a bridge that hears nothing for long starts its scan again
            assert self._scanner
            playing(heard)
            self._scanner.hear(self._merged(heard))
        return at_ms

    def _merged(self, heard: Heard) -> Seen:
        """With its scan response, as systems have it."""
        seen = self._seen.get(heard.address)
        if seen is None:
            seen = self._seen[heard.address] = Seen(_address(heard))
            if len(self._seen) > SEEN_MAX:
                self._seen.popitem(last=False)
        seen.rssi_dbm = heard.rssi_dbm
        if heard.kind == "SCAN_RSP":
            seen.scan_response = heard.data
        else:
            seen.data = heard.data
        return seen

    def scans(self, scanner: "TapeScanner | None") -> None:
        self._scanner = scanner
        self._scanning.set() if scanner else self._scanning.clear()


def _address(heard: Heard) -> hci.Address:
    public = heard.address_type == "public"
    kind = hci.Address.PUBLIC_DEVICE_ADDRESS if public else hci.Address.RANDOM_DEVICE_ADDRESS
    return hci.Address(heard.address, kind)


def backends(the_tape: Playback) -> tuple[type["TapeScanner"], type["TapeClient"]]:
    """What the bridge takes in the place of the system's own radio."""

    class Scanner(TapeScanner):
        tape = the_tape

    return Scanner, TapeClient


class TapeScanner(BaseBleakScanner):
    tape: ClassVar[Playback]

    def __init__(
        self, detection_callback: AdvertisementDataCallback | None, service_uuids: Any, *_: Any, **__: Any
    ) -> None:
        super().__init__(detection_callback, service_uuids)

    async def start(self) -> None:
        self.seen_devices = {}
        self.tape.scans(self)

    async def stop(self) -> None:
        self.tape.scans(None)

    def hear(self, seen: Seen) -> None:
        advertised = advertisement(seen)
        address = seen.address.to_string(with_type_qualifier=False)
        device = self.create_or_update_device(
            str(seen.address), address, advertised.local_name, seen.address, advertised
        )
        self.call_detection_callbacks(device, advertised)


class TapeClient(PhoneClient):
    """Nobody is there any more."""

    def __init__(self, *args: Any, **options: Any) -> None:
        BaseBleakClient.__init__(self, args[0], **_known(options))
        self._radio = self._link = None

    async def connect(self, pair: bool, **_: Any) -> None:  # noqa: ARG002 -- bleak's shape
        raise BleakDeviceNotFoundError(self.address, "a recording cannot be connected to")


def _known(options: dict[str, Any]) -> dict[str, Any]:
    return {name: options[name] for name in ("disconnected_callback", "timeout")}
