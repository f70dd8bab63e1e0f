"""What a dispatch system may ask of an alarm, read and checked. Pure.

An act is done once for each key; the same key with anything else is a mistake. What has been done already, by
whom it may be, is no new act: the system is told so, since it shows its own people that they did it.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from centre.rules import fields
from centre.rules.incidents import CLOSE_REASONS, CloseReason
from centre.rules.refusals import Refused
from centre.rules.running_log import STEPS, PatrolStep

ACTS_PER_S, ACTS_AT_ONCE = 5, 30  # of one system
KEPT_MS = 7 * 86_400_000  # how long the same key is the same act
_KEY = re.compile(r"[!-~]{1,64}", re.ASCII)


class Verb(StrEnum):
    """What can be done, as it stands in the address."""

    ACKNOWLEDGE = "acknowledge"
    DISPATCH = "dispatch"
    PROGRESS = "progress"
    CLOSE = "close"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Act:
    """One act on one alarm, as a dispatch system asks for it."""

    verb: Verb
    incident_id: str
    key: str
    request_sha256: bytes
    patrol: str = ""
    step: PatrolStep = PatrolStep.SENT
    reason: CloseReason | None = None
    text: str = ""


def read(verb: Verb, incident_id: str, body: object, header: str | None) -> Act:
    """Read an act; `header`: the Idempotency-Key. Raises Refused: wrong_type, out_of_range."""
    if not isinstance(body, dict):
        raise Refused("wrong_type", "the body must be a JSON object")
    request = json.dumps([verb, incident_id, body], sort_keys=True).encode()
    act = Act(verb, incident_id, _key(body, header), hashlib.sha256(request).digest())
    match verb:
        case Verb.DISPATCH if "patrol" in body:
            return replace(act, patrol=fields.required(body, "patrol", str))
        case Verb.PROGRESS:
            step = PatrolStep(_one_of(body, "step", STEPS[1:]))
            return replace(act, patrol=fields.required(body, "patrol", str), step=step)
        case Verb.CLOSE:
            return replace(act, reason=CloseReason(_one_of(body, "reason", CLOSE_REASONS)))
        case Verb.NOTE:
            return replace(act, text=fields.required(body, "text", str))
    return act


def _key(body: Mapping[str, Any], header: str | None) -> str:
    """Return the key, from the header or from the body's `id`; where both are there they agree."""
    key = header if header is not None else fields.required(body, "id", str)
    if not _KEY.fullmatch(key):
        raise Refused("out_of_range", "a key is 1 to 64 characters of ASCII, without a space", field="id")
    if body.get("id", key) != key:
        raise Refused("out_of_range", "id and the header Idempotency-Key differ", field="id")
    return key


def _one_of(body: Mapping[str, Any], name: str, allowed: tuple[str, ...]) -> str:
    value = fields.required(body, name, str)
    if value not in allowed:
        raise Refused("out_of_range", f"{name} must be one of {', '.join(allowed)}", field=name)
    return value
