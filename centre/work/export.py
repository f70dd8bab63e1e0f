"""One incident with all that is known of it, and the proof that nobody has changed it since."""

import base64
from dataclasses import asdict
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from centre.platform import signing
from centre.platform.sealing import Broken
from centre.rules import event_log as rules
from centre.rules import times
from centre.rules.event_log import Entry
from centre.store import Row
from centre.work import cases, event_log, running_log, sightings
from centre.work.core import Core
from centre.work.event_log import LoggedEntry

STAGES = {1: "RECEIVED", 2: "ACKNOWLEDGED", 3: "DISPATCHED", 4: "CLOSED"}
ARRIVAL = (
    "incident_id bridge_id path heard_at_ms age_s age_is_lower_bound pressed_at_ms redated_at_ms"
    " battery_percent model received_at_ms repeated_at_ms posts"
)
FORMAT = "amr-incident 1"
HOW = (
    "Every value is UTF-8. For each of `entries`: digest = SHA-256(salt || content), where content was "
    "not erased. link = SHA-256 over seq, at_ms, kind, actor, incident_id, case_id, device_id, each as "
    "decimal or text (null: empty) after its length as 4 bytes, big-endian, and then the digest. Start "
    "with `before`; for each of `links`, which are all entries from the first of these to the last, hash "
    "= SHA-256(hash before || link). Where a link's seq is in `entries` it must be that entry's link, and "
    "hash its hash. The last hash is what `signature` is over (Ed25519, `public_key`, base64url): the "
    'bytes "amr-centre log 1", day, at_ms, seq, each followed by a newline, and then the hash; so are the '
    "signatures of `days`, made on those days. Compare the public key with the one that the centre has "
    "published elsewhere."
)


class NotHere(Exception):
    """There is no such case or incident; the text is a sentence."""


def incidents_of(core: Core, case_id: str | None, incident_id: str | None) -> list[str]:
    """Which incidents are meant, the oldest first. Raises NotHere."""
    if case_id is not None and core.store.one("case", case_id=case_id) is None:
        raise NotHere(f"there is no case {case_id} here")
    if incident_id is None:
        incident_ids = [row["incident_id"] for row in core.store.all("incidents_of_case", case_id=case_id)]
        if not incident_ids:
            raise NotHere(f"case {case_id} has no incident")
        return incident_ids
    incident = core.store.one("incident", incident_id=incident_id)
    if incident is None or (case_id is not None and incident["case_id"] != case_id):
        raise NotHere(f"there is no incident {incident_id}" + (f" of case {case_id}" if case_id else " here"))
    return [incident_id]


def export(core: Core, actor: str, incident_id: str, key: Ed25519PrivateKey) -> dict[str, Any]:
    """Return all of one incident, as JSON has it. That it was exported is an entry of the log."""
    exported = read(core, incident_id, key)
    note(core, actor, incident_id)
    return exported


def note(core: Core, actor: str, incident_id: str) -> None:
    """Note that the incident is exported."""
    incident = core.store.one("incident", incident_id=incident_id)
    assert incident is not None
    which = {"incident_id": incident_id, "case_id": incident["case_id"]}
    with core.store.transaction():
        event_log.note(core, "exported", actor, **which)


def read(core: Core, incident_id: str, key: Ed25519PrivateKey) -> dict[str, Any]:
    """Return the same, where somebody else notes it."""
    which = {"incident_id": incident_id}
    with core.store.reading():  # a year of the log may lie between: no alarm waits for it
        incident = core.store.one("incident", **which)
        assert incident is not None
        entries = event_log.of_incident(core, incident_id)
        case_id, case = incident["case_id"], None
        if case_id is not None:
            case = {"case_id": case_id} | _file(core, case_id)
        return {
            "format": FORMAT,
            "exported_at": times.write(core.now_ms()),
            "incident": _columns(
                incident, "incident_id device_id event counter opened_at_ms exercise erased_at_ms follows"
            ),
            "case": case,
            "arrivals": [_columns(row, ARRIVAL) for row in core.store.all("alarms", **which)],
            "positions": [dict(row) for row in core.store.all("all_fixes", **which)],
            "seen_around": asdict(seen) if (seen := sightings.of_incident(core, incident_id)) else None,
            "call_off": _call_off(core.store.one("call_off", **which)),
            "stages": [_stage(core, row) for row in core.store.all("receipts", **which)],
            "running_log": [asdict(one) for one in running_log.of_incident(core, incident_id)],
            "people": event_log.people(core, [one.entry.actor for one in entries]),
            "chain": _chain(core, entries, key) if entries else None,
        }


def _file(core: Core, case_id: str) -> dict[str, Any]:
    """Read the case's file; what happened can be proven also where it is damaged."""
    try:
        file = cases.file_of(core, case_id)
    except Broken:
        return {"file": None, "unreadable": True}
    return {"file": file and asdict(file)}


def _columns(row: Row, names: str) -> dict[str, Any]:
    return {name: row[name] for name in names.split()}


def _call_off(row: Row | None) -> dict[str, Any] | None:
    names = "called_off_at_ms repeated_at_ms duress duress_at_ms duress_seen_at_ms"
    return None if row is None else _columns(row, names)


def _stage(core: Core, receipt: Row) -> dict[str, Any]:
    """Return a receipt, with who brought the incident there, and why."""
    acts = core.store.all("acts", incident_id=receipt["incident_id"])
    act = next((act for act in acts if act["stage"] == receipt["stage"]), None)
    return {
        "stage": STAGES[receipt["stage"]],
        "at_ms": receipt["at_ms"],
        "proof": receipt["proof"].hex(),
        "by": act and act["actor"],
        "reason": act and act["reason"],
        "note": act and act["note"],
    }


def _chain(core: Core, entries: list[LoggedEntry], key: Ed25519PrivateKey) -> dict[str, Any]:
    """Return this incident's entries, and of all between the first and the last what links them."""
    first, last = entries[0].entry.seq, entries[-1]
    span = {"first": first, "last": last.entry.seq}
    before = core.store.one("log_entry", seq=first - 1)
    now_ms = core.now_ms()
    day = times.write(now_ms)[:10]
    signature = key.sign(rules.to_sign(day, now_ms, last.entry.seq, last.hash))
    signed = {"day": day, "at_ms": now_ms, "seq": last.entry.seq, "hash": last.hash.hex()}
    return {
        "how": HOW,
        "public_key": signing.write_public(key.public_key()),
        "before": (before["hash"] if before else rules.BEGINNING).hex(),
        "entries": [_entry(entry) for entry in entries],
        "links": [[row["seq"], _link(row).hex()] for row in core.store.each("log_span", **span)],
        "signature": signed | {"signature": _base64(signature)},
        "days": [
            _columns(row, "day at_ms seq")
            | {"hash": row["hash"].hex(), "signature": _base64(row["signature"])}
            for row in core.store.each("signatures_of_span", **span)
        ],
    }


def _entry(logged: LoggedEntry) -> dict[str, Any]:
    salt = None if logged.salt is None else logged.salt.hex()
    opened = {"salt": salt, "content": logged.content}
    return logged.entry._asdict() | opened | {"digest": logged.digest.hex(), "hash": logged.hash.hex()}


def _link(row: Row) -> bytes:
    return rules.link(Entry(*(row[name] for name in Entry._fields)), row["digest"])


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
