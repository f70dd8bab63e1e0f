"""Buttons in people's hands: handed out, moved, enrolled with a phone, taken back; and how each lives."""

from dataclasses import dataclass

from centre.rules import exercises, heartbeats
from centre.rules import supervision as rules
from centre.rules.access import Caller
from centre.rules.refusals import Refused
from centre.store import Row
from centre.work import buttons, carriers, case_access, event_log, grants, supervision
from centre.work.carriers import Ways
from centre.work.core import Core, typed
from centre.work.supervision import Loss
from wire import codes, receipts

FREE_SHOWN_MAX = 200
LOSSES_SHOWN_MAX = 10


@dataclass(frozen=True, slots=True)
class ButtonState:
    """The last that a bridge told of a button. `faults`: words with spaces between them."""

    heard_at_ms: int | None
    battery_mv: int | None
    low: int
    in_reach: int | None
    faults: str


@dataclass(frozen=True, slots=True)
class Phone:
    """A bridge of a button, as it lives. `troubles`: words with spaces between them."""

    bridge_id: str
    revoked_at_ms: int | None
    alive_at_ms: int | None
    battery_percent: int | None
    troubles: str | None
    lost_after_s: int | None


@dataclass(frozen=True, slots=True)
class FormerAssignment:
    """A button that served the case, and when."""

    device_id: str
    given_at_ms: int
    taken_back_at_ms: int


@dataclass(frozen=True, slots=True)
class Button:
    """One of a case, as it lives."""

    device_id: str
    given_at_ms: int
    is_revoked: bool
    is_trackable: bool  # a former phone can still follow it
    state: ButtonState | None
    bridges: list[Phone]
    presses: int
    pressed_at_ms: int | None
    tests: int
    tested_at_ms: int | None
    found_after_min: int | None  # if it is lost; None: no phone has spoken of it yet
    untested_days: int  # 0: tested lately enough
    losses: list[Loss]  # of it and of its phones while it is handed out, those that go on first
    ways: Ways  # on which it reaches us without a phone


def hand_out(core: Core, caller: Caller, case_id: str, device_id: str) -> None:
    """Hand a button out: from now on its presses are about this case. One without a phone moves in one step.

    Raises Refused: unknown_case, case_closed, no_grant, unknown_device, button_revoked, button_elsewhere,
    button_trackable.
    """
    with core.store.transaction():
        if case_access.of_zone(core, caller, case_id).closed_at_ms is not None:
            raise Refused("case_closed")
        if grants.running(core, case_id) is None:
            raise Refused("no_grant")
        device = core.store.one("device", device_id=device_id)
        if device is None:
            raise Refused("unknown_device")
        if device["revoked_at_ms"] is not None:
            raise Refused("button_revoked")
        if exercises.is_running(buttons.exercise_of(core, device_id), core.now_ms()):
            raise Refused("button_exercises")
        before = core.store.one("last_assignment", device_id=device_id)
        if before is not None and before["case_id"] != case_id and is_trackable(core, device_id):
            raise Refused("button_trackable")
        if before is not None and before["taken_back_at_ms"] is None:
            _take_from(core, caller, case_id, device_id)
        core.store.run("hand_out", device_id=device_id, case_id=case_id, now_ms=core.now_ms())
        event_log.note(core, "button_handed_out", caller.actor, case_id=case_id, device_id=device_id)


def _take_from(core: Core, caller: Caller, case_id: str, device_id: str) -> None:
    """Take a button that no phone ever knew from another case of the same zone. Raises Refused."""
    holder = core.store.one("assignment", device_id=device_id)
    assert holder is not None
    if holder["case_id"] == case_id or holder["zone"] != caller.zone:
        raise Refused("button_elsewhere")
    if core.store.all("bridges_of_device", device_id=device_id):
        raise Refused("button_elsewhere")
    end(core, caller.actor, holder["case_id"], device_id)


def is_trackable(core: Core, device_id: str) -> bool:
    """Whether a revoked bridge knows its keys: it stays so until it is provisioned again, as another one."""
    return core.store.one("trackable", device_id=device_id) is not None


def take_back(core: Core, caller: Caller, case_id: str, device_id: str) -> None:
    """Take a button back: phones cut off, codes void, PINs gone; what it does from now on is nobody's.

    Raises Refused: unknown_case, unknown_device, alarm_open.
    """
    with core.store.transaction():
        check_held(core, caller, case_id, device_id)
        if alarm_open(core, device_id):
            raise Refused("alarm_open")
        end(core, caller.actor, case_id, device_id)


def alarm_open(core: Core, device_id: str) -> bool:
    """Whether an alarm of a button is not closed."""
    closed = {"alarm": codes.ALARM, "closed": receipts.CLOSED}
    return bool(core.store.all("open_alarms_of_device", device_id=device_id, **closed))


def end(core: Core, actor: str, case_id: str | None, device_id: str) -> None:
    """End an assignment, if any, with all that the button's phones could do. Within a transaction."""
    now_ms = core.now_ms()
    cut = core.store.run("revoke_bridges_of_device", device_id=device_id, now_ms=now_ms)
    core.store.run("void_enrolments", device_id=device_id, now_ms=now_ms)
    core.store.run("set_pins", device_id=device_id, pin_hash=None, duress_pin_hash=None)
    core.store.run("forget_pin_attempts", device_id=device_id)
    core.store.run("end_assignment", device_id=device_id, now_ms=now_ms)
    which = {"case_id": case_id, "device_id": device_id}
    event_log.note(core, "button_taken_back", actor, **which, bridges_revoked=cut)


def issue_enrolment(core: Core, caller: Caller, case_id: str, device_id: str) -> str:
    """Issue a code for another phone of a button.

    Raises Refused: unknown_case, unknown_device, button_revoked.
    """
    check_held(core, caller, case_id, device_id)
    code = buttons.issue_enrolment(core, device_id, caller.actor, case_id=case_id)
    if code is None:
        raise Refused("button_revoked")
    return code


def case_of(core: Core, device_id: str) -> str | None:
    """Return the case that a button serves now, or None."""
    holder = core.store.one("assignment", device_id=device_id)
    return None if holder is None else str(holder["case_id"])


def check_held(core: Core, caller: Caller, case_id: str, device_id: str) -> None:
    """Check that the case has the button. Raises Refused: unknown_case, unknown_device."""
    case_access.of_zone(core, caller, case_id)
    if case_of(core, device_id) != case_id:
        raise Refused("unknown_device")


def free(core: Core) -> list[str]:
    """Return the device_ids of buttons that can be handed out, the first imported first."""
    return [row["device_id"] for row in core.store.all("free_buttons", at_most=FREE_SHOWN_MAX)]


def of_case(
    core: Core, case_id: str, test_every_days: int = rules.TEST_DAYS, alive_s: int = heartbeats.ALIVE_S
) -> tuple[list[Button], list[FormerAssignment]]:
    """Return the buttons of a case, as they live; and the assignments that are over."""
    rows = core.store.all("assignments_of_case", case_id=case_id)
    now = [_button(core, row, test_every_days, alive_s) for row in rows if row["taken_back_at_ms"] is None]
    return now, [typed(FormerAssignment, row) for row in rows if row["taken_back_at_ms"] is not None]


def _button(core: Core, assignment: Row, test_every_days: int, alive_s: int) -> Button:
    which = {"device_id": assignment["device_id"]}
    device = core.store.one("device", **which)
    assert device is not None
    pressed, tested = (
        core.store.one("last_of_button", event=event, case_id=assignment["case_id"], **which)
        for event in (codes.ALARM, codes.TEST)
    )
    assert pressed is not None
    assert tested is not None
    bridges = [typed(Phone, row) for row in core.store.all("bridges_of_device", **which)]
    state = core.store.one("button_state", **which)
    return Button(
        assignment["device_id"],
        assignment["given_at_ms"],
        device["revoked_at_ms"] is not None,
        is_trackable(core, assignment["device_id"]),
        None if state is None else typed(ButtonState, state),
        bridges,
        pressed["count"],
        pressed["at_ms"],
        tested["count"],
        tested["at_ms"],
        _found_after_min(bridges, device["alive_period_s"], alive_s),
        rules.untested_days(tested["at_ms"], assignment["given_at_ms"], core.now_ms(), test_every_days),
        supervision.losses_of_button(
            core, assignment["device_id"], assignment["given_at_ms"], LOSSES_SHOWN_MAX
        ),
        carriers.of_button(core, assignment["device_id"], assignment["case_id"], assignment["given_at_ms"]),
    )


def _found_after_min(bridges: list[Phone], period_s: int, alive_s: int) -> int | None:
    """Reckon by those of its phones that live; it is lost when none of them hears it any more."""
    waits_ms = [
        rules.reach_ms(period_s, alive_s, bridge.lost_after_s)
        for bridge in bridges
        if bridge.revoked_at_ms is None and bridge.alive_at_ms is not None
    ]
    return round(max(waits_ms) / 60_000) if waits_ms else None
