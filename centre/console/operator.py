"""The operator's routes: one page, one stream, three acts."""

import json
from functools import partial
from html import escape
from pathlib import Path
from string import Template
from urllib.parse import parse_qsl

from aiohttp import web

from centre.console import board as html
from centre.console.guard import Guard, csrf
from centre.intake import BOARD_BELL
from centre.log import Log, now_ms
from centre.routing import Route, read_body, wants_html
from centre.rules import incidents
from centre.rules.access import OPERATOR, Caller
from centre.rules.refusals import Refused
from centre.streams import Streams, rung
from centre.work import desk
from centre.work.desk import Advanced
from centre.work.views import Board
from centre.worker import Bells, Worker
from wire import receipts

HEARTBEAT_S = 5.0  # the page says that it is not live after three missed ones
STREAMS_MAX = 64


class Operator:
    def __init__(self, worker: Worker, bells: Bells, log: Log, guard: Guard) -> None:
        self._worker, self._bells, self._log, self._guard = worker, bells, log, guard
        self._page = Template((Path(__file__).parent / "templates/board.html").read_text("utf-8"))
        self.streams = Streams(STREAMS_MAX, STREAMS_MAX)
        sees, does = guard.sees(OPERATOR), guard.does(OPERATOR)
        at = "/console/incidents/{incident}"
        self.routes = (
            Route("GET", "/console", sees, self.page),
            Route("GET", "/console/live", sees, self.live),
            Route("POST", f"{at}/acknowledge", does, self.acknowledge),
            Route("POST", f"{at}/dispatch", does, self.dispatch),
            Route("POST", f"{at}/close", does, self.close),
        )

    async def page(self, _request: web.Request, caller: Caller) -> web.Response:
        board = await self._worker(desk.board)
        waiting = len(board.untaken) + board.hidden
        field = f'<input type="hidden" name="csrf" value="{csrf(caller)}"></form>'
        page = self._page.substitute(
            board=html.render(board).replace("</form>", field),
            csrf=csrf(caller),
            untaken=waiting,
            now_ms=int(now_ms()),
            icon="alarm.svg" if waiting else "calm.svg",
            duress=str(html.duress_waits(board)).lower(),
            title=escape(_title(board)),
        )
        return web.Response(text=page, content_type="text/html", headers={"Cache-Control": "no-store"})

    async def live(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        """The whole board whenever it has changed: a page that missed something is right again at once."""
        shown = None
        async with self.streams.open(request, caller.session) as stream:
            while not self.streams.stopping:
                await self._guard.still(caller)
                bell = self._bells.bell(BOARD_BELL)
                board = await self._worker(desk.board)
                rendered = html.render(board)
                if rendered != shown:
                    waiting = len(board.untaken) + board.hidden
                    data = {
                        "html": rendered,
                        "untaken": waiting,
                        "duress": html.duress_waits(board),
                        "now_ms": now_ms(),
                    }
                    await stream.send("board", json.dumps(data))
                    shown = rendered
                else:
                    await stream.send("alive", json.dumps({"now_ms": now_ms()}))
                await rung(bell, HEARTBEAT_S)
        return stream.response

    async def acknowledge(self, request: web.Request, caller: Caller) -> web.Response:
        """Take an alarm. The second who tries is told that it was taken, and when."""
        return await self._act(request, caller, receipts.ACKNOWLEDGED, "acknowledged", await _form(request))

    async def dispatch(self, request: web.Request, caller: Caller) -> web.Response:
        """Help has been sent; with a note, if wanted."""
        return await self._act(request, caller, receipts.DISPATCHED, "dispatched", await _form(request))

    async def close(self, request: web.Request, caller: Caller) -> web.Response:
        """It is over; only an operator says so, and says what it was."""
        form = await _form(request)
        if form.get("reason") not in incidents.CLOSE_REASONS:
            words = ", ".join(incidents.CLOSE_REASONS)
            raise Refused("out_of_range", f"reason must be one of {words}", field="reason")
        return await self._act(request, caller, receipts.CLOSED, "closed", form)

    async def _act(
        self, request: web.Request, caller: Caller, stage: int, event: str, form: dict[str, str]
    ) -> web.Response:
        """Bring the incident to `stage` once; on disk, then logged, then told to all who wait for it."""
        incident_id = request.match_info["incident"]
        reason = form.get("reason") if stage == receipts.CLOSED else None
        note = form.get("note", "").strip() or None if stage == receipts.DISPATCHED else None
        if note and (len(note) > incidents.NOTE_CHARS_MAX or not note.isprintable()):
            raise Refused(
                "out_of_range",
                f"a note is one line of at most {incidents.NOTE_CHARS_MAX} characters",
                field="note",
            )
        advance = partial(desk.advance, reason=reason, note=note, seen_duress=form.get("seen_duress") == "1")
        advanced: Advanced = await self._worker(advance, caller, incident_id, stage)
        if advanced.now:
            self._log(
                event,
                at_ms=advanced.committed_at_ms,
                incident=incident_id,
                device_id=advanced.device_id,
                event=advanced.event,
                counter=advanced.counter,
                **({} if reason is None else {"reason": reason}),
            )
            self._bells.ring(incident_id, BOARD_BELL)
        if wants_html(request):
            return web.Response(status=303, headers={"Location": f"/console#i-{incident_id}"})
        answer = {"incident": incident_id, "stage": advanced.stage, "taken_now": advanced.now}
        return web.json_response(answer)


async def _form(request: web.Request) -> dict[str, str]:
    """The fields of a browser's form; of what else is posted, none."""
    if request.content_type != "application/x-www-form-urlencoded":
        return {}
    try:
        return dict(parse_qsl((await read_body(request)).decode("utf-8"), max_num_fields=16))
    except ValueError:  # not UTF-8, too many
        raise Refused("malformed_form") from None


def _title(board: Board) -> str:
    """Until page.js, which knows the time, writes its own."""
    if not board.untaken:
        return "No alarm"
    waiting = len(board.untaken) + board.hidden
    return f"▲ DURESS · {waiting} NOT SEEN" if html.duress_waits(board) else f"▲ {waiting} ALARM NOT TAKEN"
