"""A desk says that it has seen a test alarm, and whether it heard it."""

from functools import partial

from aiohttp import web

from centre.api.routing import Route, answer, read_form, wants_html
from centre.console.guard import Guard
from centre.platform.change_signals import ChangeSignals
from centre.platform.log import Log
from centre.platform.worker import Worker
from centre.rules.access import OPERATOR, Caller
from centre.rules.refusals import Refused
from centre.work import exercises

SOUNDS = {"heard": True, "silent": False}


class DeskChecks:
    def __init__(self, worker: Worker, signals: ChangeSignals, log: Log, guard: Guard) -> None:
        self._worker, self._signals, self._log = worker, signals, log
        path = "/console/incidents/{incident}/checked"
        self.routes = (Route("POST", path, guard.does(OPERATOR), self.checked),)

    async def checked(self, request: web.Request, caller: Caller) -> web.Response:
        """Confirm a test alarm; so it is over."""
        incident_id, sound = request.match_info["incident"], (await read_form(request)).get("sound")
        if sound not in SOUNDS:
            raise Refused("out_of_range", f"sound must be one of {', '.join(SOUNDS)}", field="sound")
        work = partial(exercises.confirm, sound_heard=SOUNDS[sound])
        done = await self._worker(work, caller, incident_id)
        if done.now:
            self._log("desk_checked", incident=incident_id, device_id=done.device_id, sound=sound)
            self._signals.incident_changed(incident_id)
        if wants_html(request):
            return web.Response(status=303, headers={"Location": "/console"})
        acted = {"incident": incident_id, "stage": done.stage, "taken_now": done.now}
        return answer(acted | {"by": done.by, "at_ms": done.at_ms})
