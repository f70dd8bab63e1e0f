"""What operators do to an alarm, by forms: each is answered in time, with its cause where it is refused.

A script is answered with JSON; a browser without one gets the page again, with the cause in a sentence, and
what was typed in its field. Everything is idempotent, so whoever is not answered may try again.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from centre.api.routing import Route, answer, read_body, shown_as_page, wants_html
from centre.console import words
from centre.console.guard import Guard
from centre.console.operator import Operator
from centre.platform.change_signals import ChangeSignals
from centre.platform.log import Log
from centre.platform.worker import Worker
from centre.rules import incidents, running_log
from centre.rules.access import OPERATOR, Caller
from centre.rules.incidents import CloseReason
from centre.rules.refusals import REASONS, Refused
from centre.rules.running_log import PatrolStep
from centre.settings import Settings
from centre.work import board, closings, standing_orders
from centre.work import running_log as work
from centre.work.board import Advanced
from wire import receipts

ACT_S_MAX = 9.0  # below the 10 s after which a page says that an act was not taken
FIELDS_MAX = 16
# What the log on stdout says of a stage that an act has brought about.
_EVENTS = {
    receipts.ACKNOWLEDGED: "acknowledged",
    receipts.DISPATCHED: "dispatched",
    receipts.CLOSED: "closed",
}

Form = dict[str, str]
Act = Callable[..., Advanced]


class Acts:
    def __init__(
        self,
        worker: Worker,
        signals: ChangeSignals,
        log: Log,
        guard: Guard,
        settings: Settings,
        operator: Operator,
    ) -> None:
        self._worker, self._signals, self._log, self._operator = worker, signals, log, operator
        self._undo_ms = settings.undo_close_s * 1000
        does = guard.does(OPERATOR)
        chosen: dict[str, Callable[[Form], Act]] = {
            "acknowledge": _acknowledge,
            "dispatch": _dispatch,
            "close": self._close,
            "undo-close": lambda _form: closings.undo,
            "reopen": lambda form: partial(closings.reopen, seen_duress=_seen(form)),
            "correct": lambda form: partial(closings.correct, reason=_reason(form)),
            "remark": lambda form: partial(
                work.remark, text=form.get("remark", ""), once=form.get("once", "")
            ),
            "patrol": _patrol,
            "hand-over": lambda form: partial(work.hand_over, user_id=form.get("to", "")),
            "give-back": lambda _form: work.give_back,
            "tick": lambda form: partial(standing_orders.tick, step=form.get("step", "")),
        }
        self.routes = tuple(
            Route("POST", f"/console/incidents/{{incident}}/{name}", does, self._act(choose))
            for name, choose in chosen.items()
        )

    def _close(self, form: Form) -> Act:
        """Only an operator says that it is over, and what it was."""
        return partial(closings.close, reason=_reason(form), seen_duress=_seen(form), undo_ms=self._undo_ms)

    def _act(
        self, choose: Callable[[Form], Act]
    ) -> Callable[[web.Request, Caller], Awaitable[web.StreamResponse]]:
        """Make the handler of a route: on disk, then logged, then told to all who wait for it."""

        async def act(request: web.Request, caller: Caller) -> web.StreamResponse:
            incident_id = request.match_info["incident"]
            form: Form = {}
            try:
                form, is_text = await _form(request)
                if not is_text:
                    raise Refused("malformed_form")
                done = await self._do(choose(form), caller, incident_id)
            except Refused as refused:
                return await self._refused(request, caller, incident_id, form, refused)
            except sqlite3.Error as error:
                self._log("trouble", reason="store_unavailable", text=f"the database refuses: {error}")
                no = Refused("store_unavailable")
                return await self._refused(request, caller, incident_id, form, no)
            self._tell(done)
            if done.incident_id != incident_id:
                self._signals.incident_changed(incident_id)
            return _answered(request, done)

        return act

    async def _do(self, act: Act, caller: Caller, incident_id: str) -> Advanced:
        """Do it in time. Raises Refused("busy") where that is not known to have been possible."""
        try:
            async with asyncio.timeout(ACT_S_MAX):
                return await self._worker(act, caller, incident_id)
        except TimeoutError:
            raise Refused("busy") from None

    def _tell(self, done: Advanced) -> None:
        press = {"device_id": done.device_id, "event": done.event, "counter": done.counter}
        for stage in done.reached:
            more: dict[str, Any] = press if stage < receipts.CLOSED else press | {"reason": done.reason}
            self._log(_EVENTS[stage], incident=done.incident_id, **more)
        if done.now:
            self._signals.incident_changed(done.incident_id)

    async def _refused(
        self, request: web.Request, caller: Caller, incident_id: str, form: Form, refused: Refused
    ) -> web.StreamResponse:
        """Say why in the caller's language; nothing was changed."""
        cause = sentence(caller.language, refused)
        if not wants_html(request) or refused.reason in ("unknown_incident", "not_an_alarm"):
            retry_after_s = refused.retry_after_s
            raise Refused(refused.reason, cause, field=refused.field, retry_after_s=retry_after_s) from None
        try:
            page = await self._operator.page_with(caller, incident_id, notice=cause, typed=form)
        except sqlite3.Error:  # nothing can be read either
            raise Refused(refused.reason, cause) from None
        shown_as_page(request, refused)
        page.set_status(REASONS[refused.reason][0])
        return page


def sentence(language: str, refused: Refused, key: str = "") -> str:
    """Return the cause as a person is told it; where we have no words of our own for it, the detail.

    `key`: of words that say more than those of the reason.
    """
    bounds = {"remark": running_log.REMARK_CHARS_MAX, "name": running_log.NAME_CHARS_MAX}
    try:
        cause = words.say(language, f"acts.no_{key or refused.reason}").format(**bounds)
    except KeyError:
        cause = refused.detail
    return f"{words.say(language, 'acts.not_done')} {cause}"


def _answered(request: web.Request, done: Advanced) -> web.Response:
    if wants_html(request):
        return web.Response(status=303, headers={"Location": f"/console/incidents/{done.incident_id}"})
    return answer(
        {
            "incident": done.incident_id,
            "stage": done.stage,
            "taken_now": done.now,
            "by": done.by,
            "at_ms": done.at_ms,
        }
    )


def _acknowledge(form: Form) -> Act:
    """Take an alarm. The second who tries is told that it was taken, and when."""
    return partial(board.advance, stage=receipts.ACKNOWLEDGED, seen_duress=_seen(form))


def _dispatch(form: Form) -> Act:
    """Help has been sent: a patrol, with who it is, if wanted."""
    return partial(work.send_patrol, name=form.get("note", ""), seen_duress=_seen(form))


def _remark(form: Form) -> Act:
    return partial(work.remark, text=form.get("remark", ""), once=form.get("once", ""))


def _patrol(form: Form) -> Act:
    number, step = form.get("patrol", ""), form.get("step", "")
    if step not in running_log.STEPS:
        raise Refused("out_of_range", f"step must be one of {', '.join(running_log.STEPS)}", field="step")
    if not (number.isascii() and number.isdigit() and len(number) < 4):
        raise Refused("unknown_patrol", field="patrol")
    return partial(work.go_on, number=int(number), step=PatrolStep(step))


def _reason(form: Form) -> CloseReason:
    if form.get("reason") not in incidents.CLOSE_REASONS:
        allowed = ", ".join(incidents.CLOSE_REASONS)
        raise Refused("out_of_range", f"reason must be one of {allowed}", field="reason")
    return CloseReason(form["reason"])


def _seen(form: Form) -> bool:
    return form.get("seen_duress") == "1"


async def _form(request: web.Request) -> tuple[Form, bool]:
    """Return the fields of a browser's form, and whether they are in UTF-8: if not, as they can be shown.

    Raises Refused: too_large, too_slow, malformed_form.
    """
    if request.content_type != "application/x-www-form-urlencoded":
        return {}, True
    body = await read_body(request)
    read = partial(parse_qsl, keep_blank_values=True, max_num_fields=FIELDS_MAX)
    try:
        return dict(read(body.decode(), errors="strict")), True
    except UnicodeDecodeError:
        return dict(read(body.decode("latin-1"), encoding="cp1252", errors="replace")), False
    except ValueError:  # too many
        raise Refused("malformed_form") from None
