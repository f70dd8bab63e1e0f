"""The direct path: to the centre without a phone. Pure: events and the time (ms) in, actions out.

    state   does                              ends
    -----   ----                              ----
    OFF     nothing                           a press: ARMED; a check-in is due: OPEN
    ARMED   leaves the press to Bluetooth     due: OPEN; RECEIVED: REST
    OPEN    carriers come up                  one is up: ASK, or HELD where it is RECEIVED; none is left: REST
    ASK     sends PRESS, CHECKIN by schedule  RECEIVED: HELD; silence: as if that carrier had not come up
    HELD    POLLs for the later stages        answered, 2 min after RECEIVED or later: REST; silence: REST
    REST    radios off, deep sleep may come   due: OPEN
    any                                       the press is over: OFF

    profile   ARMED lasts
    -------   -----------
    always    0 s
    backup    5 s without HEARD, 15 s without RECEIVED
    either    0 s for a TEST; 30 s where Wi-Fi and Bluetooth exclude each other

    what happens in          then
    ----------------         ----
    a press, nothing is on   ARMED; with a carrier up PRESS goes out at once
    RECEIVED by Bluetooth    an ALARM's carriers close: REST, until no peer has brought a stage for 3 min
    RECEIVED by a carrier    the others close; Bluetooth goes on
    a carrier of a TEST      answers, and closes: the TEST ends when all have, with `backup` a phone, too
    a start with a radio on  15 s for Bluetooth alone; from then on little power, one carrier at a time, and
                             whichever was on goes last; after three it rests for 10 min

    REST, ALARM not RECEIVED   10, 20, 40, 57, 57 .. s; 5 min from 30 min on; the alive slots from 2 h on
    REST, RECEIVED             20 s to 2 min, 60 s to 12 min, then 5 min; at least what the centre asks for

All carriers of a press come up beside each other, and each that is up asks: it is one press, however often it
comes. Where LTE is preferred it has 30 s for itself: Wi-Fi tells the owner of its router who was spoken to.
Polls and check-ins need one carrier, and take the one that answered last.
"""

from firmware.board.press import BLUETOOTH, NEVER_MS, Life
from wire.codes import RESERVE, TEST
from wire.direct import (
    CHECKIN,
    FIX,
    POLL,
    POSITION_WANTED,
    PRESS,
    SILENT,
    SLOW,
    SLOW_DOWN,
    SPARE_FIRST,
    SPARE_NAMES,
    WIFI_HTTPS,
)
from wire.receipts import RECEIVED

OFF = 0
ARMED = 1
OPEN = 2
ASK = 3
HELD = 4
REST = 5

# Actions, carried out in order by direct_app.py.
UP = "up"  # (UP, carrier, is_slow): begin to come up
SEND = "send"  # (SEND, carrier, kind, wait_s, by_https, n, again): `again` the same bytes
LOCATE = "locate"  # (LOCATE, carrier): ask the satellites, then come up anew
CLOSE = "close"  # (CLOSE, carrier, error): of wire/direct.py, 0 for none
RESERVE_NAMES = "reserve"  # (RESERVE_NAMES, n): sessions below this, on flash before they are used

# Of one carrier.
_SHUT = 0
_COMING = 1
_READY = 2

# When to send, counted from the first; the fourth over Wi-Fi is the HTTPS request.
_SENDS_MS = {
    "wifi": (0, 1000, 2000, 3000, 4000),
    "lte": (0, 3000, 8000, 20000),
    "nbiot": (0, 6000, 15000, 35000),
}
_HTTPS_AT = 3
_POLLS_MS = (0, 24_000)  # the centre holds the answer for 20 s
_POLL_MS = 20_000
_POLL_S = 20
_POLLS_APART_MS = 5_000  # where the centre answers at once
_NEWS_MS = 1000  # between two polls, at least
_POLLS_SILENT_MS = 48_000
_WIFI_SILENT_MS = 12_000
_LTE_SILENT_MS = 45_000
_WIFI_UP_MS = 20_000  # a scan, and two networks
_LTE_UP_MS = 60_000
_LTE_FIRST_MS = 30_000
_FIX_MS = 150_000  # the satellites, and up again
_FIXES_MAX = 2

_HEARD_MS = 5_000
_RECEIVED_MS = 15_000
_APART_MS = 30_000
_APART_REST_MS = 12_000
_BAD_MS = 15_000
_BAD_REST_MS = 600_000
_BAD_MAX = 3
_PEER_MS = 180_000
_RESTS_MS = (10_000, 20_000, 40_000, 57_000)
_OFTEN_MS = 1_800_000
_MINUTES_MS = 300_000
_RARE_MS = 7_200_000
_LONG_POLLS_MS = 120_000
_MINUTELY_MS = 720_000
_CALM_MS = 60_000
_FIRST_CHECKIN_MS = 600_000
_CHECKIN_AGAIN_MS = 14_400_000
_CHECKIN_MS_MAX = 100_800_000
_DAY_MS = 86_400_000
_TIME_MS_MIN = 1767225600000  # 2026: before it was made
_TIME_MS_MAX = 4102444800000  # 2100
_SILENT_MAX = 255

Action = tuple


def may_set(time_ms: int, known_ms: int | None) -> bool:
    """Return whether a proven answer's time may be taken; `known_ms`: what it is by ours, None unknown."""
    if not _TIME_MS_MIN <= time_ms < _TIME_MS_MAX:
        return False
    return known_ms is None or time_ms > known_ms - _DAY_MS


class Kept:
    """Hold what the direct path must remember: in RTC memory, and the reserve in flash (direct_app.py)."""

    def __init__(self) -> None:
        self.n = 0  # of the next session
        self.reserve = 0  # sessions below this may be used
        self.seq = 0  # of the next frame
        self.tries = 0  # since the press
        self.fixes = 0
        self.bad_starts = 0
        self.silent_sessions = 0  # in a row
        self.last_bit = 0  # of the carrier that answered last
        self.suspects = 0  # bits of the carriers that may have ended the last bad start: the others go first
        self.checkins_ms = [0, 0]  # when each carrier is to give a sign of life; 0: not known yet


class _Way:
    """One carrier, and how far it is in this session."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.slot = int(name == "lte")  # in Kept.checkins_ms
        self.bit = 2 << self.slot  # in Life.answered and Press.ways
        self.state = _SHUT
        self.network = name  # whose schedule
        self.by_https = False  # by which it was answered last
        self.until_ms = 0  # when it must be up
        self.since_ms = 0  # its asking began, or will
        self.sends = 0
        self.is_long = False  # the answer is held
        self.wants_fix = self.has_fix = False

    def plan(self) -> tuple[int, ...]:
        return _POLLS_MS if self.is_long else _SENDS_MS[self.network]

    def due_ms(self) -> int:
        if self.state == _SHUT:
            return NEVER_MS
        if self.state == _COMING:
            return self.until_ms
        plan = self.plan()
        if self.sends < len(plan):
            return self.since_ms + plan[self.sends]
        if self.is_long:
            return self.since_ms + _POLLS_SILENT_MS
        return self.since_ms + (_LTE_SILENT_MS if self.slot else _WIFI_SILENT_MS)


class Direct:
    """Decide when a press takes the direct path; see the tables above.

    `life` is the press's own, `kept` what this path remembers; `carriers` are names, the preferred one first;
    `checkin_ms(n)`: how long after session `n` a sign of life is due; `is_apart`: Wi-Fi and Bluetooth exclude
    each other here.
    """

    def __init__(  # type: ignore[no-untyped-def]
        self,
        life: Life,
        kept: Kept,
        profile: str,
        carriers: tuple[str, ...],
        checkin_ms,
        is_apart: bool = False,
    ) -> None:
        self.life = life
        self.kept = kept
        self.state = OFF
        self.is_slow = False  # little power, one carrier at a time
        self._is_eager = profile == "always"
        self._checkin_ms = checkin_ms
        self._is_apart = is_apart and "wifi" in carriers
        self._ways = [_Way(name) for name in carriers]
        self._left: list[_Way] = []  # to be opened in this session
        self._is_checkin = False
        self._barred_ms = 0  # no radio before
        self._spared_ms = 0  # no radio before that may have ended three starts
        self._beside_ms = 0  # one carrier at a time until then
        self._next_n: int | None = None  # once an answer was proven
        self._has_sent = False
        self._next_ms = 0  # what the centre asked for

    def ways(self) -> int:
        """Return the bits of what a TEST waits for: all carriers, and Bluetooth where a phone comes first.

        With `always` there may be no phone at all, and nothing is wrong with a button that finds none.
        """
        bits = sum([way.bit for way in self._ways])
        return bits if bits and self._is_eager else bits | BLUETOOTH

    # -- what happens to it ------------------------------------------------------------

    def boot(self, now_ms: int, is_bad: bool) -> None:
        """Start; `is_bad`: the one before ended while a radio was on, or may have."""
        life, kept = self.life, self.kept
        for way in self._ways:
            due_ms = kept.checkins_ms[way.slot] or now_ms + _FIRST_CHECKIN_MS
            kept.checkins_ms[way.slot] = min(due_ms, now_ms + _CHECKIN_MS_MAX)
        self.state = REST if life.event else OFF
        if life.event:
            is_known = life.direct_ms < NEVER_MS
            life.direct_ms = (
                min(life.direct_ms, max(now_ms + _MINUTES_MS, life.alive_ms)) if is_known else now_ms
            )
        else:
            life.direct_ms = self._checkin_due_ms()
        if is_bad:
            kept.bad_starts = min(kept.bad_starts + 1, _BAD_MAX)
            self._barred_ms = now_ms + _BAD_MS
            if kept.bad_starts == _BAD_MAX:
                self._spared_ms = now_ms + _BAD_REST_MS
                if not kept.suspects or not [way for way in self._ways if not way.bit & kept.suspects]:
                    self._barred_ms = self._spared_ms
            life.direct_ms = max(life.direct_ms, self._barred_ms)

    def pressed(self, now_ms: int) -> list[Action]:
        """Take a press: a new one, or once more the one that is not RECEIVED."""
        life = self.life
        self.kept.tries = self.kept.fixes = 0
        if self._is_open() and not self._is_apart and not self._is_checkin:
            for way in self._ways:
                way.wants_fix = way.has_fix = False
                if way.state == _READY:
                    self._ask(way, now_ms)
            self._left = [way for way in self._ways if way.state == _SHUT]
            self._set_beside(now_ms)
            return self._go_on(now_ms)
        actions = self._close_all()
        wait_ms = 0 if self._is_eager or life.event == TEST else _HEARD_MS
        if self._is_apart:
            wait_ms = _APART_MS
        life.direct_ms = max(now_ms + wait_ms, self._barred_ms)
        self.state = ARMED
        return actions

    def heard(self) -> None:
        """Take that a bridge has the press on disk: Bluetooth gets more time."""
        life = self.life
        if self.state == ARMED and not self._is_eager and life.event != TEST:
            life.direct_ms = max(life.direct_ms, life.started_ms + _RECEIVED_MS)

    def brought(self, now_ms: int) -> list[Action]:
        """Take that a peer has brought RECEIVED or more: there is no need to ask for it here."""
        life = self.life
        if not life.event or life.event == TEST:
            return []
        actions = self._close_all()
        self.state = REST
        life.direct_ms = max(now_ms + _PEER_MS, self._barred_ms)
        return actions

    def up(self, name: str, now_ms: int, network: str = "") -> list[Action]:
        """Take that a carrier is up; `network`: "nbiot" where that is what it has."""
        way = self._way(name)
        if way.state != _COMING:
            return []
        way.network = network if network in _SENDS_MS else name
        if way.wants_fix:
            way.wants_fix = False
            return self._look_up(way, now_ms)
        way.state = _READY
        self._ask(way, now_ms)
        self._settle()
        return self._tick_way(way, now_ms)

    def failed(self, name: str, now_ms: int, error: int = 0) -> list[Action]:
        """Take that a carrier does not come up, or is gone."""
        way = self._way(name)
        return [] if way.state == _SHUT else self._close(way, error) + self._go_on(now_ms)

    def answered(self, name: str, request, answer, now_ms: int) -> list[Action]:  # type: ignore[no-untyped-def]
        """Take a proven answer to `request`, after the press has taken the receipt in it."""
        way, life, kept = self._way(name), self.life, self.kept
        if request.n < SPARE_FIRST:
            self._next_n = max(self._next_n or 0, kept.n + 1)
        if answer.n < SPARE_FIRST and (request.n >= SPARE_FIRST or answer.n > kept.n):
            self._next_n = answer.n
        kept.silent_sessions = 0
        kept.bad_starts = 0 if self._is_checkin else min(kept.bad_starts, 1)
        kept.suspects &= ~way.bit
        kept.checkins_ms[way.slot] = now_ms + self._checkin_ms(kept.n)  # each answer is a sign of life
        if way.state != _READY:
            return []
        way.by_https = request.carrier == WIFI_HTTPS
        if self._is_checkin or (life.event and life.answered & way.bit):
            return self._close(way) + self._go_on(now_ms)
        if not life.event:
            return self._close_all() + self._rest(now_ms)
        if life.stage < RECEIVED:  # the centre has not got so far: the schedule goes on
            return []
        return self._received(way, request.kind, answer, now_ms)

    def tick(self, now_ms: int) -> list[Action]:
        """Do what is due."""
        life = self.life
        actions: list[Action] = []
        if not life.event and self.state != OFF and not self._is_checkin:
            actions += self._close_all() + self._rest(now_ms)
        if not self._is_open() and now_ms >= life.direct_ms:
            actions += self._begin(now_ms)
        if self._left and now_ms >= self._beside_ms:
            actions += self._go_on(now_ms)
        for way in self._ways:
            actions += self._tick_way(way, now_ms)
        return actions

    def due_ms(self) -> int:
        """Return when `tick` must be called next."""
        if not self._is_open():
            due_ms: int = self.life.direct_ms
            return due_ms
        dues = [way.due_ms() for way in self._ways]
        return min(dues + [self._beside_ms] if self._left else dues)

    # -- sessions ----------------------------------------------------------------------

    def _begin(self, now_ms: int) -> list[Action]:
        life, kept = self.life, self.kept
        self._is_checkin = not life.event
        self._next_ms = 0
        self.is_slow = kept.bad_starts > 0 or life.battery_low
        if self._is_checkin:
            self._left = [way for way in self._ways if now_ms >= kept.checkins_ms[way.slot]]
            for way in self._left:  # in vain, unless it is answered
                kept.checkins_ms[way.slot] = now_ms + _CHECKIN_AGAIN_MS
        else:
            self._left = [way for way in self._ways if not life.answered & way.bit]
            if kept.bad_starts:
                self._left.sort(key=lambda way: way.bit & kept.suspects)
            if life.stage >= RECEIVED:
                self._left.sort(key=lambda way: way.bit != kept.last_bit)
        self._set_beside(now_ms)
        actions: list[Action] = []
        if kept.n >= kept.reserve and self._left:
            actions.append((RESERVE_NAMES, (kept.n // RESERVE + 1) * RESERVE))
        return actions + self._go_on(now_ms)

    def _set_beside(self, now_ms: int) -> None:
        """Set from when on several of those that are left may be on; leave out those that rest."""
        if now_ms < self._spared_ms:
            self._left = [way for way in self._left if not way.bit & self.kept.suspects]
        self._beside_ms = now_ms + self._ways[0].slot * _LTE_FIRST_MS if self._ways else now_ms
        if self.is_slow or self._is_checkin or self.life.stage >= RECEIVED:
            self._beside_ms = NEVER_MS

    def _go_on(self, now_ms: int) -> list[Action]:
        """Open what may be opened; where nothing is left, rest."""
        actions: list[Action] = []
        while self._left and not (now_ms < self._beside_ms and self._is_open()):
            actions.append(self._open(self._left.pop(0), now_ms))
        if self._is_open():
            self._settle()
            return actions
        return self._rest(now_ms)

    def _open(self, way: _Way, now_ms: int) -> Action:
        way.state = _COMING
        way.until_ms = now_ms + (_LTE_UP_MS if way.slot else _WIFI_UP_MS)
        return (UP, way.name, self.is_slow)

    def _close(self, way: _Way, error: int = 0) -> list[Action]:
        if way.state == _SHUT:
            return []
        way.state = _SHUT
        way.wants_fix = way.has_fix = False
        return [(CLOSE, way.name, error)]

    def _close_all(self) -> list[Action]:
        self._left = []
        actions: list[Action] = []
        for way in self._ways:
            actions += self._close(way)
        self._end()
        return actions

    def _end(self) -> None:
        """End the session: `n` moves on where an answer was proven."""
        kept = self.kept
        if self._next_n is not None:
            kept.n, kept.seq = self._next_n, 0
        elif self._has_sent:
            kept.silent_sessions = min(kept.silent_sessions + 1, _SILENT_MAX)
        self._next_n = None
        self._has_sent = self._is_checkin = False

    def _rest(self, now_ms: int) -> list[Action]:
        """Rest until the next session is due, which is later than now in every case."""
        life, kept = self.life, self.kept
        self._end()
        if not life.event:
            self.state = OFF
            life.direct_ms = self._checkin_due_ms()
            return []
        self.state = REST
        since_ms = now_ms - life.started_ms
        if life.stage >= RECEIVED:
            wait_ms = self._until_poll_ms(now_ms - life.received_ms)
        elif since_ms < _OFTEN_MS:
            wait_ms = _RESTS_MS[min(kept.tries, len(_RESTS_MS) - 1)]
            kept.tries = min(kept.tries + 1, len(_RESTS_MS))
        elif since_ms < _RARE_MS:
            wait_ms = _MINUTES_MS
        else:
            wait_ms = max(life.alive_ms - now_ms, _CALM_MS)
        if self._is_apart:
            wait_ms = max(wait_ms, _APART_REST_MS)
        life.direct_ms = now_ms + wait_ms
        return []

    def _until_poll_ms(self, since_ms: int) -> int:
        """Return how long to rest before the next POLL, `since_ms` after RECEIVED."""
        if since_ms < _LONG_POLLS_MS and not self._next_ms:
            return _POLL_MS
        return max(_CALM_MS if since_ms < _MINUTELY_MS else _MINUTES_MS, self._next_ms)

    def _settle(self) -> None:
        """Name the state by what the carriers are at."""
        self.state = OPEN
        if any([way.state == _READY for way in self._ways]):
            self.state = ASK if self._is_checkin or self.life.stage < RECEIVED else HELD

    # -- asking ------------------------------------------------------------------------

    def _ask(self, way: _Way, since_ms: int) -> None:
        life = self.life
        way.since_ms = since_ms
        way.sends = 0
        way.is_long = (
            self._kind(way) == POLL
            and not (self._next_ms or self._is_apart)
            and since_ms - life.received_ms < _LONG_POLLS_MS
        )

    def _tick_way(self, way: _Way, now_ms: int) -> list[Action]:
        if now_ms < way.due_ms():
            return []
        at, kind = way.sends, self._kind(way)
        if way.state == _COMING:
            return self.failed(way.name, now_ms, SLOW)
        if at == len(way.plan()):
            return self.failed(way.name, now_ms, SILENT)
        way.sends += 1
        self._has_sent = True
        by_https = way.by_https and kind == POLL
        if not way.slot and not way.is_long and at == _HTTPS_AT:
            by_https = True
        return [(SEND, way.name, kind, _POLL_S if way.is_long else 0, by_https, self._n(at), at > 0)]

    def _kind(self, way: _Way) -> int:
        if self._is_checkin:
            return CHECKIN
        if way.has_fix:
            return FIX
        return POLL if self.life.stage >= RECEIVED else PRESS

    def _n(self, at: int) -> int:
        """Return under which session's name send `at` goes: one of four is a spare one after two in vain."""
        silent = self.kept.silent_sessions
        if silent >= 2 and (at + silent) % 4 == 3:  # another of the four in each session: HTTPS gets one, too
            return SPARE_FIRST + silent % SPARE_NAMES
        return self.kept.n

    def _received(self, way: _Way, kind: int, answer, now_ms: int) -> list[Action]:  # type: ignore[no-untyped-def]
        """Go on from an answer to a press that is RECEIVED: poll, or look for a position, or rest."""
        self.kept.last_bit = way.bit
        self._left = []
        actions: list[Action] = []
        wants_fix = bool(answer.flags & POSITION_WANTED) and self.kept.fixes < _FIXES_MAX
        others = [other for other in self._ways if other is not way]
        if kind == PRESS:
            for other in others:
                # One that comes up may stay for what only it can do.
                other.wants_fix = wants_fix and bool(other.slot) and other.state == _COMING
                if not other.wants_fix:
                    actions += self._close(other)
        if kind == FIX:
            way.has_fix = False
            if any([other.state != _SHUT for other in others]):
                actions += self._close(way)
                self._settle()
                return actions
        next_ms = min(answer.next_s * 1000, _MINUTES_MS)
        self._next_ms = next_ms if answer.flags & SLOW_DOWN else 0
        since_ms = now_ms if kind == PRESS else way.since_ms + _POLLS_APART_MS
        self._ask(way, max(now_ms + _NEWS_MS, since_ms))
        if wants_fix:
            actions += self._locate(now_ms)
        if way.state == _READY and not way.is_long:
            self._next_ms = next_ms
            return actions + self._close(way) + self._go_on(now_ms)
        self._settle()
        return actions

    def _locate(self, now_ms: int) -> list[Action]:
        """Ask the satellites where the centre wants to know: twice at most, and where a modem is."""
        for other in self._ways:
            if other.slot and other.state == _READY:
                return self._look_up(other, now_ms)
            if other.slot and other.state == _SHUT and not self.is_slow:
                other.wants_fix = True
                return [self._open(other, now_ms)]
        return []

    def _look_up(self, way: _Way, now_ms: int) -> list[Action]:
        self.kept.fixes += 1
        way.state, way.has_fix = _COMING, True
        way.until_ms = now_ms + _FIX_MS
        return [(LOCATE, way.name)]

    # -- the rest ----------------------------------------------------------------------

    def _checkin_due_ms(self) -> int:
        dues: list[int] = [self.kept.checkins_ms[way.slot] for way in self._ways]
        return max(min(dues), self._barred_ms) if dues else NEVER_MS

    def _is_open(self) -> bool:
        return any([way.state != _SHUT for way in self._ways])

    def _way(self, name: str) -> _Way:
        return [way for way in self._ways if way.name == name][0]  # noqa: RUF015 -- shorter as bytecode
