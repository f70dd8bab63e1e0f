"""Receipts: the proof, written to the button, of how far its press has come (SPEC.md, "Receipts")."""

import struct

from wire.codes import EVENTS
from wire.keys import InvalidMessage, Mac, same, u32

HEARD = 0  # the bridge has it on disk; proven with K_heard over the code that is on the air
RECEIVED = 1  # the centre has it on disk; this and all later ones proven with K_receipt
ACKNOWLEDGED = 2  # a person has taken it
DISPATCHED = 3
CLOSED = 4
NAMES = ("HEARD", "RECEIVED", "ACKNOWLEDGED", "DISPATCHED", "CLOSED")

PROOF_BYTES = 16
VALUE_BYTES = 1 + PROOF_BYTES


def proof(mac: Mac, stage: int, event: int, counter: int) -> bytes:
    """The 16-byte proof of `stage`; `mac` is under K_heard for HEARD, K_receipt above."""
    if not HEARD <= stage <= CLOSED:
        raise ValueError("unknown stage")
    if event not in EVENTS:
        raise ValueError("unknown event")
    return mac(struct.pack(">BBI", stage, event, u32(counter)))[:PROOF_BYTES]


def value(mac: Mac, stage: int, event: int, counter: int) -> bytes:
    """The 17 bytes written to the *receipt* characteristic: `stage:u8 || proof`."""
    return bytes((stage,)) + proof(mac, stage, event, counter)


def check(
    received: bytes, mac_heard: Mac, mac_receipt: Mac, on_air: tuple[int, int], press: tuple[int, int]
) -> int:
    """The stage that `received` proves.

    `on_air` and `press` are `(event, counter)` of the code on the air and of the open press;
    `press` is `(0, 0)` where none is open. Raises InvalidMessage("length" | "stage" | "proof").
    """
    if len(received) != VALUE_BYTES:
        raise InvalidMessage("length")
    stage = received[0]
    if stage > CLOSED:
        raise InvalidMessage("stage")
    mac, subject = (mac_heard, on_air) if stage == HEARD else (mac_receipt, press)
    if subject[0] not in EVENTS or not same(received[1:], proof(mac, stage, subject[0], subject[1])):
        raise InvalidMessage("proof")
    return stage
