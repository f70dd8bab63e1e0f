"""The centre's routes for bridges."""

import asyncio
import hashlib
import json
import re
from dataclasses import asdict
from functools import cache
from typing import Any

from aiohttp import hdrs, web

from centre.api import openapi
from centre.api.event_streams import Stream, Streams
from centre.api.load_shedding import LoadShedding
from centre.api.routing import Route, answer, anyone, read_json, unchanging
from centre.platform import password_hashing
from centre.platform.change_signals import ChangeSignals, wait_for_change
from centre.platform.log import Log
from centre.platform.pin_hashing import Verdict, check_pin
from centre.platform.worker import AFTER, SPARE, Worker
from centre.rules import heartbeats, incidents, times
from centre.rules.fields import Dropped
from centre.rules.heartbeats import Pace
from centre.rules.refusals import Refused
from centre.settings import Settings
from centre.work import buttons, presses
from centre.work.core import Core
from centre.work.heartbeats import take_heartbeat

STREAMS_MAX = 2000
STREAMS_PER_BRIDGE_MAX = 64
KNOWN_MAX = 10_000
TRACKING_S = 900  # a button that was called off is followed for so long, whichever PIN it was

_PIN = re.compile(r"[0-9]{4,8}", re.ASCII)
_BEARER = re.compile(r"[Bb]earer +([!-~]{1,200})", re.ASCII)


class Intake:
    """Take alarms in, give receipts out.

    `ca_pem` is what a bridge that enrols will pin; `reader` sees who calls.
    """

    def __init__(
        self,
        worker: Worker,
        reader: Core,
        signals: ChangeSignals,
        log: Log,
        ca_pem: bytes,
        settings: Settings,
        streams: Streams | None = None,
    ) -> None:
        self._worker, self._reader, self._signals, self._log = worker, reader, signals, log
        self._ca_pem, self._settings = ca_pem, settings
        self._checks, self._pace, self._goodbyes = password_hashing.Checks("pins"), Pace(), Pace()
        self._known: dict[bytes, str] = {}  # the bridge of each token that was good: it is never another's
        self._load_shedding = LoadShedding(settings.signs_per_s, settings.alive_s)
        self.streams = streams or Streams(STREAMS_MAX, STREAMS_PER_BRIDGE_MAX)
        self.routes = (
            Route("GET", "/ca.pem", anyone, self.ca),
            Route("GET", "/openapi.json", anyone, self.openapi),
            Route("POST", "/v1/enrolments", anyone, self.enrol),
            Route("POST", "/v1/alarms", self.bearer_of_alarm, self.alarm),
            Route("GET", "/v1/incidents/{incident}/receipts", self.bearer, self.receipts, has_head=False),
            Route("POST", "/v1/incidents/{incident}/fixes", self.bearer, self.fixes),
            Route("POST", "/v1/call-offs", self.bearer, self.call_off),
            Route("POST", "/v1/pin-trials", self.bearer, self.pin_trial),
            Route("POST", "/v1/alive", self.bearer_of_heartbeat, self.alive),
        )

    def close(self) -> None:
        self._checks.close()
        self._reader.store.close()

    async def bearer(self, request: web.Request) -> str:
        """Return the bridge_id behind `Authorization: Bearer` (RFC 6750)."""
        return buttons.bridge_of(self._reader, bearer_token(request))

    async def bearer_of_alarm(self, request: web.Request) -> str:
        """Return the same, of a token that was good once; whether it still is, `take_alarm` sees itself."""
        token = bearer_token(request)
        as_kept = hashlib.sha256(token.encode()).digest()
        bridge_id = self._known.get(as_kept)
        if bridge_id is None:
            bridge_id = buttons.bridge_of(self._reader, token)
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
            self._known[as_kept] = bridge_id
        return bridge_id

    async def bearer_of_heartbeat(self, request: web.Request) -> str:
        """Return the same, where one more heartbeat is taken at all."""
        await self._load_shedding.pass_or_refuse()
        return await self.bearer(request)

    async def ca(self, _request: web.Request, _caller: str) -> web.Response:
        return web.Response(body=self._ca_pem, content_type="application/x-pem-file")

    async def openapi(self, request: web.Request, _caller: str) -> web.Response:
        return unchanging(request, *_openapi(), "application/json")

    async def enrol(self, request: web.Request, _caller: str) -> web.Response:
        body = await read_json(request)
        if not isinstance(body, dict) or not isinstance(body.get("code"), str):
            raise Refused("wrong_type", "the body must be an object with a string `code`")
        pin, duress_pin = _pins(body)
        buttons.check_enrolment(self._reader, body["code"])  # before any work
        hashes = [pin and await self._checks.run(password_hashing.hash_of, pin) for pin in (pin, duress_pin)]
        enrolled = await self._worker(buttons.enrol, body["code"], *hashes)
        if self._settings.address:
            enrolled["addresses"] = list(self._settings.address)
        return answer(enrolled, 201)

    async def alarm(self, request: web.Request, bridge_id: str) -> web.Response:
        """Take an alarm: on disk before the answer, which is the same however often it is asked for."""
        press = incidents.read(await read_json(request))
        taken = await self._worker(presses.take_alarm, bridge_id, press)
        self._log(
            "received",
            device_id=press.device_id,
            event=press.event,
            counter=press.counter,
            incident=taken.incident_id,
            known=taken.known,
            **({"exercise": True} if taken.is_exercise else {}),
        )
        self._signals.board_changed()
        stored = {
            "incident": taken.incident_id,
            "receipt": {"stage": taken.stage, "proof": taken.proof.hex()},
            "dropped": [asdict(dropped) for dropped in taken.dropped],
        }
        return answer(stored, 200 if taken.known else 201)

    async def fixes(self, request: web.Request, bridge_id: str) -> web.Response:
        """Take positions: all of the batch, or a refusal that names the first wrong one."""
        incident_id = request.match_info["incident"]
        dropped: list[Dropped] = []
        fixes = incidents.read_fixes(await read_json(request), dropped)
        done = await self._worker(presses.add_fixes, bridge_id, incident_id, fixes, lane=AFTER)
        self._log(
            "fixes",
            device_id=done.device_id,
            incident=incident_id,
            stored=done.stored,
            known=done.known,
        )
        if done.stored:
            self._signals.board_changed()
        named = [asdict(one) for one in dropped]
        return answer({"stored": done.stored, "known": done.known, "dropped": named})

    async def call_off(self, request: web.Request, bridge_id: str) -> web.Response:
        """Take an alarm back. The answer is the same for the PIN and for the duress PIN."""
        call_off = incidents.read_call_off(await read_json(request))
        async with self._checks.turn(call_off.device_id):
            attempt = await self._worker(presses.try_pin, bridge_id, call_off, lane=AFTER)
            verdict = await self._checks.run(
                check_pin, call_off.pin, attempt.pin_hash, attempt.duress_pin_hash
            )
            if verdict is Verdict.WRONG:
                raise Refused("wrong_pin")
            done = await self._worker(presses.call_off, bridge_id, attempt.incident_id, verdict, lane=AFTER)
        # Not which PIN it was: who reads logs is not always an operator.
        self._log(
            "called_off",
            device_id=done.device_id,
            counter=done.counter,
            incident=attempt.incident_id,
            known=done.known,
        )
        self._signals.board_changed()
        return answer({"incident": attempt.incident_id, "tracking_s": TRACKING_S})

    async def pin_trial(self, request: web.Request, bridge_id: str) -> web.Response:
        """Say that a PIN is one of the two that hold, and not which; nothing is called off."""
        trial = incidents.read_pin_trial(await read_json(request))
        async with self._checks.turn(trial.device_id):
            hashes = await self._worker(presses.begin_pin_trial, bridge_id, trial.device_id, lane=AFTER)
            if await self._checks.run(check_pin, trial.pin, *hashes) is Verdict.WRONG:
                raise Refused("wrong_pin")
            await self._worker(presses.end_pin_trial, bridge_id, trial.device_id, lane=AFTER)
        self._log("pin_tried", device_id=trial.device_id)
        return answer({})

    async def alive(self, request: web.Request, bridge_id: str) -> web.Response:
        """Take a heartbeat; never at the cost of an alarm."""
        now_ms = int(asyncio.get_running_loop().time() * 1000)
        wait_ms = self._pace.wait_ms(bridge_id, now_ms)
        # A goodbye may come right behind a sign of life; it has a pace of its own.
        if wait_ms and self._goodbyes.wait_ms(bridge_id, now_ms):
            raise Refused("too_often", retry_after_s=-(-wait_ms // 1000))
        sign = heartbeats.read(await read_json(request))
        if wait_ms and not sign.leaving:
            raise Refused("too_often", retry_after_s=-(-wait_ms // 1000))
        if wait_ms:  # and who starts again at once is heard at once
            self._pace.forget(bridge_id)
        alive_s = self._settings.alive_s
        await self._load_shedding.until_the_next()
        counters = await self._worker(take_heartbeat, bridge_id, sign, alive_s, lane=SPARE)
        name, now_s = min(counters, default=bridge_id), int(asyncio.get_running_loop().time())
        instructions = {
            "next_in_s": heartbeats.next_in_s(name, now_s, alive_s),
            "counters": counters,
            "dropped": [asdict(dropped) for dropped in sign.dropped],
        }
        return answer(instructions)

    async def receipts(self, request: web.Request, bridge_id: str) -> web.StreamResponse:
        """From after Last-Event-ID, or from the beginning, until no receipt can follow."""
        incident_id = request.match_info["incident"]
        seq = _seq(request.headers.get("Last-Event-ID", ""))
        await self._worker(presses.receipts_after, bridge_id, incident_id, seq)  # 404 before a stream
        async with self.streams.open(request, bridge_id) as stream:
            await self._follow(stream, bridge_id, incident_id, seq)
        return stream.response

    async def _follow(self, stream: Stream, bridge_id: str, incident_id: str, seq: int) -> None:
        while not self.streams.stopping:
            changed = self._signals.of_incident(incident_id)
            new = await self._worker(presses.receipts_after, bridge_id, incident_id, seq)
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
            await wait_for_change(changed, self._settings.heartbeat_s)


def bearer_token(request: web.Request) -> str:
    """Return the token of `Authorization: Bearer` (RFC 6750). Raises Refused("unauthorised")."""
    match = _BEARER.fullmatch(request.headers.get(hdrs.AUTHORIZATION, ""))
    if not match:
        raise Refused("unauthorised")
    return match[1]


@cache
def _openapi() -> tuple[bytes, str]:
    document = json.dumps(openapi.document()).encode()
    return document, hashlib.sha256(document).hexdigest()


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
