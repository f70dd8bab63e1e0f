"""An alarm's positions as the store has them."""

from centre.rules import newest_position
from centre.rules.incidents import Fix
from centre.rules.newest_position import Newest, Position
from centre.rules.refusals import Refused
from centre.store import Row
from centre.work.core import Core
from wire import codes

LISTED_MAX = 10
TRAIL_MAX = 500  # positions of one answer


def newest(core: Core, incident_id: str) -> Newest | None:
    """Return the newest position of an alarm or a test, or None."""
    rows = core.store.all("newest_fixes", incident_id=incident_id)
    return newest_position.newest(_position(row) for row in rows)


def last_known(core: Core, device_id: str, counter: int, case_id: str | None) -> Position | None:
    """Return where the protected person was at an earlier alarm of the same case, or None."""
    which = {"device_id": device_id, "counter": counter, "case_id": case_id, "alarm": codes.ALARM}
    row = core.store.one("last_incident_with_fix", **which)
    latest = None if row is None else newest(core, row["incident_id"])
    return None if latest is None else latest.position


def listed(core: Core, incident_id: str) -> list[Position]:
    """Return those that the sheet lists, the latest first."""
    rows = core.store.all("latest_fixes", incident_id=incident_id, at_most=LISTED_MAX)
    return [_position(row) for row in rows]


def count(core: Core, incident_id: str) -> int:
    """Return how many there are of an alarm."""
    row = core.store.one("fixes_count", incident_id=incident_id)
    return int(row["count"]) if row else 0


def trail(core: Core, incident_id: str, after: int) -> list[Position]:
    """Return at most TRAIL_MAX positions of an alarm that came after number `after`, as they came.

    Raises Refused("unknown_incident").
    """
    if core.store.one("incident_on_sheet", incident_id=incident_id, alarm=codes.ALARM) is None:
        raise Refused("unknown_incident")
    rows = core.store.all("fixes_after", incident_id=incident_id, after=after, at_most=TRAIL_MAX)
    return [_position(row) for row in rows]


def _position(row: Row) -> Position:
    parts = {name: row[name] for name in Fix._fields} | {"marks": tuple(row["marks"].split())}
    is_revoked = row["bridge_revoked_at_ms"] is not None
    arrived = row["received_at_ms"], row["fix_id"], is_revoked, row["arrived_ms"]
    return Position(Fix(**parts), row["bridge_id"], *arrived)
