"""Exercises: buttons whose presses alarm nobody in earnest, and what desks say of a test alarm."""

import secrets
from dataclasses import dataclass

from centre.rules import exercises
from centre.rules.access import Caller
from centre.rules.refusals import Refused
from centre.rules.registry import Button
from centre.work import board, buttons, event_log
from centre.work.board import Advanced
from centre.work.core import Core, typed
from wire import receipts

KIND, BOARD = "check", "amr-centre"
SHOWN_MAX = 100


@dataclass(frozen=True, slots=True)
class Running:
    """A button that is in exercise now."""

    device_id: str
    zone: str
    begins_at_ms: int
    ends_at_ms: int


@dataclass(frozen=True, slots=True)
class CheckButton:
    """A button that a program of ours holds, to check a zone's desks with."""

    device_id: str
    zone: str
    added_at_ms: int


@dataclass(frozen=True, slots=True)
class DeskCheck:
    """An operator has seen a test alarm, and heard its sound, or not."""

    incident_id: str
    zone: str
    name: str  # of the operator
    opened_at_ms: int
    confirmed_at_ms: int
    sound_heard: int

    @property
    def after_s(self) -> float:
        """Return how long it took."""
        return (self.confirmed_at_ms - self.opened_at_ms) / 1000


def begin(core: Core, device_id: str, zone: str, minutes: int) -> int:
    """Put a button that nobody holds in exercise; return when that ends by itself.

    Raises Refused: unknown_device, button_revoked, button_elsewhere.
    """
    assert 0 < minutes <= exercises.MINUTES_MAX
    with core.store.transaction():
        device = core.store.one("device", device_id=device_id)
        if device is None:
            raise Refused("unknown_device")
        if device["revoked_at_ms"] is not None:
            raise Refused("button_revoked")
        if core.store.one("assignment", device_id=device_id) is not None:
            raise Refused("button_elsewhere", "a protected person has this button: its alarms are true")
        now_ms = core.now_ms()
        ends_at_ms = now_ms + minutes * 60_000
        core.store.run("set_exercise", device_id=device_id, zone=zone, now_ms=now_ms, ends_at_ms=ends_at_ms)
        who = {"actor": event_log.COMMAND, "device_id": device_id}
        event_log.note(core, "exercise_begun", **who, zone=zone, ends_at_ms=ends_at_ms)
    return ends_at_ms


def end(core: Core, device_id: str) -> bool:
    """End it early; return whether there was one."""
    with core.store.transaction():
        ended = bool(core.store.run("end_exercise", device_id=device_id, now_ms=core.now_ms()))
        if ended:
            event_log.note(core, "exercise_ended", event_log.COMMAND, device_id=device_id)
    return ended


def running(core: Core) -> list[Running]:
    """Return the buttons in exercise, those that end first before the others."""
    return [typed(Running, row) for row in core.store.all("exercises_running", now_ms=core.now_ms())]


def check_buttons(core: Core) -> list[CheckButton]:
    """Return the check buttons in use, by zone."""
    return [typed(CheckButton, row) for row in core.store.all("check_buttons")]


def add_check_button(core: Core, zone: str, button: Button) -> None:
    """Take in a check button of a zone: from now on, for ever, its presses are exercises."""
    with core.store.transaction():
        buttons.take_in(core, button)
        now_ms = core.now_ms()
        core.store.run("add_check_button", device_id=button.device_id, zone=zone, now_ms=now_ms)
        device_id = button.device_id
        event_log.note(core, "check_button_added", event_log.COMMAND, device_id=device_id, zone=zone)


def new_check_button(code_sha256: str) -> Button:
    """Return a button that no hand will press."""
    device_id = "".join(secrets.choice(buttons.BASE32) for _ in range(16))
    return Button(device_id, secrets.token_bytes(32), code_sha256, KIND, BOARD)


def confirm(core: Core, caller: Caller, incident_id: str, *, sound_heard: bool) -> Advanced:
    """Note that a test alarm was seen, and whether it was heard; so it is over. The first word stands.

    Raises Refused: unknown_incident, not_a_check.
    """
    with core.store.transaction():
        alarm = board.alarm_of(core, incident_id)
        incident = core.store.one("incident", incident_id=incident_id)
        assert incident is not None
        zone = incident["exercise"]
        if zone is None or buttons.exercise_of(core, alarm.device_id).check_zone is None:
            raise Refused("not_a_check")
        said = {"zone": zone, "sound_heard": int(sound_heard)}
        who = {"opened_at_ms": incident["opened_at_ms"], "user_id": caller.user_id, "now_ms": core.now_ms()}
        if core.store.run("add_desk_check", incident_id=incident_id, **said, **who):
            which = {"incident_id": incident_id, "device_id": alarm.device_id}
            event_log.note(core, "desk_checked", caller.actor, **which, **said)
        reached, is_new = board.reach(core, caller, alarm, receipts.CLOSED)
        return board.advanced(core, alarm, receipts.CLOSED, is_new=is_new, reached=reached)


def desk_check(core: Core, incident_id: str) -> DeskCheck | None:
    """Return what was said of a test alarm, or None."""
    row = core.store.one("desk_check", incident_id=incident_id)
    return None if row is None else typed(DeskCheck, row)


def last_desk_checks(core: Core) -> list[DeskCheck]:
    """Return the last check of each zone by each operator."""
    return [typed(DeskCheck, row) for row in core.store.all("last_desk_checks", at_most=SHOWN_MAX)]
