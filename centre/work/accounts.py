"""Who works here, and who is signed in."""

import hashlib
import secrets
from dataclasses import dataclass

from centre.rules import access
from centre.rules.access import Caller
from centre.rules.refusals import Refused
from centre.store import Row
from centre.work import event_log
from centre.work.buttons import BASE32
from centre.work.core import Core, typed

SEEN_EVERY_MS = 60_000  # how exactly a session knows when it was last used


@dataclass(frozen=True, slots=True)
class ListedUser:
    login: str
    name: str
    role: str
    zone: str | None
    language: str
    disabled_at_ms: int | None
    seen_at_ms: int | None


def add_user(core: Core, login: str, name: str, role: str, zone: str | None, language: str) -> str | None:
    """Add a user; return the user_id, or None where the login is taken."""
    assert role in access.ROLES
    user_id = "".join(secrets.choice(BASE32) for _ in range(8))
    values = {"login": login, "name": name, "role": role, "zone": zone, "language": language}
    with core.store.transaction():
        if not core.store.run("add_user", user_id=user_id, now_ms=core.now_ms(), **values):
            return None
        event_log.note(core, "user_added", event_log.COMMAND, user_id=user_id, role=role, zone=zone)
    return user_id


def users(core: Core) -> list[ListedUser]:
    """Return all, by login."""
    return [typed(ListedUser, row) for row in core.store.all("users")]


def invite(core: Core, login: str, purpose: str, good_for_ms: int) -> str | None:
    """Make a token for an address that is good once; None where nobody has that login."""
    user = _in_use(core, login)
    if user is None:
        return None
    token = secrets.token_urlsafe(32)
    with core.store.transaction():
        core.store.run(
            "add_invitation",
            token_sha256=sha256(token),
            user_id=user["user_id"],
            purpose=purpose,
            expires_at_ms=core.now_ms() + good_for_ms,
        )
        event_log.note(core, "user_invited", event_log.COMMAND, user_id=user["user_id"], purpose=purpose)
    return token


def _in_use(core: Core, login: str) -> Row | None:
    user = core.store.one("user_of_login", login=login)
    return user if user and user["disabled_at_ms"] is None else None


def disable(core: Core, login: str) -> bool:
    """Keep a user from signing in, and end the sessions, streams too. False: nobody (any more)."""
    user = _in_use(core, login)
    if user is None:
        return False
    who = {"user_id": user["user_id"], "now_ms": core.now_ms()}
    with core.store.transaction():
        for query in ("disable_user", "close_sessions_of_user", "use_invitations_of_user"):
            core.store.run(query, **who)
        event_log.note(core, "user_disabled", event_log.COMMAND, user_id=user["user_id"])
    return True


def enable(core: Core, login: str) -> bool:
    """Let a disabled user sign in again, with the same password; nothing that had ended begins again.

    False: no such disabled user.
    """
    user = core.store.one("user_of_login", login=login)
    if user is None or user["disabled_at_ms"] is None:
        return False
    with core.store.transaction():
        core.store.run("enable_user", user_id=user["user_id"])
        event_log.note(core, "user_enabled", event_log.COMMAND, user_id=user["user_id"])
    return True


def change_user(core: Core, login: str, **changes: str | None) -> bool:
    """Change name, role, zone, language, as given; it counts from the user's next click. False: nobody."""
    user = _in_use(core, login)
    if user is None:
        return False
    values = {name: user[name] for name in ("name", "role", "zone", "language")} | changes
    if values["role"] != access.CASE_MANAGER:
        values["zone"] = None
    with core.store.transaction():
        core.store.run("set_user", user_id=user["user_id"], **values)
        change = {"user_id": user["user_id"], "role": values["role"], "zone": values["zone"]}
        event_log.note(core, "user_changed", event_log.COMMAND, **change)
    return True


def enter(core: Core, token: str) -> tuple[str, Caller]:
    """Use an invitation up: a new session's token, and whose it is. Raises Refused("unauthorised")."""
    with core.store.transaction():
        user_id = use_invitation(core, token, "enter")
        session = open_session(core, user_id)
    return session, session_of(core, session)


def invitation(core: Core, token: str, purpose: str) -> Row:
    """Good for now. Raises Refused("unauthorised")."""
    row = core.store.one("invitation", token_sha256=sha256(token), purpose=purpose)
    if row is None or row["used_at_ms"] is not None or row["expires_at_ms"] <= core.now_ms():
        raise Refused("unauthorised")
    return row


def use_invitation(core: Core, token: str, purpose: str) -> str:
    """Whose it was. Within a transaction. Raises Refused("unauthorised")."""
    row = invitation(core, token, purpose)
    core.store.run("use_invitation", token_sha256=row["token_sha256"], now_ms=core.now_ms())
    return str(row["user_id"])


def open_session(core: Core, user_id: str, **how: str) -> str:
    """Its token, of which only the hash is kept. Within a transaction."""
    token = secrets.token_urlsafe(32)
    core.store.run("add_session", token_sha256=sha256(token), user_id=user_id, now_ms=core.now_ms())
    event_log.note(core, "signed_in", f"user:{user_id}", **how)
    return token


def session_of(core: Core, token: str) -> Caller:
    """Who is behind a cookie. Raises Refused("unauthorised")."""
    return session(core, sha256(token))


def session(core: Core, token_sha256: str) -> Caller:
    """Return whose session it is, and note that the user was seen. Raises Refused("unauthorised")."""
    caller, is_news = known_session(core, token_sha256)
    if is_news:
        with core.store.transaction():
            row, now_ms = _session(core, token_sha256), core.now_ms()
            opened_at_ms, _ = access.after_a_jump(row["opened_at_ms"], row["seen_at_ms"], now_ms)
            times = {"opened_at_ms": opened_at_ms, "now_ms": now_ms}
            core.store.run("see_session", token_sha256=token_sha256, **times)
    return caller


def _session(core: Core, token_sha256: str) -> Row:
    row = core.store.one("session", token_sha256=token_sha256)
    if row is None:
        raise Refused("unauthorised")
    return row


def known_session(core: Core, token_sha256: str) -> tuple[Caller, bool]:
    """Return whose session it is, and whether it is time to note that the user was seen. Writes nothing.

    Raises Refused("unauthorised").
    """
    row, now_ms = _session(core, token_sha256), core.now_ms()
    if access.is_over(*access.after_a_jump(row["opened_at_ms"], row["seen_at_ms"], now_ms), now_ms):
        raise Refused("unauthorised")
    is_news = abs(now_ms - row["seen_at_ms"]) >= SEEN_EVERY_MS
    return _caller(row), is_news


def _caller(row: Row) -> Caller:
    return Caller(
        row["user_id"],
        row["name"],
        row["role"],
        row["zone"],
        row["language"],
        row["token_sha256"],
        bool(row["is_away"]),
        row["opened_at_ms"] + access.SESSION_MS,
    )


def close_session(core: Core, caller: Caller) -> None:
    with core.store.transaction():
        core.store.run("close_session", token_sha256=caller.session, now_ms=core.now_ms())
        event_log.note(core, "signed_out", caller.actor)


def speak(core: Core, caller: Caller, language: str) -> None:
    """Have the user's pages in `language` from now on."""
    assert language in access.LANGUAGES
    with core.store.transaction():
        core.store.run("set_language", user_id=caller.user_id, language=language)


def be_away(core: Core, caller: Caller, is_away: bool) -> None:
    """Note that an operator leaves the desk, or is back; others shall take what comes."""
    with core.store.transaction():
        core.store.run("set_away", token_sha256=caller.session, is_away=is_away)
        event_log.note(core, "went_away" if is_away else "came_back", caller.actor)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
