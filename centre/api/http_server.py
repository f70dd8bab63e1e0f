"""aiohttp's server with our manners: what is no HTTP is refused as all else is, and no version is told."""

import asyncio
from collections.abc import Mapping
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from centre.api.routing import problem
from centre.rules.refusals import Refused


class HttpRunner(web.AppRunner):
    """Run an application; `headers` are those of an answer to what could not be read as a request."""

    def __init__(self, app: web.Application, headers: Mapping[str, str], **options: Any) -> None:
        super().__init__(app, **options)
        self._error_headers = headers

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        server = _Server(
            made.request_handler,
            request_factory=made.request_factory,
            loop=asyncio.get_running_loop(),
            **made._kwargs,
        )
        server.error_headers = self._error_headers
        return server


class _Server(web.Server):
    error_headers: Mapping[str, str]

    def __call__(self) -> RequestHandler:
        return _Handler(self, loop=self._loop, **self._kwargs)


class _Handler(RequestHandler):
    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer a request that could not be read (RFC 9457), and end the connection."""
        super().handle_error(request, status, exc, message)  # which logs it; raises where it was answered
        response = problem(Refused("malformed_http" if status < 500 else "internal"))
        assert isinstance(self._manager, _Server)
        response.headers.update(self._manager.error_headers)
        response.force_close()
        return response
