"""The administrator's page of who works here: users, invitations, and the sessions that are open."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from aiohttp import web

from centre.api.routing import Route, read_form, shown_as_page, wants_html
from centre.console import pages
from centre.console.guard import Guard
from centre.platform.change_signals import ChangeSignals
from centre.platform.worker import AFTER, Worker
from centre.rules import access, text, times
from centre.rules.access import ADMINISTRATOR, Caller
from centre.rules.refusals import REASONS, Refused
from centre.work import accounts, sign_in
from centre.work.core import Core

PAGE = "/console/administration/users"
INVITE = partial(accounts.invite, purpose="set")
FIELDS = ("login", "name", "role", "zone", "language")


class UserPages:
    def __init__(self, worker: Worker, signals: ChangeSignals, guard: Guard, public_url: str) -> None:
        """`public_url`: this centre as users reach it, or "": as the administrator does."""
        self._worker, self._signals, self._public_url = worker, signals, public_url
        sees, does = guard.sees(ADMINISTRATOR), guard.does(ADMINISTRATOR)
        one = f"{PAGE}/{{login}}"
        self.routes = (
            Route("GET", PAGE, sees, self.page),
            Route("POST", PAGE, does, self.add),
            Route("POST", one, does, self.change),
            Route("POST", f"{one}/invite", does, self.invite),
            Route("POST", f"{one}/reset", does, self.reset),
            Route("POST", f"{one}/disable", does, self.disable),
            Route("POST", f"{one}/enable", does, self.act(accounts.enable)),
            Route("POST", f"{one}/sign-out", does, self.act(accounts.end_sessions)),
            Route("POST", "/console/administration/sessions/{session}/end", does, self.end_session),
            Route("POST", "/console/administration/invitations/{invitation}/revoke", does, self.revoke),
        )

    async def page(self, request: web.Request, caller: Caller) -> web.Response:
        return await self._page(request, caller)

    async def _page(
        self, request: web.Request, caller: Caller, refused: Refused | None = None, form: Any = None
    ) -> web.Response:
        """Show the page; with what was refused, and what was typed."""
        shown = await self._worker(_shown, caller, lane=AFTER)
        frame = {"roles": access.ROLES, "languages_known": access.LANGUAGES, "minute": times.minute}
        page = pages.page("users.html", caller, refused=refused, form=form or {}, **shown, **frame)
        if refused is not None:
            shown_as_page(request, refused)
            page.set_status(REASONS[refused.reason][0])
        return page

    async def add(self, request: web.Request, caller: Caller) -> web.Response:
        """Add a user, and show the address by which the user comes in."""
        form = await read_form(request)
        try:
            values = _values(form)
            adding = partial(accounts.add_user, actor=caller.actor)
            if await self._worker(adding, *values, lane=AFTER) is None:
                raise Refused("login_taken", field="login")
        except Refused as refused:
            if not wants_html(request):
                raise
            return await self._page(request, caller, refused, form)
        return await self._invited(request, caller, values[0], INVITE)

    async def change(self, request: web.Request, caller: Caller) -> web.Response:
        """Change name, role, zone, language; the own role stays, so that somebody can mend a mistake."""
        login = request.match_info["login"]
        form = await read_form(request) | {"login": login}
        try:
            _, name, role, zone, language = _values(form)
            if role != ADMINISTRATOR:
                await self._not_own(caller, login)
            changing = partial(
                accounts.change_user, actor=caller.actor, name=name, role=role, zone=zone, language=language
            )
            if not await self._worker(changing, login, lane=AFTER):
                raise Refused("unknown_user")
        except Refused as refused:
            if not wants_html(request):
                raise
            return await self._page(request, caller, refused)
        return self._back()

    async def invite(self, request: web.Request, caller: Caller) -> web.Response:
        """Show an address for a password and a second factor; until it is used, the old ones hold."""
        return await self._invited(request, caller, request.match_info["login"], INVITE)

    async def reset(self, request: web.Request, caller: Caller) -> web.Response:
        """Void password and second factor at once, end the sessions, and show a new address."""
        return await self._invited(request, caller, request.match_info["login"], accounts.reset)

    async def _invited(
        self, request: web.Request, caller: Caller, login: str, inviting: Callable[..., str | None]
    ) -> web.Response:
        work = partial(inviting, login=login, good_for_ms=access.SET_MS, actor=caller.actor)
        token = await self._worker(work, lane=AFTER)
        if token is None:
            raise Refused("unknown_user")
        self._signals.board_changed()
        url = self._public_url or f"{request.scheme}://{request.host}"
        address = f"{url}/console/set?key={token}"
        return pages.page("user_invited.html", caller, login=login, address=address)

    async def disable(self, request: web.Request, caller: Caller) -> web.Response:
        """Keep a user out from now on; nobody shuts themselves out."""
        await self._not_own(caller, request.match_info["login"])
        return await self.act(accounts.disable)(request, caller)

    async def _not_own(self, caller: Caller, login: str) -> None:
        """Refuse an act on oneself. Raises Refused("own_user")."""
        if await self._worker(accounts.id_of, login, lane=AFTER) == caller.user_id:
            raise Refused("own_user")

    def act(self, work: Callable[..., Any]) -> Callable[[web.Request, Caller], Awaitable[web.Response]]:
        """Make a route that does `work` to the user of its address, and shows the page again."""

        async def act(request: web.Request, caller: Caller) -> web.Response:
            await self._worker(work, request.match_info["login"], caller.actor, lane=AFTER)
            return self._back()

        return act

    async def end_session(self, request: web.Request, caller: Caller) -> web.Response:
        await self._worker(accounts.end_session, request.match_info["session"], caller.actor, lane=AFTER)
        return self._back()

    async def revoke(self, request: web.Request, caller: Caller) -> web.Response:
        invitation = request.match_info["invitation"]
        await self._worker(accounts.revoke_invitation, invitation, caller.actor, lane=AFTER)
        return self._back()

    def _back(self) -> web.Response:
        """Show the page again; whoever has a page open that has ended is told."""
        self._signals.board_changed()
        return web.Response(status=303, headers={"Location": PAGE, "Cache-Control": "no-store"})


def _shown(core: Core, caller: Caller) -> dict[str, Any]:
    users, sessions = accounts.users(core), accounts.open_sessions(core)
    more = {"invitations": accounts.invitations(core), "own_login": sign_in.login_of(core, caller)}
    return {"users": users, "sessions": sessions} | more


def _values(form: dict[str, str]) -> tuple[str, str, str, str | None, str]:
    """Return login, name, role, zone, language of a form. Raises Refused("out_of_range")."""
    login, name, role, zone, language = (text.clean(form.get(field, "")) for field in FIELDS)
    login, kept_zone = login.lower(), zone if role == access.CASE_MANAGER else ""
    access.check_user(login, name, role, kept_zone or None, language)
    return login, name, role, kept_zone or None, language
