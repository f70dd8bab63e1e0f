"""Roots, cases and PINs lie in the database sealed, under a key outside it: a copy of the file is useless."""

import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
_NONCE_BYTES = 12


class Broken(Exception):
    """What was sealed does not open: another key, another name, or a changed byte."""


def new_key() -> bytes:
    return AESGCM.generate_key(KEY_BYTES * 8)


class Sealer:
    """AES-256-GCM (NIST SP 800-38D); the name is authenticated with it, so rows cannot be swapped."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError("a sealing key has 32 bytes")
        self._aead = AESGCM(key)
        self._words_key = hmac.digest(key, b"words", "sha256")

    def seal(self, name: str, content: bytes) -> bytes:
        """Return `nonce[12] || ciphertext || tag[16]`.

        `name`: a device_id for a root, else as in "case:ID".
        """
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, content, name.encode())

    def unseal(self, name: str, sealed: bytes) -> bytes:
        """Return the content. Raises Broken."""
        try:
            return self._aead.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], name.encode())
        except (InvalidTag, ValueError):
            raise Broken(f"what was sealed of {name} does not open with this sealing key") from None

    def word(self, word: str) -> bytes:
        """Return 16 bytes by which a sealed name can be found again; they tell nothing without the key."""
        return hmac.digest(self._words_key, word.encode(), "sha256")[:16]
