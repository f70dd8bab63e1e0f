"""An operator's shift: hand it over in one act, find alarms again; a sheet for a patrol; standing orders."""

import re
from datetime import date, timedelta
from functools import partial
from urllib.parse import urlencode

from aiohttp import web

from centre.api.routing import Route, read_form
from centre.console import pages
from centre.console.acts import sentence
from centre.console.board_html import render_patrol_sheet
from centre.console.cases import grouped
from centre.console.guard import Guard
from centre.platform.change_signals import ChangeSignals
from centre.platform.log import now_ms
from centre.platform.worker import AFTER, Worker
from centre.rules import grants, running_log, times
from centre.rules.access import ADMINISTRATOR, CASE_MANAGER, OPERATOR, Caller
from centre.rules.incidents import CLOSE_REASONS, CloseReason
from centre.rules.refusals import REASONS, Refused
from centre.work import alarm_search, incident_sheet, standing_orders
from centre.work import running_log as work
from centre.work.alarm_search import Asked

SHIFT, ORDER = "/console/shift", "/console/standing-order"


class Shift:
    def __init__(self, worker: Worker, looks: Worker, signals: ChangeSignals, guard: Guard) -> None:
        self._worker, self._looks, self._signals = worker, looks, signals
        sees, does = guard.sees(OPERATOR), guard.does(OPERATOR)
        writers = (CASE_MANAGER, ADMINISTRATOR)
        self.routes = (
            Route("GET", SHIFT, sees, self.page),
            Route("POST", SHIFT, does, self.hand_over),
            Route("GET", "/console/incidents/{incident}/patrol", sees, self.patrol_sheet),
            Route("GET", ORDER, guard.sees(*writers), self.order),
            Route("POST", ORDER, guard.does(*writers), self.write_order),
        )

    async def page(self, request: web.Request, caller: Caller) -> web.Response:
        """Show the shift, and the alarms that were asked for; without days, those of the last 12 hours."""
        return await self._page(request, caller)

    async def _page(
        self, request: web.Request, caller: Caller, refused: Refused | None = None
    ) -> web.Response:
        query = {name: request.query.get(name, "").strip() for name in ("find", "from", "until", "zone")}
        asked = _asked(query, request.query.get("reason", ""))
        after = request.query.get("after", "")
        if not re.fullmatch(r"[0-9a-f]{0,64}", after, re.ASCII):
            raise Refused("out_of_range", "after is what the page before it has given", field="after")
        found = await self._looks(alarm_search.search, asked, after, lane=AFTER)
        await self._worker(alarm_search.noted, caller, asked, found, lane=AFTER)
        handed = request.query.get("handed", "")
        page = pages.page(
            "shift.html",
            caller,
            found=found,
            query=query | {"reason": asked.reason or ""},
            reasons=CLOSE_REASONS,
            zones=await self._looks(alarm_search.zones, lane=AFTER),
            mine=await self._looks(alarm_search.open_of, caller, lane=AFTER),
            colleagues=await self._looks(work.colleagues, lane=AFTER),
            handed=handed if re.fullmatch(r"[0-9]{1,4}", handed, re.ASCII) else "",
            cause=sentence(caller.language, refused) if refused else "",
            second=times.second,
            grouped=grouped,
        )
        if refused is not None:
            page.set_status(REASONS[refused.reason][0])
        return page

    async def hand_over(self, request: web.Request, caller: Caller) -> web.Response:
        """Give all that the caller has to a colleague."""
        form = await read_form(request)
        try:
            handed = await self._worker(work.hand_over_all, caller, form.get("to", ""))
        except Refused as refused:
            return await self._page(request, caller, refused)
        for incident_id in handed:
            self._signals.incident_changed(incident_id)
        return _see(f"{SHIFT}?handed={len(handed)}")

    async def patrol_sheet(self, request: web.Request, caller: Caller) -> web.Response:
        """Show what a patrol needs, and nothing else; the look is noted as that at a sheet."""
        sheet = await self._worker(incident_sheet.sheet, caller, request.match_info["incident"])
        text = render_patrol_sheet(sheet, caller.language, now_ms())
        return web.Response(text=text, content_type="text/html", headers={"Cache-Control": "no-store"})

    async def order(self, request: web.Request, caller: Caller) -> web.Response:
        """Show a zone's standing order; a case manager's own zone's, an administrator's any."""
        return await self._order(caller, _zone(caller, request.query.get("zone", "")))

    async def _order(
        self, caller: Caller, zone: str, text: str | None = None, refused: Refused | None = None
    ) -> web.Response:
        order = await self._worker(standing_orders.of_zone, zone, lane=AFTER)
        is_changed = refused is not None and refused.reason == "changed_meanwhile"
        key = "order_changed" if is_changed else ""
        page = pages.page(
            "standing_order.html",
            caller,
            order=order,
            text="\n".join(order.steps) if text is None else text,
            is_changed=is_changed,
            zones=await self._worker(alarm_search.zones, lane=AFTER),
            cause=sentence(caller.language, refused, key) if refused else "",
            bounds={"steps": running_log.ORDER_STEPS_MAX, "name": running_log.NAME_CHARS_MAX},
            minute=times.minute,
        )
        if refused is not None:
            page.set_status(REASONS[refused.reason][0])
        return page

    async def write_order(self, request: web.Request, caller: Caller) -> web.Response:
        """Write it anew; where somebody has changed it meanwhile, both are shown."""
        form = await read_form(request)
        zone, read_at = _zone(caller, form.get("zone", "")), form.get("changed_at_ms", "")
        read_at_ms = int(read_at) if re.fullmatch(r"[0-9]{1,16}", read_at, re.ASCII) else 0
        write = partial(standing_orders.write, text=form.get("steps", ""), read_at_ms=read_at_ms)
        try:
            await self._worker(write, caller, zone)
        except Refused as refused:
            return await self._order(caller, zone, form.get("steps", ""), refused)
        return _see(ORDER if caller.zone else f"{ORDER}?{urlencode({'zone': zone})}")


def _see(where: str) -> web.Response:
    return web.Response(status=303, headers={"Location": where, "Cache-Control": "no-store"})


def _zone(caller: Caller, asked: str) -> str:
    return caller.zone or asked.strip()[:200]


def _asked(query: dict[str, str], reason: str) -> Asked:
    """Read what is asked for. Raises Refused("out_of_range")."""
    today = times.day(int(now_ms()))
    for name in ("from", "until"):
        if query[name]:
            times.check_day(query[name], grants.FIRST, today, field=name)
    if reason and reason not in CLOSE_REASONS:
        raise Refused("out_of_range", f"reason must be one of {', '.join(CLOSE_REASONS)}", field="reason")
    if query["from"] or query["until"]:
        since_ms = times.day_ms(query["from"])[0] if query["from"] else 0
        until_ms = times.day_ms(query["until"] or today)[1]
    else:
        since_ms = int(now_ms()) - alarm_search.SHIFT_MS
        until_ms = times.day_ms((date.fromisoformat(today) + timedelta(days=1)).isoformat())[1]
    return Asked(since_ms, until_ms, query["find"], query["zone"], CloseReason(reason) if reason else None)
