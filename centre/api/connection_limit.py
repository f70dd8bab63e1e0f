"""Who may hold a connection, and how long: whoever only holds one keeps nobody out."""

import asyncio
import contextlib
import errno
import logging
import os
import socket
import ssl
from itertools import islice

from aiohttp import web

from centre.settings import Settings

# What is no HTTP is refused; a trace of each would only fill a disk. Our own mistakes: centre/api/routing.py.
QUIET = logging.getLogger("centre.http")
QUIET.setLevel(logging.CRITICAL)
CLOSING_TURNS_MAX = 20  # of the loop, in which it hears that a connection has ended
BACKLOG = 1024  # that wait to be accepted
FILES_BESIDE = 256  # that are no connection: the database, its own readers, what is sent to others


class ConnectionLimit(web.BaseSite):
    """Hold so many connections, each from the moment it is accepted; where one more comes, cut an old one.

    So an alarm always comes in, however many hold one. Whoever is cut in the middle of something asks again:
    a press is the same press, a stream goes on behind its last event. Handshakes that are never finished,
    heads that never end and connections that ask for nothing are cut at their time.
    """

    def __init__(
        self, runner: web.AppRunner, host: str, port: int, context: ssl.SSLContext, settings: Settings
    ) -> None:
        super().__init__(runner)
        self._host, self._port, self._context, self._settings = host, port, context, settings
        self._listeners: list[socket.socket] = []
        self._handshakes: dict[socket.socket, asyncio.Task[None]] = {}  # that are not done, the oldest first

    @property
    def name(self) -> str:
        """Return what aiohttp calls it."""
        return f"{self._host}:{self._port}"

    @property
    def port(self) -> int:
        """Return where it listens."""
        return int(self._listeners[0].getsockname()[1])

    async def start(self) -> None:
        """Listen. Raises OSError where it cannot listen there.

        The loop's own server tells nobody of a connection before its handshake is done: it could count none.
        """
        await super().start()
        loop = asyncio.get_running_loop()
        where = await loop.getaddrinfo(
            self._host, self._port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, address in dict.fromkeys((info[0], info[4][:2]) for info in where):
            listener = socket.create_server(address, family=family, backlog=BACKLOG)
            self._listeners.append(listener)
            listener.setblocking(False)
            loop.add_reader(listener, self._accept, listener)

    async def stop(self) -> None:
        """Stop listening, and cut the handshakes that are not done."""
        await super().stop()
        for listener in self._listeners:
            asyncio.get_running_loop().remove_reader(listener)
            listener.close()
        handshakes = list(self._handshakes.values())
        self._cut_handshakes(len(handshakes))
        await asyncio.gather(*handshakes)

    def _accept(self, listener: socket.socket) -> None:
        """Take in who waits, and begin the handshakes."""
        for _ in range(BACKLOG):
            try:
                connection, _address = listener.accept()
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE):  # the next look at the listener finds room
                    self._cut_oldest(1)
                return  # else nobody waits any more
            connection.setblocking(False)
            self._handshakes[connection] = asyncio.create_task(self._shake_hands(connection))
            held = len(self._handshakes) + len(self._established())
            self._cut_oldest(held - self._settings.connections)

    async def _shake_hands(self, connection: socket.socket) -> None:
        server = self._runner.server
        assert server is not None
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                server, connection, ssl=self._context, ssl_handshake_timeout=self._settings.handshake_s
            )
        except OSError:  # ssl.SSLError and TimeoutError are: a stranger's doing
            connection.close()
        finally:
            self._handshakes.pop(connection, None)

    def _established(self) -> list[web.RequestHandler]:
        """Return the connections whose handshake is done, the oldest first."""
        server = self._runner.server
        return server.connections if server else []

    def _cut_oldest(self, count: int) -> None:
        """Cut unfinished handshakes first, but a quarter of the room is theirs.

        Else whoever only begins them would cut an alarm's own.
        """
        if count <= 0:
            return
        handshakes_max = max(1, self._settings.connections // 4)
        handshakes = max(0, min(count, len(self._handshakes) - handshakes_max))
        self._cut_handshakes(handshakes)
        for oldest in self._established()[: count - handshakes]:
            if oldest.transport is not None:
                oldest.transport.abort()

    def _cut_handshakes(self, count: int) -> None:
        for connection in list(islice(self._handshakes, count)):
            del self._handshakes[connection]
            with contextlib.suppress(OSError):  # it is gone already
                connection.shutdown(socket.SHUT_RDWR)


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


def allow_files(connections: int) -> int:
    """Raise the limit of open files to what so many connections take; return how many the system allows."""
    import resource  # late: Windows has none, and whoever only closes connections needs none

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + FILES_BESIDE
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if allowed == resource.RLIM_INFINITY:
        return connections
    return min(connections, allowed - min(FILES_BESIDE, allowed // 2))
