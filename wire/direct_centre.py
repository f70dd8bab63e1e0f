"""The centre's half of the sealed frame: what it reads and what it answers (SPEC.md, "Direct path").

It runs in both interpreters, but a button has no use for it and does not carry it.
"""

import struct

from wire.codes import PRESSES
from wire.direct import (
    ACCESS_POINTS_PART,
    ANSWER,
    CELL,
    CELL_PART,
    CHECKIN,
    FIX,
    GNSS,
    GNSS_PART,
    HEAD_BYTES,
    LTE,
    NAME_BYTES,
    NO_STAGE,
    POINT,
    PRESS,
    REQUEST,
    REQUEST_BYTES,
    WIFI_UDP,
    Answer,
    Request,
    name,
    pack,
    seal,
    unseal,
)
from wire.keys import InvalidMessage, Mac
from wire.receipts import CLOSED


def unseal_request(mac: Mac, frame: bytes, n: int) -> Request:
    """What `frame`, whose name is that of session `n`, asks.

    Raises InvalidMessage("length" | "name" | "tag" | "kind" | "carrier" | "event" | "n" | "stage").
    """
    plain = unseal(mac, 1, name(mac, n), b"", frame, REQUEST_BYTES)
    values = struct.unpack(REQUEST, plain[:101])
    kind, carrier, event = values[:3]
    if not PRESS <= kind <= FIX:
        raise InvalidMessage("kind")
    if not WIFI_UDP <= carrier <= LTE:
        raise InvalidMessage("carrier")
    counter = values[4]
    if event or counter if kind == CHECKIN else event not in PRESSES or not counter:
        raise InvalidMessage("event")
    if values[5] != n:
        raise InvalidMessage("n")
    if CLOSED < values[9] != NO_STAGE:
        raise InvalidMessage("stage")
    return Request(*values)


def seal_answer(mac: Mac, request_frame: bytes, answer: Answer) -> bytes:
    """The 64 bytes of `answer` to `request_frame`, and to no other."""
    a = answer
    high, low = a.time_ms >> 32, a.time_ms & 0xFFFFFFFF
    plain = pack(ANSWER, (a.receipt, high, low, a.next_s, a.flags, a.n)) + bytes(10)
    return seal(mac, 3, request_frame[:NAME_BYTES], request_frame[NAME_BYTES:HEAD_BYTES], plain)


class Facts:
    """What of a frame's facts could be read.

    `(bssid, rssi)` of each access point, and of `cell` and of `gnss` the fields in the order of SPEC.md.
    """

    def __init__(self) -> None:
        self.access_points: list[tuple[bytes, int]] = []
        self.cell: tuple[int, ...] | None = None
        self.gnss: tuple[int, ...] | None = None


def read_facts(facts: bytes) -> Facts:
    """What `facts` says; a part that is odd, unknown or there twice costs that part, and none is refused."""
    read = Facts()
    at = 0
    while at + 2 <= len(facts) and facts[at]:
        part, length = facts[at], facts[at + 1]
        value = facts[at + 2 : at + 2 + length]
        at += 2 + length
        if len(value) < length:
            break
        if part == ACCESS_POINTS_PART and not read.access_points and length % 7 == 0:
            points = [struct.unpack(POINT, value[i : i + 7]) for i in range(0, length, 7)]
            # Neither zeros nor a group address (ff.. too) is an access point.
            read.access_points = [point for point in points if any(point[0]) and not point[0][0] & 1]
        elif part == CELL_PART and read.cell is None and length == struct.calcsize(CELL):
            read.cell = struct.unpack(CELL, value)
        elif part == GNSS_PART and read.gnss is None and length == struct.calcsize(GNSS):
            fix = struct.unpack(GNSS, value)
            if abs(fix[0]) <= 900000000 and abs(fix[1]) <= 1800000000:
                read.gnss = fix
    return read
