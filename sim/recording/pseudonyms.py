"""Who was near is nobody's business: names, addresses and contents in a recording are pseudonyms.

The same address stays the same within one recording, and no longer: the secret under which it is made is
drawn for the recording and kept nowhere. What stays as it was heard is what replays (a 128-bit service UUID
of the form that codes have) and what says only what kind of thing it is (flags, power, SIG and maker's
numbers). Every length stays, so that an advert keeps its shape. Pure.
"""

import hashlib
import hmac

from sim.radio.adverts import (
    APPEARANCE,
    FLAGS,
    MANUFACTURER,
    NAMES,
    SERVICE_DATA,
    TX_POWER,
    UUID_LISTS,
    Heard,
    has_codes_form,
    joined,
    structures,
)

_COMPANY_BYTES = 2
_CONTENT_MAX = 64 * 255


class Pseudonyms:
    """One recording's; `secret`: random, and forgotten after it."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._addresses: dict[str, str] = {}

    def of(self, heard: Heard) -> Heard:
        return heard._replace(address=self._address(heard), data=self._data(heard.data))

    def _address(self, heard: Heard) -> str:
        if heard.address not in self._addresses:
            drawn = bytearray(self._drawn(b"address", heard.address.encode(), 6))
            if heard.address_type == "random" and len(heard.address) == 17:
                # Its kind (static, resolvable or not) is in the two highest bits (Vol 6, Part B, 1.3.2).
                drawn[0] = drawn[0] & 0x3F | int(heard.address[:2], 16) & 0xC0
            self._addresses[heard.address] = ":".join(f"{byte:02X}" for byte in drawn)
        return self._addresses[heard.address]

    def _data(self, data: bytes) -> bytes:
        kept = joined([(kind, self._value(kind, value)) for kind, value in structures(data)])
        return kept + self._drawn(b"rest", data[len(kept) :], len(data) - len(kept))

    def _value(self, kind: int, value: bytes) -> bytes:
        if kind in (FLAGS, TX_POWER, APPEARANCE) or UUID_LISTS.get(kind, 16) < 16:
            return value
        if kind in UUID_LISTS:
            return b"".join(self._uuid(value[at : at + 16]) for at in range(0, len(value), 16))
        if kind in NAMES:
            return self._drawn(b"name", value, -(-len(value) // 2)).hex().encode()[: len(value)]
        plain = _COMPANY_BYTES if kind == MANUFACTURER else SERVICE_DATA.get(kind, 0)
        if plain == 16:
            return self._uuid(value[:16]) + self._drawn(b"content", value[16:], len(value[16:]))
        return value[:plain] + self._drawn(b"content", value[plain:], len(value[plain:]))

    def _uuid(self, little_endian: bytes) -> bytes:
        if len(little_endian) == 16 and has_codes_form(little_endian[::-1]):
            return little_endian
        return self._drawn(b"uuid", little_endian, len(little_endian))

    def _drawn(self, what: bytes, value: bytes, length: int) -> bytes:
        """As many bytes as asked for; the same for the same value."""
        key = hmac.digest(self._secret, what, "sha256")
        return hashlib.shake_256(key + value).digest(min(length, _CONTENT_MAX))
