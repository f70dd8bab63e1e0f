"""The sealed frame: what a button and the centre say without a phone between (SPEC.md, "Direct path").

128 bytes out and 64 back, in a datagram or as the body of an HTTPS request. Every `mac` here is
under K_direct. The tag is made of the whole plaintext and starts the key stream (a synthetic
IV, as in RFC 5297): no nonce has to outlive a power loss, and to send the same again gives the
same bytes.
"""

import struct

from wire.keys import InvalidMessage, Mac, same, u32

REQUEST_BYTES = 128
ANSWER_BYTES = 64
NAME_BYTES = 8
FACTS_BYTES = 80
HEAD_BYTES = 24  # name and tag

PRESS = 1
POLL = 2
CHECKIN = 3
FIX = 4

WIFI_UDP = 1
WIFI_HTTPS = 2
LTE = 3

CLOCK_LOST = 0x40  # beside the flags of *state*: power was lost, and no answer proven since

POSITION_WANTED = 1
SLOW_DOWN = 2
REKEYING = 4

NO_STAGE = 0xFF  # no receipt yet, of whatever stage

# Why a carrier failed last; Wi-Fi's in the low half of `errors`, LTE's in the high one.
NOT_SEEN = 1
REFUSED = 2
NO_ADDRESS = 3
SILENT = 4
NO_MEMORY = 5
RADIO = 6
SIM = 7
TLS = 8
NOT_OURS = 9
RESET = 10
SLOW = 11
PIN = 12

# A button that had no answer in two sessions sends each fourth frame under one of these.
SPARE_FIRST = 0x80000000
SPARE_NAMES = 4

REQUEST = ">BBBBIIHHBBBbB80s"
ANSWER = ">17sHIHBI"
POINT = ">6sb"
CELL = ">BHHHIb"
GNSS = ">iiHH"
ACCESS_POINTS_PART = 1
CELL_PART = 2
GNSS_PART = 3


class Request:
    """The fields of a request, as SPEC.md has them; `facts` is what the functions below packed."""

    def __init__(
        self,
        kind: int,
        carrier: int,
        event: int,
        flags: int,
        counter: int,
        n: int,
        seq: int,
        age_10s: int,
        battery_20mv: int,
        stage: int,
        wait_s: int,
        signal: int,
        errors: int,
        facts: bytes = b"",
    ) -> None:
        self.kind = kind
        self.carrier = carrier
        self.event = event
        self.flags = flags
        self.counter = counter
        self.n = n
        self.seq = seq
        self.age_10s = age_10s
        self.battery_20mv = battery_20mv
        self.stage = stage
        self.wait_s = wait_s
        self.signal = signal
        self.errors = errors
        self.facts = facts


class Answer:
    """The fields of an answer; `receipt` is 17 zeros where no press is open, `time_ms` is Unix time."""

    def __init__(self, receipt: bytes, time_ms: int, next_s: int, flags: int, n: int) -> None:
        self.receipt = receipt
        self.time_ms = time_ms
        self.next_s = next_s
        self.flags = flags
        self.n = n


def name(mac: Mac, n: int) -> bytes:
    """The 8 bytes under which session `n` is known to the centre, and to nobody else."""
    return _labelled(mac, 0, n)[:NAME_BYTES]


def seal_request(mac: Mac, request: Request) -> bytes:
    """The 128 bytes of `request`; raises ValueError where a field does not fit."""
    r = request
    facts = r.facts + bytes(FACTS_BYTES - len(r.facts))
    # fmt: off
    values = (
        r.kind, r.carrier, r.event, r.flags, r.counter, r.n, r.seq, r.age_10s,
        r.battery_20mv, r.stage, r.wait_s, r.signal, r.errors, facts,
    )
    # fmt: on
    return seal(mac, 1, name(mac, r.n), b"", pack(REQUEST, values) + bytes(3))


def unseal_answer(mac: Mac, request_frame: bytes, frame: bytes) -> Answer:
    """What `frame` answers to `request_frame`; raises InvalidMessage("length" | "name" | "tag").

    The receipt is held to K_receipt by `receipts.check`, as one that a bridge has written.
    """
    asked, tag = request_frame[:NAME_BYTES], request_frame[NAME_BYTES:HEAD_BYTES]
    plain = unseal(mac, 3, asked, tag, frame, ANSWER_BYTES)
    receipt, high, low, next_s, flags, n = struct.unpack(ANSWER, plain[:30])
    return Answer(receipt, high << 32 | low, next_s, flags, n)


def network_id(mac: Mac, ssid: bytes) -> bytes:
    """The 8 bytes by which a button knows a network without holding its name."""
    return mac(b"\x05" + ssid)[:8]


def station_mac(mac: Mac, ssid: bytes) -> bytes:
    """The 6 bytes of the button's address in a network: the same there always, elsewhere another."""
    tag = mac(b"\x06" + ssid)
    return bytes((tag[0] & 0xFC | 0x02,)) + tag[1:6]  # locally administered, unicast (IEEE 802)


def checkin_s(mac: Mac, n: int) -> int:
    """How long after the session before check-in `n` is due: 20 to 28 hours."""
    return 72000 + 28800 * int(struct.unpack(">H", _labelled(mac, 7, n)[:2])[0]) // 65536


def access_points(seen: list[tuple[bytes, int]], most: int = 10) -> bytes:
    """The facts of a scan: the `most` strongest of `(bssid, rssi)`; 9 leave room for a cell."""
    strongest = sorted(seen, key=lambda point: -point[1])[:most]
    points = [pack(POINT, (bssid, max(rssi, -128))) for bssid, rssi in strongest]
    return _part(ACCESS_POINTS_PART, b"".join(points))


def cell(kind: int, mcc: int, mnc: int, tac: int, cell_id: int, rsrp: int) -> bytes:
    """The facts of the serving cell; `kind` 1 is LTE-M, 2 NB-IoT, 3 another; `rsrp` in dBm, 0 unknown."""
    return _part(CELL_PART, pack(CELL, (kind, mcc, mnc, tac, cell_id, max(rsrp, -128))))


def gnss(lat_e7: int, lon_e7: int, radius_m: int, age_s: int) -> bytes:
    """The facts of a satellite fix, in 1e-7 degrees; radius and age stop at 65,535."""
    return _part(GNSS_PART, pack(GNSS, (lat_e7, lon_e7, min(radius_m, 0xFFFF), min(age_s, 0xFFFF))))


def _part(number: int, value: bytes) -> bytes:
    return bytes((number, len(value))) + value


def _labelled(mac: Mac, label: int, n: int) -> bytes:
    return mac(struct.pack(">BI", label, u32(n)))


def pack(layout: str, values: tuple[int | bytes, ...]) -> bytes:
    """`struct.pack`, which in MicroPython would cut silently what does not fit."""
    packed = struct.pack(layout, *values)
    if struct.unpack(layout, packed) != values:
        raise ValueError("a field does not fit")
    return packed


def seal(mac: Mac, label: int, asked: bytes, bound: bytes, plain: bytes) -> bytes:
    """`asked || tag || ct`, the tag also over `bound`; `label` is the tag's, the next one the stream's."""
    tag = mac(bytes((label,)) + asked + bound + plain)[:16]
    return asked + tag + _crypt(mac, label + 1, tag, plain)


def unseal(mac: Mac, label: int, asked: bytes, bound: bytes, frame: bytes, length: int) -> bytes:
    """The plaintext of `frame`; raises InvalidMessage("length" | "name" | "tag")."""
    if len(frame) != length:
        raise InvalidMessage("length")
    if not same(frame[:NAME_BYTES], asked):
        raise InvalidMessage("name")
    tag = frame[NAME_BYTES:HEAD_BYTES]
    plain = _crypt(mac, label + 1, tag, frame[HEAD_BYTES:])
    if not same(tag, mac(bytes((label,)) + asked + bound + plain)[:16]):
        raise InvalidMessage("tag")
    return plain


def _crypt(mac: Mac, label: int, tag: bytes, data: bytes) -> bytes:
    head = bytes((label,)) + tag
    stream = b"".join([mac(head + bytes((block,))) for block in range((len(data) + 31) // 32)])
    # As one number each, as in `Mac`: byte by byte it is most of what a frame costs.
    mixed = int.from_bytes(data, "big") ^ int.from_bytes(stream[: len(data)], "big")
    return mixed.to_bytes(len(data), "big")
