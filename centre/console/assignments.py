"""The case manager's routes about buttons: handed out, enrolled by a printed QR code, lost, taken back."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import segno
from aiohttp import web
from markupsafe import Markup

from centre.api.routing import Route, wants_html
from centre.console import pages
from centre.console.cases import LIST, Cases, grouped
from centre.console.guard import Guard
from centre.platform.log import now_ms
from centre.platform.worker import Worker
from centre.rules import times
from centre.rules.access import CASE_MANAGER, Caller
from centre.rules.refusals import Refused
from centre.work import assignments, lost, sightings
from centre.work.buttons import ENROLMENT_MS

T = TypeVar("T")


class AssignmentPages:
    def __init__(self, worker: Worker, guard: Guard, cases: Cases, pin: str, public_url: str) -> None:
        """`pin`: SHA-256 of the key that bridges pin; `public_url`: this centre as they reach it, or ""."""
        self._worker, self._cases, self._pin, self._public_url = worker, cases, pin, public_url
        does = guard.does(CASE_MANAGER)
        held = f"{LIST}/{{case}}/buttons"
        self.routes = (
            Route("POST", held, does, cases.act(_handing_out, "buttons")),
            Route("POST", f"{held}/{{device}}/take-back", does, cases.act(_taking_back, "buttons")),
            Route("POST", f"{held}/{{device}}/place", does, cases.act(_registering, "buttons")),
            Route("POST", f"{held}/{{device}}/forget-place", does, cases.act(_forgetting, "buttons")),
            Route("POST", f"{held}/{{device}}/enrolment", does, self.enrolment),
            Route("POST", f"{held}/{{device}}/phones/{{bridge}}/lost", does, self.lose_phone),
            Route("POST", f"{held}/{{device}}/lost", does, self.lose_button),
        )

    async def enrolment(self, request: web.Request, caller: Caller) -> web.Response:
        """Show a new code on a page to print; it is in no address, and nowhere else."""
        case_id, device_id = request.match_info["case"], request.match_info["device"]
        work = partial(self._worker, assignments.issue_enrolment, caller, case_id, device_id)
        return await self._shown(request, caller, work, partial(self._label, request, caller))

    async def lose_phone(self, request: web.Request, caller: Caller) -> web.Response:
        """Cut a phone off; say what its finder can still do, with the label of the next phone to print."""
        where = request.match_info
        act = partial(lost.lose_phone, device_id=where["device"], bridge_id=where["bridge"])
        work = partial(self._worker, act, caller, where["case"])
        return await self._shown(request, caller, work, partial(self._lost, request, caller))

    async def lose_button(self, request: web.Request, caller: Caller) -> web.Response:
        """Revoke a button; say what its finder can still do, and what comes next."""
        where = request.match_info
        work = partial(self._worker, lost.lose_button, caller, where["case"], where["device"])
        return await self._shown(request, caller, work, partial(self._lost, request, caller))

    async def _shown(
        self,
        request: web.Request,
        caller: Caller,
        work: Callable[[], Awaitable[T]],
        page: Callable[[T], web.Response],
    ) -> web.Response:
        """Do it and show its page; where it was refused, show the case with the reason."""
        try:
            result = await work()
        except Refused as refused:
            if not wants_html(request) or refused.reason == "unknown_case":
                raise
            return await self._cases.show(request, caller, refused)
        return page(result)

    def _lost(self, request: web.Request, caller: Caller, thing: lost.Lost) -> web.Response:
        if thing.code is not None:
            return self._label(request, caller, thing.code, thing)
        shown = {"case_id": request.match_info["case"], "device_id": grouped(thing.device_id), "lost": thing}
        return pages.page("case_lost.html", caller, minute=times.minute, **shown)

    def _label(
        self, request: web.Request, caller: Caller, code: str, phone: lost.Lost | None = None
    ) -> web.Response:
        url = self._public_url or f"{request.scheme}://{request.host}"
        qr = segno.make(f"{url}/e#{code}.{self._pin}", error="m", micro=False)
        # Our own drawing, with no style or script in it.
        svg = qr.svg_inline(scale=6, border=4, omitsize=True, dark="#000", light="#fff", svgclass="qr")
        drawing = Markup(svg)  # noqa: S704
        return pages.page(
            "case_enrolment.html",
            caller,
            case_id=request.match_info["case"],
            device_id=grouped(request.match_info["device"]),
            code=grouped(code),
            qr=drawing,
            url=url,
            until=times.minute(int(now_ms()) + ENROLMENT_MS),
            lost=phone,
            minute=times.minute,
        )


def _handing_out(form: dict[str, str]) -> partial[None]:
    device_id = form.get("device_id", "").replace(" ", "").replace("-", "").upper()
    return partial(assignments.hand_out, device_id=device_id)


def _taking_back(form: dict[str, str]) -> partial[None]:
    return partial(assignments.take_back, device_id=form["device"])


def _registering(form: dict[str, str]) -> partial[None]:
    return partial(sightings.register, device_id=form["device"], place=form.get("place", ""))


def _forgetting(form: dict[str, str]) -> partial[None]:
    return partial(sightings.forget, device_id=form["device"], place=form.get("place", ""))
