"""Who is at a desk, by a clock that the test moves."""

from centre.rules.access import OPERATOR, Caller
from centre.rules.desks import GONE_MS, NOBODY_MS, Attendance, Roster


def caller(name: str, *, is_away: bool = False) -> Caller:
    return Caller(name, name, OPERATOR, None, "en", f"session of {name}", is_away)


def names(roster: Roster, now_ms: int) -> list[str]:
    return [desk.name for desk in roster.at(now_ms)]


def test_a_desk_is_there_while_its_page_says_so() -> None:
    """A stream alone is none for long: the machine may stand still, or be unplugged."""
    roster = Roster(0)
    for name in ("Bo", "Ann"):
        roster.come(caller(name), 0)
    roster.hear(caller("Ann"), 60_000, sounds=True)
    assert names(roster, GONE_MS - 1) == ["Ann", "Bo"]
    assert names(roster, GONE_MS) == ["Ann"]
    roster.come(caller("Bo"), GONE_MS)
    assert names(roster, GONE_MS) == ["Ann"], "what goes on is no word of the page"
    roster.leave("session of Ann", GONE_MS)
    assert names(roster, GONE_MS) == []


def test_a_page_without_a_stream_is_no_desk() -> None:
    """A case manager's page asks the same, and sees no alarm."""
    roster = Roster(0)
    roster.hear(caller("Manager"), 0, sounds=True)
    assert names(roster, 0) == []


def test_a_desk_that_cannot_be_heard_says_so() -> None:
    """Until one of its pages has said that it sounds, and again when none has for long."""
    roster = Roster(0)
    roster.come(caller("Ann"), 0)
    (desk,) = roster.at(0)
    assert desk.is_silent(0)
    roster.hear(caller("Ann"), 1_000, sounds=True)
    roster.hear(caller("Ann"), 2_000, sounds=False)  # another of its tabs
    assert not desk.is_silent(2_000)
    assert desk.is_silent(1_000 + GONE_MS)


def test_nobody_and_all_away_are_told_apart() -> None:
    """A page that is loaded anew is no news; one who is there is enough."""
    roster = Roster(0)
    assert roster.attendance(NOBODY_MS - 1) is Attendance.ATTENDED
    assert roster.attendance(NOBODY_MS) is Attendance.NOBODY
    now_ms = NOBODY_MS + 1
    roster.come(caller("Ann", is_away=True), now_ms)
    assert roster.attendance(now_ms) is Attendance.ALL_AWAY
    roster.come(caller("Bo"), now_ms)
    assert roster.attendance(now_ms) is Attendance.ATTENDED
    for name in ("Ann", "Bo"):
        roster.leave(f"session of {name}", now_ms)
    assert roster.attendance(now_ms + NOBODY_MS - 1) is Attendance.ATTENDED
    assert roster.attendance(now_ms + NOBODY_MS) is Attendance.NOBODY
