"""Who may hold a connection, and how long: whoever only holds one keeps nobody out."""

import asyncio
import contextlib
import logging
import os
import resource
import socket
import ssl

from aiohttp import web

from centre.settings import Settings

# What is no HTTP is refused; a trace of each would only fill a disk. Our own mistakes: centre/api/routing.py.
QUIET = logging.getLogger("centre.http")
QUIET.setLevel(logging.CRITICAL)
CLOSING_TURNS_MAX = 20  # of the loop, in which it hears that a connection has ended
FILES_BESIDE = 256  # that are no connection: the database, its own readers, what is sent to others


class ConnectionLimit(web.BaseSite):
    """So many connections are held; where one more comes, the oldest is cut.

    So an alarm always comes in, however many hold one. Whoever is cut in the middle of something asks again:
    a press is the same press, a stream goes on behind its last event. Handshakes that are never finished,
    heads that never end and connections that ask for nothing are cut at their time.
    """

    def __init__(
        self, runner: web.AppRunner, host: str, port: int, context: ssl.SSLContext, settings: Settings
    ) -> None:
        super().__init__(runner, ssl_context=context)
        self._host, self._port, self._settings = host, port, settings

    @property
    def name(self) -> str:
        return f"{self._host}:{self._port}"

    async def start(self) -> None:
        """Raises OSError where it cannot listen there."""
        await super().start()
        self._server = await asyncio.get_running_loop().create_server(
            self._enter,
            self._host,
            self._port,
            ssl=self._ssl_context,
            backlog=self._backlog,
            ssl_handshake_timeout=self._settings.handshake_s,
        )

    def _enter(self) -> asyncio.Protocol:
        server = self._runner.server
        assert server is not None
        held = server.connections  # the oldest first; those whose handshake is not done are not among them
        too_many = len(held) + 1 - self._settings.connections
        for oldest in held[: max(0, too_many)]:
            if oldest.transport is not None:
                oldest.transport.abort()
        return server()


async def close(runner: web.AppRunner) -> None:
    """Finish what is being answered; a peer that never says goodbye (TLS close_notify) keeps nothing open."""
    server = runner.server
    held = _transports(server)
    sockets = [transport.get_extra_info("socket") for transport in held]
    await runner.cleanup()
    for transport in [*held, *_transports(server)]:  # a handshake may have been done meanwhile
        transport.abort()
    for one in sockets:
        # Of a TLS transport that was closed twice, as aiohttp does, asyncio's abort() does nothing.
        if one is not None and one.fileno() >= 0:
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(one.fileno())) as same:
                same.shutdown(socket.SHUT_RDWR)
    for _ in range(CLOSING_TURNS_MAX):
        await asyncio.sleep(0)
        if all(one is None or one.fileno() < 0 for one in sockets):
            break


def _transports(server: web.Server | None) -> list[asyncio.Transport]:
    connections = server.connections if server else []
    return [connection.transport for connection in connections if connection.transport is not None]


def allow_files(connections: int) -> None:
    """As many open files as that takes, as far as the system lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + FILES_BESIDE
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
