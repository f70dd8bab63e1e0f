"""The operator's board and sheet as HTML: of what the store says, a language, and the time. Jinja2 escapes.

Times are written as clock times; page.js turns `data-since` into ages that run, by the centre's clock.
Shapes and words carry the meaning, colour only repeats it.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from markupsafe import Markup

from centre.console import pages, words
from centre.console.guard import csrf
from centre.rules import escalation, times
from centre.rules.access import Caller
from centre.rules.incidents import CLOSE_REASONS, NOTE_CHARS_MAX
from centre.settings import Settings
from centre.work.incident_sheet import Board, Card, Position, Sheet

NBSP = "\N{NO-BREAK SPACE}"  # between a number and its unit
LATE_MS = 120_000  # a press that reached us later says so
_CLOCK_AHEAD_MS = 5_000


def levels(board: Board, now_ms: float, after_s: int) -> dict[str, int]:
    """How far each alarm that waits for somebody has escalated."""
    return {
        card.incident_id: escalation.level(card.waits_since_ms, int(now_ms), after_s)
        for card in board.waiting
    }


@dataclass(frozen=True, slots=True)
class Item:
    """One card as it stands on the board: which part of it, how far it has escalated."""

    part: str  # waiting taken closed
    card: Card
    level: int = 0


def items(board: Board, levels: dict[str, int]) -> list[Item]:
    """In the order of the page."""
    return [
        *(Item("waiting", card, levels[card.incident_id]) for card in board.waiting),
        *(Item("taken", card) for card in board.taken),
        *(Item("closed", card) for card in board.closed),
    ]


def render_item(item: Item, language: str) -> Markup:
    """Some tenths of a millisecond: who makes many lets others go on between them (boards.py)."""
    shown: dict[str, Any] = {"card": item.card, "part": item.part, "level": item.level}
    template = "board_card.html" if item.part == "waiting" else "board_line.html"
    late = _late(item.card, language)
    return Markup(pages.render(template, language, late=late, **shown, **_said(language)))  # noqa: S704


def render(board: Board, language: str, levels: dict[str, int]) -> str:
    """All of it at one go."""
    return joined(board, language, [(item, render_item(item, language)) for item in items(board, levels)])


def joined(board: Board, language: str, made: Iterable[tuple[Item, Markup]]) -> str:
    """The live part of the page: the same for all operators of a language. `made`: of `items`, in order."""
    told = [Markup("{} {}").format(grouped(device_id), _clock(at_ms)) for device_id, at_ms in board.tests]
    parts: dict[str, list[Markup]] = {"waiting": [], "taken": [], "closed": []}
    for item, html in made:
        parts[item.part].append(html)
    return pages.render(
        "board_list.html",
        language,
        board=board,
        made=parts,
        tests=Markup(" · ").join(told) or words.say(language, "board.none"),
        **_said(language),
    )


def render_sheet(sheet: Sheet, language: str, now_ms: float) -> str:
    told = sheet.incident.told
    late_ms = sheet.incident.opened_at_ms - told.pressed_at_ms if told and told.age_s is not None else 0
    return pages.render(
        "sheet.html",
        language,
        sheet=sheet,
        reasons=CLOSE_REASONS,
        note_chars_max=NOTE_CHARS_MAX,
        late_arrival=_lasting(late_ms, language) if late_ms >= LATE_MS else "",
        source=lambda position: _source(position, language),
        years=lambda born_on: _years(born_on, now_ms, language),
        volts=lambda mv: f"{mv / 1000:.2f}{NBSP}V",
        **_said(language),
    )


def page(
    board: Board,
    listed: str,
    state: dict[str, Any],
    caller: Caller,
    settings: Settings,
    *,
    opened: str = "",
    sheet: str = "",
) -> str:
    """The whole page, with one incident's sheet or none; it works without a script too."""
    said = words.of_page(caller.language, "board")
    # The list is the same for all who speak her language; each form carries what only her session knows.
    end = Markup('<input type="hidden" name="csrf" value="{}"></form>').format(csrf(caller))
    listed, sheet = (html.replace("</form>", end) for html in (listed, sheet))
    script = {key: text for key, text in said.items() if key.startswith(("js_", "title_", "live", "sound_"))}
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
        state=json.dumps(state),
        script_words=json.dumps(script | {"somebody": said["somebody"]}, ensure_ascii=False),
        tiles=settings.tiles,
        tiles_zoom=settings.tiles_zoom,
        tiles_by=settings.tiles_by,
    )


def _title(board: Board, language: str) -> str:
    """Until page.js, which knows the time, writes its own."""
    waiting = len(board.waiting) + board.hidden
    if not waiting:
        return words.say(language, "board.title_calm")
    key = "title_duress" if board.duress_waits else "title_one" if waiting == 1 else "title_many"
    return "▲ " + words.say(language, f"board.{key}").format(count=waiting)


def _said(language: str) -> dict[str, Any]:
    """What both templates write in the same way."""
    return {
        "clock": _clock,
        "since": _since,
        "grouped": grouped,
        "metres": _metres,
        "taken": _taken_at_ms,
        "before": lambda position: _lasting(
            max(0, position.received_at_ms - position.fix.taken_at_ms), language
        ),
    }


def _late(card: Card, language: str) -> str:
    """How long before its coming it was pressed; "" where that is not known, or soon enough."""
    late_ms = card.opened_at_ms - card.pressed_at_ms
    return _lasting(late_ms, language) if card.age_s is not None and late_ms >= LATE_MS else ""


def _taken_at_ms(position: Position) -> int:
    """By a clock that cannot lie ahead of ours."""
    return min(position.fix.taken_at_ms, position.received_at_ms)


def _source(position: Position, language: str) -> Markup:
    """How it was measured, when, how sure, by whom."""

    def say(key: str, **values: object) -> Markup:
        return Markup(words.say(language, f"board.{key}")).format(**values)  # noqa: S704  `format` escapes

    fix = position.fix
    ahead = fix.taken_at_ms > position.received_at_ms + _CLOCK_AHEAD_MS
    when = say("fix_taken", when=_since(_taken_at_ms(position)))
    parts = [
        say(f"method_{fix.method}") + (f" ({fix.source})" if fix.source else ""),
        when + (f" ({say('clock_ahead')})" if ahead else ""),
    ]
    if fix.confidence is not None:
        parts.append(say("sure", percent=f"{fix.confidence:g}"))
    if position.bridge_id is not None:
        parts.append(say("from_bridge", bridge=position.bridge_id))
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
    today = datetime.fromtimestamp(now_ms / 1000, UTC).date()
    years = today.year - born.year - ((today.month, today.day) < (born.month, born.day))
    return words.say(language, "board.years").format(years=years)


def _metres(radius_m: float) -> str:
    return f"{radius_m:.0f}{NBSP}m" if radius_m < 1000 else f"{radius_m / 1000:.1f}{NBSP}km"


def grouped(device_id: str) -> str:
    return " ".join(device_id[i : i + 4] for i in range(0, len(device_id), 4))


def _clock(at_ms: int) -> Markup:
    written = f"{datetime.fromtimestamp(at_ms / 1000, UTC):%H:%M:%S} UTC"
    return Markup('<time datetime="{}" data-clock="{}">{}</time>').format(times.write(at_ms), at_ms, written)


def _since(at_ms: int) -> Markup:
    written = f"{datetime.fromtimestamp(at_ms / 1000, UTC):%H:%M:%S} UTC"
    return Markup('<time datetime="{}" data-since="{}">{}</time>').format(times.write(at_ms), at_ms, written)
