"""Alarms found again: by person, button, case, time, zone, what they were; a page at a time."""

import pytest

from centre.rules import access
from centre.rules.cases import CaseFile, Person, Stalker
from centre.rules.incidents import CloseReason
from centre.work import alarm_search, board, cases
from centre.work.alarm_search import Asked
from tests.unit.centre.parts import Hand, granted, signed_in
from tests.unit.centre.work.parts import HAND, Called
from wire import codes, receipts


class Past(Called):
    """An alarm without a case, then one of a case, closed; a silent test; one of a revoked button."""

    def __init__(self) -> None:
        super().__init__()
        manager = signed_in(self.core, access.CASE_MANAGER, zone="5340")
        file = CaseFile("BX-1", "high", Person("Thị Đặng", phone="0470 12 34 56"), Stalker("Max"), "Two.")
        self.case_id = cases.open_case(self.core, manager, file)
        granted(self.core, manager, self.case_id, HAND)
        self.clock.ms += 60_000
        self.closed = self.press(2)
        board.advance(self.core, self.operator, self.closed, receipts.CLOSED, reason=CloseReason.MIS_PRESS)
        self.press(9, codes.TEST)
        held = self.press(3)
        self.core.store.db.execute("UPDATE incidents SET held = 1 WHERE incident_id = ?", (held,))

    def found(self, **asked: object) -> list[str]:
        values = {"since_ms": 0, "until_ms": 2**50} | asked
        return [one.incident_id for one in alarm_search.search(self.core, Asked(**values)).alarms]  # type: ignore[arg-type]


@pytest.fixture
def past() -> Past:
    return Past()


def test_without_words_all_of_the_time_are_found(past: Past) -> None:
    """The newest first; no silent test, none that is an administrator's."""
    assert past.found() == [past.closed, past.incident]
    assert past.found(since_ms=past.core.now_ms()) == [past.closed]
    assert past.found(until_ms=past.core.now_ms()) == [past.incident]
    assert past.found(zone="5340") == [past.closed]
    assert past.found(reason=CloseReason.MIS_PRESS) == [past.closed]
    assert past.found(reason=CloseReason.REAL) == []


def test_an_alarm_is_found_by_person_telephone_case_button_and_its_own_id(past: Past) -> None:
    """However they are written; and not by what is nowhere."""
    for find in ("dang", "ĐẶNG thi", "0470/12.34.56", "+32 470 12 34 56", "bx 1", past.case_id.lower()):
        assert past.found(find=find) == [past.closed], find
    grouped = " ".join(HAND.device_id[at : at + 4] for at in range(0, 16, 4))
    assert past.found(find=grouped) == [past.closed, past.incident]
    assert past.found(find=past.incident) == [past.incident]
    for find in ("nobody", "dang nobody", Hand(2).device_id, "%", "?!"):
        assert past.found(find=find) == [], find


def test_more_than_a_page_goes_on(past: Past) -> None:
    """Every alarm once, however many there are."""
    first = alarm_search.search(past.core, Asked(0, 2**50))
    assert first.next == ""
    after = first.alarms[0].incident_id
    assert [one.incident_id for one in alarm_search.search(past.core, Asked(0, 2**50), after).alarms] == [
        past.incident
    ]


def test_who_has_looked_and_what_was_shown_is_noted(past: Past) -> None:
    """Without the words: they may be a name."""
    asked = Asked(0, 2**50, find="dang")
    alarm_search.noted(past.core, past.operator, asked, alarm_search.search(past.core, asked))
    row = past.core.store.db.execute("SELECT * FROM log ORDER BY seq DESC LIMIT 1").fetchone()
    assert (row["kind"], row["actor"]) == ("alarms_listed", past.operator.actor)
