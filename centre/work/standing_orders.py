"""The standing order of a police zone: steps that operators tick off at an alarm."""

from dataclasses import dataclass

from centre.rules import running_log
from centre.rules.access import Author
from centre.rules.refusals import Refused
from centre.rules.running_log import Kind
from centre.rules.text import zone as police_zone
from centre.work import board, event_log
from centre.work import running_log as log
from centre.work.board import Advanced
from centre.work.core import Core


@dataclass(frozen=True, slots=True)
class StandingOrder:
    """What is to be done at an alarm of this zone; `changed_at_ms` 0: nobody has written one."""

    zone: str
    steps: tuple[str, ...] = ()
    changed_at_ms: int = 0
    by: str = ""


def of_zone(core: Core, zone: str) -> StandingOrder:
    """Return the order of a zone, empty where there is none."""
    row = core.store.one("standing_order", zone=zone)
    if row is None:
        return StandingOrder(zone)
    return StandingOrder(zone, tuple(row["steps"].splitlines()), row["changed_at_ms"], row["name"])


def of_alarm(core: Core, incident_id: str) -> StandingOrder | None:
    """Return the order for an alarm: that of its case's zone; None where it has no case."""
    row = core.store.one("zone_of_incident", incident_id=incident_id)
    return None if row is None else of_zone(core, row["zone"])


def write(core: Core, author: Author, zone: str, text: str, read_at_ms: int) -> None:
    """Write a zone's order anew. `read_at_ms`: `changed_at_ms` of the one that the author has read.

    Raises Refused: bad_text, changed_meanwhile.
    """
    steps = running_log.order_steps(text)
    if zone:  # else the order of those without one
        police_zone(zone)
    with core.store.transaction():
        before = of_zone(core, zone)
        if before.changed_at_ms != read_at_ms:
            raise Refused("changed_meanwhile")
        if before.steps == steps:
            return
        now_ms = max(core.now_ms(), read_at_ms + 1)  # it rises, whatever the clock does
        who = {"actor": author.actor, "name": author.name}
        core.store.run("write_standing_order", zone=zone, steps="\n".join(steps), now_ms=now_ms, **who)
        event_log.note(core, "standing_order_written", author.actor, zone=zone, steps=list(steps))


def tick(core: Core, author: Author, incident_id: str, step: str) -> Advanced:
    """Note that a step of the order is done: once, by whoever says so first.

    Raises Refused: unknown_incident, not_an_alarm, incident_closed, changed_meanwhile where the order no
    longer has this step.
    """
    with core.store.transaction():
        alarm = log.open_alarm(core, incident_id)
        order = of_alarm(core, incident_id)
        if order is None or step not in order.steps:
            raise Refused("changed_meanwhile", "the standing order has no such step", field="step")
        happenings = log.of_incident(core, incident_id)
        first = next((one for one in happenings if one.kind is Kind.ORDER_STEP and one.text == step), None)
        if first is None:
            event_log.note(core, "order_step", author.actor, incident_id=incident_id, text=step)
            return board.advanced(core, alarm, alarm.stage, is_new=True)
        return board.advanced(core, alarm, alarm.stage, is_new=False)
