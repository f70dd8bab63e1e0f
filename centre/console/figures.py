"""The Institute's pages: monthly figures without anyone's name, with charts and as a file."""

from functools import partial
from itertools import groupby

from aiohttp import web
from markupsafe import Markup

from centre.api.routing import Route
from centre.console import words
from centre.console.charts import bars
from centre.console.guard import Guard
from centre.console.pages import page
from centre.console.spreadsheet import as_csv
from centre.platform.worker import AFTER, Worker
from centre.rules import access, figures
from centre.rules.access import Caller
from centre.rules.figures import ALL, OTHER, Figure
from centre.work import figures as work

COLUMNS = ("month", "zone", "figure", "class", "value")
NO_NUMBER = "<5"  # in the file

Months = dict[str, list[Figure]]


class Figures:
    def __init__(self, looks: Worker, guard: Guard) -> None:
        self._looks = looks
        sees = guard.sees(access.INSTITUTE)
        self.routes = (
            Route("GET", "/console/figures", sees, self.look),
            Route("GET", "/console/figures.csv", sees, self.file),
        )

    async def look(self, request: web.Request, caller: Caller) -> web.Response:
        first, last, known, months = await self._asked(request)
        say = partial(_say, caller.language)
        alone = months[first] if first == last and first in months else None
        return page(
            "figures.html",
            caller,
            first=first,
            last=last,
            choices=sorted({first, last, *known} - {""}, reverse=True),
            months=months,
            counts=tuple(figures.COUNTS),
            cell=partial(_cell, say),
            charts=_charts(say, alone) if alone is not None else [_by_month(say, months)],
            zones=_zones(say, alone or []),
            spreads=_spreads(say, alone or []),
        )

    async def file(self, request: web.Request, _caller: Caller) -> web.Response:
        """Send one row for each month, zone, figure and class."""
        first, last, _, months = await self._asked(request)
        rows = [
            (month, row.zone, row.figure, row.group, NO_NUMBER if row.value is None else row.value)
            for month, shown in months.items()
            for row in shown
        ]
        name = f"figures-{first or 'none'}-{last or 'none'}.csv"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        return web.Response(
            text=as_csv([COLUMNS, *rows]), content_type="text/csv", charset="utf-8", headers=headers
        )

    async def _asked(self, request: web.Request) -> tuple[str, str, list[str], Months]:
        """Return the months asked for, all that there are, and what is shown of the former."""
        known = await self._looks(work.months, lane=AFTER)
        newest = known[0] if known else ""
        texts = request.query.get("from", newest), request.query.get("to", request.query.get("from", newest))
        if not any(texts):
            return "", "", [], {}
        first, last = (
            figures.read_month(text, name) for text, name in zip(texts, ("from", "to"), strict=True)
        )
        figures.check_range(first, last)
        return first, last, known, await self._looks(work.shown, first, last, lane=AFTER)


def _say(language: str, key: str) -> str:
    return words.say(language, f"figures.{key}")


def _number(say: partial[str], value: int | None) -> str:
    return say("few") if value is None else str(value)


def _cell(say: partial[str], shown: list[Figure], figure: str) -> str:
    """Return what is told of a figure in all."""
    return next(
        (_number(say, r.value) for r in shown if (r.zone, r.figure, r.group) == (ALL, figure, ALL)), "–"
    )


def _charts(say: partial[str], shown: list[Figure]) -> list[tuple[str, Markup]]:
    drawn = []
    for figure, classes in figures.COUNTS.items():
        values = {row.group: row.value for row in shown if row.figure == figure and row.group != ALL}
        if values:
            rows = [
                (say(f"class_{c}"), values[c], _number(say, values[c]))
                for c in (*classes, OTHER)
                if c in values
            ]
            title = say(f"chart_{figure}")
            drawn.append((title, bars(figure, title, rows)))
    return drawn


def _by_month(say: partial[str], months: Months) -> tuple[str, Markup]:
    rows = []
    for month, shown in months.items():
        value = next((r.value for r in shown if (r.zone, r.figure, r.group) == (ALL, "alarms", ALL)), 0)
        rows.append((month, value, _number(say, value)))
    return say("by_month"), bars("months", say("by_month"), rows)


def _zone(say: partial[str], zone: str) -> str:
    return say(f"zone_{zone}") if zone in (ALL, OTHER, figures.NO_ZONE) else zone


def _zones(say: partial[str], shown: list[Figure]) -> list[tuple[str, dict[str, int | None]]]:
    """Each zone that some figure is told of; where one is not, the zone is among its others, or has none."""
    values = {(r.zone, r.figure): r.value for r in shown if r.group == ALL and r.zone != ALL}
    names = sorted(
        {zone for zone, _ in values}, key=lambda zone: (zone == figures.NO_ZONE, zone == OTHER, zone)
    )
    return [
        (
            _zone(say, name),
            {figure: values[name, figure] for figure in figures.COUNTS if (name, figure) in values},
        )
        for name in names
    ]


def _spreads(say: partial[str], shown: list[Figure]) -> list[tuple[str, str, dict[str, str]]]:
    """`(measure, zone, {"median": ..., ...})`, all zones first."""
    measured = [row for row in shown if row.figure not in figures.COUNTS]
    order = [f"{name}_ms" for name in figures.TIMES] + ["out_of_reach_min", "battery_mv"]
    measured.sort(key=lambda row: (order.index(row.figure), row.zone != ALL, row.zone == OTHER, row.zone))
    return [
        (say(figure), _zone(say, zone), {row.group: _with_unit(figure, row) for row in rows})
        for (figure, zone), rows in groupby(measured, key=lambda row: (row.figure, row.zone))
    ]


def _with_unit(figure: str, row: Figure) -> str:
    value = row.value or 0
    if row.group == "n_at_least":
        return str(value)
    if figure.endswith("_ms"):
        return f"{value / 1000:.1f} s"
    return f"{value} min" if figure.endswith("_min") else f"{value / 1000:.2f} V"
