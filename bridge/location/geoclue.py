"""GeoClue 2, the desktop's service of positions: Wi-Fi, cells, a modem's receiver. Over the system's D-Bus.

https://www.freedesktop.org/software/geoclue/docs/. This file alone needs dbus-fast for positions: it is
imported only where GeoClue is asked for.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from dbus_fast import BusType, DBusFastError, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from bridge.model import Fix, rfc3339
from bridge.ports import SourceOff
from bridge.rules.accuracy import is_on_earth

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
# Its `Description` is for people and not always there; what it says plainly, we believe.
METHODS = (("GPS", "GNSS"), ("GNSS", "GNSS"), ("WIFI", "WIFI"), ("3GPP", "CELL"), ("CDMA", "CELL"))


class GeoClue:
    """`bus_address` is for tests; otherwise the system's."""

    name = "geoclue"

    def __init__(self, *, now_ms: Callable[[], int], bus_address: str | None = None) -> None:
        self._now_ms = now_ms
        self._bus_address = bus_address

    async def run(self, report: Callable[[Fix], None]) -> None:
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
        wanted = {
            "DesktopId": Variant("s", DESKTOP_ID),
            "DistanceThreshold": Variant("u", 0),
            "TimeThreshold": Variant("u", 0),
            "RequestedAccuracyLevel": Variant("u", EXACT),
        }
        for name, value in wanted.items():
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
                report(fix)
        raise SourceOff("geoclue_gone", "GeoClue has stopped; it is asked again")

    async def _listen(self, bus: MessageBus, client: str) -> asyncio.Queue[str | None]:
        """The paths of new positions; None when GeoClue, or the bus itself, has gone."""
        moved: asyncio.Queue[str | None] = asyncio.Queue(WAITING_MAX)

        def put(path: str | None) -> None:
            if moved.full():
                moved.get_nowait()  # only where she is now counts
            moved.put_nowait(path)

        def heard(message: Message) -> None:
            shape = (message.member, message.signature)
            if shape == ("LocationUpdated", "oo") and message.path == client:
                put(message.body[1])
            elif shape == ("NameOwnerChanged", "sss") and message.body[0] == SERVICE and not message.body[2]:
                put(None)

        def gone(waiting: asyncio.Future[None]) -> None:
            if not waiting.cancelled():
                waiting.exception()  # why, nobody can mend
                put(None)

        bus.add_message_handler(heard)
        asyncio.ensure_future(bus.wait_for_disconnect()).add_done_callback(gone)  # type: ignore[no-untyped-call]
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
    """What it answers. Raises SourceOff."""
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
    """A Location's properties as a fix; None where they are none."""
    values = {name: value.value for name, value in properties.items() if isinstance(value, Variant)}
    try:
        lat, lon = float(values["Latitude"]), float(values["Longitude"])
        radius_m = float(values["Accuracy"])
        seconds, microseconds = values.get("Timestamp", (0, 0))
        taken_ms = int(seconds) * 1000 + int(microseconds) // 1000 or now_ms
        taken_at = rfc3339(taken_ms)
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return None
    if not is_on_earth(lat, lon):
        return None
    description = str(values.get("Description", "")).upper().replace("-", "")
    method = next((method for word, method in METHODS if word in description), "NETWORK")
    return Fix(lat, lon, radius_m, CONFIDENCE, method, taken_at, source=GeoClue.name)
