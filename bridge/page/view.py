"""What the page is told: the bridge's status in a gadget's words. Pure.

Names and values go over the wire to a browser that somebody may look into: none says what this is.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from bridge.model import ButtonStatus, Fix, PressStatus, Status, Trouble
from bridge.page.words import notice

NOTICES_MAX = 20
# A press that cannot be sent tells of these before the next sign of life would.
_NO_SYNC = (
    *("centre_down", "centre_timeout", "centre_failing", "no_network", "captive_portal"),
    *("tls_wrong", "certificate_expired", "not_a_centre"),
)


def view(status: Status, language: str, name: str) -> dict[str, Any]:
    """`status` as the page shows it; times in ms since 1970."""
    notices = dict.fromkeys(
        notice(trouble, language, _name(trouble, status, name)) for trouble in _troubles(status)
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
    """Never "up to date" beside a notice that nothing can be sent."""
    away = any(trouble.where == "centre" and trouble.reason in _NO_SYNC for trouble in status.troubles)
    return False if away else status.centre_ok


def _troubles(status: Status) -> Iterator[Trouble]:
    """A button's fault is one, too, unless somebody has told of it already: then it has the same words."""
    yield from status.troubles
    for button in status.buttons:
        for fault in button.faults:
            yield Trouble(f"button {button.device_id}", fault, "", status.now_ms)


def _name(trouble: Trouble, status: Status, name: str) -> str:
    """With several buttons, which one: as the page calls it."""
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
