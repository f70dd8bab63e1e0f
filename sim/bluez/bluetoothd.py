"""A bluetoothd that answers as it is told to: late, with an error, or never. On a D-Bus of the test's own.

It knows as much of BlueZ as a scan needs, and keeps its rule that "every client can only start one discovery"
(src/adapter.c): one who left the bus has none.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

BLUEZ = "org.bluez"
ADAPTER, DEVICE = f"{BLUEZ}.Adapter1", f"{BLUEZ}.Device1"
DAEMON = "org.freedesktop.DBus"
PROPERTIES, OBJECTS = f"{DAEMON}.Properties", f"{DAEMON}.ObjectManager"


class Answer(NamedTuple):
    """How a call is answered. What was asked for is done at once, unless `error` names why not."""

    delay_s: float | None = 0.0  # None: never
    error: str = ""


@dataclass
class Adapter:
    """A controller; `powered` lists what it was switched to."""

    name: str
    address: str
    is_on: bool = True
    is_dead: bool = False  # every start of a discovery fails
    powered: list[bool] = field(default_factory=list)
    clients: set[str] = field(default_factory=set)  # who has a discovery

    @property
    def path(self) -> str:
        return f"/org/bluez/{self.name}"

    def properties(self) -> dict[str, Variant]:
        return {
            "Address": Variant("s", self.address),
            "Powered": Variant("b", self.is_on),
            "Discovering": Variant("b", bool(self.clients)),
            "Roles": Variant("as", ["central", "peripheral"]),
        }


class Bluetoothd:
    """`answers` are taken one for each call of a method, by its name; where there are none, all is well."""

    def __init__(self, address: str, *names: str) -> None:
        self._address = address
        self.adapters = {
            name: Adapter(name, f"00:11:22:33:44:{number:02X}")
            for number, name in enumerate(names or ("hci0",))
        }
        self.answers: dict[str, deque[Answer]] = {}
        self.calls: list[str] = []
        self.devices: dict[str, dict[str, Variant]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Bluetoothd":
        self._bus = await MessageBus(self._address, BusType.SYSTEM).connect()
        self._bus.add_message_handler(self._on_message)
        rule = f"type='signal',sender='{DAEMON}',interface='{DAEMON}',member='NameOwnerChanged'"
        await self._bus.call(
            Message(DAEMON, "/org/freedesktop/DBus", DAEMON, "AddMatch", signature="s", body=[rule])
        )
        await self._bus.request_name(BLUEZ)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        self._bus.disconnect()

    def answer(self, method: str, *answers: Answer) -> None:
        """Have the next calls of a method answered so, one after the other."""
        self.answers.setdefault(method, deque()).extend(answers)

    def advertise(self, device: str, uuid: str, adapter: str = "hci0") -> None:
        """Report a device, if anybody has a discovery."""
        path = f"{self.adapters[adapter].path}/dev_{device.replace(':', '_')}"
        properties = {
            "Address": Variant("s", device),
            "AddressType": Variant("s", "random"),
            "Alias": Variant("s", device),
            "Adapter": Variant("o", self.adapters[adapter].path),
            "UUIDs": Variant("as", [uuid]),
            "RSSI": Variant("n", -50),
            "Connected": Variant("b", False),
            "ServicesResolved": Variant("b", False),
        }
        if self.adapters[adapter].clients:
            self.devices[path] = properties
            self._signal("/", OBJECTS, "InterfacesAdded", "oa{sa{sv}}", path, {DEVICE: properties})

    def connect(self, device: str, adapter: str = "hci0") -> None:
        """Have somebody else's device connected, such as a headset."""
        path = f"{self.adapters[adapter].path}/dev_{device.replace(':', '_')}"
        self.devices[path] = {"Address": Variant("s", device), "Connected": Variant("b", True)}

    def _on_message(self, message: Message) -> bool:
        if message.message_type is MessageType.SIGNAL and message.member == "NameOwnerChanged":
            name, _, owner = message.body
            for adapter in self.adapters.values():
                if not owner and name in adapter.clients:
                    self._end(adapter, name)
        if message.message_type is not MessageType.METHOD_CALL or message.destination not in (
            BLUEZ,
            self._bus.unique_name,
        ):
            return False
        self.calls.append(message.member or "")
        waiting = self.answers.get(message.member or "")
        task = asyncio.ensure_future(self._reply(message, waiting.popleft() if waiting else Answer()))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def _reply(self, message: Message, answer: Answer) -> None:
        reply = Message.new_error(message, answer.error, "as told") if answer.error else self._do(message)
        if answer.delay_s is not None:
            await asyncio.sleep(answer.delay_s)
            await self._bus.send(reply)

    def _do(self, message: Message) -> Message:
        if message.member == "GetManagedObjects":
            return Message.new_method_return(message, "a{oa{sa{sv}}}", [self._objects()])
        adapter = next((one for one in self.adapters.values() if one.path == message.path), None)
        if adapter is None:
            return Message.new_error(message, f"{DAEMON}.Error.UnknownObject", "no such object")
        match message.member:
            case "Get":
                value = adapter.properties()[message.body[1]]
                return Message.new_method_return(message, "v", [value])
            case "Set":
                self._power(adapter, bool(message.body[2].value))
            case "StartDiscovery":
                return self._start(adapter, message)
            case "StopDiscovery" if message.sender not in adapter.clients:
                return Message.new_error(message, f"{BLUEZ}.Error.Failed", "No discovery started")
            case "StopDiscovery":
                self._end(adapter, str(message.sender))
        return Message.new_method_return(message)

    def _start(self, adapter: Adapter, message: Message) -> Message:
        if not adapter.is_on:
            return Message.new_error(message, f"{BLUEZ}.Error.NotReady", "Resource Not Ready")
        if adapter.is_dead:
            return Message.new_error(message, f"{BLUEZ}.Error.Failed", "Failed")
        if message.sender in adapter.clients:
            return Message.new_error(message, f"{BLUEZ}.Error.InProgress", "Operation already in progress")
        adapter.clients.add(str(message.sender))
        self._changed(adapter, Discovering=True)
        return Message.new_method_return(message)

    def _end(self, adapter: Adapter, client: str) -> None:
        adapter.clients.discard(client)
        self._changed(adapter, Discovering=bool(adapter.clients))

    def _power(self, adapter: Adapter, is_on: bool) -> None:
        adapter.is_on = is_on
        adapter.powered.append(is_on)
        if not is_on:
            adapter.clients.clear()
        self._changed(adapter, Powered=is_on)

    def _changed(self, adapter: Adapter, **properties: bool) -> None:
        changed = {name: Variant("b", value) for name, value in properties.items()}
        self._signal(adapter.path, PROPERTIES, "PropertiesChanged", "sa{sv}as", ADAPTER, changed, [])

    def _objects(self) -> dict[str, dict[str, dict[str, Variant]]]:
        adapters = {one.path: {ADAPTER: one.properties()} for one in self.adapters.values()}
        return adapters | {path: {DEVICE: properties} for path, properties in self.devices.items()}

    def _signal(self, path: str, interface: str, member: str, signature: str, *body: Any) -> None:
        message = Message.new_signal(path, interface, member, signature, list(body))
        task = asyncio.ensure_future(self._send(message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, message: Message) -> None:
        await self._bus.send(message)
