"""The wire protocol a second time, from SPEC.md alone, on the HMAC of `cryptography`.

It shares nothing with `wire/`. `python tests/unit/wire/independent.py > wire/vectors.json`
writes the vectors; the tests hold them against this file and against `wire/` in both interpreters.
"""

import hashlib
import json
import uuid
from typing import Any

from cryptography.hazmat.primitives import hashes, hmac

ROOTS = [hashlib.sha256(b"example root %d" % n).digest() for n in range(3)]
Vector = dict[str, Any]


def tag(key: bytes, *parts: bytes) -> bytes:
    mac = hmac.HMAC(key, hashes.SHA256())
    for part in parts:
        mac.update(part)
    return mac.finalize()


def key(root: bytes, label: str, epoch: int) -> bytes:
    return tag(root, label.encode("ascii"), epoch.to_bytes(4, "big"))


def code(root: bytes, epoch: int, event: int, counter: int) -> bytes:
    digest = tag(key(root, "code", epoch), event.to_bytes(1, "big"), counter.to_bytes(4, "big"))
    return uuid.UUID(bytes=digest[:16], version=4).bytes


def receipt(root: bytes, epoch: int, stage: int, event: int, counter: int) -> bytes:
    under = key(root, "heard" if stage == 0 else "receipt", epoch)
    head = stage.to_bytes(1, "big")
    return head + tag(under, head, event.to_bytes(1, "big"), counter.to_bytes(4, "big"))[:16]


def state(root: bytes, epoch: int, on_air: bytes, nonce: int, fields: bytes) -> bytes:
    under = key(root, "state", epoch)
    head = nonce.to_bytes(4, "big")
    stream = tag(under, b"\x01", on_air, head)[:8]
    ct = bytes(a ^ b for a, b in zip(fields, stream, strict=True))
    return head + ct + tag(under, b"\x02", on_air, head, ct)[:8]


def golden_codes() -> list[Vector]:
    counters = (0, 1, 31, 32, 255, 65536, 0x7FFFFFFF, 0x80000000, 0x800003FF, 0xFFFFFFFF)
    cases = [(n % 3, n % 2, 1 + n % 5, counters[n % 10]) for n in range(30)]
    return [
        {
            "kind": "code",
            "root": ROOTS[r].hex(),
            "epoch": epoch,
            "event": event,
            "counter": counter,
            "code": code(ROOTS[r], epoch, event, counter).hex(),
        }
        for r, epoch, event, counter in cases
    ]


def golden_receipts() -> list[Vector]:
    counters = (1, 2, 77, 0x80000005, 0xFFFFFFFF)
    cases = [(n % 3, n % 2, n % 5, 1 + n % 2, counters[n % 5]) for n in range(30)]
    cases += [(0, 0, 0, 5, 64), (1, 1, 0, 5, 4096)]  # HEARD over a CONTACT
    return [
        {
            "kind": "receipt",
            "root": ROOTS[r].hex(),
            "epoch": epoch,
            "stage": stage,
            "event": event,
            "counter": counter,
            "value": receipt(ROOTS[r], epoch, stage, event, counter).hex(),
        }
        for r, epoch, stage, event, counter in cases
    ]


def golden_states() -> list[Vector]:
    vectors = []
    for n in range(10):
        root, epoch, counter = ROOTS[n % 3], n % 2, 32 * n
        said = {
            "battery_20mv": 185 + n,
            "flags": (n * 7) % 64,
            "age_10s": 65535 if n == 9 else n * 300,
            "press_counter": n * 1000003,
        }
        fields = bytes((said["battery_20mv"], said["flags"]))
        fields += said["age_10s"].to_bytes(2, "big") + said["press_counter"].to_bytes(4, "big")
        on_air = code(root, epoch, 5, counter)
        nonce = 0x01020304 * (n + 1) & 0xFFFFFFFF
        vector = {"kind": "state", "root": root.hex(), "epoch": epoch, "code": on_air.hex(), "nonce": nonce}
        vectors.append(vector | said | {"value": state(root, epoch, on_air, nonce, fields).hex()})
    return vectors


def hostile_codes() -> list[Vector]:
    """The code as posted for ALARM 7 of the first root, and what is wrong with it."""
    right = code(ROOTS[0], 0, 1, 7)
    flipped = [right[:n] + bytes((right[n] ^ 1,)) + right[n + 1 :] for n in (0, 5, 9, 15)]
    wrong = [
        *((value, 1, 7, "code") for value in flipped),
        (right[::-1], 1, 7, "code"),
        (right, 1, 8, "code"),
        (right, 2, 7, "code"),
        (code(ROOTS[1], 0, 1, 7), 1, 7, "code"),
        (code(ROOTS[0], 1, 1, 7), 1, 7, "code"),
        (tag(key(ROOTS[0], "code", 0), b"\x01\x00\x00\x00\x07")[:16], 1, 7, "code"),  # no version bits
        (tag(key(ROOTS[0], "state", 0), b"\x01\x00\x00\x00\x07")[:16], 1, 7, "code"),
        (bytes(16), 1, 7, "code"),
        (right[:15], 1, 7, "length"),
        (right + b"\x00", 1, 7, "length"),
        (b"", 1, 7, "length"),
        (right.hex().encode(), 1, 7, "length"),
        (right, 0, 7, "event"),
        (right, 6, 7, "event"),
        (right, 257, 7, "event"),
        (right, -1, 7, "event"),
        (right, 1, -1, "counter"),
        (right, 1, 1 << 32, "counter"),
        (right, 1, (1 << 32) + 7, "counter"),
    ]
    return [
        {
            "kind": "code",
            "root": ROOTS[0].hex(),
            "epoch": 0,
            "event": event,
            "counter": counter,
            "code": value.hex(),
            "reason": reason,
        }
        for value, event, counter, reason in wrong
    ]


def hostile_receipts() -> list[Vector]:
    """Values written while CONTACT 40 is on the air and ALARM 7 of the first root is open."""
    right = receipt(ROOTS[0], 0, 1, 1, 7)
    heard = receipt(ROOTS[0], 0, 0, 5, 40)
    wrong = [
        (b"", "length"),
        (right[:1], "length"),
        (right[:16], "length"),
        (right + b"\x00", "length"),
        (right * 2, "length"),
        (bytes(32), "length"),
        (b"\x05" + right[1:], "stage"),
        (b"\xff" + right[1:], "stage"),
        (b"\x02" + right[1:], "proof"),  # a RECEIVED raised to ACKNOWLEDGED
        (b"\x00" + right[1:], "proof"),
        (right[:1] + bytes(16), "proof"),
        (right[:16] + bytes((right[16] ^ 0x80,)), "proof"),
        (right[:1] + right[:0:-1], "proof"),
        (receipt(ROOTS[0], 0, 1, 1, 6), "proof"),  # of the press before
        (receipt(ROOTS[0], 0, 1, 1, 8), "proof"),
        (receipt(ROOTS[0], 0, 1, 2, 7), "proof"),  # of a TEST
        (receipt(ROOTS[0], 0, 1, 5, 40), "proof"),  # over the code on the air
        (receipt(ROOTS[1], 0, 1, 1, 7), "proof"),  # another button's
        (receipt(ROOTS[0], 1, 1, 1, 7), "proof"),  # another epoch's
        (
            b"\x01" + tag(key(ROOTS[0], "heard", 0), b"\x01\x01\x00\x00\x00\x07")[:16],
            "proof",
        ),  # a bridge's forgery
        (receipt(ROOTS[0], 0, 0, 1, 7), "proof"),  # HEARD of a code that is not on the air
        (b"\x00" + tag(key(ROOTS[0], "receipt", 0), b"\x00\x05\x00\x00\x00\x28")[:16], "proof"),
        (heard[:1] + heard[2:] + heard[1:2], "proof"),
    ]
    return [
        {
            "kind": "receipt",
            "root": ROOTS[0].hex(),
            "epoch": 0,
            "on_air": [5, 40],
            "press": [1, 7],
            "value": value.hex(),
            "reason": reason,
        }
        for value, reason in wrong
    ]


def hostile_states() -> list[Vector]:
    on_air = code(ROOTS[0], 0, 5, 40)
    right = state(ROOTS[0], 0, on_air, 99, bytes(8))
    wrong = [
        (right[:19], "length"),
        (right + b"\x00", "length"),
        (b"", "length"),
        (bytes(20), "tag"),
        (right[:4] + bytes((right[4] ^ 1,)) + right[5:], "tag"),
        (bytes((right[0] ^ 1,)) + right[1:], "tag"),
        (right[:19] + bytes((right[19] ^ 1,)), "tag"),
        (state(ROOTS[0], 0, code(ROOTS[0], 0, 5, 41), 99, bytes(8)), "tag"),  # replayed from another session
        (state(ROOTS[1], 0, on_air, 99, bytes(8)), "tag"),
        (state(ROOTS[0], 1, on_air, 99, bytes(8)), "tag"),
    ]
    common = {"kind": "state", "root": ROOTS[0].hex(), "epoch": 0, "code": on_air.hex()}
    return [common | {"value": value.hex(), "reason": reason} for value, reason in wrong]


# ---- the direct path


def session_name(root: bytes, epoch: int, n: int) -> bytes:
    return tag(key(root, "direct", epoch), b"\x00", n.to_bytes(4, "big"))[:8]


def sealed(
    root: bytes, epoch: int, labels: tuple[int, int], name: bytes, bound: bytes, plain: bytes
) -> bytes:
    """`name || tag || ct`: SPEC.md, "Frames"."""
    under = key(root, "direct", epoch)
    made = tag(under, labels[0].to_bytes(1, "big"), name, bound, plain)[:16]
    blocks = (len(plain) + 31) // 32
    stream = b"".join(
        tag(under, labels[1].to_bytes(1, "big"), made, block.to_bytes(1, "big")) for block in range(blocks)
    )
    return name + made + bytes(a ^ b for a, b in zip(plain, stream, strict=False))


REQUEST_LAYOUT = (
    *(("kind", 1), ("carrier", 1), ("event", 1), ("flags", 1), ("counter", 4), ("n", 4), ("seq", 2)),
    *(("age_10s", 2), ("battery_20mv", 1), ("stage", 1), ("wait_s", 1), ("signal", 1), ("errors", 1)),
)
ANSWER_END = (("next_s", 2), ("flags", 1), ("n", 4))
ALARM_7: Vector = {
    **{"kind": 1, "carrier": 1, "event": 1, "flags": 1, "counter": 7, "n": 41, "seq": 0, "age_10s": 2},
    **{"battery_20mv": 195, "stage": 255, "wait_s": 0, "signal": -61, "errors": 0, "facts": ""},
}


def request_plain(said: Vector) -> bytes:
    fields = [said[field].to_bytes(size, "big", signed=field == "signal") for field, size in REQUEST_LAYOUT]
    return b"".join([*fields, bytes.fromhex(said["facts"])]).ljust(104, b"\x00")


def request(root: bytes, epoch: int, said: Vector, name_of: int | None = None) -> bytes:
    name = session_name(root, epoch, said["n"] if name_of is None else name_of)
    return sealed(root, epoch, (1, 2), name, b"", request_plain(said))


def answer(root: bytes, epoch: int, asked: bytes, said: Vector) -> bytes:
    plain = bytes.fromhex(said["receipt"]) + said["time_ms"].to_bytes(6, "big")
    plain += (
        said["next_s"].to_bytes(2, "big") + said["flags"].to_bytes(1, "big") + said["n"].to_bytes(4, "big")
    )
    return sealed(root, epoch, (3, 4), asked[:8], asked[8:24], plain.ljust(40, b"\x00"))


def golden_sessions() -> list[Vector]:
    numbers = (0, 1, 31, 32, 255, 65536, 0x7FFFFFFF, 0x80000000, 0x80000003, 0xFFFFFFFF)
    found = []
    for at, n in enumerate(numbers):
        root, epoch = ROOTS[at % 3], at % 2
        drawn = int.from_bytes(tag(key(root, "direct", epoch), b"\x07", n.to_bytes(4, "big"))[:2], "big")
        vector = {"kind": "session", "root": root.hex(), "epoch": epoch, "n": n}
        name = session_name(root, epoch, n).hex()
        found.append(vector | {"name": name, "checkin_s": 20 * 3600 + drawn * 8 * 3600 // 65536})
    return found


def golden_networks() -> list[Vector]:
    ssids = (b"home", b"", b"Caf\xc3\xa9 \xf0\x9f\x98\x80", bytes(32), b"x" * 32)
    found = []
    for at, ssid in enumerate(ssids):
        under = key(ROOTS[at % 3], "direct", at % 2)
        station = bytearray(tag(under, b"\x06", ssid)[:6])
        station[0] = station[0] & ~0x01 | 0x02
        vector = {"kind": "network", "root": ROOTS[at % 3].hex(), "epoch": at % 2, "ssid": ssid.hex()}
        found.append(vector | {"id": tag(under, b"\x05", ssid)[:8].hex(), "station_mac": station.hex()})
    return found


def part(number: int, value: bytes) -> bytes:
    return number.to_bytes(1, "big") + len(value).to_bytes(1, "big") + value


def scan(count: int) -> list[tuple[bytes, int]]:
    """`count` access points, strongest first."""
    return [(bytes((0x10, 0x20, 0x30, 0x40, 0x50, n)), -40 - 5 * n) for n in range(count)]


def scan_part(points: list[tuple[bytes, int]]) -> bytes:
    return part(1, b"".join(bssid + rssi.to_bytes(1, "big", signed=True) for bssid, rssi in points))


def cell_part(cell: list[int]) -> bytes:
    kind, mcc, mnc, tac, cell_id, rsrp = cell
    value = kind.to_bytes(1, "big") + b"".join(field.to_bytes(2, "big") for field in (mcc, mnc, tac))
    return part(2, value + cell_id.to_bytes(4, "big") + rsrp.to_bytes(1, "big", signed=True))


def gnss_part(fix: list[int]) -> bytes:
    value = b"".join(degrees.to_bytes(4, "big", signed=True) for degrees in fix[:2])
    return part(3, value + b"".join(field.to_bytes(2, "big") for field in fix[2:]))


CELL = [1, 262, 3, 40001, 0x0FEDCBA9, -97]
FIX = [503_456_789, -700_000_001, 12, 3]


def golden_facts() -> list[Vector]:
    """What a button packs: a scan, a cell, a fix, each alone and as many together as fit."""
    cases: list[tuple[int, list[int] | None, list[int] | None]] = [
        *(
            (0, None, None),
            (1, None, None),
            (10, None, None),
            (9, CELL, None),
            (0, CELL, FIX),
            (3, CELL, FIX),
        ),
        *(
            (0, None, [900_000_000, 1_800_000_000, 65535, 65535]),
            (0, [2, 999, 999, 65535, 0xFFFFFFFF, 0], None),
        ),
    ]
    found = []
    for count, cell, fix in cases:
        value = scan_part(scan(count)) if count else b""
        value += (cell_part(cell) if cell else b"") + (gnss_part(fix) if fix else b"")
        points = [[bssid.hex(), rssi] for bssid, rssi in scan(count)]
        said = {"access_points": points, "cell": cell, "gnss": fix}
        found.append({"kind": "facts", "value": value.hex()} | said)
    return found


def odd_facts() -> list[Vector]:
    """Facts that no button packs: each odd part is lost, and no other."""
    two, one = scan(2), scan(1)
    group, nothing, high = bytes.fromhex("ffffffffffff"), bytes(6), [900_000_001, 0, 1, 1]
    cases: list[tuple[bytes, list[tuple[bytes, int]], list[int] | None, list[int] | None]] = [
        (bytes(80), [], None, None),
        (b"\x01", [], None, None),
        (b"\x01\x00", [], None, None),
        (b"\x01\xff" + bytes(78), [], None, None),  # runs over
        (scan_part(scan(12))[:80], [], None, None),  # 12 of them run over
        (scan_part(scan(11)), scan(11), None, None),
        (part(1, bytes(13)) + cell_part(CELL), [], CELL, None),  # not a whole number of them
        (scan_part([(group, -40), *one, (nothing, -50)]), one, None, None),
        (part(9, b"new") + cell_part(CELL), [], CELL, None),  # of a later version
        (cell_part(CELL) + cell_part([2, *CELL[1:]]), [], CELL, None),  # said twice
        (scan_part(two) + scan_part(one), two, None, None),
        (part(2, bytes(11)) + gnss_part(FIX), [], None, FIX),
        (gnss_part(high) + cell_part(CELL), [], CELL, None),  # 90.0000001 degrees north
        (gnss_part([0, -1_800_000_001, 1, 1]), [], None, None),
        (gnss_part([910_000_000, 0, 1, 1]) + gnss_part(FIX), [], None, FIX),
        (b"\x00\x00" + gnss_part(FIX), [], None, None),  # zeros end them
    ]
    found = []
    for value, points, cell, fix in cases:
        said = {"access_points": [[b.hex(), rssi] for b, rssi in points], "cell": cell, "gnss": fix}
        found.append({"kind": "odd facts", "value": value.hex()} | said)
    return found


def golden_requests() -> list[Vector]:
    facts = [bytes.fromhex(vector["value"]) for vector in golden_facts()]
    edges = {"counter": 0xFFFFFFFF, "n": 0xFFFFFFFF, "seq": 0xFFFF, "age_10s": 0xFFFF, "wait_s": 255}
    cases = [
        ALARM_7,
        ALARM_7 | {"kind": 2, "seq": 3, "stage": 1, "wait_s": 20},
        ALARM_7 | {"kind": 4, "seq": 9, "stage": 4, "facts": gnss_part(FIX).hex()},
        ALARM_7 | {"kind": 3, "event": 0, "counter": 0, "flags": 0x40, "errors": 0x72},
        ALARM_7 | {"event": 2, "flags": 3, "carrier": 3, "n": 0x80000003, "signal": -128},
        ALARM_7 | edges | {"flags": 255, "battery_20mv": 255, "stage": 0, "signal": 127, "errors": 255},
        *(ALARM_7 | {"carrier": 1 + n % 3, "n": n, "seq": n, "facts": facts[n].hex()} for n in range(1, 5)),
        ALARM_7 | {"facts": "ff" * 80},
    ]
    return [
        {
            "kind": "request",
            "root": ROOTS[at % 3].hex(),
            "epoch": at % 2,
            "request": said,
            "value": request(ROOTS[at % 3], at % 2, said).hex(),
        }
        for at, said in enumerate(cases)
    ]


RECEIVED_7: Vector = {
    "receipt": receipt(ROOTS[0], 0, 1, 1, 7).hex(),
    "time_ms": 1_800_000_000_000,
    "next_s": 60,
}
RECEIVED_7 |= {"flags": 0, "n": 41}


def golden_answers() -> list[Vector]:
    asked = request(ROOTS[0], 0, ALARM_7)
    cases = [
        RECEIVED_7,
        RECEIVED_7 | {"receipt": receipt(ROOTS[0], 0, 4, 1, 7).hex(), "next_s": 0, "flags": 7, "n": 42},
        RECEIVED_7 | {"receipt": "00" * 17},
        RECEIVED_7
        | {"receipt": "ff" * 17, "time_ms": (1 << 48) - 1, "next_s": 65535, "flags": 255, "n": 0xFFFFFFFF},
        RECEIVED_7 | {"time_ms": 0, "n": 0},
    ]
    return [
        {
            "kind": "answer",
            "root": ROOTS[0].hex(),
            "epoch": 0,
            "request": asked.hex(),
            "value": answer(ROOTS[0], 0, asked, said).hex(),
        }
        | said
        for said in cases
    ]


def flipped(value: bytes, at: int) -> bytes:
    return value[:at] + bytes((value[at] ^ 1,)) + value[at + 1 :]


def hostile_requests() -> list[Vector]:
    """Frames under the name of session 41 of the first root, and one whose name is another's."""
    right = request(ROOTS[0], 0, ALARM_7)
    said = (
        *(({"kind": kind}, "kind") for kind in (0, 5, 255)),
        *(({"carrier": carrier}, "carrier") for carrier in (0, 4, 255)),
        *(({"event": event}, "event") for event in (0, 3, 6)),
        *(({"counter": 0}, "event"), ({"kind": 3}, "event"), ({"kind": 3, "event": 0}, "event")),
        *(
            ({"kind": 3, "counter": 0}, "event"),
            ({"kind": 2, "event": 5}, "event"),
            ({"kind": 4, "event": 0}, "event"),
        ),
        *(({"n": 42}, "n"), ({"n": 0}, "n"), ({"stage": 5}, "stage"), ({"stage": 254}, "stage")),
    )
    answered = answer(ROOTS[0], 0, right, RECEIVED_7)
    wrong = [
        *((right[:length], "length") for length in (0, 1, 63, 64, 127)),
        *((right.ljust(length, b"\x00"), "length") for length in (129, 1472)),
        *((flipped(right, at), "name") for at in (0, 7)),
        (bytes(128), "name"),
        (request(ROOTS[0], 0, ALARM_7 | {"n": 40}), "name"),
        (request(ROOTS[1], 0, ALARM_7), "name"),
        (request(ROOTS[0], 1, ALARM_7), "name"),
        *((flipped(right, at), "tag") for at in (8, 23, 24, 26, 44, 45, 124, 127)),
        (right[:24] + bytes(104), "tag"),
        (right[:8] + bytes(120), "tag"),
        (right[:8] + request(ROOTS[1], 0, ALARM_7)[8:], "tag"),
        (right[:24] + request(ROOTS[0], 0, ALARM_7 | {"seq": 1})[24:], "tag"),
        (answered + answered, "tag"),
        *((request(ROOTS[0], 0, ALARM_7 | change, name_of=41), reason) for change, reason in said),
    ]
    common = {"kind": "request", "root": ROOTS[0].hex(), "epoch": 0, "n": 41}
    return [common | {"value": value.hex(), "reason": reason} for value, reason in wrong]


def hostile_answers() -> list[Vector]:
    """What must not be taken for the answer to ALARM 7 of the first root."""
    asked = request(ROOTS[0], 0, ALARM_7)
    right = answer(ROOTS[0], 0, asked, RECEIVED_7)
    older = request(ROOTS[0], 0, ALARM_7 | {"seq": 1, "n": 41})
    wrong = [
        *((right[:length], "length") for length in (0, 1, 24, 63)),
        *((right + b"\x00", "length"), (right * 2, "length"), (asked, "length")),
        (bytes(64), "name"),
        (flipped(right, 0), "name"),
        (answer(ROOTS[0], 0, request(ROOTS[0], 0, ALARM_7 | {"n": 42}), RECEIVED_7), "name"),
        *((flipped(right, at), "tag") for at in (8, 23, 24, 40, 41, 63)),
        (answer(ROOTS[0], 0, older, RECEIVED_7), "tag"),  # of the same session's other request
        (right[:8] + answer(ROOTS[1], 0, asked, RECEIVED_7)[8:], "tag"),
        (right[:8] + answer(ROOTS[0], 1, asked, RECEIVED_7)[8:], "tag"),
        (asked[:64], "tag"),
    ]
    common = {"kind": "answer", "root": ROOTS[0].hex(), "epoch": 0, "request": asked.hex()}
    return [common | {"value": value.hex(), "reason": reason} for value, reason in wrong]


def golden_direct() -> list[Vector]:
    sealed_frames = golden_requests() + golden_answers()
    return golden_sessions() + golden_networks() + golden_facts() + odd_facts() + sealed_frames


def vectors() -> dict[str, list[Vector]]:
    return {
        "golden": golden_codes() + golden_receipts() + golden_states() + golden_direct(),
        "hostile": [
            *(hostile_codes() + hostile_receipts() + hostile_states()),
            *(hostile_requests() + hostile_answers()),
        ],
    }


if __name__ == "__main__":
    print(json.dumps(vectors(), indent=1))
