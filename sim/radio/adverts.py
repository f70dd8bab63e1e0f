"""An advert as somebody heard it, and the parts that it is made of. Pure."""

from collections.abc import Iterator
from typing import NamedTuple

KINDS = ("ADV_IND", "ADV_DIRECT_IND", "ADV_SCAN_IND", "ADV_NONCONN_IND", "SCAN_RSP", "unknown")
ADDRESS_TYPES = ("public", "random", "unknown")
RSSI_UNKNOWN = 127  # Core 6.0, Vol 4, Part E, 7.7.65.2

FLAGS, TX_POWER, APPEARANCE = 0x01, 0x0A, 0x19
NAMES = (0x08, 0x09)
MANUFACTURER = 0xFF
UUID_LISTS = {0x02: 2, 0x03: 2, 0x04: 4, 0x05: 4, 0x06: 16, 0x07: 16}
SERVICE_DATA = {0x16: 2, 0x20: 4, 0x21: 16}


class Heard(NamedTuple):
    """One report of a scanner. `at_ms`: since it began to listen."""

    at_ms: float
    rssi_dbm: int
    address: str  # as AA:BB:CC:DD:EE:FF
    address_type: str  # one of ADDRESS_TYPES
    kind: str  # one of KINDS
    data: bytes


def structures(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The AD structures `length:u8 || type:u8 || value` (Core 6.0, Vol 3, Part C, 11), as far as they go."""
    at = 0
    while at < len(data) and 0 < data[at] < len(data) - at:
        yield data[at + 1], data[at + 2 : at + 1 + data[at]]
        at += 1 + data[at]


def joined(parts: list[tuple[int, bytes]]) -> bytes:
    """The other way round; a value is at most 254 bytes."""
    return b"".join(bytes((len(value) + 1, kind)) + value for kind, value in parts)


def uuids_128(data: bytes) -> Iterator[bytes]:
    """The listed 128-bit service UUIDs, in UUID order."""
    for kind, value in structures(data):
        if UUID_LISTS.get(kind) == 16:
            for at in range(0, len(value) - 15, 16):
                yield value[at : at + 16][::-1]


def has_codes_form(uuid: bytes) -> bool:
    """Version 4, variant 10 (RFC 9562): a code of ours has it, and so have most UUIDs that anybody draws."""
    return uuid[6] >> 4 == 4 and uuid[8] >> 6 == 2
