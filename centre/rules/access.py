"""Who may do what. Pure.

Roles: an operator takes alarms, and sees a case only while an incident of it is open; a case manager sees the
cases of her own police zone; the Institute sees figures, no names; an administrator sees that all works, and
what revoked buttons do. No role includes another.
"""

from dataclasses import dataclass

OPERATOR, CASE_MANAGER, INSTITUTE, ADMINISTRATOR = "operator", "case_manager", "institute", "administrator"
ROLES = (OPERATOR, CASE_MANAGER, INSTITUTE, ADMINISTRATOR)
LANGUAGES = ("fr", "nl", "de", "en")

ENTER_MS = 10 * 60_000  # how long an address that lets somebody in is good
SESSION_MS = 12 * 3_600_000  # a long shift
IDLE_MS = 2 * 3_600_000


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is signed in, as her session says."""

    user_id: str
    name: str
    role: str
    zone: str | None
    language: str
    session: str  # SHA-256 (hex) of its token
    is_away: bool = False

    @property
    def actor(self) -> str:
        """As the event log names her."""
        return f"user:{self.user_id}"


def is_over(opened_at_ms: int, seen_at_ms: int, now_ms: int) -> bool:
    """Whether a session has ended by itself."""
    return now_ms - opened_at_ms >= SESSION_MS or now_ms - seen_at_ms >= IDLE_MS


def home_of(role: str) -> str:
    """The page that a role begins with."""
    return {
        OPERATOR: "/console",
        CASE_MANAGER: "/console/cases",
        INSTITUTE: "/console/figures",
        ADMINISTRATOR: "/console/administration",
    }[role]
