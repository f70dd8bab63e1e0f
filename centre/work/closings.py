"""How an alarm ends: closed, and that undone; opened again; a finding corrected.

A closing waits in the database until the button is told of it (rules/running_log.py), so that it survives
whatever ends the centre meanwhile. After that nothing is undone: a new alarm follows the first.
"""

import secrets
from dataclasses import dataclass, replace

from centre.rules import incidents, webhook
from centre.rules.access import Author
from centre.rules.incidents import CloseReason
from centre.rules.refusals import Refused
from centre.rules.running_log import UNDO_MS
from centre.store import Row
from centre.work import board, event_log, sightings
from centre.work import webhook as queue
from centre.work.board import Advanced
from centre.work.core import Core
from wire import receipts

AT_ONCE_MAX = 50


@dataclass(frozen=True, slots=True)
class _Author:
    actor: str
    name: str


def close(
    core: Core,
    author: Author,
    incident_id: str,
    reason: CloseReason,
    *,
    seen_duress: bool = False,
    undo_ms: int = UNDO_MS,
) -> Advanced:
    """Close an alarm: in `undo_ms`, until when it can be undone. Who closes has taken it.

    `undo_ms` 0: at once. Raises Refused: unknown_incident, not_an_alarm.
    """
    if undo_ms == 0:
        return board.advance(
            core, author, incident_id, receipts.CLOSED, reason=reason, seen_duress=seen_duress
        )
    with core.store.transaction():
        alarm = board.alarm_of(core, incident_id)
        pending = core.store.one("closing", incident_id=incident_id)
        is_new = alarm.stage < receipts.CLOSED and pending is None
        if is_new:
            now_ms = core.now_ms()
            who = {"actor": author.actor, "name": author.name}
            due = {"now_ms": now_ms, "due_at_ms": now_ms + undo_ms}
            core.store.run("add_closing", incident_id=incident_id, reason=reason, **who, **due)
            event_log.note(core, "closing", author.actor, incident_id=incident_id, reason=reason)
        taken, stage = (receipts.ACKNOWLEDGED, receipts.CLOSED)
        reached, is_news = board.reach(core, author, alarm, taken, seen_duress=seen_duress)
        done = board.advanced(core, alarm, stage, is_new=is_new or is_news, reached=reached)
        closing = core.store.one("closing", incident_id=incident_id)
    return done if closing is None else replace(done, by=closing["name"], at_ms=closing["at_ms"])


def close_due(core: Core) -> list[Advanced]:
    """Close all that can no longer be undone: now the button is told."""
    rows = core.store.all("closings_due", now_ms=core.now_ms(), at_most=AT_ONCE_MAX)
    if not rows:
        return []
    with core.store.transaction():
        return [_finish(core, row) for row in rows]


def _finish(core: Core, closing: Row) -> Advanced:
    incident_id, reason = closing["incident_id"], CloseReason(closing["reason"])
    alarm = board.alarm_of(core, incident_id)
    author = _Author(closing["actor"], closing["name"])
    reached, is_new = board.reach(core, author, alarm, receipts.CLOSED, reason=reason)
    core.store.run("forget_closing", incident_id=incident_id)
    return board.advanced(core, alarm, receipts.CLOSED, is_new=is_new, reached=reached, reason=reason)


def undo(core: Core, author: Author, incident_id: str) -> Advanced:
    """Take a closing back that the button has not been told of.

    Raises Refused: unknown_incident, not_an_alarm, close_sent.
    """
    with core.store.transaction():
        alarm = board.alarm_of(core, incident_id)
        if alarm.stage == receipts.CLOSED:
            raise Refused("close_sent")
        is_new = bool(core.store.run("forget_closing", incident_id=incident_id))
        if is_new:
            event_log.note(core, "close_undone", author.actor, incident_id=incident_id)
        return board.advanced(core, alarm, alarm.stage, is_new=is_new)


def reopen(core: Core, author: Author, incident_id: str, *, seen_duress: bool = False) -> Advanced:
    """Open a new alarm that follows one that was closed too early; it is the author's.

    What is known of the press goes on with it: how it came, positions, the call-off. One follows, however
    often it is asked for. Raises Refused: unknown_incident, not_an_alarm, not_closed.
    """
    with core.store.transaction():
        before = board.alarm_of(core, incident_id)
        if before.stage < receipts.CLOSED:
            raise Refused("not_closed")
        known = following(core, incident_id)
        if known is not None:
            return board.advanced(core, board.alarm_of(core, known), receipts.ACKNOWLEDGED, is_new=False)
        board.reach(core, author, before, receipts.CLOSED, seen_duress=seen_duress)
        now_ms = core.now_ms()
        new_id = incidents.new_id(now_ms, secrets.token_bytes(4))
        core.store.run("open_again", incident_id=new_id, follows=incident_id, now_ms=now_ms)
        for query in ("take_on_alarms", "take_on_fixes", "take_on_call_off"):
            core.store.run(query, incident_id=new_id, follows=incident_id)
        seen = sightings.of_incident(core, incident_id)
        if seen is not None:
            sightings.keep(core, new_id, seen.sighting)
        alarm = board.alarm_of(core, new_id)
        # The button has had its receipts of this press: these are for our own record.
        board.write_receipt(core, alarm, receipts.RECEIVED)
        for one, other in ((new_id, incident_id), (incident_id, new_id)):
            event_log.note(core, "reopened", author.actor, incident_id=one, incident=other)
        queue.add(core, new_id, webhook.OPENED)
        reached, _ = board.reach(core, author, alarm, receipts.ACKNOWLEDGED)
        return board.advanced(core, alarm, receipts.ACKNOWLEDGED, is_new=True, reached=reached)


def following(core: Core, incident_id: str) -> str | None:
    """Return the alarm that follows a closed one, or None."""
    row = core.store.one("following_incident", incident_id=incident_id)
    return None if row is None else str(row["incident_id"])


def correct(core: Core, author: Author, incident_id: str, reason: CloseReason) -> Advanced:
    """Say what a closed alarm was in truth: somebody else than whose word counts until now.

    Both stay to be read. Raises Refused: unknown_incident, not_an_alarm, not_closed, own_closing.
    """
    with core.store.transaction():
        alarm = board.alarm_of(core, incident_id)
        finding = core.store.one("finding", incident_id=incident_id)
        if alarm.stage < receipts.CLOSED or finding is None:
            raise Refused("not_closed")
        is_new = finding["reason"] != reason
        if is_new:
            if finding["actor"] == author.actor:
                raise Refused("own_closing")
            which = {"incident_id": incident_id, "reason": reason}
            who = {"actor": author.actor, "name": author.name}
            core.store.run("add_correction", now_ms=core.now_ms(), **which, **who)
            event_log.note(core, "corrected", author.actor, **which)
        return board.advanced(core, alarm, receipts.CLOSED, is_new=is_new)
