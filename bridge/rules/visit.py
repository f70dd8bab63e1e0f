"""What is said over one link to a button, and when it ends. Pure: facts go in, the next step comes out.

    the code on the air    what is known                              next step
    -------------------    -------------                              ---------
    any                    others send the same code, and no state    read the state
                           was read
    a press, a CONTACT     the press has a higher stage than was      write that stage
                           said over this link (RECEIVED or more)
    a TEST, or CLOSED      the same, and no state was read: the       read the state
                           button ends the link with that stage
    a press, a CONTACT     nothing was said; the code is on disk      write HEARD
    a TEST, a CONTACT      HEARD was said, no state was read yet      read the state
    a CONTACT              the state was read, and nothing is open    leave: it was the daily check-in
    a press, a CONTACT     CLOSED was said, or any stage of a TEST    leave
    an ALARM               RECEIVED was said, no state was read yet   read the state
    an ALARM               HEARD was said, no state was read yet      wait 1 s, then read the state
    any                    nothing of that                            wait

A higher stage implies the lower ones, so RECEIVED may go out without HEARD. Anybody can repeat a code, take
the link and answer writes. So what was said counts as taken once a *state* was read over the same link that
is sealed for the code on the air; an alarm's RECEIVED does not wait for that, and is confirmed by it. The
state also says how old the press is.
"""

from enum import Enum, auto
from typing import NamedTuple

from bridge.model import Key, Press
from bridge.rules.expected_codes import Sighting
from wire import codes, receipts

# A receipt that is about to come is brought before the button is asked for its state.
STATE_AFTER_MS = 1_000

_NOTHING = -1


class Write(NamedTuple):
    """Write the receipt of this stage."""

    stage: int


class Wait(NamedTuple):
    """Wait for news; after `limit_ms` read the state. `is_idle`: others may have the link."""

    limit_ms: int | None
    is_idle: bool


class Then(Enum):
    """Steps that need no more words."""

    READ_STATE = auto()
    LEAVE = auto()


Step = Write | Wait | Then


class Visit:
    """One link to whoever has `sighting`'s code on the air."""

    def __init__(self, sighting: Sighting) -> None:
        self._is_contact = sighting.event == codes.CONTACT
        self.key: Key | None = None if self._is_contact else sighting.key
        self.is_proven = False  # a state was read that only this button can have sealed
        self._said = _NOTHING  # the highest stage that went over this link

    @property
    def taken(self) -> int | None:
        """Return the centre's stage that the button has taken over this link; None: none yet."""
        return self._said if self.is_proven and self._said >= receipts.RECEIVED else None

    @property
    def was_check_in(self) -> bool:
        """Return whether it was a CONTACT with nothing open: to call again would tell nothing new."""
        return self._is_contact and self.is_proven and self.key is None

    def next(self, press: Press | None, is_kept: bool, is_contested: bool = False) -> Step:
        """Return the next step; `press` is the one of `key`, `is_kept`: the code on the air is on disk.

        `is_contested`: others send the same code.
        """
        if is_contested and not self.is_proven:
            return Then.READ_STATE
        if press is not None and press.stage > max(self._said, receipts.HEARD):
            ends_link = press.is_test or press.stage == receipts.CLOSED
            return Write(press.stage) if self.is_proven or not ends_link else Then.READ_STATE
        if self._said == _NOTHING:
            return Write(receipts.HEARD) if is_kept else Wait(None, is_idle=False)
        if not self.is_proven:
            return self._prove(press)
        is_over = press is not None and press.is_test and self._said >= receipts.RECEIVED
        if self.key is None or self._said == receipts.CLOSED or is_over:
            return Then.LEAVE
        return Wait(None, self._said >= receipts.RECEIVED)

    def _prove(self, press: Press | None) -> Step:
        is_urgent = press is None or press.is_test or self._said >= receipts.RECEIVED
        return Then.READ_STATE if is_urgent else Wait(STATE_AFTER_MS, is_idle=False)

    def wrote(self, stage: int) -> None:
        """Take note that the write of `stage` was answered."""
        self._said = stage

    def proved(self) -> None:
        """Take note that a state was read that is sealed for the code on the air."""
        self.is_proven = True

    def contact_read(self, key: Key | None) -> None:
        """Take what a CONTACT's state says: the press that is open, or None."""
        self.key = key
        self.proved()
