"""What the operator sees, as HTML."""

import re
from dataclasses import replace

from centre.console.board import duress_waits, render
from centre.rules.incidents import CLOSE_REASONS, Fix
from centre.work.views import Act, Arrival, Board, CallOffSeen, Incident, Position
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
    assert '<form method="post" action="/console/incidents/abc/acknowledge"' in shown
    assert shown.count("<button") == 1


def test_what_can_be_done_depends_on_how_far_it_is() -> None:
    """Taken: send help or close, with a reason that must be chosen; sent: close; closed: nothing."""

    def acts(*boards: list[Incident]) -> list[str]:
        return re.findall(r'incidents/abc/(\w+)"', render(Board(boards[0], boards[1], [], 0, boards[2])))

    assert acts([], [incident(receipts.ACKNOWLEDGED)], []) == ["dispatch", "close"]
    assert acts([], [incident(receipts.DISPATCHED)], []) == ["close"]
    assert acts([], [], [incident(receipts.CLOSED)]) == []
    shown = render(Board([], [incident(receipts.ACKNOWLEDGED)], []))
    assert 'required><option value="">' in shown
    for reason in CLOSE_REASONS:
        assert f'<option value="{reason}">' in shown


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


CALLED_OFF = CallOffSeen(1_030_000, None, False)
DURESS = CallOffSeen(1_030_000, 1_030_000, False)


def test_a_call_off_is_shown_and_changes_nothing_else() -> None:
    """The operator reads who called it off; the alarm still waits to be taken."""
    shown = render(Board([incident(call_off=CALLED_OFF)], [], []))
    assert "Called off by the wearer" in shown
    assert "nobody has taken it" in shown
    assert "DURESS" not in shown
    assert not duress_waits(Board([incident(call_off=CALLED_OFF)], [], []))


def test_duress_is_said_in_words_at_every_stage() -> None:
    """In danger, and what not to do; also after somebody had taken or even closed it."""
    for stage in (receipts.RECEIVED, receipts.ACKNOWLEDGED, receipts.CLOSED):
        board = Board([incident(stage, call_off=DURESS)], [], [])
        assert duress_waits(board)
        shown = render(board)
        assert "DURESS: she is in danger" in shown
        assert "Do not ring it" in shown
        assert 'name="seen_duress" value="1"' in shown
        assert shown.count("<button") == 1
    assert "closed before: send help all the same" in shown


def test_duress_that_was_seen_stays_marked() -> None:
    """Taken, it is shown as such until it is closed, and there too."""
    seen = replace(DURESS, duress_seen=True)
    shown = render(Board([], [incident(receipts.DISPATCHED, call_off=seen)], []))
    assert "DURESS: she is in danger" in shown
    assert "DURESS" in render(Board([], [], [], 0, [incident(receipts.CLOSED, call_off=seen)]))


def test_a_marked_position_is_never_shown_as_fresh() -> None:
    """Why it must not be taken for where she is, in words, next to it; and which source gave it."""
    stale = replace(FIX, taken_at_ms=280_000, source="gpsd", marks=("stale", "jump", "implausible"))
    shown = render(Board([incident(positions=[Position(stale, "BRIDGE22", 1_000_000)])], [], []))
    assert "stale: taken 12\N{NO-BREAK SPACE}min before it was sent" in shown
    assert "further from the one before than anybody travels" in shown
    assert "perhaps no real position" in shown
    assert "satellite (gpsd)" in shown


def test_older_positions_are_counted_where_they_are_not_listed() -> None:
    """Two hours of following are 720; the page says that there are more."""
    fixes = [Position(replace(FIX, taken_at_ms=900_000 - n), "B", 1_000_000) for n in range(3)]
    shown = render(Board([incident(positions=fixes, positions_in_all=720)], [], []))
    assert "719 more" in shown
    assert "and 717 older" in shown


def test_what_operators_told_is_shown_and_escaped() -> None:
    """The note of who was sent, and what it was in the end."""
    acts = [Act(receipts.DISPATCHED, "", "<i>two on foot"), Act(receipts.CLOSED, "mis-press", "")]
    shown = render(Board([], [], [], 0, [incident(receipts.CLOSED, acts=acts)]))
    assert "<b>Dispatched</b>: &lt;i&gt;two on foot" in shown
    assert "<b>pressed by mistake</b>" in shown


def test_a_board_that_can_be_followed_is_named_as_such() -> None:
    """Only where its kind is known to lack a fresh address."""
    words = "This board can be followed by its address"
    assert words in render(Board([incident(lacks=("deep_sleep", "fresh_address"))], [], []))
    assert words not in render(Board([incident(lacks=("deep_sleep",))], [], []))
