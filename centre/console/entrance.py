"""In and out: a session begins and ends."""

from aiohttp import web

from centre.console.guard import COOKIE, Guard, set_session
from centre.routing import Route, anyone
from centre.rules import access
from centre.rules.access import Caller
from centre.rules.refusals import Refused
from centre.work import accounts
from centre.worker import Worker


class Entrance:
    def __init__(self, worker: Worker, guard: Guard) -> None:
        self._worker = worker
        self.routes = (
            Route("GET", "/console/enter", anyone, self.enter),
            Route("POST", "/console/sign-out", guard.does(*access.ROLES), self.sign_out),
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

    async def sign_out(self, _request: web.Request, caller: Caller) -> web.Response:
        await self._worker(accounts.close_session, caller)
        response = web.Response(status=303, headers={"Location": "/console/sign-in"})
        response.del_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="Strict")
        return response
