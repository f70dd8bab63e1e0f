"""The event log: what happened, who did it; in the same transaction as the act itself."""

import json
import secrets
from dataclasses import dataclass
from typing import Any

from centre.core import Core
from centre.rules import evidence
from centre.rules.evidence import BEGINNING, SALT_BYTES, Entry
from centre.store import Row

COMMAND, CENTRE = "command", "centre"


@dataclass(frozen=True, slots=True)
class Told:
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
    file: it never says more than a watcher of the wearer's phone may know.
    """
    head = core.store.one("log_head")
    seq, before = (head["seq"] + 1, head["hash"]) if head else (1, BEGINNING)
    entry = Entry(seq, core.now_ms(), kind, actor, incident_id, case_id, device_id)
    salt, text = secrets.token_bytes(SALT_BYTES), json.dumps(content, separators=(",", ":"), sort_keys=True)
    digest = evidence.digest(salt, text)
    core.store.run(
        "add_log",
        **{name: getattr(entry, name) for name in Entry.__slots__},
        sealed=core.sealer.seal(_sealed_as(seq), salt + text.encode()),
        digest=digest,
        hash=evidence.chained(before, entry, digest),
    )
    return seq


def started(core: Core, settings: dict[str, object]) -> None:
    """The centre serves, from now on, with these settings."""
    with core.store.transaction():
        note(core, "started", CENTRE, settings=settings)


def of_incident(core: Core, incident_id: str) -> list[Told]:
    """All that was noted of it, the oldest first. Raises sealing.Broken."""
    return [told(core, row) for row in core.store.all("log_of_incident", incident_id=incident_id)]


def of_case(core: Core, case_id: str) -> list[Told]:
    """All that was noted of it, the oldest first. Raises sealing.Broken."""
    return [told(core, row) for row in core.store.all("log_of_case", case_id=case_id)]


def told(core: Core, row: Row) -> Told:
    """Of a row of the log. Raises sealing.Broken."""
    entry = Entry(*(row[name] for name in Entry.__slots__))
    if row["sealed"] is None:
        return Told(entry, None, None, row["digest"], row["hash"])
    opened = core.sealer.unseal(_sealed_as(entry.seq), row["sealed"])
    salt, content = opened[:SALT_BYTES], opened[SALT_BYTES:].decode("utf-8", "replace")
    return Told(entry, salt, content, row["digest"], row["hash"])


def _sealed_as(seq: int) -> str:
    return f"log:{seq}"
