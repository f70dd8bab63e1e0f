"""The prosecutor's decision that gives somebody a button, for a time. Pure; days are YYYY-MM-DD.

starts_on <= review_on <= ends_on      runs from the first day to the last, both included
ended_on                               ended early: from that day on it no longer runs
"""

from dataclasses import dataclass
from enum import StrEnum

from centre.rules import text, times
from centre.rules.refusals import Refused

FIRST, LAST = "1970-01-01", "2199-12-31"
REFERENCE_CHARS_MAX = 80


class GrantState(StrEnum):
    """What a grant is on a day."""

    COMING = "coming"
    RUNNING = "running"
    REVIEW_DUE = "review_due"  # it still runs
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Grant:
    grant_id: str
    reference: str  # the prosecutor's own
    starts_on: str
    review_on: str
    ends_on: str
    ended_on: str | None = None

    def state(self, today: str) -> GrantState:
        """Return what it is on that day."""
        if today > self.ends_on or (self.ended_on is not None and today >= self.ended_on):
            return GrantState.ENDED
        if today < self.starts_on:
            return GrantState.COMING
        return GrantState.REVIEW_DUE if today >= self.review_on else GrantState.RUNNING

    def runs(self, today: str) -> bool:
        return self.state(today) in (GrantState.RUNNING, GrantState.REVIEW_DUE)

    @property
    def due_on(self) -> str:
        """The day from which the case manager has to do something about it."""
        return min(self.review_on, self.ended_on or self.ends_on)


def check(reference: str, starts_on: str, review_on: str, ends_on: str) -> None:
    """Check a new grant. Raises Refused: out_of_range, bad_dates."""
    if not text.check(reference, "reference", REFERENCE_CHARS_MAX):
        raise Refused("out_of_range", "a reference must not be empty", field="reference")
    for name, day in (("starts_on", starts_on), ("review_on", review_on), ("ends_on", ends_on)):
        times.check_day(day, FIRST, LAST, field=name)
    if not starts_on <= review_on <= ends_on:
        raise Refused("bad_dates", "start, review and end come in this order", field="review_on")


def check_review(grant: Grant, review_on: str, today: str) -> None:
    """Check the day of the next review. Raises Refused: out_of_range, bad_dates."""
    times.check_day(review_on, FIRST, LAST, field="review_on")
    if not max(today, grant.starts_on) <= review_on <= grant.ends_on:
        raise Refused("bad_dates", "the next review is between today and the end", field="review_on")


def check_end(grant: Grant, ended_on: str) -> None:
    """Check the first day without the grant. Raises Refused: out_of_range, bad_dates."""
    times.check_day(ended_on, FIRST, LAST, field="ended_on")
    if not grant.starts_on <= ended_on <= grant.ends_on:
        raise Refused("bad_dates", "it ends early between its start and its end", field="ended_on")
