"""What is said over one link to a button, and when it ends. Pure: facts go in, the next step comes out.

    the code on the air    what is known                              next step
    -------------------    -------------                              ---------
    a press, a CONTACT     the press has a higher stage than was      write that stage
                           said over this link (RECEIVED or more)
    a press, a CONTACT     nothing was said; the code is on disk      write HEARD
    a CONTACT              HEARD was said, no state was read yet      read the state: it names the open press
    a CONTACT              the state was read, and nothing is open    leave: it was the daily check-in
    a press, a CONTACT     CLOSED was said, or any stage of a TEST    leave
    a press, a CONTACT     HEARD was said, and the age is missing     wait 1 s, then read the state, once
    any                    nothing of that                            wait

A higher stage implies the lower ones, so RECEIVED may go out without HEARD. What the button has taken is
known by its answers to our writes alone. It is asked how old a press is when there is nothing else to do.
"""

from enum import Enum, auto
from typing import NamedTuple

from bridge.model import Key, Press
from bridge.rules.expected_codes import Sighting
from wire import codes, receipts

# A receipt that is about to come is brought before the button is asked how old its press is.
AGE_AFTER_MS = 1_000

_NOTHING = -1


class Write(NamedTuple):
    """Write the receipt of this stage."""

    stage: int


class Wait(NamedTuple):
    """Wait for news; after `limit_ms` read the state for the age. `is_idle`: others may have the link."""

    limit_ms: int | None
    is_idle: bool


class Then(Enum):
    """Steps that need no more words."""

    READ_STATE = auto()
    LEAVE = auto()


Step = Write | Wait | Then


class Visit:
    """One link to a button with `sighting`'s code on the air. `was_asked`: for the age, earlier."""

    def __init__(self, sighting: Sighting, was_asked: bool = False) -> None:
        self.key: Key | None = None if sighting.event == codes.CONTACT else sighting.key
        self._is_contact = sighting.event == codes.CONTACT
        self._was_read = False
        self._was_asked = was_asked
        self._said = _NOTHING  # the highest stage that went over this link

    @property
    def was_check_in(self) -> bool:
        """Return whether it was a CONTACT with nothing open: to call again would tell nothing new."""
        return self._was_read and self.key is None

    def next(self, press: Press | None, is_kept: bool) -> Step:
        """Return the next step; `press` is the one of `key`, `is_kept`: the code on the air is on disk."""
        if press is not None and press.stage > max(self._said, receipts.HEARD):
            return Write(press.stage)
        if self._said == _NOTHING and is_kept:
            return Write(receipts.HEARD)
        if self.key is None and self._said >= receipts.HEARD:
            return Then.LEAVE if self._was_read else Then.READ_STATE
        is_over = press is not None and press.is_test and self._said >= receipts.RECEIVED
        if self._said == receipts.CLOSED or is_over:
            return Then.LEAVE
        lacks_age = press is not None and press.lacks_age and self._said >= receipts.HEARD
        limit_ms = AGE_AFTER_MS if lacks_age and not self._was_asked else None
        return Wait(limit_ms, self._said >= receipts.RECEIVED)

    def wrote(self, stage: int) -> None:
        """Take note that the button has answered the write of `stage`."""
        self._said = stage

    def contact_read(self, key: Key | None) -> None:
        """Take what a CONTACT's state says: the press that is open, or None."""
        self.key, self._was_read = key, True

    def asked(self) -> None:
        """Take note that the age was asked for: once is enough."""
        self._was_asked = True
