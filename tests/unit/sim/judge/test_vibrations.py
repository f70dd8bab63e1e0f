"""What a hand feels is read off the motor as the protected person's guide has it, on a busy machine too."""

import pytest

from firmware.board.feedback import PATTERNS
from firmware.board.press import NOT_CONFIRMED as NOT_CONFIRMED_YET
from firmware.board.press import TAKEN as TAKEN_AT_ALL
from sim.judge.events import WorldEvent
from sim.judge.vibrations import ACKNOWLEDGED, CLOSED, DISPATCHED, NOT_CONFIRMED, RECEIVED, TAKEN, vibrations

NAMES: dict[str | int, str] = {TAKEN_AT_ALL: TAKEN, NOT_CONFIRMED_YET: NOT_CONFIRMED}

LATE_MS = (0.0, 100.0, 0.0, 0.0, 40.0, 0.0, 100.0, 0.0)  # each switching after its time


def motor(*parts_ms: float, from_ms: float = 0) -> list[WorldEvent]:
    """On, off, on, ... for so long each."""
    found, at_ms, on = [], from_ms, True
    for part_ms in (*parts_ms, 0):
        found.append(WorldEvent(at_ms, "button", "motor", {"on": on}))
        at_ms, on = at_ms + part_ms, not on
    return found


@pytest.mark.parametrize("stretch", [0.9, 1.0, 1.1])
@pytest.mark.parametrize("name", list(PATTERNS))
def test_each_pattern_of_the_firmware_is_felt_as_what_it_is(name: str | int, stretch: float) -> None:
    """And two in a row, with the firmware's pause, as two."""
    one = [part_ms * stretch for part_ms in PATTERNS[name]]
    both = [*motor(*one), *motor(*one, from_ms=sum(one) + 400 * stretch)]
    assert [each.pattern for each in vibrations(both)] == [NAMES.get(name, name)] * 2


@pytest.mark.parametrize(
    ("parts_ms", "what"),
    [
        ((278,), TAKEN),  # a program that was held up within the pulse
        ((468, 324, 454, 206, 460), NOT_CONFIRMED),  # and between two
    ],
)
def test_a_motor_that_a_busy_machine_held_up_is_still_understood(
    parts_ms: tuple[float, ...], what: str
) -> None:
    """As seen on a machine that had much else to do; a hand would not count milliseconds either."""
    assert [each.pattern for each in vibrations(motor(*parts_ms))] == [what]


def test_a_receipt_right_after_taken_is_felt_as_what_it_is() -> None:
    """However late the first pulse was told to have ended: no other pattern begins with one so short."""
    found = vibrations(motor(60, 200, 120, 160, 120, 400, 60, 400, 60))
    assert [each.pattern for each in found] == [TAKEN, RECEIVED, TAKEN, TAKEN]


def test_what_the_guide_does_not_know_is_nothing() -> None:
    """Five short ones; two long ones."""
    assert [each.pattern for each in vibrations(motor(*[120, 160] * 4, 120))] == [None]
    assert [each.pattern for each in vibrations(motor(450, 250, 450))] == [None]


@pytest.mark.parametrize(
    ("name", "felt"), [(NOT_CONFIRMED_YET, NOT_CONFIRMED), (DISPATCHED, DISPATCHED), (RECEIVED, None)]
)
def test_a_reset_right_after_the_last_pulse_takes_nothing_back(
    name: str | int, felt: str | int | None
) -> None:
    """Of the longest of its kind; after two short ones a third may have been about to come."""
    one = PATTERNS[name]
    cut = WorldEvent(sum(one) + 20, "button", "reset", {})
    assert [each.pattern for each in vibrations([*motor(*one), cut])] == ([felt] if felt else [])


def test_the_shortest_pulse_is_felt_though_a_start_follows_at_once() -> None:
    """No other pattern begins with it."""
    cut = [*motor(60)[:2], WorldEvent(180, "button", "reset", {})]
    assert [each.pattern for each in vibrations(cut)] == [TAKEN]


def test_a_pattern_that_lost_its_power_half_way_is_none() -> None:
    """The motor has stopped, and nobody knows what it would have been."""
    cut = [*motor(120, 160, 120)[:3], WorldEvent(300, "button", "power", {"on": False})]
    assert vibrations(cut) == []


@pytest.mark.parametrize(
    ("on_ms", "pause_ms", "pulses", "means"),
    [
        (60, 0, 1, TAKEN),
        (120, 160, 2, RECEIVED),
        (120, 160, 3, ACKNOWLEDGED),
        (120, 160, 4, DISPATCHED),
        (700, 0, 1, CLOSED),
        (450, 250, 3, NOT_CONFIRMED),
    ],
)
def test_each_pattern_is_told_apart_also_when_the_motor_is_late(
    on_ms: int, pause_ms: int, pulses: int, means: str | int
) -> None:
    """As the protected person's guide has them."""
    events = []
    for number in range(pulses):
        for part, due_ms in enumerate((0, on_ms)):
            at_ms = number * (on_ms + pause_ms) + due_ms + LATE_MS[2 * number + part]
            events.append(WorldEvent(at_ms, "button", "motor", {"on": not part}))
    assert [one.pattern for one in vibrations(events)] == [means]
