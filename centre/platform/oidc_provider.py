"""The provider that people may sign in through (OpenID Connect): what is asked of it over HTTPS, and kept.

It is asked only when somebody signs in through it, so its being down stops nobody who has a password. Its
certificate is checked, no redirect is followed, each answer has a bound in time and bytes. No code, token or
secret is logged or kept.
"""

import asyncio
import contextlib
import json
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote_plus

import aiohttp
from cryptography.fernet import Fernet, InvalidToken
from joserfc.jwk import KeySet

from centre.platform.home import CannotServe, Home
from centre.platform.log import Log, now_ms
from centre.platform.log_throttle import LogThrottle
from centre.rules import oidc
from centre.rules.oidc import Client, Endpoints, Journey, Untrusted
from centre.rules.refusals import Refused
from centre.settings import Settings

SECRET_FILE = "oidc.secret"  # noqa: S105  its name
JOURNEY_S = 600  # how long somebody may take there
KEPT_S = 3600.0  # its description and keys
KEYS_EVERY_S = 60.0  # at most so often for the sake of a key that we do not know
ANSWER_BYTES_MAX = 256 * 1024
ASKING_MAX = 32
USED_MAX = 10_000


class _Unreachable(Exception):
    """The provider does not answer as a provider."""


class Provider:
    def __init__(
        self, client: Client, secret: str, context: ssl.SSLContext, log: Log, answer_s: float
    ) -> None:
        self._client, self._secret, self._context = client, secret, context
        self._trouble, self._answer_s = LogThrottle(log), answer_s
        self._session: aiohttp.ClientSession | None = None
        self._box = Fernet(Fernet.generate_key())  # a restart ends who is on the way
        self._used: dict[str, None] = {}  # states that came back, the oldest first
        self._known: tuple[float, Endpoints] | None = None  # since when
        self._shown: tuple[float, KeySet] | None = None
        self._asking = 0

    async def leave(self, back: str) -> tuple[str, str]:
        """Return where to send the user's browser, and what it must bring back.

        Raises Refused: busy, provider_unavailable, wrong_sign_in.
        """
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        way = Journey(state, nonce, verifier, back)
        async with self._bounds():
            address = oidc.address(await self._described(), self._client, way)
        return address, self._box.encrypt(way.write()).decode()

    async def arrive(self, query: Mapping[str, str], brought: str) -> str:
        """Return the login of whom the provider vouches for. Raises Refused as `leave`."""
        async with self._bounds():
            try:
                way = oidc.read_journey(self._box.decrypt(brought.encode("utf-8", "replace"), ttl=JOURNEY_S))
            except InvalidToken:
                raise Untrusted("this browser did not ask, or took too long") from None
            code = oidc.code_of(query, way, self._client)
            self._use(way.state)
            id_token = await self._swap(code, way)
            try:
                return oidc.login(id_token, await self._keys(), self._client, way.nonce, int(now_ms()))
            except oidc.UnknownKey:  # it may have a new one
                known = await self._keys(KEYS_EVERY_S)
                return oidc.login(id_token, known, self._client, way.nonce, int(now_ms()))

    @contextlib.asynccontextmanager
    async def _bounds(self) -> AsyncIterator[None]:
        """Let so many ask at once, for so long in all; a refusal tells nothing of what went wrong."""
        if self._asking >= ASKING_MAX:
            raise Refused("busy")
        self._asking += 1
        try:
            async with asyncio.timeout(self._answer_s):
                yield
        except Untrusted as error:
            self._trouble("oidc_untrusted", f"a sign-in through the provider was refused: {error}")
            raise Refused("wrong_sign_in") from error
        except (_Unreachable, TimeoutError, aiohttp.ClientError) as error:
            why = str(error) if isinstance(error, _Unreachable) else type(error).__name__
            self._trouble("oidc_unreachable", f"nobody can sign in through the provider: {why}")
            raise Refused("provider_unavailable") from error
        finally:
            self._asking -= 1

    def _use(self, state: str) -> None:
        """Take an answer once.

        What is forgotten of very many, the provider's own code is still good only once.
        """
        if state in self._used:
            raise Untrusted("an answer that was used before")
        self._used[state] = None
        if len(self._used) > USED_MAX:
            del self._used[next(iter(self._used))]

    async def _described(self) -> Endpoints:
        """Return the endpoints, as the provider describes itself."""
        now_s = time.monotonic()
        if self._known is None or now_s - self._known[0] > KEPT_S:
            metadata = await self._ask("GET", self._client.issuer.rstrip("/") + oidc.DISCOVERY)
            self._known = now_s, oidc.endpoints(metadata, self._client.issuer)
        return self._known[1]

    async def _keys(self, kept_s: float = KEPT_S) -> KeySet:
        now_s = time.monotonic()
        if self._shown is None or now_s - self._shown[0] > kept_s:
            endpoints = await self._described()
            self._shown = now_s, oidc.keys(await self._ask("GET", endpoints.keys))
        return self._shown[1]

    async def _swap(self, code: str, way: Journey) -> object:
        """Return the ID token for a code (3.1.3)."""
        endpoints, client_id = await self._described(), self._client.client_id
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": way.back,
            "code_verifier": way.verifier,
        }
        headers = {}
        if endpoints.secret_in_body:
            form |= {"client_id": client_id, "client_secret": self._secret}
        else:  # RFC 6749, 2.3.1
            headers["Authorization"] = aiohttp.encode_basic_auth(
                quote_plus(client_id), quote_plus(self._secret)
            )
        answer = await self._ask("POST", endpoints.token, data=form, headers=headers)
        return answer.get("id_token") if isinstance(answer, dict) else None

    async def _ask(self, method: str, url: str, **options: Any) -> object:
        """Return the JSON of its answer."""
        if self._session is None:
            connector = aiohttp.TCPConnector(ssl=self._context, limit=ASKING_MAX)
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        async with self._session.request(method, url, allow_redirects=False, **options) as response:
            if response.status in (400, 401, 403) and method == "POST":
                raise Untrusted(f"it does not take the code, or us ({response.status})")
            if response.status != 200:
                raise _Unreachable(f"it answers {response.status}")
            try:
                await response.content.readexactly(ANSWER_BYTES_MAX)
            except asyncio.IncompleteReadError as all_of_it:
                body = all_of_it.partial
            else:
                raise _Unreachable("its answer has no end")
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise _Unreachable("its answer is not JSON") from None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def provider(home: Home, settings: Settings, log: Log) -> Provider | None:
    """Return the provider, None where everybody signs in here. Raises CannotServe."""
    if not settings.oidc_issuer:
        return None
    secret = home.secret(SECRET_FILE, lambda: _missing(home)).decode("utf-8", "replace").strip()
    if not secret or not secret.isprintable():
        raise CannotServe(f"{home.path / SECRET_FILE} must hold the client secret, in one line")
    try:
        context = ssl.create_default_context(cafile=settings.oidc_ca)
    except OSError as error:  # ssl.SSLError is one
        why = error.strerror or str(error)
        raise CannotServe(f"--oidc-ca {settings.oidc_ca} cannot be used: {why}") from error
    names = (settings.oidc_issuer, settings.oidc_client_id, settings.oidc_claim)
    client = Client(*names, acr=settings.oidc_acr, amr=settings.oidc_amr)
    return Provider(client, secret, context, log, settings.oidc_s)


def _missing(home: Home) -> bytes:
    raise CannotServe(f"{home.path / SECRET_FILE} is missing: the secret that the provider knows us by")
