"""What came of a city: counted as it happens, judged at the end. Knows nothing of how it came about."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from wire.codes import ALARM, TEST

Key = tuple[str, int, int]  # device_id, event, counter
INVENTED = "presses that nobody made"


@dataclass(slots=True)
class Made:
    """A press that a button has taken, and when it came where; -1: not yet. ms since 1970."""

    at_ms: int
    heard_ms: int = -1
    received_ms: int = -1
    confirmed_ms: int = -1


@dataclass
class Tally:
    start_ms: int
    minutes: int
    made: dict[Key, Made] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    posts: list[int] = field(init=False)  # that reached the centre, in each minute

    def __post_init__(self) -> None:
        self.posts = [0] * self.minutes

    def posted(self, now_ms: int, posts: int = 1) -> None:
        minute = (now_ms - self.start_ms) // 60_000
        if minute < len(self.posts):
            self.posts[minute] += posts

    def heard(self, key: Key, now_ms: int) -> None:
        """A bridge has it on disk. What no button has made is kept, too, for the verdict."""
        made = self.made.get(key)
        if made is None:
            self.counts[INVENTED] += 1
        elif made.heard_ms < 0:
            made.heard_ms = now_ms

    def received(self, key: Key, now_ms: int) -> None:
        """The centre has it on disk."""
        made = self.made.get(key)
        if made is not None and made.received_ms < 0:
            made.received_ms = now_ms

    def confirmed(self, key: Key, now_ms: int) -> None:
        """The button has the centre's proof."""
        made = self.made.get(key)
        if made is not None and made.confirmed_ms < 0:
            made.confirmed_ms = now_ms

    def awaited(self) -> list[Key]:
        """Alarms that have not been received. A test that nobody heard in time has told her so, and ended."""
        return [key for key, made in self.made.items() if key[1] == ALARM and made.received_ms < 0]

    def lost(self, at_centre: Iterable[Key]) -> list[Key]:
        """Alarms that the centre has not, whatever anybody says."""
        there = set(at_centre)
        return [key for key in self.made if key[1] == ALARM and key not in there]

    def doubled(self, at_centre: Iterable[Key]) -> list[Key]:
        """Incidents beyond one per press, and those without a press."""
        return [key for key, count in Counter(at_centre).items() if count > 1 or key not in self.made]

    def spans_ms(self, stage: str, event: int | None = None) -> list[int]:
        """From the hand to `stage`, sorted, of those that came so far."""
        spans = (
            getattr(made, f"{stage}_ms") - made.at_ms
            for key, made in self.made.items()
            if event in (None, key[1]) and getattr(made, f"{stage}_ms") >= 0
        )
        return sorted(spans)

    def of(self, event: int) -> int:
        return sum(key[1] == event for key in self.made)

    def unheard_tests(self) -> int:
        return sum(key[1] == TEST and made.received_ms < 0 for key, made in self.made.items())


def percentile(values: Sequence[float], share: float) -> float:
    """Of sorted values: the smallest that so many are not above."""
    return values[max(0, math.ceil(share * len(values)) - 1)]
