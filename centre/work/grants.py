"""The prosecutor's decisions: recorded, reviewed, ended early."""

import secrets

from centre.rules import grants, times
from centre.rules.access import Caller
from centre.rules.grants import Grant
from centre.rules.refusals import Refused
from centre.store import Row
from centre.work import case_access, event_log
from centre.work.core import Core


def all_of(core: Core, case_id: str) -> list[Grant]:
    """Return all grants of a case; the last one is the one that counts."""
    return [_grant(row) for row in core.store.all("grants", case_id=case_id)]


def last(core: Core, case_id: str) -> Grant | None:
    """Return the grant that counts, or None."""
    return next(reversed(all_of(core, case_id)), None)


def running(core: Core, case_id: str) -> Grant | None:
    """Return a grant that runs today, or None."""
    today = times.day(core.now_ms())
    return next((grant for grant in reversed(all_of(core, case_id)) if grant.runs(today)), None)


def record(
    core: Core, caller: Caller, case_id: str, reference: str, starts_on: str, review_on: str, ends_on: str
) -> str:
    """Record a new grant; return its grant_id.

    Raises Refused: unknown_case, case_closed, out_of_range, bad_dates.
    """
    grants.check(reference, starts_on, review_on, ends_on)
    grant_id = secrets.token_hex(4)
    days = {"starts_on": starts_on, "review_on": review_on, "ends_on": ends_on}
    with core.store.transaction():
        if case_access.of_zone(core, caller, case_id).closed_at_ms is not None:
            raise Refused("case_closed")
        core.store.run(
            "add_grant",
            grant_id=grant_id,
            case_id=case_id,
            reference=reference,
            now_ms=core.now_ms(),
            **days,
        )
        _set_due(core, case_id)
        event_log.note(core, "grant_recorded", caller.actor, case_id=case_id, grant_id=grant_id, **days)
    return grant_id


def review(core: Core, caller: Caller, case_id: str, grant_id: str, review_on: str) -> None:
    """Note that it was reviewed and goes on; the next review is on that day.

    Raises Refused: unknown_case, unknown_grant, out_of_range, bad_dates.
    """
    with core.store.transaction():
        grant = _one(core, caller, case_id, grant_id)
        grants.check_review(grant, review_on, times.day(core.now_ms()))
        core.store.run("set_review", grant_id=grant_id, review_on=review_on)
        _set_due(core, case_id)
        change = {"grant_id": grant_id, "review_on": review_on}
        event_log.note(core, "grant_reviewed", caller.actor, case_id=case_id, **change)


def end(core: Core, caller: Caller, case_id: str, grant_id: str, ended_on: str) -> None:
    """End it earlier than it was to end: from that day on it does not run.

    Raises Refused: unknown_case, unknown_grant, out_of_range, bad_dates.
    """
    with core.store.transaction():
        grant = _one(core, caller, case_id, grant_id)
        grants.check_end(grant, ended_on)
        core.store.run("end_grant", grant_id=grant_id, ended_on=ended_on)
        _set_due(core, case_id)
        change = {"grant_id": grant_id, "ended_on": ended_on}
        event_log.note(core, "grant_ended", caller.actor, case_id=case_id, **change)


def _one(core: Core, caller: Caller, case_id: str, grant_id: str) -> Grant:
    case_access.of_zone(core, caller, case_id)
    for grant in all_of(core, case_id):
        if grant.grant_id == grant_id:
            return grant
    raise Refused("unknown_grant")


def _set_due(core: Core, case_id: str) -> None:
    grant = last(core, case_id)
    core.store.run("set_due", case_id=case_id, due_on=grant and grant.due_on)


def _grant(row: Row) -> Grant:
    return Grant(*(row[name] for name in Grant.__slots__))
