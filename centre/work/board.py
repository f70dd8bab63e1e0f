"""What operators see and do."""

from dataclasses import dataclass

from centre.platform.sealing import Broken
from centre.rules import case_access, incidents, webhook
from centre.rules.access import Caller
from centre.rules.refusals import Refused
from centre.work import event_log, incident_sheet
from centre.work import webhook as hooks
from centre.work.cases import file_of, photo_opened
from centre.work.core import Core
from centre.work.incident_sheet import Position, Sheet
from wire import codes, receipts

TRAIL_MAX = 500  # positions of one answer


@dataclass(frozen=True, slots=True)
class Advanced:
    """An incident is at `stage` since `at_ms`; `now` if this very call brought it there."""

    incident_id: str
    device_id: str
    event: int
    counter: int
    stage: int
    at_ms: int
    now: bool
    by: str = ""  # the name of who has it: who acted on it first


def advance(
    core: Core,
    caller: Caller,
    incident_id: str,
    stage: int,
    *,
    reason: str | None = None,
    note: str | None = None,
    seen_duress: bool = False,
) -> Advanced:
    """Bring an incident to `stage`, once, whoever asks and however often.

    `reason` and `note` are kept with the first. `seen_duress`: who asks knows that she is in danger;
    until an operator says so, it stands above all else, at whatever stage.
    Raises Refused: unknown_incident, not_an_alarm.
    """
    with core.store.transaction():
        incident = core.store.one("incident", incident_id=incident_id)
        if incident is None or incident["held"]:  # of a revoked button: none of an operator's
            raise Refused("unknown_incident")
        event, counter = incident["event"], incident["counter"]
        now = incidents.advances(event, incident["stage"], stage)
        if now:
            proof = incidents.proof(core.root(incident), incident["epoch"], stage, event, counter)
            core.store.run(
                "add_receipt", incident_id=incident_id, stage=stage, proof=proof, now_ms=core.now_ms()
            )
            core.store.run(
                "add_act",
                incident_id=incident_id,
                stage=stage,
                reason=reason,
                note=note,
                user_id=caller.user_id,
                now_ms=core.now_ms(),
            )
            hooks.add(core, incident_id, webhook.OF_STAGE[stage])
        seen = bool(
            seen_duress and core.store.run("see_duress", incident_id=incident_id, now_ms=core.now_ms())
        )
        now = now or seen
        if now:
            event_log.note(
                core,
                "advanced",
                caller.actor,
                incident_id=incident_id,
                device_id=incident["device_id"],
                stage=max(stage, incident["stage"]),
                reason=reason,
                note=note,
                seen_duress=int(seen),
            )
        last = core.store.one("last_receipt", incident_id=incident_id)
        acts = core.store.all("acts", incident_id=incident_id)
    assert last is not None
    had = [act for act in acts if act["stage"] >= stage] or acts
    return Advanced(
        incident_id,
        incident["device_id"],
        event,
        counter,
        last["stage"],
        last["at_ms"],
        now,
        (had[0]["name"] or "") if had else "",
    )


def board(core: Core) -> incident_sheet.Board:
    return incident_sheet.board(core)


def sheet(core: Core, caller: Caller, incident_id: str, *, again: bool = False) -> Sheet:
    """One incident, and its case as long as operators may see that: a look at it is noted, unless `again`.

    Raises Refused("unknown_incident").
    """
    with core.store.transaction():
        incident = incident_sheet.incident(core.store, incident_id)
        if incident is None:
            raise Refused("unknown_incident")
        case_id, file, is_broken = _case_in_sight(core, incident_id), None, False
        try:
            file = file_of(core, case_id) if case_id else None
        except Broken:
            is_broken = True  # all else is worth as much as ever
        photos = core.store.all("photos_of_case", case_id=case_id) if file else []
        if file and not again:
            event_log.note(core, "case_seen", caller.actor, case_id=case_id, incident_id=incident_id)
    row = core.store.one("incident", incident_id=incident_id)
    assert row is not None
    return Sheet(
        incident,
        file,
        row["case_id"],
        tuple(photo["shows"] for photo in photos),
        None if incident.positions else incident_sheet.last_known(core.store, incident, row["case_id"]),
        incident_sheet.button(core.store, incident.device_id),
        is_broken,
    )


def trail(core: Core, incident_id: str, after: int) -> list[Position]:
    """At most TRAIL_MAX positions of an alarm that came after number `after`."""
    if core.store.one("incident_on_sheet", incident_id=incident_id, alarm=codes.ALARM) is None:
        raise Refused("unknown_incident")
    rows = core.store.all("fixes_after", incident_id=incident_id, after=after, at_most=TRAIL_MAX)
    return [incident_sheet.position(row) for row in rows]


def photo(
    core: Core, caller: Caller, incident_id: str, shows: str, *, again: bool = False
) -> tuple[str, bytes]:
    """Its media type and bytes, as long as the case may be seen: a look is noted, unless `again`.

    Raises Refused: unknown_incident, case_broken.
    """
    with core.store.transaction():
        case_id = _case_in_sight(core, incident_id)
        row = core.store.one("photo_on_sheet", case_id=case_id, shows=shows)
        if row is None or case_id is None:
            raise Refused("unknown_incident")
        if not again:
            which = {"case_id": case_id, "incident_id": incident_id}
            event_log.note(core, "photo_seen", caller.actor, shows=shows, **which)
    return photo_opened(core, case_id, shows, row)


def _case_in_sight(core: Core, incident_id: str) -> str | None:
    """The case that an operator may look into because of this incident."""
    if core.store.one("incident_on_sheet", incident_id=incident_id, alarm=codes.ALARM) is None:
        return None  # a silent test is never over, and opens no case
    row = core.store.one("card", incident_id=incident_id)
    if row is None or row["case_id"] is None:
        return None
    closed_at_ms = row["stage_at_ms"] if row["stage"] == receipts.CLOSED else None
    seen = case_access.sees_case(row["stage"], closed_at_ms, row["duress_at_ms"], core.now_ms())
    return str(row["case_id"]) if seen else None
