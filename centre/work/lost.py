"""A phone or a button that was lost or stolen: refused in one act, and what its finder can still do."""

from dataclasses import dataclass
from enum import StrEnum

from centre.rules.access import Caller
from centre.rules.refusals import Refused
from centre.work import assignments, buttons, event_log
from centre.work.core import Core


class Thing(StrEnum):
    """What was lost."""

    PHONE = "phone"
    BUTTON = "button"


@dataclass(frozen=True, slots=True)
class Lost:
    """What became of it.

    `at_ms`: since when it is refused. `code`: of the next phone's label, where there is one.
    `phones_left`: of the button, that still work.
    """

    thing: Thing
    device_id: str
    at_ms: int
    alarm_open: bool
    phones_left: int
    code: str | None = None

    @property
    def sentences(self) -> list[str]:
        """Return what is said of it, as keys of the words "lost": done, still possible, until when, next."""
        if self.thing is Thing.PHONE:
            keys = ["phone_done", "phone_can", "phone_until", "phone_data"]
            keys += ["phone_alarm_open"] if self.alarm_open else []
            keys.append("phone_left" if self.phones_left else "phone_none_left")
            return [*keys, "button_next" if self.code is None else "phone_next"]  # no code: a revoked button
        keys = ["button_done", "button_can", "button_until"]
        return [*keys, "button_alarm_open" if self.alarm_open else "button_taken_back", "button_next"]


def lose_phone(core: Core, caller: Caller, case_id: str, device_id: str, bridge_id: str) -> Lost:
    """Cut a phone off, void the labels that nobody has used, and issue the code of the next one.

    While an alarm is open, too: a thief could keep one open for ever. Done again, it issues another code.
    Raises Refused: unknown_case, unknown_device.
    """
    assignments.check_held(core, caller, case_id, device_id)
    if device_id not in devices_of(core, bridge_id):
        raise Refused("unknown_device")
    return _lose_phone(core, caller.actor, case_id, device_id, bridge_id)


def lose_any_phone(core: Core, bridge_id: str) -> list[Lost]:
    """Do so at the terminal, for each button that the phone served; empty where there is no such phone."""
    return [
        _lose_phone(core, event_log.COMMAND, assignments.case_of(core, device_id), device_id, bridge_id)
        for device_id in devices_of(core, bridge_id)
    ]


def devices_of(core: Core, bridge_id: str) -> list[str]:
    """Return the buttons that a phone serves or has served."""
    return [row["device_id"] for row in core.store.all("devices_of_bridge", bridge_id=bridge_id)]


def _lose_phone(core: Core, actor: str, case_id: str | None, device_id: str, bridge_id: str) -> Lost:
    which = {"case_id": case_id, "device_id": device_id}
    with core.store.transaction():
        now_ms = core.now_ms()
        core.store.run("revoke_bridge", bridge_id=bridge_id, now_ms=now_ms)
        core.store.run("void_enrolments", device_id=device_id, now_ms=now_ms)
        event_log.note(core, "phone_lost", actor, bridge_id=bridge_id, **which)
    code = buttons.issue_enrolment(core, device_id, actor, case_id=case_id)
    cut_off = core.store.one("bridge", bridge_id=bridge_id)
    assert cut_off is not None
    return _lost(core, Thing.PHONE, device_id, cut_off["revoked_at_ms"], code)


def lose_button(core: Core, caller: Caller, case_id: str, device_id: str) -> Lost:
    """Revoke a button: what it presses from now on waits for an administrator.

    It is taken back, unless an alarm of it is open: that goes on, and its phone tells where the person is.
    Raises Refused: unknown_case, unknown_device.
    """
    assignments.check_held(core, caller, case_id, device_id)
    return _lose_button(core, caller.actor, case_id, device_id)


def lose_any_button(core: Core, device_id: str) -> Lost | None:
    """Do so at the terminal; None where there is no such button."""
    if core.store.one("device", device_id=device_id) is None:
        return None
    return _lose_button(core, event_log.COMMAND, assignments.case_of(core, device_id), device_id)


def _lose_button(core: Core, actor: str, case_id: str | None, device_id: str) -> Lost:
    with core.store.transaction():
        core.store.run("revoke_device", device_id=device_id, now_ms=core.now_ms())
        event_log.note(core, "button_lost", actor, case_id=case_id, device_id=device_id)
        if not assignments.alarm_open(core, device_id):
            assignments.end(core, actor, case_id, device_id)
    device = core.store.one("device", device_id=device_id)
    assert device is not None
    return _lost(core, Thing.BUTTON, device_id, device["revoked_at_ms"])


def _lost(core: Core, thing: Thing, device_id: str, at_ms: int, code: str | None = None) -> Lost:
    phones = core.store.all("bridges_of_device", device_id=device_id)
    left = sum(phone["revoked_at_ms"] is None for phone in phones)
    return Lost(thing, device_id, at_ms, assignments.alarm_open(core, device_id), left, code)
