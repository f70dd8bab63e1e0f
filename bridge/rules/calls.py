"""When to visit one button. Pure: what is heard and how a visit ended go in; times are monotonic ms.

    what is heard                       while                 then
    -------------                       -----                 ----
    ALIVE, ALIVE_LOW                    any                   nothing
    a CONTACT that was only a check-in  any                   nothing
    any other code                      no visit              visit, as long as the code is fresh
    another code, new                   a visit               end it: that radio session is over
    another code, known                 a visit               nothing: it may be a system's memory
    the same code, another address      connecting for 2 s    end the attempt: it may be a new session
    the same code, another address      linked, or before     nothing: somebody may repeat it

    the visit has ended                 then
    -------------------                 ----
    with nothing more to say            what was heard up to now is dealt with
    lost; the button has its receipt    what was heard before it is dealt with: a CONTACT brings the rest
    lost                                again after 50 ms, doubling to 1 s, or when another code is heard

Systems report an advert once (BlueZ, as long as nothing in it changes), so silence says nothing: a code is
tried for as long as the button may send it (protocol, "A press, from pin to silence").
"""

from enum import Enum, auto

from bridge.rules.expected_codes import Sighting
from wire import codes

PRESS_FRESH_MS = 330_000
CONTACT_FRESH_MS = 4_000
ATTEMPT_MS_MIN = 2_000
AGAIN_MS_MIN = 50
AGAIN_MS_LOST_MAX = 1_000
AGAIN_MS_IDLE_MAX = 8_000


class Reaction(Enum):
    """What an advert leads to."""

    NOTHING = auto()
    NOTE = auto()  # a visit may be due
    END = auto()  # and the visit that goes on is over


class Calls:
    """One button's. What is heard is numbered, to tell what comes during a visit from what came before."""

    def __init__(self) -> None:
        self.latest: tuple[str, Sighting] | None = None  # from which address, what
        self._number = self._done_number = self._visit_number = 0
        self._heard_ms = 0
        self._visit: tuple[str, Sighting] | None = None
        self._is_linked = self._has_progress = False
        self._patient_until_ms = 0
        self._again_ms = AGAIN_MS_MIN
        self._check_in = ""  # the code of the last CONTACT that had nothing open

    def heard(self, address: str, sighting: Sighting, now_ms: int) -> Reaction:
        """Take an advert of this button."""
        if sighting.event in (codes.ALIVE, codes.ALIVE_LOW) or sighting.uuid == self._check_in:
            return Reaction.NOTHING
        self.latest, self._heard_ms = (address, sighting), now_ms
        self._number += 1
        if self._visit is None:
            return Reaction.NOTE
        visited_address, visited = self._visit
        if sighting.uuid != visited.uuid:
            is_elsewhere = sighting.new
        else:
            is_patient = self._is_linked or now_ms < self._patient_until_ms
            is_elsewhere = address != visited_address and not is_patient
        return Reaction.END if is_elsewhere else Reaction.NOTE

    def is_due(self, now_ms: int) -> bool:
        """Return whether the button is to be visited now."""
        if self.latest is None or self._number <= self._done_number:
            return False
        is_contact = self.latest[1].event == codes.CONTACT
        return now_ms - self._heard_ms < (CONTACT_FRESH_MS if is_contact else PRESS_FRESH_MS)

    def begin(self) -> Sighting:
        """Choose what is visited: what was heard last."""
        assert self.latest is not None, "only what was heard is visited"
        self._visit_number, self._has_progress = self._number, False
        return self.latest[1]

    def connecting(self, address: str, sighting: Sighting, now_ms: int) -> None:
        """Take note that the attempt begins."""
        self._visit = (address, sighting)
        self._patient_until_ms = now_ms + ATTEMPT_MS_MIN

    def linked(self) -> None:
        """Take note that the link is up."""
        self._is_linked = True

    def disconnected(self) -> None:
        """Take note that the link, or the attempt, is over."""
        self._visit, self._is_linked = None, False

    def brought(self) -> None:
        """Take note that the button has taken something new."""
        self._has_progress = True

    def was_check_in(self, sighting: Sighting) -> None:
        """Take note that nothing was open: to visit this CONTACT again would tell nothing new."""
        self._check_in = sighting.uuid

    def ended(self, is_lost: bool, is_received: bool) -> int:
        """Return how long to wait after a visit, in ms; `is_received`: the button has its receipt."""
        if not is_lost:
            self._done_number = self._number
        elif is_received:
            self._done_number = self._visit_number
        ceiling_ms = AGAIN_MS_LOST_MAX if is_lost else AGAIN_MS_IDLE_MAX
        self._again_ms = AGAIN_MS_MIN if self._has_progress else min(self._again_ms * 2, ceiling_ms)
        return self._again_ms
