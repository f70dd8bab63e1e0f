"""A button's Bluetooth: `bluetooth.BLE` as MicroPython on an ESP32 has it, on the virtual air.

What NimBLE does and the firmware must live with is here, too: every `active(True)` goes back to the public
address, adverts stop at each connect, a new table is for the session, and values are cut without a word.
"""

import errno
import sys
from collections.abc import Callable
from random import Random
from types import ModuleType
from typing import Any

from sim.virtual.radio_world import Air, Sender
from sim.virtual.time import Time

CONNECTED, DISCONNECTED, WRITTEN = 1, 2, 3
LINKS_MAX = 3
STOP_S_MAX = 2.0  # NimBLE's stop waits so long for links that it has to end itself (ble_hs_stop.c)
_VALUE_BYTES = 20


class UUID(bytes):
    """As MicroPython keeps it: little-endian bytes."""


def provide() -> None:
    """Let `import bluetooth` of the firmware find it."""
    if "bluetooth" not in sys.modules:
        module = ModuleType("bluetooth")
        module.UUID, module.BLE = UUID, Ble  # type: ignore[attr-defined]
        sys.modules["bluetooth"] = module


class Central:
    """The other end of a link, told when it is lost.

    `lingers_s`: a central that does not answer LL_TERMINATE_IND is linked until its own supervision timeout,
    which may be up to 32 s (Core 6.0, Vol 6, Part B, 4.5.2).
    """

    def __init__(self, name: str, on_lost: Callable[[], None], lingers_s: float = 0.0) -> None:
        self.name, self.on_lost, self.lingers_s = name, on_lost, lingers_s


class Ble:
    """`wake()` is called when an interrupt has something for the program; `on_air(address, uuid)` when an
    advert is new; `on_silent(True)` when the adverts stop, `on_silent(False)` when they go on."""

    def __init__(
        self,
        name: str,
        time: Time,
        air: Air,
        random: Random,
        wake: Callable[[], None],
        on_air: Callable[[str, str], None],
        on_silent: Callable[[bool], None],
    ) -> None:
        self._time, self._air, self._random = time, air, random
        self._wake, self._on_air, self._on_silent = wake, on_air, on_silent
        self.sender = Sender(name)
        self._public = _address(random)
        self._irq: Callable[[int, tuple[int, ...]], None] | None = None
        self._on = False
        self._values: dict[int, bytes] = {}
        self._room: dict[int, int] = {}
        self._handles = 0
        self._connections = 0
        self.links: dict[int, Central] = {}
        self._last = ("", "")
        self._ending: set[int] = set()  # let go, and still linked
        self.busy_until_s = 0.0  # a call that blocks the program ends here

    # -- MicroPython's API --------------------------------------------------------------------------

    def irq(self, handler: Callable[[int, tuple[int, ...]], None]) -> None:
        self._irq = handler

    def active(self, on: bool) -> None:
        self._stop()
        for connection, central in list(self.links.items()):
            if connection not in self._ending and central.lingers_s:
                wait_s = min(central.lingers_s, STOP_S_MAX)
                self.busy_until_s = max(self.busy_until_s, self._time.now_s + wait_s)
            self._lose(connection)
        self._on, self._values, self._room = on, {}, {}
        self.sender.address = self._public

    def config(self, *, addr_mode: int | None = None, gap_name: str = "") -> None:  # noqa: ARG002
        if addr_mode == 1:
            self.sender.address = _address(self._random)

    def gap_advertise(self, interval_us: int | None, adv_data: bytes = b"", connectable: bool = True) -> None:
        if interval_us is None:
            self._stop()
            return
        if not self._on or (connectable and len(self.links) >= LINKS_MAX + 1):
            raise OSError(errno.ENOMEM)
        sender = self.sender
        sender.uuid, sender.connectable = _listed(adv_data), connectable
        was_silent, sender.interval_us = not sender.interval_us, interval_us
        if was_silent:
            self._on_silent(False)
        if self._last != (sender.address, sender.uuid):
            self._last = (sender.address, sender.uuid)
            self._on_air(sender.address, sender.uuid)
        self._air.send(sender)

    def gatts_register_services(self, services: Any) -> tuple[tuple[int, ...], ...]:
        if self.links:
            raise OSError(errno.EBUSY)
        self._values, self._room = {}, {}
        tables = []
        for _, characteristics in services:
            table = []
            for _ in characteristics:
                self._handles += 1
                self._values[self._handles], self._room[self._handles] = b"", _VALUE_BYTES
                table.append(self._handles)
            tables.append(tuple(table))
        return tuple(tables)

    def gatts_set_buffer(self, handle: int, size: int) -> None:
        self._room[handle] = size

    def gatts_write(self, handle: int, value: bytes, notify: bool = False) -> None:  # noqa: ARG002
        self._values[handle] = bytes(value)

    def gatts_read(self, handle: int) -> bytes:
        return self._values[handle]

    def gap_disconnect(self, connection: int) -> None:
        if connection not in self.links:
            raise OSError(errno.ENOTCONN)
        if connection in self._ending:
            raise OSError(errno.EALREADY)
        lingers_s = self.links[connection].lingers_s
        if lingers_s:
            self._ending.add(connection)
            self._time.after(lingers_s, self._lose, connection)
        else:
            self._lose(connection)

    def _stop(self) -> None:
        if self.sender.interval_us:
            self.sender.interval_us = 0
            self._air.send(self.sender)
            self._on_silent(True)

    def _lose(self, connection: int) -> None:
        self._ending.discard(connection)
        if connection in self.links:
            self._time.after(0.001, self.links.pop(connection).on_lost)
            self._tell(DISCONNECTED, connection)

    def _tell(self, event: int, connection: int, handle: int = 0) -> None:
        if self._irq is not None:
            self._irq(event, (connection, handle))
            self._wake()

    # -- what centrals and the hand do ----------------------------------------------------------------

    def connect(self, central: Central, address: str) -> int | None:
        """The connection, where this address can be connected to now."""
        sender = self.sender
        if not (sender.interval_us and sender.connectable and sender.address == address):
            return None
        self._stop()
        self._connections += 1
        self.links[self._connections] = central
        self._tell(CONNECTED, self._connections)
        return self._connections

    def disconnect(self, connection: int) -> None:
        """The central's side ends it."""
        if connection in self.links:
            del self.links[connection]
            self._tell(DISCONNECTED, connection)

    def write(self, connection: int, value: bytes) -> bool:
        """To *receipt*, the first of the table; whether the link still is."""
        if connection not in self.links:
            return False
        handle = min(self._values)
        self._values[handle] = value[: self._room[handle]]
        self._tell(WRITTEN, connection, handle)
        return True

    def read(self, connection: int) -> bytes | None:
        """*state*, the second of the table; None where the link is gone."""
        return self._values[max(self._values)] if connection in self.links else None

    def cut_power(self) -> None:
        self._irq = None
        self.active(False)


def _listed(adv_data: bytes) -> str:
    """The 128-bit UUID in an advert, as scanners report it."""
    text = adv_data[5:][::-1].hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _address(random: Random) -> str:
    """A static random one: its two highest bits are set (Core, Vol 6, Part B, 1.3.2.1)."""
    return f"{random.randrange(0xC0_00_00_00_00_00, 1 << 48):012X}"
