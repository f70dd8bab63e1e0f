"""What a dispatch system is told of an incident, how it is signed, when it is tried again. Pure.

It gets what sends a car: where, how sure, how old, which case. No name, no file, no duress, no reason of
closing: its own right opens the case for those who may. A call-off is told alike for both PINs, and ends
nothing: `open` stays true until an operator closes.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
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
KEY_BYTES_MIN, KEY_BYTES_MAX = 24, 64  # of a secret in the standard's form
SECRETS_MAX = 3  # that sign at once, while a receiver changes from one to the next
PREFIX = "whsec_"


def body(event_id: str, kind: str, incident: Mapping[str, Any], newest: Newest | None, now_ms: int) -> str:
    """Write the JSON of one event: the same bytes at every attempt.

    `other_fix` is what another phone says where it cannot be the same place: then neither is the newest.
    """
    content: dict[str, Any] = {
        "id": event_id,
        "event": kind,
        "at": times.write(now_ms),
        "incident": incident["incident_id"],
        "follows": incident["follows"],  # an alarm that was closed too early: no second car for it
        "case": incident["case_id"],
        "exercise": incident["exercise"] is not None,
        "stage": receipts.NAMES[incident["stage"]],
        "open": incident["stage"] != receipts.CLOSED,
        "opened_at": times.write(incident["opened_at_ms"]),
        # The alarm is silent: a telephone that rings tells whoever stands beside the protected person.
        "do_not_call": True,
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


def secret(key: bytes) -> str:
    """Write a key in the form of Standard Webhooks."""
    return PREFIX + base64.b64encode(key).decode()


def key_of(text: str) -> bytes:
    """Return the key of a secret. Raises ValueError."""
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
    if not text.startswith(PREFIX) or not KEY_BYTES_MIN <= len(key) <= KEY_BYTES_MAX:
        raise ValueError("it is no secret in the form of Standard Webhooks")
    return key


def headers(keys: Iterable[bytes], event_id: str, timestamp_s: int, content: bytes) -> dict[str, str]:
    """Sign as Standard Webhooks has it, once with each key: HMAC-SHA256 (RFC 2104) over id, time and body."""
    signed = f"{event_id}.{timestamp_s}.".encode() + content
    macs = (hmac.new(key, signed, hashlib.sha256).digest() for key in keys)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(f"v1,{base64.b64encode(mac).decode()}" for mac in macs),
    }


def again_ms(attempts: int) -> int:
    """Return how long to wait after so many attempts: 1 s, doubling, to 60 s."""
    return int(min(FIRST_AGAIN_MS * 2 ** min(attempts - 1, 10), AGAIN_MS_MAX))
