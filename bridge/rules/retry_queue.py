"""The retry queue: which job for the centre is to be done when. Pure; times are monotonic milliseconds.

    add -> WAITING --take--> IN FLIGHT --done--> (gone)
              ^                  |
              +------failed------+    the next try: jittered, doubling, never more than 60 s apart

Alarms go before everything else, and each kind of job has its own bound in flight: whatever waits for
an answer, no alarm waits for it. An alarm is given up on no answer but 200 or 201 (protocol, "Bridge to
centre").
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from bridge.model import Key
from wire.codes import ALARM as ALARM_EVENT

RETRY_MS_MIN = 500
# From one sending to the next; protocol and DIN VDE V 0825-1 allow 60 s. The rest is for slow clocks.
RETRY_MS_MAX = 57_000


class Kind(IntEnum):
    """What a job tells the centre; the most urgent first."""

    ALARM = 0
    CALL_OFF = 1
    TEST = 2
    AGE = 3
    FIXES = 4


PRESS_KINDS = (Kind.ALARM, Kind.TEST)
IN_FLIGHT_MAX = {Kind.ALARM: 32, Kind.CALL_OFF: 4, Kind.TEST: 4, Kind.AGE: 2, Kind.FIXES: 2}


class Job(NamedTuple):
    """One thing that is to be told to the centre of one press."""

    kind: Kind
    key: Key


def press_kind(key: Key) -> Kind:
    """Return the kind of job that tells the centre of the press itself."""
    return Kind.ALARM if key.event == ALARM_EVENT else Kind.TEST


@dataclass(slots=True)
class _Entry:
    number: int  # jobs are numbered as they are added
    due_ms: int
    sent_ms: int | None = None  # None: it is not in flight
    failures: int = 0
    reason: str | None = None  # of the last failure


@dataclass(frozen=True, slots=True)
class Retry:
    """When a job that failed is tried again, and whether it failed for another reason than before."""

    in_ms: int
    is_news: bool


class RetryQueue:
    """All jobs that the centre has not answered. `random()` is as `random.random`."""

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._entries: dict[Job, _Entry] = {}
        self._added = 0

    def __len__(self) -> int:
        return len(self._entries)

    def has_alarm(self) -> bool:
        """Return whether an alarm waits for its answer."""
        return any(job.kind is Kind.ALARM for job in self._entries)

    def add(self, job: Job, now_ms: int) -> None:
        """Have `job` done as soon as may be. The same job twice is one."""
        self._added += 1
        self._entries.setdefault(job, _Entry(self._added, now_ms))

    def take(self, now_ms: int, new: Job | None = None) -> list[Job]:
        """Return what is to be sent now, the most urgent first, then the oldest; each is then in flight.

        `new` is added before.
        """
        if new is not None:
            self.add(new, now_ms)
        free = dict(IN_FLIGHT_MAX)
        for job, entry in self._entries.items():
            if entry.sent_ms is not None:
                free[job.kind] -= 1
        due = [
            (job, entry)
            for job, entry in self._entries.items()
            if entry.sent_ms is None and entry.due_ms <= now_ms
        ]
        due.sort(key=lambda item: (item[0].kind, item[1].number))
        jobs = []
        for job, entry in due:
            if free[job.kind] > 0:
                free[job.kind] -= 1
                entry.sent_ms = now_ms
                jobs.append(job)
        return jobs

    def next_ms(self, now_ms: int) -> int | None:
        """Return when `take`, which has just been asked, may have something if nothing else happens.

        A job that is due and was not taken finds its kind's bound reached: it waits for an answer, not for a
        time.
        """
        waiting = (entry.due_ms for entry in self._entries.values() if entry.sent_ms is None)
        return min((due_ms for due_ms in waiting if due_ms > now_ms), default=None)

    def done(self, job: Job) -> None:
        """Forget `job`: the centre has answered for good."""
        del self._entries[job]

    def failed(self, job: Job, reason: str, permanent: bool, now_ms: int) -> Retry:
        """Try `job` again later. Where `permanent`, a try changes nothing by itself, so it goes slowly."""
        entry = self._entries[job]
        assert entry.sent_ms is not None, "only what was taken can fail"
        backoff_ms = min(RETRY_MS_MIN << min(entry.failures, 7), RETRY_MS_MAX)
        wait_ms = int((RETRY_MS_MAX if permanent else backoff_ms) * (0.5 + self._random() / 2))
        # A slow failure has used up some of its minute.
        entry.due_ms = max(now_ms, min(now_ms + wait_ms, entry.sent_ms + RETRY_MS_MAX))
        entry.sent_ms, entry.failures = None, entry.failures + 1
        is_news, entry.reason = entry.reason != reason, reason
        return Retry(entry.due_ms - now_ms, is_news)

    def hurry(self, now_ms: int) -> None:
        """Try everything that failed before at once: the centre has just answered somebody."""
        for entry in self._entries.values():
            if entry.sent_ms is None and entry.failures:
                entry.due_ms, entry.failures = min(entry.due_ms, now_ms), 0
