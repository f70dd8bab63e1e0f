"""What is heard: every page reads the same, by a clock that the test moves."""

import pytest

from centre.rules import access
from centre.rules.heartbeats import read as read_alive
from centre.rules.incidents import CallOff, read, read_fixes
from centre.rules.supervision import LossKind, silence_ms
from centre.work import (
    administration,
    board,
    buttons,
    cases,
    heartbeats,
    incident_sheet,
    presses,
    reports,
    supervision,
)
from tests.unit.centre.parts import FIX, granted, signed_in
from tests.unit.centre.work.parts import FILE, HAND, PINS, Called, World
from wire import codes

ALIVE_S = 900


class Watched(Called):
    """A button in hand, whose phone has given a heartbeat and was then silent for too long."""

    def __init__(self) -> None:
        World.__init__(self)
        buttons.enrol(self.core, HAND.enrolment_code, *PINS)
        self.manager = signed_in(self.core, access.CASE_MANAGER, zone="5340")
        self.case_id = cases.open_case(self.core, self.manager, FILE)
        granted(self.core, self.manager, self.case_id, HAND)
        self.phone = self.bridge()
        self.began_ms = int(self.clock.ms)
        heartbeats.take_heartbeat(self.core, self.phone, read_alive({"buttons": []}), ALIVE_S)
        self.clock.ms += silence_ms(ALIVE_S) + 1
        self.look()

    def look(self) -> None:
        supervision.look(self.core, 0, ALIVE_S)

    def lost(self) -> list[LossKind]:
        """As the board, the case list and the report say; they say the same."""
        on_board = [loss.kind for loss in supervision.open_losses(self.core) if loss.back_at_ms is None]
        (listed,) = cases.listing(self.core, self.manager, closed=False, find="", after="").cases
        report = reports.of_day(self.core, "5340", "1970-01-01")
        assert list(listed.unheard) == [loss.kind for loss in report.unheard] == on_board
        return on_board


def test_a_silent_phone_stands_in_the_list_and_in_the_report() -> None:
    """And not in those of another zone."""
    world = Watched()
    assert world.lost() == [LossKind.PHONE_SILENT]
    assert reports.of_day(world.core, "5341", "1970-01-01").unheard == []
    (loss,) = reports.of_day(world.core, None, "1970-01-01").unheard
    assert loss.case_id == world.case_id


@pytest.mark.parametrize("what", ["alarm", "test", "positions", "PIN"])
def test_whatever_a_phone_sends_is_a_sign_of_life(what: str) -> None:
    """No page says that it is silent since a minute before its own alarm."""
    world = Watched()
    if what in ("positions", "PIN"):
        other = world.bridge()
        incident = presses.take_alarm(world.core, other, read(HAND.alarm(1))).incident_id
        assert world.lost() == [LossKind.PHONE_SILENT], "that was another phone"
        if what == "positions":
            fixes = read_fixes({"fixes": [FIX | {"taken_at": "1970-01-01T00:00:01Z"}]})
            presses.add_fixes(world.core, world.phone, incident, fixes)
        else:
            presses.try_pin(world.core, world.phone, CallOff(HAND.device_id, 1, "1111"))
    else:
        event = codes.TEST if what == "test" else codes.ALARM
        presses.take_alarm(world.core, world.phone, read(HAND.alarm(1, event)))
    world.look()
    assert world.lost() == []


def test_a_press_is_when_its_button_was_heard_on_every_page() -> None:
    """Card, sheet, case, report, administrator: also of a button that never gave a heartbeat."""
    world = Watched()
    now_ms = int(world.clock.ms)
    incident = presses.take_alarm(world.core, world.phone, read(HAND.alarm(1))).incident_id
    health = incident_sheet.health(world.core, HAND.device_id)
    assert health is not None
    listed = administration.overview(world.core).buttons[0]
    assert (health.heard_at_ms, listed.heard_at_ms) == (now_ms, now_ms)
    assert board.board(world.core).untaken[0].incident_id == incident


def test_what_is_known_of_a_battery_outlasts_a_press_by_another_phone() -> None:
    """The phone that brings it may never have told of a battery."""
    world = Watched()
    sign = read_alive({"buttons": [{"device_id": HAND.device_id, "battery_mv": 2910, "low": True}]})
    heartbeats.take_heartbeat(world.core, world.phone, sign, ALIVE_S)
    world.clock.ms += 1_000
    presses.take_alarm(world.core, world.bridge(), read(HAND.alarm(1)))
    health = incident_sheet.health(world.core, HAND.device_id)
    assert health is not None
    assert (health.battery_mv, health.low, health.heard_at_ms) == (2910, True, int(world.clock.ms))
