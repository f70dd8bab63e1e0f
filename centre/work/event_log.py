"""The event log: what happened, who did it; in the same transaction as the act itself."""

import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from centre.platform import json_text
from centre.rules import event_log, times
from centre.rules.event_log import BEGINNING, SALT_BYTES, Entry
from centre.store import Row
from centre.work.core import Core, content_name

COMMAND, CENTRE = "command", "centre"
BUTTON = "button"  # itself, over the direct path
DISPATCH = "dispatch:"  # before the id of a dispatch system
ERASED = "erased"


@dataclass(frozen=True, slots=True)
class LoggedEntry:
    """An entry and what it tells; `content` is None once it was erased."""

    entry: Entry
    salt: bytes | None
    content: str | None
    digest: bytes
    hash: bytes

    @property
    def facts(self) -> dict[str, Any]:
        """The content as `note` was given it."""
        return dict(json.loads(self.content or "{}"))


def note(
    core: Core,
    kind: str,
    actor: str,
    *,
    incident_id: str | None = None,
    case_id: str | None = None,
    device_id: str | None = None,
    **content: object,
) -> int:
    """Append one entry, within the transaction of what it tells; its seq.

    `content` is JSON, and lies sealed; but no name and no secret, even so. `kind` is read by whoever has the
    file: it never says more than a watcher of the protected person's phone may know.
    """
    head = core.store.one("log_head")
    seq, before = (head["seq"] + 1, head["hash"]) if head else (1, BEGINNING)
    entry = Entry(seq, core.now_ms(), kind, actor, incident_id, case_id, device_id)
    salt, text = secrets.token_bytes(SALT_BYTES), json_text.write(content, sort=True)
    digest = event_log.digest(salt, text)
    core.store.run(
        "add_log",
        **entry._asdict(),
        sealed=core.sealer.seal(content_name(seq), salt + text),
        digest=digest,
        hash=event_log.chained(before, entry, digest),
    )
    return seq


def started(core: Core, settings: dict[str, object]) -> None:
    """Note that the centre serves from now on, with these settings."""
    with core.store.transaction():
        note(core, "started", CENTRE, settings=settings)


def of_incident(core: Core, incident_id: str) -> list[LoggedEntry]:
    """All that was noted of it, the oldest first. Raises sealing.Broken."""
    return [told(core, row) for row in core.store.all("log_of_incident", incident_id=incident_id)]


def of_case(core: Core, case_id: str) -> list[LoggedEntry]:
    """All that was noted of it, the oldest first. Raises sealing.Broken."""
    return [told(core, row) for row in core.store.all("log_of_case", case_id=case_id)]


def people(core: Core, actors: Iterable[str]) -> dict[str, str]:
    """Return the names of those who did something, by how the log names them."""
    known = sorted({actor for actor in actors if actor.startswith("user:")})
    users = {actor: core.store.one("user", user_id=actor.partition(":")[2]) for actor in known}
    names = {actor: user["name"] for actor, user in users.items() if user is not None}
    for actor in sorted({actor for actor in actors if actor.startswith(DISPATCH)}):
        system = core.store.one("dispatch_system", system_id=actor.removeprefix(DISPATCH))
        if system is not None:
            names[actor] = system["name"]
    return names


def erase_entries(
    core: Core,
    actor: str,
    seqs: list[int],
    *,
    why: str,
    incident_id: str | None = None,
    case_id: str | None = None,
    **more: object,
) -> None:
    """Erase these contents, and tell so in one entry that names them. Within a transaction."""
    for seq in seqs:
        core.store.run("erase_log", seq=seq)
    named: dict[str, Any] = {"seqs": event_log.ranges(sorted(seqs)), "why": why} | more
    note(core, ERASED, actor, incident_id=incident_id, case_id=case_id, **named)


def sign(core: Core, key: Ed25519PrivateKey) -> bool:
    """Sign the head of the chain, once a day (UTC); whether it was done now.

    A day on which the centre was down has no signature: the next one covers it. A clock that jumped ahead
    signs that day, and stands in the way of no other.
    """
    now_ms = core.now_ms()
    day = times.write(now_ms)[:10]
    with core.store.transaction():
        head = core.store.one("log_head")
        if head is None or core.store.one("signature_of_day", day=day) is not None:
            return False
        signature = key.sign(event_log.to_sign(day, now_ms, head["seq"], head["hash"]))
        values = {"seq": head["seq"], "hash": head["hash"], "at_ms": now_ms}
        core.store.run("add_signature", day=day, signature=signature, **values)
    return True


def told(core: Core, row: Row) -> LoggedEntry:
    """Of a row of the log. Raises sealing.Broken."""
    entry = Entry(*(row[name] for name in Entry._fields))
    if row["sealed"] is None:
        return LoggedEntry(entry, None, None, row["digest"], row["hash"])
    opened = core.sealer.unseal(content_name(entry.seq), row["sealed"])
    salt, content = opened[:SALT_BYTES], opened[SALT_BYTES:].decode("utf-8", "replace")
    return LoggedEntry(entry, salt, content, row["digest"], row["hash"])
