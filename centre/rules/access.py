"""Who may do what, and how a user is identified. Pure.

Roles: an operator takes alarms, and sees a case only while an incident of it is open; a case manager sees the
cases of the own police zone; the Institute sees figures, no names; an administrator sees that all works, and
what revoked buttons do. No role includes another.
"""

import hmac
import re
from dataclasses import dataclass
from typing import Protocol

import pyotp

from centre.rules import text
from centre.rules.refusals import Refused

OPERATOR, CASE_MANAGER, INSTITUTE, ADMINISTRATOR = "operator", "case_manager", "institute", "administrator"
ROLES = (OPERATOR, CASE_MANAGER, INSTITUTE, ADMINISTRATOR)
LANGUAGES = ("fr", "nl", "de", "en")

ENTER_MS = 10 * 60_000  # how long an address that lets somebody in is good
SET_MS = 24 * 3_600_000  # and one where a user sets a password
SESSION_MS = 12 * 3_600_000  # a long shift
IDLE_MS = 2 * 3_600_000


class Author(Protocol):
    """Who acts on an alarm: a user, or another system under its own name."""

    @property
    def actor(self) -> str:
        """Return how the event log names them."""

    @property
    def name(self) -> str:
        """Return how colleagues know them."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is signed in, as the session says."""

    user_id: str
    name: str
    role: str
    zone: str | None
    language: str
    session: str  # SHA-256 (hex) of its token
    is_away: bool = False
    ends_at_ms: int = 0  # the session, however much is done in it

    @property
    def actor(self) -> str:
        """Return how the event log names the user."""
        return f"user:{self.user_id}"


def after_a_jump(opened_at_ms: int, seen_at_ms: int, now_ms: int) -> tuple[int, int]:
    """When a session began and was last seen, by a clock that may have been set back since.

    What had passed when it was last seen has passed: set back by a year, it does not live a year longer. Set
    forward by an hour, nobody is thrown out (IDLE_MS).
    """
    back_ms = max(0, seen_at_ms - now_ms)
    return opened_at_ms - back_ms, seen_at_ms - back_ms


def is_over(opened_at_ms: int, seen_at_ms: int, now_ms: int) -> bool:
    """Whether a session has ended by itself."""
    return now_ms - opened_at_ms >= SESSION_MS or now_ms - seen_at_ms >= IDLE_MS


def home_of(role: str) -> str:
    """Return the page that a role begins with."""
    return {
        OPERATOR: "/console",
        CASE_MANAGER: "/console/cases",
        INSTITUTE: "/console/figures",
        ADMINISTRATOR: "/console/administration",
    }[role]


LOGIN = re.compile(r"[a-z0-9][a-z0-9._-]{1,31}", re.ASCII)
NAME_CHARS_MAX = 160


def check_user(login: str, name: str, role: str, zone: str | None, language: str) -> None:
    """Refuse what cannot be a user. Raises Refused: out_of_range, bad_text; with the field to blame."""
    if not LOGIN.fullmatch(login):
        raise Refused("out_of_range", "a login is 2 to 32 of a-z 0-9 . _ -", field="login")
    if not text.check(name, "name", NAME_CHARS_MAX):
        raise Refused("out_of_range", "name must not be empty", field="name")
    if role not in ROLES:
        raise Refused("out_of_range", f"role must be one of {', '.join(ROLES)}", field="role")
    if language not in LANGUAGES:
        raise Refused("out_of_range", f"language must be one of {', '.join(LANGUAGES)}", field="language")
    if (role == CASE_MANAGER) != bool(zone):
        raise Refused("out_of_range", "a case manager has a police zone, the others have none", field="zone")
    if zone:
        text.zone(zone)


FREE_TRIES = 4
LOCK_MS, LOCK_MS_MAX = 60_000, 3_600_000


def lock_ms(tries: int) -> int:
    """How long nothing is checked after so many wrong tries in a row: 1 min from the 5th on, doubling to 1 h.

    At one try an hour, four digits last for half a year on average.
    """
    if tries <= FREE_TRIES:
        return 0
    return min(LOCK_MS << min(tries - FREE_TRIES - 1, 16), LOCK_MS_MAX)


PASSWORD_CHARS_MIN, PASSWORD_CHARS_MAX = 12, 256
# What is tried first, of those that are long enough.
_COMMON = (
    *("1234567890", "password", "passwort", "wachtwoord", "motdepasse", "azerty", "qwerty", "qwertz"),
    *("bienvenue", "willkommen", "welcome", "welkom", "administrator", "iloveyou", "geheim", "emergency"),
)


def password_mistake(password: str, login: str, name: str) -> str | None:
    """Why it cannot be taken, as a key of the entrance's words: short, long, named, common; or None.

    Length counts, not which kinds of characters there are (NIST SP 800-63B, 3.1.1.2).
    """
    if len(password) < PASSWORD_CHARS_MIN:
        return "password_short"
    if len(password) > PASSWORD_CHARS_MAX:
        return "password_long"
    plain = "".join(filter(str.isalnum, password.casefold()))
    words = [login.casefold(), *(word for word in name.casefold().split() if len(word) > 3)]
    if any(_little_else(plain, "".join(filter(str.isalnum, word))) for word in words):
        return "password_named"
    if len(set(password)) < 5 or any(_little_else(plain, word) for word in _COMMON):
        return "password_common"
    return None


def _little_else(password: str, word: str) -> bool:
    """Whether `word` is all there is, again and again, or with a few characters more."""
    return bool(word) and len(password.replace(word, "")) <= 4 and word in password


TOTP_S = 30  # RFC 6238


def totp_step(secret: str, code: str, now_ms: int, used: int) -> int | None:
    """Return the step whose code it is, or a neighbour's; None where none is, or not after `used`."""
    totp, now = pyotp.TOTP(secret), now_ms // (TOTP_S * 1000)
    steps = [step for step in (now - 1, now, now + 1) if hmac.compare_digest(_six(totp, step), code)]
    return next((step for step in steps if step > used), None)


def _six(totp: pyotp.TOTP, step: int) -> str:
    return totp.generate_otp(max(0, step))
