"""Which case somebody may look into: a case manager those of a police zone, an operator that of an alarm."""

from dataclasses import dataclass, field

from centre.rules import case_access
from centre.rules.access import Caller
from centre.rules.refusals import Refused
from centre.store import Row
from centre.work.core import Core
from wire import codes, receipts


@dataclass(frozen=True, slots=True)
class CaseRecord:
    """A case as it lies in the store, its file sealed; `file_sealed` is None once the case was erased."""

    case_id: str
    zone: str
    opened_at_ms: int
    changed_at_ms: int
    closed_at_ms: int | None
    file_sealed: bytes | None = field(repr=False)


def record(row: Row) -> CaseRecord:
    """Read a row of `cases`."""
    return CaseRecord(
        row["case_id"],
        row["zone"],
        row["opened_at_ms"],
        row["changed_at_ms"],
        row["closed_at_ms"],
        row["file_sealed"],
    )


def of_zone(core: Core, caller: Caller, case_id: str) -> CaseRecord:
    """Return a case of the caller's own zone. Raises Refused("unknown_case") also for another zone's."""
    row = core.store.one("case_of_zone", case_id=case_id, zone=caller.zone)
    if row is None:
        raise Refused("unknown_case")
    return record(row)


def of_alarm(core: Core, incident_id: str) -> str | None:
    """Return the case that an operator may look into because of this incident, or None."""
    if core.store.one("incident_on_sheet", incident_id=incident_id, alarm=codes.ALARM) is None:
        return None  # a silent test is never over, and opens no case
    row = core.store.one("card", incident_id=incident_id)
    if row is None or row["case_id"] is None:
        return None
    closed_at_ms = row["stage_at_ms"] if row["stage"] == receipts.CLOSED else None
    is_seen = case_access.sees_case(row["stage"], closed_at_ms, row["duress_at_ms"], core.now_ms())
    return str(row["case_id"]) if is_seen else None
