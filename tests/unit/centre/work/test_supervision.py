"""What is lost, and which part of it: by the rules, and in any order of signs, silences and set clocks."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from bridge.rules import reception
from bridge.rules import supervision as bridge_supervision
from centre.rules import heartbeats
from centre.rules import supervision as rules
from centre.rules.supervision import Bridge, Listener, LossKind, WatchWindow
from centre.work import buttons, supervision
from centre.work.core import Core
from centre.work.heartbeats import take_heartbeat
from tests.unit.centre.parts import Hand, core_at

ALIVE_S = 60
SILENCE_MS = rules.silence_ms(ALIVE_S)
MINUTE_MS = 60_000
NOW_MS = 1_800_000_000_000
WELL = Bridge(NOW_MS, leaving=False, battery_percent=80, listening_since_ms=NOW_MS - 90 * MINUTE_MS)


def kinds_of(bridge: Bridge, after_ms: int, is_open: tuple[str, ...] = (), since_ms: int = 0) -> set[str]:
    found = rules.of_bridge(
        bridge, [LossKind(kind) for kind in is_open], since_ms, NOW_MS + after_ms, ALIVE_S
    )
    return {finding.kind for finding in found if finding.lost}


def told(**change: Any) -> Bridge:
    return Bridge(**{name: getattr(WELL, name) for name in Bridge.__slots__} | change)


@pytest.mark.parametrize(
    ("bridge", "after_ms", "lost"),
    [
        (WELL, 0, set()),
        (WELL, SILENCE_MS, set()),
        (WELL, SILENCE_MS + 1, {"phone_silent"}),
        (told(battery_percent=5), SILENCE_MS + 1, {"phone_off"}),
        (told(battery_percent=None), SILENCE_MS + 1, {"phone_silent"}),
        (told(leaving=True), rules.GOODBYE_MS, set()),
        (told(leaving=True), rules.GOODBYE_MS + 1, {"phone_off"}),
        (told(battery_percent=14), 0, {"phone_battery_low"}),
        (told(battery_percent=15), 0, set()),
        (told(listening_since_ms=None), 0, {"bridge_deaf"}),
    ],
)
def test_which_of_a_phone_is_gone(bridge: Bridge, after_ms: int, lost: set[str]) -> None:
    """Off, silent, deaf, or nearly empty; each after its own declared time."""
    assert kinds_of(bridge, after_ms) == lost


def test_a_battery_between_low_and_well_stays_what_it_was() -> None:
    """It does not come and go at the limit."""
    assert kinds_of(told(battery_percent=17), 0) == set()
    assert kinds_of(told(battery_percent=17), 0, ("phone_battery_low",)) == {"phone_battery_low"}
    assert kinds_of(told(battery_percent=20), 0, ("phone_battery_low",)) == set()


def test_our_own_absence_is_nobodys_silence() -> None:
    """Counted from our start: the phones had nobody to speak to."""
    assert kinds_of(WELL, 3_600_000, since_ms=NOW_MS + 3_600_000 - SILENCE_MS) == set()
    assert kinds_of(WELL, 3_600_000, since_ms=NOW_MS + 3_600_000 - SILENCE_MS - 1) == {"phone_silent"}


def out_of_reach(*ears: Listener, after_ms: int = 0) -> bool | None:
    reach, _ = rules.of_button(900, False, ears, 0, NOW_MS + after_ms, ALIVE_S)
    return reach.lost


HEARS = Listener(WELL, True, NOW_MS)
REACH_MS = rules.reach_ms(900, ALIVE_S)


@pytest.mark.parametrize(
    ("ears", "lost"),
    [
        ([HEARS], False),
        ([Listener(WELL, False, NOW_MS)], True),
        ([Listener(WELL, False, NOW_MS), HEARS], False),
        ([Listener(WELL, False, None), Listener(WELL, False, NOW_MS)], True),
        ([Listener(told(listening_since_ms=None), False, NOW_MS)], None),
        ([Listener(told(alive_at_ms=NOW_MS - SILENCE_MS - 1), False, None)], None),
        ([Listener(told(leaving=True), False, None)], None),
        ([Listener(told(listening_since_ms=None), None, NOW_MS), Listener(WELL, False, None)], True),
        ([Listener(WELL, None, NOW_MS - REACH_MS - 1)], True),
        ([Listener(WELL, None, NOW_MS - REACH_MS)], False),
        ([Listener(WELL, None, NOW_MS - REACH_MS - 1, 4 * 3600)], False),
        (
            [
                Listener(WELL, None, NOW_MS - REACH_MS - 1),
                Listener(WELL, None, NOW_MS - REACH_MS - 1, 4 * 3600),
            ],
            False,
        ),
        ([Listener(WELL, False, NOW_MS, 4 * 3600)], True),
        ([], None),
    ],
)
def test_a_button_is_out_of_reach_only_where_nobody_who_listens_hears_it(
    ears: list[Listener], lost: bool | None
) -> None:
    """A phone that is off or deaf says nothing of a button, neither way."""
    assert out_of_reach(*ears) is lost


def test_the_declared_time_of_a_button_covers_two_late_periods() -> None:
    """39 min at 15 min, where bridges speak every minute."""
    assert REACH_MS == 39 * MINUTE_MS


@pytest.mark.parametrize(
    ("told_s", "found_after_min"),
    [(None, 39), (0, 39), (37 * 60, 39), (109 * 60, 111), (433 * 60, 435), (31 * 86_400, 435)],
)
def test_a_phone_that_hears_few_signs_says_how_long_it_waits_and_is_believed_within_bounds(
    told_s: int | None, found_after_min: int
) -> None:
    """Never less than two periods, never more than 24: no phone keeps a loss from being found."""
    assert rules.reach_ms(900, ALIVE_S, told_s) == found_after_min * MINUTE_MS


def test_bridge_and_centre_mean_the_same_bounds() -> None:
    """They share no code but `wire`."""
    assert (rules.MISSED_MIN, rules.MISSED_MAX) == (reception.MISSED_MIN, reception.MISSED_MAX)
    assert rules.REACH_SLACK_MS == bridge_supervision.REACH_SLACK_MS


@pytest.mark.parametrize(
    ("kind", "goodbye", "running", "cause"),
    [
        ("phone_silent", False, (1, 1), "network_gone"),
        ("phone_silent", False, (1, 2), "phone_off"),
        ("phone_off", False, (1, 1), "network_gone"),  # empty, we thought
        ("phone_off", True, (1, 2), "phone_off"),
        ("phone_silent", False, (None, 2), "phone_silent"),
        ("battery_low", False, (1, 2), "battery_low"),
    ],
)
def test_afterwards_off_and_cut_off_are_told_apart(
    kind: str, goodbye: bool, running: tuple[int | None, int | None], cause: str
) -> None:
    """A bridge that has run all along was there; one that was started anew had been off."""
    assert rules.cause(LossKind(kind), goodbye, running) == cause


def test_silence_is_counted_anew_after_a_set_clock_or_a_standstill() -> None:
    """And by nothing else."""
    reckoning = WatchWindow.begin(1_000_000, 0)
    assert not reckoning.look(1_005_000, 5_000)
    assert not reckoning.look(1_045_000, 45_000)
    assert reckoning.watching_since_ms == 1_000_000
    assert reckoning.look(8_250_000, 50_000), "set by 2 h"
    assert reckoning.watching_since_ms == 8_250_000
    assert reckoning.look(1_100_000, 55_000), "set back"
    assert reckoning.look(1_200_000, 155_000), "nothing was looked at for 100 s"
    assert reckoning.watching_since_ms == 1_200_000


@pytest.mark.parametrize(
    ("last_test_days_ago", "handed_out_days_ago", "days"),
    [(None, 30, 0), (None, 31, 31), (31, 400, 31), (29, 400, 0), (400, 3, 0)],
)
def test_a_button_that_nobody_tries_is_noticed(
    last_test_days_ago: int | None, handed_out_days_ago: int, days: int
) -> None:
    """After 30 days without a silent test; not before the person has had it for so long."""
    day_ms = 86_400_000
    last = None if last_test_days_ago is None else NOW_MS - last_test_days_ago * day_ms
    assert rules.untested_days(last, NOW_MS - handed_out_days_ago * day_ms, NOW_MS) == days


# -- with a real database ---------------------------------------------------------------------------------


class Shift:
    """A centre's supervision with a clock that we turn."""

    def __init__(self, home: Path, *hands: Hand) -> None:
        self.now_ms, self.monotonic_ms = NOW_MS, 0
        self.core: Core = core_at(home, lambda: self.now_ms)
        buttons.import_buttons(self.core, (hand.registered for hand in hands))
        self.bridges: list[str] = []
        for hand in hands:
            token = buttons.enrol(self.core, hand.enrolment_code, None, None)["token"]
            self.bridges.append(buttons.bridge_of(self.core, str(token)))
        self.reckoning = WatchWindow.begin(self.now_ms, self.monotonic_ms)

    def sign(self, n: int = 0, **body: Any) -> None:
        body = {"running_since": "2026-11-23T10:00:00Z", "phone": {"battery_percent": 80}} | body
        take_heartbeat(self.core, self.bridges[n], heartbeats.read(body), ALIVE_S)

    def wait(self, ms: int) -> None:
        self.now_ms, self.monotonic_ms = self.now_ms + ms, self.monotonic_ms + ms

    def look(self) -> int:
        """How many are found anew."""
        if self.reckoning.look(self.now_ms, self.monotonic_ms):
            supervision.clock_set_back(self.core)
        found, more = 0, True
        while more:
            looked = supervision.look(self.core, self.reckoning.watching_since_ms, ALIVE_S)
            found, more = found + looked.found, looked.more
        return found

    def watch(self, ms: int, *speaking: int, **body: Any) -> int:
        """Time goes on, a minute at a time; those `speaking` go on with it."""
        found = 0
        for _ in range(ms // 30_000):
            self.wait(30_000)
            for n in speaking:
                self.sign(n, **body)
            found += self.look()
        return found

    def kinds(self) -> list[str]:
        return sorted(loss.kind for loss in supervision.open_losses(self.core))


@pytest.fixture
def shift(tmp_path: Path) -> Iterator[Shift]:
    made = Shift(tmp_path, Hand())
    yield made
    made.core.store.close()


def test_a_silent_phone_is_found_once_and_told_apart_when_it_is_back(shift: Shift) -> None:
    """Lost within the declared time; two steady minutes later it was the network."""
    shift.sign()
    assert shift.watch(SILENCE_MS) == 0
    assert shift.watch(60_000) == 1
    assert shift.kinds() == ["phone_silent"]
    assert shift.watch(600_000) == 0
    shift.watch(60_000, 0)
    (loss,) = supervision.open_losses(shift.core)
    assert loss.back_at_ms
    shift.watch(rules.STEADY_MS, 0)
    assert shift.kinds() == []
    (past,) = supervision.losses_of_button(shift.core, Hand().device_id)
    assert (past.kind, past.began_at_ms, past.ended_at_ms) == ("network_gone", NOW_MS, loss.back_at_ms)
    told = [row["kind"] for row in shift.core.store.all("log_entries")]
    assert (told.count("lost"), told.count("found_again")) == (1, 1)


def test_a_phone_that_comes_and_goes_is_one_loss(shift: Shift) -> None:
    """A single sign in between neither ends it nor makes another."""
    shift.sign()
    shift.watch(SILENCE_MS + 60_000)
    for _ in range(3):
        shift.sign()
        assert shift.watch(SILENCE_MS + 60_000) == 0
    assert len(supervision.losses_of_button(shift.core, Hand().device_id)) == 1


def test_a_goodbye_is_a_phone_that_is_off(shift: Shift) -> None:
    """After two minutes: a restart is no news. It stays off whatever comes after."""
    shift.sign(leaving=True)
    assert shift.watch(rules.GOODBYE_MS) == 0
    shift.watch(60_000)
    assert shift.kinds() == ["phone_off"]
    shift.watch(240_000, 0, running_since="2026-11-23T12:00:00Z")
    assert supervision.losses_of_button(shift.core, Hand().device_id)[0].kind == "phone_off"


def test_a_button_that_nobody_hears_any_more(shift: Shift) -> None:
    """Its bridge lives and hears it no more: found after the declared time, once, and found again."""
    heard = {"device_id": Hand().device_id, "heard_at": "2026-11-23T10:00:00Z"}
    shift.sign(buttons=[heard])
    assert shift.watch(REACH_MS, 0, buttons=[heard]) == 0
    assert shift.watch(60_000, 0, buttons=[heard]) == 1
    assert shift.kinds() == ["button_out_of_reach"]
    shift.watch(60_000, 0, buttons=[heard | {"heard_at": "2026-11-23T11:00:00Z"}])
    assert supervision.open_losses(shift.core)[0].back_at_ms
    shift.watch(900_000, 0, buttons=[heard | {"heard_at": "2026-11-23T11:00:00Z"}])
    shift.watch(60_000, 0, buttons=[heard | {"heard_at": "2026-11-23T11:15:00Z"}])
    assert shift.kinds() == []


def test_a_button_that_a_sleeping_phone_hears_seldom_is_lost_when_that_phone_says(shift: Shift) -> None:
    """Not after 39 min, which mean nothing to it; and still found, once, within what it has told."""
    heard = {"device_id": Hand().device_id, "heard_at": "2026-11-23T10:00:00Z", "lost_after_s": 7200}
    shift.sign(buttons=[heard])
    assert shift.watch(rules.reach_ms(900, ALIVE_S, 7200), 0, buttons=[heard]) == 0
    assert shift.watch(60_000, 0, buttons=[heard]) == 1
    assert shift.kinds() == ["button_out_of_reach"]


def test_who_is_revoked_is_not_watched(shift: Shift) -> None:
    """Neither found, nor left standing."""
    shift.sign(buttons=[{"device_id": Hand().device_id, "low": True}])
    shift.look()
    assert shift.kinds() == ["battery_low"]
    buttons.revoke_button(shift.core, Hand().device_id)
    shift.watch(3_600_000)
    assert shift.kinds() == []


def test_many_at_once_are_said_once(tmp_path: Path) -> None:
    """Twelve phones fall silent: one line. A single one before it keeps its own."""
    shift = Shift(tmp_path, *(Hand(n) for n in range(1, 13)))
    for n in range(12):
        shift.sign(n)
    assert shift.watch(SILENCE_MS + 60_000) == 12
    (line,) = supervision.open_losses(shift.core)
    assert (line.kind, line.bridges, line.device_ids) == ("phone_silent", 12, ())
    shift.core.store.close()


@pytest.mark.parametrize("jump_ms", [7_200_000, -7_200_000])
def test_a_clock_that_is_set_loses_nobody(shift: Shift, jump_ms: int) -> None:
    """Nor does it hide who is silent: found within the declared time from then on."""
    shift.sign()
    shift.watch(60_000, 0)
    shift.now_ms += jump_ms
    assert shift.look() == 0
    assert shift.watch(SILENCE_MS) == 0
    assert shift.watch(60_000) == 1


def test_after_a_restart_everybody_has_the_declared_time_to_speak(shift: Shift) -> None:
    """We were away for an hour: nobody is lost for that."""
    shift.sign()
    shift.wait(3_600_000)
    shift.reckoning = WatchWindow.begin(shift.now_ms, shift.monotonic_ms)
    assert shift.look() == 0
    assert shift.watch(SILENCE_MS) == 0
    assert shift.watch(60_000) == 1


class Watching(RuleBasedStateMachine):
    """Any order of signs, silences, restarts of ours and set clocks, against a plain reckoning of silence."""

    home: Path

    @initialize()
    def begin(self) -> None:
        self.shift = Shift(Path(tempfile.mkdtemp(dir=Watching.home)), Hand())
        self.shift.sign()
        self.silent_ms = 0  # for how long nothing came, and we could have heard it
        self.silent_at_all_ms = 0

    @rule(ms=st.sampled_from([1_000, 20_000, 50_000]))
    def time_passes(self, ms: int) -> None:
        self.shift.wait(ms)
        self.silent_ms, self.silent_at_all_ms = self.silent_ms + ms, self.silent_at_all_ms + ms
        self.shift.look()

    @rule(times=st.integers(2, 6))
    def long_silence(self, times: int) -> None:
        for _ in range(times):
            self.time_passes(50_000)

    @rule()
    def a_sign(self) -> None:
        self.shift.sign()
        self.silent_ms = self.silent_at_all_ms = 0
        self.shift.look()

    @rule(hours=st.sampled_from([-5, -1, 1, 5]))
    def the_clock_is_set(self, hours: int) -> None:
        self.shift.now_ms += hours * 3_600_000
        self.silent_ms = 0
        self.shift.look()

    @rule(ms=st.integers(1_000, 7_200_000))
    def we_were_away(self, ms: int) -> None:
        self.shift.wait(ms)
        self.shift.reckoning = WatchWindow.begin(self.shift.now_ms, self.shift.monotonic_ms)
        self.silent_ms, self.silent_at_all_ms = 0, self.silent_at_all_ms + ms
        self.shift.look()

    @invariant()
    def never_a_loss_without_silence_nor_silence_without_a_loss(self) -> None:
        if not hasattr(self, "shift"):
            return
        lost = [one for one in supervision.open_losses(self.shift.core) if one.back_at_ms is None]
        assert len(lost) <= 1
        if self.silent_ms > SILENCE_MS:
            assert lost, "silent for longer than declared"
        if self.silent_at_all_ms <= SILENCE_MS:
            assert not lost, "it has spoken"

    def teardown(self) -> None:
        if hasattr(self, "shift"):
            self.shift.core.store.close()


def test_in_any_order(tmp_path: Path) -> None:
    """Never a loss without silence, never silence without a loss within the declared time."""
    Watching.home = tmp_path
    run_state_machine_as_test(
        Watching,
        settings=settings(
            max_examples=8,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
