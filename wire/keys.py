"""Keys: one root per provisioning, and the five keys derived from it (SPEC.md, "Keys")."""

import hashlib
import struct

ROOT_BYTES = 32
LABELS = ("code", "heard", "receipt", "state", "direct")
_BLOCK_BYTES = 64
_INNER = int.from_bytes(b"\x36" * _BLOCK_BYTES, "big")
_OUTER = int.from_bytes(b"\x5c" * _BLOCK_BYTES, "big")
_COUNTER_MAX = 0xFFFFFFFF


class InvalidMessage(Exception):
    """A value that must not be believed; `reason` is a word from SPEC.md, "Refusals"."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Mac:
    """HMAC-SHA256 (RFC 2104) under one key of at most 64 bytes; MicroPython has no `hmac`.

    Calling it with a message returns the 32-byte tag.
    """

    def __init__(self, key: bytes) -> None:
        if not 0 < len(key) <= _BLOCK_BYTES:
            raise ValueError("key must be 1 to 64 bytes")
        # As one number each: byte by byte it is most of what a press costs the centre.
        padded = int.from_bytes(key + bytes(_BLOCK_BYTES - len(key)), "big")
        self._inner = (padded ^ _INNER).to_bytes(_BLOCK_BYTES, "big")
        self._outer = (padded ^ _OUTER).to_bytes(_BLOCK_BYTES, "big")

    def __call__(self, message: bytes) -> bytes:
        inner = hashlib.sha256(self._inner + message).digest()
        return hashlib.sha256(self._outer + inner).digest()


def derive(root: bytes, label: str, epoch: int = 0) -> bytes:
    """The 32-byte key `label` of the button that holds `root` (32 bytes).

    `HMAC-SHA256(root, label || epoch:u32)`. Raises ValueError for another length or label.
    """
    if len(root) != ROOT_BYTES:
        raise ValueError("root must be 32 bytes")
    if label not in LABELS:
        raise ValueError("unknown key label")
    return Mac(root)(label.encode() + struct.pack(">I", u32(epoch)))


def u32(value: int) -> int:
    """`value` itself, if it fits in 32 bits; MicroPython's `struct` would cut it silently."""
    if not 0 <= value <= _COUNTER_MAX:
        raise ValueError("not an unsigned 32-bit integer")
    return value


def same(a: bytes, b: bytes) -> bool:
    """Compare two tags without telling by the time taken where they differ."""
    if len(a) != len(b):
        return False
    difference = 0
    for x, y in zip(a, b):  # noqa: B905 -- MicroPython's zip has no `strict`
        difference |= x ^ y
    return difference == 0
