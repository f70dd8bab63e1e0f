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
from xml.etree import ElementTree

from centre.rules.newest_position import Newest, Position
from centre.rules.places import metres
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
    newest: Newest | None = None
    is_exercise: bool = False

    @property
    def stage(self) -> int:
        return self.moments[-1][1]


def moments(
    opened_at_ms: int, stages: Sequence[tuple[int, int]], others_ms: Sequence[int]
) -> list[tuple[int, int]]:
    """Of the receipts, (at_ms, stage), and of when else something became known."""
    changes = sorted({*stages, *((at_ms, 0) for at_ms in others_ms)})
    states = [(opened_at_ms, receipts.RECEIVED)]
    for at_ms, stage in changes:
        if stage <= states[-1][1] and at_ms - opened_at_ms < OPENING_MS:
            continue
        states.append((at_ms, max(stage, states[-1][1])))
    return states


def document(now: Standing, sender: str, languages: Mapping[str, Mapping[str, str]]) -> bytes:
    """XML, one `info` for each of `languages`: the same for all who ask. Words: those of the page "cap"."""
    alert = ElementTree.Element(f"{{{NAMESPACE}}}alert")
    identifiers = [f"{now.incident_id}.{stage}.{at_ms}" for at_ms, stage in now.moments]
    sent = [_time(at_ms) for at_ms, _ in now.moments]
    _add(alert, "identifier", identifiers[-1])
    _add(alert, "sender", sender)
    _add(alert, "sent", sent[-1])
    _add(alert, "status", "Exercise" if now.is_exercise else "Test" if now.event == codes.TEST else "Actual")
    _add(alert, "msgType", message_type(now))
    _add(alert, "scope", "Restricted")
    _add(alert, "restriction", RESTRICTION)
    if now.is_exercise:  # which one: CAP 1.2, 3.2.1, status
        _add(alert, "note", f"Exercise {now.incident_id}")
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
    """Say what to do, urgency, severity, certainty. A life counts as at stake until somebody closes.

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
    _add(
        info,
        "event",
        words["exercise" if now.is_exercise else "test" if now.event == codes.TEST else "alarm"],
    )
    _add(info, "responseType", response)
    _add(info, "urgency", urgency)
    _add(info, "severity", severity)
    _add(info, "certainty", certainty)
    _add(info, "onset", _time(now.pressed_at_ms))
    headline = words["test" if now.event == codes.TEST else f"stage_{now.stage}"]
    _add(info, "headline", f"{words['exercise']} · {headline}" if now.is_exercise else headline)
    for name, value in _parameters(now).items():
        parameter = _add(info, "parameter")
        _add(parameter, "valueName", name)
        _add(parameter, "value", value)
    for position in _positions(now):
        fix, area = position.fix, _add(info, "area")
        _add(area, "areaDesc", words["area"].format(radius=metres(fix.radius_m)))
        # Rounded up: a circle that is too small would be a promise.
        _add(area, "circle", f"{fix.lat:.6f},{fix.lon:.6f} {math.ceil(fix.radius_m) / 1000:.3f}")


def _positions(now: Standing) -> list[Position]:
    """Return the newest; two where two phones say different places."""
    if now.newest is None:
        return []
    return [now.newest.position] + ([now.newest.other] if now.newest.other else [])


def _parameters(now: Standing) -> dict[str, str]:
    """Return what CAP has no element for; only what is known."""
    parameters: dict[str, object] = {"stage": receipts.NAMES[now.stage], "case": now.case_id}
    if now.called_off_at_ms is not None:
        parameters["called_off_at"] = _time(now.called_off_at_ms)
    sent_ms = now.moments[-1][0]
    for prefix, position in zip(("fix", "other_fix"), _positions(now), strict=False):
        fix = position.fix
        parameters |= {
            f"{prefix}_taken_at": _time(max(0, position.at_ms)),
            f"{prefix}_age_s": max(0, sent_ms - position.at_ms) // 1000,
            f"{prefix}_method": fix.method,
            f"{prefix}_source": fix.source,
            f"{prefix}_confidence": None if fix.confidence is None else f"{fix.confidence:g}",
            f"{prefix}_marks": " ".join(fix.marks) or None,
        }
    return {name: str(value) for name, value in parameters.items() if value is not None}


def _add(parent: ElementTree.Element, name: str, text: str | None = None) -> ElementTree.Element:
    element = ElementTree.SubElement(parent, f"{{{NAMESPACE}}}{name}")
    element.text = text
    return element


def _time(at_ms: int) -> str:
    """CAP 1.2, 3.3.2: to the second, UTC as "-00:00", never "Z"."""
    return f"{datetime.fromtimestamp(at_ms // 1000, UTC):%Y-%m-%dT%H:%M:%S}-00:00"
