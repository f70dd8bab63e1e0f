"""Sign-in by somebody else's word (OpenID Connect Core 1.0): what is asked, what is believed. Pure.

The authorisation code flow (3.1) with PKCE (RFC 7636). `state` ties the answer to the browser that asked,
`nonce` the ID token to this question, the verifier the code to us. Whoever the token names must be somebody
here already.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeGuard
from urllib.parse import urlencode, urlsplit

from joserfc import jwt
from joserfc.errors import InvalidKeyIdError
from joserfc.jwk import KeySet

# Never "none", and none whose key the provider would share with us (RFC 8725, 3.1).
ALGORITHMS = ("ES256", "PS256", "RS256")
SKEW_S = 60  # how far the provider's clock may be from ours
AGE_S_MAX = 600  # of an ID token: it was made for this sign-in
KEYS_MAX = 32
TOKEN_CHARS_MAX = 16_384
DISCOVERY = "/.well-known/openid-configuration"


class Untrusted(Exception):
    """Somebody's answer is not to be believed; why, in words of ours alone."""


class UnknownKey(Untrusted):
    """Signed with a key that we have not been shown: it may be new."""


@dataclass(frozen=True, slots=True)
class Client:
    """Who we are to the provider, and what we want it to have seen."""

    issuer: str
    client_id: str
    claim: str = "sub"  # the one that holds a login
    acr: tuple[str, ...] = ()  # one of them is demanded, where there are any
    amr: tuple[str, ...] = ()  # likewise


@dataclass(frozen=True, slots=True)
class Endpoints:
    authorization: str
    token: str
    keys: str
    secret_in_body: bool  # it takes the secret in no other way


@dataclass(frozen=True, slots=True)
class Journey:
    """One browser's way to the provider and back."""

    state: str
    nonce: str
    verifier: str
    back: str

    def write(self) -> bytes:
        return json.dumps(asdict(self)).encode()


def read_journey(written: bytes) -> Journey:
    return Journey(**json.loads(written))


def endpoints(metadata: object, issuer: str) -> Endpoints:
    """Of the provider's own description (OpenID Connect Discovery 1.0, 4.3). Raises Untrusted."""
    if not isinstance(metadata, dict) or metadata.get("issuer") != issuer:
        raise Untrusted("its description is another issuer's")
    names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
    addresses = [str(metadata.get(name)) for name in names]
    if not all(map(_is_https, addresses)):
        raise Untrusted("its description has an address that is not https")
    methods = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    authorization, token, keys = addresses
    return Endpoints(authorization, token, keys, "client_secret_basic" not in methods)


def _is_https(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" and bool(parts.hostname) and url.isascii() and url.isprintable()


def address(endpoints: Endpoints, client: Client, way: Journey) -> str:
    """Return where the browser is sent."""
    digest = hashlib.sha256(way.verifier.encode()).digest()
    asked = {
        "response_type": "code",
        "client_id": client.client_id,
        "redirect_uri": way.back,
        "scope": "openid" if client.claim == "sub" else "openid profile email",
        "state": way.state,
        "nonce": way.nonce,
        "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
        "code_challenge_method": "S256",
    } | ({"acr_values": " ".join(client.acr)} if client.acr else {})
    return endpoints.authorization + ("&" if "?" in endpoints.authorization else "?") + urlencode(asked)


def code_of(query: Mapping[str, str], way: Journey, client: Client) -> str:
    """Return the code that came back, to the browser that asked. Raises Untrusted."""
    if not hmac.compare_digest(query.get("state", "").encode("utf-8", "replace"), way.state.encode()):
        raise Untrusted("an answer to another question (state)")
    if query.get("iss", client.issuer) != client.issuer:  # RFC 9207
        raise Untrusted("an answer of another issuer")
    if "error" in query or not query.get("code"):
        raise Untrusted("it signed nobody in")
    return query["code"]


def keys(document: object) -> KeySet:
    """Read the provider's public keys (RFC 7517). Raises Untrusted."""
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list) or len(listed) > KEYS_MAX:
        raise Untrusted("its keys are no list of keys")
    usable = [key for key in listed if isinstance(key, dict) and key.get("kty") in ("EC", "RSA")]
    try:
        return KeySet.import_key_set({"keys": usable})
    except Exception as error:  # whatever a strange key makes the library raise
        raise Untrusted("its keys cannot be read") from error


def login(id_token: object, known: KeySet, client: Client, nonce: str, now_ms: int) -> str:
    """Whom the provider vouches for (3.1.3.7). Raises Untrusted; UnknownKey."""
    if not isinstance(id_token, str) or len(id_token) > TOKEN_CHARS_MAX:
        raise Untrusted("there is no ID token")
    try:
        claims = jwt.decode(id_token, known, algorithms=ALGORITHMS).claims
    except InvalidKeyIdError as error:
        raise UnknownKey("the ID token is signed with a key that it does not show") from error
    except Exception as error:  # whatever a hostile token makes the library raise
        raise Untrusted("the ID token's signature is not the provider's") from error
    _check(claims, client, nonce, now_ms // 1000)
    claimed = claims.get(client.claim)
    if not isinstance(claimed, str) or not claimed:
        raise Untrusted(f"the ID token has no {client.claim}")
    if client.claim == "email" and claims.get("email_verified") is not True:
        raise Untrusted("the ID token's email is not verified")
    return claimed


def _check(claims: Mapping[str, Any], client: Client, nonce: str, now_s: int) -> None:
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if claims.get("iss") != client.issuer:
        raise Untrusted("the ID token is another issuer's")
    if client.client_id not in audiences or claims.get("azp", client.client_id) != client.client_id:
        raise Untrusted("the ID token is for somebody else")
    if len(audiences) > 1 and "azp" not in claims:
        raise Untrusted("the ID token does not say for whom of several it is")
    expires_s, made_s = claims.get("exp"), claims.get("iat")
    if not _is_time(expires_s) or expires_s + SKEW_S <= now_s:
        raise Untrusted("the ID token has expired")
    if not _is_time(made_s) or not now_s - AGE_S_MAX <= made_s <= now_s + SKEW_S:
        raise Untrusted("the ID token was not made now")
    answered = claims.get("nonce")
    if not isinstance(answered, str) or not hmac.compare_digest(
        answered.encode("utf-8", "replace"), nonce.encode()
    ):
        raise Untrusted("the ID token answers another question (nonce)")
    if client.acr and claims.get("acr") not in client.acr:
        raise Untrusted("the sign-in was not of the demanded kind (acr)")
    methods = claims.get("amr")
    if client.amr and not (isinstance(methods, list) and set(client.amr) & {str(one) for one in methods}):
        raise Untrusted("the sign-in was not by a demanded means (amr)")


def _is_time(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e11
