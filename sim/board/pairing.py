"""Just Works pairing, the peripheral's side (Core 6.0, Vol 3, Part H, 2.3.5.2 and 3.5), as NimBLE answers it.

LE legacy pairing without keys to keep: a program of MicroPython has a bond only where it stores one. What a
stranger gains by it is an encrypted link, of which the program is told (`_IRQ_ENCRYPTION_UPDATE`).
"""

import secrets
from collections.abc import Callable

from bumble import crypto

CID = 6
REQUEST, RESPONSE, CONFIRM, RANDOM, FAILED = 0x01, 0x02, 0x03, 0x04, 0x05
_NO_INPUT_NO_OUTPUT = 0x03
_KEY_BYTES = 16
_CONFIRM_VALUE_FAILED, _COMMAND_NOT_SUPPORTED = 0x04, 0x07
_TEMPORARY_KEY = bytes(16)  # Just Works has none


class Pairing:
    """One peer's attempt; `key` is there once both ends have proven that they know the other's random number.

    Addresses are little-endian, with their type: 0 public, 1 random.
    """

    def __init__(
        self, send: Callable[[bytes], None], initiator: tuple[int, bytes], own: tuple[int, bytes]
    ) -> None:
        self._send, self._initiator, self._own = send, initiator, own
        self._request = self._response = self._confirm = b""
        self._random = secrets.token_bytes(_KEY_BYTES)
        self.key: bytes | None = None

    def receive(self, pdu: bytes) -> None:
        """Answer one PDU of the security manager."""
        if pdu[0] == REQUEST and len(pdu) == 7:
            self._request = pdu
            self._response = bytes([RESPONSE, _NO_INPUT_NO_OUTPUT, 0, 0, _KEY_BYTES, 0, 0])
            self._send(self._response)
        elif pdu[0] == CONFIRM and self._request:
            self._confirm = pdu[1:]
            self._send(bytes([CONFIRM]) + self._confirms(self._random))
        elif pdu[0] == RANDOM and self._confirm:
            self._check(pdu[1:])
        elif pdu[0] != FAILED:
            self._send(bytes([FAILED, _COMMAND_NOT_SUPPORTED]))

    def _check(self, random: bytes) -> None:
        if self._confirms(random) != self._confirm:
            self._send(bytes([FAILED, _CONFIRM_VALUE_FAILED]))
            return
        self.key = crypto.s1(_TEMPORARY_KEY, self._random, random)
        self._send(bytes([RANDOM]) + self._random)

    def _confirms(self, random: bytes) -> bytes:
        (initiator_kind, initiator), (kind, own) = self._initiator, self._own
        return crypto.c1(
            _TEMPORARY_KEY, random, self._request, self._response, initiator_kind, kind, initiator, own
        )
