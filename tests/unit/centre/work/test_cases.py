"""What a case manager does, and who may see it; in virtual time on SQLite in memory."""

import datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from centre.console.board_html import grouped, render_sheet
from centre.rules import access, heartbeats, times
from centre.rules import cases as rules
from centre.rules.access import Caller
from centre.rules.cases import CaseFile, Person, Stalker
from centre.rules.grants import Grant, GrantState
from centre.rules.incidents import CloseReason, read
from centre.rules.refusals import Refused
from centre.work import (
    administration,
    assignments,
    board,
    buttons,
    cases,
    event_log,
    export,
    grants,
    incident_sheet,
    presses,
    reports,
    webhook,
)
from centre.work.heartbeats import take_heartbeat
from sim.realtime.people import EXAMPLE, placeholder
from tests.unit.centre.parts import Hand, signed_in
from tests.unit.centre.work.parts import HAND, World
from wire import codes, receipts

FILE = CaseFile("BX-1", "high", Person("Ann Example"), Stalker("Max Sample"), "Two officers.")
OTHER = Hand(2)
DAY_MS = 86_400_000


class Zone(World):
    """A world with a case manager, a colleague of another zone, and an administrator."""

    def __init__(self) -> None:
        super().__init__()
        self.clock.ms = datetime.datetime(2026, 11, 24, 12).timestamp() * 1000
        self.manager = signed_in(self.core, access.CASE_MANAGER, zone="5340")
        self.neighbour = signed_in(self.core, access.CASE_MANAGER, login="neighbour", zone="5415")
        self.administrator = signed_in(self.core, access.ADMINISTRATOR)

    def case(self, *, granted: bool = True, file: CaseFile = FILE, by: Caller | None = None) -> str:
        case_id = cases.open_case(self.core, by or self.manager, file)
        if granted:
            self.grant(case_id, by=by)
        return case_id

    def grant(self, case_id: str, *days: str, by: Caller | None = None) -> str:
        starts_on, review_on, ends_on = days or ("2026-11-01", "2027-01-01", "2027-05-01")
        return grants.record(self.core, by or self.manager, case_id, "PR 1", starts_on, review_on, ends_on)

    def press(self, bridge: str, counter: int, hand: Hand = HAND, **more: object) -> str:
        return presses.take_alarm(self.core, bridge, read(hand.alarm(counter, **more))).incident_id  # type: ignore[arg-type]

    def case_of(self, incident_id: str) -> str | None:
        incident = self.core.store.one("incident", incident_id=incident_id)
        assert incident is not None
        return incident["case_id"]  # type: ignore[no-any-return]

    def told(self, case_id: str) -> list[str]:
        return [told.entry.kind for told in event_log.of_case(self.core, case_id)]


@pytest.fixture
def world() -> Zone:
    return Zone()


def test_a_press_is_about_the_case_that_its_button_served_then(world: Zone) -> None:
    """One of a phone whose clock is behind is no stranger's; one before the assignment is nobody's."""
    case_id, bridge = world.case(), world.bridge()
    assert world.case_of(world.press(bridge, 1)) is None, "nobody's yet"
    world.clock.ms += 60_000
    assignments.hand_out(world.core, world.manager, case_id, HAND.device_id)
    world.clock.ms += 60_000
    for counter, age_s in ((2, 0), (3, 30), (4, 900)):
        assert world.case_of(world.press(bridge, counter, age_s=age_s)) == case_id


def test_one_file_that_does_not_open_hides_no_alarm(world: Zone) -> None:
    """Neither of others nor its own: it is on the board, its sheet says what is wrong, it can be taken."""
    core, case_id = world.core, world.case()
    assignments.hand_out(core, world.manager, case_id, HAND.device_id)
    incident_id = world.press(world.bridge(), 1)
    for broken in (b"no seal", core.sealer.seal(f"case:{case_id}", b"{}")):
        core.store.db.execute("UPDATE cases SET file_sealed = ?", (broken,))
        (card,) = board.board(core).untaken
        assert (card.incident_id, card.danger) == (incident_id, "")
        sheet = incident_sheet.sheet(core, world.operator, incident_id)
        assert sheet.is_broken
        assert f"Case {case_id} cannot be opened" in render_sheet(sheet, "en", core.now_ms())
    assert board.advance(core, world.operator, incident_id, receipts.ACKNOWLEDGED).now


def test_one_file_that_does_not_open_hides_no_other_from_its_case_manager(world: Zone) -> None:
    """The list shows it as unreadable, on top too; its grants and buttons go on; no act changes the file."""
    core, manager, broken_id, other_id = world.core, world.manager, world.case(), world.case()
    incident_id = world.press(world.bridge(), 1)
    assignments.hand_out(core, manager, broken_id, HAND.device_id)
    core.store.db.execute("UPDATE incidents SET case_id = ?", (broken_id,))
    core.store.db.execute("UPDATE cases SET due_on = '2000-01-01' WHERE case_id = ?", (broken_id,))
    read_at_ms = cases.look(core, manager, broken_id)[0].changed_at_ms
    for broken in (b"no seal", core.sealer.seal(f"case:{broken_id}", b"{}")):
        core.store.db.execute("UPDATE cases SET file_sealed = ? WHERE case_id = ?", (broken, broken_id))
        listing = cases.listing(core, manager, closed=False, find="", after="")
        assert {case.case_id: case.is_broken for case in listing.cases} == {broken_id: True, other_id: False}
        assert [case.is_broken for case in listing.due] == [True]
        assert cases.look(core, manager, broken_id)[1] is None
        with pytest.raises(Refused, match="case_broken"):
            cases.look_into(core, manager, broken_id)
        with pytest.raises(Refused, match="case_broken"):
            cases.change_case(core, manager, broken_id, EXAMPLE, read_at_ms)
    assert reports.of_day(core, manager.zone, times.day(core.now_ms())).due
    exported = export.export(core, event_log.COMMAND, incident_id, Ed25519PrivateKey.generate())
    assert exported["case"] == {"case_id": broken_id, "file": None, "unreadable": True}
    board.advance(core, world.operator, incident_id, receipts.CLOSED, reason=CloseReason.REAL)
    assignments.take_back(core, manager, broken_id, HAND.device_id)


def test_a_photo_that_does_not_open_is_a_refusal(world: Zone) -> None:
    """To the case manager as to an operator."""
    core, case_id = world.core, world.case()
    assignments.hand_out(core, world.manager, case_id, HAND.device_id)
    cases.set_photo(core, world.manager, case_id, "stalker", placeholder())
    core.store.db.execute("UPDATE photos SET image_sealed = x'00'")
    incident_id = world.press(world.bridge(), 1)
    with pytest.raises(Refused, match="case_broken"):
        cases.look_at_photo(core, world.manager, case_id, "stalker")
    with pytest.raises(Refused, match="case_broken"):
        incident_sheet.photo(core, world.operator, incident_id, "stalker")


def test_a_case_with_a_long_log_is_erased_little_by_little(world: Zone) -> None:
    """Each time no more than an alarm can wait for; the file goes with the last."""
    core, case_id = world.core, world.case(granted=False)
    for _ in range(2 * cases.ENTRIES_AT_ONCE_MAX + 5):
        cases.look(core, world.manager, case_id)
    cases.close_case(core, world.manager, case_id)
    done = [cases.erase_case(core, event_log.COMMAND, case_id) for _ in range(3)]
    assert done == [False, False, True]
    told = event_log.of_case(core, case_id)
    assert {entry.entry.kind for entry in told if entry.content is not None} == {"erased", "case_erased"}
    with pytest.raises(Refused, match="unknown_case"):
        cases.erase_case(core, event_log.COMMAND, case_id)


def test_a_case_manager_does_not_learn_that_it_was_duress(world: Zone) -> None:
    """On the case's page and in the daily report it was a real alarm: the rest stays with the operators."""
    core, case_id, bridge = world.core, world.case(), world.bridge()
    assignments.hand_out(core, world.manager, case_id, HAND.device_id)
    for counter, reason in ((1, "duress"), (2, "real"), (3, "mis-press")):
        incident_id = world.press(bridge, counter)
        board.advance(
            core, world.operator, incident_id, receipts.CLOSED, reason=CloseReason(reason) if reason else None
        )
    shown = core.store.all("alarms_of_case", case_id=case_id, alarm=codes.ALARM, at_most=10)
    assert sorted(row["reason"] for row in shown) == ["mis-press", "real", "real"]
    report = reports.of_day(core, world.manager.zone, times.day(core.now_ms()))
    assert report.outcomes == [("real", 2), ("mis-press", 1)]


def test_an_operator_comes_to_no_case_by_a_test_nor_by_an_alarm_of_somebody_else(world: Zone) -> None:
    """A silent test never ends; an alarm of a revoked button is an administrator's; known ids too."""
    core, case_id, bridge = world.core, world.case(), world.bridge()
    assignments.hand_out(core, world.manager, case_id, HAND.device_id)
    cases.set_photo(core, world.manager, case_id, "stalker", placeholder())
    test = world.press(bridge, 1, event=codes.TEST)
    buttons.revoke_button(core, HAND.device_id)
    held = world.press(bridge, 2)
    for incident_id in (test, held):
        with pytest.raises(Refused, match="unknown_incident"):
            incident_sheet.photo(core, world.operator, incident_id, "stalker")
    with pytest.raises(Refused, match="unknown_incident"):
        board.advance(core, world.operator, held, receipts.CLOSED)


def test_a_late_press_of_a_former_assignment_belongs_to_the_former_case(world: Zone) -> None:
    """Whatever the button serves when the press arrives."""
    former, now = world.case(), world.case()
    assignments.hand_out(world.core, world.manager, former, HAND.device_id)
    world.clock.ms += 60_000
    assignments.hand_out(world.core, world.manager, now, HAND.device_id)
    world.clock.ms += 60_000
    bridge = world.bridge()
    assert world.case_of(world.press(bridge, 1, age_s=90)) == former
    assert world.case_of(world.press(bridge, 2, age_s=30)) == now


def test_a_phone_whose_clock_is_wrong_brings_nobody_the_former_persons_case(world: Zone) -> None:
    """It says it heard the press a day ago: police sent to the former person's door would find nobody."""
    former, now = world.case(), world.case()
    assignments.hand_out(world.core, world.manager, former, HAND.device_id)
    world.clock.ms += 60_000
    assignments.hand_out(world.core, world.manager, now, HAND.device_id)
    bridge = world.bridge()
    heard_at = times.write(world.core.now_ms() - DAY_MS)
    assert world.case_of(world.press(bridge, 1, heard_at=heard_at)) == now


def test_an_alarm_that_nobody_takes_goes_further_whatever_the_clock_does(world: Zone) -> None:
    """Set back an hour, it does not wait an hour more."""
    incident_id = world.press(world.bridge(), 1)
    assert webhook.escalate(world.core, 30) == []
    world.clock.ms -= 3_600_000
    assert [told.incident_id for told in webhook.escalate(world.core, 30)] == [incident_id]


def test_an_alarm_of_a_revoked_button_that_no_administrator_sees_is_told_in_the_log(world: Zone) -> None:
    """The person may be elsewhere with the button. Handed over, it waits anew; set aside, no more."""
    core, bridge = world.core, world.bridge()
    buttons.revoke_button(core, HAND.device_id)
    first, second = world.press(bridge, 1), world.press(bridge, 2)
    administration.rule(core, world.administrator, second, administration.ASIDE)
    world.clock.ms += 90_000
    assert [told.incident_id for told in webhook.escalate(core, 30)] == [first]
    assert webhook.escalate(core, 30) == []
    administration.rule(core, world.administrator, first, administration.OPERATORS)
    assert [told.incident_id for told in webhook.escalate(core, 30)] == [first]


def test_another_zones_case_is_as_unknown_as_none(world: Zone) -> None:
    """To look, to change, to close, to hand out, to see its photos."""
    case_id, core, neighbour = world.case(), world.core, world.neighbour
    cases.set_photo(core, world.manager, case_id, "stalker", placeholder())
    tries = (
        lambda: cases.look(core, neighbour, case_id),
        lambda: cases.change_case(core, neighbour, case_id, FILE, 0),
        lambda: cases.close_case(core, neighbour, case_id),
        lambda: cases.reopen_case(core, neighbour, case_id),
        lambda: cases.look_at_photo(core, neighbour, case_id, "stalker"),
        lambda: cases.set_photo(core, neighbour, case_id, "stalker", placeholder()),
        lambda: cases.remove_photo(core, neighbour, case_id, "stalker"),
        lambda: world.grant(case_id, by=neighbour),
        lambda: assignments.hand_out(core, neighbour, case_id, HAND.device_id),
        lambda: assignments.take_back(core, neighbour, case_id, HAND.device_id),
        lambda: assignments.issue_enrolment(core, neighbour, case_id, HAND.device_id),
    )
    before = world.told(case_id)
    for one in tries:
        with pytest.raises(Refused, match="unknown_case"):
            one()
    assert world.told(case_id) == before
    assert cases.listing(core, neighbour, closed=False, find="Ann", after="").cases == []


def test_every_look_and_every_change_is_noted_but_no_content(world: Zone) -> None:
    """Who, when, which fields; never what stands in them."""
    case_id = world.case(file=EXAMPLE)
    row, file = cases.look(world.core, world.manager, case_id)
    assert file == EXAMPLE
    form = rules.to_form(file) | {"person.phone": "+32 1", "children.0.where": "elsewhere"}
    cases.change_case(world.core, world.manager, case_id, rules.from_form(form), row.changed_at_ms)
    cases.set_photo(world.core, world.manager, case_id, "stalker", placeholder())
    assert cases.look_at_photo(world.core, world.manager, case_id, "stalker")[0] == "image/png"
    assert world.told(case_id) == [
        *("case_opened", "grant_recorded", "case_seen", "case_changed", "photo_set", "photo_seen")
    ]
    changed = event_log.of_case(world.core, case_id)[3]
    assert changed.facts == {"fields": ["children.0.where", "person.phone"]}


def test_what_is_personal_lies_sealed(world: Zone) -> None:
    """Names, numbers, words and photos: a copy of the database tells none of them."""
    case_id = world.case(file=EXAMPLE)
    cases.set_photo(world.core, world.manager, case_id, "person", placeholder())
    dump = "\n".join(world.core.store.db.iterdump()).casefold()
    for word in ("ann example", "max sample", "ex-2026", "bakery", placeholder()[:40].hex()):
        assert word not in dump


def test_two_who_edit_at_once_overwrite_nothing(world: Zone) -> None:
    """The second is told; even when the clock has gone back meanwhile."""
    case_id = world.case()
    row, file = cases.look_into(world.core, world.manager, case_id)
    mine = rules.from_form(rules.to_form(file) | {"do_first": "Ring twice."})
    theirs = rules.from_form(rules.to_form(file) | {"do_first": "Ring once."})
    world.clock.ms -= 3_600_000
    cases.change_case(world.core, world.manager, case_id, mine, row.changed_at_ms)
    with pytest.raises(Refused, match="changed_meanwhile"):
        cases.change_case(world.core, world.manager, case_id, theirs, row.changed_at_ms)
    assert cases.file_of(world.core, case_id) == mine


@pytest.mark.parametrize("find", ["ann", "ÀNN  exämple", "sample", "EX-2026/0042", "ex20260042", "lou"])
def test_a_case_is_found_by_a_word_of_its_names_or_its_number(world: Zone, find: str) -> None:
    """Whatever its case and accents."""
    case_id = world.case(file=EXAMPLE)
    world.case(file=CaseFile("BX-2", "high", Person("Nina Nobody"), Stalker(), "Go."))
    found = cases.listing(world.core, world.manager, closed=False, find=find, after="").cases
    assert [one.case_id for one in found] == [case_id]


@pytest.mark.parametrize(
    "find", ["dang", "lukasz groß", "0470 12 34 56", "+32470123456", "02/555.44.33", "2026/0042"]
)
def test_a_case_is_found_by_names_with_diacritics_and_by_telephone_numbers(world: Zone, find: str) -> None:
    """The person's own and the safe contact's, however written; digits may be a case's number, too."""
    file = rules.from_form(
        rules.to_form(EXAMPLE)
        | {"person.name": "Đặng Thị", "stalker.name": "Łukasz Gross", "person.phone": "+32 470 12 34 56"}
        | {"contact.name": "Zoë", "contact.phone": "(02) 555 44 33"}
    )
    case_id = world.case(file=file)
    world.case()
    found = cases.listing(world.core, world.manager, closed=False, find=find, after="").cases
    assert [one.case_id for one in found] == [case_id]


def test_a_case_is_found_by_the_ids_that_pages_show(world: Zone) -> None:
    """Its own and its buttons', in groups and in small letters, too; in the own zone alone."""
    case_id, _ = world.case(), world.case()
    assignments.hand_out(world.core, world.manager, case_id, HAND.device_id)
    assert len(HAND.device_id) == 16
    for find in (case_id, case_id.lower(), grouped(HAND.device_id), f" {HAND.device_id.lower()} "):
        found = cases.listing(world.core, world.manager, closed=False, find=find, after="").cases
        assert [one.case_id for one in found] == [case_id], find
        assert cases.listing(world.core, world.neighbour, closed=False, find=find, after="").cases == []
    find = HAND.device_id[:8]
    assert cases.listing(world.core, world.manager, closed=False, find=find, after="").cases == []


@pytest.mark.parametrize("find", ["%", "_", "A%", "an%", "' OR 1=1 --", "exam", "*", "\x00"])
def test_a_search_knows_no_wildcards(world: Zone, find: str) -> None:
    """A word is the whole word."""
    world.case(file=EXAMPLE)
    assert cases.listing(world.core, world.manager, closed=False, find=find, after="").cases == []


def test_the_list_has_pages_and_what_is_due_on_top(world: Zone) -> None:
    """Each case on one page, once, also where many were opened in the same millisecond."""
    for number in range(120):
        world.clock.ms += number % 3 == 0
        world.case(granted=False, file=CaseFile(f"N {number}", "high", Person("P"), Stalker(), "Go."))
    due = world.case(granted=False)
    world.grant(due, "2026-01-01", "2026-11-24", "2027-01-01")
    seen, after, pages = [], "", 0
    while True:
        listing = cases.listing(world.core, world.manager, closed=False, find="", after=after)
        seen += [one.number for one in listing.cases]
        assert [one.case_id for one in listing.due] == ([] if after else [due])
        pages, after = pages + 1, listing.next
        if not after:
            break
    assert (len(seen), len(set(seen)), pages) == (121, 121, 3)
    for wrong in ("x", "1-2-3-4", "9" * 40, "-", "١-A"):
        with pytest.raises(Refused, match="out_of_range"):
            cases.listing(world.core, world.manager, closed=False, find="", after=wrong)


def test_no_list_reads_the_whole_table(world: Zone) -> None:
    """Each of its queries goes by an index: SQLite says so itself."""
    values = {
        "zone": "1",
        "before_ms": 1,
        "before_opened_ms": 1,
        "before_id": "A",
        "after_id": "",
        "any_id": "A",
        "today": "2026-01-01",
        "at_most": 51,
        **{f"word_{n}": b"" for n in range(1, 5)},
    }
    for query in ("open_cases", "closed_cases", "found_cases", "case_of_id", "due_cases"):
        text = world.core.store._queries[query]
        plan = world.core.store.db.execute(f"EXPLAIN QUERY PLAN {text}", values).fetchall()
        steps = " / ".join(row["detail"] for row in plan)
        assert "SCAN" not in steps.replace("SCAN CONSTANT ROW", ""), f"{query}: {steps}"
        assert "TEMP B-TREE" not in steps, f"{query}: {steps}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("number", ""),
        ("number", "x" * 161),
        ("person.name", " \t "),
        ("person.name", "a\nb"),
        ("person.name", "a\u202eb"),
        ("person.born_on", "0000-01-01"),
        ("person.born_on", "2026-02-30"),
        ("person.born_on", "today"),
        ("children.11.born_on", "1-1-1"),
        ("danger", "mild"),
        ("do_first", "x" * 2001),
        ("do_first", "a\x00b"),
        ("stalker.weapons", "\ud800"),
    ],
)
def test_a_field_that_cannot_be_is_refused_by_name(name: str, value: str) -> None:
    """Nothing is cut off or repaired behind the case manager's back."""
    form = rules.to_form(EXAMPLE) | {name: value}
    with pytest.raises(Refused) as refused:
        rules.from_form(form)
    assert refused.value.reason in ("out_of_range", "bad_text")
    assert refused.value.field == name


def test_a_file_survives_its_form() -> None:
    """Written, shown in a form, read back: the same."""
    assert rules.from_form(rules.to_form(EXAMPLE)) == EXAMPLE
    assert rules.read(rules.write(EXAMPLE)) == EXAMPLE
    assert rules.changed(EXAMPLE, EXAMPLE) == []


@pytest.mark.parametrize(
    "image",
    [b"", b"GIF89a", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"\xff\xd8\xff" + bytes(512 * 1024)],
)
def test_what_is_no_photo_is_not_kept(world: Zone, image: bytes) -> None:
    """By its first bytes, whatever it says of itself; nor is one that is too large."""
    case_id = world.case()
    with pytest.raises(Refused, match="bad_photo"):
        cases.set_photo(world.core, world.manager, case_id, "person", image)
    assert cases.photos_of(world.core, case_id) == []


@pytest.mark.parametrize(
    ("days", "reason"),
    [
        (("2026-02-01", "2026-01-01", "2026-03-01"), "bad_dates"),
        (("2026-01-01", "2026-04-01", "2026-03-01"), "bad_dates"),
        (("0000-01-01", "2026-01-01", "2026-03-01"), "out_of_range"),
        (("2026-01-01", "", "2026-03-01"), "out_of_range"),
        (("2026-01-01", "2026-02-01", "9999-12-31"), "out_of_range"),
        (("2026-1-1", "2026-02-01", "2026-03-01"), "out_of_range"),
    ],
)
def test_a_grants_days_come_in_order(world: Zone, days: tuple[str, str, str], reason: str) -> None:
    """Start, review, end; and are days."""
    case_id = world.case(granted=False)
    with pytest.raises(Refused, match=reason):
        world.grant(case_id, *days)
    assert grants.all_of(world.core, case_id) == []


def test_a_grant_runs_from_its_first_day_to_its_last() -> None:
    """Both included; ended early it no longer runs on that day."""
    grant = Grant("1", "PR", "2026-01-10", "2026-02-10", "2026-03-10")
    assert [grant.runs(day) for day in ("2026-01-09", "2026-01-10", "2026-03-10", "2026-03-11")] == [
        *(False, True, True, False)
    ]
    assert (grant.state("2026-02-09"), grant.state("2026-02-10")) == (
        GrantState.RUNNING,
        GrantState.REVIEW_DUE,
    )
    early = Grant("1", "PR", "2026-01-10", "2026-02-10", "2026-03-10", "2026-01-20")
    assert (early.state("2026-01-19"), early.state("2026-01-20")) == (GrantState.RUNNING, GrantState.ENDED)
    assert early.due_on == "2026-01-20"


def test_a_review_that_was_made_is_no_longer_on_top(world: Zone) -> None:
    """And an ending puts it there."""
    case_id = world.case(granted=False)
    grant_id = world.grant(case_id, "2026-01-01", "2026-11-24", "2027-01-01")

    def due() -> list[str]:
        listing = cases.listing(world.core, world.manager, closed=False, find="", after="")
        return [one.case_id for one in listing.due]

    assert due() == [case_id]
    with pytest.raises(Refused, match="bad_dates"):
        grants.review(world.core, world.manager, case_id, grant_id, "2026-11-23")
    grants.review(world.core, world.manager, case_id, grant_id, "2026-12-24")
    assert due() == []
    grants.end(world.core, world.manager, case_id, grant_id, "2026-11-24")
    assert due() == [case_id]
    with pytest.raises(Refused, match="unknown_grant"):
        grants.end(world.core, world.manager, world.case(), grant_id, "2026-11-24")


def test_a_button_is_handed_out_on_a_grant_that_runs(world: Zone) -> None:
    """None, one that has ended, one that has not begun: no button."""
    case_id = world.case(granted=False)
    for days in ((), ("2026-01-01", "2026-02-01", "2026-11-23"), ("2026-11-25", "2026-12-01", "2026-12-02")):
        if days:
            world.grant(case_id, *days)
        with pytest.raises(Refused, match="no_grant"):
            assignments.hand_out(world.core, world.manager, case_id, HAND.device_id)
    world.grant(case_id)
    assignments.hand_out(world.core, world.manager, case_id, HAND.device_id)
    assert HAND.device_id not in assignments.free(world.core)


def test_a_button_taken_back_is_out_of_reach_and_serves_nobody_else(world: Zone) -> None:
    """Its phone is cut off, its codes are void, its PINs gone; a former phone could follow it: trackable."""
    core, manager, case_id = world.core, world.manager, world.case()
    assignments.hand_out(core, manager, case_id, HAND.device_id)
    code = assignments.issue_enrolment(core, manager, case_id, HAND.device_id)
    token = str(buttons.enrol(core, code, "hash", "duress")["token"])
    unused = assignments.issue_enrolment(core, manager, case_id, HAND.device_id)
    assignments.take_back(core, manager, case_id, HAND.device_id)
    with pytest.raises(Refused, match="revoked"):
        buttons.bridge_of(core, token)
    for left in (unused, HAND.enrolment_code):
        with pytest.raises(Refused, match="enrolment_expired"):
            buttons.enrol(core, left, None, None)
    device = core.store.one("device", device_id=HAND.device_id)
    assert device is not None
    assert (device["pin_hash"], device["duress_pin_hash"]) == (None, None)
    assert assignments.is_trackable(core, HAND.device_id)
    assert HAND.device_id not in assignments.free(core)
    with pytest.raises(Refused, match="button_trackable"):
        assignments.hand_out(core, manager, world.case(), HAND.device_id)
    with pytest.raises(Refused, match="unknown_device"):
        assignments.issue_enrolment(core, manager, case_id, HAND.device_id)


def test_a_phone_is_not_cut_off_while_an_alarm_is_open(world: Zone) -> None:
    """The protected person may be waiting for its receipts."""
    case_id = world.case()
    assignments.hand_out(world.core, world.manager, case_id, HAND.device_id)
    incident = world.press(world.bridge(), 1)
    with pytest.raises(Refused, match="alarm_open"):
        assignments.take_back(world.core, world.manager, case_id, HAND.device_id)
    board.advance(world.core, world.operator, incident, receipts.CLOSED, reason=CloseReason.MIS_PRESS)
    assignments.take_back(world.core, world.manager, case_id, HAND.device_id)


def test_a_button_that_never_had_a_phone_moves_in_one_step(world: Zone) -> None:
    """Within the zone; once a phone knows it, it must be taken back first, and not by another zone."""
    core, first, second = world.core, world.case(), world.case()
    assignments.hand_out(core, world.manager, first, HAND.device_id)
    theirs = world.case(by=world.neighbour)
    with pytest.raises(Refused, match="button_elsewhere"):
        assignments.hand_out(core, world.neighbour, theirs, HAND.device_id)
    assignments.hand_out(core, world.manager, second, HAND.device_id)
    assert assignments.of_case(core, first)[0] == []
    world.bridge()
    with pytest.raises(Refused, match="button_elsewhere"):
        assignments.hand_out(core, world.manager, first, HAND.device_id)
    with pytest.raises(Refused, match="button_elsewhere"):
        assignments.hand_out(core, world.manager, second, HAND.device_id)


def test_a_case_is_closed_when_nothing_of_it_is_out(world: Zone) -> None:
    """Its buttons are back and no grant runs; closed, it changes no more, until it is opened again."""
    core, manager, case_id = world.core, world.manager, world.case(granted=False)
    grant_id = world.grant(case_id)
    assignments.hand_out(core, manager, case_id, HAND.device_id)
    with pytest.raises(Refused, match="buttons_out"):
        cases.close_case(core, manager, case_id)
    assignments.take_back(core, manager, case_id, HAND.device_id)
    with pytest.raises(Refused, match="grant_runs"):
        cases.close_case(core, manager, case_id)
    grants.end(core, manager, case_id, grant_id, "2026-11-24")
    cases.close_case(core, manager, case_id)
    row, _ = cases.look(core, manager, case_id)
    with pytest.raises(Refused, match="case_closed"):
        cases.change_case(core, manager, case_id, EXAMPLE, row.changed_at_ms)
    with pytest.raises(Refused, match="case_closed"):
        world.grant(case_id)
    closed = cases.listing(core, manager, closed=True, find="", after="").cases
    assert [one.case_id for one in closed] == [case_id]
    cases.reopen_case(core, manager, case_id)
    world.grant(case_id)


def test_an_erased_case_tells_nothing(world: Zone) -> None:
    """File, photos, words, references and what the log told; its presses stay, without a person."""
    core, manager = world.core, world.manager
    case_id = world.case(granted=False, file=EXAMPLE)
    with pytest.raises(Refused, match="case_open"):
        cases.erase_case(core, event_log.COMMAND, case_id)
    world.grant(case_id, "2026-01-01", "2026-02-01", "2026-03-01")
    cases.set_photo(core, manager, case_id, "person", placeholder())
    cases.close_case(core, manager, case_id)
    cases.erase_case(core, event_log.COMMAND, case_id)
    assert cases.file_of(core, case_id) is None
    for query in ("photos", "grants"):
        assert all(row[0] and "PR" not in tuple(row) for row in core.store.all(query, case_id=case_id))
    assert core.store.db.execute("SELECT count(*) FROM photos").fetchone()[0] == 0
    assert core.store.db.execute("SELECT count(*) FROM case_words").fetchone()[0] == 0
    for closed in (False, True):
        assert cases.listing(core, manager, closed=closed, find="", after="").cases == []
    with pytest.raises(Refused, match="unknown_case"):
        cases.look(core, manager, case_id)
    with pytest.raises(Refused, match="unknown_case"):
        cases.erase_case(core, event_log.COMMAND, case_id)


def test_an_alarm_of_a_revoked_button_waits_for_the_administrator(world: Zone) -> None:
    """No operator sees it until it is handed over as an alarm like any other; or it is set aside."""
    core, bridge = world.core, world.bridge()
    buttons.revoke_button(core, HAND.device_id)
    first, second = world.press(bridge, 1), world.press(bridge, 2)
    world.press(bridge, 3, event=codes.TEST)
    assert board.board(core).untaken == []
    assert administration.waiting(core) == 2
    assert {alarm.incident_id for alarm in administration.overview(core).held} == {first, second}
    administration.rule(core, world.administrator, first, administration.OPERATORS)
    administration.rule(core, world.administrator, second, administration.ASIDE)
    assert [one.incident_id for one in board.board(core).untaken] == [first]
    assert administration.waiting(core) == 0
    with pytest.raises(Refused, match="not_held"):
        administration.rule(core, world.administrator, first, administration.ASIDE)
    with pytest.raises(Refused, match="unknown_incident"):
        administration.rule(core, world.administrator, "none", administration.ASIDE)


def test_a_case_shows_no_loss_of_whoever_had_the_button_before(world: Zone) -> None:
    """It shows what goes on, and what ended while the person has it; open ones first."""
    core, case_id = world.core, world.case()
    bridge = world.bridge()
    assignments.hand_out(core, world.manager, case_id, HAND.device_id)
    now_ms = core.now_ms()
    lost = (
        ("button_out_of_reach", HAND.device_id, None, now_ms - 9_000, now_ms - 1),
        ("battery_low", HAND.device_id, None, now_ms - 8_000, None),
        ("network_gone", None, bridge, now_ms + 1_000, now_ms + 2_000),
    )
    core.store.db.executemany(
        "INSERT INTO losses (kind, device_id, bridge_id, began_at_ms, found_at_ms, ended_at_ms)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        [(kind, button, phone, began, began, ended) for kind, button, phone, began, ended in lost],
    )
    (button,) = assignments.of_case(core, case_id)[0]
    assert [loss.kind for loss in button.losses] == ["battery_low", "network_gone"]


def test_a_case_says_how_soon_the_loss_of_its_button_is_found(world: Zone) -> None:
    """By the phone that hears it least; nothing where none has spoken; not by one that was cut off."""
    core, case_id = world.core, world.case()
    assignments.hand_out(core, world.manager, case_id, HAND.device_id)

    def found_after_min() -> int | None:
        return assignments.of_case(core, case_id)[0][0].found_after_min

    first, second = world.bridge(), world.bridge()
    assert found_after_min() is None, "neither has spoken"
    for bridge, lost_after_s in ((first, 37 * 60), (second, 4 * 3600)):
        button = {"device_id": HAND.device_id, "lost_after_s": lost_after_s}
        take_heartbeat(core, bridge, heartbeats.read({"buttons": [button]}))
    assert found_after_min() == 4 * 60 + 2
    buttons.revoke_bridge(core, second)
    assert found_after_min() == 39


def test_the_daily_report_counts_the_zones_day(world: Zone) -> None:
    """Presses by outcome, tests, batteries, silent buttons, grants due; nobody else's."""
    core, case_id = world.core, world.case(granted=False)
    world.grant(case_id, "2026-01-01", "2026-11-20", "2027-01-01")
    assignments.hand_out(core, world.manager, case_id, HAND.device_id)
    bridge, today = world.bridge(), times.day(core.now_ms())
    closed = world.press(bridge, 1)
    board.advance(core, world.operator, closed, receipts.CLOSED, reason=CloseReason.REAL)
    world.press(bridge, 2)
    world.press(bridge, 3, event=codes.TEST)
    report = reports.of_day(core, "5340", today)
    assert (len(report.alarms), len(report.tests), len(report.due)) == (2, 1, 1)
    assert sorted(report.outcomes) == [("open", 1), ("real", 1)]
    assert (report.low, report.silent) == ([], [])
    elsewhere = reports.of_day(core, "5415", today)
    assert (elsewhere.alarms, elsewhere.tests, elsewhere.due) == ([], [], [])
    world.clock.ms += DAY_MS
    assert [one.device_id for one in reports.of_day(core, "5340", today).silent] == [HAND.device_id]
    assert reports.of_day(core, "5340", today).untested == []
    (untested,) = reports.of_day(core, "5340", today, 0).untested
    assert (untested.device_id, untested.untested_days) == (HAND.device_id, 1)
    assert assignments.of_case(core, case_id, 0)[0][0].untested_days == 1
    assert reports.of_day(core, None, times.day(core.now_ms())).alarms == []
