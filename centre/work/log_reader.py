"""The event log as an administrator reads it: filtered, a page at a time, and no case in it.

What an entry tells of an incident, a case, a press or a phone an administrator is not shown: only when, what
kind, who, and about which, as everywhere on the administrator's pages.
"""

from dataclasses import dataclass
from typing import Any

from centre.platform.sealing import Broken
from centre.rules.access import Caller
from centre.store import Row
from centre.work import event_log
from centre.work.case_history import name_of
from centre.work.core import Core

PAGE = 100
PHONES_TELL = ("received", "fixes", "age")  # so often that they have no index (store/schema.sql)
_ALWAYS_MS = (0, 2**62)


@dataclass(frozen=True, slots=True)
class Filter:
    """What is asked for; None: any."""

    from_ms: int = _ALWAYS_MS[0]
    until_ms: int = _ALWAYS_MS[1]
    login: str | None = None
    kind: str | None = None
    incident_id: str | None = None
    case_id: str | None = None
    before_seq: int = _ALWAYS_MS[1]

    @property
    def asked(self) -> dict[str, Any]:
        """Return what was asked, as the log tells of the reading."""
        values = {name: getattr(self, name) for name in ("login", "kind", "incident_id", "case_id")}
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True, slots=True)
class ReadEntry:
    """One entry. `by`: a user's name, "" where it was nobody signed in. `facts`: what may be shown of it."""

    seq: int
    at_ms: int
    kind: str
    actor: str
    by: str
    incident_id: str | None
    case_id: str | None
    device_id: str | None
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class LogPage:
    """`next`: the `before_seq` of the page after it, or None."""

    entries: list[ReadEntry]
    next: int | None


def page(core: Core, asked: Filter) -> LogPage:
    """Read one page. Whoever shows it to somebody notes it by `note_reading`."""
    actor = None
    if asked.login is not None:
        user = core.store.one("user_of_login", login=asked.login)
        actor = f"user:{user['user_id']}" if user else asked.login  # or as the log has it: centre, command
    values = {
        **{"kind": asked.kind, "actor": actor, "incident_id": asked.incident_id, "case_id": asked.case_id},
        **{"from_ms": asked.from_ms, "until_ms": asked.until_ms, "before_seq": asked.before_seq},
    }
    rows = core.store.all(_query(asked, actor), at_most=PAGE + 1, **values)
    following = rows[PAGE - 1]["seq"] if len(rows) > PAGE else None
    return LogPage([_read(core, row) for row in rows[:PAGE]], following)


def note_reading(core: Core, caller: Caller, asked: Filter) -> None:
    """Note that somebody reads the log, and what was asked for."""
    with core.store.transaction():
        event_log.note(core, "log_read", caller.actor, asked=asked.asked)


def _query(asked: Filter, actor: str | None) -> str:
    """Return the query whose index finds the fewest entries."""
    if asked.incident_id is not None:
        return "log_page_of_incident"
    if asked.case_id is not None:
        return "log_page_of_case"
    if actor is not None and actor.startswith("user:"):
        return "log_page_of_user"
    if asked.kind is not None and asked.kind not in PHONES_TELL:
        return "log_page_of_kind"
    return "log_page"


def _read(core: Core, row: Row) -> ReadEntry:
    is_about_somebody = row["incident_id"] or row["case_id"] or row["device_id"]
    return ReadEntry(
        row["seq"],
        row["at_ms"],
        row["kind"],
        row["actor"],
        name_of(core, row["actor"]),
        row["incident_id"],
        row["case_id"],
        row["device_id"],
        {} if is_about_somebody else _facts(core, row),
    )


def _facts(core: Core, row: Row) -> dict[str, Any]:
    """Return what an entry tells that is about no case, press or phone; a list of cases is one."""
    if row["kind"] == "cases_listed":
        return {}
    try:
        facts = event_log.told(core, row).facts
    except Broken:
        return {}
    user = core.store.one("user", user_id=facts.get("user_id"))
    return (
        {"user": user["login"]} | {name: facts[name] for name in facts if name != "user_id"}
        if user
        else facts
    )
