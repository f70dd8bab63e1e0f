"""When a button is visited, when a visit is given up, and how soon it is tried again."""

import pytest

from bridge.rules import calls
from bridge.rules.calls import Calls, Reaction
from bridge.rules.expected_codes import Sighting
from wire.codes import ALARM, ALIVE, ALIVE_LOW, CONTACT, TEST

HERE, THERE = "C0:00:00:00:00:01", "C0:00:00:00:00:02"


def sighting(event: int = ALARM, counter: int = 1, *, new: bool = True) -> Sighting:
    return Sighting("DEVICEA" + "A" * 9, event, counter, f"{event}-{counter}", new, stale=False)


def visiting(*, linked: bool) -> Calls:
    """Return the calls of a button whose first alarm's code is visited, since 0 ms."""
    visited = Calls()
    visited.heard(HERE, sighting(), 0)
    visited.connecting(HERE, visited.begin(), 0)
    if linked:
        visited.linked()
    return visited


@pytest.mark.parametrize("event", [ALIVE, ALIVE_LOW])
def test_nobody_is_called_on_for_a_heartbeat(event: int) -> None:
    """It cannot be connected to."""
    button = Calls()
    assert button.heard(HERE, sighting(event), 0) is Reaction.NOTHING
    assert not button.is_due(0)


@pytest.mark.parametrize(
    ("event", "fresh_ms"),
    [(ALARM, calls.PRESS_FRESH_MS), (TEST, calls.PRESS_FRESH_MS), (CONTACT, calls.CONTACT_FRESH_MS)],
)
def test_a_code_is_tried_for_as_long_as_it_may_be_on_the_air(event: int, fresh_ms: int) -> None:
    """A system may report it once, so silence says nothing."""
    button = Calls()
    assert button.heard(HERE, sighting(event), 0) is Reaction.NOTE
    assert button.is_due(fresh_ms - 1)
    assert not button.is_due(fresh_ms)


@pytest.mark.parametrize(
    ("linked", "address", "heard", "now_ms", "reaction"),
    [
        (True, THERE, sighting(counter=2), 1, Reaction.END),
        (False, THERE, sighting(counter=2), 1, Reaction.END),
        (True, THERE, sighting(counter=2, new=False), 9_000, Reaction.NOTE),
        (False, THERE, sighting(new=False), calls.ATTEMPT_MS_MIN, Reaction.END),
        (False, THERE, sighting(new=False), calls.ATTEMPT_MS_MIN - 1, Reaction.NOTE),
        (True, THERE, sighting(new=False), 9_000, Reaction.NOTE),
        (False, HERE, sighting(new=False), 9_000, Reaction.NOTE),
    ],
)
def test_what_ends_a_visit(
    linked: bool, address: str, heard: Sighting, now_ms: int, reaction: Reaction
) -> None:
    """A new code does; the same code from elsewhere ends an attempt in time, and a link that is up never."""
    assert visiting(linked=linked).heard(address, heard, now_ms) is reaction


def test_what_is_heard_during_a_visit_that_said_all_is_dealt_with() -> None:
    """What is heard later is not."""
    button = visiting(linked=True)
    button.heard(HERE, sighting(new=False), 500)
    button.disconnected()
    button.ended(is_lost=False, is_received=True)
    assert not button.is_due(500)
    button.heard(HERE, sighting(new=False), 500)
    assert button.is_due(500)


@pytest.mark.parametrize("is_received", [False, True])
def test_a_lost_link_is_made_again_unless_the_button_has_its_receipt(is_received: bool) -> None:
    """Then the next CONTACT brings what comes later; what was heard meanwhile is tried all the same."""
    button = visiting(linked=True)
    button.disconnected()
    button.ended(is_lost=True, is_received=is_received)
    assert button.is_due(100) is not is_received
    button.heard(THERE, sighting(new=False), 200)
    assert button.is_due(200)


def test_the_pauses_double_up_to_a_bound_and_begin_anew_with_progress() -> None:
    """A second at most while links are lost, eight where nothing is to be said."""
    button = visiting(linked=True)
    pauses_ms = [button.ended(is_lost=True, is_received=False) for _ in range(8)]
    assert pauses_ms == [100, 200, 400, 800, 1000, 1000, 1000, 1000]
    assert [button.ended(is_lost=False, is_received=False) for _ in range(4)] == [2000, 4000, 8000, 8000]
    button.begin()
    button.brought()
    assert button.ended(is_lost=True, is_received=False) == calls.AGAIN_MS_MIN


def test_a_check_in_is_not_called_on_again() -> None:
    """Its state was read, and nothing is open; the next CONTACT is another code."""
    button = Calls()
    button.heard(HERE, sighting(CONTACT), 0)
    button.was_check_in(button.begin())
    assert button.heard(HERE, sighting(CONTACT, new=False), 1) is Reaction.NOTHING
    assert button.heard(HERE, sighting(CONTACT, 2), 2) is Reaction.NOTE
