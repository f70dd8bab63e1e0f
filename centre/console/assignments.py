"""The case manager's routes about buttons: handed out, enrolled by a printed QR code, taken back."""

from functools import partial

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
from centre.work import assignments
from centre.work.buttons import ENROLMENT_MS


class AssignmentPages:
    def __init__(self, worker: Worker, guard: Guard, cases: Cases, pin: str, public_url: str) -> None:
        """`pin`: SHA-256 of the key that bridges pin; `public_url`: this centre as they reach it, or ""."""
        self._worker, self._cases, self._pin, self._public_url = worker, cases, pin, public_url
        does = guard.does(CASE_MANAGER)
        held = f"{LIST}/{{case}}/buttons"
        self.routes = (
            Route("POST", held, does, cases.act(_handing_out, "buttons")),
            Route("POST", f"{held}/{{device}}/take-back", does, cases.act(_taking_back, "buttons")),
            Route("POST", f"{held}/{{device}}/enrolment", does, self.enrolment),
        )

    async def enrolment(self, request: web.Request, caller: Caller) -> web.Response:
        """Show a new code on a page to print; it is in no address, and nowhere else."""
        case_id, device_id = request.match_info["case"], request.match_info["device"]
        try:
            code = await self._worker(assignments.issue_enrolment, caller, case_id, device_id)
        except Refused as refused:
            if not wants_html(request) or refused.reason == "unknown_case":
                raise
            return await self._cases.show(request, caller, refused)
        url = self._public_url or f"{request.scheme}://{request.host}"
        qr = segno.make(f"{url}/e#{code}.{self._pin}", error="m", micro=False)
        # Our own drawing, with no style or script in it.
        svg = qr.svg_inline(scale=6, border=4, omitsize=True, dark="#000", light="#fff", svgclass="qr")
        drawing = Markup(svg)  # noqa: S704
        return pages.page(
            "case_enrolment.html",
            caller,
            case_id=case_id,
            device_id=grouped(device_id),
            code=grouped(code),
            qr=drawing,
            url=url,
            until=times.minute(int(now_ms()) + ENROLMENT_MS),
        )


def _handing_out(form: dict[str, str]) -> partial[None]:
    device_id = form.get("device_id", "").replace(" ", "").replace("-", "").upper()
    return partial(assignments.hand_out, device_id=device_id)


def _taking_back(form: dict[str, str]) -> partial[None]:
    return partial(assignments.take_back, device_id=form["device"])
