"""Which presses are an exercise. Pure.

A true alarm is never taken for an exercise. So only the centre says what one is, when it opens the incident,
once and for ever; nothing that a button or a phone sends has a word in it. It is one only where all of this
is so:

    the button serves no case, and did not when it was pressed: no protected person can have held it
    the button is not revoked: whoever has it then, an administrator looks first
    it is a check button, which is handed out to nobody, or
    an administrator has put it in exercise, and it was pressed within that time

In doubt (a phone's clock that is behind, a press that came late) it is a true alarm.
"""

from dataclasses import dataclass

MINUTES_MAX = 480  # a shift


@dataclass(frozen=True, slots=True)
class Exercise:
    """How a button stands: the zone whose check button it is, and when it was in exercise, for which zone."""

    check_zone: str | None = None
    zone: str | None = None
    begins_at_ms: int = 0
    ends_at_ms: int = 0


def zone_of(
    of: Exercise, *, serves_case: bool, is_revoked: bool, pressed_at_ms: int, now_ms: int
) -> str | None:
    """Return the zone that exercises with a press that came now, or None: it is a true alarm."""
    if serves_case or is_revoked:
        return None
    if of.check_zone is not None:
        return of.check_zone
    if of.zone is not None and of.begins_at_ms <= pressed_at_ms and now_ms < of.ends_at_ms:
        return of.zone
    return None


def is_running(of: Exercise, now_ms: int) -> bool:
    """Whether a button is for exercises now."""
    return of.check_zone is not None or (of.zone is not None and of.begins_at_ms <= now_ms < of.ends_at_ms)
