"""The operator's routes: one key, one page, one stream, three acts."""

import hashlib
import hmac
import json
import secrets
from functools import partial
from html import escape
from pathlib import Path
from string import Template
from urllib.parse import parse_qsl

from aiohttp import web

from centre import incidents
from centre.console import board as html
from centre.intake import BOARD_BELL
from centre.log import Log, now_ms
from centre.refusals import Refused
from centre.routing import Route, anyone, read_body, same_origin, wants_html
from centre.service import Advanced, Service
from centre.streams import Streams, rung
from centre.views import Board
from centre.worker import Bells, Worker
from wire import receipts

COOKIE = "__Host-amr-console"
HEARTBEAT_S = 5.0  # the page says that it is not live after three missed ones
STREAMS_MAX = 64
FILES = {
    "page.css": "text/css",
    "page.js": "text/javascript",
    "calm.svg": "image/svg+xml",
    "alarm.svg": "image/svg+xml",
}
_HINT = "open the address that `amr-centre console` prints; it carries the key"


def new_key() -> bytes:
    return secrets.token_urlsafe(32).encode()


def entrance(base: str, key: bytes) -> str:
    """The address that lets an operator in, at the centre's address `base`: it carries the key."""
    return f"{base}/console/enter?key={key.decode('ascii').strip()}"


class Console:
    """Whoever has `key` is an operator; the cookie proves the key without being it."""

    def __init__(self, worker: Worker, bells: Bells, log: Log, key: bytes) -> None:
        self._worker, self._bells, self._log = worker, bells, log
        self._key = key.decode("ascii").strip()
        self._cookie = hmac.new(self._key.encode(), b"operator", hashlib.sha256).hexdigest()
        here = Path(__file__).parent
        self._page = Template((here / "page.html").read_text("utf-8"))
        self._files = {name: (here / name).read_text("utf-8") for name in FILES}
        self.streams = Streams(STREAMS_MAX, STREAMS_MAX)
        self.routes = (
            Route("GET", "/console/enter", self.key, self.enter),
            Route("GET", "/console", self.operator, self.page),
            Route("GET", "/console/live", self.operator, self.live),
            Route("GET", "/console/{file}", anyone, self.file),
            Route("POST", "/console/incidents/{incident}/acknowledge", self.operator_here, self.acknowledge),
            Route("POST", "/console/incidents/{incident}/dispatch", self.operator_here, self.dispatch),
            Route("POST", "/console/incidents/{incident}/close", self.operator_here, self.close),
        )

    async def key(self, request: web.Request) -> str:
        if not _same(request.query.get("key", ""), self._key):
            raise Refused("unauthorised", _HINT)
        return "operator"

    async def operator(self, request: web.Request) -> str:
        if not _same(request.cookies.get(COOKIE, ""), self._cookie):
            raise Refused("unauthorised", _HINT)
        return "operator"

    async def operator_here(self, request: web.Request) -> str:
        """An operator, and from our own page: another site's form must not acknowledge an alarm."""
        if not same_origin(request):
            raise Refused("wrong_origin")
        return await self.operator(request)

    async def enter(self, _request: web.Request, _caller: str) -> web.Response:
        """Swap the key in the address for a cookie, and the address for a clean one."""
        response = web.Response(status=303, headers={"Location": "/console", "Cache-Control": "no-store"})
        response.set_cookie(COOKIE, self._cookie, path="/", secure=True, httponly=True, samesite="Strict")
        return response

    async def page(self, _request: web.Request, _caller: str) -> web.Response:
        board = await self._worker(Service.board)
        waiting = len(board.untaken) + board.hidden
        page = self._page.substitute(
            board=html.render(board),
            untaken=waiting,
            now_ms=int(now_ms()),
            icon="alarm.svg" if waiting else "calm.svg",
            duress=str(html.duress_waits(board)).lower(),
            title=escape(_title(board)),
        )
        return web.Response(text=page, content_type="text/html", headers={"Cache-Control": "no-store"})

    async def file(self, request: web.Request, _caller: str) -> web.Response:
        name = request.match_info["file"]
        if name not in FILES:
            raise Refused("unknown_path")
        return web.Response(
            text=self._files[name], content_type=FILES[name], headers={"Cache-Control": "no-cache"}
        )

    async def live(self, request: web.Request, caller: str) -> web.StreamResponse:
        """The whole board whenever it has changed: a page that missed something is right again at once."""
        shown = None
        async with self.streams.open(request, caller) as stream:
            while not self.streams.stopping:
                bell = self._bells.bell(BOARD_BELL)
                board = await self._worker(Service.board)
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

    async def acknowledge(self, request: web.Request, _caller: str) -> web.Response:
        """Take an alarm. The second who tries is told that it was taken, and when."""
        return await self._act(request, receipts.ACKNOWLEDGED, "acknowledged", await _form(request))

    async def dispatch(self, request: web.Request, _caller: str) -> web.Response:
        """Help has been sent; with a note, if wanted."""
        return await self._act(request, receipts.DISPATCHED, "dispatched", await _form(request))

    async def close(self, request: web.Request, _caller: str) -> web.Response:
        """It is over; only an operator says so, and says what it was."""
        form = await _form(request)
        if form.get("reason") not in incidents.CLOSE_REASONS:
            words = ", ".join(incidents.CLOSE_REASONS)
            raise Refused("out_of_range", f"reason must be one of {words}", field="reason")
        return await self._act(request, receipts.CLOSED, "closed", form)

    async def _act(self, request: web.Request, stage: int, event: str, form: dict[str, str]) -> web.Response:
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
        advance = partial(
            Service.advance, reason=reason, note=note, seen_duress=form.get("seen_duress") == "1"
        )
        advanced: Advanced = await self._worker(advance, incident_id, stage)
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


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())
