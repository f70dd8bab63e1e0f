"""What the hand means: a hold alarms, three clicks test, everything else is nothing."""

import random

import pytest

from firmware.board.config import SETTINGS
from firmware.board.gesture import CLICKS, FREE, HOLD, NOTHING, SETTLE_MS, STUCK, Gesture

Trace = list[tuple[int, bool]]  # (at_ms, down)


def made(settings: dict[str, int] | None = None, *, stuck: bool = False) -> Gesture:
    """With the defaults, but for these."""
    return Gesture({name: bounds[0] for name, bounds in SETTINGS.items()} | (settings or {}), stuck)


def meant(
    trace: Trace, until_ms: int, *, step_ms: int = 5, gesture: Gesture | None = None
) -> list[tuple[int, int]]:
    """`(at_ms, gesture)` for a pin trace, seen by a loop that wakes every `step_ms`."""
    gesture = gesture or made()
    found = []
    pending = list(trace)
    for now_ms in range(0, until_ms + 1, step_ms):
        while pending and pending[0][0] <= now_ms:
            at_ms, down = pending.pop(0)
            found.append((at_ms, gesture.edge(down, at_ms)))
        found.append((now_ms, gesture.tick(now_ms)))
    return [(at_ms, what) for at_ms, what in found if what != NOTHING]


def click(at_ms: int, length_ms: int = 100) -> Trace:
    return [(at_ms, True), (at_ms + length_ms, False)]


def bounced(trace: Trace, rng: random.Random) -> Trace:
    """The same trace as contacts make it: up to five flips within 12 ms after each edge."""
    noisy = []
    for at_ms, down in trace:
        moments = sorted(rng.randrange(0, 12) for _ in range(rng.randrange(0, 3) * 2))
        levels = [not down if n % 2 == 0 else down for n in range(len(moments))]
        noisy += [(at_ms, down), *((at_ms + m, level) for m, level in zip(moments, levels, strict=True))]
    return noisy


def test_hold_is_meant_after_two_seconds() -> None:
    """The alarm comes while the finger is still down, 2 s after it went down."""
    assert meant([(100, True), (3000, False)], 4000) == [(2100, HOLD)]


def test_hold_is_said_once_however_long() -> None:
    """A long hold is one press."""
    assert [what for _, what in meant([(0, True), (30_000, False)], 31_000)] == [HOLD]


@pytest.mark.parametrize("length_ms", [30, 400, 600, 1500, 1950])
def test_a_short_press_is_nothing(length_ms: int) -> None:
    """A pocket presses shorter than the hold."""
    assert meant(click(100, length_ms), 5000) == []


def test_a_glitch_while_held_does_not_end_the_hold() -> None:
    """A worn contact opens for some ms under the finger."""
    trace = [(0, True), (900, False), (910, True), (1700, False), (1715, True), (2500, False)]
    assert meant(trace, 3000) == [(2000, HOLD)]


def test_three_clicks_within_two_seconds_are_a_test() -> None:
    """And only once."""
    trace = click(0) + click(500) + click(1000)
    assert [what for _, what in meant(trace, 5000)] == [CLICKS]


def test_clicks_too_slow_are_nothing() -> None:
    """Three clicks over more than 2 s are not a test."""
    assert meant(click(0) + click(1200) + click(2400) + click(3600), 8000) == []


def test_two_clicks_are_nothing() -> None:
    """Nor do they count for later."""
    assert meant(click(0) + click(300) + click(4000), 8000) == []


def test_clicks_then_hold_is_an_alarm() -> None:
    """Somebody in danger who fumbles still alarms."""
    assert [what for _, what in meant(click(0) + click(300) + [(700, True), (4000, False)], 5000)] == [HOLD]


@pytest.mark.parametrize(
    ("setting", "trace", "by_default", "when_set"),
    [
        ({"hold_ms": 5000}, click(0, 4000), [HOLD], []),
        ({"hold_ms": 500}, click(0, 700), [], [HOLD]),
        ({"stuck_ms": 15_000}, click(0, 20_000), [HOLD], [HOLD, STUCK, FREE]),
        ({"click_ms": 1000}, click(0, 700) + click(900, 200) + click(1300, 200), [], [CLICKS]),
        ({"click_ms": 100}, click(0, 90) + click(500, 90) + click(1000, 300), [CLICKS], []),
        ({"clicks_ms": 5000}, click(0) + click(1500) + click(3000), [], [CLICKS]),
        ({"clicks_ms": 1000}, click(0) + click(500) + click(1000), [CLICKS], []),
    ],
)
def test_every_time_is_set_per_button(
    setting: dict[str, int], trace: Trace, by_default: list[int], when_set: list[int]
) -> None:
    """For a hand that is slow, or a pocket that presses much."""
    assert [what for _, what in meant(trace, 30_000)] == by_default
    assert [what for _, what in meant(trace, 30_000, gesture=made(setting))] == when_set


@pytest.mark.parametrize("bound", [1, 2], ids=["least", "most"])
def test_at_every_bound_a_hold_and_a_test_can_be_made(bound: int) -> None:
    """No value that a button takes makes it deaf, nor both gestures one."""
    settings = {name: SETTINGS[name][bound] for name in ("hold_ms", "stuck_ms", "click_ms", "clicks_ms")}
    hold = [(0, True), (settings["hold_ms"] + 100, False)]
    assert [what for _, what in meant(hold, 30_000, gesture=made(settings))] == [HOLD]
    clicks = click(0, 80) + click(200, 80) + click(400, 80)
    assert [what for _, what in meant(clicks, 30_000, gesture=made(settings))] == [CLICKS]


def test_stuck_is_reported_and_then_free() -> None:
    """Held for 60 s: something sits on it; the release is told, too."""
    found = meant([(0, True), (70_000, False)], 71_000, step_ms=20)
    assert [what for _, what in found] == [HOLD, STUCK, FREE]


def test_a_late_loop_still_sees_the_hold() -> None:
    """Edges are dated by the pin: a hold that ended while the loop was busy was a hold."""
    gesture = made()
    seen = [gesture.edge(True, 0), gesture.edge(False, 2400), gesture.tick(5000)]
    assert HOLD in seen


@pytest.mark.parametrize("seed", range(50))
def test_bouncing_contacts_change_nothing(seed: int) -> None:
    """Random presses, clean and with bounce, mean the same."""
    rng = random.Random(seed)
    trace: Trace = []
    at_ms = 0
    for _ in range(12):
        length_ms = rng.choice([60, 150, 450, 800, 2600])
        trace += click(at_ms, length_ms)
        at_ms += length_ms + rng.choice([80, 200, 600, 3000])
    clean = [what for _, what in meant(trace, at_ms + 3000)]
    assert [what for _, what in meant(bounced(trace, rng), at_ms + 3000)] == clean, f"seed {seed}"


def test_a_pin_that_was_stuck_before_deep_sleep_means_nothing_until_it_is_let_go() -> None:
    """Woken by the clock with something still on the button: no new alarm; then a hold works again."""
    gesture = made(stuck=True)
    assert meant([(10, True), (5000, False)], 6000, gesture=gesture) == [(5020, FREE)]
    assert [what for _, what in meant([(6500, True), (9000, False)], 10_000, gesture=gesture)] == [HOLD]


def woken(trace: Trace, boot_ms: int) -> Trace:
    """What a board sees of `trace`, whose first edge has woken it: nothing before it is up, `boot_ms` later,
    but that the pin was pressed; then the level as it is, and every edge from there on."""
    before = [down for at_ms, down in trace if at_ms <= boot_ms]
    after = [(at_ms, down) for at_ms, down in trace if at_ms > boot_ms]
    return [(boot_ms - SETTLE_MS, True), (boot_ms, before[-1]), *after]


@pytest.mark.parametrize("seed", range(50))
def test_a_press_that_wakes_the_board_means_what_it_would_awake(seed: int) -> None:
    """However long it takes to boot: a hold alarms once, three clicks test, a pocket's press is nothing."""
    rng = random.Random(seed)
    boot_ms = rng.randrange(SETTLE_MS, 400)
    hold = [(0, True), (boot_ms + rng.randrange(2000, 5000), False)]
    assert [what for _, what in meant(woken(hold, boot_ms), 6000)] == [HOLD]
    clicks = [
        *click(0, rng.randrange(30, 300)),
        *click(500, rng.randrange(60, 200)),
        *click(900, rng.randrange(60, 200)),
    ]
    assert [what for _, what in meant(woken(clicks, boot_ms), 4000)] == [CLICKS]
    pocket = click(0, rng.randrange(30, 1900))
    assert meant(woken(pocket, boot_ms), 4000) == []
