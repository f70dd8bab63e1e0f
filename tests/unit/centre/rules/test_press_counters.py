"""Where a new phone starts to look: no stolen phone makes it deaf to the button."""

import random

import pytest

from bridge.model import Device
from bridge.rules.expected_codes import ExpectedCodes
from centre.rules import press_counters
from centre.rules.press_counters import Heard
from tests.parts import seeds
from tests.unit.centre.parts import Hand
from wire import codes
from wire.keys import Mac, derive

HAND = Hand()
DAY_MS = 86_400_000


def understood(start: int, alive: int, *counters: int) -> list[int]:
    """Which presses of the button a phone that starts there knows for what they are."""
    key = derive(HAND.root, "code")
    device = Device(HAND.device_id, 0, key, b"", b"", 900, start, alive, "token")
    watch = ExpectedCodes()
    watch.add(device, 0)
    heard = []
    for counter in counters:
        text = codes.code(Mac(key), codes.ALARM, counter).hex()
        uuid = "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
        sighting = watch.hear([uuid], 1_000)
        if sighting is not None:
            assert sighting.counter == counter
            heard.append(counter)
    return heard


@pytest.mark.parametrize("thiefs", [60, 300, 2_303, 2_304, 100_000, 0x7FFFFFFF])
@pytest.mark.parametrize("is_live", [True, False])
def test_one_wild_counter_makes_the_next_phone_not_deaf(thiefs: int, is_live: bool) -> None:
    """Revoked or not yet: the presses that come next are understood."""
    start = press_counters.press([Heard(1, True), Heard(thiefs, is_live)], DAY_MS)
    assert understood(start, 0, 2, 3, 32, 64) == [2, 3, 32, 64]


def test_a_phone_in_place_of_a_lost_one_understands_the_next_press() -> None:
    """All presses of a year came by the phone that is revoked now."""
    start = press_counters.press([Heard(counter, False) for counter in range(1, 401)], 365 * DAY_MS)
    assert start == 400
    assert understood(start, 0, 401, 402, 416) == [401, 402, 416]


def test_a_row_of_presses_by_a_revoked_phone_moves_nothing_past_the_window() -> None:
    """It would have to scream for days; and even then what comes next is understood."""
    heard = [Heard(1, True), *(Heard(counter, False) for counter in range(2, 3_000))]
    start = press_counters.press(heard, DAY_MS // 2)
    assert understood(start, 0, 2, 3, 32, 64) == [2, 3, 32, 64]


@pytest.mark.parametrize("seed", seeds(8, 30))
def test_whatever_a_thief_tells_the_next_presses_are_understood(seed: int) -> None:
    """Drawn: the button's own presses, some of them missed; a few of a stolen phone, anywhere."""
    draw = random.Random(seed)
    last = draw.randint(1, 200)
    own = {counter for counter in range(1, last + 1) if draw.random() < 0.8} | {last}
    wild = {int(2 ** draw.uniform(0, 31)) for _ in range(draw.randint(1, 8))} - own
    is_live = draw.random() < 0.5
    heard = sorted(
        [Heard(counter, True) for counter in own] + [Heard(counter, is_live) for counter in wild],
        key=lambda one: one.counter,
    )
    start = press_counters.press(heard, draw.randint(0, 10) * DAY_MS)
    expected = [last + 1, last + 2, last + 20]
    assert understood(start, 0, *expected) == expected, f"seed {seed}"


def test_an_alive_counter_is_believed_only_as_far_as_time_allows() -> None:
    """A year in a drawer, still beating, and cold boots; not more, however often it is told."""
    assert press_counters.is_alive_plausible(35_000, 365 * DAY_MS, 900)
    assert press_counters.is_alive_plausible(5 * codes.RESERVE, 0, 900)
    assert not press_counters.is_alive_plausible(5_000, 0, 900)
    assert not press_counters.is_alive_plausible(codes.SPARE_FIRST - 1, 365 * DAY_MS, 900)


@pytest.mark.parametrize("seed", range(50))
def test_what_is_gapless_is_believed_whole(seed: int) -> None:
    """The short way and the long one agree, whichever counters were drawn."""
    draw = random.Random(seed)
    highest = draw.randint(1, 400)
    drawn = {counter for counter in range(1, highest) if draw.random() < draw.choice([0.3, 0.8, 1.0])}
    counters = sorted(drawn | {highest})
    if press_counters.is_gapless(len(counters), highest):
        assert press_counters.press([Heard(counter, True) for counter in counters], 0) == highest
