"""GeoClue 2, the desktop's service of positions: Wi-Fi, cells, a modem's receiver. Over the system's D-Bus.

https://www.freedesktop.org/software/geoclue/docs/. This file alone needs dbus-fast for positions: it is
imported only where GeoClue is asked for.
"""

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from dbus_fast import BusType, DBusFastError, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from bridge.model import Fix, rfc3339
from bridge.ports import SourceOff
from bridge.rules.accuracy import is_on_earth, radius_m, taken_ms
from bridge.rules.fix_choice import TAKEN_MS_END
from bridge.rules.receiver_time import StampedAges

SERVICE = "org.freedesktop.GeoClue2"
MANAGER_PATH = "/org/freedesktop/GeoClue2/Manager"
CLIENT, LOCATION = f"{SERVICE}.Client", f"{SERVICE}.Location"
DBUS = "org.freedesktop.DBus"
PROPERTIES = f"{DBUS}.Properties"
DESKTOP_ID = "amr-bridge"  # under which geoclue.conf, or the desktop's agent, lets us ask
EXACT = 8  # GClueAccuracyLevel
CALL_S_MAX = 10.0  # an agent may ask the person first; then we are told "denied" and come again
WAITING_MAX = 4
# GeoClue documents no confidence. What it is made of means 68 % at most (Android) and 95 % at best
# (W3C geolocation); the lower claim is the one that is true of both.
CONFIDENCE = 68.0
# Its `Description` is for people and not always there; what it says in one of these words, we believe.
METHODS = {
    **{word: "GNSS" for word in ("GPS", "GNSS")},
    "WIFI": "WIFI",
    **{word: "CELL" for word in ("3GPP", "CDMA")},
    "STATIC": "MANUAL",  # what somebody wrote into /etc/geolocation
}
# "ipf fallback (from WiFi data)" is a guess by the address in the internet, whatever it was asked with.
GUESSES = {"FALLBACK", "IP", "IPF", "GEOIP"}
# "Unknown" is an accuracy of -1. Of its levels, a city's.
RADIUS_M_UNKNOWN = 15_000.0


class GeoClue:
    """Asks for the best position that the desktop has. `bus_address` is for tests; otherwise the system's."""

    name = "geoclue"

    def __init__(
        self,
        *,
        now_ms: Callable[[], int],
        boottime_ms: Callable[[], int],
        bus_address: str | None = None,
    ) -> None:
        self._now_ms, self._boottime_ms = now_ms, boottime_ms
        self._ages = StampedAges()
        self._bus_address = bus_address

    async def run(self, report: Callable[[Fix], None]) -> None:
        """Report each position until GeoClue or the bus goes; raises SourceOff."""
        try:
            bus = MessageBus(bus_address=self._bus_address, bus_type=BusType.SYSTEM)
            await asyncio.wait_for(bus.connect(), CALL_S_MAX)
        except (OSError, EOFError, TimeoutError, DBusFastError):
            raise SourceOff(
                "no_dbus", "there is no system D-Bus, so no GeoClue; use another source"
            ) from None
        try:
            await self._follow(bus, report)
        except (EOFError, OSError):
            raise SourceOff("geoclue_gone", "the system's D-Bus has gone") from None
        finally:
            bus.disconnect()  # GeoClue forgets a client whose name has left the bus

    async def _follow(self, bus: MessageBus, report: Callable[[Fix], None]) -> None:
        client = (await _call(bus, MANAGER_PATH, f"{SERVICE}.Manager", "GetClient"))[0]
        settings = {
            "DesktopId": Variant("s", DESKTOP_ID),
            "DistanceThreshold": Variant("u", 0),
            "TimeThreshold": Variant("u", 0),
            "RequestedAccuracyLevel": Variant("u", EXACT),
        }
        for name, value in settings.items():
            await _call(bus, client, PROPERTIES, "Set", "ssv", CLIENT, name, value)
        moved = await self._listen(bus, client)
        await _call(bus, client, CLIENT, "Start")
        while (path := await moved.get()) is not None:
            try:
                properties = await _call(bus, path, PROPERTIES, "GetAll", "s", LOCATION)
            except SourceOff as off:
                if off.reason != "geoclue_failing":
                    raise
                continue  # GeoClue drops a position soon after the next one; that is on its way
            fix = read(properties[0], self._now_ms())
            if fix is not None:
                report(self._aged(fix))
        raise SourceOff("geoclue_gone", "GeoClue has stopped; it is asked again")

    def _aged(self, fix: Fix) -> Fix:
        """Return the fix as old as it is: GeoClue begins with the last one that it remembers."""
        boottime_ms = self._boottime_ms()
        age_ms = self._ages.age_ms(taken_ms(fix), self._now_ms(), boottime_ms)
        return replace(fix, arrived_ms=boottime_ms - age_ms)

    async def _listen(self, bus: MessageBus, client: str) -> asyncio.Queue[str | None]:
        """Return the queue of new positions' paths; None in it: GeoClue, or the bus itself, has gone."""
        moved: asyncio.Queue[str | None] = asyncio.Queue(WAITING_MAX)

        def put(path: str | None) -> None:
            if moved.full():
                moved.get_nowait()  # only where the phone is now counts
            moved.put_nowait(path)

        def on_message(message: Message) -> None:
            shape = (message.member, message.signature)
            if shape == ("LocationUpdated", "oo") and message.path == client:
                put(message.body[1])
            elif shape == ("NameOwnerChanged", "sss") and message.body[0] == SERVICE and not message.body[2]:
                put(None)

        def on_disconnect(waiting: asyncio.Future[None]) -> None:
            if not waiting.cancelled():
                waiting.exception()  # why, nobody can mend
                put(None)

        bus.add_message_handler(on_message)
        asyncio.ensure_future(bus.wait_for_disconnect()).add_done_callback(on_disconnect)  # type: ignore[no-untyped-call]
        for rule in (
            f"type='signal',interface='{CLIENT}',member='LocationUpdated',path='{client}'",
            f"type='signal',interface='{DBUS}',member='NameOwnerChanged',arg0='{SERVICE}'",
        ):
            await _call(bus, "/org/freedesktop/DBus", DBUS, "AddMatch", "s", rule, to=DBUS)
        return moved


async def _call(
    bus: MessageBus,
    path: str,
    interface: str,
    member: str,
    signature: str = "",
    *body: Any,
    to: str = SERVICE,
) -> list[Any]:
    """Return what it answers. Raises SourceOff."""
    message = Message(
        destination=to, path=path, interface=interface, member=member, signature=signature, body=list(body)
    )
    try:
        answer = await asyncio.wait_for(bus.call(message), CALL_S_MAX)
    except TimeoutError:
        raise SourceOff("geoclue_silent", f"GeoClue does not answer to {member}") from None
    if answer is None or answer.message_type is not MessageType.ERROR:
        return [] if answer is None else list(answer.body)
    if str(answer.error_name).endswith((".AccessDenied", ".NotAuthorized")):
        raise SourceOff(
            "geoclue_denied",
            "GeoClue gives this program no position; allow it: [amr-bridge] in /etc/geoclue/geoclue.conf",
        )
    if str(answer.error_name).endswith((".ServiceUnknown", ".NameHasNoOwner")):
        raise SourceOff("geoclue_missing", "GeoClue is not installed; install it (apt install geoclue-2.0)")
    raise SourceOff("geoclue_failing", f"GeoClue refuses {member}: {answer.error_name}")


def read(properties: dict[str, Any], now_ms: int) -> Fix | None:
    """Return a Location's properties as a fix; None where they say no place."""
    values = {name: value.value for name, value in properties.items() if isinstance(value, Variant)}
    try:
        lat, lon = float(values["Latitude"]), float(values["Longitude"])
    except (KeyError, TypeError, ValueError):
        return None
    if not is_on_earth(lat, lon):
        return None
    accuracy_m = values.get("Accuracy")
    width_m = radius_m(
        accuracy_m if isinstance(accuracy_m, int | float) else None, unknown_m=RADIUS_M_UNKNOWN
    )
    method = _method(str(values.get("Description", "")))
    taken_at = _stamp(values.get("Timestamp")) or rfc3339(now_ms)
    return Fix(lat, lon, width_m, CONFIDENCE, method, taken_at, source=GeoClue.name)


def _method(description: str) -> str:
    """Return how GeoClue says that it knows; unless it says so in whole words that are known, NETWORK."""
    words = re.findall(r"[A-Z0-9]+", description.upper().replace("WI-FI", "WIFI"))
    if GUESSES.intersection(words):
        return "NETWORK"
    methods = {METHODS[word] for word in words if word in METHODS}
    return methods.pop() if len(methods) == 1 else "NETWORK"


def _stamp(timestamp: Any) -> str | None:
    """Return GeoClue's seconds and microseconds as a time; None where there is none."""
    try:
        stamp_ms = int(timestamp[0]) * 1000 + int(timestamp[1]) // 1000
        return rfc3339(stamp_ms) if 0 < stamp_ms < TAKEN_MS_END else None
    except (IndexError, TypeError, ValueError, OverflowError, OSError):
        return None
