"""Strangers: who stays, cannot be let go of, forges receipts, repeats what was heard, shouts old codes."""

from random import Random

from sim.virtual.ble import Ble, Central
from sim.virtual.radio_world import Air, Sender
from sim.virtual.time import Time
from wire import receipts

TRY_S = 0.7
LINGERS_S = 32.0  # the longest supervision timeout that there is (Core 6.0, Vol 6, Part B, 4.5.2)
_HEARD_MAX = 64


class Overheard:
    """What anybody with a radio has recorded: codes from the air, values that were written in clear."""

    def __init__(self) -> None:
        self.codes: list[str] = []
        self.values: list[bytes] = []

    def value(self, value: bytes) -> None:
        self.values = [*self.values, value][-_HEARD_MAX:]


class Stranger:
    """One of schedule.STRANGERS, near `button` until `until_s`."""

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
