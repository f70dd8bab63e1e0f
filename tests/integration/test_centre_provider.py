"""Sign-in through a provider, by real HTTPS; one that lies in every way, and one that is down."""

import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey

from centre.console import guard, oidc_sign_in
from centre.platform.home import CannotServe, Home
from centre.work import accounts, event_log
from tests.integration.idp import SECRET, Idp, provided_by
from tests.unit.centre.parts import Lines, Phone, centre, core_at

HTML = {"Accept": "text/html"}


async def leave(idp: Idp, phone: Phone, more: str = "") -> str:
    """Go to the provider; give the address that it sends the user back to, without our origin."""
    async with phone.session.get(f"{phone.url}/console/oidc{more}", allow_redirects=False) as response:
        assert response.status == 303
        there = response.headers["Location"]
    assert there.startswith(f"{idp.url}/realm/authorize?")
    idp.last = dict(parse_qsl(urlsplit(there).query))
    request_like = type("Query", (), {"query": idp.last})
    back = (await idp.authorize(request_like)).headers["Location"]  # type: ignore[arg-type]
    assert back.startswith(f"{phone.url}/console/oidc/back?")
    return back.removeprefix(phone.url)


def troubles(lines: Lines) -> str:
    return " ".join(str(line["text"]) for line in lines.of("trouble"))


async def test_somebody_who_works_here_comes_in(tmp_path: Path) -> None:
    """A page of ours leads on, with the session that a password gives; the log says how the user came."""
    idp = Idp()
    async with provided_by(idp, tmp_path) as (_, phone, lines):
        assert "/console/oidc?language=en" in (await phone.ask("GET", "/console/sign-in?language=en"))[1]
        back = await leave(idp, phone)
        async with phone.session.get(phone.url + back, allow_redirects=False) as response:
            assert response.status == 200
            assert '<meta http-equiv="refresh" content="0; url=/console">' in await response.text()
            cookies = response.headers.getall("Set-Cookie")
        session = next(cookie for cookie in cookies if cookie.startswith(guard.COOKIE))
        for word in ("HttpOnly", "Secure", "SameSite=Strict", "Path=/"):
            assert word in session
        assert (await phone.ask("GET", "/console"))[0] == 200
        assert idp.key_requests == 1
    assert lines.of("trouble") == []


LIES: dict[str, dict[str, Any]] = {
    "another nonce": {"claims": {"nonce": "another"}},
    "no nonce": {"claims": {"nonce": None}},
    "another audience": {"claims": {"aud": "somebody-else"}},
    "an audience of two without azp": {"claims": {"aud": ["amr", "somebody-else"]}},
    "made for another party": {"claims": {"azp": "somebody-else"}},
    "another issuer": {"claims": {"iss": "https://evil.example"}},
    "expired": {"claims": {"exp": int(time.time()) - 3600}},
    "no expiry": {"claims": {"exp": None}},
    "an expiry that is no time": {"claims": {"exp": "tomorrow"}},
    "made long ago": {"claims": {"iat": int(time.time()) - 7200}},
    "made in the future": {"claims": {"iat": int(time.time()) + 7200}},
    "nobody": {"claims": {"sub": None}},
    "a subject that is no text": {"claims": {"sub": ["ann"]}},
    "somebody unknown": {"subject": "eve"},
    "almost Ann": {"subject": "Ann"},
    "not signed": {"alg": "none"},
    "another key of the same name": {"signing_key": RSAKey.generate_key(2048, {"kid": "1"})},
    "a key that is not shown": {"kid": "2"},
    "signed with what we know": {"alg": "HS256", "signing_key": OctKey.import_key(SECRET.encode() * 2)},
    "no token": {"raw": "no.token"},
    "a token without end": {"raw": "x" * 100_000},
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_provider_that_lies_lets_nobody_in(tmp_path: Path, lie: str) -> None:
    """No session, the same answer to all of it, and the password asked for; nothing of it in the log."""
    idp = Idp()
    for name, value in LIES[lie].items():
        setattr(idp, name, value)
    async with provided_by(idp, tmp_path) as (_, phone, lines):
        status, page = await phone.ask("GET", await leave(idp, phone), headers=HTML)
        assert (status, 'name="password"' in page) == (403, True)
        assert "has not signed you in here" in page
        assert (await phone.ask("GET", "/console"))[0] == 401
    said = json.dumps(lines.all)
    assert not any(secret in said for secret in (SECRET, idp.last["state"], idp.last["nonce"], "eyJ"))


async def test_an_answer_is_good_once_and_in_one_browser(tmp_path: Path) -> None:
    """Not without the cookie of who asked, not with another's, not with a changed state, not again."""
    idp = Idp()
    async with provided_by(idp, tmp_path) as (_, phone, _lines):
        back = await leave(idp, phone)
        jar = phone.session.cookie_jar
        mine = {cookie.key: cookie.value for cookie in jar}[oidc_sign_in.COOKIE]
        jar.clear()
        assert (await phone.ask("GET", back))[1]["reason"] == "wrong_sign_in"
        await leave(idp, phone)
        assert (await phone.ask("GET", back))[1]["reason"] == "wrong_sign_in"
        cookie = {"Cookie": f"{oidc_sign_in.COOKIE}={mine}"}
        changed = back.replace("state=", "state=x")
        assert (await phone.ask("GET", changed, headers=cookie))[1]["reason"] == "wrong_sign_in"
        jar.clear()
        assert (await phone.ask("GET", back, headers=cookie))[0] == 200
        jar.clear()
        idp.asked[dict(parse_qsl(urlsplit(back).query))["code"]] = idp.last  # even were the code good again
        assert (await phone.ask("GET", back, headers=cookie))[1]["reason"] == "wrong_sign_in"
        mixed = back.replace(urlencode({"iss": f"{idp.url}/realm"}), "iss=https://evil.example")
        assert (await phone.ask("GET", mixed, headers=cookie))[1]["reason"] == "wrong_sign_in"
        forged = {"Cookie": f"{oidc_sign_in.COOKIE}=gAAAA"}
        assert (await phone.ask("GET", back, headers=forged))[1]["reason"] == "wrong_sign_in"


async def test_who_was_not_believed_is_in_the_event_log_but_fills_it_not(tmp_path: Path) -> None:
    """It says why, how many came with nothing, and that a disabled user came."""
    idp = Idp()
    async with provided_by(idp, tmp_path) as (serving, phone, _):
        for _ in range(50):
            assert (await phone.ask("GET", oidc_sign_in.BACK))[1]["reason"] == "wrong_sign_in"
        core = core_at(serving.home)
        assert accounts.disable(core, "ann")
        assert (await phone.ask("GET", await leave(idp, phone)))[1]["reason"] == "wrong_sign_in"
    rows = [row for row in core.store.all("log_entries") if row["kind"] == "provider_refused"]
    told = [tuple(event_log.told(core, row).facts.values()) for row in rows]
    core.store.close()
    stranger = "this browser did not ask, or took too long"
    assert [fact for fact in told if stranger in fact] == [(1, stranger), (49, stranger)]
    assert sum("is disabled" in str(fact) for fact in told) == 1
    assert len(told) == 3


async def test_nothing_in_an_address_leads_elsewhere(tmp_path: Path) -> None:
    """The user comes back here, and on to the user's own page, whatever a link put into the address."""
    idp = Idp()
    async with provided_by(idp, tmp_path) as (_, phone, _lines):
        evil = "?next=https://evil.example&redirect_uri=https://evil.example&url=//evil.example"
        back = await leave(idp, phone, evil)
        assert "evil" not in back
        status, page = await phone.ask("GET", f"{back}&next=https://evil.example")
        assert (status, "evil" in page) == (200, False)


async def test_who_is_disabled_stays_out(tmp_path: Path) -> None:
    """The door stays shut, whatever the provider says of the user."""
    idp = Idp()
    async with provided_by(idp, tmp_path) as (serving, phone, _):
        core = core_at(serving.home)
        assert accounts.disable(core, "ann")
        core.store.close()
        assert (await phone.ask("GET", await leave(idp, phone)))[1]["reason"] == "wrong_sign_in"


@pytest.mark.parametrize(
    ("claims", "status"),
    [({}, 403), ({"amr": ["pwd"]}, 403), ({"amr": "mfa"}, 403), ({"amr": ["pwd", "mfa"], "acr": "gold"}, 200),
     ({"amr": ["mfa"], "acr": "tin"}, 403)],
)  # fmt: skip
async def test_a_second_factor_can_be_demanded(tmp_path: Path, claims: dict[str, Any], status: int) -> None:
    """The kind is asked for; what the provider does not vouch for is not believed."""
    idp = Idp()
    idp.claims = claims
    async with provided_by(idp, tmp_path, oidc_acr=("gold",), oidc_amr=("mfa", "hwk")) as (_, phone, _lines):
        back = await leave(idp, phone)
        assert idp.last["acr_values"] == "gold"
        assert (await phone.ask("GET", back))[0] == status


async def test_another_claim_can_be_the_login(tmp_path: Path) -> None:
    """As the administrator says; an e-mail address only where it is verified."""
    idp = Idp()
    idp.subject, idp.claims = "0f8fad5b-d9cb", {"upn": "ann"}
    async with provided_by(idp, tmp_path, oidc_claim="upn") as (_, phone, _lines):
        assert (await phone.ask("GET", await leave(idp, phone)))[0] == 200
    idp.claims = {"email": "ann"}
    (tmp_path / "other").mkdir()
    async with provided_by(idp, tmp_path / "other", oidc_claim="email") as (_, phone, _lines):
        assert (await phone.ask("GET", await leave(idp, phone)))[0] == 403
        idp.claims = {"email": "ann", "email_verified": True}
        assert (await phone.ask("GET", await leave(idp, phone)))[0] == 200


async def test_a_new_key_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The provider changes its key; but for one that nobody shows it is asked once a minute at most."""
    idp = Idp()
    async with provided_by(idp, tmp_path) as (_, phone, _lines):
        assert (await phone.ask("GET", await leave(idp, phone)))[0] == 200
        idp.kid = "nobody's"
        for _ in range(3):
            assert (await phone.ask("GET", await leave(idp, phone)))[0] == 403
        assert idp.key_requests == 1
        monkeypatch.setattr("centre.platform.oidc_provider.KEYS_EVERY_S", 0.0)
        idp.key, idp.alg, idp.kid = ECKey.generate_key("P-256", {"kid": "2"}), "ES256", "2"
        idp.shown = [idp.key]
        assert (await phone.ask("GET", await leave(idp, phone)))[0] == 200


async def test_a_provider_that_is_down_locks_nobody_out(tmp_path: Path) -> None:
    """The page says so and asks for the password; the description of another issuer is no better."""
    idp = Idp()
    async with provided_by(idp, tmp_path) as (_, phone, lines):
        idp.down = True
        status, page = await phone.ask("GET", "/console/oidc", headers=HTML)
        assert (status, 'name="password"' in page) == (503, True)
        idp.down = False
        idp.metadata = {"issuer": "https://evil.example"}
        assert (await phone.ask("GET", "/console/oidc"))[1]["reason"] == "wrong_sign_in"
        idp.metadata = {"authorization_endpoint": "http://evil.example"}
        assert (await phone.ask("GET", "/console/oidc"))[1]["reason"] == "wrong_sign_in"
        idp.metadata = {}
        back = await leave(idp, phone)
        idp.down = True
        assert (await phone.ask("GET", back))[1]["reason"] == "provider_unavailable"
        assert (await phone.ask("GET", "/console/sign-in"))[0] == 200
    assert "502" in troubles(lines)


async def test_without_a_provider_there_is_nothing(tmp_path: Path) -> None:
    """No link, no address."""
    async with centre(tmp_path) as (_, phone):
        assert "oidc" not in (await phone.ask("GET", "/console/sign-in"))[1]
        for path in ("/console/oidc", "/console/oidc/back?code=x&state=y"):
            assert (await phone.ask("GET", path))[1]["reason"] == "unknown_path"


@pytest.mark.parametrize("secret", [None, b"", b"two\nlines"])
async def test_a_missing_secret_is_a_sentence(tmp_path: Path, secret: bytes | None) -> None:
    """Before anything is served."""
    if secret is not None:
        Home(tmp_path).write("oidc.secret", secret)
    with pytest.raises(CannotServe, match=r"oidc\.secret"):
        async with centre(tmp_path, oidc_issuer="https://idp.example", oidc_client_id="amr"):
            pass
