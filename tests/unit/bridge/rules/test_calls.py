"""When a button is visited, when a visit is given up, and how soon it is tried again."""

from itertools import count
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.rules import calls
from bridge.rules.calls import Calls, Reaction
from bridge.rules.expected_codes import Sighting
from wire.codes import ALARM, ALIVE, ALIVE_LOW, CONTACT, TEST

HERE, THERE = "C0:00:00:00:00:01", "C0:00:00:00:00:02"
RSSI = -60


def sighting(event: int = ALARM, counter: int = 1, *, new: bool = True) -> Sighting:
    return Sighting("DEVICEA" + "A" * 9, event, counter, f"{event}-{counter}", new, stale=False)


def visiting(*, linked: bool) -> Calls:
    """Return the calls of a button whose first alarm's code is visited, since 0 ms."""
    visited = Calls()
    visited.heard(HERE, sighting(), RSSI, 0)
    address, _ = visited.begin(0)
    visited.connecting(address, 0)
    if linked:
        visited.proved()
    return visited


def try_next(button: Calls, now_ms: int, *, is_false: bool = False) -> str:
    """Visit whoever comes next, without success; return its address."""
    address, _ = button.begin(now_ms)
    button.connecting(address, now_ms)
    if is_false and address != HERE:
        button.is_false(address)
    button.disconnected()
    button.ended(is_lost=True, is_received=False)
    return address


@pytest.mark.parametrize("event", [ALIVE, ALIVE_LOW])
def test_nobody_is_called_on_for_a_heartbeat(event: int) -> None:
    """It cannot be connected to."""
    button = Calls()
    assert button.heard(HERE, sighting(event), RSSI, 0) is Reaction.NOTHING
    assert not button.is_due(0)


@pytest.mark.parametrize(
    ("event", "fresh_ms"),
    [(ALARM, calls.PRESS_FRESH_MS), (TEST, calls.PRESS_FRESH_MS), (CONTACT, calls.CONTACT_FRESH_MS)],
)
def test_a_code_is_tried_for_as_long_as_it_may_be_on_the_air(event: int, fresh_ms: int) -> None:
    """A system may report it once, so silence says nothing."""
    button = Calls()
    assert button.heard(HERE, sighting(event), RSSI, 0) is Reaction.NOTE
    assert button.is_due(fresh_ms - 1)
    assert not button.is_due(fresh_ms)


@pytest.mark.parametrize(
    ("linked", "address", "heard", "reaction"),
    [
        (True, THERE, sighting(counter=2), Reaction.END),
        (False, THERE, sighting(counter=2), Reaction.END),
        (True, THERE, sighting(counter=2, new=False), Reaction.NOTE),
        (False, THERE, sighting(new=False), Reaction.NOTE),
        (True, THERE, sighting(new=False), Reaction.NOTE),
        (False, HERE, sighting(new=False), Reaction.NOTE),
    ],
)
def test_what_ends_a_visit_at_once(linked: bool, address: str, heard: Sighting, reaction: Reaction) -> None:
    """A new code does: the radio session that is visited is over."""
    assert visiting(linked=linked).heard(address, heard, RSSI, 9_000) is reaction


def test_who_shows_no_state_has_a_second_once_others_have_the_code() -> None:
    """Twice as long at each try; with the code to itself, or once the state is shown, as long as it takes."""
    button = visiting(linked=False)
    assert button.until_ms() is None
    button.heard(THERE, sighting(new=False), RSSI, 200)
    assert button.until_ms() == calls.ATTEMPT_MS_MIN
    button.disconnected()
    button.connecting(HERE, 5_000)
    assert button.until_ms() == 5_000 + 2 * calls.ATTEMPT_MS_MIN
    button.proved()
    assert button.until_ms() is None


def test_the_nearest_is_tried_first_and_none_is_tried_twice_before_all_were() -> None:
    """Where all are heard once, as some systems report them."""
    button, rssis = Calls(), {"near": -40, "nearer": -35, "far": -90, "next door": -70}
    for address, rssi in rssis.items():
        button.heard(address, sighting(), rssi, 0)
    tried = [try_next(button, 0) for _ in rssis]
    assert tried[0] == "nearer"
    assert sorted(tried) == sorted(rssis)


@pytest.mark.parametrize("event", [ALARM, TEST])
@pytest.mark.parametrize("ends", ["lost", "left"])
@pytest.mark.parametrize("passers", [1, 2, 5])
def test_who_takes_a_receipt_with_a_state_that_was_passed_on_hides_no_button(
    event: int, ends: str, passers: int
) -> None:
    """Each is nearer; the button was heard once, before them, and has its turn soon. Then it ends."""
    button = Calls()
    button.heard(HERE, sighting(event), RSSI, 0)
    for number in range(passers):
        button.heard(f"passer {number}", sighting(event, new=False), RSSI + 20, 100)
    tried: list[str] = []
    for turn in range(passers + 1):
        at_ms = 1_000 * turn
        assert button.is_due(at_ms)
        address, _ = button.begin(at_ms)
        tried.append(address)
        if address == HERE:
            break
        button.connecting(address, at_ms)
        button.proved()
        button.taken(at_ms, is_news=not turn)
        button.disconnected()
        button.ended(ends == "lost", is_received=True)
    assert HERE in tried
    button.connecting(HERE, 60_000)
    button.proved()
    button.taken(60_000, is_news=False)
    button.disconnected()
    button.ended(ends == "lost", is_received=True)
    while button.is_due(61_000):
        tried.append(try_next(button, 61_000))
    assert len(tried) <= 1 + 3 * passers


@given(st.integers(0, 2**32), st.integers(-95, -40), st.integers(0, 4))
def test_new_addresses_keep_nobody_out(seed: int, rssi: int, before: int) -> None:
    """An impostor with ever new addresses, nearer than the button: that comes in turn, and again in turn."""
    random, button = Random(seed), Calls()
    news = (f"impostor {number}" for number in count())

    def impostor(number: int) -> None:
        for _ in range(number):
            button.heard(next(news), sighting(), random.randint(-40, -30), 0)

    impostor(before)
    button.heard(HERE, sighting(), rssi, 0)
    for _ in range(2):  # links are lost, too
        waiting = len(button)
        for _ in range(2 * waiting + 1):
            if try_next(button, 0, is_false=random.random() < 0.5) == HERE:
                break
            impostor(random.randint(0, 1))
        else:
            pytest.fail("the button was kept out")


def test_who_has_shown_something_else_is_not_visited_again() -> None:
    """Not under another code either: it has not the key."""
    button = visiting(linked=False)
    button.is_false(HERE)
    button.disconnected()
    assert button.heard(HERE, sighting(new=False), RSSI, 1) is Reaction.NOTHING
    assert button.heard(HERE, sighting(counter=2), RSSI, 2) is Reaction.NOTHING
    assert not button.is_due(2)


def test_a_crowd_of_addresses_has_a_bound() -> None:
    """Who is heard again and again stays known in it."""
    button = Calls()
    for number in range(2 * calls.ADDRESSES_MAX):
        button.heard(f"shouter {number}", sighting(), RSSI, 0)
        button.heard(HERE, sighting(), RSSI, 0)
    assert len(button) == calls.ADDRESSES_MAX
    assert HERE in button


def test_what_is_heard_during_a_visit_that_said_all_is_dealt_with() -> None:
    """What is heard later is not."""
    button = visiting(linked=True)
    button.heard(HERE, sighting(new=False), RSSI, 500)
    button.disconnected()
    button.ended(is_lost=False, is_received=True)
    assert not button.is_due(500)
    button.heard(HERE, sighting(new=False), RSSI, 500)
    assert button.is_due(500)


@pytest.mark.parametrize("is_received", [False, True])
def test_a_lost_link_is_made_again_unless_the_button_has_its_receipt(is_received: bool) -> None:
    """Then the next CONTACT brings what comes later; what was heard meanwhile is tried all the same."""
    button = visiting(linked=True)
    button.disconnected()
    button.ended(is_lost=True, is_received=is_received)
    assert button.is_due(100) is not is_received
    button.heard(THERE, sighting(new=False), RSSI, 200)
    assert button.is_due(200)


def test_the_pauses_double_up_to_a_bound_and_begin_anew_with_progress() -> None:
    """A second at most while links are lost, eight where nothing is to be said."""
    button = visiting(linked=True)
    pauses_ms = [button.ended(is_lost=True, is_received=False) for _ in range(8)]
    assert pauses_ms == [100, 200, 400, 800, 1000, 1000, 1000, 1000]
    assert [button.ended(is_lost=False, is_received=False) for _ in range(4)] == [2000, 4000, 8000, 8000]
    button.heard(HERE, sighting(new=False), RSSI, 1)
    button.begin(1)
    button.taken(1, is_news=True)
    assert button.ended(is_lost=True, is_received=False) == calls.AGAIN_MS_MIN


def test_who_is_still_on_the_air_after_received_has_not_taken_it() -> None:
    """It is visited next, before the one that took it in its place; that one comes where no other is left."""
    button, late_ms = visiting(linked=True), 100 + calls.OFF_AIR_MS
    button.taken(100, is_news=True)
    assert button.heard(THERE, sighting(new=False), RSSI - 30, late_ms) is Reaction.NOTE
    assert button.heard(HERE, sighting(new=False), RSSI, late_ms + 1) is Reaction.NOTE
    assert button.heard(THERE, sighting(new=False), RSSI - 30, late_ms + 1) is Reaction.END
    button.disconnected()
    button.ended(is_lost=True, is_received=True)
    for _ in range(2):  # whichever way the turn chooses
        assert try_next(button, late_ms + 2) == THERE
    button.is_false(THERE)
    assert try_next(button, late_ms + 3) == HERE


@pytest.mark.parametrize("heard", [sighting(counter=2, new=False), sighting(CONTACT, new=False)])
def test_another_code_on_the_air_says_nothing_of_the_one_that_was_received(heard: Sighting) -> None:
    """It may be what a system remembers."""
    button = visiting(linked=True)
    button.taken(100, is_news=True)
    assert button.heard(THERE, heard, RSSI, 60_000) is Reaction.NOTE


def test_each_address_takes_a_receipt_once() -> None:
    """Two that pass the state on do not send the phone to and fro between them."""
    button = visiting(linked=True)
    button.taken(0, is_news=True)
    assert button.heard(THERE, sighting(new=False), RSSI, 2_000) is Reaction.END
    button.disconnected()
    button.ended(is_lost=True, is_received=True)
    address, _ = button.begin(2_000)
    button.connecting(address, 2_000)
    button.taken(2_100, is_news=False)
    assert (address, button.heard(HERE, sighting(new=False), RSSI, 9_000)) == (THERE, Reaction.NOTE)


def test_a_check_in_is_not_called_on_again() -> None:
    """Its state was read, and nothing is open; the next CONTACT is another code."""
    button = Calls()
    button.heard(HERE, sighting(CONTACT), RSSI, 0)
    button.was_check_in(button.begin(0)[1])
    assert button.heard(HERE, sighting(CONTACT, new=False), RSSI, 1) is Reaction.NOTHING
    assert button.heard(HERE, sighting(CONTACT, 2), RSSI, 2) is Reaction.NOTE
