"""An incident as CAP has it: read from the store; centre/rules/cap.py writes it."""

from centre.rules import cap
from centre.rules.cap import Standing
from centre.rules.refusals import Refused
from centre.work import positions
from centre.work.core import Core


def standing(core: Core, incident_id: str) -> Standing:
    """Return an alarm or a test as it stands, but none that an administrator rules on.

    Raises Refused("unknown_incident").
    """
    which = {"incident_id": incident_id}
    row = core.store.one("cap_incident", **which)
    if row is None:
        raise Refused("unknown_incident")
    stages = [(receipt["at_ms"], receipt["stage"]) for receipt in core.store.all("receipts", **which)]
    others_ms = [one["at_ms"] for one in core.store.all("cap_moments", at_most=cap.REFERENCES_MAX, **which)]
    opened_at_ms = row["opened_at_ms"]
    return Standing(
        row["incident_id"],
        row["event"],
        row["case_id"],
        opened_at_ms if row["pressed_at_ms"] is None else row["pressed_at_ms"],
        cap.moments(opened_at_ms, stages, others_ms),
        row["called_off_at_ms"],
        row["close_reason"],
        positions.newest(core, incident_id),
        row["exercise"] is not None,
    )
