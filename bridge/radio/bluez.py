"""Linux's Bluetooth, watched and repaired over D-Bus: its daemon, an adapter, and whether that is on.

bleak scans, but does not say when a scan has died. What can be seen of it from outside is seen here:
bluetoothd gone (NameOwnerChanged), the adapter unplugged (InterfacesRemoved), off or blocked (Powered), a
discovery that has ended (Discovering). Only Linux has dbus_fast: bleak_radio.py imports this there alone.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dbus_fast import AuthError, BusType, InvalidAddressError, Message, MessageType, Variant
from dbus_fast.aio import MessageBus
from dbus_fast.auth import AuthExternal

from bridge.ports import RadioOff

# How long a scan that is to begin waits for what is missing; it is asked for again soon after.
REPAIR_S_MAX = 5.0
LOOK_AGAIN_S = 0.2
CALL_S_MAX = 3.0
# bluetoothd lets a discovery end after 10.24 s and begins the next some milliseconds later; a connection
# that is being made interrupts it for longer.
PAUSE_S_MAX = 3.0

_BLUEZ = "org.bluez"
_ADAPTER = "org.bluez.Adapter1"
_MONITORS = "org.bluez.AdvertisementMonitorManager1"
_PROPERTIES = "org.freedesktop.DBus.Properties"
_OBJECTS = "org.freedesktop.DBus.ObjectManager"
_DAEMON = "org.freedesktop.DBus"

_SIG_BASE = "-0000-1000-8000-00805f9b34fb"

_TEXTS = {
    "bluetooth_off": "Bluetooth is off and cannot be switched on from here; switch it on in the settings",
    "bluetooth_blocked": "Bluetooth is blocked (flight mode or a switch); run: rfkill unblock bluetooth",
    "bluetooth_busy": "the Bluetooth service is still busy with what it was asked before; it is asked afresh",
    "bluetooth_silent": "the Bluetooth service does not answer; if that stays, restart it: "
    "sudo systemctl restart bluetooth",
    "bluetooth_failing": "the Bluetooth service reports a failure; it is asked afresh",
    "bluetooth_unfit": "this Bluetooth adapter cannot do what is needed; name another in radio.adapter",
    "adapter_gone": "there is no Bluetooth adapter; plug it in, or see in dmesg what became of it",
    "bluetoothd_gone": "the Bluetooth service does not run; run: sudo systemctl restart bluetooth",
    "permission": "this user may not use Bluetooth; add it to the group bluetooth, and log in anew",
    "scan_ended": "the Bluetooth adapter has stopped listening; it is started again",
}
# By D-Bus error (BlueZ 5.66: src/error.c; D-Bus specification, "Message Bus Messages").
_REASONS = {
    f"{_BLUEZ}.Error.Blocked": "bluetooth_blocked",
    f"{_BLUEZ}.Error.NotReady": "bluetooth_off",
    f"{_BLUEZ}.Error.InProgress": "bluetooth_busy",
    f"{_BLUEZ}.Error.Busy": "bluetooth_busy",
    f"{_BLUEZ}.Error.Failed": "bluetooth_failing",
    f"{_BLUEZ}.Error.NotSupported": "bluetooth_unfit",
    f"{_BLUEZ}.Error.NotAvailable": "bluetooth_unfit",
    f"{_BLUEZ}.Error.NotAuthorized": "permission",
    f"{_BLUEZ}.Error.NotPermitted": "permission",
    f"{_DAEMON}.Error.AccessDenied": "permission",
    f"{_DAEMON}.Error.AuthFailed": "permission",
    f"{_DAEMON}.Error.ServiceUnknown": "bluetoothd_gone",
    f"{_DAEMON}.Error.NameHasNoOwner": "bluetoothd_gone",
    f"{_DAEMON}.Error.Disconnected": "bluetoothd_gone",
    f"{_DAEMON}.Error.NoReply": "bluetooth_silent",
    f"{_DAEMON}.Error.Timeout": "bluetooth_silent",
    f"{_DAEMON}.Error.TimedOut": "bluetooth_silent",
    f"{_DAEMON}.Error.LimitsExceeded": "bluetooth_busy",
    f"{_DAEMON}.Error.UnknownObject": "adapter_gone",
    f"{_DAEMON}.Error.UnknownInterface": "adapter_gone",
    f"{_DAEMON}.Error.UnknownMethod": "adapter_gone",
}
_ONLY_A_PERSON_CAN = ("permission", "bluetooth_blocked")


def radio_off(reason: str) -> RadioOff:
    """Return the reason with its sentence."""
    return RadioOff(reason, _TEXTS[reason])


def error_off(error_name: str) -> RadioOff:
    """Return what a D-Bus error means, in a sentence of its own; one that nobody foresaw is named."""
    if (reason := _REASONS.get(error_name)) is not None:
        return radio_off(reason)
    return RadioOff("bluetooth_failing", f"the Bluetooth service reports {error_name}; it is asked afresh")


@dataclass(frozen=True)
class Adapter:
    """One that is powered, and connects to peripherals."""

    name: str  # hci0
    passive: bool  # it can listen without asking for scan responses (BlueZ's advertisement monitors)


class Bluez:
    """Finds an adapter, watches it and repairs what can be repaired.

    `on_off(why)` is called once after a `ready()`, when what that found is no more. `wish` names the one
    adapter to use, by name (hci1) or address; empty: any.
    """

    def __init__(
        self,
        on_off: Callable[[RadioOff], None],
        wish: str = "",
        repair_s_max: float = REPAIR_S_MAX,
        pause_s_max: float = PAUSE_S_MAX,
    ) -> None:
        self._on_off, self._wish = on_off, wish
        self._passed_over: set[str] = set()  # paths of adapters that did not do
        self._repair_s_max, self._pause_s_max = repair_s_max, pause_s_max
        self._bus: MessageBus | None = None
        self._rules: set[str] = set()
        self.adapter = ""  # the one that was found last: hci0
        self._path: str | None = None  # its object, while it is watched
        self._discovering = False  # it should be
        self._look: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    # -- before a scan ----------------------------------------------------------------------

    async def ready(self) -> Adapter:
        """Return a powered adapter; wait for what is missing, and repair what can be. Raises RadioOff."""
        self.forget()
        why = radio_off("bluetoothd_gone")
        try:
            async with asyncio.timeout(self._repair_s_max):
                while True:
                    try:
                        return await self._find()
                    except RadioOff as off:
                        if off.reason in _ONLY_A_PERSON_CAN:
                            raise
                        why = off
                    await asyncio.sleep(LOOK_AGAIN_S)
        except TimeoutError:
            raise why from None

    async def _find(self) -> Adapter:
        # This call also starts a bluetoothd that D-Bus knows how to start.
        objects = (await self._call(_BLUEZ, "/", _OBJECTS, "GetManagedObjects"))[0]
        path, is_on = self._choose(objects)
        await self._subscribe(
            f"type='signal',sender='{_BLUEZ}',interface='{_OBJECTS}',"
            f"member='InterfacesRemoved',arg0path='{path}'"
        )
        if not is_on:
            await self._switch_on(path, _value(objects[path][_ADAPTER], "PowerState", ""))
        if not self.adapter:
            await self._forget_strays(path, objects)
        self._path, self.adapter = path, path.rsplit("/", 1)[1]
        return Adapter(self.adapter, _MONITORS in objects[path])

    def _choose(self, objects: dict[str, dict[str, dict[str, Variant]]]) -> tuple[str, bool]:
        """Return an adapter's path, and whether it is on: whoever did not do comes last. Raises RadioOff."""
        # BlueZ before 5.55 does not say which roles an adapter has.
        adapters = {
            path: interfaces[_ADAPTER]
            for path, interfaces in objects.items()
            if _ADAPTER in interfaces and "central" in _value(interfaces[_ADAPTER], "Roles", ["central"])
        }
        if self._wish:
            adapters = {path: has for path, has in adapters.items() if self._is_wished(path, has)}
        if not adapters:
            raise self._no_adapter()
        if adapters.keys() <= self._passed_over:
            self._passed_over.clear()
        is_on = {path: bool(_value(has, "Powered", False)) for path, has in adapters.items()}
        path = min(adapters, key=lambda path: (path in self._passed_over, not is_on[path], path))
        return path, is_on[path]

    def _no_adapter(self) -> RadioOff:
        if not self._wish:
            return radio_off("adapter_gone")
        text = f"there is no Bluetooth adapter {self._wish}; plug it in, or change radio.adapter"
        return RadioOff("adapter_gone", text)

    def _is_wished(self, path: str, adapter: dict[str, Variant]) -> bool:
        names = (path.rsplit("/", 1)[1], _value(adapter, "Address", ""))
        return self._wish.lower() in (name.lower() for name in names)

    def pass_over(self) -> None:
        """Take another adapter the next time, if there is one: this one does not do."""
        self._passed_over.add(f"/org/bluez/{self.adapter}")

    async def forget_discovery(self, bus: MessageBus | None, keeps_links: bool) -> None:
        """End the discovery of whoever is on `bus`, if there is one: by a word of theirs, or by leaving."""
        if bus is None:
            return
        if keeps_links:
            with contextlib.suppress(Exception):  # whatever it is, leaving the bus helps
                async with asyncio.timeout(CALL_S_MAX):
                    await self._end_discovery(bus)
                    return
        bus.disconnect()

    async def _end_discovery(self, bus: MessageBus) -> None:
        """Stop the discovery of whoever is on `bus`, or find that there is none. Raises RadioOff."""
        reply = await bus.call(Message(_BLUEZ, f"/org/bluez/{self.adapter}", _ADAPTER, "StopDiscovery"))
        # "Failed" says that there is none (src/adapter.c, stop_discovery).
        if reply is not None and reply.error_name not in (None, "", f"{_BLUEZ}.Error.Failed"):
            raise error_off(reply.error_name)

    async def power_cycle(self) -> bool:
        """Switch the adapter off and on; return whether that was done.

        It is not where somebody else has a device connected by it: then the adapter works, and a headset
        would fall silent. Raises RadioOff.
        """
        path = f"/org/bluez/{self.adapter}"
        self.forget()
        objects = (await self._call(_BLUEZ, "/", _OBJECTS, "GetManagedObjects"))[0]
        devices = (
            interfaces["org.bluez.Device1"]
            for device, interfaces in objects.items()
            if device.startswith(f"{path}/") and "org.bluez.Device1" in interfaces
        )
        if path not in objects or any(_value(device, "Connected", False) for device in devices):
            return False
        for is_on in (False, True):
            await self._call(
                _BLUEZ, path, _PROPERTIES, "Set", "ssv", [_ADAPTER, "Powered", Variant("b", is_on)]
            )
        return True

    async def _forget_strays(self, path: str, objects: dict[str, dict[str, dict[str, Variant]]]) -> None:
        """Forget what looks like a button and was left by a bridge that was killed.

        BlueZ would be silent about one that still advertises, as nothing in its advert changes; forgotten,
        it is told of anew. One that is connected stays, to be taken over.
        """
        for device, interfaces in objects.items():
            have = interfaces.get("org.bluez.Device1")
            if have is not None and device.startswith(f"{path}/") and _is_stray(have):
                with contextlib.suppress(RadioOff):
                    await self.remove(device)

    async def _switch_on(self, path: str, power_state: str) -> None:
        if power_state == "off-blocked":  # flight mode is a person's wish, so it is not undone
            raise radio_off("bluetooth_blocked")
        try:
            await self._call(
                _BLUEZ, path, _PROPERTIES, "Set", "ssv", [_ADAPTER, "Powered", Variant("b", True)]
            )
        except RadioOff as off:
            # bluetoothd 5.66 says "Failed" of a blocked adapter, and of one that does not come on.
            if off.reason == "bluetooth_failing":
                raise radio_off("bluetooth_blocked" if is_blocked() else "bluetooth_off") from None
            raise
        if not await self._get(path, "Powered"):
            raise radio_off("bluetooth_off")

    # -- while it scans ---------------------------------------------------------------------

    def began(self, active: bool) -> None:
        """Watch the scan that has begun. BlueZ says of an active one alone whether it goes on."""
        self._discovering = active
        if active:
            self._look_soon()

    def forget(self) -> None:
        """Tell nothing any more: no scan is wanted."""
        self._path = None
        self._discovering = False
        self._look_no_more()

    def close(self) -> None:
        """Leave the bus."""
        self.forget()
        for task in self._tasks:
            task.cancel()
        bus, self._bus = self._bus, None
        if bus is not None:
            bus.disconnect()

    async def remove(self, device: str) -> None:
        """Have BlueZ forget the object `device`. Raises RadioOff."""
        await self._call(_BLUEZ, device.rsplit("/", 1)[0], _ADAPTER, "RemoveDevice", "o", [device])

    def _off(self, reason: str) -> None:
        if self._path is not None:
            self.forget()
            self._on_off(radio_off(reason))

    def _on_message(self, message: Message) -> None:
        if message.message_type != MessageType.SIGNAL:
            return
        if message.member == "NameOwnerChanged" and message.body[0] == _BLUEZ:
            if message.body[1]:  # it had an owner, who is gone, whoever came after
                self._off("bluetoothd_gone")
        elif message.member == "InterfacesRemoved" and message.body[0] == self._path:
            if _ADAPTER in message.body[1]:
                self._off("adapter_gone")
        elif message.member == "PropertiesChanged" and message.path == self._path:
            changed = message.body[1]
            if not _value(changed, "Powered", True):
                self._off("bluetooth_off")
            elif not _value(changed, "Discovering", True) and self._discovering:
                self._look_soon()

    def _look_soon(self) -> None:
        if self._look is None:
            self._look = asyncio.get_running_loop().call_later(self._pause_s_max, self._look_now)

    def _look_no_more(self) -> None:
        if self._look is not None:
            self._look.cancel()
            self._look = None

    def _look_now(self) -> None:
        self._look = None
        self._spawn(self._is_it_discovering())

    async def _is_it_discovering(self) -> None:
        path = self._path
        try:
            reason = "" if path is None or await self._get(path, "Discovering") else "scan_ended"
        except RadioOff as off:
            reason = off.reason
        if reason and path == self._path:
            self._off(reason)

    # -- the bus ----------------------------------------------------------------------------

    async def _get(self, path: str, name: str) -> Any:
        return (await self._call(_BLUEZ, path, _PROPERTIES, "Get", "ss", [_ADAPTER, name]))[0].value

    async def _call(
        self,
        name: str,
        path: str,
        interface: str,
        member: str,
        signature: str = "",
        body: list[Any] | None = None,
    ) -> list[Any]:
        """Return the answer's body. Raises RadioOff."""
        bus = await self._connected()
        message = Message(name, path, interface, member, signature=signature, body=body or [])
        try:
            async with asyncio.timeout(CALL_S_MAX):
                reply = await bus.call(message)
        except TimeoutError:
            raise radio_off("bluetooth_silent") from None
        except (EOFError, OSError):
            raise radio_off("bluetoothd_gone") from None
        assert reply is not None, "a call has an answer"
        if reply.message_type == MessageType.ERROR:
            raise error_off(reply.error_name or "an error without a name")
        return reply.body

    async def _subscribe(self, rule: str) -> None:
        if rule not in self._rules:
            await self._call(_DAEMON, "/org/freedesktop/DBus", _DAEMON, "AddMatch", "s", [rule])
            self._rules.add(rule)

    async def _connected(self) -> MessageBus:
        if self._bus is not None and self._bus.connected:
            return self._bus
        self._bus = bus = await _system_bus()
        self._rules.clear()
        bus.add_message_handler(self._on_message)
        self._spawn(self._until_closed(bus))
        await self._subscribe(
            f"type='signal',sender='{_DAEMON}',interface='{_DAEMON}',member='NameOwnerChanged',arg0='{_BLUEZ}'"
        )
        # Of adapters alone: a device's properties change with every advert in the street.
        await self._subscribe(
            f"type='signal',sender='{_BLUEZ}',interface='{_PROPERTIES}',"
            f"member='PropertiesChanged',arg0='{_ADAPTER}'"
        )
        return bus

    async def _until_closed(self, bus: MessageBus) -> None:
        with contextlib.suppress(Exception):  # it raises what ended the connection, whatever that was
            await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]
        if bus is self._bus:
            self._off("bluetoothd_gone")

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _system_bus() -> MessageBus:
    """Return a connection to the system bus. Raises RadioOff."""
    # As bleak has it: where the bus is behind TCP, the user at its other end.
    uid = os.environ.get("BLEAK_DBUS_AUTH_UID", "")
    bus = None
    try:
        bus = MessageBus(bus_type=BusType.SYSTEM, auth=AuthExternal(uid=int(uid)) if uid.isdigit() else None)
        async with asyncio.timeout(CALL_S_MAX):
            return await bus.connect()
    except (PermissionError, AuthError):
        reason = "permission"
    except (OSError, EOFError, TimeoutError, InvalidAddressError):
        reason = "bluetoothd_gone"
    if bus is not None:
        bus.disconnect()
    raise radio_off(reason)


def is_blocked(folder: Path = Path("/sys/class/rfkill")) -> bool:
    """Ask the kernel, for a bluetoothd that says "Failed" alone (5.66 without --experimental)."""
    for switch in folder.glob("*"):
        with contextlib.suppress(OSError):
            kind, soft, hard = ((switch / name).read_text().strip() for name in ("type", "soft", "hard"))
            if kind == "bluetooth" and "1" in (soft, hard):
                return True
    return False


def _is_stray(device: dict[str, Variant]) -> bool:
    """Return whether it is nobody's, with a random address and service UUIDs alone (SPEC.md, "Advert")."""
    says_more = {"Name", "ManufacturerData", "ServiceData", "Appearance", "Class"} & device.keys()
    is_anybodys = any(
        _value(device, name, False) for name in ("Connected", "Paired", "Bonded", "Trusted", "Blocked")
    )
    return (
        not says_more
        and not is_anybodys
        and _value(device, "AddressType", "") == "random"
        and any(not uuid.endswith(_SIG_BASE) for uuid in _value(device, "UUIDs", []))
    )


def _value(properties: dict[str, Variant], name: str, default: Any) -> Any:
    return properties[name].value if name in properties else default
