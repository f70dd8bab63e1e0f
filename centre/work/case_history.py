"""Who changed what of a case, and who looked at it: read from the event log, for its case manager."""

import json
from dataclasses import dataclass
from typing import Any

from centre.platform.sealing import Broken
from centre.store import Row
from centre.work import event_log
from centre.work.core import Core

# What an operator does to an alarm is not among them: what was a duress stays with the operators.
CHANGES = (
    *("case_opened", "case_changed", "case_closed", "case_reopened", "photo_set", "photo_removed"),
    *("grant_recorded", "grant_reviewed", "grant_ended", "file_given"),
    *("button_handed_out", "button_taken_back", "button_lost", "phone_lost", "code_issued"),
)
LOOKS = ("case_seen", "photo_seen")
CHANGES_SHOWN_MAX, LOOKS_SHOWN_MAX = 100, 30
ALL = 2**31


@dataclass(frozen=True, slots=True)
class Told:
    """One entry as people read it. `by`: a name, or "" where it was nobody signed in, but `actor`."""

    at_ms: int
    kind: str
    actor: str
    by: str
    device_id: str | None
    fields: tuple[str, ...]  # of the file, those that were changed


@dataclass(frozen=True, slots=True)
class History:
    """The newest first. `is_whole`: nothing older was left out."""

    changes: list[Told]
    looks: list[Told]
    is_whole: bool


def of_case(core: Core, case_id: str) -> History:
    """Read the history of one case. Whoever shows it to somebody has noted "case_seen"."""
    changes = _entries(core, case_id, CHANGES, CHANGES_SHOWN_MAX + 1)
    looks = _entries(core, case_id, LOOKS, LOOKS_SHOWN_MAX)
    return History(changes[:CHANGES_SHOWN_MAX], looks, len(changes) <= CHANGES_SHOWN_MAX)


def every_change(core: Core, case_id: str) -> list[Told]:
    """Return all changes, the newest first."""
    return _entries(core, case_id, CHANGES, ALL)


def every_look(core: Core, case_id: str) -> list[Told]:
    """Return all looks, the newest first."""
    return _entries(core, case_id, LOOKS, ALL)


def _entries(core: Core, case_id: str, kinds: tuple[str, ...], at_most: int) -> list[Told]:
    which = {"case_id": case_id, "kinds": json.dumps(kinds), "at_most": at_most}
    return [_told(core, row) for row in core.store.all("log_of_case_of_kinds", **which)]


def _told(core: Core, row: Row) -> Told:
    fields = _facts(core, row).get("fields", ())
    by = name_of(core, row["actor"])
    return Told(row["at_ms"], row["kind"], row["actor"], by, row["device_id"], tuple(fields))


def _facts(core: Core, row: Row) -> dict[str, Any]:
    try:
        return event_log.told(core, row).facts
    except Broken:
        return {}


def name_of(core: Core, actor: str) -> str:
    """Return the name of who did something, as colleagues know it; "" where it was nobody signed in."""
    return event_log.people(core, [actor]).get(actor, "")
