"""Codes: the one-time 128-bit service UUIDs that carry an event (SPEC.md, "Codes").

HOTP (RFC 4226) used as a Bluetooth service UUID: random to whoever has no key, and to those
who have it a dictionary look-up.
"""

import struct

from wire.keys import InvalidMessage, Mac, same, u32

ALARM = 1
TEST = 2
ALIVE = 3
ALIVE_LOW = 4
CONTACT = 5
EVENTS = (ALARM, TEST, ALIVE, ALIVE_LOW, CONTACT)
NAMES = {ALARM: "ALARM", TEST: "TEST", ALIVE: "ALIVE", ALIVE_LOW: "ALIVE_LOW", CONTACT: "CONTACT"}
PRESSES = (ALARM, TEST)

CODE_BYTES = 16

# A button whose counters cannot be read still alarms: it draws its press counter from here.
SPARE_FIRST = 0x80000000
SPARE_COUNT = 0x400

# How far the alive counter is reserved ahead in flash; after a cold boot it starts there.
RESERVE = 32

# The characteristics' UUIDs are the code with the last byte changed by these.
RECEIPT_XOR = 1
STATE_XOR = 2


def code(mac_code: Mac, event: int, counter: int) -> bytes:
    """The 16 bytes, in UUID order, under which `event` number `counter` goes on the air.

    `mac_code` is a Mac under K_code. Raises ValueError outside events 1-5 or 32 bits.
    """
    if event not in EVENTS:
        raise ValueError("unknown event")
    tag = mac_code(struct.pack(">BI", event, u32(counter)))
    # RFC 9562, 5.4: version 4, variant 10. Real UUIDs have them; without, we would stand out.
    return tag[:6] + bytes((tag[6] & 0x0F | 0x40, tag[7], tag[8] & 0x3F | 0x80)) + tag[9:16]


def check(received: bytes, mac_code: Mac, event: int, counter: int) -> None:
    """Believe that `received` is the code of `event` number `counter`, or raise InvalidMessage.

    InvalidMessage("length" | "event" | "counter" | "code").
    """
    if len(received) != CODE_BYTES:
        raise InvalidMessage("length")
    if event not in EVENTS:
        raise InvalidMessage("event")
    if not 0 <= counter <= 0xFFFFFFFF:
        raise InvalidMessage("counter")
    if not same(received, code(mac_code, event, counter)):
        raise InvalidMessage("code")


def characteristic(code_on_air: bytes, xor: int) -> bytes:
    """The UUID of a characteristic under the service `code_on_air`, in UUID order."""
    return code_on_air[:15] + bytes((code_on_air[15] ^ xor,))


def advert(code_on_air: bytes) -> bytes:
    """The 21 bytes of advertising data: flags, and the code as a complete 128-bit UUID list."""
    return b"\x02\x01\x06\x11\x07" + bytes(reversed(code_on_air))


def rhythm(mac_code: Mac, counter: int, period_ms: int) -> tuple[int, int]:
    """`(wait_ms, burst_ms)`: how long after alive slot `counter` the next one comes, how long it is.

    `period_ms` +-20 %, and 2 to 4 s, both drawn from `HMAC(K_code, 0 || counter)`; event 0 does
    not exist, so no code shares the input. A bridge computes the same, to know what is due.
    """
    wait, burst = struct.unpack(">HH", mac_code(struct.pack(">BI", 0, u32(counter)))[:4])
    return period_ms * 4 // 5 + period_ms * 2 // 5 * wait // 65536, 2000 + 2000 * burst // 65536
