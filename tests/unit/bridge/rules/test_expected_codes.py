"""Which codes the bridge expects, and what it makes of those that come."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest

from bridge.model import Alive
from bridge.rules.expected_codes import (
    AHEAD,
    BEHIND,
    MULTIPLES,
    STALE_MS,
    ExpectedCodes,
    Sighting,
    Window,
    quick_texts,
    uuid_text,
)
from tests.unit.bridge.parts import device, dice
from wire.codes import (
    ALARM,
    ALIVE,
    ALIVE_LOW,
    CONTACT,
    EVENTS,
    SPARE_COUNT,
    SPARE_FIRST,
    TEST,
    code,
    rhythm,
)
from wire.keys import Mac

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
PERIOD_MS = 900_000


def on_air(event: int, counter: int, number: int = 1) -> list[str]:
    return [uuid_text(code(Mac(device(number).k_code), event, counter))]


@cache
def texts(k_code: bytes) -> Callable[[int, int], str]:
    """Each code is reckoned once for all tests here."""
    return cache(quick_texts(k_code))


def watch(*, press: int = 0, alive: int = 0, accepted: tuple[tuple[int, int], ...] = ()) -> ExpectedCodes:
    watch = ExpectedCodes(texts)
    watch.add(device(1, press_counter=press), 0, accepted, Alive(device(1).device_id, alive, 0, alive, 0))
    return watch


def is_new(watch: ExpectedCodes, event: int, counter: int, now_ms: int = 0) -> bool | None:
    """Return True for a new one, False for the same again, None for one that is not ours."""
    sighting = watch.hear(on_air(event, counter), now_ms)
    return sighting and sighting.new


def test_the_quick_codes_are_the_codes_of_the_wire() -> None:
    """The hot path's own arithmetic says exactly what `wire.codes.code` says."""
    chance = dice(7)
    for _ in range(300):
        key, event, counter = chance.randbytes(32), chance.choice(EVENTS), chance.getrandbits(32)
        assert quick_texts(key)(event, counter) == uuid_text(code(Mac(key), event, counter))


def test_a_press_is_new_once() -> None:
    """A burst of one code is one press; ALARM and TEST of one counter are two."""
    ours = watch()
    assert [is_new(ours, ALARM, 1) for _ in range(3)] == [True, False, False]
    assert is_new(ours, TEST, 1) is True


@pytest.mark.parametrize("seed", range(8))
def test_presses_in_any_order_with_loss_are_accepted_exactly_once(seed: int) -> None:
    """Whatever is heard of 600 presses, in an order that is off by up to 100, comes exactly once."""
    chance = dice(seed)
    sent = [(chance.choice((ALARM, TEST)), counter) for counter in range(1, 601)]
    heard = [press for press in sent if chance.random() < 0.7]
    order = sorted(heard, key=lambda press: press[1] + chance.uniform(0, 100))
    ours = watch()
    first = [is_new(ours, *press) for press in order]
    assert first == [True] * len(order)
    assert not any(is_new(ours, *press) for press in order[-150:])


@pytest.mark.parametrize(
    "high", [0, 15, 32, 1000, *(pytest.param(high, marks=pytest.mark.slow) for high in (1, 16, 31, 100))]
)
def test_the_next_256_and_64_multiples_are_expected_wherever_we_are(high: int) -> None:
    """After any press the prediction reaches as far as the protocol says."""
    for counter in (
        *range(high + 1, high + AHEAD + 1, 51),
        high + AHEAD,
        *((high // 32 + multiple) * 32 for multiple in (1, 40, MULTIPLES)),
    ):
        for start in (high, max(high - 3, 0)):  # at once, and moved there press by press
            ours = watch(press=start)
            for step in range(start + 1, high + 1):
                assert is_new(ours, ALARM, step) is True
            assert is_new(ours, TEST, counter) is True, counter
            assert is_new(ours, ALARM, counter + AHEAD) is True, "it moved on from there"


def test_a_late_press_behind_the_highest_is_accepted() -> None:
    """Never heard, up to 256 behind: taken in any order. The highest stays what it was."""
    ours = watch(press=1000)
    for counter in (1000 - BEHIND, 999, 750, 1000):
        assert is_new(ours, ALARM, counter) is True
        assert is_new(ours, ALARM, counter) is False
    assert is_new(ours, ALARM, 1000 + AHEAD) is True


def test_after_a_far_jump_the_presses_behind_are_still_expected() -> None:
    """A jump over a thousand presses leaves the 256 before it open, heard or not."""
    ours = watch()
    assert is_new(ours, ALARM, 1024) is True
    assert is_new(ours, ALARM, 1024 - BEHIND) is True
    assert is_new(ours, TEST, 1023) is True
    assert is_new(ours, ALARM, 3) is None


def test_the_journal_is_remembered() -> None:
    """After a restart a press that is still on the air is the same press, a spare one too."""
    ours = watch(accepted=((ALARM, 40), (TEST, 41), (ALARM, SPARE_FIRST + 5)))
    assert is_new(ours, ALARM, 40) is False
    assert is_new(ours, ALARM, SPARE_FIRST + 5) is False
    assert is_new(ours, TEST, 40) is True
    assert is_new(ours, ALARM, 41 + AHEAD) is True


def test_the_spare_range_is_expected_and_moves_nothing() -> None:
    """A button without counters alarms; what comes next stays what it was."""
    ours = watch(press=10)
    before = ours.filter_codes(0)
    for counter in (SPARE_FIRST, SPARE_FIRST + SPARE_COUNT - 1):
        assert is_new(ours, ALARM, counter) is True
        assert is_new(ours, ALARM, counter) is False
    assert ours.filter_codes(0) == before
    assert is_new(ours, ALARM, SPARE_FIRST + SPARE_COUNT) is None
    assert is_new(ours, ALARM, 11) is True


def test_the_last_counters_before_the_spare_range_work() -> None:
    """The window ends where the spare range begins."""
    ours = watch(press=SPARE_FIRST - 3)
    assert is_new(ours, ALARM, SPARE_FIRST - 1) is True
    assert is_new(ours, ALARM, SPARE_FIRST) is True


def test_memory_stays_the_same_over_ten_thousand_presses() -> None:
    """What leaves the window leaves the dictionary."""
    ours = watch()
    sizes = set()
    for counter in range(1, 10_001):
        assert is_new(ours, ALARM, counter) is True
        if counter > 1000 and counter % 500 == 0:
            sizes.add(len(ours))
    assert max(sizes) - min(sizes) < 200


def test_several_buttons_do_not_disturb_each_other() -> None:
    """Each code says whose it is."""
    ours = ExpectedCodes(texts)
    for number in range(1, 6):
        ours.add(device(number), 0)
    for counter in range(1, 30):
        for number in range(1, 6):
            sighting = ours.hear(on_air(ALARM, counter, number), 0)
            assert sighting
            assert (sighting.device_id, sighting.counter, sighting.new) == (
                device(number).device_id,
                counter,
                True,
            )


def test_foreign_adverts_are_dismissed_and_only_codes_counted() -> None:
    """A heart rate sensor is nobody's forgery; an unknown version 4 UUID may be one."""
    ours = watch()
    for uuids in ([], ["0000180d-0000-1000-8000-00805f9b34fb"], ["180d"], [""]):
        assert ours.hear(uuids, 0) is None
    assert ours.unknown == 0
    forged = on_air(ALARM, 1, number=9)
    assert ours.hear(forged, 0) is None
    assert ours.unknown == 1
    # BlueZ keeps what it has seen of an address: ours may be among others.
    assert ours.hear(["0000180d-0000-1000-8000-00805f9b34fb", *forged, *on_air(ALARM, 1)], 0) is not None


def test_alive_only_counts_forward() -> None:
    """The same ALIVE again is not new, an older one is nobody's."""
    ours = watch()
    assert is_new(ours, ALIVE, 5, PERIOD_MS) is True
    assert is_new(ours, ALIVE, 5, PERIOD_MS) is False
    assert is_new(ours, ALIVE, 4, PERIOD_MS) is None
    assert is_new(ours, ALIVE_LOW, 6, 2 * PERIOD_MS) is True
    assert is_new(ours, CONTACT, 7, 3 * PERIOD_MS) is True
    assert is_new(ours, CONTACT, 7, 3 * PERIOD_MS) is False  # still on the air: connect again


@pytest.mark.parametrize("days", [1, 10, 60, 120])
def test_a_button_that_was_away_is_expected_where_time_has_brought_it(days: int) -> None:
    """At most 20 % faster than its period; the fastest and the slowest are both known at once."""
    slots = days * DAY_MS // PERIOD_MS
    for pace in (5 / 6, 1, 5 / 4):
        ours = watch(alive=100)
        ours.tick(days * DAY_MS)
        assert is_new(ours, ALIVE, 100 + int(slots * pace), days * DAY_MS) is True


def test_a_button_whose_past_is_unknown_is_found_at_a_multiple_of_32() -> None:
    """Enrolled a year after its provisioning: it passes one within eight hours."""
    ours = ExpectedCodes(texts)
    ours.add(device(1), 0)
    year = 365 * DAY_MS // PERIOD_MS // 32 * 32
    assert is_new(ours, CONTACT, year, 0) is True
    assert is_new(ours, ALIVE, year + 1, PERIOD_MS) is True


def _due_ms(counter: int) -> int:
    mac = Mac(device(1).k_code)
    return sum(rhythm(mac, slot, PERIOD_MS)[0] for slot in range(counter))


def test_alive_on_time_is_not_stale_and_a_late_one_is() -> None:
    """The rhythm is known to the bridge to the second; a replay after it stands out."""
    for counter in (1, 2, 17):
        assert _alive(watch(), counter, _due_ms(counter)) == (True, False)
        assert _alive(watch(), counter, _due_ms(counter) + STALE_MS // 2) == (True, False)
        assert _alive(watch(), counter, _due_ms(counter) * 21 // 20 + 2 * STALE_MS) == (True, True)


def test_contacts_of_an_open_press_are_never_stale() -> None:
    """They come every minute, long before the rhythm's time."""
    ours = watch()
    assert {_contact(ours, counter, counter * 60_000) for counter in range(1, 120)} == {(True, False)}


def test_a_recorded_series_stays_stale_until_the_button_answers() -> None:
    """Played later in its own rhythm it is as late as its first; only a link sets the time anew."""
    ours = watch()
    late_ms = 6 * HOUR_MS
    for counter in range(1, 20):
        assert _alive(ours, counter, _due_ms(counter) + late_ms) == (True, True)
    ours.lives(device(1).device_id, _due_ms(19) + late_ms)
    assert _alive(ours, 20, _due_ms(20) + late_ms) == (True, False)


def _alive(ours: ExpectedCodes, counter: int, now_ms: int, event: int = ALIVE) -> tuple[bool, bool]:
    sighting = ours.hear(on_air(event, counter), now_ms)
    assert sighting
    return sighting.new, sighting.stale


def _contact(ours: ExpectedCodes, counter: int, now_ms: int) -> tuple[bool, bool]:
    return _alive(ours, counter, now_ms, CONTACT)


def test_a_scan_filter_gets_the_most_needed_codes_first_and_says_when_it_changed() -> None:
    """The next four presses, the current CONTACT and ALIVE, the next multiple of 32; then what is on air."""
    ours = watch(press=9, alive=3)
    expected = [
        uuid for counter in range(10, 14) for event in (ALARM, TEST) for uuid in on_air(event, counter)
    ]
    expected += on_air(CONTACT, 4) + on_air(ALIVE, 4) + on_air(ALARM, 32) + on_air(TEST, 32)
    expected += on_air(CONTACT, 32) + on_air(ALIVE, 32)
    assert ours.filter_codes(0)[: len(expected)] == expected
    before = ours.generation
    assert ours.hear(on_air(ALARM, 9, number=9), 0) is None
    assert ours.generation == before
    assert is_new(ours, ALARM, 10) is True
    assert ours.generation != before
    assert ours.filter_codes(0)[0] == on_air(ALARM, 11)[0]
    assert on_air(ALARM, 10)[0] in ours.filter_codes(0)  # to find it again when a link is lost


@pytest.mark.parametrize("minutes", [2, 9, 31])
def test_a_filter_finds_a_press_again_that_was_made_out_of_reach(minutes: int) -> None:
    """Its CONTACTs came every minute where nobody heard them: the next one is on the list, whenever the
    press was made; also where the power was lost meanwhile."""
    ours = watch(alive=3)
    before = ours.generation
    ours.tick(minutes * 60_000)
    assert ours.generation != before
    codes = ours.filter_codes(minutes * 60_000)
    for missed in range(minutes):
        assert on_air(CONTACT, 4 + missed)[0] in codes
        assert on_air(CONTACT, 32 + missed)[0] in codes


def test_a_filter_finds_a_button_again_after_a_night_out_of_reach() -> None:
    """By its rhythm it may be at any of these."""
    ours, at_ms, counter = watch(alive=3), 0, 3
    mac = Mac(device(1).k_code)
    while at_ms < 8 * HOUR_MS:
        at_ms += rhythm(mac, counter, PERIOD_MS)[0]
        counter += 1
    codes = ours.filter_codes(at_ms)
    assert on_air(ALIVE, counter)[0] in codes
    assert on_air(CONTACT, counter)[0] in codes
    assert len(codes) < 700


@pytest.mark.parametrize("minutes", [4, 9, 31])
@pytest.mark.parametrize("losses", [2, 3, 7])
def test_a_filter_finds_a_button_again_that_lost_its_power_more_than_once(losses: int, minutes: int) -> None:
    """Each loss moves its counter to the next multiple of 32, and from there it calls every minute."""
    codes = watch(alive=3).filter_codes(minutes * 60_000)
    for called in range(minutes):
        assert on_air(CONTACT, 32 * losses + called)[0] in codes


@pytest.mark.parametrize("called", [1, 2, 17, 31, 32, 40, 64, 75, 200])
def test_a_filter_without_anything_known_of_a_button_finds_its_call(called: int) -> None:
    """The row of its heartbeats is lost, or cannot be read: wherever it is since it was enrolled."""
    ours = ExpectedCodes(texts)
    ours.add(device(1), 0)
    assert on_air(CONTACT, called)[0] in ours.filter_codes(0)
    assert _contact(ours, called, 0) == (True, False)


@pytest.mark.parametrize("called", [1, 2, 17, 31])
@pytest.mark.parametrize("base", [40_000, 40_032, 40_128])
def test_a_filter_looks_beyond_what_the_centre_says_of_a_button(base: int, called: int) -> None:
    """What the centre knows is as old as the last heartbeat that it was told of."""
    ours = ExpectedCodes(texts)
    ours.add(device(1), 0)
    ours.expect_after(device(1).device_id, 0, 40_000)
    assert on_air(CONTACT, base + called)[0] in ours.filter_codes(0)


@pytest.mark.parametrize("field", ["counter", "on_time_counter", "heard_at_ms", "on_time_at_ms"])
@pytest.mark.parametrize("bit", [0, 3, 6, 10, 15, 20, 30, 31])
def test_a_flipped_bit_of_what_is_known_of_a_button_hides_none_of_its_calls(field: str, bit: int) -> None:
    """The row can be read, and one of its numbers is not what was written."""
    known = Alive(device(1).device_id, 35_000, 10 * HOUR_MS, 35_000, 10 * HOUR_MS)
    damaged = replace(known, **{field: getattr(known, field) ^ 1 << bit})
    for called in (35_001, 35_003, 35_024, 35_060):
        ours = ExpectedCodes(texts)
        ours.add(device(1), 11 * HOUR_MS, (), damaged)
        assert on_air(CONTACT, called)[0] in ours.filter_codes(11 * HOUR_MS)
        assert is_new(ours, CONTACT, called, 11 * HOUR_MS)
        assert ours.counters(device(1).device_id)[1] == called


def test_filters_of_several_buttons_take_turns() -> None:
    """A system that takes few codes hears the next press of every button."""
    ours = ExpectedCodes(texts)
    for number in (1, 2, 3):
        ours.add(device(number), 0)
    assert ours.filter_codes(0)[:6] == [
        uuid for number in (1, 2, 3) for event in (ALARM, TEST) for uuid in on_air(event, 1, number)
    ]


def test_a_press_read_from_a_state_counts_as_accepted() -> None:
    """Later its own code is the same press, and the prediction has moved."""
    ours = watch()
    name = device(1).device_id
    assert ours.accept(name, ALARM, 200)
    assert not ours.accept(name, ALARM, 200)
    assert ours.hear(on_air(ALARM, 200), 0) == Sighting(name, ALARM, 200, on_air(ALARM, 200)[0], False, False)
    assert is_new(ours, ALARM, 200 + AHEAD) is True


def test_a_button_that_lost_its_counters_can_still_call() -> None:
    """CONTACT from the spare range is followed once each, and moves no prediction."""
    ours = watch()
    assert [is_new(ours, CONTACT, SPARE_FIRST + n) for n in (700, 3, 700)] == [True, True, False]
    assert is_new(ours, CONTACT, 1) is True


def test_what_the_centre_says_of_counters_is_expected_too_and_moves_nothing() -> None:
    """Other bridges have followed the button; or the centre is wrong, or worse: the button is heard all the
    same, where it was and where it is said to be."""
    ours = watch(press=10, alive=10)
    name = device(1).device_id
    before = len(ours)
    for hint in (5_000_000, 2**31 - 300, 700_000):
        generation = ours.generation
        ours.expect_after(name, hint, hint)
        ours.expect_after(name, hint, hint)
        assert ours.generation == generation + 1
    assert len(ours) < 4 * before
    ours = watch(press=10, alive=10)
    ours.expect_after(name, 2**31 - 300, 2**31 - 300)
    assert is_new(ours, ALARM, 11)
    assert is_new(ours, ALIVE, 11)
    ours.expect_after(name, 5_000_000, 5_000_000)
    assert on_air(ALARM, 5_000_001)[0] in ours.filter_codes(0)
    assert is_new(ours, ALIVE, 5_000_001)
    assert is_new(ours, ALARM, 5_000_200)
    assert is_new(ours, ALARM, 5_000_201 + 255)
    assert on_air(ALARM, 5_000_200 + 257)[0] in ours.filter_codes(0)


def test_a_centre_that_says_something_else_each_minute_costs_no_memory() -> None:
    """Only its last word is kept."""
    ours = watch(press=10, alive=10)
    name, sizes = device(1).device_id, set()
    for hint in range(10_000, 400_000, 10_000):
        ours.expect_after(name, hint, hint)
        sizes.add(len(ours))
    assert max(sizes) - min(sizes) < 200
    assert is_new(ours, ALARM, 12)


def test_a_narrow_window_expects_less_and_hears_what_comes_next() -> None:
    """For a city of bridges in one process: it stays small, and moves on as the wide one does."""
    wide, narrow = ExpectedCodes(texts), ExpectedCodes(texts, Window(ahead=8, multiples=1, spare=0))
    for one in (wide, narrow):
        one.add(device(1), 0, alive=Alive(device(1).device_id, 5, 0, 5, 0))
    assert len(narrow) * 20 < len(wide)
    for counter in range(1, 200):
        sighting = narrow.hear(on_air(ALARM, counter), 0)
        assert sighting is not None
        assert sighting == wide.hear(on_air(ALARM, counter), 0)
