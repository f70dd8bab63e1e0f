"""Just Works pairing (Core 6.0, Vol 3, Part H, 2.3.5.2, 3.5 and 3.6), as NimBLE does it for a program.

LE legacy pairing, either end's. Where both ends want a bond, the peripheral gives the central a key for later
links, and both programs are asked to keep it (`Secret`); else nothing is kept.
"""

import secrets
import struct
from collections.abc import Callable
from dataclasses import dataclass

from bumble import crypto

CID = 6
REQUEST, RESPONSE, CONFIRM, RANDOM, FAILED = 0x01, 0x02, 0x03, 0x04, 0x05
ENCRYPTION_INFORMATION, CENTRAL_IDENTIFICATION, SECURITY_REQUEST = 0x06, 0x07, 0x0B
_NO_INPUT_NO_OUTPUT = 0x03
_BOND = 0x01
_ENCRYPTION_KEY = 0x01  # the only key that is given
_KEY_BYTES = 16
_CONFIRM_VALUE_FAILED, _COMMAND_NOT_SUPPORTED = 0x04, 0x07
_TEMPORARY_KEY = bytes(16)  # Just Works has none
_PACKED = "<7sBH6xQ16s40x"  # as NimBLE's struct ble_store_value_sec: address, key size, EDIV, random, key

Address = tuple[int, bytes]  # its type (0 public, 1 random), and little-endian


def named(address: Address) -> bytes:
    """Return an address as NimBLE names a secret by it."""
    return bytes([address[0]]) + address[1]


@dataclass(frozen=True)
class Secret:
    """A key, and the numbers by which the peripheral finds it again."""

    key: bytes
    diversifier: int = 0
    random: int = 0

    def packed(self, peer: Address) -> bytes:
        """Return what a program is asked to keep."""
        return struct.pack(_PACKED, named(peer), _KEY_BYTES, self.diversifier, self.random, self.key)


def unpacked(value: bytes | None) -> Secret | None:
    """Return the secret that a program has kept, if these bytes are one."""
    if value is None or len(value) != struct.calcsize(_PACKED):
        return None
    _, _, diversifier, random, key = struct.unpack(_PACKED, value)
    return Secret(key, diversifier, random)


class Pairing:
    """One attempt; `key` is there once an end has seen that the other knows its own random number.

    `wants_bond`: what this end's program has configured. `encrypt` starts encryption with the key, at the
    central's end; `bonded` takes the secret for later links, at both; `failed`: nothing comes of it.
    """

    def __init__(
        self,
        send: Callable[[bytes], None],
        central: Address,
        peripheral: Address,
        *,
        wants_bond: bool,
        encrypt: Callable[[bytes], None],
        bonded: Callable[[Secret], None],
        failed: Callable[[], None],
    ) -> None:
        self._send, self._encrypt, self._bonded, self._failed = send, encrypt, bonded, failed
        self._central, self._peripheral = central, peripheral
        self._wants_bond = wants_bond
        self._request = self._response = self._confirm = b""
        self._random = secrets.token_bytes(_KEY_BYTES)
        self._is_central = False
        self._later = b""  # the key for later links, while its numbers are on their way
        self.bonds = False  # whether both ends want to
        self.key: bytes | None = None

    def start(self) -> None:
        """Begin, as the central."""
        self._is_central = True
        bond = _BOND * self._wants_bond
        keys = _ENCRYPTION_KEY * self._wants_bond
        self._request = bytes([REQUEST, _NO_INPUT_NO_OUTPUT, 0, bond, _KEY_BYTES, 0, keys])
        self._send(self._request)

    def receive(self, pdu: bytes) -> None:
        """Take one PDU of the security manager."""
        kind = pdu[0]
        if kind == REQUEST and len(pdu) == 7 and not self._is_central:
            self._answer(pdu)
        elif kind == RESPONSE and len(pdu) == 7 and self._is_central:
            self._response = pdu
            self.bonds = bool(self._request[3] & pdu[3] & _BOND)
            self._send(self._confirming())
        elif kind == CONFIRM and self._response:
            self._confirm = pdu[1:]
            self._send(bytes([RANDOM]) + self._random if self._is_central else self._confirming())
        elif kind == RANDOM and self._confirm:
            self._check(pdu[1:])
        elif kind == ENCRYPTION_INFORMATION and self.bonds and len(pdu) == 17:
            self._later = pdu[1:]
        elif kind == CENTRAL_IDENTIFICATION and self._later and len(pdu) == 11:
            self._bonded(Secret(self._later, *struct.unpack("<HQ", pdu[1:])))
        elif kind == FAILED:
            self._failed()
        else:
            self._send(bytes([FAILED, _COMMAND_NOT_SUPPORTED]))

    def encrypted(self) -> None:
        """Go on, the link being encrypted with `key`: the peripheral gives the key for later links."""
        if self.bonds and not self._is_central:
            number = int.from_bytes(secrets.token_bytes(8), "little")
            secret = Secret(secrets.token_bytes(_KEY_BYTES), 1 + secrets.randbelow(0xFFFF), number)
            self._send(bytes([ENCRYPTION_INFORMATION]) + secret.key)
            self._send(struct.pack("<BHQ", CENTRAL_IDENTIFICATION, secret.diversifier, secret.random))
            self._bonded(secret)

    def _answer(self, request: bytes) -> None:
        self._request = request
        self.bonds = self._wants_bond and bool(request[3] & _BOND) and bool(request[6] & _ENCRYPTION_KEY)
        bond, keys = _BOND * self.bonds, _ENCRYPTION_KEY * self.bonds
        self._response = bytes([RESPONSE, _NO_INPUT_NO_OUTPUT, 0, bond, _KEY_BYTES, 0, keys])
        self._send(self._response)

    def _confirming(self) -> bytes:
        return bytes([CONFIRM]) + self._confirms(self._random)

    def _check(self, random: bytes) -> None:
        if self._confirms(random) != self._confirm:
            self._send(bytes([FAILED, _CONFIRM_VALUE_FAILED]))
            self._failed()
        elif self._is_central:
            self.key = crypto.s1(_TEMPORARY_KEY, random, self._random)
            self._encrypt(self.key)
        else:
            self.key = crypto.s1(_TEMPORARY_KEY, self._random, random)
            self._send(bytes([RANDOM]) + self._random)

    def _confirms(self, random: bytes) -> bytes:
        (central_kind, central), (kind, peripheral) = self._central, self._peripheral
        return crypto.c1(
            _TEMPORARY_KEY, random, self._request, self._response, central_kind, kind, central, peripheral
        )
