"""Who changed what of a case, and who looked: told to its case manager, and not more than that."""

from dataclasses import replace

from centre.console.words import of_field
from centre.platform.pin_hashing import Verdict
from centre.rules import access
from centre.rules.incidents import CallOff, read
from centre.work import buttons, case_history, cases, incident_sheet, presses
from tests.unit.centre.parts import granted, signed_in
from tests.unit.centre.work.parts import FILE, HAND, PINS, World


class Zone(World):
    """A case with a button."""

    def __init__(self) -> None:
        super().__init__()
        self.manager = signed_in(self.core, access.CASE_MANAGER, name="Cas Example", zone="5340")
        self.case_id = cases.open_case(self.core, self.manager, FILE)
        granted(self.core, self.manager, self.case_id, HAND)

    def history(self) -> case_history.History:
        return case_history.of_case(self.core, self.case_id)


def test_each_change_has_its_author_and_its_fields() -> None:
    """The newest first, in words, never with what stood in them."""
    world = Zone()
    changed = replace(FILE, do_first="Three officers.", person=replace(FILE.person, phone="+32 1"))
    cases.change_case(world.core, world.manager, world.case_id, changed, int(world.clock.ms))
    first, *earlier = world.history().changes
    assert (first.kind, first.by, first.fields) == (
        "case_changed",
        "Cas Example",
        ("do_first", "person.phone"),
    )
    assert [one.kind for one in earlier] == ["button_handed_out", "grant_recorded", "case_opened"]
    assert "Three officers" not in str(world.history())
    assert of_field("addresses.0.position") == ["cases.addresses", "cases.addresses_position"]
    assert of_field("person.phone") == ["cases.person", "cases.phone"]


def test_looks_stand_apart_operators_too() -> None:
    """Whoever has opened the sheet is named."""
    world = Zone()
    incident = presses.take_alarm(world.core, world.bridge(), read(HAND.alarm(1))).incident_id
    incident_sheet.sheet(world.core, world.operator, incident)
    cases.look(world.core, world.manager, world.case_id)
    assert [one.by for one in world.history().looks] == ["Cas Example", "Operator"]


def test_what_was_under_duress_is_not_in_it() -> None:
    """That stays with the operators: a case manager's page must not tell it."""
    world = Zone()
    buttons.enrol(world.core, HAND.enrolment_code, *PINS)
    phone = world.bridge()
    incident = presses.take_alarm(world.core, phone, read(HAND.alarm(1))).incident_id
    presses.try_pin(world.core, phone, CallOff(HAND.device_id, 1, ""))
    before = world.history()
    presses.call_off(world.core, phone, incident, Verdict.DURESS)
    assert world.history() == before


def test_a_long_history_says_that_it_is_not_all() -> None:
    """The newest are shown."""
    world = Zone()
    for n in range(case_history.CHANGES_SHOWN_MAX):
        record, _ = cases.look(world.core, world.manager, world.case_id)
        changed = replace(FILE, number=f"BX-{n}")
        cases.change_case(world.core, world.manager, world.case_id, changed, record.changed_at_ms)
    history = world.history()
    assert len(history.changes) == case_history.CHANGES_SHOWN_MAX
    assert not history.is_whole
