"""An incident as a CAP 1.2 message (OASIS Common Alerting Protocol), for systems that speak it. Pure.

It tells what the webhook tells, and hides what that hides: no name, no file, no duress. Each state of the
incident is a message of its own, and refers to those before, which it replaces:

    Alert          it is open, and nobody has taken it
    Update         taken; help was sent; a newer position; called off (which ends nothing); over
    Cancel         over, and it was nothing: called off, a mis-press, technical

Over after a call-off is a Cancel whatever the reason: else `duress` would be the one that is not.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

from wire import codes, receipts

NAMESPACE = "urn:oasis:names:tc:emergency:cap:1.2"
MEDIA_TYPE = "application/cap+xml"
REFERENCES_MAX = 100  # the newest
OPENING_MS = 1_000  # a position that is here so soon came with the alarm
RESTRICTION = "For emergency services that this alarm concerns; not for the public"
_FALSE_ALARMS = ("mis-press", "called-off", "technical")


@dataclass(frozen=True, slots=True)
class Standing:
    """An incident as it stands. `moments`: when it changed, and to which stage, in order; first: opened."""

    incident_id: str
    event: int
    case_id: str | None
    pressed_at_ms: int
    moments: Sequence[tuple[int, int]]  # (at_ms, stage)
    called_off_at_ms: int | None = None
    close_reason: str | None = None
    fix: Mapping[str, Any] | None = None  # the newest

    @property
    def stage(self) -> int:
        return self.moments[-1][1]


def moments(
    opened_at_ms: int, stages: Sequence[tuple[int, int]], others_ms: Sequence[int]
) -> list[tuple[int, int]]:
    """Of the receipts, (at_ms, stage), and of when else something became known."""
    changes = sorted({*stages, *((at_ms, 0) for at_ms in others_ms)})
    found = [(opened_at_ms, receipts.RECEIVED)]
    for at_ms, stage in changes:
        if stage <= found[-1][1] and at_ms - opened_at_ms < OPENING_MS:
            continue
        found.append((at_ms, max(stage, found[-1][1])))
    return found


def document(now: Standing, sender: str, languages: Mapping[str, Mapping[str, str]]) -> bytes:
    """XML, one `info` for each of `languages`: the same for all who ask. Words: those of the page "cap"."""
    alert = ElementTree.Element(f"{{{NAMESPACE}}}alert")
    identifiers = [f"{now.incident_id}.{stage}.{at_ms}" for at_ms, stage in now.moments]
    sent = [_time(at_ms) for at_ms, _ in now.moments]
    _add(alert, "identifier", identifiers[-1])
    _add(alert, "sender", sender)
    _add(alert, "sent", sent[-1])
    _add(alert, "status", "Test" if now.event == codes.TEST else "Actual")
    _add(alert, "msgType", message_type(now))
    _add(alert, "scope", "Restricted")
    _add(alert, "restriction", RESTRICTION)
    earlier = [f"{sender},{name},{at}" for name, at in zip(identifiers, sent, strict=True)][:-1]
    if earlier:
        _add(alert, "references", " ".join(earlier[-REFERENCES_MAX:]))
    _add(alert, "incidents", now.incident_id)
    for language, words in languages.items():
        _add_info(alert, now, language, words)
    written = ElementTree.tostring(alert, "UTF-8", xml_declaration=True, default_namespace=NAMESPACE)
    return bytes(written)


def message_type(now: Standing) -> str:
    if now.stage == receipts.CLOSED and (now.called_off_at_ms or now.close_reason in _FALSE_ALARMS):
        return "Cancel"
    return "Alert" if len(now.moments) == 1 else "Update"


def judged(now: Standing) -> tuple[str, str, str, str]:
    """What to do, urgency, severity, certainty. A person's life counts as at stake until somebody closes.

    How sure it is nobody knows before an operator finds it worth sending help; then it is likely.
    """
    if now.event == codes.TEST:
        return "None", "Unknown", "Minor", "Unknown"
    if now.stage == receipts.CLOSED:
        return "None", "Past", "Unknown", "Unknown"
    if now.stage == receipts.DISPATCHED:
        return "Monitor", "Immediate", "Extreme", "Likely"
    return "Assess", "Immediate", "Extreme", "Unknown"


def _add_info(alert: ElementTree.Element, now: Standing, language: str, words: Mapping[str, str]) -> None:
    info = _add(alert, "info")
    response, urgency, severity, certainty = judged(now)
    _add(info, "language", language)
    _add(info, "category", "Security")
    _add(info, "event", words["test" if now.event == codes.TEST else "alarm"])
    _add(info, "responseType", response)
    _add(info, "urgency", urgency)
    _add(info, "severity", severity)
    _add(info, "certainty", certainty)
    _add(info, "onset", _time(now.pressed_at_ms))
    _add(info, "headline", words["test" if now.event == codes.TEST else f"stage_{now.stage}"])
    for name, value in _parameters(now).items():
        parameter = _add(info, "parameter")
        _add(parameter, "valueName", name)
        _add(parameter, "value", value)
    if now.fix is not None:
        area = _add(info, "area")
        _add(area, "areaDesc", words["area"].format(radius_m=math.ceil(now.fix["radius_m"])))
        # Rounded up: a circle that is too small would be a promise.
        radius_km = math.ceil(now.fix["radius_m"]) / 1000
        _add(area, "circle", f"{now.fix['lat']:.6f},{now.fix['lon']:.6f} {radius_km:.3f}")


def _parameters(now: Standing) -> dict[str, str]:
    """What CAP has no element for; only what is known."""
    told: dict[str, object] = {"stage": receipts.NAMES[now.stage], "case": now.case_id}
    if now.called_off_at_ms is not None:
        told["called_off_at"] = _time(now.called_off_at_ms)
    if now.fix is not None:
        fix, sent_ms = now.fix, now.moments[-1][0]
        told |= {
            "fix_taken_at": _time(fix["taken_at_ms"]),
            "fix_age_s": max(0, sent_ms - fix["taken_at_ms"]) // 1000,
            "fix_method": fix["method"],
            "fix_source": fix["source"],
            "fix_confidence": None if fix["confidence"] is None else f"{fix['confidence']:g}",
            "fix_marks": fix["marks"] or None,
        }
    return {name: str(value) for name, value in told.items() if value is not None}


def _add(parent: ElementTree.Element, name: str, text: str | None = None) -> ElementTree.Element:
    element = ElementTree.SubElement(parent, f"{{{NAMESPACE}}}{name}")
    element.text = text
    return element


def _time(at_ms: int) -> str:
    """CAP 1.2, 3.3.2: to the second, UTC as "-00:00", never "Z"."""
    return f"{datetime.fromtimestamp(at_ms // 1000, UTC):%Y-%m-%dT%H:%M:%S}-00:00"
