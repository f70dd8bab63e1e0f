"""What a person sees where the centre says no: the centre's frame, the own language, a way back."""

from aiohttp import web

from centre.console.guard import COOKIE, csrf
from centre.console.pages import LINKS, render
from centre.console.sign_in import language_of
from centre.rules import access
from centre.rules.access import Caller
from centre.rules.refusals import REASONS, Refused
from centre.work import accounts
from centre.work.core import Core

# Those that a person meets; what is behind the others, the detail says.
SAID = (
    *("wrong_role", "wrong_origin", "wrong_form", "unknown_path", "unknown_incident", "unknown_case"),
    *("store_unavailable", "busy", "internal"),
)


class RefusedPage:
    """Writes the page of a refusal. `reader` sees who calls."""

    def __init__(self, reader: Core) -> None:
        self._reader = reader

    def __call__(self, request: web.Request, refused: Refused) -> str:
        """Return the page."""
        caller = self._caller(request)
        frame: dict[str, object] = {"home": "/console/sign-in"}
        if caller is not None:
            frame = {"caller": caller, "links": LINKS[caller.role], "csrf": csrf(caller)}
            frame["home"] = access.home_of(caller.role)
        return render(
            "refused.html",
            caller.language if caller else language_of(request),
            **frame,
            reason=refused.reason if refused.reason in SAID else "other",
            status=REASONS[refused.reason][0],
            detail=refused.detail,
        )

    def _caller(self, request: web.Request) -> Caller | None:
        try:
            return accounts.known_session(self._reader, accounts.sha256(request.cookies.get(COOKIE, "")))[0]
        except Exception:  # a page that says what is wrong needs nobody to be known
            return None
