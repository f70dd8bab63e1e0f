"""A signed-in user's own page, with the change of the password."""

from functools import partial

from aiohttp import web

from centre.api.routing import Route, read_form, shown_as_page, wants_html
from centre.console import pages, words
from centre.console.guard import Guard
from centre.console.sign_in import six_digits
from centre.console.sign_in_queues import Queues
from centre.platform import password_hashing
from centre.platform.worker import AFTER, Worker
from centre.rules import access
from centre.rules.access import Caller
from centre.rules.login_attempts import BROWSER
from centre.rules.refusals import REASONS, Refused
from centre.work import sign_in

PAGE = "/console/account"


class Account:
    def __init__(self, worker: Worker, guard: Guard, queues: Queues) -> None:
        """`queues`: the entrance's own."""
        self._worker, self._queues = worker, queues
        self.routes = (
            Route("GET", PAGE, guard.sees(*access.ROLES), self.page),
            Route("POST", PAGE, guard.does(*access.ROLES), self.change),
        )

    async def page(self, request: web.Request, caller: Caller) -> web.Response:
        return await self._page(caller, changed=request.query.get("changed") == "1")

    async def _page(self, caller: Caller, mistake: str = "", *, changed: bool = False) -> web.Response:
        login = await self._worker(sign_in.login_of, caller, lane=AFTER)  # for password managers
        return pages.page("account.html", caller, login=login, mistake=mistake, changed=changed)

    async def change(self, request: web.Request, caller: Caller) -> web.Response:
        """Ask for the old password and a code as for signing in, counted alike; all other sessions end."""
        try:
            await self._change(caller, await read_form(request))
        except Refused as refused:
            if not wants_html(request) or refused.reason in ("busy", "store_unavailable"):
                raise
            shown_as_page(request, refused)
            page = await self._page(caller, _why(caller, refused))
            page.set_status(REASONS[refused.reason][0])
            return page
        headers = {"Location": f"{PAGE}?changed=1", "Cache-Control": "no-store"}
        return web.Response(status=303, headers=headers)

    async def _change(self, caller: Caller, form: dict[str, str]) -> None:
        """Change the password. Raises Refused: bad_password, wrong_sign_in, sign_in_locked."""
        login = await self._worker(sign_in.login_of, caller, lane=AFTER)
        password = form.get("password", "")
        mistake = access.password_mistake(password, login, caller.name)
        if mistake is None and password != form.get("again"):
            mistake = "password_differs"
        if mistake is not None:
            raise Refused("bad_password", words.say("en", f"entrance.{mistake}"), field=mistake)
        old = form.get("old", "")[: access.PASSWORD_CHARS_MAX]
        async with self._queues.turn(BROWSER, login) as checks:
            tried = await self._worker(sign_in.try_again, caller, login, lane=AFTER)
            is_right = await checks.run(password_hashing.matches, old, tried.password_hash)
            password_hash = await checks.run(password_hashing.hash_of, password) if is_right else ""
            finish = partial(sign_in.change_password, is_right=is_right, password_hash=password_hash)
            await self._worker(finish, caller, tried, six_digits(form), lane=AFTER)


def _why(caller: Caller, refused: Refused) -> str:
    if refused.reason == "bad_password":
        return words.say(caller.language, f"entrance.{refused.field}")
    key = "locked" if refused.reason == "sign_in_locked" else "wrong_old"
    minutes = -(-(refused.retry_after_s or 0) // 60)
    return words.say(caller.language, f"entrance.{key}").format(minutes=minutes)
