"""Past and present alarms, found again: by person, button, case, time, police zone, what they were."""

from dataclasses import dataclass

from centre.rules import cases, text
from centre.rules.access import Caller
from centre.rules.incidents import CloseReason
from centre.rules.refusals import Refused
from centre.work import event_log
from centre.work.core import Core
from wire import codes

PAGE = 50
SHIFT_MS = 12 * 3_600_000
FIND_CHARS_MAX = 120
_AFTER_ALL = "~"  # of no incident's id


@dataclass(frozen=True, slots=True)
class Asked:
    """What is looked for; empty: any."""

    since_ms: int
    until_ms: int
    find: str = ""  # an id of a button or a case, a telephone number, or words
    zone: str = ""
    reason: CloseReason | None = None


@dataclass(frozen=True, slots=True)
class FoundAlarm:
    """An alarm as a list shows it: without a name, as on the board."""

    incident_id: str
    device_id: str
    case_id: str | None
    zone: str | None
    opened_at_ms: int
    stage: int
    reason: CloseReason | None
    owner_name: str


@dataclass(frozen=True, slots=True)
class Found:
    """One page, the newest first. `next`: where the next page begins, or ""."""

    alarms: list[FoundAlarm]
    next: str


def search(core: Core, asked: Asked, after: str = "") -> Found:
    """Find one page of alarms; it may take long, and only reads: `noted` writes down who has looked.

    Raises Refused("out_of_range").
    """
    if len(asked.find) > FIND_CHARS_MAX:
        raise Refused("out_of_range", f"find has at most {FIND_CHARS_MAX} characters", field="find")
    rows = core.store.all(
        "found_alarms",
        alarm=codes.ALARM,
        before=after or _AFTER_ALL,
        since_ms=asked.since_ms,
        until_ms=asked.until_ms,
        zone=asked.zone,
        reason=asked.reason or "",
        at_most=PAGE + 1,
        **_words(core, asked.find.strip()),
    )
    found = [
        FoundAlarm(
            row["incident_id"],
            row["device_id"],
            row["case_id"],
            row["zone"],
            row["opened_at_ms"],
            row["stage"],
            CloseReason(row["reason"]) if row["reason"] else None,
            row["owner_name"] or "",
        )
        for row in rows[:PAGE]
    ]
    return Found(found, found[-1].incident_id if len(rows) > PAGE else "")


def _words(core: Core, find: str) -> dict[str, str | bytes | None]:
    """Return what the query compares: an id, a telephone number's word, up to four words of names."""
    words = text.words(find)[: cases.WORDS_ASKED_MAX]
    phone = text.phone(find)
    macs = [core.sealer.word(word) for word in words]
    macs += macs[:1] * (cases.WORDS_ASKED_MAX - len(macs))
    named: dict[str, str | bytes | None] = {f"word_{n}": mac for n, mac in enumerate(macs, 1)}
    if not macs:
        named = {f"word_{n}": None for n in range(1, cases.WORDS_ASKED_MAX + 1)}
    any_id = "".join(words).upper()
    return named | {"find": find, "any_id": any_id, "phone": core.sealer.word(phone) if phone else None}


def noted(core: Core, caller: Caller, asked: Asked, found: Found) -> None:
    """Note who has looked for alarms, and which were shown."""
    with core.store.transaction():
        shown = [alarm.incident_id for alarm in found.alarms]
        by = [name for name in ("find", "zone", "reason") if getattr(asked, name)]
        event_log.note(core, "alarms_listed", caller.actor, by=by, alarms=shown)


def zones(core: Core) -> list[str]:
    """Return the police zones that have cases or case managers."""
    return [row["zone"] for row in core.store.all("zones")]


def open_of(core: Core, caller: Caller) -> int:
    """Return how many open alarms somebody has."""
    return len(core.store.all("open_alarms_of_owner", actor=caller.actor))
