"""When to visit one button. Pure: what is heard and how a visit ended go in; times are monotonic ms.

    what is heard                       while                 then
    -------------                       -----                 ----
    ALIVE, ALIVE_LOW                    any                   nothing
    a CONTACT that was only a check-in  any                   nothing
    an address that had no state        any                   nothing
    any other code                      no visit              visit, as long as the code is fresh
    another code, new                   a visit               end it: that radio session is over
    another code, known                 a visit               nothing: it may be a system's memory
    the same code, another address      a visit that has      it has 1 s to show its state, at the second
                                        not shown a state     try 2 s, then 4: it may be an impostor
    the same code, another address      a visit that has      nothing: somebody repeats it
                                        shown a state
    the same code, an address that has  RECEIVED was taken    end it: the button would be silent, so it has
    not taken RECEIVED                  over 1 s ago          taken nothing; its state was passed on

    several addresses have the code     then
    -------------------------------     ----
    at every other turn                 the nearest of those that were tried least
    in between                          the one that has waited longest: new addresses keep nobody out
    one of them has taken RECEIVED      only where no other is left; each other is tried twice yet, if it was
                                        heard before as well: the one may have passed its state on

    the visit has ended                 then
    -------------------                 ----
    with nothing more to say            what was heard up to now is dealt with
    lost; the button has its receipt    what was heard before it is dealt with: a CONTACT brings the rest
    lost; another address is left       that one after 50 ms
    lost                                again after 50 ms, doubling to 1 s, or when another code is heard

Systems report an advert once (BlueZ, as long as nothing in it changes), so silence says nothing: a code is
tried for as long as the button may send it (protocol, "A press, from pin to silence").
"""

from dataclasses import dataclass
from enum import Enum, auto

from bridge.rules.expected_codes import Sighting
from wire import codes

PRESS_FRESH_MS = 330_000
CONTACT_FRESH_MS = 4_000
ATTEMPT_MS_MIN = 1_000
ATTEMPT_MS_MAX = 8_000
OFF_AIR_MS = 1_000  # RECEIVED takes a button off the air at once; systems tell of adverts a little later
AGAIN_MS_MIN = 50
AGAIN_MS_LOST_MAX = 1_000
AGAIN_MS_IDLE_MAX = 8_000
ADDRESSES_MAX = 128
DOUBTED_TRIES = 2


class Reaction(Enum):
    """What an advert leads to."""

    NOTHING = auto()
    NOTE = auto()  # a visit may be due, and the one that goes on may be contested
    END = auto()  # the visit that goes on is over


@dataclass(slots=True)
class _Sender:
    """An address, and what was heard from it last. `place`: in the order of those that wait."""

    address: str
    sighting: Sighting
    rssi: int
    heard_ms: int
    number: int
    place: int
    tries: int = 0
    has_taken: bool = False  # RECEIVED, for this code

    def is_fresh(self, now_ms: int) -> bool:
        is_contact = self.sighting.event == codes.CONTACT
        return now_ms - self.heard_ms < (CONTACT_FRESH_MS if is_contact else PRESS_FRESH_MS)


class Calls:
    """One button's. What is heard is numbered, to tell what comes during a visit from what came before."""

    def __init__(self) -> None:
        self._senders: dict[str, _Sender] = {}  # what was heard last is the last
        self._false: dict[str, None] = {}  # addresses that know a code, and not the button's key
        self._number = self._done_number = self._visit_number = 0
        self._place = self._turn = 0
        self._visit: _Sender | None = None
        self._is_proven = self._has_progress = False
        self._began_ms = 0
        self._taken_ms: int | None = None  # when the one who is visited took the centre's stage
        self._again_ms = AGAIN_MS_MIN
        self._check_in = ""  # the code of the last CONTACT that had nothing open

    def __contains__(self, address: str) -> bool:
        return address in self._senders

    def __len__(self) -> int:
        return len(self._senders)

    @property
    def latest(self) -> tuple[str, str] | None:
        """Return from which address which code was heard last."""
        sender = self._latest()
        return None if sender is None else (sender.address, sender.sighting.uuid)

    def heard(self, address: str, sighting: Sighting, rssi: int, now_ms: int) -> Reaction:
        """Take an advert of this button."""
        if sighting.event in (codes.ALIVE, codes.ALIVE_LOW) or sighting.uuid == self._check_in:
            return Reaction.NOTHING
        if address in self._false:
            return Reaction.NOTHING
        self._number += 1
        known = self._senders.pop(address, None)
        sender = _Sender(address, sighting, rssi, now_ms, self._number, self._next_place())
        if known is not None and known.sighting.uuid == sighting.uuid:
            sender.place, sender.tries, sender.has_taken = known.place, known.tries, known.has_taken
        self._make_room()
        self._senders[address] = sender
        if self._is_still_on_air(sender):
            return Reaction.END
        is_elsewhere = self._visit is not None and sighting.uuid != self._visit.sighting.uuid
        return Reaction.END if is_elsewhere and sighting.new else Reaction.NOTE

    def _is_still_on_air(self, sender: _Sender) -> bool:
        """Return whether the button sends on, so that it was another that has taken its receipt."""
        visit = self._visit
        return (
            visit is not None
            and self._taken_ms is not None
            and sender.heard_ms - self._taken_ms > OFF_AIR_MS
            and sender.sighting.uuid == visit.sighting.uuid
            and sender.address != visit.address
            and not sender.has_taken
        )

    def _next_place(self) -> int:
        self._place += 1
        return self._place

    def _make_room(self) -> None:
        """Forget who was not heard for longest."""
        if len(self._senders) >= ADDRESSES_MAX:
            del self._senders[next(iter(self._senders))]

    def _latest(self) -> _Sender | None:
        return next(reversed(self._senders.values()), None)

    def _rivals(self, now_ms: int) -> list[_Sender]:
        """Return all that sent what was heard last, and are not dealt with."""
        latest = self._latest()
        return [
            sender
            for sender in self._senders.values()
            if latest is not None
            and sender.sighting.uuid == latest.sighting.uuid
            and (sender.number > self._done_number or self._is_doubted(sender))
            and sender.is_fresh(now_ms)
        ]

    def _is_doubted(self, sender: _Sender) -> bool:
        """Return whether another address has taken RECEIVED for its code, and it may be the button itself."""
        code = sender.sighting.uuid
        is_taken = any(other.has_taken and other.sighting.uuid == code for other in self._senders.values())
        return is_taken and not sender.has_taken and sender.tries < DOUBTED_TRIES

    def is_due(self, now_ms: int) -> bool:
        """Return whether the button is to be visited now."""
        return bool(self._rivals(now_ms))

    def begin(self, now_ms: int) -> tuple[str, Sighting]:
        """Choose who is visited."""
        rivals = self._rivals(now_ms)
        assert rivals, "only what was heard is visited"
        if self._turn % 2:
            sender = min(rivals, key=lambda rival: (rival.has_taken, rival.place))
        else:
            sender = min(rivals, key=lambda rival: (rival.has_taken, rival.tries, -rival.rssi))
        self._turn += 1
        self._visit_number, self._has_progress = self._number, False
        return sender.address, sender.sighting

    def connecting(self, address: str, now_ms: int) -> None:
        """Take note that the attempt begins."""
        sender = self._senders.get(address)
        if sender is None:  # others have come in while it waited for a link
            return
        sender.place = self._next_place()
        self._visit, self._is_proven, self._began_ms = sender, False, now_ms
        self._taken_ms = None

    def is_contested(self) -> bool:
        """Return whether other addresses have the code of the visit that goes on."""
        visit = self._visit
        return visit is not None and any(
            sender.sighting.uuid == visit.sighting.uuid
            and sender.number > self._done_number
            and sender.address != visit.address
            for sender in self._senders.values()
        )

    def until_ms(self) -> int | None:
        """Return when the visit must have shown its state; None where nobody else has its code."""
        if self._visit is None or self._is_proven or not self.is_contested():
            return None
        return self._began_ms + min(ATTEMPT_MS_MIN << self._visit.tries, ATTEMPT_MS_MAX)

    def proved(self) -> None:
        """Take note that who is visited has shown a state of this button."""
        self._is_proven = True

    def is_false(self, address: str) -> None:
        """Take note that this address has shown something else: it is not visited again."""
        self._senders.pop(address, None)
        self._false[address] = None
        self._has_progress = True  # the next one does not wait
        if len(self._false) > ADDRESSES_MAX:
            del self._false[next(iter(self._false))]

    def disconnected(self) -> None:
        """Take note that the link, or the attempt, is over."""
        visit, self._visit = self._visit, None
        sender = None if visit is None else self._senders.get(visit.address)
        if sender is not None and visit is not None and sender.sighting.uuid == visit.sighting.uuid:
            sender.tries = 0 if self._is_proven else visit.tries + 1
            sender.has_taken = self._taken_ms is not None

    def taken(self, now_ms: int, is_news: bool) -> None:
        """Take note that the centre's stage was taken; `is_news`: none so high was before."""
        self._taken_ms = now_ms if self._taken_ms is None else self._taken_ms
        self._has_progress = self._has_progress or is_news

    def was_check_in(self, sighting: Sighting) -> None:
        """Take note that nothing was open: to visit this CONTACT again would tell nothing new."""
        self._check_in = sighting.uuid

    def ended(self, is_lost: bool, is_received: bool) -> int:
        """Return how long to wait after a visit, in ms; `is_received`: the button has its receipt."""
        if not is_lost:
            self._done_number = self._number
        elif is_received:
            self._done_number = self._visit_number
        if self._has_progress or (is_lost and self._is_another_left()):
            self._again_ms = AGAIN_MS_MIN
        else:
            ceiling_ms = AGAIN_MS_LOST_MAX if is_lost else AGAIN_MS_IDLE_MAX
            self._again_ms = min(self._again_ms * 2, ceiling_ms)
        return self._again_ms

    def _is_another_left(self) -> bool:
        """Return whether somebody was tried less often than others."""
        tries = {sender.tries for sender in self._senders.values() if sender.number > self._done_number}
        return len(tries) > 1
