"""The event log's chain: each entry's hash covers the entry and the hash before. Pure.

    digest = SHA-256(salt || content)          erasing takes salt and content; the digest then tells nothing
    link   = SHA-256(head || digest)           head: the other columns, each with its length
    hash   = SHA-256(hash before || link)

A chain can be shown to somebody with the links of others' entries, which tell nothing, in place of them.

So what was personal can be erased after its term, and the chain still verifies. Salt and content lie sealed
(positions, a duress PIN: whoever holds a copy of the file reads them no more than a case); one entry can
still be opened to a third party, by its salt and content, and be held against the chain.
"""

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

BEGINNING = bytes(32)  # the hash before the first entry
SALT_BYTES = 16


class Entry(NamedTuple):
    """One event.

    `actor`: `user:ID`, `bridge:ID`, `dispatch:ID`, `button`, `centre` (by itself), `command` (at a terminal).
    """

    seq: int
    at_ms: int
    kind: str
    actor: str
    incident_id: str | None
    case_id: str | None
    device_id: str | None


def digest(salt: bytes, content: bytes) -> bytes:
    """32 bytes. `salt` keeps a short content from being guessed after it has been erased."""
    return hashlib.sha256(salt + content).digest()


def chained(before: bytes, entry: Entry, content_digest: bytes) -> bytes:
    """Return the 32 bytes of this entry's place in the chain."""
    return hashlib.sha256(before + link(entry, content_digest)).digest()


def link(entry: Entry, content_digest: bytes) -> bytes:
    """Return what the entry itself brings to the chain."""
    raws = [b"" if value is None else str(value).encode("utf-8", "surrogateescape") for value in entry]
    head = b"".join([len(raw).to_bytes(4, "big") + raw for raw in raws])
    return hashlib.sha256(head + content_digest).digest()


def to_sign(day: str, at_ms: int, seq: int, head: bytes) -> bytes:
    """Return what a daily signature is over: the chain's head `seq`, and so every entry before it."""
    return b"amr-centre log 1\n" + f"{day}\n{at_ms}\n{seq}\n".encode("utf-8", "surrogateescape") + head


def ranges(seqs: Iterable[int]) -> list[list[int]]:
    """Rising numbers as `[first, last]` of each run."""
    spans: list[list[int]] = []
    for seq in seqs:
        if spans and seq == spans[-1][1] + 1:
            spans[-1][1] = seq
        else:
            spans.append([seq, seq])
    return spans
