"""Is the event log as it was written? Every entry, in one pass, while the centre serves."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from centre.platform import signing
from centre.platform.sealing import Broken
from centre.rules import event_log
from centre.rules.event_log import BEGINNING, Entry
from centre.store import Row
from centre.work.core import Core
from centre.work.event_log import ERASED, LoggedEntry, told
from wire import receipts

RECEIVED, REOPENED, ADVANCED = "received", "reopened", "advanced"
ERASED_STAGE = 0  # one or more, of which the log no longer tells
Findings = Iterator[str]


@dataclass(slots=True)
class Seen:
    """What a pass has come by; whole when it is over."""

    entries: int = 0
    erased: int = 0
    signatures: int = 0
    head: tuple[int, bytes] = (0, BEGINNING)
    signed: dict[int, list[Row]] = field(default_factory=dict)


def verify(
    core: Core, key: Ed25519PublicKey, seen: Seen, *, known_head: tuple[int, bytes] | None = None
) -> Findings:
    """One sentence for each thing that is not as it was written; none where all holds.

    `known_head`: a head that was written down elsewhere, which the log must still contain.
    """
    store = core.store
    # Whoever has the file may have written what is no text into it.
    store.db.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    try:
        with store.reading():
            store.run("make_named_erased")
            store.run("make_told_stages")
            yield from _signatures(core, key, seen)
            yield from _erasings(core)
            yield from _entries(core, seen, known_head)
            yield from _beyond_the_end(seen, known_head)
            yield from _tables(core)
    except sqlite3.OperationalError:
        raise  # locked, or a full disk: nothing that tells of the log
    except sqlite3.DatabaseError as error:
        yield f"the file is damaged: {error}"
    finally:
        store.db.text_factory = str


def _signatures(core: Core, key: Ed25519PublicKey, seen: Seen) -> Findings:
    for row in core.store.each("signatures"):
        seen.signatures += 1
        seen.signed.setdefault(row["seq"], []).append(row)
        signed = event_log.to_sign(row["day"], row["at_ms"], row["seq"], row["hash"])
        if not signing.holds(key, row["signature"], signed):
            yield f"the signature of {row['day']} is not by this key, or what it signed was changed"


def _erasings(core: Core) -> Findings:
    """Which entries are told to be erased, and by which: before the pass, which comes by them first."""
    for row in core.store.each("log_of_kind", kind=ERASED):
        try:
            for first, last in told(core, row).facts["seqs"]:
                core.store.run("add_named_erased", first=first, last=last, by_seq=row["seq"])
        except (Broken, KeyError, ValueError, TypeError):
            yield f"entry {row['seq']} tells what was erased, and cannot be read"


def _entries(core: Core, seen: Seen, known_head: tuple[int, bytes] | None) -> Findings:
    named = core.store.each("named_erased")
    erasing: Row | None = next(named, None)
    seq, before = 0, BEGINNING
    for row in core.store.each("log_entries"):
        if row["seq"] != seq + 1:
            yield f"entries {seq + 1} to {row['seq'] - 1} are missing"
        seq = row["seq"]
        entry = Entry(*(row[name] for name in Entry._fields))
        if event_log.chained(before, entry, row["digest"]) != row["hash"]:
            yield f"entry {seq} is not as it was written, or does not follow the one before it"
        for signature in seen.signed.get(seq, ()):
            if signature["hash"] != row["hash"]:
                yield f"entry {seq} is not the one that was signed on {signature['day']}"
        if known_head and known_head[0] == seq and known_head[1] != row["hash"]:
            yield f"entry {seq} is not the one that you know"
        while erasing and erasing["last"] < seq:
            erasing = next(named, None)
        names_it = erasing if erasing and erasing["first"] <= seq and erasing["by_seq"] > seq else None
        yield from _content(core, row, names_it)
        seen.entries, seen.erased = seen.entries + 1, seen.erased + (row["sealed"] is None)
        before = row["hash"]
    seen.head = seq, before


def _content(core: Core, row: Row, erased_by: Row | None) -> Findings:
    seq = row["seq"]
    try:
        entry = told(core, row)
    except Broken:
        yield f"the content of entry {seq} was changed: its seal is broken"
        return
    if entry.salt is None or entry.content is None:
        if erased_by is None:
            yield f"the content of entry {seq} is gone, and no entry tells that it was erased"
    else:
        if erased_by is not None:
            yield f"entry {erased_by['by_seq']} tells that entry {seq} was erased, but its content is there"
        if event_log.digest(entry.salt, entry.content.encode()) != entry.digest:
            yield f"the content of entry {seq} is not the one that was written"
    _take_stage(core, entry)


def _take_stage(core: Core, logged: LoggedEntry) -> None:
    """Which receipt the entry tells of, to be held against the table."""
    stage = receipts.RECEIVED if logged.entry.kind in (RECEIVED, REOPENED) else None
    if logged.entry.kind == ADVANCED:
        try:
            stage = ERASED_STAGE if logged.content is None else logged.facts["stage"]
        except (ValueError, KeyError, TypeError):
            return  # not what was written, which its digest has told
    if stage is not None and logged.entry.incident_id is not None:
        where = {"incident_id": logged.entry.incident_id, "seq": logged.entry.seq}
        core.store.run("add_told_stage", stage=stage, **where)


def _beyond_the_end(seen: Seen, known_head: tuple[int, bytes] | None) -> Findings:
    last = seen.head[0]
    for seq, signatures in seen.signed.items():
        if seq > last:
            yield f"entry {seq} was signed on {signatures[0]['day']}, but the log ends with entry {last}"
    if known_head and known_head[0] > last:
        yield f"you know an entry {known_head[0]}, but the log ends with entry {last}"


def _tables(core: Core) -> Findings:
    for row in core.store.each("receipts_not_told"):
        yield f"incident {row['incident_id']} has a receipt of stage {row['stage']} that no entry tells of"
    for row in core.store.each("told_not_in_receipts"):
        yield f"entry {row['seq']} tells of stage {row['stage']} of incident {row['incident_id']}: it is gone"
