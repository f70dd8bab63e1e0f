"""The route for dispatch systems: operators who work elsewhere act on alarms."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from aiohttp import web

from centre.api.bridges import bearer_token
from centre.api.routing import Route, read_json
from centre.platform.change_signals import ChangeSignals
from centre.platform.log import Log
from centre.platform.worker import AFTER, Worker
from centre.rules import dispatch as rules
from centre.rules.dispatch import Verb
from centre.rules.refusals import Refused
from centre.rules.token_bucket import TokenBucket
from centre.work import dispatch
from centre.work.core import Core
from centre.work.dispatch import DispatchSystem

SYSTEMS_MAX = 1000  # whose pace is remembered
_FIELDS = {"remark": "text", "note": "patrol"}  # as the running log calls them, and as the body does
_LOGGED = {Verb.ACKNOWLEDGE: "acknowledged", Verb.DISPATCH: "dispatched"}  # a closing is, when it is due


class Dispatch:
    def __init__(self, worker: Worker, reader: Core, signals: ChangeSignals, log: Log) -> None:
        """Make the routes. `reader` sees who calls."""
        self._worker, self._reader, self._signals, self._log = worker, reader, signals, log
        self._paces: dict[str, TokenBucket] = {}
        at = "/v1/dispatch/{incident}"
        self.routes = tuple(
            Route("POST", f"{at}/{verb}", self.bearer_of_dispatch, self._acting(verb)) for verb in Verb
        )

    async def bearer_of_dispatch(self, request: web.Request) -> DispatchSystem:
        """Return the system behind `Authorization: Bearer`, where it does not ask too often."""
        system = dispatch.of_token(self._reader, bearer_token(request))
        if len(self._paces) > SYSTEMS_MAX:
            self._paces.clear()
        bucket = TokenBucket(rules.ACTS_PER_S, rules.ACTS_AT_ONCE)
        pace = self._paces.setdefault(system.system_id, bucket)
        if not pace.takes(int(asyncio.get_running_loop().time() * 1000)):
            raise Refused("too_many_acts", retry_after_s=1)
        return system

    def _acting(self, verb: Verb) -> Callable[[web.Request, DispatchSystem], Awaitable[web.Response]]:
        return partial(self._act, verb=verb)

    async def _act(self, request: web.Request, system: DispatchSystem, verb: Verb) -> web.Response:
        """Do the act, or note who was refused and why. Alarms and operators come first."""
        incident_id = request.match_info["incident"]
        try:
            key = request.headers.get("Idempotency-Key")
            asked = rules.read(verb, incident_id, await read_json(request), key)
            done = await self._worker(dispatch.act, system, asked, lane=AFTER)
        except Refused as refused:
            refused.field = _FIELDS.get(refused.field or "", refused.field)
            await self._worker(dispatch.refused, system, incident_id, refused.reason, lane=AFTER)
            raise
        if done.advanced is not None:
            self._signals.incident_changed(incident_id)
            if verb in _LOGGED:
                which: dict[str, Any] = {"incident": incident_id, "device_id": done.advanced.device_id}
                press = {"event": done.advanced.event, "counter": done.advanced.counter}
                self._log(_LOGGED[verb], **which, **press, by=system.name)
        return web.Response(text=done.answer, content_type="application/json")
