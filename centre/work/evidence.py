"""The event log: what happened, who did it; in the same transaction as the act itself."""

import json
import secrets

from centre.core import Core
from centre.rules import evidence
from centre.rules.evidence import BEGINNING, SALT_BYTES, Entry

COMMAND, CENTRE = "command", "centre"


def note(
    core: Core,
    kind: str,
    actor: str,
    *,
    incident_id: str | None = None,
    case_id: str | None = None,
    device_id: str | None = None,
    **content: object,
) -> None:
    """Append one entry; within the transaction of what it tells. `content` is JSON, and no secret."""
    head = core.store.one("log_head")
    seq, before = (head["seq"] + 1, head["hash"]) if head else (1, BEGINNING)
    entry = Entry(seq, core.now_ms(), kind, actor, incident_id, case_id, device_id)
    salt, text = secrets.token_bytes(SALT_BYTES), json.dumps(content, separators=(",", ":"), sort_keys=True)
    digest = evidence.digest(salt, text)
    core.store.run(
        "add_log",
        **{name: getattr(entry, name) for name in Entry.__slots__},
        salt=salt,
        content=text,
        digest=digest,
        hash=evidence.chained(before, entry, digest),
    )
