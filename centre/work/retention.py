"""What the centre erases by itself, once its term is over; each erasing is an entry of the log."""

from centre.rules import figures, retention
from centre.store import Row
from centre.work import event_log
from centre.work.core import Core
from wire import codes, receipts

# In one transaction, so that an alarm waits for no long one: incidents; positions and entries of the log.
AT_ONCE_MAX, ROWS_AT_ONCE_MAX = 10, 200
# All that hangs on an incident, but for its receipts: the button may still ask for their proofs.
TABLES = (
    *("fixes", "alarms", "acts", "call_offs", "webhook_events", "escalations"),
    *("owners", "closings", "corrections", "desk_checks", "sightings"),
)


def erase_due(core: Core, positions_days: int, incidents_days: int) -> int:
    """Erase some of what is due; at how many incidents. Zero: nothing is left to erase."""
    with core.store.transaction():
        at, room = 0, ROWS_AT_ONCE_MAX
        for query, days, erase in (
            ("incidents_due", incidents_days, _erase_incident),
            ("positions_due", positions_days, _erase_positions),
        ):
            for incident in [] if at else _due(core, query, days):
                at, room = at + 1, erase(core, incident, room)
                if room <= 0:  # of this one there may be more
                    break
    return at


def erase_records(core: Core, losses_days: int, sessions_days: int) -> int:
    """Of what supervision lost and found again, and of sessions and invitations: as `erase_due`, by rows."""
    with core.store.transaction():
        return _erase_losses(core, losses_days) or _erase_sessions(core, sessions_days)


def _erase_losses(core: Core, days: int) -> int:
    """With what the log tells of them; not before the Institute has counted their month."""
    before_ms, counted = _over_before_ms(core, days), core.store.one("last_figure_month")
    if before_ms is None or counted is None or counted["month"] is None:
        return 0
    before_ms = min(before_ms, figures.bounds_ms(counted["month"])[1])
    count = core.store.run("erase_losses", before_ms=before_ms, at_most=ROWS_AT_ONCE_MAX)
    rows = core.store.all("log_of_losses", before_ms=before_ms, at_most=ROWS_AT_ONCE_MAX - count)
    seqs = [row["seq"] for row in rows]
    if count or seqs:
        event_log.erase_entries(core, event_log.CENTRE, seqs, why="losses_term", losses=count)
    return count + len(seqs)


def _erase_sessions(core: Core, days: int) -> int:
    """But each person's last: who was here when, at all."""
    before_ms = _over_before_ms(core, days)
    if before_ms is None:
        return 0
    count = sum(
        core.store.run(query, before_ms=before_ms, at_most=ROWS_AT_ONCE_MAX)
        for query in ("erase_sessions", "erase_invitations")
    )
    if count:
        event_log.erase_entries(core, event_log.CENTRE, [], why="sessions_term", sessions=count)
    return count


def forget(core: Core) -> None:
    """Empty the write-ahead log too, where what was erased may still lie; put off while it is in use.

    By a backup, or by somebody who looks for long: alarms do not wait until that is over.
    """
    if core.store.db.in_transaction:
        return
    (wait_ms,) = core.store.db.execute("PRAGMA busy_timeout").fetchone()
    core.store.db.execute("PRAGMA busy_timeout = 0")
    try:
        core.store.one("checkpoint")
    finally:
        core.store.db.execute(f"PRAGMA busy_timeout = {wait_ms}")


def _over_before_ms(core: Core, days: int) -> int | None:
    signed = core.store.one("signed_before", skipped=retention.signed_days_needed(days) - 1)
    return retention.over_before_ms(core.now_ms(), days, signed["at_ms"] if signed else None)


def _due(core: Core, query: str, days: int) -> list[Row]:
    before_ms = _over_before_ms(core, days)
    if before_ms is None:
        return []
    which = {"test": codes.TEST, "received": receipts.RECEIVED, "closed": receipts.CLOSED}
    return core.store.all(query, before_ms=before_ms, at_most=AT_ONCE_MAX, **which)


def _erase_positions(core: Core, incident: Row, room: int) -> int:
    """As much as there is room for; how much is left of it. Zero: there may be more to erase."""
    which = {"incident_id": incident["incident_id"]}
    count, seqs = _erase_rows(core, "log_with_positions", room, **which)
    room -= count + len(seqs)
    if room > 0:
        core.store.run("erase_webhook_events", **which)
        core.store.run("erase_sightings", **which)
        core.store.run("set_positions_erased", now_ms=core.now_ms(), **which)
    event_log.erase_entries(core, event_log.CENTRE, seqs, why="positions_term", fixes=count, **which)
    return room


def _erase_incident(core: Core, incident: Row, room: int) -> int:
    """Erase an incident with all that hangs on it; what can be much goes first."""
    which = {"incident_id": incident["incident_id"]}
    count, seqs = _erase_rows(core, "log_to_erase", room, erased=event_log.ERASED, **which)
    room -= count + len(seqs)
    if room > 0:
        _keep_outcome(core, incident)
        for table in TABLES:
            core.store.run(f"erase_{table}", at_most=room, **which)
        core.store.run("set_incident_erased", now_ms=core.now_ms(), **which)
    event_log.erase_entries(core, event_log.CENTRE, seqs, why="incident_term", fixes=count, **which)
    return room


def _erase_rows(core: Core, log: str, room: int, **which: str) -> tuple[int, list[int]]:
    """How many positions were erased now, and which entries are to be."""
    count = core.store.run("erase_fixes", incident_id=which["incident_id"], at_most=room)
    return count, [row["seq"] for row in core.store.all(log, at_most=room - count, **which)]


def _keep_outcome(core: Core, incident: Row) -> None:
    """Of a test or a true alarm; nothing in it says whose it was. Of a press once, also where it went on."""
    if incident["follows"] is not None or incident["exercise"] is not None:
        return
    which = {"incident_id": incident["incident_id"]}
    stages = {row["stage"]: row["at_ms"] for row in core.store.all("receipts", **which)}
    arrival = core.store.one("standing_arrival", **which)
    finding = core.store.one("press_finding", **which)
    case = core.store.one("case", case_id=incident["case_id"])
    pressed_at_ms = arrival["pressed_at_ms"] if arrival else None
    outcome = retention.outcome(incident["event"], incident["opened_at_ms"], pressed_at_ms, stages)
    zone, reason = case["zone"] if case else None, finding["reason"] if finding else None
    core.store.run("add_outcome", zone=zone, reason=reason, **outcome)
