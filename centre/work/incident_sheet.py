"""The sheet of one incident: all that an operator is shown of it, and of its case while it is open."""

import json
from dataclasses import dataclass, field

from centre.platform.sealing import Broken
from centre.rules import running_log as rules
from centre.rules.access import Caller
from centre.rules.cases import CaseFile
from centre.rules.incidents import CloseReason
from centre.rules.newest_position import Newest, Position
from centre.rules.refusals import Refused
from centre.rules.running_log import Happening, Kind, Patrol
from centre.store import Row
from centre.work import (
    case_access,
    cases,
    closings,
    event_log,
    positions,
    running_log,
    sightings,
    standing_orders,
)
from centre.work.board import CallOffSeen, Closing, call_off_seen, closing_seen
from centre.work.core import Core
from centre.work.running_log import Colleague
from centre.work.sightings import Seen
from centre.work.standing_orders import StandingOrder
from wire import codes

EARLIER_SHOWN_MAX = 5


@dataclass(frozen=True, slots=True)
class Arrival:
    """One bridge's word of a press, or the button's own."""

    bridge_id: str | None
    path: str
    heard_at_ms: int | None
    age_s: float | None
    pressed_at_ms: int
    received_at_ms: int
    battery_percent: int | None
    model: str | None
    age_is_lower_bound: bool = False
    weight_ms: int = 0


@dataclass(frozen=True, slots=True)
class Act:
    """What an operator did: brought it to `stage`."""

    stage: int
    reason: CloseReason | None
    note: str
    by: str = ""  # the operator's name
    at_ms: int = 0


@dataclass(frozen=True, slots=True)
class Running:
    """How an alarm goes on: what was done and written, the patrols, who has it, how it ends."""

    happenings: tuple[Happening, ...] = ()
    owner: str = ""  # as the log names them; "" where nobody has it
    owner_name: str = ""
    given_back_at_ms: int | None = None
    closing: Closing | None = None
    finding: CloseReason | None = None  # what a closed alarm was, by the last word
    finding_by: str = ""  # whose word that is, as the log names them
    follows: str = ""  # the alarm that was closed too early
    followed_by: str = ""

    @property
    def patrols(self) -> list[Patrol]:
        return rules.patrols(self.happenings)

    @property
    def steps_done(self) -> dict[str, Happening]:
        """Return which steps of the standing order were ticked off."""
        return {one.text: one for one in self.happenings if one.kind is Kind.ORDER_STEP}


@dataclass(frozen=True, slots=True)
class EarlierAlarm:
    """An alarm of the same person before this one."""

    incident_id: str
    opened_at_ms: int
    stage: int
    reason: CloseReason | None


@dataclass(frozen=True, slots=True)
class Incident:
    """An alarm as its sheet shows it."""

    incident_id: str
    device_id: str
    kind: str
    board: str
    counter: int
    opened_at_ms: int
    device_revoked: bool
    stage: int
    stages: list[tuple[int, int]]  # (stage, at_ms), in order
    arrivals: list[Arrival]  # the first one first
    latest: list[Position]  # as many as are listed, the latest first
    positions_in_all: int = 0
    newest: Newest | None = None
    call_off: CallOffSeen | None = None
    acts: list[Act] = field(default_factory=list)
    lacks: tuple[str, ...] = ()  # capabilities that its kind of board is known not to have
    more_presses: int = 0  # of the same button, that were counted and not kept each
    exercise: str | None = None  # the zone that exercises; None: a true alarm
    is_check: bool = False  # of a check button: the desk says what it saw and heard
    running: Running = field(default_factory=Running)
    seen: Seen | None = None  # by the button itself, without a phone

    @property
    def given_back_at_ms(self) -> int | None:
        return self.running.given_back_at_ms

    @property
    def is_duress(self) -> bool:
        return self.call_off is not None and self.call_off.is_duress

    @property
    def standing(self) -> Arrival | None:
        """The bridge's word that stands (store/schema.sql)."""
        return max(self.arrivals, key=lambda arrival: arrival.weight_ms, default=None)

    @property
    def earlier(self) -> list[Position]:
        """Those of `latest` that are not shown as the newest."""
        shown = {self.newest.position.number} if self.newest else set()
        if self.newest and self.newest.other:
            shown.add(self.newest.other.number)
        return [position for position in self.latest if position.number not in shown]


@dataclass(frozen=True, slots=True)
class ButtonHealth:
    heard_at_ms: int | None
    battery_mv: int | None
    low: bool


@dataclass(frozen=True, slots=True)
class Sheet:
    """All that is known of one incident. `case` is None without one, once it is over, once it is erased."""

    incident: Incident
    case: CaseFile | None = None
    case_id: str | None = None
    photos: tuple[str, ...] = ()  # what they show
    last_known: Position | None = None  # of an earlier alarm, where this one has no position
    button: ButtonHealth | None = None
    is_broken: bool = False  # the case's file does not open
    order: StandingOrder | None = None  # of the case's police zone
    earlier_alarms: tuple[EarlierAlarm, ...] = ()  # of the same person, the newest first; a few
    earlier_in_all: int = 0
    colleagues: tuple[Colleague, ...] = ()
    is_seen_now: bool = False  # whoever was handed the alarm looks at it for the first time


def sheet(core: Core, caller: Caller, incident_id: str, *, again: bool = False) -> Sheet:
    """Return one incident, and its case as long as operators may see that.

    A look at the case is noted, unless `again`. Raises Refused("unknown_incident").
    """
    with core.store.transaction():
        shown = incident(core, incident_id)
        if shown is None:
            raise Refused("unknown_incident")
        case_id, file, is_broken = case_access.of_alarm(core, incident_id), None, False
        try:
            file = cases.file_of(core, case_id) if case_id else None
        except Broken:
            is_broken = True  # all else is worth as much as ever
        photos = cases.photos_of(core, case_id) if case_id and file else []
        if file and not again:
            event_log.note(core, "case_seen", caller.actor, case_id=case_id, incident_id=incident_id)
        is_seen_now = not again and running_log.see_owned(core, caller, incident_id)
    row = core.store.one("incident", incident_id=incident_id)
    assert row is not None
    last_known = None
    if shown.newest is None:
        last_known = positions.last_known(core, shown.device_id, shown.counter, row["case_id"])
    earlier, earlier_in_all = _earlier(core, row)
    return Sheet(
        shown,
        file,
        row["case_id"],
        tuple(photos),
        last_known,
        health(core, shown.device_id),
        is_broken,
        standing_orders.of_alarm(core, incident_id),
        earlier,
        earlier_in_all,
        tuple(running_log.colleagues(core)),
        is_seen_now,
    )


def _earlier(core: Core, incident: Row) -> tuple[tuple[EarlierAlarm, ...], int]:
    """Return the last alarms of the same person before this one, and how many there are."""
    names = ("incident_id", "device_id", "case_id")
    which = {name: incident[name] for name in names} | {"alarm": codes.ALARM, "at_most": EARLIER_SHOWN_MAX}
    rows = core.store.all("earlier_alarms", **which)
    listed = (
        EarlierAlarm(
            row["incident_id"],
            row["opened_at_ms"],
            row["stage"],
            CloseReason(row["reason"]) if row["reason"] else None,
        )
        for row in rows
    )
    return tuple(listed), rows[0]["in_all"] if rows else 0


def _running(core: Core, incident_id: str) -> Running:
    row = core.store.one("standing_of_alarm", incident_id=incident_id)
    assert row is not None
    return Running(
        tuple(running_log.of_incident(core, incident_id)),
        row["owner"] or "",
        row["owner_name"] or "",
        row["owner_since_ms"] if row["owner"] is None else None,
        closing_seen(row),
        CloseReason(row["finding"]) if row["finding"] else None,
        row["finding_by"] or "",
        row["follows"] or "",
        closings.following(core, incident_id) or "",
    )


def photo(
    core: Core, caller: Caller, incident_id: str, shows: str, *, again: bool = False
) -> tuple[str, bytes]:
    """Return a photo's media type and bytes, as long as the case may be seen: noted, unless `again`.

    Raises Refused: unknown_incident, case_broken.
    """
    with core.store.transaction():
        case_id = case_access.of_alarm(core, incident_id)
        image = None if case_id is None else cases.photo_of(core, case_id, shows)
        if image is None:
            raise Refused("unknown_incident")
        if not again:
            which = {"case_id": case_id, "incident_id": incident_id}
            event_log.note(core, "photo_seen", caller.actor, shows=shows, **which)
    return image


def incident(core: Core, incident_id: str) -> Incident | None:
    """Return an alarm, or None where there is none; a silent test is none."""
    which, store = {"incident_id": incident_id}, core.store
    row = store.one("incident_on_sheet", alarm=codes.ALARM, **which)
    if row is None:
        return None
    return Incident(
        row["incident_id"],
        row["device_id"],
        row["kind"],
        row["board"],
        row["counter"],
        row["opened_at_ms"],
        bool(row["device_revoked"]),
        row["stage"],
        [(receipt["stage"], receipt["at_ms"]) for receipt in store.all("receipts", **which)],
        [
            Arrival(**{name: alarm[name] for name in Arrival.__slots__})
            for alarm in store.all("alarms", **which)
        ],
        positions.listed(core, incident_id),
        positions.count(core, incident_id),
        positions.newest(core, incident_id),
        call_off_seen(store.one("call_off", **which)),
        [
            Act(
                act["stage"],
                CloseReason(act["reason"]) if act["reason"] else None,
                act["note"] or "",
                act["name"] or "",
                act["at_ms"],
            )
            for act in store.all("acts", **which)
        ],
        lacks(row["capabilities"]),
        row["more_presses"],
        exercise=row["exercise"],
        is_check=bool(row["is_check"]),
        running=_running(core, incident_id),
        seen=sightings.of_incident(core, incident_id),
    )


def health(core: Core, device_id: str) -> ButtonHealth | None:
    """Return what bridges last said of a button, or None."""
    row = core.store.one("button_state", device_id=device_id)
    return None if row is None else ButtonHealth(row["heard_at_ms"], row["battery_mv"], bool(row["low"]))


def lacks(capabilities: str | None) -> tuple[str, ...]:
    """Return what the JSON in `devices.capabilities` says is missing; nothing where nothing is known."""
    known = json.loads(capabilities or "{}")
    return tuple(sorted(name for name, has in known.items() if not has))
