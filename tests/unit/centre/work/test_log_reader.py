"""The event log as an administrator reads it: what is asked for, page by page, and no case in it."""

from dataclasses import replace

import pytest

from centre.rules import access
from centre.rules.incidents import read
from centre.work import cases, event_log, log_reader, presses
from centre.work.log_reader import Filter
from tests.unit.centre.parts import granted, signed_in
from tests.unit.centre.work.parts import FILE, HAND, World


class Zone(World):
    """A case, a press, an administrator."""

    def __init__(self) -> None:
        super().__init__()
        self.manager = signed_in(self.core, access.CASE_MANAGER, name="Cas Example", zone="5340")
        self.administrator = signed_in(self.core, access.ADMINISTRATOR)
        self.case_id = cases.open_case(self.core, self.manager, FILE)
        granted(self.core, self.manager, self.case_id, HAND)
        self.incident = presses.take_alarm(self.core, self.bridge(), read(HAND.alarm(1))).incident_id

    def kinds(self, asked: Filter) -> list[str]:
        return [entry.kind for entry in log_reader.page(self.core, asked).entries]


def test_each_filter_finds_its_own_and_they_add_up() -> None:
    """By who, what, which incident, which case, when."""
    world = Zone()
    assert world.kinds(Filter(kind="case_opened")) == ["case_opened"]
    assert set(world.kinds(Filter(incident_id=world.incident))) == {"received"}
    assert "grant_recorded" in world.kinds(Filter(case_id=world.case_id))
    assert world.kinds(Filter(login="case-manager", kind="signed_in")) == ["signed_in"]
    assert world.kinds(Filter(login="nobody")) == []
    assert "button_imported" in world.kinds(Filter(login="command"))
    assert world.kinds(Filter(incident_id=world.incident, case_id="OTHERS22")) == []
    now_ms = int(world.clock.ms)
    assert world.kinds(Filter(from_ms=now_ms + 1)) == []
    world.clock.ms += 10_000
    cases.look(world.core, world.manager, world.case_id)
    assert world.kinds(Filter(from_ms=now_ms + 1)) == ["case_seen"]
    assert "case_seen" not in world.kinds(Filter(until_ms=now_ms + 1))


def test_what_an_entry_tells_of_somebody_is_not_shown() -> None:
    """Which case and which button, as on the other pages; nothing of what was said of them."""
    world = Zone()
    entries = log_reader.page(world.core, Filter()).entries
    shown = {entry.kind: entry for entry in reversed(entries)}
    assert shown["received"].facts == {}
    assert shown["received"].incident_id == world.incident
    assert shown["case_opened"].by == "Cas Example"
    assert shown["user_added"].facts == {"user": "administrator", "role": access.ADMINISTRATOR, "zone": None}
    for entry in entries:
        if entry.incident_id or entry.case_id or entry.device_id or entry.kind == "cases_listed":
            assert entry.facts == {}, entry.kind


def test_pages_follow_each_other_without_a_hole() -> None:
    """The newest first, each entry once, in the order of the log."""
    world = Zone()
    with world.core.store.transaction():
        for _ in range(2 * log_reader.PAGE):
            event_log.note(world.core, "went_away", world.operator.actor)
    for asked in (Filter(), Filter(kind="went_away"), Filter(login="operator")):
        seqs: list[int] = []
        before = asked.before_seq
        while True:
            page = log_reader.page(world.core, replace(asked, before_seq=before))
            seqs += [entry.seq for entry in page.entries]
            if page.next is None:
                break
            before = page.next
        assert len(seqs) >= 2 * log_reader.PAGE
        assert seqs == sorted(set(seqs), reverse=True)
        if asked == Filter():
            assert seqs == list(range(seqs[0], 0, -1))


def test_a_clock_that_was_set_back_hides_nothing() -> None:
    """The entries of a day are found by their time, whatever their order."""
    world = Zone()
    world.clock.ms += 86_400_000
    cases.look(world.core, world.manager, world.case_id)
    world.clock.ms -= 86_400_000
    cases.listing(world.core, world.manager, closed=False, find="", after="")
    later_ms = int(world.clock.ms) + 43_200_000
    assert world.kinds(Filter(from_ms=later_ms)) == ["case_seen"]
    assert "cases_listed" in world.kinds(Filter(until_ms=later_ms))


def test_reading_it_is_an_entry_that_says_what_was_asked() -> None:
    """A look without a trace would be the only one."""
    world = Zone()
    log_reader.note_reading(world.core, world.administrator, Filter(case_id=world.case_id, kind="case_seen"))
    (entry,) = log_reader.page(world.core, Filter(kind="log_read")).entries
    assert entry.by == "Administrator"
    assert entry.facts == {"asked": {"case_id": world.case_id, "kind": "case_seen"}}


@pytest.mark.parametrize(
    ("asked", "index"),
    [
        (Filter(kind="signed_in"), "log_of_kind"),
        (Filter(login="operator"), "log_of_user"),
        (Filter(incident_id="i"), "INDEX"),
        (Filter(case_id="c"), "log_of_case"),
    ],
)
def test_what_is_rare_is_found_by_an_index(asked: Filter, index: str) -> None:
    """However long the log is; what phones tell needs none, and an alarm writes none."""
    seen: list[str] = []
    world = Zone()
    world.core.store.db.set_trace_callback(seen.append)
    log_reader.page(world.core, asked)
    world.core.store.db.set_trace_callback(None)
    (query,) = [text for text in seen if text.startswith("SELECT * FROM log")]
    plan = " ".join(row["detail"] for row in world.core.store.db.execute(f"EXPLAIN QUERY PLAN {query}"))
    assert index in plan
    assert "SCAN" not in plan
