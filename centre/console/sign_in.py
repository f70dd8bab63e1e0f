"""In and out: how a user gets a password, is identified, and leaves."""

import io
import re
from functools import partial
from typing import Any

import pyotp
import segno
from aiohttp import hdrs, web

from centre.api.routing import Route, answer, anyone, anyone_here, read_form, shown_as_page, wants_html
from centre.console import pages, words
from centre.console.guard import COOKIE, Guard, set_session
from centre.console.sign_in_queues import Queues
from centre.platform import password_hashing
from centre.platform.change_signals import ChangeSignals
from centre.platform.worker import AFTER, Worker
from centre.rules import access
from centre.rules.access import Caller
from centre.rules.login_attempts import BROWSER as KNOWN_BROWSER
from centre.rules.login_attempts import KNOWN_MS, Place
from centre.rules.refusals import REASONS, Refused
from centre.work import accounts, login_attempts
from centre.work import sign_in as signin
from centre.work.core import Core
from centre.work.sign_in import Invited

LOGIN_CHARS_MAX = 32
BROWSER = "__Host-amr-browser"  # the cookie of a browser in which somebody has signed in; it lets nobody in
# What a session was opened from, in a word each: the first that the browser names.
BROWSERS = ("Edg", "Firefox", "Chrome", "Safari")
SYSTEMS = ("Android", "iPhone", "iPad", "Windows", "Macintosh", "Linux")
MISTAKES = {"wrong_sign_in": "wrong", "sign_in_locked": "locked", "busy": "busy"}


class SignInPages:
    def __init__(
        self, worker: Worker, reader: Core, signals: ChangeSignals, guard: Guard, *, provided: bool = False
    ) -> None:
        """`reader` sees where somebody comes from, as long as nothing is to be written.

        `provided`: one may sign in through a provider, too (console/provided.py).
        """
        self._worker, self._reader, self._signals, self.queues = worker, reader, signals, Queues()
        self._provided = provided
        self.routes = (
            Route("GET", "/", anyone, self.lead),
            Route("GET", "/console/enter", anyone, self.enter, has_head=False),
            Route("GET", "/console/sign-in", anyone, self.sign_in_page),
            Route("POST", "/console/sign-in", anyone_here, self.sign_in),
            Route("GET", "/console/set", anyone, self.set_page),
            Route("GET", "/console/set/code.svg", anyone, self.code),
            Route("POST", "/console/set", anyone_here, self.set),
            Route("POST", "/console/sign-out", guard.does(*access.ROLES), self.sign_out),
            Route("POST", "/console/language", guard.does(*access.ROLES), self.speak),
            Route("POST", "/console/away", guard.does(access.OPERATOR), self.be_away),
        )

    async def lead(self, _request: web.Request, _caller: str) -> web.Response:
        """Lead whoever types the centre's name alone to the console."""
        return web.Response(status=303, headers={"Location": "/console", "Cache-Control": "no-store"})

    async def enter(self, request: web.Request, _caller: str) -> web.Response:
        """Swap the key in the address, good once, for a session; and the address for a clean one."""
        key = request.query.get("key", "")
        accounts.invitation(self._reader, key, "enter")  # a stranger's guess takes no place in any queue
        return _in(*await self._worker(accounts.enter, key, where_of(request), lane=AFTER))

    async def sign_in_page(self, request: web.Request, _caller: str) -> web.Response:
        language = language_of(request)
        mistake = words.say(language, "entrance.address_over") if "over" in request.query else ""
        return sign_in_page(language, mistake=mistake, provided=self._provided)

    async def sign_in(self, request: web.Request, _caller: str) -> web.Response:
        """Password and code at once; neither the answer nor its time tells which was wrong, or who exists."""
        form = await read_form(request)
        login, code = form.get("login", "").strip().lower()[:LOGIN_CHARS_MAX], six_digits(form)
        password = form.get("password", "")[: access.PASSWORD_CHARS_MAX]
        try:
            place = self._place(request)
            login_attempts.refuse_locked(self._reader, place, login)
            async with self.queues.turn(place.kind, login) as checks:
                tried = await self._worker(signin.try_sign_in, login, place, lane=AFTER)
                is_right = await checks.run(password_hashing.matches, password, tried.password_hash)
                finish = partial(signin.sign_in, is_right=is_right, where=where_of(request))
                return _in(*await self._worker(finish, tried, code, lane=AFTER), place)
        except Refused as refused:
            if refused.reason not in MISTAKES or not wants_html(request):
                raise
            shown_as_page(request, refused)
            language, minutes = language_of(request), -(-(refused.retry_after_s or 0) // 60)
            mistake = words.say(language, f"entrance.{MISTAKES[refused.reason]}").format(minutes=minutes)
            status = REASONS[refused.reason][0]
            return sign_in_page(language, status, login=login, mistake=mistake, provided=self._provided)

    def _place(self, request: web.Request) -> Place:
        return login_attempts.place_of(self._reader, request.cookies.get(BROWSER, ""), request.remote or "")

    async def set_page(self, request: web.Request, _caller: str) -> web.Response:
        key = request.query.get("key", "")
        return _set_page(self._invited(key), key)

    def _invited(self, key: str) -> Invited:
        """Find who is invited. Raises Refused("unauthorised")."""
        return signin.invited(self._reader, key)

    async def code(self, request: web.Request, _caller: str) -> web.Response:
        """Draw the second factor as authenticators scan it (`otpauth:`)."""
        user = self._invited(request.query.get("key", ""))
        text = pyotp.TOTP(user.secret).provisioning_uri(name=user.login, issuer_name="Emergency centre")
        svg = io.BytesIO()
        segno.make(text, error="m").save(svg, kind="svg", border=4, omitsize=True, light="#fff")
        headers = {"Cache-Control": "no-store"}
        return web.Response(body=svg.getvalue(), content_type="image/svg+xml", headers=headers)

    async def set(self, request: web.Request, _caller: str) -> web.Response:
        """Set a password and a second factor, by an invitation that is good once, and sign the user in."""
        form = await read_form(request)
        key, password = form.get("key", ""), form.get("password", "")
        user = self._invited(key)
        mistake = access.password_mistake(password, user.login, user.name)
        if mistake is None and password != form.get("again"):
            mistake = "password_differs"
        if mistake is None:
            try:
                place = self._place(request)
                async with self.queues.turn(KNOWN_BROWSER, user.login) as checks:  # who was invited is known
                    password_hash = await checks.run(password_hashing.hash_of, password)
                    filled = key, password_hash, six_digits(form), place, where_of(request)
                    return _in(*await self._worker(signin.set_password, *filled, lane=AFTER), place)
            except Refused as refused:
                if refused.reason != "wrong_code" or not wants_html(request):
                    raise
                mistake = "wrong_code"
        if wants_html(request):
            shown_as_page(request, Refused("wrong_code" if mistake == "wrong_code" else "bad_password"))
            return _set_page(user, key, words.say(user.language, f"entrance.{mistake}"))
        raise Refused("bad_password", words.say("en", f"entrance.{mistake}"))

    def close(self) -> None:
        self.queues.close()

    async def speak(self, request: web.Request, caller: Caller) -> web.Response:
        """Show the user's pages in another language from now on; and go back to the page before."""
        language = (await read_form(request)).get("language", "")
        if language not in access.LANGUAGES:
            raise Refused("out_of_range", "language must be one of fr, nl, de, en", field="language")
        await self._worker(accounts.speak, caller, language)
        return web.Response(status=303, headers={"Location": _back(request, caller)})

    async def be_away(self, request: web.Request, caller: Caller) -> web.Response:
        """Note that the desk is left (`away` is 1) or taken again (0); the other pages are told."""
        away = (await read_form(request)).get("away", "")
        if away not in ("0", "1"):
            raise Refused("out_of_range", "away must be 0 or 1", field="away")
        await self._worker(accounts.be_away, caller, away == "1")
        self._signals.board_changed()
        if wants_html(request):
            return web.Response(status=303, headers={"Location": _back(request, caller)})
        return answer({"away": away == "1"})

    async def sign_out(self, _request: web.Request, caller: Caller) -> web.Response:
        await self._worker(accounts.close_session, caller)
        response = web.Response(status=303, headers={"Location": "/console/sign-in"})
        response.del_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="Strict")
        return response


def _back(request: web.Request, caller: Caller) -> str:
    """Return the page of ours that the form was on, as the browser says; else the user's first one."""
    ours = f"{request.scheme}://{request.host}/console"
    came_from = request.headers.get(hdrs.REFERER, "")
    if came_from.startswith(ours) and came_from.isprintable():
        return came_from
    return access.home_of(caller.role)


def _in(token: str, caller: Caller, place: Place | None = None) -> web.Response:
    """Redirect to the user's first page, set a new session cookie, remember this browser."""
    headers = {"Location": access.home_of(caller.role), "Cache-Control": "no-store"}
    response = web.Response(status=303, headers=headers)
    set_session(response, token)
    if place is not None:
        response.set_cookie(
            *(BROWSER, place.browser),
            max_age=KNOWN_MS // 1000,
            path="/",
            secure=True,
            httponly=True,
            samesite="Strict",
        )
    return response


def _page(template: str, language: str, status: int = 200, **shown: Any) -> web.Response:
    """Answer with a page for somebody who is not signed in."""
    text = pages.render(template, language, **shown)
    headers = {"Cache-Control": "no-store"}
    return web.Response(text=text, status=status, content_type="text/html", headers=headers)


def sign_in_page(
    language: str, status: int = 200, *, login: str = "", mistake: str = "", provided: bool
) -> web.Response:
    return _page("sign-in.html", language, status, login=login, mistake=mistake, provided=provided)


def _set_page(user: Invited, key: str, mistake: str = "") -> web.Response:
    """Its address is a secret, good once; the secret of the second factor in groups, to be typed."""
    grouped = " ".join(re.findall(".{1,4}", user.secret))
    shown = {"user": user, "key": key, "secret": grouped, "mistake": mistake}
    return _page("set-password.html", user.language, 400 if mistake else 200, **shown)


def where_of(request: web.Request) -> str:
    """Return the address and the browser of who signs in, as an administrator reads them."""
    agent = request.headers.get(hdrs.USER_AGENT, "")
    parts = [next((name for name in names if name in agent), "") for names in (BROWSERS, SYSTEMS)]
    return " · ".join(part for part in (request.remote or "", *parts) if part)


def language_of(request: web.Request) -> str:
    """Return the language of a user not known yet: the one clicked, else the browser's."""
    chosen = request.query.get("language", "")
    return chosen if chosen in access.LANGUAGES else words.choose(request.headers.get("Accept-Language", ""))


def six_digits(form: dict[str, str]) -> str:
    """Return six digits, however they are grouped; else none."""
    code = "".join(form.get("code", "").split())
    return code if re.fullmatch("[0-9]{6}", code, re.ASCII) else ""
