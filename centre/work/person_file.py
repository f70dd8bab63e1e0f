"""What is held about a protected person, as one file to give to that person (right of access).

Left out, and said so in it, is what is about others: the stalker beyond name and relation, who of the staff
did what (only their role), what the police wrote for the police. And what would betray its owner where the
file is found at home: how an alarm that was called off ended, and with which PIN.
"""

import io
import json
import zipfile
from dataclasses import asdict
from typing import Any

from centre.platform.sealing import Broken
from centre.rules import times
from centre.rules.access import Caller
from centre.rules.cases import CaseFile
from centre.rules.incidents import CloseReason
from centre.rules.refusals import Refused
from centre.store import Row
from centre.work import case_access, case_history, cases, event_log, grants, sightings, supervision
from centre.work.core import Core
from wire import codes

FORMAT = "amr-person 1"
LOSSES_MAX = 1000
STAGES = {1: "received", 2: "acknowledged", 3: "dispatched", 4: "closed"}
POSITION = "lat lon radius_m confidence method"
# What is left out, as keys of the words "person_file".
LEFT_OUT = ("left_stalker", "left_staff", "left_police", "left_endings")
Facts = dict[str, Any]


def held(core: Core, case_id: str) -> Facts:
    """Return all that is to be given, as JSON has it. Raises Refused: unknown_case, case_broken."""
    with core.store.reading():
        row = core.store.one("case", case_id=case_id)
        if row is None or row["file_sealed"] is None:
            raise Refused("unknown_case")
        try:
            file = cases.opened(core, case_id, row["file_sealed"])
        except Broken:
            raise Refused("case_broken") from None
        return {
            "format": FORMAT,
            "made_at": times.write(core.now_ms()),
            "case": {
                "case_id": case_id,
                "zone": row["zone"],
                "opened_at": _when(row["opened_at_ms"]),
                "closed_at": _when(row["closed_at_ms"]),
            },
            "file": of_person(file),
            "photos": [shows for shows in cases.photos_of(core, case_id) if shows == "person"],
            "places_known_by": sightings.networks_of(core, case_id),
            "grants": [asdict(grant) for grant in grants.all_of(core, case_id)],
            "buttons": [_button(core, one) for one in core.store.all("assignments_of_case", case_id=case_id)],
            "presses": [_press(core, one) for one in core.store.all("incidents_of_case", case_id=case_id)],
            "changes": [_act(core, told) for told in case_history.every_change(core, case_id)],
            "looks": [_act(core, told) for told in case_history.every_look(core, case_id)],
            "left_out": list(LEFT_OUT),
        }


def of_person(file: CaseFile) -> Facts:
    """Return what of a case's file is about the person it is for."""
    whole = asdict(file)
    stalker = {name: whole["stalker"][name] for name in ("name", "relation")}
    kept = ("number", "danger", "person", "contact", "addresses", "children")
    return {name: whole[name] for name in kept} | {"stalker": stalker}


def give(core: Core, actor: str, case_id: str) -> None:
    """Note that it is given. Raises Refused("unknown_case")."""
    with core.store.transaction():
        if core.store.one("case", case_id=case_id) is None:
            raise Refused("unknown_case")
        event_log.note(core, "file_given", actor, case_id=case_id)


def give_by(core: Core, caller: Caller, case_id: str) -> None:
    """Note that a case manager of its zone gives it. Raises Refused("unknown_case")."""
    case_access.of_zone(core, caller, case_id)
    give(core, caller.actor, case_id)


def packed(core: Core, facts: Facts, page: str) -> bytes:
    """Return a ZIP of the JSON, of the page to read, and of the person's photo where there is one."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.json", json.dumps(facts, ensure_ascii=False, indent=1))
        archive.writestr("data.html", page)
        for shows in facts["photos"]:
            photo = cases.photo_of(core, facts["case"]["case_id"], shows)
            if photo is not None:
                archive.writestr(f"photo.{photo[0].rpartition('/')[2]}", photo[1])
    return content.getvalue()


def _button(core: Core, assignment: Row) -> Facts:
    which = {"device_id": assignment["device_id"]}
    state = core.store.one("button_state", **which)
    until_ms = assignment["taken_back_at_ms"]
    losses = supervision.losses_of_button(
        core, assignment["device_id"], assignment["given_at_ms"], LOSSES_MAX
    )
    return {
        **which,
        "given_at": _when(assignment["given_at_ms"]),
        "taken_back_at": _when(until_ms),
        "last_heard_at": _when(state["heard_at_ms"]) if state and until_ms is None else None,
        "battery_mv": state["battery_mv"] if state and until_ms is None else None,
        "phones": [
            {name: _when(phone[f"{name}_ms"]) for name in ("enrolled_at", "revoked_at", "alive_at")}
            for phone in core.store.all("bridges_of_device", **which)
        ],
        "losses": [
            {"kind": loss.kind, "began_at": _when(loss.began_at_ms), "ended_at": _when(loss.ended_at_ms)}
            for loss in losses
            if until_ms is None or loss.began_at_ms < until_ms
        ],
    }


def _press(core: Core, incident: Row) -> Facts:
    which = {"incident_id": incident["incident_id"]}
    row, call_off = core.store.one("incident", **which), core.store.one("call_off", **which)
    assert row is not None
    acts = core.store.all("acts", **which)
    reason = next((act["reason"] for act in acts if act["reason"]), None)
    seen = sightings.of_incident(core, incident["incident_id"])
    return {
        **which,
        "device_id": row["device_id"],
        "is_test": row["event"] == codes.TEST,
        "received_at": _when(row["opened_at_ms"]),
        "arrivals": [
            {"path": one["path"], "battery_percent": one["battery_percent"], "model": one["model"]}
            | {name: _when(one[f"{name}_ms"]) for name in ("heard_at", "pressed_at", "received_at")}
            for one in core.store.all("alarms", **which)
        ],
        "positions": [
            {name: one[name] for name in POSITION.split()} | {"taken_at": _when(one["taken_at_ms"])}
            for one in core.store.all("all_fixes", **which)
        ],
        "seen_around": asdict(seen.sighting) if seen else None,
        "called_off_at": _when(call_off["called_off_at_ms"]) if call_off else None,
        "stages": [
            {"stage": STAGES[one["stage"]], "at": _when(one["at_ms"])}
            for one in core.store.all("receipts", **which)
        ],
        # As on the case manager's pages: who operators closed as duress is real there.
        "reason": None if call_off else CloseReason.REAL if reason == CloseReason.DURESS else reason,
    }


def _act(core: Core, told: case_history.Told) -> Facts:
    """Return who changed or looked, by role alone."""
    fields = list(told.fields)
    return {"at": _when(told.at_ms), "kind": told.kind, "by": role_of(core, told.actor), "fields": fields}


def role_of(core: Core, actor: str) -> str:
    """Return the role of who did something, or how the log names what is nobody."""
    kind, _, user_id = actor.partition(":")
    user = core.store.one("user", user_id=user_id) if kind == "user" else None
    return user["role"] if user else kind


def _when(at_ms: int | None) -> str | None:
    return times.write(at_ms) if at_ms else None
