"""What the page is told: the bridge's status in a gadget's words. Pure.

Names and values go over the wire to a browser that somebody may look into: none says what this is.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from bridge.model import ButtonStatus, Fix, PressStatus, Status, Trouble
from bridge.page.words import notice, place_of

NOTICES_MAX = 20
# The gravest first: a press is not heard, may not be heard, is not sent; then what will not last.
GRAVITY = ("radio", "button.out_of_reach", "button.stuck", "centre", "button", "battery", "disk", "clock")
# A press that cannot be sent tells of these before the next heartbeat would.
_NO_SYNC = (
    *("centre_down", "centre_timeout", "centre_failing", "no_network", "captive_portal"),
    *("tls_wrong", "certificate_expired", "not_a_centre"),
)


def view(status: Status, language: str, name: str) -> dict[str, Any]:
    """Return `status` as the page shows it; times in ms since 1970."""
    notices = dict.fromkeys(
        notice(trouble, language, _name(trouble, status, name))
        for trouble in sorted(_troubles(status), key=_gravity)
    )
    return {
        "seen": status.generation,
        "now": status.now_ms,
        "tags": [_tag(button) for button in status.buttons],
        "sync": {"ok": _sync(status), "at": status.centre_at_ms},
        "listening": status.listening,
        "phone": status.battery_percent,
        "place": None if status.fix is None else _place(status.fix),
        "notices": [{"title": title, "text": text} for title, text in [*notices][:NOTICES_MAX]],
    }


def _sync(status: Status) -> bool | None:
    """Return whether the centre answers: never "up to date" beside a notice that nothing can be sent."""
    away = any(trouble.where == "centre" and trouble.reason in _NO_SYNC for trouble in status.troubles)
    return False if away else status.centre_ok


def _gravity(trouble: Trouble) -> int:
    """Return the trouble's place in GRAVITY; what is not in it comes last."""
    place = place_of(trouble)
    keys = (f"{place}.{trouble.reason}", place)
    return next((GRAVITY.index(key) for key in keys if key in GRAVITY), len(GRAVITY))


def _troubles(status: Status) -> Iterator[Trouble]:
    """Yield the troubles, and each button's faults.

    One of which somebody has told already has the same words, and is shown once.
    """
    yield from status.troubles
    for button in status.buttons:
        for fault in button.faults:
            yield Trouble(f"button {button.device_id}", fault, "", status.now_ms)


def _name(trouble: Trouble, status: Status, name: str) -> str:
    """Return the button's name as the page has it: with several buttons, it says which one."""
    place, _, rest = trouble.where.partition(" ")
    return f"{name} {rest[:16][-4:]}" if place == "button" and len(status.buttons) > 1 else name


def _tag(button: ButtonStatus) -> dict[str, Any]:
    return {
        "id": button.device_id,
        "heard": button.heard_at_ms,
        "near": button.in_reach,
        "low": button.battery_low,
        "mv": button.battery_mv,
        "last": None if button.last_press is None else _press(button.last_press),
        "test": None if button.last_test is None else _press(button.last_test),
    }


def _press(press: PressStatus) -> dict[str, Any]:
    return {
        "tag": press.device_id,
        "event": press.event,
        "counter": press.counter,
        "at": press.heard_at_ms,
        "stage": press.stage,
        "felt": press.delivered,
        "undo": press.call_off,
        "can_undo": press.can_call_off,
    }


def _place(fix: Fix) -> dict[str, Any]:
    try:
        at_ms = int(datetime.fromisoformat(fix.taken_at).timestamp() * 1000)
    except ValueError:
        at_ms = None
    return {"metres": round(fix.radius_m), "at": at_ms, "doubtful": bool(fix.marks)}
