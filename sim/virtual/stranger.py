"""Strangers: who stays, cannot be let go of, forges receipts, repeats what was heard, shouts old codes.

And impostors, who send the code that is on the air and answer for the button; some pass its state on.
"""

from collections.abc import Callable
from random import Random

from sim.virtual.ble import Ble, Central
from sim.virtual.radio_world import Air, Sender
from sim.virtual.time import Time
from wire import receipts, state

TRY_S = 0.7
LINGERS_S = 32.0  # the longest supervision timeout that there is (Core 6.0, Vol 6, Part B, 4.5.2)
NEW_ADDRESS_S = 1.0
_HEARD_MAX = 64


class Overheard:
    """What anybody with a radio has recorded: codes from the air, values that were written in clear."""

    def __init__(self) -> None:
        self.codes: list[str] = []
        self.newest: dict[str, str] = {}  # code of each button
        self.values: list[bytes] = []

    def value(self, value: bytes) -> None:
        self.values = [*self.values, value][-_HEARD_MAX:]


class Stranger:
    """One of faults.STRANGERS, near `button` until `until_s`."""

    def __init__(
        self,
        kind: str,
        number: int,
        button: Ble,
        time: Time,
        air: Air,
        overheard: Overheard,
        random: Random,
        until_s: float,
    ) -> None:
        self._kind, self._button, self._time, self._air = kind, button, time, air
        self._overheard, self._random, self._until_s = overheard, random, until_s
        lingers_s = LINGERS_S if kind == "linger" else 0.0
        self._central = Central(f"stranger-{number}", self._lost, lingers_s)
        self._connection: int | None = None
        self._sender = Sender(self._central.name)
        if kind == "shout":
            air.place_m[self._sender.name] = air.place_m.get(button.sender.name, 0.0)
        self._act()

    def _act(self) -> None:
        if self._time.now_s >= self._until_s:
            self._leave()
            return
        self._time.after(TRY_S, self._act)
        if self._kind == "shout":
            self._shout()
        elif self._connection is None:
            self._connection = self._button.connect(self._central, self._button.sender.address)
        elif self._kind not in ("stay", "linger"):
            self._button.write(self._connection, self._value())

    def _shout(self) -> None:
        """An old code, under an address of its own; nobody answers there."""
        if self._overheard.codes and self._random.random() < 0.5:
            self._sender.uuid = self._random.choice(self._overheard.codes)
            self._sender.address = f"{self._random.randrange(0xC0_00_00_00_00_00, 1 << 48):012X}"
            self._sender.interval_us, self._sender.connectable = 100_000, True
            self._air.send(self._sender)

    def _value(self) -> bytes:
        if self._kind == "repeat" and self._overheard.values:
            return self._random.choice(self._overheard.values)
        stage = self._random.randrange(receipts.HEARD, receipts.CLOSED + 1)
        return bytes((stage,)) + self._random.randbytes(receipts.PROOF_BYTES)

    def _lost(self) -> None:
        self._connection = None

    def _leave(self) -> None:
        if self._connection is not None:
            self._button.disconnect(self._connection)
            self._connection = None
        if self._sender.interval_us:
            self._sender.interval_us = 0
            self._air.send(self._sender)


class Impostor:
    """Sends the newest code of `button` until `until_s`, under a new address every `every_s`.

    It takes the link and answers each write, as the button does; `shows`: what whoever reads its state gets.
    """

    def __init__(
        self,
        name: str,
        shows: str,
        button: str,
        time: Time,
        air: Air,
        overheard: Overheard,
        random: Random,
        until_s: float,
        every_s: float = NEW_ADDRESS_S,
    ) -> None:
        self._every_s = every_s
        self._shows, self._button, self._time, self._air = shows, button, time, air
        self._overheard, self._random, self._until_s = overheard, random, until_s
        self._written = b""
        self._linked: list[Central] = []
        self.sender = Sender(name)
        self._send()

    def _send(self) -> None:
        sender, code = self.sender, self._overheard.newest.get(self._button)
        if self._time.now_s >= self._until_s:
            sender.interval_us = 0
            self._leave()
        elif code is not None:
            sender.uuid = code
            sender.address = f"{self._random.randrange(0xC0_00_00_00_00_00, 1 << 48):012X}"
            sender.interval_us, sender.connectable = 20_000, True
        if sender.address:
            self._air.send(sender)
        if self._time.now_s < self._until_s:
            self._time.after(self._every_s, self._send)

    def _leave(self) -> None:
        """Take all links along."""
        linked, self._linked = self._linked, []
        for central in linked:
            central.on_lost()

    def connect(self, central: Central, address: str) -> int | None:
        """Take the link."""
        if not self.sender.interval_us or address != self.sender.address:
            return None
        self._linked.append(central)
        return 1

    def disconnect(self, _connection: int) -> None:
        """Let go."""

    def write(self, _connection: int, value: bytes) -> bool:
        """Answer, as the button does."""
        self._written = value
        return True

    def read(self, _connection: int) -> bytes | None:
        """Show what is no state of this button."""
        if self._shows == "echo":
            return self._written
        return self._random.randbytes(state.VALUE_BYTES) if self._shows == "rubbish" else None


class Passer(Impostor):
    """Shows whoever reads it the state of the button itself, which it reads at that moment.

    `tell()` is called each time: whoever sees that state takes it for the button.
    """

    def show(self, button: Ble, tell: Callable[[], None]) -> None:
        """Begin to pass the state of `button` on."""
        self._ble, self._tell = button, tell

    def read(self, _connection: int) -> bytes | None:
        """Link to the button, read, and leave."""
        button = self._ble
        connection = button.connect(Central(self.sender.name, lambda: None), button.sender.address)
        if connection is None:
            return None
        value = button.read(connection)
        button.disconnect(connection)
        if value is not None:
            self._tell()
        return value
