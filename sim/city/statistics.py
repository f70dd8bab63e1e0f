"""What came of a city, counted as it happens. Knows nothing of how it came about. Pure."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from wire.codes import ALARM, TEST

Key = tuple[str, int, int]  # device_id, event, counter
INVENTED = "presses that nobody made"
SIGNS = "signs of life taken"
CALLED_GONE = "signs of life that call a button out of reach"
CALLED_GONE_WRONGLY = "signs of life that wrongly do"
Span = tuple[int, int]  # ms since 1970


@dataclass(slots=True)
class TakenPress:
    """A press that a button has taken, and when it came where; -1: not yet. ms since 1970."""

    at_ms: int
    heard_ms: int = -1
    received_ms: int = -1
    confirmed_ms: int = -1


@dataclass
class Tally:
    start_ms: int
    minutes: int
    taken: dict[Key, TakenPress] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    posts: list[int] = field(init=False)  # that reached the centre, in each minute
    busiest: list[int] = field(init=False)  # of those, in the busiest second of each minute
    _second: list[int] = field(default_factory=lambda: [0, 0])  # which it is, and how many in it so far

    def __post_init__(self) -> None:
        self.posts, self.busiest = [0] * self.minutes, [0] * self.minutes

    def posted(self, now_ms: int, posts: int = 1) -> None:
        minute, second = (now_ms - self.start_ms) // 60_000, now_ms // 1000
        if minute < len(self.posts):
            self.posts[minute] += posts
            self._second = [second, posts + (self._second[1] if second == self._second[0] else 0)]
            self.busiest[minute] = max(self.busiest[minute], self._second[1])

    def heard(self, key: Key, now_ms: int) -> None:
        """Count that a bridge has it on disk. What no button has made is kept, too, for the verdict."""
        press = self.taken.get(key)
        if press is None:
            self.counts[INVENTED] += 1
        elif press.heard_ms < 0:
            press.heard_ms = now_ms

    def received(self, key: Key, now_ms: int) -> None:
        """Count that the centre has it on disk."""
        press = self.taken.get(key)
        if press is not None and press.received_ms < 0:
            press.received_ms = now_ms

    def confirmed(self, key: Key, now_ms: int) -> None:
        """Count that the button has the centre's proof."""
        press = self.taken.get(key)
        if press is not None and press.confirmed_ms < 0:
            press.confirmed_ms = now_ms

    def awaited(self) -> list[Key]:
        """Return alarms not received yet. A test that nobody heard in time has said so, and ended."""
        return [key for key, press in self.taken.items() if key[1] == ALARM and press.received_ms < 0]

    def spans_ms(self, stage: str, event: int | None = None) -> list[int]:
        """From the hand to `stage`, sorted, of those that came so far."""
        spans = (
            getattr(press, f"{stage}_ms") - press.at_ms
            for key, press in self.taken.items()
            if event in (None, key[1]) and getattr(press, f"{stage}_ms") >= 0
        )
        return sorted(spans)

    def of(self, event: int) -> int:
        return sum(key[1] == event for key in self.taken)

    def unheard_tests(self) -> int:
        return sum(key[1] == TEST and press.received_ms < 0 for key, press in self.taken.items())


@dataclass
class Watched:
    """What operators were told of buttons, next to where those were.

    `absences` by device_id: when it was not with its phone, or was empty. `losses`: device_id, when there was
    last news of it, and when it was found lost.
    """

    absences: dict[str, list[Span]]
    losses: list[tuple[str, int, int]]

    @property
    def wrong(self) -> int:
        """Losses of buttons that had been there all the time."""
        return sum(not self._causes(*loss) for loss in self.losses)

    def found_after_ms(self) -> list[int]:
        """Of each absence that was found while it lasted: after how long; sorted."""
        found: dict[tuple[str, Span], int] = {}
        for loss in self.losses:
            for span in self._causes(*loss):
                found.setdefault((loss[0], span), loss[2] - span[0])
        return sorted(after_ms for (_, span), after_ms in found.items() if after_ms <= span[1] - span[0])

    def _causes(self, device_id: str, last_ms: int, found_ms: int) -> list[Span]:
        spans = self.absences.get(device_id, ())
        return [span for span in spans if span[0] <= found_ms and span[1] >= last_ms]


def percentile(values: Sequence[float], share: float) -> float:
    """Of sorted values: the smallest that so many are not above."""
    return values[max(0, math.ceil(share * len(values)) - 1)]
