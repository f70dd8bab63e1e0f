"""Which counters a bridge is told to start from, or to look for as well. Pure.

A bridge looks for what comes after the counter that it is told: the next 256, and for a press 256 behind it
(wire/SPEC.md, "Prediction"). One that is told too high a counter is deaf to the button. So no word of one
phone moves it far: a press counter is believed while about half of those below it have come, too, and what
only revoked phones have told moves it no further than the window reaches back.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from wire import codes

MISSED_OF_EACH = 2  # of so many presses one at least has reached us
MISSED_MAX = 64  # and so many more may be missing
BEHIND = 256  # what a bridge looks for behind the counter that it starts from
A_DAY = 8  # presses of a button in use: a silent test, and whatever happens
DAY_MS = 86_400_000
COLD_BOOTS = 128  # each moves the alive counter on by its whole reserve (wire/SPEC.md, "Counters")


@dataclass(frozen=True, slots=True)
class Heard:
    """A press counter that has reached us; `is_live` if a bridge that is not revoked has told it."""

    counter: int
    is_live: bool


def press(heard: Iterable[Heard], in_use_ms: int) -> int:
    """Return the highest press counter that can be believed, 0 where there is none.

    `heard`: each counter below the spare range once, rising. `in_use_ms`: since the button came here.
    """
    every = list(heard)
    live = _highest(one.counter for one in every if one.is_live)
    of_all = _highest(one.counter for one in every)
    return max(live, min(of_all, live + BEHIND + A_DAY * (max(0, in_use_ms) // DAY_MS)))


def is_gapless(count: int, highest: int) -> bool:
    """Whether `count` different counters up to `highest` are so many that `press` believes all of them."""
    return highest - count <= MISSED_MAX


def _highest(counters: Iterable[int]) -> int:
    highest = 0
    for number, counter in enumerate(counters, 1):
        if counter > MISSED_OF_EACH * number + MISSED_MAX:
            break
        highest = counter
    return highest


def is_alive_plausible(counter: int, in_use_ms: int, period_s: int) -> bool:
    """Whether a button can have come to this alive counter, at 0.8 periods a slot and with 128 cold boots."""
    slots = max(0, in_use_ms) // (period_s * 800) + 1
    return counter <= slots + COLD_BOOTS * codes.RESERVE
