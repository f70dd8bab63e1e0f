"""The air in virtual time: who hears which advert when, by sim/physics/medium.py's pure functions.

Coarse: of the thousands of adverts of a press only the first that a receiver hears is an event here, and
after it one every few seconds, as systems report them. Which one that is, is asked of the same medium that
the real-time air has, advert by advert.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from sim.physics.first_heard import first_heard
from sim.physics.medium import (
    FADING_DB,
    LOSS_1M_DB,
    PROFILES,
    ROOM_EXPONENT,
    SENSITIVITY_DBM,
    Medium,
    Reception,
)
from sim.virtual.time import Handle, Time

AHEAD_US = 5_000_000  # how far ahead a reception is looked for at once
# Where even the kindest fading leaves nothing: nobody need look.
_RANGE_M = 10 ** ((FADING_DB - LOSS_1M_DB - SENSITIVITY_DBM) / 10 / ROOM_EXPONENT)


@dataclass(eq=False)
class Sender:
    """Somebody with adverts. `uuid` is what they list, `session` counts what was put on the air."""

    name: str
    address: str = ""
    uuid: str = ""
    connectable: bool = False
    interval_us: int = 0  # 0: silent
    since_us: int = 0
    session: int = 0


@dataclass(frozen=True)
class Advert:
    """What a receiver reports of one; also `bridge.ports.Peer`."""

    sender: Sender
    address: str
    uuid: str


@dataclass(eq=False)
class Receiver:
    """A scanner. `again_s`: it reports an unchanged advert again after so long; None: never."""

    name: str
    report: Callable[[Advert, int], None]
    again_s: float | None = None
    profile: str = "desktop"
    listens: bool = False


class Air:
    """`place_m` holds where everybody is, on one line; `loss` is the share of packets lost."""

    def __init__(self, time: Time, seed: int) -> None:
        self._time = time
        self._medium = Medium(seed=seed, distance_m=self.distance_m)
        self.place_m: dict[str, float] = {}
        self._senders: dict[Sender, None] = {}
        self._receivers: dict[Receiver, None] = {}
        self._aims: dict[tuple[Sender, Receiver], Handle] = {}
        self._reported: dict[tuple[Sender, Receiver], tuple[str, str]] = {}
        self._reported_s: dict[tuple[Sender, Receiver], float] = {}
        self.on_send: Callable[[Sender], None] = lambda _: None  # told of each beginning, change and end

    @property
    def loss(self) -> float:
        return self._medium.loss

    def set_loss(self, share: float) -> None:
        self._medium = replace(self._medium, loss=share)
        self._aim_all()

    def place(self, name: str, at_m: float) -> None:
        self.place_m[name] = at_m
        self._aim_all()

    def distance_m(self, one: str, other: str) -> float:
        return abs(self.place_m.get(one, 0.0) - self.place_m.get(other, 3.0))

    def reaches(self, one: str, other: str) -> bool:
        """Whether packets get through at all."""
        return self.distance_m(one, other) < _RANGE_M and self._medium.loss < 0.95

    # -- sending and listening ----------------------------------------------------------------------

    def send(self, sender: Sender) -> None:
        """It has begun, or changed, what it sends; or fallen silent."""
        self._senders[sender] = None
        sender.session += 1
        sender.since_us = int(self._time.now_s * 1e6)
        self.on_send(sender)
        for receiver in self._receivers:
            self._aim(sender, receiver)

    def listen(self, receiver: Receiver, listens: bool) -> None:
        """A scan that begins anew reports everything anew."""
        self._receivers[receiver] = None
        receiver.listens = listens
        for sender in self._senders:
            self._reported.pop((sender, receiver), None)
            self._aim(sender, receiver)

    def _aim_all(self) -> None:
        for sender in self._senders:
            for receiver in self._receivers:
                self._aim(sender, receiver)

    def _aim(self, sender: Sender, receiver: Receiver, from_s: float = 0.0) -> None:
        """Find when `receiver` hears `sender` next, and be there."""
        handle = self._aims.pop((sender, receiver), None)
        if handle is not None:
            handle.cancel()
        if not (sender.interval_us and receiver.listens and self.reaches(sender.name, receiver.name)):
            return
        known = self._reported.get((sender, receiver)) == (sender.address, sender.uuid)
        if known and receiver.again_s is None:
            return
        if known and not from_s:
            from_s = self._reported_s[sender, receiver] + (receiver.again_s or 0)
        start_us = int(max(from_s, self._time.now_s) * 1e6)
        at_us, reception = self._next(sender, receiver, start_us)
        when_s = at_us / 1e6
        if reception is None:
            handle = self._time.at(when_s, self._aim, sender, receiver, when_s)
        else:
            handle = self._time.at(when_s, self._heard, sender, receiver, reception.rssi_dbm)
        self._aims[sender, receiver] = handle

    def _next(self, sender: Sender, receiver: Receiver, from_us: int) -> tuple[int, Reception | None]:
        """Return when it is heard, and how; or up to when it is not."""
        names, times_us = (sender.name, receiver.name), (sender.since_us, from_us, from_us + AHEAD_US + 1)
        duty = PROFILES[receiver.profile]
        return first_heard(self._medium, names, sender.session, times_us, sender.interval_us, duty)

    def _heard(self, sender: Sender, receiver: Receiver, rssi_dbm: int) -> None:
        self._reported[sender, receiver] = (sender.address, sender.uuid)
        self._reported_s[sender, receiver] = self._time.now_s
        if receiver.again_s is not None:
            self._aim(sender, receiver)
        else:
            self._aims.pop((sender, receiver), None)
        receiver.report(Advert(sender, sender.address, sender.uuid), rssi_dbm)
