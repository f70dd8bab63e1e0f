"""What the centre erases by itself, once its term is over; each erasing is an entry of the log."""

from centre.core import Core
from centre.rules import retention
from centre.store import Row
from centre.work import evidence
from wire import codes, receipts

AT_ONCE_MAX = 10  # incidents in one transaction, so that an alarm waits for no long one
# All that hangs on an incident, but for its receipts: the button may still ask for their proofs.
TABLES = ("fixes", "alarms", "acts", "call_offs", "hooks", "escalations")


def erase_due(core: Core, positions_days: int, incidents_days: int) -> int:
    """Erase some of what is due; how many incidents that were. Zero: nothing is left to erase."""
    with core.store.transaction():
        whole = _due(core, "incidents_due", incidents_days)
        for incident in whole:
            _erase_incident(core, incident)
        positions = [] if whole else _due(core, "positions_due", positions_days)
        for incident in positions:
            _erase_positions(core, incident)
    return len(whole) + len(positions)


def forget(core: Core) -> None:
    """Empty the write-ahead log too, where what was erased may still lie; put off while it is in use."""
    if core.store.db.in_transaction:
        return
    core.store.one("checkpoint")


def _due(core: Core, query: str, days: int) -> list[Row]:
    signed = core.store.one("signed_before", skipped=retention.signed_days_needed(days) - 1)
    before_ms = retention.over_before_ms(core.now_ms(), days, signed["at_ms"] if signed else None)
    if before_ms is None:
        return []
    which = {"test": codes.TEST, "received": receipts.RECEIVED, "closed": receipts.CLOSED}
    return core.store.all(query, before_ms=before_ms, at_most=AT_ONCE_MAX, **which)


def _erase_positions(core: Core, incident: Row) -> None:
    incident_id = incident["incident_id"]
    count = core.store.run("erase_fixes", incident_id=incident_id)
    core.store.run("erase_hooks", incident_id=incident_id)
    core.store.run("set_positions_erased", incident_id=incident_id, now_ms=core.now_ms())
    seqs = [row["seq"] for row in core.store.all("log_with_positions", incident_id=incident_id)]
    why = "positions_term"
    evidence.erase_entries(core, evidence.CENTRE, seqs, why=why, incident_id=incident_id, fixes=count)


def _erase_incident(core: Core, incident: Row) -> None:
    incident_id = incident["incident_id"]
    _keep_outcome(core, incident)
    for table in TABLES:
        core.store.run(f"erase_{table}", incident_id=incident_id)
    core.store.run("set_incident_erased", incident_id=incident_id, now_ms=core.now_ms())
    evidence.erase(core, evidence.CENTRE, why="incident_term", incident_id=incident_id)


def _keep_outcome(core: Core, incident: Row) -> None:
    """Of a test or a true alarm; nothing in it says whose it was."""
    which = {"incident_id": incident["incident_id"]}
    stages = {row["stage"]: row["at_ms"] for row in core.store.all("receipts", **which)}
    told = core.store.one("standing_arrival", **which)
    reasons = [row["reason"] for row in core.store.all("acts", **which) if row["reason"]]
    case = core.store.one("case", case_id=incident["case_id"])
    pressed_at_ms = told["pressed_at_ms"] if told else None
    kept = retention.outcome(incident["event"], incident["opened_at_ms"], pressed_at_ms, stages)
    zone, reason = case["zone"] if case else None, reasons[-1] if reasons else None
    core.store.run("add_outcome", zone=zone, reason=reason, **kept)
