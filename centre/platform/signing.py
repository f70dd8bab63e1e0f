"""The key that signs the event log, in a file of its own: a changed database cannot be signed anew."""

import base64
import binascii

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from centre.platform.home import CannotServe, Home

SIGNING_KEY = "log-signing.key"


def key_of(home: Home) -> Ed25519PrivateKey:
    """Return the key, which is made at the first call. Raises CannotServe."""
    raw = home.secret(SIGNING_KEY, lambda: Ed25519PrivateKey.generate().private_bytes_raw())
    try:
        return Ed25519PrivateKey.from_private_bytes(raw)
    except ValueError as error:
        raise CannotServe(f"{home.path / SIGNING_KEY} is not a key: it has 32 bytes") from error


def write_public(key: Ed25519PublicKey) -> str:
    """Return 43 characters of base64url, for another place than the home."""
    return base64.urlsafe_b64encode(key.public_bytes_raw()).decode().rstrip("=")


def read_public(text: str) -> Ed25519PublicKey:
    """Return a public key that was written down. Raises ValueError."""
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(text + "=", b"-_", validate=True))
    except binascii.Error as error:
        raise ValueError(str(error)) from error


def holds(key: Ed25519PublicKey, signature: bytes, signed: bytes) -> bool:
    try:
        key.verify(signature, signed)
    except InvalidSignature:
        return False
    return True
