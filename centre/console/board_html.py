"""The operator's board and sheet as HTML: of what the store says, a language, and the time. Jinja2 escapes.

Times are written as clock times; page.js turns `data-since` into ages that run, by the centre's clock.
Shapes and words carry the meaning, colour only repeats it.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from markupsafe import Markup

from centre.console import pages, words
from centre.console.guard import csrf
from centre.rules import access, escalation, times
from centre.rules.access import Caller
from centre.rules.cases import registered_places
from centre.rules.desks import Desk
from centre.rules.incidents import CLOSE_REASONS
from centre.rules.newest_position import Position
from centre.rules.places import NBSP, Near, metres, near
from centre.rules.sightings import cell_text
from centre.settings import Settings
from centre.work.board import Board, Card, OpenAlarms
from centre.work.incident_sheet import Sheet
from wire import receipts

LATE_MS = 120_000  # a press that reached us later says so
_CLOCK_AHEAD_MS = 5_000
_SCRIPT_WORDS = ("js_", "title_", "live", "sound_", "count_")


def levels(board: Board, now_ms: float, after_s: int) -> dict[str, int]:
    """How far each alarm that waits for somebody has escalated; 1 where one was taken, and nothing sent."""
    waiting = {
        card.incident_id: escalation.level(
            card.waits_since_ms, int(now_ms), after_s, given_back=card.given_back_at_ms is not None
        )
        for card in board.waiting
    }
    return waiting | {
        card.incident_id: 1
        for card in board.taken
        if card.stage == receipts.ACKNOWLEDGED and escalation.is_unsent(card.stage_at_ms, int(now_ms))
    }


class Part(StrEnum):
    """A part of the board."""

    WAITING = "waiting"
    MINE = "mine"  # of those that somebody has taken, the ones of who looks
    TAKEN = "taken"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Item:
    """One card as it stands on the board: which part of it, how far it has escalated."""

    part: Part
    card: Card
    level: int = 0


def items(board: Board, levels: dict[str, int]) -> list[Item]:
    """Put the cards in order: true alarms, then by step, danger, and who has waited longest.

    Duress is at the last step at once: nobody need wait to be believed.
    """

    def step(card: Card) -> int:
        return escalation.TOLD if card.is_duress else levels[card.incident_id]

    waiting = sorted(board.waiting, key=lambda card: (card.exercise is not None, -step(card), *card.urgency))
    taken = sorted(
        board.taken,
        key=lambda card: (card.exercise is not None, not card.is_duress, card.stage, *card.urgency),
    )
    return [
        *(Item(Part.WAITING, card, levels[card.incident_id]) for card in waiting),
        *(Item(Part.TAKEN, card, levels.get(card.incident_id, 0)) for card in taken),
        *(Item(Part.CLOSED, card) for card in board.closed),
    ]


def render_item(item: Item, language: str) -> Markup:
    """Render one card, in some tenths of a ms: who renders many lets others go on between."""
    shown: dict[str, Any] = {"card": item.card, "part": item.part, "level": item.level}
    template = "board_card.html" if item.part is Part.WAITING else "board_line.html"
    late = _late(item.card, language)
    return Markup(pages.render(template, language, late=late, **shown, **_said(language)))  # noqa: S704


def render(board: Board, language: str, levels: dict[str, int]) -> str:
    """All of it at one go."""
    return joined(board, language, [(item, render_item(item, language)) for item in items(board, levels)])


def joined(board: Board, language: str, rendered: Iterable[tuple[Item, Markup]], actor: str = "") -> str:
    """Join the live part of the page for who looks (`actor`). `rendered`: of `items`, in order."""
    tests = [
        Markup("{} {}").format(grouped(one.device_id), _clock(one.received_at_ms)) for one in board.tests
    ]
    parts: dict[str, list[Markup]] = {part: [] for part in Part}
    for item, html in rendered:
        is_mine = item.part is Part.TAKEN and actor and item.card.owner == actor
        parts[Part.MINE if is_mine else item.part].append(html)
    return pages.render(
        "board_list.html",
        language,
        board=board,
        made=parts,
        tests=Markup(" · ").join(tests) or words.say(language, "board.none"),
        **_said(language),
    )


def render_open(alarms: OpenAlarms, caller: Caller, settings: Settings) -> str:
    """Render one page of all open alarms, each with its place in the list on one map."""
    lines = [
        (render_item(Item(Part.TAKEN, card), caller.language), card.newest and card.newest.position)
        for card in alarms.cards
    ]
    points = [
        point
        for number, card in enumerate(alarms.cards, 1)
        for point in _points(card, number, caller.language)
    ]
    return pages.render(
        "open_alarms.html",
        caller.language,
        caller=caller,
        home=access.home_of(caller.role),
        links=pages.LINKS[caller.role],
        csrf=csrf(caller),
        lines=lines,
        points=json.dumps(points),
        following=alarms.next,
        tiles=settings.tiles,
        tiles_zoom=settings.tiles_zoom,
        tiles_by=settings.tiles_by,
    )


def _points(card: Card, number: int, language: str) -> list[dict[str, Any]]:
    """Return where an alarm is, for the map of all: two places where two phones differ."""
    newest = card.newest
    if newest is None:
        return []
    kind = "duress" if card.is_duress else "waiting" if not card.owner else "taken"
    key = {"duress": "duress", "waiting": "alarm", "taken": f"stage_{max(card.stage, 2)}"}[kind]
    said = words.say(language, f"board.{key}").partition(":")[0].strip()
    if card.exercise is not None:
        said = words.say(language, "board.exercise")
    shape = {"duress": "▲▲", "waiting": "▲", "taken": "✓"}[kind]
    return [
        {
            "lat": position.fix.lat,
            "lon": position.fix.lon,
            "radius_m": position.fix.radius_m,
            "text": f"{number} {said}" + (" !" if position.is_doubtful or newest.other else ""),
            "shape": shape,
            "href": f"/console/incidents/{card.incident_id}",
            "kind": kind,
        }
        for position in (newest.position, newest.other)
        if position is not None
    ]


def render_sheet(
    sheet: Sheet,
    language: str,
    now_ms: float,
    *,
    me: str = "",
    once: str = "",
    typed: Mapping[str, str] | None = None,
) -> str:
    """Render the sheet of one incident.

    `me`: who looks at it, as the log names them. `once`: what makes a remark of this very form one, however
    often it is sent. `typed`: what was refused, for its fields.
    """
    arrival, late_ms = sheet.incident.standing, 0
    if arrival is not None and arrival.age_s is not None:
        late_ms = sheet.incident.opened_at_ms - arrival.pressed_at_ms
    places = registered_places(sheet.case) if sheet.case else []
    phone = _phones(sheet, language)
    return pages.render(
        "sheet.html",
        language,
        sheet=sheet,
        reasons=CLOSE_REASONS,
        me=me,
        once=once,
        typed={"note": "", "remark": ""} | dict(typed or {}),
        day=lambda at_ms: times.write(at_ms)[:10],
        late_arrival=_lasting(late_ms, language) if late_ms >= LATE_MS else "",
        source=lambda position: _source(position, language, phone),
        near=lambda position: near(position.fix, places),
        phone=phone,
        tel=_tel,
        years=lambda born_on: _years(born_on, now_ms, language),
        **_said(language),
    )


def render_patrol_sheet(sheet: Sheet, language: str, now_ms: float) -> str:
    """Render what a patrol needs, on a page of its own that prints."""
    places = registered_places(sheet.case) if sheet.case else []
    return pages.render(
        "patrol_sheet.html",
        language,
        sheet=sheet,
        near=lambda position: near(position.fix, places),
        years=lambda born_on: _years(born_on, now_ms, language),
        now_ms=int(now_ms),
        second=times.second,
        **_said(language),
    )


def _phones(sheet: Sheet, language: str) -> Callable[[str | None], str]:
    """Return how the phones of an alarm are called: phone 1 is the first that told of it; None: no phone."""
    incident = sheet.incident
    shown = [*incident.latest, sheet.last_known] if sheet.last_known else incident.latest
    ids = [arrival.bridge_id for arrival in incident.arrivals] + [position.bridge_id for position in shown]
    known = dict.fromkeys(bridge_id for bridge_id in ids if bridge_id is not None)
    numbers = {bridge_id: number for number, bridge_id in enumerate(known, 1)}

    def phone(bridge_id: str | None) -> str:
        if bridge_id is None:
            return words.say(language, "board.by_button")
        number = numbers.setdefault(bridge_id, len(numbers) + 1)
        return words.say(language, "board.phone_number").format(number=number)

    return phone


def _tel(number: str) -> str:
    """Return a number as `tel:` has it (RFC 3966), or "" where it is none."""
    dialled = re.sub(r"\(0\)|[\s()./-]", "", number)
    return dialled if re.fullmatch(r"\+?[0-9]{3,15}", dialled, re.ASCII) else ""


def page(
    board: Board,
    listed: str,
    state: dict[str, Any],
    caller: Caller,
    settings: Settings,
    *,
    opened: str = "",
    sheet: str = "",
    notice: str = "",
) -> str:
    """Render the whole page, with one incident's sheet or none; it works without a script too."""
    spoken = words.of_page(caller.language, "board")
    # The list is the same for all of a language; each form carries what only its own session knows.
    end = Markup('<input type="hidden" name="csrf" value="{}"></form>').format(csrf(caller))
    listed, sheet = (html.replace("</form>", end) for html in (listed, sheet))
    script = {key: text for key, text in spoken.items() if key.startswith(_SCRIPT_WORDS)}
    return pages.render(
        "board.html",
        caller.language,
        caller=caller,
        board=board,
        csrf=csrf(caller),
        title=_title(board, caller.language),
        list=Markup(listed),  # noqa: S704  from our own templates, which escape
        sheet=Markup(sheet),  # noqa: S704
        opened=opened,
        notice=notice,
        state=json.dumps(state),
        counts=state,
        script_words=json.dumps(script | {"somebody": spoken["somebody"]}, ensure_ascii=False),
        tiles=settings.tiles,
        tiles_zoom=settings.tiles_zoom,
        tiles_by=settings.tiles_by,
    )


def desks(there: list[tuple[Desk, bool]], language: str) -> str:
    """Say who is at a desk, and who of them is away or hears nothing."""
    names = []
    for desk, is_silent in there:
        marks = ["away"] * desk.is_away + ["silent"] * is_silent
        said = ", ".join(words.say(language, f"board.desk_{mark}") for mark in marks)
        names.append(f"{desk.name} ({said})" if said else desk.name)
    return words.say(language, "board.desks").format(names=", ".join(names)) if names else ""


def _title(board: Board, language: str) -> str:
    """Until page.js, which knows the time, writes its own."""
    waiting = len(board.waiting) + board.hidden
    if not waiting:
        return words.say(language, "board.title_calm")
    key = "title_duress" if board.duress_waits else "title_one" if waiting == 1 else "title_many"
    return "▲ " + words.say(language, f"board.{key}").format(count=waiting)


def _said(language: str) -> dict[str, Any]:
    """Return what both templates write in the same way."""
    return {
        "clock": _clock,
        "since": _since,
        "grouped": grouped,
        "metres": metres,
        "cell_text": cell_text,
        "nearness": lambda one, position: _nearness(one, position, language),
        "before": lambda position: _lasting(position.old_ms, language),
    }


def _late(card: Card, language: str) -> str:
    """How long before its coming it was pressed; "" where that is not known, or soon enough."""
    late_ms = card.opened_at_ms - card.pressed_at_ms
    return _lasting(late_ms, language) if card.age_s is not None and late_ms >= LATE_MS else ""


def _source(position: Position, language: str, phone: Callable[[str | None], str]) -> Markup:
    """How it was measured, when, how sure, by whom."""

    def say(key: str, **values: object) -> Markup:
        return Markup(words.say(language, f"board.{key}")).format(**values)  # noqa: S704  `format` escapes

    fix = position.fix
    ahead = fix.age_s is None and fix.taken_at_ms > position.received_at_ms + _CLOCK_AHEAD_MS
    when = say("fix_taken", when=_since(position.at_ms))
    parts = [
        say(f"method_{fix.method}") + (f" ({fix.source})" if fix.source else ""),
        when + (f" ({say('clock_ahead')})" if ahead else ""),
    ]
    if fix.confidence is not None:
        parts.append(say("sure", percent=f"{fix.confidence:g}"))
    if position.bridge_id is not None:
        parts.append(say("from_phone", phone=phone(position.bridge_id)))
    return Markup(" · ").join(parts)


def _lasting(ms: int, language: str) -> str:
    minutes = ms // 60_000
    if minutes < 2:
        return f"{ms // 1000}{NBSP}s"
    if minutes < 120:
        return f"{minutes}{NBSP}min"
    if minutes < 2880:
        return words.say(language, "board.unit_h").format(n=minutes // 60)
    return words.say(language, "board.unit_days").format(n=minutes // 1440)


def _years(born_on: str, now_ms: float, language: str) -> str:
    """How old somebody is; what cannot be read as a day is shown as it was written."""
    try:
        born = date.fromisoformat(born_on)
    except ValueError:
        return born_on
    today = date.fromisoformat(times.day(int(now_ms)))
    years = today.year - born.year - ((today.month, today.day) < (born.month, born.day))
    return words.say(language, "board.years").format(years=years)


def _nearness(one: Near, position: Position, language: str) -> str:
    """Say how far a registered place is from a position; "then", where that was old as it came."""
    near_m, far_km = f"{round(one.distance_m, -1):.0f}{NBSP}m", f"{one.distance_m / 1000:.1f}{NBSP}km"
    distance = near_m if one.distance_m < 995 else far_km
    near = words.say(language, f"board.near_{one.nearness}").format(distance=distance, place=one.place.name)
    is_old = position.old_ms >= LATE_MS
    return words.say(language, "board.near_then").format(near=near) if is_old else near


def grouped(device_id: str) -> str:
    return " ".join(device_id[i : i + 4] for i in range(0, len(device_id), 4))


def _clock(at_ms: int) -> Markup:
    """Write a time; the page's script leaves the day out where it is today."""
    return _time("clock", at_ms)


def _since(at_ms: int) -> Markup:
    """Write a time; the page's script says how long ago that is."""
    return _time("since", at_ms)


def _time(shown_as: str, at_ms: int) -> Markup:
    return Markup('<time datetime="{}" data-{}="{}">{}</time>').format(
        times.write(at_ms), shown_as, at_ms, times.second(at_ms)
    )
