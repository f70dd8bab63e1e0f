"""In and out: a session begins and ends."""

from aiohttp import hdrs, web

from centre.console.guard import COOKIE, Guard, set_session
from centre.intake import BOARD_BELL
from centre.routing import Route, anyone, read_form, wants_html
from centre.rules import access
from centre.rules.access import Caller
from centre.rules.refusals import Refused
from centre.work import accounts
from centre.worker import Bells, Worker


class Entrance:
    def __init__(self, worker: Worker, bells: Bells, guard: Guard) -> None:
        self._worker, self._bells = worker, bells
        self.routes = (
            Route("GET", "/console/enter", anyone, self.enter),
            Route("POST", "/console/sign-out", guard.does(*access.ROLES), self.sign_out),
            Route("POST", "/console/language", guard.does(*access.ROLES), self.speak),
            Route("POST", "/console/away", guard.does(access.OPERATOR), self.be_away),
        )

    async def enter(self, request: web.Request, _caller: str) -> web.Response:
        """Swap the key in the address, good once, for a session; and the address for a clean one."""
        key = request.query.get("key", "")
        if not key:
            raise Refused("unauthorised")
        token, caller = await self._worker(accounts.enter, key)
        headers = {"Location": access.home_of(caller.role), "Cache-Control": "no-store"}
        response = web.Response(status=303, headers=headers)
        set_session(response, token)
        return response

    async def speak(self, request: web.Request, caller: Caller) -> web.Response:
        """Her pages in another language, from now on; and back to where she was."""
        language = (await read_form(request)).get("language", "")
        if language not in access.LANGUAGES:
            raise Refused("out_of_range", "language must be one of fr, nl, de, en", field="language")
        await self._worker(accounts.speak, caller, language)
        return web.Response(status=303, headers={"Location": _back(request, caller)})

    async def be_away(self, request: web.Request, caller: Caller) -> web.Response:
        """She leaves her desk (`away` is 1) or is back (0); the board's bell tells her other pages."""
        away = (await read_form(request)).get("away", "")
        if away not in ("0", "1"):
            raise Refused("out_of_range", "away must be 0 or 1", field="away")
        await self._worker(accounts.be_away, caller, away == "1")
        self._bells.ring(BOARD_BELL)
        if wants_html(request):
            return web.Response(status=303, headers={"Location": _back(request, caller)})
        return web.json_response({"away": away == "1"})

    async def sign_out(self, _request: web.Request, caller: Caller) -> web.Response:
        await self._worker(accounts.close_session, caller)
        response = web.Response(status=303, headers={"Location": "/console/sign-in"})
        response.del_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="Strict")
        return response


def _back(request: web.Request, caller: Caller) -> str:
    """The page of ours that the form was on, as the browser says; else her first one."""
    ours = f"{request.scheme}://{request.host}/console"
    came_from = request.headers.get(hdrs.REFERER, "")
    if came_from.startswith(ours) and came_from.isprintable():
        return came_from
    return access.home_of(caller.role)
