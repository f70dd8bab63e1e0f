"""Tries to sign in, counted by place and login; and the places that are known."""

import secrets

from centre.rules import login_attempts
from centre.rules.login_attempts import BROWSER, NETWORK, STRANGER, Place
from centre.rules.refusals import Refused
from centre.work.core import Core

COOKIE_CHARS_MAX = 64
FORGET_AT_MOST = 2000  # at once, every 20 s: more than come meanwhile (rules/tries.py)


def place_of(core: Core, browser: str, address: str) -> Place:
    """Where a try comes from: `browser` is the cookie that it brings, `address` its peer's."""
    network = core.sealer.word(f"network:{login_attempts.network_of(address)}")
    if browser.isascii() and 0 < len(browser) <= COOKIE_CHARS_MAX:
        word = _browser(core, browser)
        if _is_known(core, word):
            return Place(BROWSER, browser, word, network)
    # One that we do not know is not kept: whoever planted it would be known together with the user.
    browser = secrets.token_urlsafe(32)
    kind = NETWORK if _is_known(core, network) else STRANGER
    return Place(kind, browser, _browser(core, browser), network)


def of_session(core: Core, session: str) -> Place:
    """Make the place of a user who is signed in, and proves the identity once more."""
    return Place(BROWSER, "", core.sealer.word(f"session:{session}"), login_attempts.ANY)


def _browser(core: Core, browser: str) -> bytes:
    return core.sealer.word(f"browser:{browser}")


def _is_known(core: Core, place: bytes) -> bool:
    since_ms = core.now_ms() - login_attempts.KNOWN_MS
    return core.store.one("known_place", place=place, since_ms=since_ms) is not None


def know(core: Core, place: Place) -> None:
    """Somebody has just signed in there. Within a transaction."""
    for word in (place.browser_word, place.network_word):
        core.store.run("know_place", place=word, now_ms=core.now_ms())


def refuse_locked(core: Core, place: Place, login: str) -> None:
    """Where nothing is checked now. Writes nothing. Raises Refused("sign_in_locked")."""
    waits_ms = [
        login_attempts.wait_ms(row["locked_until_ms"], core.now_ms())
        for count in place.counts(_login(core, login))
        if (row := core.store.one("sign_in_tries", login=count.login, place=count.place)) is not None
    ]
    if any(waits_ms):
        raise Refused("sign_in_locked", retry_after_s=-(-max(waits_ms) // 1000))


def count(core: Core, place: Place, login: str) -> int:
    """One try more, within a transaction; until when (ms) this has locked, or 0."""
    now_ms, locked = core.now_ms(), 0
    for counted in place.counts(_login(core, login)):
        where = {"login": counted.login, "place": counted.place}
        row = core.store.one("sign_in_tries", **where)
        so_many = 1 + (row["tries"] if row else 0)
        lock_ms = counted.lock_ms(so_many)
        until_ms = now_ms + lock_ms
        core.store.run("set_sign_in_tries", tries=so_many, now_ms=now_ms, locked_until_ms=until_ms, **where)
        locked = max(locked, until_ms if lock_ms else 0)
    return locked


def forgive(core: Core, place: Place, login: str) -> None:
    """Forgive what was wrong there before, after a right one. Within a transaction."""
    for counted in place.counts(_login(core, login)):
        core.store.run("forgive_tries", login=counted.login, place=counted.place)


def forgive_login(core: Core, login: str) -> None:
    """Everywhere: somebody was invited anew. Within a transaction."""
    core.store.run("forgive_login", login=_login(core, login))


def forget(core: Core) -> None:
    """Forget what is old, or too much. The tables are bounded by it (rules/login_attempts.py)."""
    now_ms = core.now_ms()
    with core.store.transaction():
        before_ms, kept = now_ms - login_attempts.FORGOTTEN_MS, login_attempts.KEPT_MAX
        core.store.run("forget_tries", before_ms=before_ms, kept=kept, at_most=FORGET_AT_MOST)
        core.store.run(
            "forget_places", before_ms=now_ms - login_attempts.KNOWN_MS, kept=login_attempts.KNOWN_MAX
        )


def _login(core: Core, login: str) -> bytes:
    return core.sealer.word(f"login:{login}")
