"""What lies between a button's own carriers and the centre: routers that map ports, networks with moods.

A datagram may be lost, doubled, late or overtaken; its way back may be forgotten; whoever owns the network
may answer in the centre's place. What ails it are the button's `troubles`, by the keys of sim/faults.py.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from random import Random
from typing import Protocol

from sim.faults import LTE, LTE_FAULTS, PASSPHRASE, WIFI, WIFI_FAULTS
from sim.virtual.time import Time
from wire.direct import ANSWER_BYTES

NAT_S = 120.0  # RFC 4787, REQ-5
_LATENCY_S = {WIFI: 0.03, LTE: 0.25}
_OVERTAKEN_S = 2.0
_HANDSHAKE_S = 1.3  # of TLS on a chip: three round trips and the arithmetic

_BACK_S = 3.0  # until what was away works again

Take = Callable[[bytes], None]

# What shuts a way: what else ails it (datagrams that are doubled or blocked, ..) a button must get over soon.
_OF_CENTRE = ("centre_killed", "centre_killed_at", "centre_power_cut", "centre_disk_full", "centre_disk_slow")
_SHUT_BOTH = ("udp_lossy", "udp_late", *_OF_CENTRE)
_SHUTS = {
    WIFI: {*WIFI_FAULTS, *_SHUT_BOTH},
    LTE: {*LTE_FAULTS, *_SHUT_BOTH, "nat_forgets"},
}


def shuts(what: str, carrier: str) -> bool:
    """Whether nothing can be asked of a carrier while this fault lasts."""
    return what in _SHUTS[carrier]


class Server(Protocol):
    """The centre, as its direct path is seen from outside."""

    is_up: bool

    def datagram(self, frame: bytes, source: str, back: Take) -> None: ...
    def posted(self, frame: bytes, source: str, back: Callable[[int, bytes], None]) -> None: ...


class Uplink:
    """One carrier's way of one button. `troubles` may change, and count when something passes."""

    def __init__(
        self,
        button: str,
        carrier: str,
        time: Time,
        random: Random,
        troubles: Mapping[str, float | str],
        server: Server,
    ) -> None:
        self._name, self._carrier = f"{button} {carrier}", carrier
        self._time, self._random, self._troubles, self._server = time, random, troubles, server
        self._port, self._used_s = 1, 0.0
        self._overheard: list[bytes] = []  # answers, by who owns the network
        self.on_datagram: Callable[[bool, bytes], None] | None = None  # what the router sees, outward or not

    # -- what it is like just now ------------------------------------------------------------------

    def _is(self, *troubles: str) -> bool:
        return any(one in self._troubles for one in troubles)

    @property
    def is_twin(self) -> bool:
        """Whether somebody who knows the passphrase answers in the centre's place."""
        return self._carrier == WIFI and self._troubles.get("wifi_twin") == PASSPHRASE

    @property
    def _leads_nowhere(self) -> bool:
        if self._carrier == LTE:
            return self._is("cell_gone", "cell_denied", "modem_silent")
        return self._is("wifi_gone", "uplink_dead", "dhcp_silent")

    @property
    def _drops_datagrams(self) -> bool:
        return self._leads_nowhere or (self._carrier == WIFI and self._is("udp_blocked", "wifi_captive"))

    # -- datagrams ---------------------------------------------------------------------------------

    def send(self, frame: bytes, take: Take) -> None:
        """Carry a datagram; `take` gets whatever comes back."""
        self._pass_by(True, frame)
        if self.is_twin:
            self._later(take, self._forged(frame))
        elif not self._drops_datagrams:
            self._carry(self._arrive, frame, self._mapped(), take)

    def _arrive(self, frame: bytes, port: int, take: Take) -> None:
        if self._server.is_up:
            self._server.datagram(frame, f"{self._name} {port}", partial(self._back, port, take))

    def _back(self, port: int, take: Take, answer: bytes) -> None:
        self._overheard.append(answer)
        self._pass_by(False, answer)
        is_forgotten = port != self._port or self._is_forgotten()
        if not (is_forgotten or self._drops_datagrams or self.is_twin):
            self._carry(take, answer)

    def _pass_by(self, is_outward: bool, data: bytes) -> None:
        if self.on_datagram is not None:
            self.on_datagram(is_outward, data)

    def _mapped(self) -> int:
        """Return the port under which the router sends it on: another one where the last is forgotten."""
        if self._is_forgotten():
            self._port += 1
        self._used_s = self._time.now_s
        return self._port

    def _is_forgotten(self) -> bool:
        after_s = float(self._troubles.get("nat_forgets", NAT_S * 1000)) / 1000
        return self._time.now_s - self._used_s >= after_s

    def _carry(self, deliver: Callable[..., None], *what: object) -> None:
        for _ in range(1 + self._is("udp_doubled")):
            if self._random.random() >= float(self._troubles.get("udp_lossy", 0)):
                self._later(deliver, *what)

    def _later(self, deliver: Callable[..., None], *what: object) -> None:
        late_s = float(self._troubles.get("udp_late", 0)) / 1000 * self._random.random()
        if self._is("udp_reordered"):
            late_s += _OVERTAKEN_S * self._random.random()
        self._time.after(self._way_s() + late_s, deliver, *what)

    def _way_s(self) -> float:
        return _LATENCY_S[self._carrier] * (0.5 + self._random.random())

    def _forged(self, frame: bytes) -> bytes:
        """Return what somebody answers who has no key: chance, the frame itself, or an earlier answer."""
        kinds = [self._random.randbytes(ANSWER_BYTES), frame[:ANSWER_BYTES], *self._overheard[-2:]]
        kinds.append(frame[:8] + self._random.randbytes(ANSWER_BYTES - 8))
        return self._random.choice(kinds)

    # -- HTTPS -------------------------------------------------------------------------------------

    def post(
        self, frame: bytes, is_strict: bool, is_first: bool, done: "Callable[[str, bytes], None]"
    ) -> None:
        """Carry a request; `done(why, body)` is called with its answer, or with why it failed, if ever.

        `why` is `tls`, `foreign` (no answer of the centre's) or `refused`.
        """
        if self._leads_nowhere:
            return
        wait_s = 2 * self._way_s() + _HANDSHAKE_S * is_first
        if self._is("wifi_captive"):
            self._time.after(wait_s, done, "foreign", b"")
        elif self.is_twin:
            self._time.after(wait_s, done, *(("tls", b"") if is_strict else ("", self._forged(frame))))
        else:
            self._time.after(wait_s, self._posted, frame, done)

    def _posted(self, frame: bytes, done: "Callable[[str, bytes], None]") -> None:
        if not self._server.is_up:
            done("refused", b"")
        else:
            self._server.posted(frame, f"{self._name} https", partial(self._answered, done))

    def _answered(self, done: "Callable[[str, bytes], None]", status: int, body: bytes) -> None:
        if not self._leads_nowhere:
            self._overheard.append(body)
            why = "" if status == 200 and len(body) == ANSWER_BYTES else "foreign"
            self._time.after(self._way_s(), done, why, body)


class OpenWays:
    """Which of a button's ways nothing shuts just now, as the judge is told."""

    def __init__(self, button: str, carriers: Sequence[str], time: Time, happen: Callable[..., None]) -> None:
        self._button, self._time, self._happen = button, time, happen
        self._shut = dict.fromkeys(carriers, 0)  # how many faults shut it
        for carrier in carriers:
            self._tell(carrier)

    def trouble(self, what: str, for_s: float) -> None:
        """A fault begins, here or at the centre."""
        for carrier in self._shut:
            if shuts(what, carrier):
                self._shut[carrier] += 1
                self._tell(carrier)
                self._time.after(for_s + _BACK_S, self._over, carrier)

    def _over(self, carrier: str) -> None:
        self._shut[carrier] -= 1
        self._tell(carrier)

    def _tell(self, carrier: str) -> None:
        which = {"button": self._button, "carrier": carrier}
        self._happen("air", "way", is_open=not self._shut[carrier], **which)
