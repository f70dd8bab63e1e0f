"""In by somebody else's word: there, and back. Who comes in so is here already, and has the same session."""

from aiohttp import web

from centre.api.routing import Route, anyone, shown_as_page, wants_html
from centre.console import pages, words
from centre.console.guard import set_session
from centre.console.sign_in import language_of, sign_in_page, where_of
from centre.platform.log import now_ms
from centre.platform.oidc_provider import JOURNEY_S, Provider
from centre.platform.worker import AFTER, SPARE, Worker
from centre.rules import access
from centre.rules.oidc import Untrusted
from centre.rules.refusals import REASONS, Refused, Tally
from centre.work import sign_in

COOKIE = "__Host-amr-oidc"
BACK = "/console/oidc/back"
_MISTAKES = {
    "wrong_sign_in": "wrong",
    "provider_unavailable": "unavailable",
    "busy": "unavailable",
}


class OidcSignInPages:
    def __init__(self, worker: Worker, provider: Provider | None) -> None:
        self._worker, self._provider, self._refused = worker, provider, Tally()
        self.routes = (
            Route("GET", "/console/oidc", anyone, self.leave, has_head=False),
            Route("GET", BACK, anyone, self.arrive, has_head=False),
        )

    async def leave(self, request: web.Request, _caller: str) -> web.Response:
        """Redirect to the provider. The way back leads here, whatever the address of this request says."""
        provider = self._there()
        try:
            address, brought = await provider.leave(f"https://{request.host}{BACK}")
        except Refused as refused:
            await self._note(refused)
            return _mistake(request, refused)
        response = web.Response(status=303, headers={"Location": address, "Cache-Control": "no-store"})
        # Lax: the browser comes back from another site.
        response.set_cookie(
            COOKIE, brought, max_age=JOURNEY_S, path="/", secure=True, httponly=True, samesite="Lax"
        )
        return response

    async def arrive(self, request: web.Request, _caller: str) -> web.Response:
        """Answer with a page, not a redirect: a browser sends a strict cookie only where our own page led."""
        provider = self._there()
        try:
            login = await provider.arrive(request.query, request.cookies.get(COOKIE, ""))
            token, caller = await self._worker(sign_in.vouched, login, where_of(request), lane=AFTER)
        except Refused as refused:
            await self._note(refused)
            response = _mistake(request, refused)
        else:
            shown = {"home": access.home_of(caller.role), "name": caller.name}
            text = pages.render("oidc-back.html", caller.language, **shown)
            response = web.Response(
                text=text, content_type="text/html", headers={"Cache-Control": "no-store"}
            )
            set_session(response, token)
        response.del_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="Lax")
        return response

    async def _note(self, refused: Refused) -> None:
        """Why nobody was let in, in the event log at most once a minute: anybody can come with anything."""
        if isinstance(refused.__cause__, Untrusted):
            why = str(refused.__cause__)
            count = self._refused.note(why, now_ms())
            if count is not None:
                await self._worker(sign_in.not_vouched, why, count, lane=AFTER)

    async def note_due(self, *, all_of_it: bool = False) -> None:
        for why, count in self._refused.due(None if all_of_it else now_ms()):
            await self._worker(sign_in.not_vouched, why, count, lane=SPARE)

    async def close(self) -> None:
        if self._provider is not None:
            await self._provider.close()
            await self.note_due(all_of_it=True)

    def _there(self) -> Provider:
        if self._provider is None:
            raise Refused("unknown_path")
        return self._provider


def _mistake(request: web.Request, refused: Refused) -> web.Response:
    """Show the sign-in page, which asks for the password: nobody is locked out by the provider."""
    if refused.reason not in _MISTAKES or not wants_html(request):
        raise refused
    shown_as_page(request, refused)
    language = language_of(request)
    text = words.say(language, f"provider.{_MISTAKES[refused.reason]}")
    return sign_in_page(language, REASONS[refused.reason][0], mistake=text, provided=True)
