"""The centre's certificate authority, as a label pins it: by its public key, whatever certificate it has."""

import hashlib
import hmac

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def spki_sha256(certificate: x509.Certificate) -> bytes:
    """Return what is pinned: SHA-256 of the certificate's SubjectPublicKeyInfo."""
    key = certificate.public_key()
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


def pinned(pem: bytes, pin: bytes) -> x509.Certificate | None:
    """Return the certificate where its key is the pinned one; None: it is another's, or not whole.

    Raises ValueError for what is no certificate.
    """
    certificate = x509.load_pem_x509_certificate(pem)
    if not hmac.compare_digest(spki_sha256(certificate), pin):
        return None
    try:
        if certificate.issuer == certificate.subject:  # anybody can write the pinned key into one
            certificate.verify_directly_issued_by(certificate)
    except (InvalidSignature, TypeError, ValueError):
        return None
    return certificate


def pem_of(certificate: x509.Certificate) -> str:
    """Return that one certificate: whatever else was in its file must not become trusted."""
    return certificate.public_bytes(Encoding.PEM).decode()
