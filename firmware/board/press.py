"""A press, from pin to silence. Pure: events and the time (ms) in, actions out.

    phase    on the air                   lasts                      then
    -----    ----------                   -----                      ----
    QUIET    nothing                      to the next slot           CONTACT or ALIVE
    FAST     the press's code, 20 ms      30 s                       SLOW
    SLOW     the same code, 152.5 ms      5 min                      LINGER
    CONTACT  a fresh CONTACT, 152.5 ms    3 s                        LINGER
    ALIVE    a fresh ALIVE, 152.5 ms      2 to 4 s                   QUIET
    LINGER   nothing; a peer is linked    10 min after RECEIVED, if  QUIET
                                          it brought it; else to the
                                          next CONTACT; not at all
                                          when the last one leaves

    what happens      in which press              then
    ------------      --------------              ----
    hold              none, TEST, RECEIVED ALARM  a new ALARM: FAST
    hold              ALARM awaiting RECEIVED     the same press: FAST, the same code
    clicks            none                        a new TEST: FAST
    clicks            any                         nothing
    RECEIVED          TEST                        the press ends once each way has brought it: QUIET
    RECEIVED          ALARM                       LINGER; CONTACT every 60 s to 2 h, then it ends
    by another way    ALARM                       the same, but FAST and SLOW go on until a bridge has it
    ACKNOWLEDGED, ..  ALARM                       its vibration
    CLOSED            ALARM                       the press ends: QUIET
    end of SLOW       TEST                        the press ends: QUIET
    60 s, no RECEIVED any                         NOT_CONFIRMED, once
    60 s, RECEIVED by TEST                        RECEIVED, NOT_CONFIRMED; the press ends: QUIET
    some of the ways

What a hand is to feel is saved first: a motor that takes the battery's last volt costs one restart, and the
pattern is not felt again. The 60 s count from the hand's press through every reset; where the clock was lost
they count from the first start that finds the press open, and a second such start tells it at once.

An ALARM that is not RECEIVED stays open for ever: CONTACT every 60 s for 2 h, then at every
alive slot. Once a day the alive slot is a CONTACT, too: the daily check-in.

What flash did not take is written again: after 5 s, doubling to a minute, and at each wake from deep
sleep. It wakes nobody for that, and the air goes first.
"""

from wire.codes import ALARM, ALIVE, ALIVE_LOW, CONTACT, RESERVE, SPARE_COUNT, SPARE_FIRST, TEST
from wire.receipts import CLOSED, HEARD, RECEIVED

QUIET_PHASE = 0
FAST_PHASE = 1
SLOW_PHASE = 2
CONTACT_PHASE = 3
ALIVE_PHASE = 4
LINGER_PHASE = 5

NEVER_MS = 1 << 62

# Apple names these intervals: 20 ms for at least 30 s, then 152.5 ms.
_FAST_US = 20000
_SLOW_US = 152500
_FAST_MS = 30_000
_SLOW_MS = 300_000
_CONTACT_MS = 3_000
_CONTACT_EVERY_MS = 60_000
_CONTACT_FOR_MS = 7_200_000
_CONFIRM_MS = 60_000
_LINK_MS = 600_000
_PROVE_MS = 5_000  # what peers.py gives a stranger
_DAY_MS = 86_400_000
_SAVE_MS_MIN = 5_000
_SAVE_MS_MAX = 60_000

# Ways of a press to the centre; Direct of direct.py has the others.
BLUETOOTH = 1

# Actions, carried out in order by app.py.
SAVE_PRESS = "save_press"  # on flash before anything that follows; then `saved` is called
SAVE_ALIVE = "save_alive"
VIBRATE = "vibrate"  # (VIBRATE, pattern)
SESSION = "session"  # (SESSION, event, counter): a fresh address, and a table where connectable
ADVERTISE = "advertise"  # (ADVERTISE, interval_us): from now on, and again after each connect
HUSH = "hush"  # no more adverts; links stay
SILENCE = "silence"  # the radio off, and whoever is linked with it

# Vibrations; a proven stage gives its own number.
TAKEN = "taken"
NOT_CONFIRMED = "not_confirmed"

Action = tuple


class Life:
    """Hold what a button must remember: memory.py keeps it in RTC memory, and the press in flash."""

    def __init__(self) -> None:
        self.press_counter = 0  # the last one used; 0: none yet
        self.event = 0  # of the open press: ALARM, TEST, or 0 where none is open
        self.stage = HEARD  # the highest that was proven
        self.alive_counter = 0  # the last one used
        self.alive_reserve = 0  # alive counters below this may be used
        self.counters_lost = False
        self.age_is_lower_bound = False
        self.opened_ms = 0
        self.started_ms = 0  # the hand's last hold of this press: from here NOT_CONFIRMED counts
        self.received_ms = 0
        self.told_not_confirmed = False
        self.battery_low = False
        self.unsaved = 0  # what flash did not take, and only RTC memory holds: 1 the press, 2 the reserve
        self.stuck = False  # the pin was held for so long that something sits on it
        self.alive_ms = 0  # when the next slot is due
        self.contact_ms = 0
        self.checkin_ms = 0
        self.direct_ms = NEVER_MS  # when the direct path, where there is one, has something to do
        self.answered = 0  # the ways that have brought RECEIVED for this TEST; a start begins it anew
        self.ahead_ms = 0  # how far the board's clock was set ahead of the one that all this counts by
        self.is_undated = False  # only flash knew the open press, and flash knows no time
        self.saved_ms = 0  # when RTC memory took all this: a clock that shows less was lost

    def clock_lost(self, now_ms: int) -> None:
        """Date everything anew after a start of the clock: no more time has passed than is known of."""
        lost_ms = self.saved_ms - now_ms
        self.opened_ms -= lost_ms
        self.started_ms -= lost_ms
        self.received_ms -= lost_ms
        self.alive_ms -= lost_ms
        self.contact_ms -= lost_ms
        self.checkin_ms -= lost_ms
        if self.direct_ms < NEVER_MS:
            self.direct_ms -= lost_ms
        self.age_is_lower_bound = bool(self.event)


class Press:
    """Decide over one button's whole life on the air; see the table above.

    `rhythm(counter)` gives `(wait_ms, burst_ms)` of alive slot `counter`; `draw()` a random
    number below 1024, for the spare range.
    """

    def __init__(self, life: Life, rhythm, draw) -> None:  # type: ignore[no-untyped-def]
        self.life = life
        self.phase = QUIET_PHASE
        self.on_air = (0, 0)  # (event, counter) of the code of this radio session
        self.ways: int | None = BLUETOOTH  # all that are set up; None: not known yet
        self._rhythm = rhythm
        self._draw = draw
        self._until_ms = 0
        self._peers = self._carriers = 0
        self._save_ms = self._save_wait_ms = 0  # when to write again what is unsaved

    # -- what happens to it ------------------------------------------------------------

    def boot(self, now_ms: int, slept: bool, power_lost: bool) -> list[Action]:
        """Start: a wake from deep sleep (`slept`, which begins and ends in QUIET), a reset, or power.

        A press that was not RECEIVED before a reset is on the air as in step 1 again: how much of it
        was heard is unknown. `power_lost`: the clock and what only RTC memory held are gone.
        """
        life = self.life
        if now_ms < life.saved_ms:
            life.clock_lost(now_ms)
        if slept:
            return self.tick(now_ms)
        undated = life.event and life.is_undated
        if undated:
            self._date(now_ms, power_lost)
        life.contact_ms = life.alive_ms = now_ms
        actions = self._step_one(now_ms) if life.event and life.stage < RECEIVED else []
        if undated:
            actions.append((SAVE_PRESS,))  # after the advert: that its age is a lower bound from now on
        return actions + self.tick(now_ms)

    def _date(self, now_ms: int, power_lost: bool) -> None:
        """Give the press that only flash knew its times: now, and so that not confirmed is told once."""
        life = self.life
        was_dated = power_lost and life.age_is_lower_bound  # by an earlier start, whose clock is lost, too
        life.is_undated = False
        life.opened_ms = now_ms
        life.started_ms = now_ms - _CONFIRM_MS * was_dated
        life.received_ms = now_ms if life.stage >= RECEIVED else 0
        life.age_is_lower_bound = True

    def hold(self, now_ms: int) -> list[Action]:
        """Take a hold that was long enough: a new alarm, or once more the one that is not RECEIVED."""
        life = self.life
        if life.event == ALARM and life.stage < RECEIVED:
            return self._taken(now_ms)
        return self._open(ALARM, now_ms)

    def clicks(self, now_ms: int) -> list[Action]:
        """Take three short clicks: a silent test, unless a press is open."""
        return [] if self.life.event else self._open(TEST, now_ms)

    def receipt(self, stage: int, now_ms: int, way: int = BLUETOOTH) -> list[Action]:
        """Take the `stage` that was proven on `way`; lower and repeated ones mean nothing new."""
        life = self.life
        if stage <= life.stage or not life.event:
            # Where another way was the first, a bridge that has the press needs no more adverts of it.
            is_late = way == BLUETOOTH and life.stage >= RECEIVED and self.phase in (FAST_PHASE, SLOW_PHASE)
            return self._linger(now_ms) if is_late else []
        if life.event == TEST:
            life.answered |= way
            is_whole = self.ways is not None and not self.ways & ~life.answered
            if not is_whole and not life.told_not_confirmed:
                return []  # a test is of all of them
        first = life.stage < RECEIVED
        life.stage = stage
        if first:
            life.received_ms = now_ms
            life.contact_ms = now_ms + _CONTACT_EVERY_MS
        ended = stage == CLOSED or life.event == TEST
        if ended:
            self._close()
        actions: list[Action] = [(SAVE_PRESS,), (VIBRATE, stage)]
        if ended:
            return actions + self._quiet()
        return actions + (self._linger(now_ms) if first and way == BLUETOOTH else [])

    def set_ways(self, ways: int, now_ms: int) -> list[Action]:
        """Take which ways are set up: a TEST that all of them have answered by then is RECEIVED."""
        self.ways = ways
        life = self.life
        return self.receipt(RECEIVED, now_ms, 0) if life.event == TEST and life.answered else []

    def links(self, peers: int, carriers: int, now_ms: int) -> list[Action]:
        """Note how many peers are linked now, and how many of them have brought a receipt."""
        self._peers, self._carriers = peers, carriers
        return self._linger(now_ms) if self.phase == LINGER_PHASE else []

    def saved(self, verb: str, ok: bool, now_ms: int) -> None:
        """Note whether flash has taken what `verb` was to save."""
        life = self.life
        bit = 1 if verb == SAVE_PRESS else 2
        if ok:
            life.unsaved &= ~bit
            return
        if not life.unsaved:
            self._save_wait_ms = 0
            self._save_again(now_ms)
        life.unsaved |= bit

    def tick(self, now_ms: int) -> list[Action]:
        """Do what is due: end a phase, start a slot, give up waiting for a receipt, try flash again."""
        actions: list[Action] = []
        life = self.life
        confirm_ms = self._confirm_ms()
        if confirm_ms is not None and now_ms >= confirm_ms:
            actions += self._not_confirmed()
        if life.event and life.stage >= RECEIVED and now_ms - self._since_ms() >= _CONTACT_FOR_MS:
            self._close()
            actions.append((SAVE_PRESS,))
        if self.phase != QUIET_PHASE and now_ms >= self._until_ms:
            actions += self._phase_ended(now_ms)
        if self.phase == QUIET_PHASE and now_ms >= self._slot_ms():
            actions += self._slot(now_ms)
        if life.unsaved and now_ms >= self._save_ms:
            self._save_again(now_ms)
            actions += [(SAVE_PRESS,)] if life.unsaved & 1 else []
            actions += [(SAVE_ALIVE,)] if life.unsaved & 2 else []
        return actions

    def again(self) -> list[Action]:
        """Go on the air anew, where the radio was needed for something else."""
        if self.phase in (QUIET_PHASE, LINGER_PHASE):
            return []
        return self._session(self.on_air, _FAST_US if self.phase == FAST_PHASE else _SLOW_US)

    def due_ms(self) -> int:
        """Return when `tick` must be called next."""
        due_ms = self._slot_ms()
        if self.phase != QUIET_PHASE:
            due_ms = min(self._until_ms, self._save_ms) if self.life.unsaved else self._until_ms
        confirm_ms = self._confirm_ms()
        return due_ms if confirm_ms is None else min(due_ms, confirm_ms)

    def subject(self) -> tuple[int, int]:
        """Return `(event, counter)` of the open press, `(0, 0)` where none is open."""
        return (self.life.event, self.life.press_counter) if self.life.event else (0, 0)

    # -- presses -----------------------------------------------------------------------

    def _open(self, event: int, now_ms: int) -> list[Action]:
        life = self.life
        if life.counters_lost and life.press_counter < SPARE_FIRST:
            life.press_counter = SPARE_FIRST + self._draw() % SPARE_COUNT
        elif life.press_counter == SPARE_FIRST + SPARE_COUNT - 1:
            life.press_counter = SPARE_FIRST  # a bridge looks no further
        else:
            life.press_counter += 1
        life.event = event
        life.stage = HEARD
        life.answered = 0
        life.opened_ms = now_ms
        life.received_ms = 0
        life.age_is_lower_bound = False
        return self._taken(now_ms)

    def _taken(self, now_ms: int) -> list[Action]:
        self.life.started_ms = now_ms
        self.life.told_not_confirmed = False
        # On flash first, then felt, then on the air; nothing else in between.
        return [(SAVE_PRESS,), (VIBRATE, TAKEN)] + self._step_one(now_ms)

    def _step_one(self, now_ms: int) -> list[Action]:
        life = self.life
        life.contact_ms = now_ms + _FAST_MS + _SLOW_MS
        self._enter(FAST_PHASE, now_ms + _FAST_MS)
        session = (life.event, life.press_counter)
        if self.on_air == session:  # whoever is linked stays linked
            return [(ADVERTISE, _FAST_US)]
        return self._session(session, _FAST_US)

    def _session(self, on_air: tuple[int, int], interval_us: int) -> list[Action]:
        self.on_air = on_air
        self._peers = self._carriers = 0
        return [(SESSION, on_air[0], on_air[1]), (ADVERTISE, interval_us)]

    def _close(self) -> None:
        self.life.event = self.life.answered = 0
        self.life.stage = HEARD

    def _save_again(self, now_ms: int) -> None:
        self._save_wait_ms = min(max(self._save_wait_ms * 2, _SAVE_MS_MIN), _SAVE_MS_MAX)
        self._save_ms = now_ms + self._save_wait_ms

    def _confirm_ms(self) -> int | None:
        """Return when a missing RECEIVED must be told; None where there is nothing to tell."""
        life = self.life
        if not life.event or life.stage >= RECEIVED or life.told_not_confirmed:
            return None
        return life.started_ms + _CONFIRM_MS

    def _not_confirmed(self) -> list[Action]:
        """Say that a minute was not enough; it ends a TEST that some of the ways have answered."""
        life = self.life
        life.told_not_confirmed = True
        if not life.answered:
            return [(SAVE_PRESS,), (VIBRATE, NOT_CONFIRMED)]
        self._close()
        return [(SAVE_PRESS,), (VIBRATE, RECEIVED), (VIBRATE, NOT_CONFIRMED)] + self._quiet()

    # -- phases ------------------------------------------------------------------------

    def _enter(self, phase: int, until_ms: int) -> None:
        self.phase = phase
        self._until_ms = until_ms

    def _phase_ended(self, now_ms: int) -> list[Action]:
        if self.phase == FAST_PHASE:
            self._enter(SLOW_PHASE, now_ms + _SLOW_MS)
            return [(ADVERTISE, _SLOW_US)]
        if self.phase == SLOW_PHASE and self.life.event == TEST:
            self._close()
            return [(SAVE_PRESS,)] + self._quiet()
        if self.phase in (SLOW_PHASE, CONTACT_PHASE):
            return self._linger(now_ms)
        return self._quiet()

    def _linger(self, now_ms: int) -> list[Action]:
        """Leave the air, but keep the links for as long as a peer may still bring something."""
        life = self.life
        if not self._peers:
            return self._quiet()
        until_ms = 0
        if life.event and life.stage < RECEIVED:
            until_ms = self._slot_ms()
        elif life.event and self._carriers:
            until_ms = life.received_ms + _LINK_MS
        # Whoever has just come has time to prove itself, and to hand over what is new.
        self._enter(LINGER_PHASE, max(until_ms, now_ms + _PROVE_MS))
        return [(HUSH,)]

    def _quiet(self) -> list[Action]:
        self._enter(QUIET_PHASE, 0)
        self._peers = self._carriers = 0
        self.on_air = (0, 0)
        return [(SILENCE,)]

    # -- slots -------------------------------------------------------------------------

    def _slot_ms(self) -> int:
        """Return when the next CONTACT or ALIVE is due: a press within its 2 h has its own rhythm."""
        life = self.life
        if life.event and life.contact_ms - self._since_ms() < _CONTACT_FOR_MS:
            return life.contact_ms
        return life.alive_ms

    def _since_ms(self) -> int:
        """Return from when the 2 h count: RECEIVED, which may come late, so that later stages can follow."""
        return max(self.life.opened_ms, self.life.received_ms)

    def _slot(self, now_ms: int) -> list[Action]:
        life = self.life
        counter = life.alive_counter + 1
        if counter >= SPARE_FIRST + SPARE_COUNT:
            counter = SPARE_FIRST  # a bridge looks no further
        actions: list[Action] = []
        if counter >= life.alive_reserve:
            life.alive_reserve = (counter // RESERVE + 1) * RESERVE
            actions.append((SAVE_ALIVE,))
        life.alive_counter = counter
        wait_ms, burst_ms = self._rhythm(counter)
        life.contact_ms = now_ms + _CONTACT_EVERY_MS
        life.alive_ms = now_ms + wait_ms
        if life.event or now_ms >= life.checkin_ms:
            life.checkin_ms = now_ms + _DAY_MS
            event = CONTACT
            self._enter(CONTACT_PHASE, now_ms + _CONTACT_MS)
        else:
            event = ALIVE_LOW if life.battery_low else ALIVE
            self._enter(ALIVE_PHASE, now_ms + burst_ms)
        return actions + self._session((event, counter), _SLOW_US)
