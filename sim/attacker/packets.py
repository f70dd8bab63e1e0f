"""What the owner of a router can tell of a button's own way to the centre. Pure.

The owner sees every packet, knows this project's source and has no key. Two things must not be: that a press
is told from a check-in by length or form, and that two answered sessions are linked by a name. What cannot be
hidden is told all the same: that somebody spoke to the centre, when, and how often.
"""

import math
import struct
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from sim.attacker.scores import auc
from sim.radio.packets import DATAGRAM, LEASE, NAME, STREAM, Packet
from wire import direct
from wire.direct_centre import unseal_request
from wire.keys import InvalidMessage, Mac

SIGMAS = 4.0  # what chance alone exceeds once in thirty thousand times
_HANDSHAKE, _CLIENT_HELLO, _SERVER_NAME = 22, 1, 0
# What a lease or a name that is asked for must not say.
TELL_TALES = ("mpy", "esp", "micropython", "amr", "button", "alarm", "panic")


@dataclass(frozen=True, slots=True)
class Said:
    """What a frame truly says, by the button's key."""

    device_id: str
    kind: int
    n: int


@dataclass(frozen=True, slots=True)
class Told:
    """How well presses are told from all else by one thing; `by_chance`: what is no more than luck."""

    by: str
    score: float
    by_chance: float

    @property
    def tells(self) -> bool:
        """Whether this is more than luck, in either direction."""
        return abs(self.score - 0.5) > self.by_chance - 0.5


@dataclass(frozen=True, slots=True)
class Watched:
    """What was told at one router. `leaks`: what must not be, in sentences; `seen`: what cannot be hidden."""

    where: str
    frames: int
    presses: int
    told: tuple[Told, ...]
    leaks: tuple[str, ...]
    seen: tuple[str, ...]


def watch(where: str, packets: Iterable[Packet], keys: Mapping[str, Mac], sessions: int = 256) -> Watched:
    """Tell what can be told of `packets`. `keys`: of each button, for the truth, never for an attack."""
    ordered = sorted(packets)
    whose = truth(ordered, keys, sessions)
    frames = [one for one in ordered if one.what == DATAGRAM and one.is_outward]
    ours = [one for one in frames if one.data in whose]
    is_press = [whose[one.data].kind == direct.PRESS for one in ours]
    told = []
    for by, attack in ATTACKS.items():
        score = auc(attack(ours), is_press)
        if score is not None:
            told.append(Told(by, score, _by_chance(sum(is_press), len(ours) - sum(is_press))))
    leaks = [
        *(f"a press is told by its {one.by}" for one in told if one.by in UNTELLABLE and one.tells),
        *odd_lengths(ordered),
        *repeated_names(ours, whose),
        *makers(ordered),
        *in_plain(ordered, keys),
    ]
    return Watched(
        where, len(ours), sum(is_press), tuple(told), tuple(leaks), tuple(cannot_be_hidden(ordered))
    )


def truth(packets: Iterable[Packet], keys: Mapping[str, Mac], sessions: int) -> dict[bytes, Said]:
    """Return what each frame says that one of these keys has sealed."""
    numbers = [*range(sessions), *range(direct.SPARE_FIRST, direct.SPARE_FIRST + direct.SPARE_NAMES)]
    names = {direct.name(mac, n): (device_id, mac, n) for device_id, mac in keys.items() for n in numbers}
    whose: dict[bytes, Said] = {}
    for packet in packets:
        known = names.get(packet.data[: direct.NAME_BYTES]) if packet.what == DATAGRAM else None
        if known and packet.is_outward and packet.data not in whose:
            device_id, mac, n = known
            try:
                whose[packet.data] = Said(device_id, unseal_request(mac, packet.data, n).kind, n)
            except InvalidMessage:
                continue  # a copy with a bit changed is nobody's
    return whose


def _by_chance(presses: int, others: int) -> float:
    """Return the AUC that a blind guess stays below: its spread under the null (Mann and Whitney, 1947)."""
    return min(1.0, 0.5 + SIGMAS * math.sqrt((presses + others + 1) / (12 * presses * others)))


# -- is it a press? --------------------------------------------------------------------------------


def _length(packets: Sequence[Packet]) -> list[float]:
    return [float(len(one.data)) for one in packets]


def _ones(packets: Sequence[Packet]) -> list[float]:
    return [int.from_bytes(one.data, "big").bit_count() / max(1, len(one.data)) for one in packets]


def _order(packets: Sequence[Packet]) -> list[float]:
    """Return how well each can be compressed: what is sealed cannot."""
    return [len(zlib.compress(one.data, 9)) / max(1, len(one.data)) for one in packets]


def _byte(place: int) -> "Callable[[Sequence[Packet]], list[float]]":
    return lambda packets: [float(one.data[place]) if len(one.data) > place else -1.0 for one in packets]


def _company(packets: Sequence[Packet]) -> list[float]:
    """Return how many packets of the same station are within a minute: a press is followed by questions."""
    times = {
        station: [one.at_ms for one in packets if one.station == station] for station in _stations(packets)
    }
    return [float(sum(abs(at_ms - one.at_ms) < 60_000 for at_ms in times[one.station])) for one in packets]


ATTACKS: dict[str, Callable[[Sequence[Packet]], list[float]]] = {
    "length": _length,
    "share of ones": _ones,
    "compressibility": _order,
    "first byte": _byte(0),
    "first byte after the name": _byte(direct.NAME_BYTES),
    "first byte after the tag": _byte(direct.HEAD_BYTES),
    "last byte": _byte(direct.REQUEST_BYTES - 1),
    "company within a minute": _company,
}
UNTELLABLE = tuple(by for by in ATTACKS if by != "company within a minute")


# -- what must not be ------------------------------------------------------------------------------


def odd_lengths(packets: Iterable[Packet]) -> list[str]:
    """Return a sentence where frames or answers have another length than theirs."""
    seen = {(one.is_outward, len(one.data)) for one in packets if one.what == DATAGRAM}
    odd = seen - {(True, direct.REQUEST_BYTES), (False, direct.ANSWER_BYTES)}
    return [f"a datagram {'out' if out else 'back'} has {length} bytes" for out, length in sorted(odd)]


def repeated_names(frames: Sequence[Packet], whose: Mapping[bytes, Said]) -> list[str]:
    """Return a sentence for each name that comes back after another one, spare ones aside.

    Those come back by design, in one session of four after two without an answer: see `cannot_be_hidden`.
    """
    spent: set[bytes] = set()
    again: set[bytes] = set()
    last: dict[str, bytes] = {}
    for one in frames:
        said = whose[one.data]
        if said.n >= direct.SPARE_FIRST:
            continue
        name = one.data[: direct.NAME_BYTES]
        before = last.get(said.device_id)
        if name != before:
            if name in spent:
                again.add(name)
            if before is not None:
                spent.add(before)
            last[said.device_id] = name
    return [f"the name {name.hex()} links two sessions" for name in sorted(again)]


def makers(packets: Iterable[Packet]) -> list[str]:
    """Return a sentence for each address or host name that names the product or its maker."""
    found = []
    for station in _stations(packets):
        first = int(station[:2], 16)
        if not first & 2 or first & 1:
            found.append(f"the MAC address {station} is a maker's")
    for one in packets:
        if one.what in (LEASE, NAME):
            text = one.data.decode(errors="replace").lower()
            if one.what == LEASE and any(word in text for word in TELL_TALES):
                found.append(f"the host name {text!r} names the product")
    return list(dict.fromkeys(found))


def in_plain(packets: Iterable[Packet], keys: Iterable[str]) -> list[str]:
    """Return a sentence for each button whose device_id goes over the air as it is."""
    wanted = [device_id.encode() for device_id in keys]
    seen = {name for one in packets for name in wanted if name in one.data}
    return [f"the device_id {name.decode()} is in a packet" for name in sorted(seen)]


def _stations(packets: Iterable[Packet]) -> list[str]:
    return sorted({one.station for one in packets})


# -- what cannot be hidden -------------------------------------------------------------------------


def cannot_be_hidden(packets: Sequence[Packet]) -> list[str]:
    """Return in sentences what the owner learns in any case; times are those since the first packet."""
    begun_ms = min((one.at_ms for one in packets), default=0.0)
    seen = []
    for station, group in groupby(
        sorted(packets, key=lambda one: (one.station, one.at_ms)), lambda one: one.station
    ):
        mine = list(group)
        out = [one.at_ms for one in mine if one.is_outward]
        bursts = 1 + sum(after - before > 60_000 for before, after in pairwise(out)) if out else 0
        after_s = (mine[0].at_ms - begun_ms) / 1000
        seen.append(f"{station} spoke in {bursts} bursts, {len(out)} packets, from {after_s:.0f} s on")
    for one in packets:
        if one.what == NAME:
            seen.append(f"the name {one.data.decode(errors='replace')!r} was asked for")
        elif one.what == STREAM and one.is_outward and (hello := client_hello(one.data)):
            seen.append(f"TLS to {hello.server_name or 'no name'}, by a hello of {hello.form}")
    return list(dict.fromkeys(seen))


@dataclass(frozen=True, slots=True)
class Hello:
    """`form`: what tells one make of TLS from another, much as JA3 has it: version, suites, extensions."""

    server_name: str
    form: str


def client_hello(data: bytes) -> Hello | None:
    """Read a ClientHello (RFC 8446, 4.1.2); None where these bytes are none, or not whole."""
    try:
        if data[0] != _HANDSHAKE or data[5] != _CLIENT_HELLO:
            return None
        body = data[9 : 9 + int.from_bytes(data[6:9], "big")]
        version, at = struct.unpack(">H", body[:2])[0], 34
        at += 1 + body[at]
        suites, at = _list(body, at)
        at += 1 + body[at]
        extensions, _ = _list(body, at)
    except (IndexError, struct.error):
        return None
    name, kinds, at = "", [], 0
    while at + 4 <= len(extensions):
        kind, length = struct.unpack(">HH", extensions[at : at + 4])
        value = extensions[at + 4 : at + 4 + length]
        kinds.append(str(kind))
        if kind == _SERVER_NAME and len(value) > 5:
            name = value[5:].decode(errors="replace")
        at += 4 + length
    return Hello(name, f"version {version:#06x}, {len(suites) // 2} suites, extensions {'-'.join(kinds)}")


def _list(data: bytes, at: int) -> tuple[bytes, int]:
    length = struct.unpack(">H", data[at : at + 2])[0]
    return data[at + 2 : at + 2 + length], at + 2 + length
