"""The operator's routes: the page, its stream, one incident's sheet."""

import json
import re
import secrets
import sqlite3
from functools import partial
from typing import Any

from aiohttp import web

from centre.api.event_streams import Stream, Streams
from centre.api.routing import Route, answer
from centre.console import board_html as html
from centre.console import pages
from centre.console.board_cache import BoardCache
from centre.console.guard import TOKEN, Guard, csrf
from centre.jobs.desks import DeskWatch
from centre.jobs.store_check import StoreCheck
from centre.platform.change_signals import ChangeSignals, wait_for_change
from centre.platform.log import Log, now_ms
from centre.platform.worker import Worker
from centre.rules import access, cases
from centre.rules.access import OPERATOR, Caller
from centre.rules.desks import Attendance
from centre.rules.newest_position import Newest, Position
from centre.rules.places import metres
from centre.rules.refusals import Refused
from centre.settings import Settings
from centre.work import board, incident_sheet, positions

TEMPLATES = (
    "board.html",
    "board_list.html",
    "board_card.html",
    "board_line.html",
    "open_alarms.html",
    "sheet.html",
)
HEARTBEAT_S = 5.0  # the page says that it is not live after three missed ones
STREAMS_MAX = 64
STREAMS_PER_SESSION_MAX = 8  # forgotten tabs make nobody else blind
_OPENED_MAX = 1000  # sessions whose open sheet is remembered


class Operator:
    def __init__(
        self,
        worker: Worker,
        signals: ChangeSignals,
        log: Log,
        guard: Guard,
        settings: Settings,
        store_check: StoreCheck,
        desk_watch: DeskWatch,
    ) -> None:
        self._worker, self._signals, self._log, self._settings = worker, signals, log, settings
        self._guard, self._store_check, self._desk_watch = guard, store_check, desk_watch
        pages.compile_now(*TEMPLATES)
        self.boards = BoardCache(worker, signals, settings.escalate_s)
        self.streams = Streams(STREAMS_MAX, STREAMS_PER_SESSION_MAX)
        self._opened: dict[str, str] = {}  # by session: the incident of the sheet that it opened last
        sees = guard.sees(OPERATOR)
        at = "/console/incidents/{incident}"
        self.routes = (
            Route("GET", "/console", sees, self.page),
            Route("GET", "/console/live", sees, self.live, has_head=False),
            Route("GET", "/console/here", guard.sees(*access.ROLES), self.here),
            Route("GET", "/console/open", sees, self.open_alarms),
            Route("GET", at, sees, self.page_of_incident),
            Route("GET", f"{at}/sheet", sees, self.sheet),
            Route("GET", f"{at}/fixes", sees, self.fixes),
            Route("GET", f"{at}/photos/{{shows}}", sees, self.photo),
        )

    async def page(self, _request: web.Request, caller: Caller) -> web.Response:
        return await self._page(caller)

    async def open_alarms(self, request: web.Request, caller: Caller) -> web.Response:
        """Show every open alarm, a page at a time."""
        after = request.query.get("after", "")
        if not re.fullmatch(r"[0-9a-f]{0,64}", after, re.ASCII):
            raise Refused("out_of_range", "after is what the page before it has given", field="after")
        return _text(html.render_open(await self._worker(board.open_alarms, after), caller, self._settings))

    async def page_of_incident(self, request: web.Request, caller: Caller) -> web.Response:
        """Show the board with one sheet beside it: what a reload, or a browser without a script, gets."""
        incident_id = request.match_info["incident"]
        return await self._page(caller, incident_id, await self._sheet(caller, incident_id))

    async def page_with(
        self, caller: Caller, incident_id: str, *, notice: str, typed: dict[str, str]
    ) -> web.Response:
        """Show the page with a sheet again, why an act on it was refused, and what was typed."""
        sheet = await self._sheet(caller, incident_id, again=True, typed=typed)
        return await self._page(caller, incident_id, sheet, notice)

    async def _page(
        self, caller: Caller, opened: str = "", sheet: str = "", notice: str = ""
    ) -> web.Response:
        now = await self.boards.now()
        state = now.state(caller.actor) | self._standing(caller.language)
        page = html.page(
            now.board,
            (await self.boards.listed(now, caller.language, caller.actor)).html,
            state,
            caller,
            self._settings,
            opened=opened,
            sheet=sheet,
            notice=notice,
        )
        return _text(page)

    async def sheet(self, request: web.Request, caller: Caller) -> web.Response:
        """Its HTML for the page's script; `again` where that only refreshes what it shows."""
        again = request.query.get("again") == "1"
        return _text(await self._sheet(caller, request.match_info["incident"], again=again))

    async def _sheet(
        self, caller: Caller, incident_id: str, *, again: bool = False, typed: dict[str, str] | None = None
    ) -> str:
        """Render a sheet; a look is noted once per opening: `again` counts only for the sheet opened last."""
        again = again and self._opened.get(caller.session) == incident_id
        try:
            sheet = await self._worker(partial(incident_sheet.sheet, again=again), caller, incident_id)
        except sqlite3.Error as error:
            # On a full disk an operator still sees whom to help and where; the look is logged here instead.
            text = f"that {caller.actor} looks at incident {incident_id} cannot be noted: {error}"
            self._log("trouble", reason="look_not_noted", text=text)
            sheet = await self._worker(partial(incident_sheet.sheet, again=True), caller, incident_id)
        self._opened.pop(caller.session, None)
        self._opened[caller.session] = incident_id
        if len(self._opened) > _OPENED_MAX:
            del self._opened[next(iter(self._opened))]
        if sheet.is_seen_now:
            self._signals.board_changed()
        return html.render_sheet(
            sheet, caller.language, now_ms(), me=caller.actor, once=secrets.token_hex(8), typed=typed
        )

    async def fixes(self, request: web.Request, _caller: Caller) -> web.Response:
        """Answer with what a map has not drawn: positions after number `after`, and which are the newest."""
        after = request.query.get("after", "0")
        if not re.fullmatch(r"[0-9]{1,15}", after, re.ASCII):
            raise Refused("out_of_range", "after must be the number of a position", field="after")
        incident_id = request.match_info["incident"]
        trail = await self._worker(positions.trail, incident_id, int(after))
        newest = await self._worker(positions.newest, incident_id)
        body = {
            "fixes": [_point(position) for position in trail],
            "newest": _numbers(newest),
            "more": len(trail) == positions.TRAIL_MAX,
        }
        return answer(body, headers={"Cache-Control": "no-store"})

    async def photo(self, request: web.Request, caller: Caller) -> web.Response:
        """On the sheet opened last it is part of that look; fetched alone, it is one of its own."""
        incident_id, shows = request.match_info["incident"], request.match_info["shows"]
        if shows not in cases.SHOWS:
            raise Refused("unknown_incident")
        again = self._opened.get(caller.session) == incident_id
        asked = partial(incident_sheet.photo, again=again)
        media_type, image = await self._worker(asked, caller, incident_id, shows)
        return web.Response(body=image, content_type=media_type, headers={"Cache-Control": "no-store"})

    async def live(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        """Send the whole board whenever it has changed: a page that missed something is right again at once.

        Live is a desk that would see an alarm and could take it: what is sent says whether the store takes
        alarms, and that the session is over.
        """
        async with self.streams.open(request, caller.session) as stream:
            try:
                await self._tell(stream, caller)
            finally:
                if self.streams.count(caller.session) == 1:
                    self._desk_watch.leave(caller.session)
        return stream.response

    async def _tell(self, stream: Stream, caller: Caller) -> None:
        shown = None
        while not self.streams.stopping:
            try:
                self._desk_watch.come(await self._guard.still(caller))
            except Refused:
                await stream.send("signed_out", json.dumps({"now_ms": now_ms()}))
                break
            now = await self.boards.now()
            event = (await self.boards.listed(now, caller.language, caller.actor)).event
            standing = json.dumps(self._standing(caller.language))
            if event != shown:
                await stream.send("board", f"{event}, {standing[1:]}")
                shown = event
            else:
                await stream.send("alive", standing)
            await wait_for_change(now.changed, HEARTBEAT_S)

    def _standing(self, language: str) -> dict[str, Any]:
        """Return what every message says: the time, whether alarms are taken, who is at a desk."""
        return {
            "now_ms": now_ms(),
            "takes_alarms": self._store_check.takes_alarms,
            "desks": html.desks(self._desk_watch.desks(), language),
            "all_away": self._desk_watch.attendance is Attendance.ALL_AWAY,
        }

    async def here(self, request: web.Request, caller: Caller) -> web.Response:
        """Answer a page whether the session goes on, and with what its forms must carry now.

        A board says here that its desk is one, and whether it can sound.
        """
        self._desk_watch.hear(caller, sounds=request.query.get("sound") == "true")
        headers = {"Cache-Control": "no-store", "X-User": caller.user_id, TOKEN: csrf(caller)}
        return web.Response(status=204, headers=headers)


def _point(position: Position) -> dict[str, object]:
    """As the map's script reads it."""
    fix = position.fix
    return {
        "number": position.number,
        "lat": fix.lat,
        "lon": fix.lon,
        "radius_m": fix.radius_m,
        "within": metres(fix.radius_m),
        "taken_at_ms": position.at_ms,
        "marks": list(fix.marks),
    }


def _numbers(newest: Newest | None) -> list[int]:
    """Which positions the map shows as the newest: two where two phones differ."""
    if newest is None:
        return []
    return [newest.position.number] + ([newest.other.number] if newest.other else [])


def _text(page: str) -> web.Response:
    return web.Response(text=page, content_type="text/html", headers={"Cache-Control": "no-store"})
