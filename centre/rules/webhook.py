"""What a dispatch system is told of an incident, how it is signed, when it is tried again. Pure.

It gets what sends a car: where, how sure, how old, which case. No name, no file, no duress, no reason of
closing: its own right opens the case for those who may. A call-off is told alike for both PINs, and ends
nothing: `open` stays true until an operator closes.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from centre.rules import times
from centre.rules.newest_position import Newest, Position
from wire import receipts

OPENED, ACKNOWLEDGED, DISPATCHED, CLOSED = "opened", "acknowledged", "dispatched", "closed"
CALLED_OFF, ESCALATED = "called_off", "escalated"
KINDS = (OPENED, ACKNOWLEDGED, DISPATCHED, CLOSED, CALLED_OFF, ESCALATED)
OF_STAGE = {
    receipts.ACKNOWLEDGED: ACKNOWLEDGED,
    receipts.DISPATCHED: DISPATCHED,
    receipts.CLOSED: CLOSED,
}

FIRST_AGAIN_MS, AGAIN_MS_MAX = 1_000, 60_000
GIVEN_UP_MS = 86_400_000  # a day later nobody sends a car for it
KEY_BYTES = 32


def body(event_id: str, kind: str, incident: Mapping[str, Any], newest: Newest | None, now_ms: int) -> str:
    """Write the JSON of one event: the same bytes at every attempt.

    `other_fix` is what another phone says where it cannot be the same place: then neither is the newest.
    """
    content: dict[str, Any] = {
        "id": event_id,
        "event": kind,
        "at": times.write(now_ms),
        "incident": incident["incident_id"],
        "case": incident["case_id"],
        "stage": receipts.NAMES[incident["stage"]],
        "open": incident["stage"] != receipts.CLOSED,
        "opened_at": times.write(incident["opened_at_ms"]),
        "fix": newest and _fix(newest.position, now_ms),
        "other_fix": newest and newest.other and _fix(newest.other, now_ms),
    }
    return json.dumps(content, separators=(",", ":"))


def _fix(position: Position, now_ms: int) -> dict[str, Any]:
    fix = position.fix
    return {
        "lat": fix.lat,
        "lon": fix.lon,
        "radius_m": fix.radius_m,
        "method": fix.method,
        "taken_at": times.write(max(0, position.at_ms)),
        "age_s": max(0, now_ms - position.at_ms) // 1000,
    }


def signature(key: bytes, timestamp_s: int, content: bytes) -> str:
    """Sign for `X-AMR-Signature`: HMAC-SHA256 (RFC 2104) over the timestamp's digits, a full stop, body."""
    return "sha256=" + hmac.new(key, b"%d." % timestamp_s + content, hashlib.sha256).hexdigest()


def again_ms(attempts: int) -> int:
    """Return how long to wait after so many attempts: 1 s, doubling, to 60 s."""
    return int(min(FIRST_AGAIN_MS * 2 ** min(attempts - 1, 10), AGAIN_MS_MAX))
