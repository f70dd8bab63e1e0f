"""Who is answered: our own page, in its user's browser, and nobody else on this machine or the web.

- *Another web page* (a fetch, a form, a frame, a name that was made to point at 127.0.0.1): told by Host,
  Origin and Sec-Fetch-Site, which a page cannot forge, and without the secret it would learn nothing.
- *Another user's program*: has no secret. Every path but the empty shell answers it the same nothing.

The secret comes in the address's fragment, which no browser sends, and then in `Authorization`. A
cookie would not do: cookies know no ports, so whoever serves another port of 127.0.0.1 gets them.
"""

import hmac
import re
from collections.abc import Awaitable, Callable

from aiohttp import web

SECRET = re.compile(r"[A-Za-z0-9_-]{22,128}", re.ASCII)  # 22 characters of base64 are 128 bits
WRONG_FREE = 5
WRONG_EACH_S = 1.0
WRONG_S_MAX = 30.0
CONNECTIONS_MAX = 32

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Guard:
    """Knows who may ask. `clock()` is in seconds and only goes forward."""

    def __init__(
        self, secret: str, clock: Callable[[], float], sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        if not SECRET.fullmatch(secret):
            raise ValueError("the page's secret must be 22 to 128 of A-Z a-z 0-9 _ -")
        self._secret = secret.encode()
        self._clock, self._sleep = clock, sleep
        self._wrong = 0
        self._wrong_until_s = 0.0

    def is_ours(self, request: web.Request, port: int) -> bool:
        """Return whether a browser that sends this was asked to by our own page, or by its user.

        `localhost` is not ours: it may be ::1, where somebody else can listen on the same port.
        """
        ours = f"127.0.0.1:{port}"
        if request.headers.getall("Host", []) != [ours]:
            return False
        # Fetch Metadata. "same-site" is another port of 127.0.0.1: not ours.
        if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            return False
        return request.method in ("GET", "HEAD") or request.headers.get("Origin") == f"http://{ours}"

    async def knows(self, request: web.Request) -> bool:
        """Return whether it carries the secret. After some wrong ones in a row each waits for its turn.

        The right one never waits, so nobody can keep its user out by guessing.
        """
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        # Both, always: in the same time whatever was wrong.
        same = hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self._secret)
        if same & (scheme == "Bearer"):
            return True
        now_s = self._clock()
        if now_s - self._wrong_until_s > 60.0:
            self._wrong = 0
        self._wrong += 1
        if self._wrong <= WRONG_FREE:
            self._wrong_until_s = now_s
            return False
        # The queue is bounded: its last place is WRONG_S_MAX away, and connections are bounded, too.
        self._wrong_until_s = min(max(self._wrong_until_s, now_s) + WRONG_EACH_S, now_s + WRONG_S_MAX)
        await self._sleep(self._wrong_until_s - now_s)
        return False


class ConnectionLimit:
    """Makes the server's connections, so many at once.

    Nobody may use up the descriptors of a program that must be able to reach the centre: where it is full,
    the oldest that showed no secret has to go.
    """

    def __init__(self, server: web.Server) -> None:
        self._server = server
        self._proven: set[web.RequestHandler] = set()

    def __call__(self) -> web.RequestHandler:
        """Make one connection."""
        connections = self._server.connections
        self._proven.intersection_update(connections)
        if len(connections) >= CONNECTIONS_MAX:
            strangers = [connection for connection in connections if connection not in self._proven]
            for connection in (strangers or connections)[: len(connections) - CONNECTIONS_MAX + 1]:
                if connection.transport is not None:
                    connection.transport.abort()
        return self._server()

    def proven(self, request: web.Request) -> None:
        """Remember that this connection has shown the secret."""
        self._proven.add(request.protocol)
