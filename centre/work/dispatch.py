"""Dispatch systems: who they are, and what they do to alarms: the acts of operators, under their name."""

import hashlib
import secrets
from dataclasses import dataclass
from typing import Any

from centre.platform import json_text
from centre.rules import dispatch, times
from centre.rules.dispatch import Act, Verb
from centre.rules.refusals import Refused
from centre.rules.running_log import patrols
from centre.store import Row
from centre.work import attempt_counters, board, buttons, closings, event_log, running_log
from centre.work.board import Advanced
from centre.work.core import Core, typed
from wire import receipts

TOKEN_BYTES = 32
REFUSED = "dispatch_refused"


@dataclass(frozen=True, slots=True)
class DispatchSystem:
    """A program in which operators of elsewhere work; the author of what is done through it."""

    system_id: str
    name: str
    every_zone: int
    may_close: int

    @property
    def actor(self) -> str:
        return f"{event_log.DISPATCH}{self.system_id}"


@dataclass(frozen=True, slots=True)
class ListedSystem:
    """A dispatch system as the administrator sees it."""

    system_id: str
    name: str
    zones: str | None
    every_zone: int
    may_close: int
    added_at_ms: int
    revoked_at_ms: int | None
    acted_at_ms: int | None


@dataclass(frozen=True, slots=True)
class Done:
    """An act that was done, now or by an earlier request with its key."""

    answer: str  # JSON
    advanced: Advanced | None = None  # None: it was done before


def add(core: Core, name: str, zones: list[str], *, every_zone: bool, may_close: bool) -> str | None:
    """Take in a system; return its only token, or None where another one has the name."""
    token, system_id = secrets.token_urlsafe(TOKEN_BYTES), buttons.new_id()
    with core.store.transaction():
        if core.store.one("dispatch_system_named", name=name) is not None:
            return None
        what = {"name": name, "every_zone": every_zone, "may_close": may_close}
        which = {"system_id": system_id, "token_sha256": _sha256(token), "now_ms": core.now_ms()}
        core.store.run("add_dispatch_system", **what, **which)
        for zone in zones:
            core.store.run("add_dispatch_zone", system_id=system_id, zone=zone)
        granted: dict[str, Any] = {"zones": zones, "every_zone": every_zone, "may_close": may_close}
        event_log.note(core, "dispatch_system_added", event_log.COMMAND, system_id=system_id, **granted)
    return token


def systems(core: Core) -> list[ListedSystem]:
    """Return all there ever were, those that came first before the others."""
    return [typed(ListedSystem, row) for row in core.store.all("dispatch_systems")]


def revoke(core: Core, name: str) -> bool:
    """Refuse a system from now on; return whether there was one of that name."""
    with core.store.transaction():
        system = core.store.one("dispatch_system_named", name=name)
        if system is None:
            return False
        core.store.run("revoke_dispatch_system", name=name, now_ms=core.now_ms())
        system_id = system["system_id"]
        event_log.note(core, "dispatch_system_revoked", event_log.COMMAND, system_id=system_id)
    return True


def of_token(core: Core, token: str) -> DispatchSystem:
    """Return whose token it is. Raises Refused: unauthorised, revoked."""
    row = core.store.one("dispatch_system_of_token", token_sha256=_sha256(token))
    if row is None:
        raise Refused("unauthorised")
    if row["revoked_at_ms"] is not None:
        raise Refused("revoked")
    return typed(DispatchSystem, row)


def act(core: Core, system: DispatchSystem, asked: Act) -> Done:
    """Do it once, whoever asks again and however often; in one transaction with its entry and its answer.

    Raises Refused: key_reused, unknown_incident, not_an_alarm, not_granted, already_done, incident_closed,
    bad_text, unknown_patrol, patrol_further, too_many_patrols.
    """
    with core.store.transaction():
        known = core.store.one("dispatch_request", system_id=system.system_id, key=asked.key)
        if known is not None:
            return Done(_again(known, asked))
        which = {"system_id": system.system_id, "incident_id": asked.incident_id}
        if core.store.one("incident_of_system", **which) is None:
            raise Refused("unknown_incident")
        advanced = _act(core, system, asked)
        if not advanced.now:
            raise Refused("already_done")
        answer = _answer(asked, advanced)
        kept = {"key": asked.key, "request_sha256": asked.request_sha256, "answer": answer}
        core.store.run("add_dispatch_request", system_id=system.system_id, now_ms=core.now_ms(), **kept)
    return Done(answer, advanced)


def _again(known: Row, asked: Act) -> str:
    if known["request_sha256"] != asked.request_sha256:
        raise Refused("key_reused")
    return str(known["answer"])


def _act(core: Core, system: DispatchSystem, asked: Act) -> Advanced:
    incident_id = asked.incident_id
    match asked.verb:
        case Verb.NOTE:
            return running_log.remark(core, system, incident_id, asked.text, once=asked.key)
        case Verb.ACKNOWLEDGE:
            running_log.open_alarm(core, incident_id)
            return board.advance(core, system, incident_id, receipts.ACKNOWLEDGED)
        case Verb.DISPATCH:
            return running_log.send_patrol(core, system, incident_id, asked.patrol)
        case Verb.PROGRESS:
            return running_log.go_on(core, system, incident_id, _patrol(core, asked), asked.step)
        case Verb.CLOSE:
            if not system.may_close:
                raise Refused("not_granted")
            running_log.open_alarm(core, incident_id)
            assert asked.reason is not None
            return closings.close(core, system, incident_id, asked.reason)


def _patrol(core: Core, asked: Act) -> int:
    """Return the number of the last patrol of that name; 0, which none has, where there is no such."""
    known = patrols(running_log.of_incident(core, asked.incident_id))
    name = asked.patrol.strip().casefold()
    return next((one.number for one in reversed(known) if one.name.casefold() == name), 0)


def _answer(asked: Act, advanced: Advanced) -> str:
    done = {"incident": asked.incident_id, "act": asked.verb, "stage": advanced.stage}
    return json_text.write(done | {"at": times.write(advanced.at_ms)}).decode()


def refused(core: Core, system: DispatchSystem, incident_id: str, reason: str) -> None:
    """Note that an act was refused; of one system and reason once a minute, then with how often it was."""
    is_known = core.store.one("incident", incident_id=incident_id) is not None
    which = incident_id if is_known else None
    with core.store.transaction():
        why = f"{system.name}: {reason}"
        attempt_counters.add(core, REFUSED, why, actor=system.actor, incident_id=which)


def forget(core: Core) -> None:
    """Forget the keys of acts that nobody asks for again."""
    with core.store.transaction():
        core.store.run("forget_dispatch_requests", before_ms=core.now_ms() - dispatch.KEPT_MS)


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
