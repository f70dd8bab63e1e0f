"""Who is at a page: a session's cookie, a role, and that a form comes from our own page."""

import contextlib
import hmac
import sqlite3
from collections.abc import Awaitable, Callable

from aiohttp import web

from centre.api.routing import anyone_here, read_form
from centre.platform.worker import Worker
from centre.rules.access import Caller
from centre.rules.refusals import Refused
from centre.work import accounts
from centre.work.core import Core

COOKIE = "__Host-amr-session"
TOKEN = "X-CSRF-Token"  # noqa: S105  the header in which a script sends what a form has in its field `csrf`


ReadForm = Callable[[web.Request], Awaitable[dict[str, str]]]


class Guard:
    """Makes the `authenticate` functions of the pages' routes; each answers with the Caller."""

    def __init__(self, worker: Worker, reader: Core) -> None:
        """`reader` sees who calls: a stranger takes no place in the queue of those who are known."""
        self._worker, self._reader = worker, reader

    def sees(self, *roles: str) -> Callable[[web.Request], Awaitable[Caller]]:
        """For GET: somebody signed in with one of `roles`. Raises Refused: unauthorised, wrong_role."""

        async def sees(request: web.Request) -> Caller:
            caller = await self._session(accounts.sha256(request.cookies.get(COOKIE, "")))
            if caller.role not in roles:
                raise Refused("wrong_role")
            return caller

        sees.__qualname__ = f"sees:{' '.join(roles)}"
        return sees

    def does(self, *roles: str, read: ReadForm = read_form) -> Callable[[web.Request], Awaitable[Caller]]:
        """For POST: the same, and from our own page, so that no other site's form acts for the user.

        Two ways to know, each enough: the Origin, and a token that only our pages of the session tell;
        `read` is how its form is read.
        Raises Refused: wrong_origin, wrong_form too.
        """
        sees = self.sees(*roles)

        async def does(request: web.Request) -> Caller:
            await anyone_here(request)
            caller = await sees(request)
            token = request.headers.get(TOKEN) or (await read(request)).get("csrf", "")
            if not hmac.compare_digest(token.encode("utf-8", "surrogateescape"), csrf(caller).encode()):
                raise Refused("wrong_form")
            return caller

        does.__qualname__ = f"does:{' '.join(roles)}"
        return does

    async def still(self, caller: Caller) -> Caller:
        """Return the caller as of now, at each turn of a stream. Raises Refused: unauthorised."""
        now = await self._session(caller.session)
        if now.role != caller.role:
            raise Refused("unauthorised")
        return now

    async def _session(self, token_sha256: str) -> Caller:
        """On a full disk too: an operator still sees the alarms that there are."""
        caller, is_news = accounts.known_session(self._reader, token_sha256)
        if is_news:
            with contextlib.suppress(sqlite3.Error):
                return await self._worker(accounts.session, token_sha256)
        return caller


def set_session(response: web.Response, token: str) -> None:
    response.set_cookie(COOKIE, token, path="/", secure=True, httponly=True, samesite="Strict")


def csrf(caller: Caller) -> str:
    """Return what each form of a session carries, and no other site can know."""
    return form_token(caller.session)


def form_token(session: str) -> str:
    return hmac.new(session.encode(), b"form", "sha256").hexdigest()
