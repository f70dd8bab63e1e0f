"""State: what the button tells a bridge that connects, sealed (SPEC.md, "State")."""

import struct

from wire.keys import InvalidMessage, Mac, same, u32

VALUE_BYTES = 20
AGE_UNKNOWN = 0xFFFF

OPEN = 0x01  # a press is open
IS_TEST = 0x02  # it is a TEST
AGE_LOWER_BOUND = 0x04  # power was lost since the press
PIN_STUCK = 0x08
COUNTERS_LOST = 0x10
CONFIG_DEFAULTED = 0x20

_FIELDS = ">BBHI"


class State:
    """The four fields; `battery_20mv` 0 means not measured, `age_10s` 65535 unknown or more."""

    def __init__(self, battery_20mv: int, flags: int, age_10s: int, press_counter: int) -> None:
        self.battery_20mv = battery_20mv
        self.flags = flags
        self.age_10s = age_10s
        self.press_counter = press_counter

    def fields(self) -> bytes:
        """The 8 bytes that are sealed; raises ValueError where a field does not fit."""
        if not (0 <= self.battery_20mv <= 0xFF and 0 <= self.flags <= 0xFF and 0 <= self.age_10s <= 0xFFFF):
            raise ValueError("state field out of range")
        return struct.pack(_FIELDS, self.battery_20mv, self.flags, self.age_10s, u32(self.press_counter))


def seal(mac_state: Mac, code: bytes, nonce: int, state: State) -> bytes:
    """The 20 bytes of the *state* characteristic: `nonce:u32 || ct[8] || tag[8]`.

    `mac_state` is under K_state, `code` the 16 bytes on the air, `nonce` new for each value.
    """
    head = struct.pack(">I", u32(nonce))
    ct = _xor(state.fields(), mac_state(b"\x01" + code + head))
    return head + ct + mac_state(b"\x02" + code + head + ct)[:8]


def unseal(mac_state: Mac, code: bytes, sealed: bytes) -> State:
    """What `sealed` says; raises InvalidMessage("length" | "tag")."""
    if len(sealed) != VALUE_BYTES:
        raise InvalidMessage("length")
    head, ct, tag = sealed[:4], sealed[4:12], sealed[12:]
    if not same(tag, mac_state(b"\x02" + code + head + ct)[:8]):
        raise InvalidMessage("tag")
    battery, flags, age, counter = struct.unpack(_FIELDS, _xor(ct, mac_state(b"\x01" + code + head)))
    return State(battery, flags, age, counter)


def _xor(data: bytes, stream: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(data, stream))  # noqa: B905 -- MicroPython's zip
