"""What the operator sees, as HTML."""

from centre.console.board import render
from centre.incidents import Fix
from centre.service import Arrival, Board, Incident, Position
from tests.unit.centre.parts import Hand
from wire import receipts

HAND = Hand()
FIX = Fix(50.8466, 4.3528, 18.0, 68.0, "GNSS", 900_000)


def incident(stage: int = receipts.RECEIVED, *, age_s: float | None = 0, **more: object) -> Incident:
    arrival = Arrival("BRIDGE22", "ble", 999_000, age_s, 998_000, 1_000_000, 64, "<b>Pixel")
    fields: dict[str, object] = {
        "incident_id": "abc",
        "device_id": HAND.device_id,
        "kind": "button",
        "board": "esp32",
        "counter": 1,
        "opened_at_ms": 1_000_000,
        "device_revoked": False,
        "stage": stage,
        "stages": [(reached, 1_000_000) for reached in range(1, stage + 1)],
        "arrivals": [arrival],
        "positions": [],
    }
    return Incident(**(fields | more))  # type: ignore[arg-type]


def test_an_alarm_that_waits_can_be_acknowledged() -> None:
    """A form with one button, so that it works by keyboard and without a script."""
    shown = render(Board([incident()], [], []))
    assert "ALARM" in shown
    assert '<form method="post" action="/console/incidents/abc/acknowledge"><button' in shown


def test_an_alarm_that_is_taken_has_no_button() -> None:
    """There is nothing to take twice."""
    assert "<button" not in render(Board([], [incident(receipts.ACKNOWLEDGED)], []))


def test_no_position_is_said_honestly() -> None:
    """Never an empty place where a position is expected."""
    assert "No position yet" in render(Board([incident()], [], []))


def test_a_position_has_radius_source_and_age() -> None:
    """A point without them would mislead."""
    shown = render(Board([incident(positions=[Position(FIX, "BRIDGE22", 1_000_000)])], [], []))
    for word in ("50.84660, 4.35280", "within 18", "satellite", 'data-since="900000"', "BRIDGE22"):
        assert word in shown


def test_a_position_from_the_future_says_so() -> None:
    """The phone's clock is ahead: the age is counted from when we had it."""
    ahead = Position(Fix(1, 2, 3, None, "CELL", 9_000_000), None, 1_000_000)
    shown = render(Board([incident(positions=[ahead])], [], []))
    assert "clock is ahead" in shown
    assert 'data-since="1000000"' in shown


def test_an_unknown_age_is_not_called_the_press() -> None:
    """Heard is not pressed."""
    assert "pressed <time" in render(Board([incident()], [], []))
    shown = render(Board([incident(age_s=None)], [], []))
    assert "heard <time" in shown
    assert "may have been pressed earlier" in shown


def test_what_a_phone_says_is_text_and_never_markup() -> None:
    """A model name cannot become a script in the operator's page."""
    shown = render(Board([incident()], [], []))
    assert "&lt;b&gt;Pixel" in shown
    assert "<b>Pixel" not in shown


def test_silent_tests_are_one_quiet_line() -> None:
    """Which button and when, and nothing that looks like an alarm."""
    shown = render(Board([], [], [(HAND.device_id, 1_000_000)]))
    assert "No alarm is waiting" in shown
    assert "Last silent tests: TEST" in shown
    assert "ALARM" not in shown


def test_a_revoked_button_is_flagged() -> None:
    """For an administrator."""
    assert "Revoked button" in render(Board([incident(device_revoked=True)], [], []))
