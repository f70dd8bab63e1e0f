"""The daily report of a case manager's zone, to be read or printed."""

from datetime import date, timedelta

from aiohttp import web

from centre.api.routing import Route
from centre.console import pages
from centre.console.cases import grouped
from centre.console.guard import Guard
from centre.platform.log import now_ms
from centre.platform.worker import AFTER, Worker
from centre.rules import grants, times
from centre.rules.access import CASE_MANAGER, Caller
from centre.work import reports


class DailyReport:
    def __init__(self, looks: Worker, guard: Guard, test_every_days: int) -> None:
        self._looks, self._test_every_days = looks, test_every_days
        self.routes = (Route("GET", "/console/report", guard.sees(CASE_MANAGER), self.page),)

    async def page(self, request: web.Request, caller: Caller) -> web.Response:
        """Of `day`, else of today. Raises Refused("out_of_range")."""
        today = times.day(int(now_ms()))
        day = request.query.get("day") or today
        times.check_day(day, grants.FIRST, today, field="day")
        report = await self._looks(reports.of_day, caller.zone, day, self._test_every_days, lane=AFTER)
        on = date.fromisoformat(day)
        before, after = (on + timedelta(days=n) for n in (-1, 1))
        return pages.page(
            "case_report.html",
            caller,
            report=report,
            before=max(before.isoformat(), grants.FIRST),
            after="" if day == today else after.isoformat(),
            today=today,
            minute=times.minute,
            grouped=grouped,
        )
