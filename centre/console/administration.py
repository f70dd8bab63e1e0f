"""The administrator's page: alarms of revoked buttons, which no operator sees; buttons, phones, users."""

from functools import partial

from aiohttp import web

from centre.api.routing import Route, answer
from centre.console import board_html, pages, words
from centre.console.cases import grouped
from centre.console.guard import Guard
from centre.jobs.condition import ConditionWatch
from centre.jobs.desks import DeskWatch
from centre.jobs.log_check import LogCheck
from centre.platform.change_signals import ChangeSignals
from centre.platform.troubles import TroubleLog
from centre.platform.worker import Worker
from centre.rules import times
from centre.rules.access import ADMINISTRATOR, Caller
from centre.rules.refusals import Refused
from centre.work import administration

PAGE = "/console/administration"
AFTER_DIGITS = 16


class Administration:
    def __init__(
        self,
        worker: Worker,
        looks: Worker,
        signals: ChangeSignals,
        guard: Guard,
        log: TroubleLog,
        watch: ConditionWatch,
        log_check: LogCheck,
        desk_watch: DeskWatch,
    ) -> None:
        """Make the routes. `looks`: a thread that only reads, for which no alarm waits."""
        self._worker, self._looks, self._signals = worker, looks, signals
        self._log, self._watch, self._log_check, self._desk_watch = log, watch, log_check, desk_watch
        sees, does = guard.sees(ADMINISTRATOR), guard.does(ADMINISTRATOR)
        self.routes = (
            Route("GET", PAGE, sees, self.page),
            Route("GET", f"{PAGE}/waiting", sees, self.waiting),
            Route("POST", f"{PAGE}/log-check", does, self.check_log),
            Route("POST", f"{PAGE}/incidents/{{incident}}/hand-over", does, self.hand_over),
            Route("POST", f"{PAGE}/incidents/{{incident}}/set-aside", does, self.set_aside),
        )

    async def page(self, request: web.Request, caller: Caller) -> web.Response:
        """`after`: the number of a button, behind which its list begins. Raises Refused("out_of_range")."""
        after = request.query.get("after", "0")
        if not (after.isascii() and after.isdigit() and len(after) < AFTER_DIGITS):
            raise Refused("out_of_range", "after is what the page before it has given", field="after")
        overview = await self._looks(administration.overview, int(after))
        condition = await self._watch.look()
        return pages.page(
            "administration.html",
            caller,
            overview=overview,
            condition=condition,
            troubles=self._log.troubles,
            trouble_words=lambda reason: words.find(caller.language, f"troubles.{reason}") or reason,
            desks=board_html.desks(self._desk_watch.desks(), caller.language),
            is_checking=self._log_check.is_running,
            minute=times.minute,
            grouped=grouped,
        )

    async def waiting(self, _request: web.Request, _caller: Caller) -> web.Response:
        """Answer how many alarms wait for a ruling, and what is wrong: the page asks every few seconds."""
        waiting = await self._looks(administration.waiting)
        reasons = sorted(trouble.reason for trouble in self._log.troubles)
        shown = {"waiting": waiting, "troubles": reasons, "checking": self._log_check.is_running}
        return answer(shown, headers={"Cache-Control": "no-store"})

    async def check_log(self, _request: web.Request, caller: Caller) -> web.Response:
        """Begin to verify the whole event log; the page tells when it is done."""
        self._log_check.begin(caller.actor)
        return web.Response(
            status=303, headers={"Location": f"{PAGE}#condition", "Cache-Control": "no-store"}
        )

    async def hand_over(self, request: web.Request, caller: Caller) -> web.Response:
        """Make it an alarm like any other, that nobody has taken."""
        return await self._rule(request, caller, administration.OPERATORS)

    async def set_aside(self, request: web.Request, caller: Caller) -> web.Response:
        return await self._rule(request, caller, administration.ASIDE)

    async def _rule(self, request: web.Request, caller: Caller, ruling: int) -> web.Response:
        work = partial(administration.rule, incident_id=request.match_info["incident"], ruling=ruling)
        await self._worker(work, caller)
        self._signals.board_changed()
        return web.Response(status=303, headers={"Location": PAGE, "Cache-Control": "no-store"})
