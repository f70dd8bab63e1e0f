"""What operators see and do."""

from dataclasses import dataclass

from centre.core import Core
from centre.rules import incidents, webhook
from centre.rules.access import Caller
from centre.rules.refusals import Refused
from centre.work import evidence, hooks, views


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
    committed_at_ms: float


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
        if incident is None:
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
            evidence.note(
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
    assert last is not None
    return Advanced(
        incident_id,
        incident["device_id"],
        event,
        counter,
        last["stage"],
        last["at_ms"],
        now,
        core.clock_ms(),
    )


def board(core: Core) -> views.Board:
    return views.board(core.store)
