"""The retry_queue: which job to the centre to run when. Pure; times are monotonic milliseconds.

    add -> WAITING --take--> SENT --done--> (gone)
              ^                |
              +----failed------+    next try: jittered, doubling, never more than 60 s apart

Alarms go before everything else, and each kind has a line of its own: whatever waits for an answer,
no alarm waits for it. An alarm is given up on no answer but 200 or 201 (protocol, "Bridge to centre").
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from bridge.model import Key
from wire.codes import ALARM as ALARM_EVENT

RETRY_MS_MIN = 500
# From one sending to the next; protocol and DIN VDE V 0825-1 allow 60 s. The rest is for slow clocks.
RETRY_MS_MAX = 57_000

# The kinds of job, the most urgent first.
ALARM, CALL_OFF, TEST, AGE, FIXES = range(5)
IN_FLIGHT_MAX = {ALARM: 32, CALL_OFF: 4, TEST: 4, AGE: 2, FIXES: 2}


class Job(NamedTuple):
    """What is to be told to the centre of a press."""

    kind: int
    key: Key


def press_job(key: Key) -> Job:
    """The job that tells the centre of the press itself."""
    return Job(ALARM if key.event == ALARM_EVENT else TEST, key)


@dataclass(slots=True)
class _Run:
    added: int
    due_ms: int
    sent_ms: int | None = None
    failures: int = 0
    told: str | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """`in_ms` until the next try; `tell`: this reason was not told of this job before."""

    in_ms: int
    tell: bool


class RetryQueue:
    """`random()` gives a float in [0, 1), as `random.random` does."""

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._runs: dict[Job, _Run] = {}
        self._added = 0

    def __len__(self) -> int:
        return len(self._runs)

    def has_alarm(self) -> bool:
        return any(job.kind == ALARM for job in self._runs)

    def add(self, job: Job, now_ms: int) -> None:
        """Run `job` as soon as may be. The same twice is one."""
        self._added += 1
        self._runs.setdefault(job, _Run(self._added, now_ms))

    def take(self, now_ms: int) -> list[Job]:
        """What is to be sent now, the most urgent first, older before newer; each is then in flight."""
        free = dict(IN_FLIGHT_MAX)
        for job, run in self._runs.items():
            if run.sent_ms is not None:
                free[job.kind] -= 1
        due = [item for item in self._runs.items() if item[1].sent_ms is None and item[1].due_ms <= now_ms]
        due.sort(key=lambda item: (item[0].kind, item[1].added))
        taken = []
        for job, run in due:
            if free[job.kind] > 0:
                free[job.kind] -= 1
                run.sent_ms = now_ms
                taken.append(job)
        return taken

    def next_ms(self, now_ms: int) -> int | None:
        """When `take`, which has just been asked, may have something if nothing else happens.

        What is due and was not taken finds its line full: it waits for an answer, not for a time.
        """
        waiting = (run.due_ms for run in self._runs.values() if run.sent_ms is None)
        return min((due_ms for due_ms in waiting if due_ms > now_ms), default=None)

    def done(self, job: Job) -> None:
        """The centre has answered for good."""
        del self._runs[job]

    def failed(self, job: Job, reason: str, permanent: bool, now_ms: int) -> Retry:
        """Anything else. `permanent`: another try changes nothing by itself, so it goes slowly at once."""
        run = self._runs[job]
        assert run.sent_ms is not None, "only what was taken can fail"
        ceiling_ms = RETRY_MS_MAX if permanent else min(RETRY_MS_MIN << min(run.failures, 7), RETRY_MS_MAX)
        wait_ms = int(ceiling_ms * (0.5 + self._random() / 2))
        # A slow failure has used up some of its minute.
        run.due_ms = max(now_ms, min(now_ms + wait_ms, run.sent_ms + RETRY_MS_MAX))
        run.sent_ms, run.failures = None, run.failures + 1
        tell, run.told = run.told != reason, reason
        return Retry(run.due_ms - now_ms, tell)

    def hurry(self, now_ms: int) -> None:
        """The centre has just answered somebody: what waits for its minute need not."""
        for run in self._runs.values():
            if run.sent_ms is None and run.failures:
                run.due_ms, run.failures = min(run.due_ms, now_ms), 0
