"""Presses and what follows them: alarms, positions, call-offs, receipts."""

import secrets
from dataclasses import dataclass, field
from typing import Any

from centre.platform.pin_hashing import Verdict
from centre.rules import access, exercises, fair_share, incidents, webhook
from centre.rules.exercises import Exercise
from centre.rules.fields import Dropped
from centre.rules.incidents import CallOff, Fix, Press
from centre.rules.refusals import Refused
from centre.store import Row
from centre.work import assignments, buttons, event_log, heard
from centre.work import webhook as queue
from centre.work.core import Core, typed
from wire import codes, receipts


@dataclass(frozen=True, slots=True)
class Taken:
    """A press is on disk."""

    incident_id: str
    known: bool
    stage: int
    proof: bytes
    dropped: list[Dropped]
    press: Press
    is_exercise: bool = False  # told of a new one


@dataclass(frozen=True, slots=True)
class Receipt:
    seq: int
    stage: int
    proof: bytes
    at_ms: int
    last: bool


@dataclass(frozen=True, slots=True)
class FixesStored:
    device_id: str
    stored: int
    known: int


@dataclass(frozen=True, slots=True)
class PinAttempt:
    """Which incident, and the hashes that a PIN is to be checked against."""

    incident_id: str
    pin_hash: str = field(repr=False)
    duress_pin_hash: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class CalledOff:
    device_id: str
    counter: int
    known: bool


def take_alarm(core: Core, bridge_id: str, press: Press) -> Taken:
    """Exactly one incident per press. Raises Refused: unknown_device, revoked, bad_code."""
    now_ms = core.now_ms()
    with core.store.transaction():
        known = core.store.one(
            "press_of_bridge",
            bridge_id=bridge_id,
            device_id=press.device_id,
            event=press.event,
            counter=press.counter,
            heard_at_ms=incidents.pressed_at_ms(press.heard_at_ms, None, now_ms),
            age_ms=round((press.age_s or 0) * 1000),
        )
        if known is None:
            raise Refused("unknown_device")
        if known["bridge_revoked_at_ms"] is not None:
            raise Refused("revoked")
        root = core.root(known)
        incidents.check_code(root, known["epoch"], press)
        heard.of_button(core, bridge_id, press.device_id, press.heard_at_ms)
        return _take(core, bridge_id, press, known, root, now_ms)


def take_from_button(core: Core, press: Press) -> Taken:
    """Take a press that the button itself has brought, under its seal: as `take_alarm`, without a bridge.

    Raises Refused("unknown_device").
    """
    now_ms = core.now_ms()
    with core.store.transaction():
        pressed_at_ms = incidents.pressed_at_ms(None, press.age_s, now_ms)
        which = {"device_id": press.device_id, "event": press.event, "counter": press.counter}
        when = {"pressed_at_ms": pressed_at_ms, "since_ms": now_ms - fair_share.HOUR_MS}
        known = core.store.one("press_of_button", **which, **when)
        if known is None:
            raise Refused("unknown_device")
        return _take(core, None, press, known, core.root(known), now_ms, known["lately"])


def _take(
    core: Core,
    bridge_id: str | None,
    press: Press,
    known: Row,
    root: bytes,
    now_ms: int,
    lately: int | None = None,
) -> Taken:
    """Take a press that is true. `known`: its button, and the incident where it has come before.

    `lately`: how many presses of its share there were in the last hour, where that is known already.
    """
    if known["incident_id"] is None:
        exercise = _exercise(press, known, now_ms)
        counted = _count(core, bridge_id, press, exercise, now_ms, lately)
        if counted is None:
            return _open(core, bridge_id, press, known, exercise, root, now_ms)
        stage = receipts.RECEIVED
        proof = incidents.proof(root, known["epoch"], stage, press.event, press.counter)
        return Taken(counted, True, stage, proof, press.dropped, press)
    incident_id = str(known["incident_id"])
    if known["erased_at_ms"] is None:  # else it is answered, and nothing of it is kept again
        is_closed = known["stage"] == receipts.CLOSED
        _add_arrival(core, incident_id, bridge_id, press, now_ms, known=True, is_closed=is_closed)
    last = core.store.one("last_receipt", incident_id=incident_id)
    assert last is not None  # written with the incident
    return Taken(incident_id, True, last["stage"], last["proof"], press.dropped, press)


def _teller(bridge_id: str | None) -> str:
    """Return how the log names who told: a bridge, or the button itself."""
    return event_log.BUTTON if bridge_id is None else f"bridge:{bridge_id}"


def _exercise(press: Press, of: Row, now_ms: int) -> str | None:
    """Return the zone that exercises with a press, or None: it is a true alarm."""
    return exercises.zone_of(
        typed(Exercise, of),
        serves_case=of["case_id"] is not None,
        is_revoked=of["revoked_at_ms"] is not None,
        pressed_at_ms=incidents.pressed_at_ms(press.heard_at_ms, press.age_s, now_ms),
        now_ms=now_ms,
    )


def _count(
    core: Core,
    bridge_id: str | None,
    press: Press,
    exercise: str | None,
    now_ms: int,
    lately: int | None,
) -> str | None:
    """Count a press beyond its share on the last incident of it; return that, or None where it opens its own.

    None also where that incident is closed, or an exercise and this press is none: an alarm is never answered
    by what is over, nor by what was not meant.
    """
    share = {"device_id": press.device_id, "bridge_id": bridge_id, "event": press.event}
    if lately is None:
        row = core.store.one("share_of_presses", since_ms=now_ms - fair_share.HOUR_MS, **share)
        lately = int(row["count"]) if row else 0
    if lately < fair_share.PRESSES_AN_HOUR:
        return None
    last = core.store.one("last_of_share", **share)
    if last is None or last["stage"] == receipts.CLOSED or last["exercise"] != exercise:
        return None
    incident_id = str(last["incident_id"])
    core.store.run("count_press", incident_id=incident_id)
    if press.fix is not None and _count_fixes(core, incident_id, bridge_id) < incidents.FIXES_PER_BRIDGE_MAX:
        _add_fix(core, press.device_id, incident_id, bridge_id, press.fix, now_ms)
    if not last["more_presses"]:  # once: how often it was is on the incident
        which = {"incident_id": incident_id, "device_id": press.device_id}
        event_log.note(core, "presses_counted", _teller(bridge_id), **which, counter=press.counter)
    return incident_id


def _open(
    core: Core, bridge_id: str | None, press: Press, of: Row, exercise: str | None, root: bytes, now_ms: int
) -> Taken:
    """Open an incident of a press that is new; `of`: its button, and the case that this serves."""
    incident_id = incidents.new_id(now_ms, secrets.token_bytes(4))
    core.store.run(
        "open_incident",
        incident_id=incident_id,
        device_id=press.device_id,
        event=press.event,
        counter=press.counter,
        bridge_id=bridge_id,
        case_id=of["case_id"],
        # It may be in a thief's hand, or still in the right one: it is taken, and an administrator rules.
        device_revoked=of["revoked_at_ms"] is not None,
        exercise=exercise,
        now_ms=now_ms,
    )
    stage = receipts.RECEIVED
    proof = incidents.proof(root, of["epoch"], stage, press.event, press.counter)
    core.store.run("add_receipt", incident_id=incident_id, stage=stage, proof=proof, now_ms=now_ms)
    _add_arrival(core, incident_id, bridge_id, press, now_ms, known=False, exercise=exercise)
    queue.add(core, incident_id, webhook.OPENED)
    return Taken(incident_id, False, stage, proof, press.dropped, press, exercise is not None)


def _add_arrival(
    core: Core,
    incident_id: str,
    bridge_id: str | None,
    press: Press,
    now_ms: int,
    *,
    known: bool,
    is_closed: bool = False,
    exercise: str | None = None,
) -> None:
    path = press.path or "unknown"
    phone, fix, limit = press.phone, press.fix, incidents.FIXES_PER_BRIDGE_MAX
    where = {"incident_id": incident_id, "bridge_id": bridge_id, "path": path}
    before = core.store.one("arrival", **where) if known else None
    repeated = before is not None
    core.store.run(
        "add_alarm",
        **where,
        heard_at_ms=press.heard_at_ms,
        age_s=press.age_s,
        age_is_lower_bound=press.age_is_lower_bound,
        pressed_at_ms=incidents.pressed_at_ms(press.heard_at_ms, press.age_s, now_ms),
        battery_percent=phone and phone.battery_percent,
        model=phone and phone.model,
        now_ms=now_ms,
    )
    if before is not None and before["age_s"] is None and press.age_s is not None:
        _tell_age(core, before, press)
    if is_closed and fix is not None:
        goes_on_in = _that_goes_on(core, incident_id)
        if goes_on_in is None:
            press.dropped.append(Dropped("fix", "incident_closed"))  # nobody is followed any more
            fix = None
        else:
            incident_id = goes_on_in
    if repeated and fix is not None and _count_fixes(core, incident_id, bridge_id) >= limit:
        press.dropped.append(Dropped("fix", "too_many_fixes"))  # the press itself is never refused
        fix = None
    new_fix = fix is not None and _add_fix(core, press.device_id, incident_id, bridge_id, fix, now_ms)
    if repeated and not new_fix:
        return  # the same post again: counted, and nothing that was not told before
    event_log.note(
        core,
        "fixes" if repeated else "received",
        _teller(bridge_id),
        incident_id=incident_id,
        device_id=press.device_id,
        **({} if repeated else _told(press, path, known)),
        **({"exercise": exercise} if exercise is not None else {}),
        fixes=[fix._asdict()] if fix is not None and new_fix else [],
    )


def _tell_age(core: Core, arrival: Row, press: Press) -> None:
    """Add the age to a press that was posted at once: the button has said since how old it was."""
    pressed_at_ms = incidents.pressed_at_ms(arrival["heard_at_ms"], press.age_s, arrival["received_at_ms"])
    where = {name: arrival[name] for name in ("incident_id", "bridge_id", "path")}
    age: dict[str, Any] = {
        "age_s": press.age_s,
        "age_is_lower_bound": press.age_is_lower_bound,
        "pressed_at_ms": pressed_at_ms,
    }
    core.store.run("tell_age", **where, **age, now_ms=core.now_ms())
    event_log.note(
        core,
        "age",
        _teller(arrival["bridge_id"]),
        incident_id=arrival["incident_id"],
        device_id=press.device_id,
        path=arrival["path"],
        **age,
    )


def _told(press: Press, path: str, known: bool) -> dict[str, Any]:
    """Return what one bridge said of a press, but for its code and its position."""
    return {
        "event": press.event,
        "counter": press.counter,
        "known": known,
        "path": path,
        "heard_at_ms": press.heard_at_ms,
        "age_s": press.age_s,
        "age_is_lower_bound": press.age_is_lower_bound,
        "phone": press.phone and press.phone._asdict(),
    }


def _add_fix(
    core: Core, device_id: str, incident_id: str, bridge_id: str | None, fix: Fix, now_ms: int
) -> bool:
    """Store one position; return True if it was new."""
    values = fix._asdict() | {"marks": " ".join(fix.marks)}
    where = {"device_id": device_id, "incident_id": incident_id, "bridge_id": bridge_id}
    return bool(core.store.run("add_fix", **where, **values, now_ms=now_ms))


def _that_goes_on(core: Core, incident_id: str) -> str | None:
    """Return the open alarm that follows a closed one, or None."""
    row = core.store.one("open_after", incident_id=incident_id, closed=receipts.CLOSED)
    return None if row is None else str(row["incident_id"])


def _count_fixes(core: Core, incident_id: str, bridge_id: str | None) -> int:
    """Return how many positions one bridge, or the button itself, has told of an incident."""
    row = core.store.one("fixes_of_bridge", incident_id=incident_id, bridge_id=bridge_id)
    return int(row["count"]) if row else 0


def add_fixes(core: Core, bridge_id: str, incident_id: str, fixes: list[Fix]) -> FixesStored:
    """All of them, or none.

    Raises Refused: unknown_incident, not_an_alarm, incident_closed, too_many_fixes.
    """
    with core.store.transaction():
        incident = core.store.one("incident_of_bridge", incident_id=incident_id, bridge_id=bridge_id)
        if incident is None:
            raise Refused("unknown_incident")
        if incident["event"] == codes.TEST:
            raise Refused("not_an_alarm")  # nobody is followed for having tested
        heard.of_bridge(core, bridge_id)
        if incident["stage"] == receipts.CLOSED:
            goes_on_in = _that_goes_on(core, incident_id)
            if goes_on_in is None:
                raise Refused("incident_closed")
            incident_id = goes_on_in
        now_ms, device_id = core.now_ms(), incident["device_id"]
        stored = [_add_fix(core, device_id, incident_id, bridge_id, fix, now_ms) for fix in fixes]
        if _count_fixes(core, incident_id, bridge_id) > incidents.FIXES_PER_BRIDGE_MAX:
            raise Refused("too_many_fixes")
        if any(stored):
            event_log.note(
                core,
                "fixes",
                f"bridge:{bridge_id}",
                incident_id=incident_id,
                device_id=device_id,
                fixes=[fix._asdict() for fix, is_new in zip(fixes, stored, strict=True) if is_new],
            )
    return FixesStored(device_id, sum(stored), len(stored) - sum(stored))


def add_fix_of_button(core: Core, device_id: str, counter: int, fix: Fix) -> bool:
    """Keep a position that the button itself has told of its alarm; whether it was kept. In a transaction.

    Nothing is kept of an alarm that was never here, or that is closed and goes on in no other.
    """
    which = {"device_id": device_id, "event": codes.ALARM, "counter": counter}
    incident = core.store.one("incident_of_press", **which)  # the one that goes on
    if incident is None or incident["stage"] == receipts.CLOSED or incident["erased_at_ms"] is not None:
        return False
    incident_id = str(incident["incident_id"])
    if _count_fixes(core, incident_id, None) >= incidents.FIXES_PER_BRIDGE_MAX:
        return False
    if not _add_fix(core, device_id, incident_id, None, fix, core.now_ms()):
        return False
    told = {"incident_id": incident_id, "device_id": device_id}
    event_log.note(core, "fixes", event_log.BUTTON, **told, fixes=[fix._asdict()])
    return True


def try_pin(core: Core, bridge_id: str, call_off: CallOff) -> PinAttempt:
    """Count an attempt to call an alarm off. Return what is needed to check the PIN.

    Raises Refused: unknown_device, unknown_press, no_pin, pin_locked.
    """
    device_id = call_off.device_id
    with core.store.transaction():
        device = _device_of_bridge(core, bridge_id, device_id)
        incident = core.store.one(
            "incident_of_press", device_id=device_id, event=codes.ALARM, counter=call_off.counter
        )
        if incident is None or incident["erased_at_ms"] is not None:
            raise Refused("unknown_press")
        incident_id = str(incident["incident_id"])
        return PinAttempt(incident_id, *_count_attempt(core, bridge_id, device, incident_id))


def begin_pin_trial(core: Core, bridge_id: str, device_id: str) -> tuple[str, str | None]:
    """Count a trial of a PIN without an alarm. Return the hashes that it is to be checked against.

    Not while an alarm is open: who types the duress PIN then must be understood, and only a call-off is.
    Raises Refused: unknown_device, alarm_open, no_pin, pin_locked.
    """
    with core.store.transaction():
        device = _device_of_bridge(core, bridge_id, device_id)
        if assignments.alarm_open(core, device_id):
            raise Refused("alarm_open", "an alarm is open: its page calls it off")
        return _count_attempt(core, bridge_id, device, None)


def end_pin_trial(core: Core, bridge_id: str, device_id: str) -> None:
    """Forgive the wrong ones before: the PIN was right, one or the other."""
    with core.store.transaction():
        core.store.run("set_pin_attempts", device_id=device_id, attempts=0, locked_until_ms=0)
        event_log.note(core, "pin_tried", f"bridge:{bridge_id}", device_id=device_id)


def _device_of_bridge(core: Core, bridge_id: str, device_id: str) -> Row:
    device = core.store.one("device_of_bridge", device_id=device_id, bridge_id=bridge_id)
    if device is None:
        raise Refused("unknown_device")
    return device


def _count_attempt(
    core: Core, bridge_id: str, device: Row, incident_id: str | None
) -> tuple[str, str | None]:
    """Count an attempt, before it is checked: a kill wins no free one. Return the hashes of both PINs."""
    if device["pin_hash"] is None:
        raise Refused("no_pin")
    device_id, now_ms = device["device_id"], core.now_ms()
    row = core.store.one("pin_attempts", device_id=device_id)
    if row is not None and now_ms < row["locked_until_ms"]:
        wait_ms = row["locked_until_ms"] - now_ms
        raise Refused("pin_locked", retry_after_s=-(-wait_ms // 1000))
    heard.of_bridge(core, bridge_id)
    attempts = 1 + (row["attempts"] if row else 0)
    locked_until_ms = now_ms + access.lock_ms(attempts)
    core.store.run(
        "set_pin_attempts", device_id=device_id, attempts=attempts, locked_until_ms=locked_until_ms
    )
    if locked_until_ms > now_ms:
        which = {"device_id": device_id} | ({} if incident_id is None else {"incident_id": incident_id})
        event_log.note(
            core, "pin_locked", f"bridge:{bridge_id}", **which, tries=attempts, until_ms=locked_until_ms
        )
    return buttons.pins(core, device)


def call_off(core: Core, bridge_id: str, incident_id: str, verdict: Verdict) -> CalledOff:
    """Both PINs write the same rows in the same order; only the operator's page reads which it was."""
    assert verdict is not Verdict.WRONG
    duress = verdict is Verdict.DURESS
    now_ms = core.now_ms()
    with core.store.transaction():
        incident = core.store.one("incident", incident_id=incident_id)
        assert incident is not None  # `try_pin` has found it, and nothing is ever deleted
        core.store.run("set_pin_attempts", device_id=incident["device_id"], attempts=0, locked_until_ms=0)
        known = core.store.one("call_off", incident_id=incident_id) is not None
        core.store.run("add_call_off", incident_id=incident_id, duress=duress, now_ms=now_ms)
        who = {"incident_id": incident_id, "device_id": incident["device_id"]}
        # Numbers: of two words the shorter would show through the seal.
        if not known:
            queue.add(core, incident_id, webhook.CALLED_OFF)  # alike for both PINs
        event_log.note(core, "called_off", f"bridge:{bridge_id}", **who, known=int(known), duress=int(duress))
    return CalledOff(incident["device_id"], incident["counter"], known)


def receipts_after(core: Core, bridge_id: str, incident_id: str, seq: int) -> list[Receipt] | None:
    """Return what is new for a stream; None when it is over for this bridge, which has been revoked.

    Raises Refused("unknown_incident").
    """
    incident = core.store.one("incident_of_bridge", incident_id=incident_id, bridge_id=bridge_id)
    if incident is None:
        raise Refused("unknown_incident")
    if incident["bridge_revoked_at_ms"] is not None:
        return None
    return [
        Receipt(
            row["seq"],
            row["stage"],
            row["proof"],
            row["at_ms"],
            incidents.is_last(incident["event"], row["stage"]),
        )
        for row in core.store.all("receipts_after", incident_id=incident_id, seq=seq)
    ]
