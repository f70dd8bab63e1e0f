"""How a user is identified: a password and a second factor, set by invitation; wrong tries count."""

import base64
import secrets
from dataclasses import dataclass, field

from centre.platform import password_hashing
from centre.rules import access
from centre.rules.access import Caller
from centre.rules.login_attempts import Place
from centre.rules.refusals import Refused
from centre.work import accounts, attempt_counters, event_log, login_attempts
from centre.work.core import Core


@dataclass(frozen=True, slots=True)
class Invited:
    """Whom an invitation is for, and the second factor that is shown."""

    user_id: str
    login: str
    name: str
    language: str
    secret: str = field(repr=False)  # base32, as authenticators read it


@dataclass(frozen=True, slots=True)
class Try:
    """What is needed to check a sign-in; of nobody, what nobody can pass."""

    login: str = field(repr=False)
    place: Place
    user_id: str | None
    password_hash: str = field(repr=False)
    totp_sealed: bytes | None = field(repr=False)
    secret: str = field(repr=False)
    used_step: int


def invited(core: Core, token: str) -> Invited:
    """Find who is invited. Raises Refused("unauthorised")."""
    row = accounts.invitation(core, token, "set")
    user = core.store.one("user", user_id=row["user_id"])
    assert user is not None
    # Of the invitation and of the sealing key: nothing is stored before it is confirmed, and the
    # address alone, found later in a mailbox, does not tell it.
    secret = base64.b32encode(core.sealer.word(f"second factor:{row['token_sha256']}")).decode().rstrip("=")
    return Invited(user["user_id"], user["login"], user["name"], user["language"], secret)


def set_password(
    core: Core, token: str, password_hash: str, code: str, place: Place | None = None, where: str = ""
) -> tuple[str, Caller]:
    """Use the invitation up: the user's other sessions end, and a new one begins, as `accounts.enter`.

    Raises Refused: unauthorised, wrong_code.
    """
    now_ms = core.now_ms()
    with core.store.transaction():
        user = invited(core, token)
        step = access.totp_step(user.secret, code, now_ms, used=0)
        if step is None:
            raise Refused("wrong_code")
        user_id = accounts.use_invitation(core, token, "set")
        core.store.run(
            "set_password",
            user_id=user_id,
            password_sealed=core.sealer.seal(f"password:{user_id}", password_hash.encode()),
            totp_sealed=core.sealer.seal(f"second factor:{user_id}", user.secret.encode()),
            totp_step=step,
        )
        for query in ("close_sessions_of_user", "use_invitations_of_user"):
            core.store.run(query, user_id=user_id, now_ms=now_ms)
        login_attempts.forgive_login(core, user.login)
        if place is not None:
            login_attempts.know(core, place)
        event_log.note(core, "password_set", f"user:{user_id}")
        session = accounts.open_session(core, user_id, where)
    return session, accounts.session_of(core, session)


def try_sign_in(core: Core, login: str, place: Place) -> Try:
    """Count a try before it is checked: a kill wins no free one. The same work for a login that is nobody's.

    Raises Refused: sign_in_locked.
    """
    with core.store.transaction():
        login_attempts.refuse_locked(core, place, login)
        locked_until_ms = login_attempts.count(core, place, login)
        user = core.store.one("user_of_login", login=login)
        user = user if user and user["disabled_at_ms"] is None and user["password_sealed"] else None
        if locked_until_ms and user:
            facts = {"user_id": user["user_id"], "until_ms": locked_until_ms, "place": place.kind}
            event_log.note(core, "sign_in_locked", event_log.CENTRE, **facts)
    if user is None:
        nobodys = base64.b32encode(secrets.token_bytes(16)).decode()
        return Try(login, place, None, _opened(core, "nobody", None), None, nobodys, 0)
    user_id = user["user_id"]
    return Try(
        login,
        place,
        user_id,
        _opened(core, f"password:{user_id}", user["password_sealed"]),
        user["totp_sealed"],
        _opened(core, f"second factor:{user_id}", user["totp_sealed"]),
        user["totp_step"],
    )


def sign_in(core: Core, tried: Try, code: str, *, is_right: bool, where: str = "") -> tuple[str, Caller]:
    """After the password was checked, the code, which is good once; then as `accounts.enter`.

    Raises Refused("wrong_sign_in").
    """
    session = None
    with core.store.transaction():
        if _has_shown(core, tried, code, is_right) and tried.user_id is not None:
            login_attempts.know(core, tried.place)
            session = accounts.open_session(core, tried.user_id, where)
    if session is None:
        raise Refused("wrong_sign_in")
    return session, accounts.session_of(core, session)


def try_again(core: Core, caller: Caller, login: str) -> Try:
    """Count for a user who is signed in, as `try_sign_in`: no stranger's attempts are among those."""
    return try_sign_in(core, login, login_attempts.of_session(core, caller.session))


def login_of(core: Core, caller: Caller) -> str:
    row = core.store.one("user", user_id=caller.user_id)
    assert row is not None
    return str(row["login"])


def change_password(
    core: Core, caller: Caller, tried: Try, code: str, *, is_right: bool, password_hash: str
) -> None:
    """Change the own password, after an attempt as for signing in: all other sessions of the user end.

    Raises Refused("wrong_sign_in").
    """
    with core.store.transaction():
        shown = tried.user_id == caller.user_id and _has_shown(core, tried, code, is_right)
        if shown:
            sealed = core.sealer.seal(f"password:{caller.user_id}", password_hash.encode())
            core.store.run("change_password", user_id=caller.user_id, password_sealed=sealed)
            who = {"user_id": caller.user_id, "now_ms": core.now_ms()}
            core.store.run("close_other_sessions", token_sha256=caller.session, **who)
            core.store.run("use_invitations_of_user", **who)
            event_log.note(core, "password_changed", caller.actor)
    if not shown:
        raise Refused("wrong_sign_in")


def _has_shown(core: Core, tried: Try, code: str, is_right: bool) -> bool:
    """Whether password and code are right; the code is used up then. Within a transaction.

    What was wrong is noted, of whom where there is such a user, else by number (work/tallies.py); what was
    typed is not.
    """
    step = access.totp_step(tried.secret, code, core.now_ms(), tried.used_step)
    used = core.store.run(
        "use_totp_step",
        user_id=tried.user_id if is_right and step is not None else None,
        step=step or 0,
        totp_sealed=tried.totp_sealed,
    )
    if used:
        login_attempts.forgive(core, tried.place, tried.login)
    elif tried.user_id is not None:
        facts = {"user_id": tried.user_id, "place": tried.place.kind}
        event_log.note(core, "sign_in_failed", event_log.CENTRE, **facts)
    else:
        attempt_counters.add(core, "sign_in_failed", "no such user")
    return bool(used)


def vouched(core: Core, login: str, where: str = "") -> tuple[str, Caller]:
    """Sign in a user for whom the provider vouches, if known here; then as `accounts.enter`.

    Raises Refused("wrong_sign_in").
    """
    session = None
    with core.store.transaction():
        user = core.store.one("user_of_login", login=login)
        if user is None:
            attempt_counters.add(core, "provider_refused", "nobody has that login here")
        elif user["disabled_at_ms"] is not None:
            attempt_counters.add(core, "provider_refused", f"user {user['user_id']} is disabled")
        else:
            session = accounts.open_session(core, user["user_id"], where, by="provider")
    if session is None:
        raise Refused("wrong_sign_in")
    return session, accounts.session_of(core, session)


def not_vouched(core: Core, why: str, count: int) -> None:
    """So many came from the provider, or said so, and were not believed."""
    with core.store.transaction():
        event_log.note(core, "provider_refused", event_log.CENTRE, why=why, count=count)


def _opened(core: Core, name: str, sealed: bytes | None) -> str:
    """Of nobody too something is opened: so long does it take."""
    return core.sealer.unseal(
        name, sealed or core.sealer.seal(name, password_hashing.NOBODYS.encode())
    ).decode()
