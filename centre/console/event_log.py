"""The administrator's page of the event log: filtered, a page at a time, with no case in it."""

import sqlite3
from functools import partial

from aiohttp import web

from centre.api.routing import Route, shown_as_page, wants_html
from centre.console import pages, words
from centre.console.cases import grouped
from centre.console.guard import Guard
from centre.platform.log import Log
from centre.platform.worker import AFTER, Worker
from centre.rules import times
from centre.rules.access import ADMINISTRATOR, Caller
from centre.rules.refusals import Refused
from centre.work import log_reader
from centre.work.log_reader import Filter

PAGE = "/console/administration/log"
FIRST_DAY, LAST_DAY = "1970-01-02", "9998-12-31"
TEXT_CHARS_MAX = 64
BEFORE_DIGITS = 16


class EventLogPage:
    def __init__(self, worker: Worker, looks: Worker, guard: Guard, log: Log) -> None:
        """Make the route. `looks`: a thread that only reads, for which no alarm waits."""
        self._worker, self._looks, self._log = worker, looks, log
        self.routes = (Route("GET", PAGE, guard.sees(ADMINISTRATOR), self.page),)

    async def page(self, request: web.Request, caller: Caller) -> web.Response:
        """Show the newest entries that are asked for. That it was read is an entry too."""
        form = {name: value.strip()[:TEXT_CHARS_MAX] for name, value in request.query.items() if value}
        refused, shown = None, log_reader.LogPage([], None)
        try:
            asked = _asked(form)
            shown = await self._looks(partial(log_reader.page, asked=asked))
            await self._note(caller, asked)
        except Refused as refusal:
            if refusal.reason != "out_of_range" or not wants_html(request):
                raise
            shown_as_page(request, refusal)
            refused = refusal
        page = pages.page(
            "event_log.html",
            caller,
            log=shown,
            form=form,
            refused=refused,
            kinds=_kinds(caller.language),
            kind_words=lambda kind: words.find(caller.language, f"log.{kind}") or kind,
            second=times.second,
            grouped=grouped,
        )
        if refused is not None:
            page.set_status(400)
        return page

    async def _note(self, caller: Caller, asked: Filter) -> None:
        """Note it; on a full disk the log can be read all the same, for then it is needed."""
        try:
            await self._worker(log_reader.note_reading, caller, asked, lane=AFTER)
        except sqlite3.Error as error:
            text = f"{caller.actor} read the event log, and that is not noted: {error}"
            self._log("trouble", reason="look_not_noted", text=text)


def _kinds(language: str) -> list[tuple[str, str]]:
    """Return what can be asked for, with its words, by the words."""
    known = words.of_page(language, "log")
    kinds = [(kind, text) for kind, text in known.items() if not kind.startswith("by_")]
    return sorted(kinds, key=lambda kind: kind[1].casefold())


def _asked(form: dict[str, str]) -> Filter:
    """Read a filter. Raises Refused("out_of_range")."""
    for name in ("from", "until"):
        if name in form:
            times.check_day(form[name], FIRST_DAY, LAST_DAY, field=name)
    before = form.get("before", "")
    if before and not (before.isascii() and before.isdigit() and len(before) < BEFORE_DIGITS):
        raise Refused("out_of_range", "before is what the page before it has given", field="before")
    always = Filter()
    return Filter(
        times.day_ms(form["from"])[0] if "from" in form else always.from_ms,
        times.day_ms(form["until"])[1] if "until" in form else always.until_ms,
        form.get("by", "").lower() or None,
        form.get("kind"),
        form.get("incident"),
        form.get("case"),
        int(before) if before else always.before_seq,
    )
