"""What a case manager does: cases, grants, buttons; and which case a press is about."""

import pytest

from centre.rules import access
from centre.rules.cases import CaseFile, Person, Stalker
from centre.rules.incidents import read
from centre.work import cases, presses
from tests.unit.centre.parts import signed_in
from tests.unit.centre.test_service import HAND, World

FILE = CaseFile("BX-1", "high", Person("Ann Example"), Stalker("Max Sample"), "Two officers.")


@pytest.fixture
def world() -> World:
    return World()


def case_of(world: World, incident_id: str) -> str | None:
    incident = world.core.store.one("incident", incident_id=incident_id)
    assert incident is not None
    return incident["case_id"]  # type: ignore[no-any-return]


def test_a_press_is_about_the_case_that_its_button_served_then(world: World) -> None:
    """A late one of a former handout too; one of a phone whose clock is behind is no stranger's."""
    manager = signed_in(world.core, access.CASE_MANAGER, zone="5340")
    case_id, bridge = cases.open_case(world.core, manager, FILE), world.bridge()
    before = presses.take_alarm(world.core, bridge, read(HAND.alarm(1)))
    assert case_of(world, before.incident_id) is None, "nobody's yet"
    world.clock.ms += 60_000
    cases.hand_out(world.core, manager, case_id, HAND.device_id)
    world.clock.ms += 60_000
    for counter, age_s in ((2, 0), (3, 30), (4, 900)):
        taken = presses.take_alarm(world.core, bridge, read(HAND.alarm(counter, age_s=age_s)))
        assert case_of(world, taken.incident_id) == case_id
