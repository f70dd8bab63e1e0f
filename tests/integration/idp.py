"""A provider of sign-ins (OpenID Connect), by real HTTPS, that lies as a test wants; and a centre with it."""

import base64
import hashlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import RSAKey

from centre.platform.home import Home
from centre.rules import access
from centre.work import accounts
from tests.unit.bridge.parts import Authority, serve
from tests.unit.centre.parts import Lines, Phone, Serving, centre, core_at

SECRET = "a secret, with: signs & spaces"  # noqa: S105


class Idp:
    """A provider that signs in `subject` without a question; what it does otherwise, a test says."""

    def __init__(self) -> None:
        self.key: Any = RSAKey.generate_key(2048, {"kid": "1", "use": "sig"})
        self.shown: list[Any] = [self.key]
        self.subject, self.url = "ann", ""
        self.claims: dict[str, Any] = {}  # in place of the right ones; None: not there
        self.signing_key: Any = None  # in place of the right one
        self.alg, self.kid, self.raw = "RS256", "1", ""
        self.down = False
        self.metadata: dict[str, Any] = {}
        self.asked: dict[str, dict[str, str]] = {}  # by code, which is good once
        self.last: dict[str, str] = {}
        self.key_requests = 0

    @property
    def routes(self) -> dict[tuple[str, str], Any]:
        return {
            ("GET", "/realm/.well-known/openid-configuration"): self.describe,
            ("GET", "/realm/keys"): self.keys,
            ("GET", "/realm/authorize"): self.authorize,
            ("POST", "/realm/token"): self.token,
        }

    async def describe(self, _request: web.Request) -> web.Response:
        if self.down:
            raise web.HTTPBadGateway
        at = f"{self.url}/realm"
        names = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
        told = {"issuer": at} | {name: f"{at}/{path}" for name, path in names.items()}
        return web.json_response(told | self.metadata)

    async def keys(self, _request: web.Request) -> web.Response:
        self.key_requests += 1
        return web.json_response({"keys": [key.as_dict(private=False) for key in self.shown]})

    async def authorize(self, request: web.Request) -> web.Response:
        asked = self.last = dict(request.query)
        assert (asked["response_type"], asked["client_id"]) == ("code", "amr")
        assert asked["code_challenge_method"] == "S256"
        code = base64.urlsafe_b64encode(asked["state"][:12].encode()).decode()
        self.asked[code] = asked
        answer = urlencode({"code": code, "state": asked["state"], "iss": f"{self.url}/realm"})
        return web.Response(status=303, headers={"Location": f"{asked['redirect_uri']}?{answer}"})

    async def token(self, request: web.Request) -> web.Response:
        if self.down:
            raise web.HTTPBadGateway
        form = dict(parse_qsl((await request.read()).decode()))
        asked = self.asked.pop(form["code"], None)
        name, _, secret = (
            base64.b64decode(request.headers["Authorization"].split()[1]).decode().partition(":")
        )
        known = (name, secret) == ("amr", "a+secret%2C+with%3A+signs+%26+spaces")
        if asked is None or not known or form["redirect_uri"] != asked["redirect_uri"]:
            return web.json_response({"error": "invalid_grant"}, status=400)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest())
        assert challenge.decode().rstrip("=") == asked["code_challenge"]
        return web.json_response({"access_token": "x", "token_type": "Bearer", "id_token": self.made(asked)})

    def made(self, asked: dict[str, str]) -> str:
        now = int(time.time())
        claims = {"iss": f"{self.url}/realm", "aud": "amr", "sub": self.subject, "exp": now + 300, "iat": now}
        claims |= {"nonce": asked["nonce"]} | self.claims
        claims = {name: value for name, value in claims.items() if value is not None}
        if self.alg == "none":
            parts = ({"alg": "none", "kid": "1"}, claims)
            texts = (
                base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts
            )
            return ".".join((*texts, ""))
        header = {"alg": self.alg, "kid": self.kid}
        return self.raw or jwt.encode(header, claims, self.signing_key or self.key, algorithms=[self.alg])


@asynccontextmanager
async def provided_by(idp: Idp, home: Path, **settings: Any) -> AsyncIterator[tuple[Serving, Phone, Lines]]:
    """A centre where Ann works, and where one may sign in through `idp`."""
    authority, lines = Authority(), Lines()
    (home / "idp-ca.pem").write_bytes(authority.pem)
    Home(home).write("oidc.secret", f"{SECRET}\n".encode())
    core = core_at(home)
    accounts.add_user(core, "ann", "Ann Example", access.OPERATOR, None, "en")
    core.store.close()
    async with serve(authority, idp.routes) as idp.url:
        values = {"oidc_issuer": f"{idp.url}/realm", "oidc_client_id": "amr"}
        values |= {"oidc_ca": str(home / "idp-ca.pem")}
        async with centre(home, log=lines, **values | settings) as (serving, phone):
            yield serving, phone, lines
