"""The protected person's PINs: kept as slow hashes, guessed at only slowly.

Whoever watches an answer, its time or the disk cannot tell the PIN from the duress PIN: both hashes are
computed at every try, and what follows is the same work (protocol, "POST /v1/call-offs").
"""

from enum import Enum

from centre.platform import password_hashing


class Verdict(Enum):
    WRONG = 0
    RIGHT = 1
    DURESS = 2


def check_pin(pin: str, pin_hash: str, duress_pin_hash: str | None) -> Verdict:
    """Check a PIN: slow on purpose, and equally slow whatever comes out."""
    right, duress = (
        password_hashing.matches(pin, pin_hash),
        password_hashing.matches(pin, duress_pin_hash or password_hashing.NOBODYS),
    )
    return Verdict.DURESS if duress else Verdict.RIGHT if right else Verdict.WRONG
