"""The board as HTML: a pure function of what the store says. Every value is escaped here.

Times are written as clock times; page.js turns `data-since` into ages that run, by the centre's clock.
Shapes and words carry the meaning, colour only repeats it.
"""

from datetime import UTC, datetime
from html import escape

from centre.rules import times
from centre.rules.incidents import CLOSE_REASONS, NOTE_CHARS_MAX
from centre.work.views import Arrival, Board, Incident, Position
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
CLOSED_AS = {
    "real": "real danger",
    "mis-press": "pressed by mistake",
    "called-off": "called off by the wearer",
    "duress": "duress",
    "technical": "technical fault",
}
assert tuple(CLOSED_AS) == CLOSE_REASONS
MARKS = {
    "jump": "jump: further from the one before than anybody travels",
    "implausible": "implausible: perhaps no real position",
}
# What matters to whoever looks after the wearer, of what her kind of board lacks.
LACKS = {"fresh_address": "This board can be followed by its address."}
NBSP = "\N{NO-BREAK SPACE}"  # between a number and its unit
_CLOCK_AHEAD_MS = 5_000


def render(board: Board) -> str:
    untaken = "".join(_alarm(incident, waits=True) for incident in board.untaken)
    if board.hidden:
        untaken += f'<p class="more">and {board.hidden} more, shown as these are taken</p>'
    calm = '<p class="calm"><span aria-hidden="true">✓</span> No alarm is waiting.</p>'
    taken = "".join(_alarm(incident, waits=False) for incident in board.taken)
    if taken:
        taken = f'<section class="taken"><h2>Taken</h2>{taken}</section>'
    closed = "".join(map(_closed, board.closed))
    if closed:
        closed = f'<section class="closed"><h2>Closed</h2>{closed}</section>'
    return f'<section class="untaken">{untaken or calm}</section>{taken}{closed}{_tests(board.tests)}'


def duress_waits(board: Board) -> bool:
    """Whether somebody is in danger, has said so, and nobody has seen it."""
    return any(_is_duress(incident) for incident in board.untaken)


def _is_duress(incident: Incident) -> bool:
    return incident.call_off is not None and incident.call_off.duress_at_ms is not None


def _alarm(incident: Incident, *, waits: bool) -> str:
    name = f"i-{incident.incident_id}"
    look = "alarm duress" if _is_duress(incident) else "alarm"
    return (
        f'<article id="{name}" class="{look}" tabindex="-1" aria-labelledby="{name}-h">'
        f'<header><h3 id="{name}-h">{_headline(incident, waits)}</h3>{_age(incident.arrivals)}</header>'
        f"{_flags(incident)}{_facts(incident)}"
        f"{_acknowledge(incident) if waits else _acts(incident)}"
        f"{_history(incident)}</article>"
    )


def _closed(incident: Incident) -> str:
    """One line that opens: it is over, and still there to be read."""
    name = f"i-{incident.incident_id}"
    why = next((CLOSED_AS[act.reason] for act in incident.acts if act.reason), "no reason given")
    at_ms = dict(incident.stages)[receipts.CLOSED]
    duress = " · <b>DURESS</b>" if _is_duress(incident) else ""
    return (
        f'<article id="{name}" class="alarm" tabindex="-1">'
        f'<details id="whole-{incident.incident_id}"><summary>'
        f"<b>{why}</b>{duress} · {_grouped(incident.device_id)} · closed {_clock(at_ms)}</summary>"
        f"{_flags(incident)}{_facts(incident)}{_history(incident)}</details></article>"
    )


def _headline(incident: Incident, waits: bool) -> str:
    if _is_duress(incident):
        taken = incident.stage > receipts.RECEIVED
        word = "" if not waits else "nobody has seen this" if taken else "nobody has taken it"
        word = word or STAGES[incident.stage].lower()
        mark = '<span aria-hidden="true">▲▲</span>'
        return f"{mark} DURESS: she is in danger <small>{word}</small>"
    if waits:
        return '<span aria-hidden="true">▲</span> ALARM <small>nobody has taken it</small>'
    return f'<span aria-hidden="true">✓</span> Alarm <small>{STAGES[incident.stage].lower()}</small>'


def _flags(incident: Incident) -> str:
    flags = []
    called_off = incident.call_off
    if called_off and called_off.duress_at_ms is not None:
        text = (
            f"<b>! Her duress PIN, {_clock(called_off.duress_at_ms)}.</b> Her phone shows that it was called "
            "off. Do not ring it: whoever made her do it may be watching."
        )
        if incident.stage == receipts.CLOSED:
            text += " <b>The alarm was closed before: send help all the same.</b>"
        flags.append(text)
    elif called_off:
        at = _clock(called_off.called_off_at_ms)
        flags.append(f"<b>Called off by the wearer</b> with her PIN, {at}. It stays open until you close it.")
    if incident.device_revoked:
        flags.append("<b>! Revoked button.</b> It should no longer be in use; tell an administrator.")
    return "".join(f'<p class="flag">{flag}</p>' for flag in flags)


def _facts(incident: Incident) -> str:
    kind = f"{incident.kind}, {incident.board}"
    lacks = "".join(f"<p>{text}</p>" for name, text in LACKS.items() if name in incident.lacks)
    return (
        '<div class="facts">'
        f'<div class="where"><h4>Position</h4>{_positions(incident)}</div>'
        f'<div class="which"><h4>Button</h4><p class="big id">{_grouped(incident.device_id)}</p>'
        f"<p>{escape(kind)} · press {incident.counter}</p>{lacks}</div></div>"
    )


def _history(incident: Incident) -> str:
    told = "".join(
        f"<p><b>{STAGES[act.stage]}</b>: {CLOSED_AS[act.reason] if act.reason else escape(act.note)}</p>"
        for act in incident.acts
        if act.reason or act.note
    )
    arrivals = "".join(map(_arrival, incident.arrivals))
    return f'<div class="history">{_stages(incident.stages)}{told}{arrivals}</div>'


def _age(arrivals: list[Arrival]) -> str:
    first = arrivals[0]
    known = first.age_s is not None
    word = "pressed" if known else "heard"
    unsure = "" if known else "<small>may have been pressed earlier</small>"
    return f'<p class="age">{word} {_since(first.pressed_at_ms)}{unsure}</p>'


def _acknowledge(incident: Incident) -> str:
    """The page that shows the duress says so: an older page, which does not, cannot have seen it."""
    seen = '<input type="hidden" name="seen_duress" value="1">' if _is_duress(incident) else ""
    new = incident.stage == receipts.RECEIVED
    words = "Acknowledge <small>I take this alarm</small>" if new else "I have seen it <small>DURESS</small>"
    return _form(
        incident,
        "acknowledge",
        f'{seen}<button id="take-{incident.incident_id}">{words}</button>',
        known="Another operator has already taken this alarm.",
        failed="The centre has NOT taken your acknowledgement. Try again.",
    )


def _acts(incident: Incident) -> str:
    which = incident.incident_id
    options = "".join(f'<option value="{reason}">{words}</option>' for reason, words in CLOSED_AS.items())
    dispatch = _form(
        incident,
        "dispatch",
        f'<label for="note-{which}">Help sent</label>'
        f'<input id="note-{which}" name="note" maxlength="{NOTE_CHARS_MAX}" autocomplete="off" '
        f'placeholder="who, if you like"><button id="dispatch-{which}">Dispatch</button>',
        known="Another operator has already sent help, or closed this alarm.",
        failed="The centre has NOT taken it that help was sent. Try again.",
    )
    close = _form(
        incident,
        "close",
        f'<label for="why-{which}">It is over</label>'
        f'<select id="why-{which}" name="reason" required><option value="">what was it?</option>{options}'
        f'</select><button id="close-{which}">Close</button>',
        known="Another operator has already closed this alarm.",
        failed="The centre has NOT closed this alarm. Try again.",
    )
    return f'<div class="acts">{dispatch if incident.stage < receipts.DISPATCHED else ""}{close}</div>'


def _form(incident: Incident, act: str, inside: str, *, known: str, failed: str) -> str:
    """It works without a script too; `known` and `failed` are what page.js says of the answer."""
    return (
        f'<form method="post" action="/console/incidents/{incident.incident_id}/{act}" class="{act}" '
        f'data-known="{known}" data-failed="{failed}">{inside}</form>'
    )


def _positions(incident: Incident) -> str:
    if not incident.positions:
        return '<p class="big none">No position yet</p><p>None has been sent with this alarm.</p>'
    newest, *others = incident.positions
    more = "".join(
        f"<li>{_coordinates(other)} · within {_metres(other.fix.radius_m)} · {_source(other)}"
        f"{''.join(f' · <b>{mark}</b>' for mark in _marks(other))}</li>"
        for other in others
    )
    unshown = incident.positions_in_all - len(incident.positions)
    if unshown > 0:
        more += f"<li>and {unshown} older</li>"
    if more:
        count = len(others) + max(unshown, 0)
        name = f"more-{incident.incident_id}"
        more = f'<details id="{name}"><summary>{count} more</summary><ul>{more}</ul></details>'
    within = f"<b>within {_metres(newest.fix.radius_m)}</b>"
    marks = "".join(f'<p class="mark"><b>! {mark}</b></p>' for mark in _marks(newest))
    return (
        f'<p class="big">{_coordinates(newest)}</p><p class="radius">{within} · {_source(newest)}</p>'
        f"{marks}{more}"
    )


def _marks(position: Position) -> list[str]:
    """Why this must not be taken for where she is now."""
    before_ms = max(0, position.received_at_ms - position.fix.taken_at_ms)
    stale = f"stale: taken {_lasting(before_ms)} before it was sent"
    return [stale if mark == "stale" else MARKS[mark] for mark in position.fix.marks]


def _lasting(ms: int) -> str:
    minutes = ms // 60_000
    if minutes < 2:
        return f"{ms // 1000}{NBSP}s"
    if minutes < 120:
        return f"{minutes}{NBSP}min"
    return f"{minutes // 60}{NBSP}h" if minutes < 2880 else f"{minutes // 1440} days"


def _coordinates(position: Position) -> str:
    fix = position.fix
    return f'<span class="coordinates">{fix.lat:.5f}, {fix.lon:.5f}</span>'


def _source(position: Position) -> str:
    fix = position.fix
    ahead = fix.taken_at_ms > position.received_at_ms + _CLOCK_AHEAD_MS
    source = f" ({escape(fix.source)})" if fix.source else ""
    parts = [
        METHODS[fix.method] + source,
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
