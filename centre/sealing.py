"""Roots lie in the database sealed; the key lies outside it, so that a copy of the file is useless."""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
_NONCE_BYTES = 12


class Broken(Exception):
    """The sealed root does not open: another key, another device, or a changed byte."""


def new_key() -> bytes:
    return AESGCM.generate_key(KEY_BYTES * 8)


class Sealer:
    """AES-256-GCM (NIST SP 800-38D); the device_id is authenticated with it, so rows cannot be swapped."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError("a sealing key has 32 bytes")
        self._aead = AESGCM(key)

    def seal(self, device_id: str, root: bytes) -> bytes:
        """`nonce[12] || ciphertext || tag[16]`."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, root, device_id.encode())

    def unseal(self, device_id: str, sealed: bytes) -> bytes:
        """The root; raises Broken."""
        try:
            return self._aead.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], device_id.encode())
        except (InvalidTag, ValueError):
            raise Broken(f"the root of {device_id} does not open with this sealing key") from None
