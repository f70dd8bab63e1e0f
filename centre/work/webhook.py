"""The webhook's events: on disk with the act itself, then sent until the dispatch system has taken them."""

import json
import secrets
from dataclasses import dataclass

from centre.rules import escalation, fair_share, webhook
from centre.work import event_log, positions
from centre.work.core import Core
from wire import codes

SEND_AT_MOST = 8  # at once, of as many incidents
ESCALATE_AT_MOST = 50


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    number: int
    incident_id: str
    kind: str
    body: bytes
    attempts: int
    made_at_ms: int

    @property
    def event_id(self) -> str:
        """Return what the receiver knows it by: the same at every try."""
        return str(json.loads(self.body)["id"])


@dataclass(frozen=True, slots=True)
class Escalated:
    incident_id: str
    device_id: str
    counter: int


def add(core: Core, incident_id: str, kind: str) -> None:
    """Add an event within the transaction of the act: only of alarms that operators see.

    One of a revoked button is an administrator's.
    """
    if not core.tells:
        return
    incident = core.store.one("incident", incident_id=incident_id)
    assert incident is not None
    if incident["event"] != codes.ALARM or incident["held"]:
        return
    share = {"device_id": incident["device_id"], "bridge_id": incident["first_bridge_id"]}
    of_share = core.store.one("webhook_events_of_share", **share)
    if of_share is not None and of_share["count"] >= fair_share.WAITING_MAX:
        # The alarm itself matters more: it is on the board, and here it says that nobody else was told.
        event_log.note(core, "webhook_full", event_log.CENTRE, incident_id=incident_id, event=kind)
        return
    now_ms = core.now_ms()
    newest = positions.newest(core, incident_id)
    text = webhook.body(secrets.token_hex(8), kind, dict(incident), newest, now_ms)
    core.store.run("add_webhook_event", incident_id=incident_id, kind=kind, body=text, now_ms=now_ms)


def waiting(core: Core) -> int:
    """Return how many events wait."""
    row = core.store.one("webhook_events_waiting")
    return int(row["count"]) if row else 0


def is_full(core: Core) -> bool:
    """Whether some share is full, of whose next events nobody would be told."""
    row = core.store.one("webhook_shares_full", at_most=fair_share.WAITING_MAX)
    return bool(row and row["count"])


def due(core: Core) -> list[WebhookEvent]:
    """Return the next of each incident, in order, a few at a time, of each share in turn."""
    rows = core.store.all("webhook_events_due", now_ms=core.now_ms(), at_most=SEND_AT_MOST)
    return [
        WebhookEvent(
            row["event_id"],
            row["incident_id"],
            row["kind"],
            row["body"].encode(),
            row["tries"],
            row["made_at_ms"],
        )
        for row in rows
    ]


def delivered(core: Core, event: WebhookEvent) -> None:
    """Note that it was taken."""
    with core.store.transaction():
        core.store.run("webhook_event_done", event_id=event.number, given_up=0, now_ms=core.now_ms())


def failed(core: Core, event: WebhookEvent) -> bool:
    """Have it tried again later; return whether it was given up instead."""
    now_ms = core.now_ms()
    give_up = now_ms - event.made_at_ms > webhook.GIVEN_UP_MS
    with core.store.transaction():
        if give_up:
            core.store.run("webhook_event_done", event_id=event.number, given_up=1, now_ms=now_ms)
            what = {"incident_id": event.incident_id, "event": event.kind}
            event_log.note(core, "webhook_given_up", event_log.CENTRE, **what)
        else:
            next_at_ms = now_ms + webhook.again_ms(event.attempts + 1)
            core.store.run("webhook_event_again", event_id=event.number, next_at_ms=next_at_ms)
    return give_up


def clock_set_back(core: Core) -> None:
    """Try now what was to be tried again at what is now far in the future."""
    with core.store.transaction():
        core.store.run(
            "clamp_webhook_events", now_ms=core.now_ms(), latest_ms=core.now_ms() + webhook.AGAIN_MS_MAX
        )


def escalate(core: Core, after_s: int) -> list[Escalated]:
    """Find alarms that nobody took, and that now go beyond this room; each once, of each share in turn."""
    now_ms = core.now_ms()
    until_ms = now_ms - escalation.TOLD * after_s * 1000
    when = {"until_ms": until_ms, "step_ms": after_s * 1000, "ahead_ms": now_ms + after_s * 1000}
    query = {"alarm": codes.ALARM, "of_one_share": fair_share.SHOWN_MAX, "at_most": ESCALATE_AT_MOST} | when
    rows = core.store.all("to_escalate", **query)
    if not rows:
        return []
    with core.store.transaction():
        for row in rows:
            incident_id = row["incident_id"]
            core.store.run("add_escalation", incident_id=incident_id, now_ms=now_ms)
            event_log.note(
                core, "escalated", event_log.CENTRE, incident_id=incident_id, device_id=row["device_id"]
            )
            add(core, incident_id, webhook.ESCALATED)
    return [Escalated(row["incident_id"], row["device_id"], row["counter"]) for row in rows]
