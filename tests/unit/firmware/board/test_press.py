"""A press from pin to silence, in virtual time: what is on the air when, and what the hand feels."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.board import press as p
from firmware.board.press import Life, Press
from wire import codes
from wire.codes import ALARM, ALIVE, ALIVE_LOW, CONTACT, SPARE_COUNT, SPARE_FIRST
from wire.keys import Mac
from wire.receipts import ACKNOWLEDGED, CLOSED, DISPATCHED, HEARD, RECEIVED

PERIOD_MS = 900_000
MINUTE_MS = 60_000
HOUR_MS = 3_600_000


class Button:
    """Drives a Press through virtual time and keeps what it did: `(at_ms, action, ...)`."""

    def __init__(
        self, life: Life | None = None, *, now_ms: int = 0, slept: bool = False, power_lost: bool = True
    ):
        mac = Mac(bytes(range(32)))
        self.life = life or Life()
        self.life.checkin_ms = self.life.checkin_ms or 10 * 24 * HOUR_MS  # its own test
        self.press = Press(self.life, lambda n: codes.rhythm(mac, n, PERIOD_MS), lambda: 4711)
        self.now_ms = now_ms
        self.done: list[tuple[Any, ...]] = []
        self.flash_fails = False
        self._take(self.press.boot(now_ms, slept, power_lost))

    def _take(self, actions: list[tuple[Any, ...]]) -> None:
        self.done += [(self.now_ms, *action) for action in actions]
        for verb, *_ in actions:
            if verb in (p.SAVE_PRESS, p.SAVE_ALIVE):
                self.press.saved(verb, not self.flash_fails, self.now_ms)

    def until(self, now_ms: int) -> "Button":
        while self.press.due_ms() <= now_ms:
            assert self.press.due_ms() >= self.now_ms - 1, "a deadline in the past would spin"
            self.now_ms = max(self.now_ms, self.press.due_ms())
            before = (self.press.phase, self.press.due_ms())
            self._take(self.press.tick(self.now_ms))
            assert (self.press.phase, self.press.due_ms()) != before, "a tick that changes nothing would spin"
        self.now_ms = now_ms
        return self

    def hold(self) -> "Button":
        self._take(self.press.hold(self.now_ms))
        return self

    def clicks(self) -> "Button":
        self._take(self.press.clicks(self.now_ms))
        return self

    def receipt(self, stage: int) -> "Button":
        self._take(self.press.receipt(stage, self.now_ms))
        return self

    def links(self, carriers: int, strangers: int = 0) -> "Button":
        self._take(self.press.links(carriers + strangers, carriers, self.now_ms))
        return self

    def quiet(self) -> "Button":
        """Past the ALIVE that every start gives."""
        return self.until(self.now_ms + 5000).forget()

    def forget(self) -> "Button":
        self.done.clear()
        return self

    def saves(self, verb: str = p.SAVE_PRESS) -> list[int]:
        return [at for at, action, *_ in self.done if action == verb]

    def felt(self) -> list[tuple[int, object]]:
        return [(at, args[0]) for at, verb, *args in self.done if verb == p.VIBRATE]

    def sessions(self) -> list[tuple[int, int, int]]:
        return [(action[0], action[2], action[3]) for action in self.done if action[1] == p.SESSION]


def test_the_press_is_on_flash_and_felt_before_anything_else_then_on_the_air_at_once() -> None:
    """Commit, taken pulse, first advert: nothing in between, no time passes."""
    button = Button().quiet()
    start = button.now_ms
    button.hold()
    assert button.done == [
        (start, p.SAVE_PRESS),
        (start, p.VIBRATE, p.TAKEN),
        (start, p.SESSION, ALARM, 1),
        (start, p.ADVERTISE, 20_000),
    ]


def test_step_one_is_fast_for_30_s_slow_for_5_min() -> None:
    """20 ms for 30 s, then 152.5 ms for 5 min, under one code."""
    button = Button().quiet()
    start = button.now_ms
    button.hold().until(start + 330_000 - 1)
    assert [(at - start, us) for at, verb, *us in button.done if verb == p.ADVERTISE] == [
        (0, [20_000]),
        (30_000, [152_500]),
    ]
    assert len(button.sessions()) == 1


def test_unreceived_alarm_calls_every_minute_for_two_hours_then_at_alive_slots_for_ever() -> None:
    """Fresh CONTACT codes, never one used twice."""
    button = Button().quiet()
    start = button.now_ms
    button.hold().until(start + 26 * HOUR_MS)
    contacts = [(at - start, counter) for at, event, counter in button.sessions() if event == CONTACT]
    assert all(event in (ALARM, CONTACT) for _, event, _ in button.sessions())
    within = [at for at, _ in contacts if at < 2 * HOUR_MS]
    assert within[0] == 330_000
    assert {b - a for a, b in pairwise(within)} == {MINUTE_MS}
    later = [at for at, _ in contacts if at >= 2 * HOUR_MS + MINUTE_MS]
    gaps = [b - a for a, b in pairwise(later)]
    assert later[-1] > 25 * HOUR_MS
    assert all(PERIOD_MS * 0.8 <= gap <= PERIOD_MS * 1.2 for gap in gaps)
    assert len({counter for _, counter in contacts}) == len(contacts)


def test_received_hushes_the_adverts_but_keeps_the_link() -> None:
    """With a bridge linked, RECEIVED takes the button off the air without letting go."""
    button = Button().quiet()
    button.hold().links(1).until(button.now_ms + 100).forget().receipt(RECEIVED)
    assert [action[1] for action in button.done] == [p.SAVE_PRESS, p.VIBRATE, p.HUSH]


def test_link_is_kept_ten_minutes_after_received() -> None:
    """Then the radio goes off, and later stages come through CONTACT."""
    button = Button().quiet()
    start = button.now_ms
    button.hold().links(1).receipt(RECEIVED).forget().until(start + 10 * MINUTE_MS + 1)
    assert (start + 600_000, p.SILENCE) in button.done
    assert button.sessions()[0][:2] == (start + 600_000, CONTACT)


def test_received_alarm_calls_every_minute_and_ends_after_two_hours() -> None:
    """The stages that follow can still come; then there is silence but for ALIVE."""
    button = Button().quiet()
    start = button.now_ms
    button.hold().until(start + 1000).receipt(RECEIVED).until(start + 4 * HOUR_MS)
    events = [(at - start, event) for at, event, _ in button.sessions()]
    assert events[1] == (61_000, CONTACT)
    assert all(event in (ALARM, CONTACT) for at, event in events if at < 2 * HOUR_MS)
    assert all(event == ALIVE for at, event in events if at > 2 * HOUR_MS + MINUTE_MS)
    assert button.life.event == 0


def test_each_stage_is_felt_once_and_lower_ones_are_ignored() -> None:
    """RECEIVED, ACKNOWLEDGED, DISPATCHED and CLOSED, whatever is repeated in between."""
    button = Button().quiet()
    button.hold().links(1).forget()
    for stage in (HEARD, RECEIVED, RECEIVED, ACKNOWLEDGED, RECEIVED, DISPATCHED, CLOSED, CLOSED):
        button.receipt(stage)
    assert [what for _, what in button.felt()] == [RECEIVED, ACKNOWLEDGED, DISPATCHED, CLOSED]
    assert (button.press.phase, button.life.event) == (p.QUIET_PHASE, 0)


def test_a_higher_stage_implies_received() -> None:
    """ACKNOWLEDGED without RECEIVED before it: no *not confirmed* later."""
    button = Button().quiet()
    button.hold().links(1).receipt(ACKNOWLEDGED).until(button.now_ms + 5 * MINUTE_MS)
    assert p.NOT_CONFIRMED not in [what for _, what in button.felt()]


def test_not_confirmed_is_felt_once_after_60_s_and_received_whenever_it_comes() -> None:
    """The protected person must know that nobody has it yet, and know when somebody has."""
    button = Button().quiet()
    start = button.now_ms
    button.hold().until(start + 3 * HOUR_MS).receipt(RECEIVED)
    assert button.felt() == [
        (start, p.TAKEN),
        (start + 60_000, p.NOT_CONFIRMED),
        (start + 3 * HOUR_MS, RECEIVED),
    ]


def test_hold_while_waiting_is_the_same_press_and_starts_step_one_again() -> None:
    """The same code, at 20 ms again; felt as taken, and a new minute to wait."""
    button = Button().quiet()
    start = button.now_ms
    button.hold().until(start + 100_000).forget().hold()
    again_ms = start + 100_000
    assert button.done == [
        (again_ms, p.SAVE_PRESS),
        (again_ms, p.VIBRATE, p.TAKEN),
        (again_ms, p.ADVERTISE, 20_000),
    ]
    button.until(start + 500_000).forget().hold()
    assert button.sessions() == [(start + 500_000, ALARM, 1)]


def test_hold_after_received_is_a_new_press() -> None:
    """A second emergency is a second incident."""
    button = Button().quiet()
    button.hold().receipt(RECEIVED).forget().hold()
    assert button.sessions() == [(button.now_ms, ALARM, 2)]


def test_alarm_replaces_a_test_at_once() -> None:
    """A test is no reason to wait."""
    button = Button().quiet()
    button.clicks().until(button.now_ms + 100).forget().hold()
    assert button.sessions() == [(button.now_ms, ALARM, 2)]


@pytest.mark.parametrize("stage", [HEARD, RECEIVED])
def test_clicks_during_an_alarm_are_nothing(stage: int) -> None:
    """Whether or not it was received."""
    button = Button().quiet()
    button.hold().receipt(stage).forget().clicks()
    assert button.done == []


def test_a_test_ends_at_received() -> None:
    """Felt, and the radio off at once."""
    button = Button().quiet()
    button.clicks().links(1).forget().receipt(RECEIVED)
    assert [action[1] for action in button.done] == [p.SAVE_PRESS, p.VIBRATE, p.SILENCE]


def test_an_unreceived_test_ends_after_step_one() -> None:
    """Not confirmed was felt; no CONTACT follows."""
    button = Button().quiet()
    start = button.now_ms
    button.clicks().until(start + 2 * HOUR_MS)
    assert [what for _, what in button.felt()] == [p.TAKEN, p.NOT_CONFIRMED]
    assert CONTACT not in [event for _, event, _ in button.sessions()]
    assert button.life.event == 0


def test_alive_every_quarter_of_an_hour_for_two_to_four_seconds() -> None:
    """+-20 %, and not connectable events only."""
    button = Button().until(48 * HOUR_MS)
    times = [at for at, event, _ in button.sessions() if event == ALIVE]
    gaps = [b - a for a, b in pairwise(times)]
    assert min(gaps) >= 720_000
    assert max(gaps) <= 1_080_000
    assert max(gaps) - min(gaps) > 240_000, "the rhythm must vary"
    ends = [at for at, verb, *_ in button.done if verb == p.SILENCE]
    assert all(2000 <= end - at <= 4000 for at, end in zip(times, ends, strict=False))


def test_a_low_battery_changes_the_event() -> None:
    """ALIVE_LOW in the place of ALIVE."""
    button = Button().quiet()
    button.life.battery_low = True
    button.until(button.now_ms + HOUR_MS)
    assert {event for _, event, _ in button.sessions()} == {ALIVE_LOW}


def test_once_a_day_the_slot_is_a_contact() -> None:
    """The daily check-in: a bridge reads battery and faults."""
    life = Life()
    life.checkin_ms = 1  # due
    button = Button(life, now_ms=1).until(5 * 24 * HOUR_MS)
    assert len([1 for _, event, _ in button.sessions() if event == CONTACT]) == 5


def test_no_alive_counter_goes_on_the_air_beyond_what_flash_has_reserved() -> None:
    """Every 32nd slot reserves the next 32, before the code is used."""
    button = Button()
    reserved = 0
    button.until(200 * HOUR_MS)
    used = []
    for _, verb, *args in button.done:
        if verb == p.SAVE_ALIVE:
            reserved += 32
        if verb == p.SESSION:
            assert args[1] < reserved
            used.append(args[1])
    assert len(used) > 500
    assert used == sorted(set(used))


def reborn(life: Life) -> Life:
    """What flash alone gives back after power loss."""
    new = Life()
    new.press_counter, new.event, new.stage = life.press_counter, life.event, life.stage
    new.is_undated = True
    new.alive_reserve, new.alive_counter = life.alive_reserve, life.alive_reserve - 1
    return new


def test_unreceived_press_goes_on_after_power_loss_with_the_same_code() -> None:
    """The press is never lost; its age is a lower bound from now on."""
    before = Button().quiet().hold()
    after = Button(reborn(before.life), now_ms=5)
    assert after.sessions() == [(5, ALARM, 1)]
    assert after.life.age_is_lower_bound


def test_a_press_that_only_flash_knew_is_of_now_and_its_age_a_lower_bound() -> None:
    """Reset as TAKEN is felt, hours after another alarm: not told as hours old, and called each minute."""
    life = Life()
    life.press_counter, life.event, life.is_undated, life.saved_ms = 2, ALARM, True, 21_000_000
    life.opened_ms = life.started_ms = life.received_ms = 1000
    after = Button(life, now_ms=21_600_000, power_lost=False)
    assert (life.opened_ms, life.received_ms, life.age_is_lower_bound) == (21_600_000, 0, True)
    assert (after.now_ms, p.SAVE_PRESS) in after.done
    after.until(after.now_ms + HOUR_MS)
    calls_ms = [at for at, event, _ in after.sessions() if event == CONTACT]
    assert {b - a for a, b in pairwise(calls_ms)} == {MINUTE_MS}
    assert [at - 21_600_000 for at, _ in after.felt()] == [60_000]


@given(
    age_ms=st.integers(0, 3 * HOUR_MS), now_ms=st.integers(0, 5000), stage=st.sampled_from([HEARD, RECEIVED])
)
def test_a_clock_that_began_anew_takes_nothing_from_the_age_nor_from_the_minute(
    age_ms: int, now_ms: int, stage: int
) -> None:
    """Brown-out: RTC memory kept, its clock lost. What was known before it is a lower bound."""
    life = Life()
    life.press_counter, life.event, life.stage, life.saved_ms = 1, ALARM, stage, 10 * HOUR_MS
    life.opened_ms = life.started_ms = life.saved_ms - age_ms
    life.received_ms = life.saved_ms if stage else 0
    after = Button(life, now_ms=now_ms, power_lost=False)
    assert life.age_is_lower_bound
    if stage == HEARD:
        assert now_ms - life.opened_ms == age_ms
        after.until(now_ms + 2 * MINUTE_MS)
        assert [at - now_ms for at, _ in after.felt()] == [max(MINUTE_MS - age_ms, 0)]
    else:
        after.until(now_ms + 3 * HOUR_MS)
        assert life.event == 0


def test_received_alarm_calls_at_once_after_power_loss() -> None:
    """Later stages may be waiting; nothing is felt twice."""
    before = Button().quiet().hold().receipt(RECEIVED)
    after = Button(reborn(before.life), now_ms=5)
    assert [event for _, event, _ in after.sessions()] == [CONTACT]
    assert after.felt() == []


def test_alive_counter_after_power_loss_is_a_multiple_of_32_never_used() -> None:
    """The reserve is where a bridge looks for it."""
    before = Button().until(10 * HOUR_MS)
    after = Button(reborn(before.life))
    (_, _, counter) = after.sessions()[0]
    assert counter % 32 == 0
    assert counter > before.life.alive_counter


def test_waking_from_deep_sleep_for_a_slot_goes_on_the_air_at_once() -> None:
    """And a wake before the slot does nothing."""
    life = Button().until(HOUR_MS).life
    assert Button(life, now_ms=life.alive_ms - 1000, slept=True, power_lost=False).sessions() == []
    at_ms = life.alive_ms
    assert Button(life, now_ms=at_ms, slept=True, power_lost=False).sessions()[0][:2] == (at_ms, ALIVE)


def test_lost_counters_still_alarm_from_the_spare_range() -> None:
    """Never silent for want of a number."""
    life = Life()
    life.counters_lost = True
    button = Button(life).quiet().hold()
    ((_, event, counter),) = button.sessions()
    assert event == ALARM
    assert SPARE_FIRST <= counter < SPARE_FIRST + SPARE_COUNT


def test_a_bridge_that_cannot_reach_the_centre_does_not_stop_the_calls() -> None:
    """Linked and HEARD but never RECEIVED: after step one, CONTACT goes out for other bridges."""
    button = Button().quiet()
    start = button.now_ms
    button.hold().links(1).receipt(HEARD).until(start + 340_000)
    assert CONTACT in [event for _, event, _ in button.sessions()]


def test_links_without_an_open_press_are_let_go_after_the_check_in() -> None:
    """A bridge that follows a daily CONTACT keeps the button awake for seconds, not minutes."""
    life = Life()
    life.checkin_ms = 1
    button = Button(life, now_ms=1).links(1).until(10_000)
    assert button.press.phase == p.QUIET_PHASE


def test_an_alarm_received_late_stays_open_for_what_follows() -> None:
    """Out of reach for three hours: after RECEIVED there are two hours for the later stages."""
    button = Button().quiet()
    button.hold().until(button.now_ms + 3 * HOUR_MS).forget().receipt(RECEIVED)
    button.until(button.now_ms + HOUR_MS).receipt(ACKNOWLEDGED)
    assert [what for _, what in button.felt()] == [RECEIVED, ACKNOWLEDGED]
    assert {event for _, event, _ in button.sessions()} == {CONTACT}


@pytest.mark.parametrize("step", [330_000, 393_000])
def test_a_peer_that_has_just_come_is_not_cut_off_when_the_adverts_end(step: int) -> None:
    """At the end of step one and of a CONTACT, whoever is connecting has its five seconds."""
    button = Button().quiet()
    start = button.now_ms
    button.hold().until(start + step - 500).links(0, strangers=1).forget().until(start + step + 3000)
    assert [action[1] for action in button.done] == [p.HUSH]
    button.links(1).receipt(RECEIVED)
    assert button.felt()[-1][1] == RECEIVED


def test_a_bridge_that_brought_nothing_does_not_hold_up_the_calls() -> None:
    """One heard it and has no network, another brought RECEIVED and left: CONTACT within a minute."""
    button = Button().quiet()
    start = button.now_ms
    button.hold().links(1, strangers=1).receipt(RECEIVED).links(0, strangers=1)
    button.forget().until(start + 2 * MINUTE_MS)
    assert button.sessions()[0][0] <= start + MINUTE_MS + 5000


def test_lost_counters_go_round_within_the_spare_range_without_a_repeat() -> None:
    """Drawn once, then counted: no press is taken for an earlier one."""
    life = Life()
    life.counters_lost = True
    button = Button(life).quiet()
    counters = [button.hold().receipt(RECEIVED).sessions()[-1][2] for _ in range(SPARE_COUNT)]
    assert len(set(counters)) == SPARE_COUNT
    assert min(counters) == SPARE_FIRST
    assert max(counters) == SPARE_FIRST + SPARE_COUNT - 1


# -- flash that fails --------------------------------------------------------------------


def test_a_press_that_flash_did_not_take_is_written_again_until_it_is_there() -> None:
    """After 5 s, doubling to a minute, and before anything else is felt; then no more."""
    button = Button().quiet()
    start, button.flash_fails = button.now_ms, True
    button.hold().until(start + 160_000)
    assert [at - start for at in button.saves()] == [0, 5_000, 15_000, 35_000, 60_000, 75_000, 135_000]
    assert button.life.unsaved
    button.flash_fails = False
    button.until(start + 330_000)
    assert [at - start for at in button.saves()[7:]] == [195_000]
    assert not button.life.unsaved


def test_flash_that_fails_delays_nothing_on_the_air() -> None:
    """A day with it and one without: the same codes at the same moments, the same vibrations."""
    shown = []
    for fails in (False, True):
        button = Button().quiet()
        button.flash_fails = fails
        button.hold().until(button.now_ms + 24 * HOUR_MS)
        shown.append([action for action in button.done if action[1] not in (p.SAVE_PRESS, p.SAVE_ALIVE)])
    assert shown[0] == shown[1]


def test_flash_that_never_works_wears_neither_itself_nor_the_battery() -> None:
    """Tried once at each wake that there is anyway: within 2 h each minute, then each quarter of an hour."""
    button = Button().quiet()
    start, button.flash_fails = button.now_ms, True
    button.hold().until(start + 24 * HOUR_MS)
    wakes = {at for at, _, _ in button.sessions() if at > start}
    later = [at for at in button.saves() if at > start + 330_000]
    assert set(later) <= wakes
    assert len(button.saves()) < 8 + 2 * 60 + 24 * 5


def test_what_is_unsaved_is_written_at_the_next_wake_after_the_advert() -> None:
    """Deep sleep keeps it in RTC memory that something is owed: the press, and the reserve of counters."""
    life = Life()
    life.press_counter, life.event, life.unsaved = 1, ALARM, 3
    life.alive_reserve = 64
    life.opened_ms = life.started_ms = 1
    life.told_not_confirmed = True
    button = Button(life, now_ms=400_000, slept=True, power_lost=False)
    assert [action[1] for action in button.done] == [p.SESSION, p.ADVERTISE, p.SAVE_PRESS, p.SAVE_ALIVE]
    assert not life.unsaved


def test_a_stage_that_is_saved_saves_the_press_with_it() -> None:
    """Each write is of all that the press is: nothing is owed any more."""
    button = Button().quiet()
    button.flash_fails = True
    button.hold().until(button.now_ms + 1_000)
    button.flash_fails = False
    button.receipt(RECEIVED).forget().until(button.now_ms + MINUTE_MS - 1)
    assert button.saves() == []
