"""One incident as a CAP 1.2 message, for operators and what they forward it to."""

from urllib.parse import urlsplit

from aiohttp import web

from centre.api.routing import Route
from centre.console import words
from centre.console.guard import Guard
from centre.platform.worker import Worker
from centre.rules import access
from centre.rules import cap as rules
from centre.work import cap


class Cap:
    def __init__(self, worker: Worker, guard: Guard, pin: str, public_url: str) -> None:
        """`pin`, of our CA: who we are, where no address says it."""
        self._worker = worker
        self._sender = urlsplit(public_url).hostname or f"amr-centre-{pin[:16]}"
        path = "/console/incidents/{incident}/cap.xml"
        self.routes = (Route("GET", path, guard.sees(access.OPERATOR), self.message),)

    async def message(self, request: web.Request, _caller: access.Caller) -> web.Response:
        now = await self._worker(cap.standing, request.match_info["incident"])
        languages = {language: words.of_page(language, "cap") for language in access.LANGUAGES}
        xml = rules.document(now, self._sender, languages)
        headers = {"Cache-Control": "no-store"}
        return web.Response(body=xml, content_type=rules.MEDIA_TYPE, charset="utf-8", headers=headers)
