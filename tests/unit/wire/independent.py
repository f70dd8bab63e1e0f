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


def vectors() -> dict[str, list[Vector]]:
    return {
        "golden": golden_codes() + golden_receipts() + golden_states(),
        "hostile": hostile_codes() + hostile_receipts() + hostile_states(),
    }


if __name__ == "__main__":
    print(json.dumps(vectors(), indent=1))
