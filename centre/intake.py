"""The centre's routes for bridges, and what all routes share: refusals, bodies, credentials."""

import asyncio
import json
import logging
import re
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

from aiohttp import hdrs, web

from centre import incidents, times
from centre.log import Log, now_ms
from centre.refusals import REASONS, Refused, Tally
from centre.service import Service, hash_pin
from centre.streams import Stream, Streams, rung
from centre.worker import Bells, Worker

BODY_BYTES_MAX = 64 * 1024
BODY_S_MAX = 10.0
HEARTBEAT_S = 15.0
STREAMS_MAX = 2000
STREAMS_PER_BRIDGE_MAX = 64
RETRY_AFTER_S = 5

_DIGITS_MAX = 100
_PIN = re.compile(r"[0-9]{4,8}", re.ASCII)
_BEARER = re.compile(r"[Bb]earer +([!-~]{1,200})", re.ASCII)
BOARD_BELL = "the operator's page"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """`authenticate` says who calls, or raises Refused; `answer` is told. One function each, per route."""

    method: str
    path: str
    authenticate: Callable[[web.Request], Awaitable[str]]
    answer: Callable[[web.Request, str], Awaitable[web.StreamResponse]]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        return await self.answer(request, await self.authenticate(request))


async def anyone(_request: web.Request) -> str:
    return ""


class Intake:
    """Alarms in, receipts out. `ca_pem` is what a bridge that enrols will pin."""

    def __init__(self, worker: Worker, bells: Bells, log: Log, ca_pem: bytes, heartbeat_s: float) -> None:
        self._worker, self._bells, self._log = worker, bells, log
        self._ca_pem = ca_pem
        self._heartbeat_s = heartbeat_s
        self._openapi = Path(__file__).with_name("openapi.json").read_bytes()
        self.streams = Streams(STREAMS_MAX, STREAMS_PER_BRIDGE_MAX)
        self.routes = (
            Route("GET", "/ca.pem", anyone, self.ca),
            Route("GET", "/openapi.json", anyone, self.openapi),
            Route("POST", "/v1/enrolments", anyone, self.enrol),
            Route("POST", "/v1/alarms", self.bearer, self.alarm),
            Route("GET", "/v1/incidents/{incident}/receipts", self.bearer, self.receipts),
        )

    async def bearer(self, request: web.Request) -> str:
        """The bridge_id behind `Authorization: Bearer` (RFC 6750)."""
        match = _BEARER.fullmatch(request.headers.get(hdrs.AUTHORIZATION, ""))
        if not match:
            raise Refused("unauthorised")
        return await self._worker(Service.bridge_of, match[1])

    async def ca(self, _request: web.Request, _caller: str) -> web.Response:
        return web.Response(body=self._ca_pem, content_type="application/x-pem-file")

    async def openapi(self, _request: web.Request, _caller: str) -> web.Response:
        return web.Response(body=self._openapi, content_type="application/json")

    async def enrol(self, request: web.Request, _caller: str) -> web.Response:
        body = await read_json(request)
        if not isinstance(body, dict) or not isinstance(body.get("code"), str):
            raise Refused("wrong_type", "the body must be an object with a string `code`")
        pin, duress_pin = _pins(body)
        await self._worker(Service.check_enrolment, body["code"])  # before the work of hashing
        hashes = [pin and await asyncio.to_thread(hash_pin, pin) for pin in (pin, duress_pin)]
        answer = await self._worker(Service.enrol, body["code"], *hashes)
        return web.json_response(answer, status=201)

    async def alarm(self, request: web.Request, bridge_id: str) -> web.Response:
        """On disk before the answer, and the answer is the same however often it is asked for."""
        press = incidents.read(await read_json(request))
        taken = await self._worker(Service.take_alarm, bridge_id, press)
        self._log(
            "received",
            at_ms=taken.committed_at_ms,
            device_id=press.device_id,
            event=press.event,
            counter=press.counter,
            incident=taken.incident_id,
            known=taken.known,
        )
        self._bells.ring(BOARD_BELL)
        answer = {
            "incident": taken.incident_id,
            "receipt": {"stage": taken.stage, "proof": taken.proof.hex()},
            "dropped": [asdict(dropped) for dropped in taken.dropped],
        }
        return web.json_response(answer, status=200 if taken.known else 201)

    async def receipts(self, request: web.Request, bridge_id: str) -> web.StreamResponse:
        """From after Last-Event-ID, or from the beginning, until no receipt can follow."""
        incident_id = request.match_info["incident"]
        seq = _seq(request.headers.get("Last-Event-ID", ""))
        await self._worker(Service.receipts_after, bridge_id, incident_id, seq)  # 404 before a stream
        async with self.streams.open(request, bridge_id) as stream:
            await self._follow(stream, bridge_id, incident_id, seq)
        return stream.response

    async def _follow(self, stream: Stream, bridge_id: str, incident_id: str, seq: int) -> None:
        while not self.streams.stopping:
            bell = self._bells.bell(incident_id)
            new = await self._worker(Service.receipts_after, bridge_id, incident_id, seq)
            if new is None:
                return
            for receipt in new:
                data = {
                    "stage": receipt.stage,
                    "proof": receipt.proof.hex(),
                    "at": times.write(receipt.at_ms),
                }
                await stream.send("receipt", json.dumps(data), receipt.seq)
                seq = receipt.seq
                if receipt.last:
                    return
            if not new:
                await stream.heartbeat()
            await rung(bell, self._heartbeat_s)


async def read_json(request: web.Request) -> object:
    """The body; raises Refused: too_large, too_slow, malformed_json."""
    if (request.content_length or 0) > BODY_BYTES_MAX:
        raise Refused("too_large")
    try:
        async with asyncio.timeout(BODY_S_MAX):
            body = await request.read()
    except TimeoutError:
        raise Refused("too_slow") from None
    try:
        return json.loads(body.decode("utf-8"), parse_int=_integer)
    except (ValueError, RecursionError):  # not UTF-8, not JSON, too deep
        raise Refused("malformed_json") from None


def _integer(text: str) -> int | float:
    """Python refuses to read very long integers; as an infinity they are refused where they stand."""
    return int(text) if len(text) < _DIGITS_MAX else float(text)


def _pins(body: dict[str, Any]) -> tuple[str | None, str | None]:
    pin, duress_pin = body.get("pin"), body.get("duress_pin")
    for value in (pin, duress_pin):
        if value is not None and not (isinstance(value, str) and _PIN.fullmatch(value)):
            raise Refused("bad_pin", "a PIN is a string of 4 to 8 digits")
    if duress_pin is not None and pin in (None, duress_pin):
        raise Refused("bad_pin", "the duress PIN must differ from the PIN, and needs one")
    return pin, duress_pin


def _seq(last_event_id: str) -> int:
    """Anything that is not one of ours starts from the beginning: a receipt twice does no harm."""
    return int(last_event_id) if re.fullmatch(r"[0-9]{1,18}", last_event_id, re.ASCII) else 0


# -- what all routes share ------------------------------------------------------------------------


def problem(refused: Refused, *, for_a_person: bool = False) -> web.Response:
    """RFC 9457, or the same as a page."""
    status, title = REASONS[refused.reason]
    body = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": refused.detail,
        "reason": refused.reason,
    }
    headers = {"Cache-Control": "no-store"}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status == 503:
        headers["Retry-After"] = str(RETRY_AFTER_S)
    if for_a_person:
        head = f"<!doctype html><html lang=en><title>{escape(title)}</title>"
        page = f"{head}<h1>{escape(title)}</h1><p>{escape(refused.detail)}</p>"
        return web.Response(text=page, status=status, headers=headers, content_type="text/html")
    return web.json_response(body, status=status, headers=headers, content_type="application/problem+json")


class Refusals:
    """The middleware that turns every no into a problem, counts it, and logs it once a minute."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._tally = Tally()

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except Refused as refused:
            return self._no(request, refused)
        except web.HTTPException as error:
            return self._no(request, _refused(error))
        except sqlite3.Error as error:
            # A full disk, a lock held for too long: nothing was stored, and the courier comes again.
            return self._no(request, Refused("store_unavailable"), f"the database refuses: {error}")
        except ConnectionError:
            raise  # nobody is left to be answered
        except Exception:
            logging.getLogger("centre").exception("a mistake of ours in %s", request.path)
            return self._no(request, Refused("internal"), "a mistake of ours; stderr has the trace")

    def _no(self, request: web.Request, refused: Refused, trouble: str = "") -> web.Response:
        count = self._tally.note(refused.reason, now_ms())
        if count is not None:
            if trouble:
                self._log("trouble", reason=refused.reason, text=trouble)
            self._log("refused", reason=refused.reason, count=count)
        return problem(refused, for_a_person=wants_html(request))

    def flush(self, *, all_of_it: bool = False) -> None:
        for reason, count in self._tally.due(None if all_of_it else now_ms()):
            self._log("refused", reason=reason, count=count)


def _refused(error: web.HTTPException) -> Refused:
    reasons = {404: "unknown_path", 405: "wrong_method", 413: "too_large"}
    return Refused(reasons.get(error.status, "malformed_http"))


def wants_html(request: web.Request) -> bool:
    return "text/html" in request.headers.get(hdrs.ACCEPT, "")


def same_origin(request: web.Request) -> bool:
    origin = request.headers.get(hdrs.ORIGIN, "")
    return origin == f"{request.scheme}://{request.host}"
