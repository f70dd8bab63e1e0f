"""The courier: which press to send to the centre when. Pure; times are monotonic milliseconds.

    add -> WAITING --take--> SENT --done--> (gone)
              ^                |
              +----failed------+    next try: jittered, doubling, never more than 60 s apart

It gives an alarm up on no answer but 200 or 201 (protocol, "Bridge to centre").
"""

from collections.abc import Callable
from dataclasses import dataclass

from bridge.model import Key
from wire.codes import ALARM

RETRY_MS_MIN = 500
# From one sending to the next; protocol and DIN VDE V 0825-1 allow 60 s. The rest is for slow clocks.
RETRY_MS_MAX = 57_000
IN_FLIGHT_MAX = 32
TESTS_IN_FLIGHT_MAX = 4


@dataclass(slots=True)
class _Errand:
    added: int
    due_ms: int
    sent_ms: int | None = None
    failures: int = 0
    told: str | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """`in_ms` until the next try; `tell`: this reason was not told of this press before."""

    in_ms: int
    tell: bool


class Courier:
    """`random()` gives a float in [0, 1), as `random.random` does."""

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._errands: dict[Key, _Errand] = {}
        self._added = 0

    def __len__(self) -> int:
        return len(self._errands)

    def add(self, key: Key, now_ms: int) -> None:
        """Send `key` as soon as may be. The same press twice is the same errand."""
        self._added += 1
        self._errands.setdefault(key, _Errand(self._added, now_ms))

    def take(self, now_ms: int) -> list[Key]:
        """What is to be sent now, alarms before tests, older before newer; each is then in flight."""
        flying = [key for key, errand in self._errands.items() if errand.sent_ms is not None]
        tests_free = TESTS_IN_FLIGHT_MAX - sum(key.event != ALARM for key in flying)
        due = [
            key for key, errand in self._errands.items() if errand.sent_ms is None and errand.due_ms <= now_ms
        ]
        due.sort(key=lambda key: (key.event != ALARM, self._errands[key].added))
        alarms = [key for key in due if key.event == ALARM]
        tests = [key for key in due if key.event != ALARM][: max(tests_free, 0)]
        taken = (alarms + tests)[: IN_FLIGHT_MAX - len(flying)]
        for key in taken:
            self._errands[key].sent_ms = now_ms
        return taken

    def next_ms(self, now_ms: int) -> int | None:
        """When `take`, which has just been asked, may have something if nothing else happens.

        What is due and was not taken finds the line full: it waits for an answer, not for a time.
        """
        waiting = (errand.due_ms for errand in self._errands.values() if errand.sent_ms is None)
        return min((due_ms for due_ms in waiting if due_ms > now_ms), default=None)

    def done(self, key: Key) -> None:
        """The centre answered 200 or 201."""
        del self._errands[key]

    def failed(self, key: Key, reason: str, permanent: bool, now_ms: int) -> Retry:
        """Anything else. `permanent`: another try changes nothing by itself, so it goes slowly at once."""
        errand = self._errands[key]
        assert errand.sent_ms is not None, "only what was taken can fail"
        ceiling_ms = RETRY_MS_MAX if permanent else min(RETRY_MS_MIN << min(errand.failures, 7), RETRY_MS_MAX)
        wait_ms = int(ceiling_ms * (0.5 + self._random() / 2))
        # A slow failure has used up some of its minute.
        errand.due_ms = max(now_ms, min(now_ms + wait_ms, errand.sent_ms + RETRY_MS_MAX))
        errand.sent_ms, errand.failures = None, errand.failures + 1
        tell, errand.told = errand.told != reason, reason
        return Retry(errand.due_ms - now_ms, tell)
