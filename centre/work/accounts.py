"""Who works here, and who is signed in."""

import hashlib
import secrets
from dataclasses import dataclass

from centre.platform.sealing import Broken
from centre.rules import access
from centre.rules.access import Caller
from centre.rules.refusals import Refused
from centre.store import Row
from centre.work import event_log
from centre.work.buttons import BASE32
from centre.work.core import Core, typed

SESSION_ID_CHARS = 16
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


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session that has not ended. `where`: address and browser, "" where they are not known."""

    session_id: str  # the first characters of its hash: a name, by which nobody comes in
    login: str
    name: str
    role: str
    opened_at_ms: int
    seen_at_ms: int
    where: str


@dataclass(frozen=True, slots=True)
class Invitation:
    """An address that somebody can still come in by."""

    invitation_id: str
    login: str
    name: str
    purpose: str
    expires_at_ms: int


def add_user(
    core: Core,
    login: str,
    name: str,
    role: str,
    zone: str | None,
    language: str,
    *,
    actor: str = event_log.COMMAND,
) -> str | None:
    """Add a user; return the user_id, or None where the login is taken."""
    assert role in access.ROLES
    user_id = "".join(secrets.choice(BASE32) for _ in range(8))
    values = {"login": login, "name": name, "role": role, "zone": zone, "language": language}
    with core.store.transaction():
        if not core.store.run("add_user", user_id=user_id, now_ms=core.now_ms(), **values):
            return None
        event_log.note(core, "user_added", actor, user_id=user_id, role=role, zone=zone)
    return user_id


def users(core: Core) -> list[ListedUser]:
    """Return all, by login."""
    return [typed(ListedUser, row) for row in core.store.all("users")]


def invite(
    core: Core, login: str, purpose: str, good_for_ms: int, *, actor: str = event_log.COMMAND
) -> str | None:
    """Make a token for an address that is good once; None where nobody has that login."""
    user = _in_use(core, login)
    if user is None:
        return None
    with core.store.transaction():
        return _add_invitation(core, user["user_id"], purpose, good_for_ms, actor)


def _add_invitation(core: Core, user_id: str, purpose: str, good_for_ms: int, actor: str) -> str:
    """Return its token. Within a transaction."""
    token = secrets.token_urlsafe(32)
    core.store.run(
        "add_invitation",
        token_sha256=sha256(token),
        user_id=user_id,
        purpose=purpose,
        expires_at_ms=core.now_ms() + good_for_ms,
    )
    event_log.note(core, "user_invited", actor, user_id=user_id, purpose=purpose)
    return token


def id_of(core: Core, login: str) -> str | None:
    """Return whose login it is, or None."""
    user = core.store.one("user_of_login", login=login)
    return None if user is None else str(user["user_id"])


def _in_use(core: Core, login: str) -> Row | None:
    user = core.store.one("user_of_login", login=login)
    return user if user and user["disabled_at_ms"] is None else None


def invitations(core: Core) -> list[Invitation]:
    """Return those that are still good, the first to end first."""
    return [typed(Invitation, row) for row in core.store.all("open_invitations", now_ms=core.now_ms())]


def revoke_invitation(core: Core, invitation_id: str, actor: str) -> None:
    """Make an invitation good for nothing, if it is not yet."""
    with core.store.transaction():
        if core.store.run("revoke_invitation", invitation_id=invitation_id, now_ms=core.now_ms()):
            event_log.note(core, "invitation_revoked", actor, invitation_id=invitation_id)


def reset(core: Core, login: str, good_for_ms: int, actor: str) -> str | None:
    """Void password and second factor at once, end the sessions, and invite anew; None: nobody.

    For who has lost the phone with the second factor: its finder must not be in.
    """
    user = _in_use(core, login)
    if user is None:
        return None
    with core.store.transaction():
        core.store.run("forget_credentials", user_id=user["user_id"])
        _end_all(core, user["user_id"])
        event_log.note(core, "user_reset", actor, user_id=user["user_id"])
        return _add_invitation(core, user["user_id"], "set", good_for_ms, actor)


def _end_all(core: Core, user_id: str) -> int:
    """End the sessions of a user, streams too, and void the invitations. Within a transaction."""
    ended = core.store.run("close_sessions_of_user", user_id=user_id, now_ms=core.now_ms())
    core.store.run("use_invitations_of_user", user_id=user_id, now_ms=core.now_ms())
    return ended


def open_sessions(core: Core) -> list[OpenSession]:
    """Return all that have not ended, by login."""
    now_ms = core.now_ms()
    rows = [
        row
        for row in core.store.all("open_sessions")
        if not access.is_over(*access.after_a_jump(row["opened_at_ms"], row["seen_at_ms"], now_ms), now_ms)
    ]
    return [
        OpenSession(
            *(row["token_sha256"][:SESSION_ID_CHARS], row["login"], row["name"], row["role"]),
            *(row["opened_at_ms"], row["seen_at_ms"], _where(core, row)),
        )
        for row in rows
    ]


def _where(core: Core, row: Row) -> str:
    try:
        sealed = row["where_sealed"]
        return core.sealer.unseal(f"session:{row['token_sha256']}", sealed).decode() if sealed else ""
    except Broken:
        return ""


def end_session(core: Core, session_id: str, actor: str) -> None:
    """End one session, if it has not ended."""
    with core.store.transaction():
        row = core.store.one("session_of_id", session_id=session_id)
        if row is not None:
            core.store.run("close_session", token_sha256=row["token_sha256"], now_ms=core.now_ms())
            event_log.note(core, "sessions_ended", actor, user_id=row["user_id"], count=1)


def end_sessions(core: Core, login: str, actor: str) -> None:
    """End all sessions of a user."""
    user = core.store.one("user_of_login", login=login)
    if user is None:
        return
    with core.store.transaction():
        count = core.store.run("close_sessions_of_user", user_id=user["user_id"], now_ms=core.now_ms())
        if count:
            event_log.note(core, "sessions_ended", actor, user_id=user["user_id"], count=count)


def disable(core: Core, login: str, actor: str = event_log.COMMAND) -> bool:
    """Keep a user from signing in, and end the sessions, streams too. False: nobody (any more)."""
    user = _in_use(core, login)
    if user is None:
        return False
    with core.store.transaction():
        core.store.run("disable_user", user_id=user["user_id"], now_ms=core.now_ms())
        _end_all(core, user["user_id"])
        event_log.note(core, "user_disabled", actor, user_id=user["user_id"])
    return True


def enable(core: Core, login: str, actor: str = event_log.COMMAND) -> bool:
    """Let a disabled user sign in again, with the same password; nothing that had ended begins again.

    False: no such disabled user.
    """
    user = core.store.one("user_of_login", login=login)
    if user is None or user["disabled_at_ms"] is None:
        return False
    with core.store.transaction():
        core.store.run("enable_user", user_id=user["user_id"])
        event_log.note(core, "user_enabled", actor, user_id=user["user_id"])
    return True


def change_user(core: Core, login: str, *, actor: str = event_log.COMMAND, **changes: str | None) -> bool:
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
        event_log.note(core, "user_changed", actor, **change)
    return True


def enter(core: Core, token: str, where: str = "") -> tuple[str, Caller]:
    """Use an invitation up: a new session's token, and whose it is. `where`: address and browser.

    Raises Refused("unauthorised").
    """
    with core.store.transaction():
        user_id = use_invitation(core, token, "enter")
        session = open_session(core, user_id, where)
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


def open_session(core: Core, user_id: str, where: str = "", **how: str) -> str:
    """Its token, of which only the hash is kept. Within a transaction."""
    token = secrets.token_urlsafe(32)
    name = sha256(token)
    where_sealed = core.sealer.seal(f"session:{name}", where.encode())
    values = {"user_id": user_id, "where_sealed": where_sealed}
    core.store.run("add_session", token_sha256=name, now_ms=core.now_ms(), **values)
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
