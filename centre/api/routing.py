"""What all routes of the centre share: how they are described, bodies, refusals as problems (RFC 9457)."""

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import ETag, hdrs, web

from centre.platform import json_text
from centre.platform.log import Log, now_ms
from centre.rules.refusals import REASONS, Refused, Tally

BODY_BYTES_MAX = 64 * 1024
BODY_S_MAX = 10.0
FIELDS_MAX = 256
RETRY_AFTER_S = 5
COMPRESSED_BYTES_MIN = 1024
OWN_ORIGINS = web.AppKey("own_origins", tuple[str, ...])
_SHOWN = web.RequestKey("refused", Refused)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """`authenticate` says who calls (a bridge_id, a Caller), or raises Refused; `answer` is told.

    `has_head`: a GET may be asked for its head alone. Not where it does something, or never ends.
    """

    method: str
    path: str
    authenticate: Callable[[web.Request], Awaitable[Any]]
    answer: Callable[[web.Request, Any], Awaitable[web.StreamResponse]]
    has_head: bool = True

    async def handle(self, request: web.Request) -> web.StreamResponse:
        return await self.answer(request, await self.authenticate(request))


async def anyone(_request: web.Request) -> str:
    return ""


async def anyone_here(request: web.Request) -> str:
    """Let anybody POST, but from our own page. Raises Refused("wrong_origin")."""
    if not same_origin(request):
        raise Refused("wrong_origin")
    return ""


async def read_json(request: web.Request) -> object:
    """Return the body as JSON. Raises Refused: too_large, too_slow, malformed_json."""
    body = await read_body(request)
    try:
        return json_text.read(body)
    except ValueError:
        raise Refused("malformed_json") from None


async def read_body(request: web.Request) -> bytes:
    """Return the body. Raises Refused: too_large, too_slow."""
    if (request.content_length or 0) > BODY_BYTES_MAX:
        raise Refused("too_large")
    if request.content.is_eof():  # it came with its head, as most do
        return await request.read()
    try:
        async with asyncio.timeout(BODY_S_MAX):
            return await request.read()
    except TimeoutError:
        raise Refused("too_slow") from None


async def read_form(request: web.Request) -> dict[str, str]:
    """Return the fields of a browser's form; of what else is posted, none.

    Raises as `read_body`, and Refused("malformed_form").
    """
    if request.content_type != "application/x-www-form-urlencoded":
        return {}
    try:
        text = (await read_body(request)).decode("utf-8")
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=FIELDS_MAX))
    except ValueError:  # not UTF-8, too many
        raise Refused("malformed_form") from None


def answer(
    body: object,
    status: int = 200,
    *,
    headers: Mapping[str, str] | None = None,
    kind: str = "application/json",
) -> web.Response:
    """Answer with JSON."""
    return web.Response(body=json_text.write(body), status=status, headers=headers, content_type=kind)


def unchanging(
    request: web.Request, body: bytes, etag: str, kind: str, charset: str | None = None
) -> web.Response:
    """Answer with what changes with a release alone: asked for again it is 304, and text comes compressed.

    Never for a page: beside what a stranger can choose, the length of compressed text tells of its tokens.
    """
    response = web.Response(headers={"Cache-Control": "no-cache", "Vary": "Accept-Encoding"})
    response.etag = ETag(etag, is_weak=True)
    if any(tag.value in (etag, "*") for tag in request.if_none_match or ()):
        response.set_status(304)
        return response
    response.body, response.content_type, response.charset = body, kind, charset
    if not kind.startswith("image/p") and len(body) > COMPRESSED_BYTES_MIN:
        response.enable_compression()
    return response


def problem(refused: Refused) -> web.Response:
    """Return a refusal as RFC 9457 has it."""
    status, title = REASONS[refused.reason]
    body = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": refused.detail,
        "reason": refused.reason,
    }
    if refused.field is not None:
        body["field"] = refused.field
    headers = {"Cache-Control": "no-store"}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if refused.retry_after_s is not None or status == 503:
        headers["Retry-After"] = str(refused.retry_after_s or RETRY_AFTER_S)
    return answer(body, status, headers=headers, kind="application/problem+json")


def shown_as_page(request: web.Request, refused: Refused) -> None:
    """Count a refusal that a page of ours shows, with what was typed, as any other."""
    request[_SHOWN] = refused


class Refusals:
    """The middleware that turns every no into a problem, counts it, and logs it once a minute."""

    def __init__(self, log: Log, page: Callable[[web.Request, Refused], str] | None = None) -> None:
        """`page` writes the page that a person gets; None: everybody gets a problem."""
        self._log, self._page = log, page
        self._tally = Tally()

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            response = await handler(request)
            refused = request.get(_SHOWN)
            if refused is not None:
                self._count(refused)
            return response
        except Refused as refused:
            return self._no(request, refused)
        except web.HTTPException as error:
            response = self._no(request, _refused(error))
            if "Allow" in error.headers:
                response.headers["Allow"] = error.headers["Allow"]
            return response
        except sqlite3.Error as error:
            # A full disk, a lock held for too long: nothing was stored, and the courier comes again.
            return self._no(request, Refused("store_unavailable"), f"the database refuses: {error}")
        except ConnectionError:
            raise  # nobody is left to be answered
        except Exception:
            logging.getLogger("centre").exception("a mistake of ours in %s", request.path)
            return self._no(request, Refused("internal"), "a mistake of ours; stderr has the trace")

    def _count(self, refused: Refused, trouble: str = "") -> None:
        count = self._tally.note(refused.reason, now_ms())
        if count is not None:
            if trouble:
                self._log("trouble", reason=refused.reason, text=trouble)
            self._log("refused", reason=refused.reason, count=count)

    def _no(self, request: web.Request, refused: Refused, trouble: str = "") -> web.Response:
        self._count(refused, trouble)
        if refused.reason == "unauthorised" and wants_html(request) and request.path.startswith("/console"):
            # An address that was good once, and is no longer: that page says so.
            page = "/console/sign-in?over=1" if "key" in request.query else "/console/sign-in"
            headers = {"Location": page, "Cache-Control": "no-store"}
            return web.Response(status=303, headers=headers)
        response = problem(refused)
        if self._page is not None and wants_html(request):
            response.text, response.content_type = self._page(request, refused), "text/html"
        return response

    async def flush_due(self) -> None:
        self.flush()

    def flush(self, *, all_of_it: bool = False) -> None:
        for reason, count in self._tally.due(None if all_of_it else now_ms()):
            self._log("refused", reason=reason, count=count)


def _refused(error: web.HTTPException) -> Refused:
    reasons = {404: "unknown_path", 405: "wrong_method", 413: "too_large"}
    return Refused(reasons.get(error.status, "malformed_http"))


def wants_html(request: web.Request) -> bool:
    return "text/html" in request.headers.get(hdrs.ACCEPT, "")


def same_origin(request: web.Request) -> bool:
    """Whether it is posted from a page of ours: at the address asked for, or at one that is known as ours.

    A proxy that does not pass the Host on asks for another address than the browser.
    """
    origin = request.headers.get(hdrs.ORIGIN, "")
    return origin in (f"{request.scheme}://{request.host}", *request.app.get(OWN_ORIGINS, ()))
