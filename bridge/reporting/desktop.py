"""The desktop that the bridge runs on, over D-Bus: notices, and how full this machine's battery is.

Both are a courtesy: where there is no bus, nobody who answers, or no answer in time, there is silence,
and the bridge goes on. A connection per question, so that a restarted service is no special case.
"""

import asyncio
import contextlib
import math
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dbus_fast.aio import MessageBus

ANSWER_S_MAX = 2.0
# Freedesktop's Desktop Notifications Specification: an urgency that may be shown over other windows,
# but does not stay there for somebody else to read; -1 is the server's own time to show it.
_URGENCY_NORMAL = 1
_ANY_TIME = -1
_UPOWER = "org.freedesktop.UPower"


class DBusDesktop:
    """Speaks to the desktop over D-Bus; `ports.Desktop`. `name` is what notices come from.

    An address of None is the session's, or the system's, own bus, as the environment says.
    """

    def __init__(
        self,
        name: str,
        *,
        session_address: str | None = None,
        system_address: str | None = None,
        answer_s_max: float = ANSWER_S_MAX,
    ) -> None:
        self._name = name
        self._session, self._system = session_address, system_address
        self._answer_s_max = answer_s_max

    async def notify(self, summary: str, body: str) -> bool:
        """Show a notice; return whether somebody took it, to show it."""
        with contextlib.suppress(*_unanswered()):
            async with asyncio.timeout(self._answer_s_max), _bus(self._session, system=False) as bus:
                from dbus_fast import Message, MessageType, Variant

                hints = {"urgency": Variant("y", _URGENCY_NORMAL)}
                answer = await bus.call(
                    Message(
                        destination="org.freedesktop.Notifications",
                        path="/org/freedesktop/Notifications",
                        interface="org.freedesktop.Notifications",
                        member="Notify",
                        signature="susssasa{sv}i",
                        body=[self._name, 0, "", summary, body, [], hints, _ANY_TIME],
                    )
                )
                return answer is not None and answer.message_type is MessageType.METHOD_RETURN
        return False

    async def battery_percent(self) -> int | None:
        """Return the charge of UPower's composite battery, None where it is not known or there is none."""
        with contextlib.suppress(*_unanswered()):
            async with asyncio.timeout(self._answer_s_max), _bus(self._system, system=True) as bus:
                from dbus_fast import Message

                answer = await bus.call(
                    Message(
                        destination=_UPOWER,
                        path="/org/freedesktop/UPower/devices/DisplayDevice",
                        interface="org.freedesktop.DBus.Properties",
                        member="GetAll",
                        signature="s",
                        body=[f"{_UPOWER}.Device"],
                    )
                )
                return _percent(answer)
        return None


def _percent(answer: Any) -> int | None:
    """Read UPower's answer: it says 0 % of a battery that is not there, so that is looked at first."""
    if answer.signature != "a{sv}":
        return None
    values = {name: variant.value for name, variant in answer.body[0].items()}
    percent = values.get("Percentage")
    if values.get("IsPresent") is not True or not isinstance(percent, float):
        return None
    return round(percent) if math.isfinite(percent) and 0 <= percent <= 100 else None


def _unanswered() -> tuple[type[Exception], ...]:
    """Return what is raised when nobody answers; also by a dbus-fast that is not installed."""
    nobody: tuple[type[Exception], ...] = (OSError, EOFError, ImportError, TimeoutError)
    try:
        from dbus_fast import AuthError, DBusError, InvalidAddressError
    except ImportError:
        return nobody
    return (*nobody, AuthError, DBusError, InvalidAddressError)


@contextlib.asynccontextmanager
async def _bus(address: str | None, *, system: bool) -> AsyncGenerator["MessageBus"]:
    from dbus_fast import BusType
    from dbus_fast.aio import MessageBus

    bus = MessageBus(address, BusType.SYSTEM if system else BusType.SESSION)
    try:
        await bus.connect()
        yield bus
    finally:
        bus.disconnect()
