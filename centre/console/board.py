"""The board as HTML: a pure function of what the store says. Every value is escaped here.

Times are written as clock times; page.js turns `data-since` into ages that run, by the centre's clock.
Shapes and words carry the meaning, colour only repeats it.
"""

from datetime import UTC, datetime
from html import escape

from centre import times
from centre.service import Arrival, Board, Incident, Position
from wire import receipts

PATHS = {"ble": "Bluetooth", "wifi": "Wi-Fi", "lte": "LTE-M", "phone": "the phone itself"}
METHODS = {
    "GNSS": "satellite",
    "WIFI": "Wi-Fi",
    "CELL": "phone cell",
    "NETWORK": "network",
    "MANUAL": "set by hand",
}
STAGES = {
    receipts.RECEIVED: "Received",
    receipts.ACKNOWLEDGED: "Acknowledged",
    receipts.DISPATCHED: "Dispatched",
    receipts.CLOSED: "Closed",
}
NBSP = "\N{NO-BREAK SPACE}"  # between a number and its unit
_CLOCK_AHEAD_MS = 5_000


def render(board: Board) -> str:
    untaken = "".join(_alarm(incident) for incident in board.untaken)
    if board.hidden:
        untaken += f'<p class="more">and {board.hidden} more, shown as these are taken</p>'
    calm = '<p class="calm"><span aria-hidden="true">✓</span> No alarm is waiting.</p>'
    taken = "".join(_alarm(incident) for incident in board.taken)
    if taken:
        taken = f'<section class="taken"><h2>Acknowledged</h2>{taken}</section>'
    return f'<section class="untaken">{untaken or calm}</section>{taken}{_tests(board.tests)}'


def _alarm(incident: Incident) -> str:
    waits = incident.stage == receipts.RECEIVED
    name = f"i-{incident.incident_id}"
    kind = f"{incident.kind}, {incident.board}"
    revoked = (
        '<p class="flag"><b>! Revoked button.</b> It should no longer be in use; tell an administrator.</p>'
    )
    return (
        f'<article id="{name}" class="alarm" tabindex="-1" aria-labelledby="{name}-h">'
        f'<header><h3 id="{name}-h">{_headline(waits, incident.stage)}</h3>{_age(incident.arrivals)}</header>'
        f"{revoked if incident.device_revoked else ''}"
        '<div class="facts">'
        f'<div class="where"><h4>Position</h4>{_positions(incident.positions)}</div>'
        f'<div class="which"><h4>Button</h4><p class="big id">{_grouped(incident.device_id)}</p>'
        f"<p>{escape(kind)} · press {incident.counter}</p></div></div>"
        f"{_acknowledge(incident) if waits else ''}"
        f'<div class="history">{_stages(incident.stages)}{"".join(map(_arrival, incident.arrivals))}</div>'
        "</article>"
    )


def _headline(waits: bool, stage: int) -> str:
    if waits:
        return '<span aria-hidden="true">▲</span> ALARM <small>nobody has taken it</small>'
    return f'<span aria-hidden="true">✓</span> Alarm <small>{STAGES[stage].lower()}</small>'


def _age(arrivals: list[Arrival]) -> str:
    first = arrivals[0]
    known = first.age_s is not None
    word = "pressed" if known else "heard"
    unsure = "" if known else "<small>may have been pressed earlier</small>"
    return f'<p class="age">{word} {_since(first.pressed_at_ms)}{unsure}</p>'


def _acknowledge(incident: Incident) -> str:
    return (
        f'<form method="post" action="/console/incidents/{incident.incident_id}/acknowledge">'
        f'<button id="take-{incident.incident_id}">Acknowledge <small>I take this alarm</small></button>'
        "</form>"
    )


def _positions(positions: list[Position]) -> str:
    if not positions:
        return '<p class="big none">No position yet</p><p>None has been sent with this alarm.</p>'
    newest, *others = positions
    more = "".join(f"<li>{_coordinates(other)} · {_source(other)}</li>" for other in others)
    more = f"<details><summary>{len(others)} more</summary><ul>{more}</ul></details>" if others else ""
    within = f"<b>within {_metres(newest.fix.radius_m)}</b>"
    return (
        f'<p class="big">{_coordinates(newest)}</p><p class="radius">{within} · {_source(newest)}</p>{more}'
    )


def _coordinates(position: Position) -> str:
    fix = position.fix
    return f'<span class="coordinates">{fix.lat:.5f}, {fix.lon:.5f}</span>'


def _source(position: Position) -> str:
    fix = position.fix
    ahead = fix.taken_at_ms > position.received_at_ms + _CLOCK_AHEAD_MS
    parts = [
        METHODS[fix.method],
        f"taken {_since(min(fix.taken_at_ms, position.received_at_ms))}"
        + (" (the phone’s clock is ahead)" if ahead else ""),
    ]
    if fix.confidence is not None:
        parts.append(f"{fix.confidence:g}{NBSP}% sure")
    if position.bridge_id is not None:
        parts.append(f"from bridge {escape(position.bridge_id)}")
    return " · ".join(parts)


def _metres(radius_m: float) -> str:
    return f"{radius_m:.0f}{NBSP}m" if radius_m < 1000 else f"{radius_m / 1000:.1f}{NBSP}km"


def _arrival(arrival: Arrival) -> str:
    path = PATHS.get(arrival.path, "a path not told")
    heard = f" · heard {_clock(arrival.heard_at_ms)} by its clock" if arrival.heard_at_ms is not None else ""
    phone = [arrival.model and escape(arrival.model)]
    if arrival.battery_percent is not None:
        phone.append(f"battery {arrival.battery_percent}{NBSP}%")
    told = ", ".join(word for word in phone if word)
    return (
        f"<p><b>{path}</b>, bridge {escape(arrival.bridge_id)}{heard} · here {_clock(arrival.received_at_ms)}"
        f"{' · ' + told if told else ''}</p>"
    )


def _stages(reached: list[tuple[int, int]]) -> str:
    at = dict(reached)
    items = (
        f'<li class="done"><span aria-hidden="true">●</span> {word} {_clock(at[stage])}</li>'
        if stage in at
        else f'<li><span aria-hidden="true">○</span> {word}</li>'
        for stage, word in STAGES.items()
    )
    return f'<ol class="stages">{"".join(items)}</ol>'


def _tests(tests: list[tuple[str, int]]) -> str:
    told = " · ".join(f"{_grouped(device_id)} {_clock(at_ms)}" for device_id, at_ms in tests)
    return f'<p class="tests">Last silent tests: {told or "none"}</p>'


def _grouped(device_id: str) -> str:
    return " ".join(escape(device_id[i : i + 4]) for i in range(0, len(device_id), 4))


def _clock(at_ms: int) -> str:
    written = datetime.fromtimestamp(at_ms / 1000, UTC)
    return f'<time datetime="{times.write(at_ms)}" data-clock="{at_ms}">{written:%H:%M:%S} UTC</time>'


def _since(at_ms: int) -> str:
    written = datetime.fromtimestamp(at_ms / 1000, UTC)
    return f'<time datetime="{times.write(at_ms)}" data-since="{at_ms}">at {written:%H:%M:%S} UTC</time>'
