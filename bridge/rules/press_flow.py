"""A press on the phone, from the advert to CLOSED. Pure: events and the time in, actions out.

    phase     means                                            lasts until
    -------   ----------------------------------------------   ---------------------------------
    KEEPING   heard; its row goes to disk, and nothing is      it is on disk, or the disk has had
              said to anybody yet                              its 2 s
    POSTING   the retry queue posts it                         the centre answers 200 or 201
    OPEN      the centre has the alarm; receipts follow        CLOSED
    OVER      a TEST that is received, an alarm that is CLOSED

    what happens        in which phase     then
    ------------        --------------     ----
    heard               a new press        KEEPING: connect to the centre, keep it
    kept                KEEPING            POSTING: post it, watch its position, bring HEARD
    kept                any other, late    bring HEARD
    slow disk           KEEPING            POSTING: post it, watch its position; HEARD waits for `kept`
    resumed             a new flow         as its row says: post it, or follow what is open; post what is owed
    answered            POSTING            OPEN or OVER: keep, follow the receipts, bring the proof; post
                                           what is owed: positions, the age, a call-off
    answered            OPEN, OVER         keep; the same stage again brings nothing
    proven              OPEN, OVER         a higher stage: keep it, bring it; CLOSED: OVER
    taken               any                a stage that the button had not: keep that it has it
    state read          any                the age, where it lacks one: keep it, then post it
    call-off given      not DONE           keep the PIN, then post it; while POSTING it follows the alarm
    call-off answered   any                keep what became of it, and the PIN no longer
    tick                an alarm           a position that is due: keep it, then post it
    refused for good    any                an age, positions: given up. A PIN: say so. All else is tried again

The phase is not told to anybody; what a restart needs of it is in the press's row. The button is told only by
visits (visit.py), which read the row's stage and `is_kept`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from enum import Enum, auto
from typing import Any, NamedTuple

from bridge.model import CallOff, Fix, Key, Press, Record, Waypoint
from bridge.rules import press_age
from bridge.rules.accuracy import read_time
from bridge.rules.press_age import Age
from bridge.rules.retry_queue import Kind, press_kind
from bridge.rules.tracking import CALLED_OFF_MS, Track, thin
from wire import codes, receipts, state

# The button keeps a received press open for 2 h; after that a stage has nowhere to go.
FOLLOW_MS = 2 * 3_600_000 + 600_000
# A button whose power fails right at its receipt starts again with the same code, within moments.
REPLAY_MS = 10 * 60_000
# So often the row says how much is left of these 2 h, where there is no position to keep with it.
LEFT_EVERY_MS = 60_000
FIXES_IN_POST_MAX = 64
FIXES_KEPT_MAX = 120
# What the centre says of a PIN, and what the protected person is told.
PIN_REFUSALS = {
    "wrong_pin": CallOff.WRONG_PIN,
    "bad_pin": CallOff.WRONG_PIN,
    "pin_locked": CallOff.LOCKED,
    "no_pin": CallOff.NO_PIN,
}
# An incident that takes no more positions: they are of no more use to anybody.
FIXES_OVER = ("incident_closed", "unknown_incident")
BAD_FIX = "bad_fix"
UNPROCESSABLE = 422


class Phase(Enum):
    """Where a press is on its way; see the table above."""

    KEEPING = auto()
    POSTING = auto()
    OPEN = auto()
    OVER = auto()


class Now(NamedTuple):
    """The time by both clocks: the wall's, since 1970, and the one that nobody sets and that never sleeps."""

    wall_ms: int
    boottime_ms: int

    def boottime_of(self, wall_ms: int) -> int:
        """Return when that was, as it was kept; the wall's clock may have been set back: not after now."""
        return self.boottime_ms - max(self.wall_ms - wall_ms, 0)

    def arrival_ms(self, waypoint: Waypoint) -> int:
        """Return when a position came; of one that an earlier run has kept, its own time tells."""
        arrived_ms = waypoint.fix.get("arrived_ms")
        return self.boottime_of(read_time(waypoint.taken_at)) if arrived_ms is None else int(arrived_ms)


class Keep(NamedTuple):
    """Put `rows` on disk. Where `first`, what follows waits for that, as long as the disk may take."""

    rows: tuple[Record, ...]
    first: bool = False


class Post(NamedTuple):
    """Put a job of this kind into the retry queue; one that is there already stays."""

    kind: Kind


class Log(NamedTuple):
    """Write a line of the log."""

    what: str
    fields: dict[str, Any]


class Do(Enum):
    """Actions that need no more words."""

    CONNECT = auto()  # to the centre: a post is about to come
    BRING = auto()  # there is something for the button: wake its visit
    FOLLOW = auto()  # the incident's stream of receipts
    WATCH = auto()  # the position: call `tick` when it is due, from now on
    CALL_OFF_ANSWERED = auto()  # whoever waits for it may look


Action = Keep | Post | Log | Do


class Refusal(NamedTuple):
    """The centre said no to a job: its word, the HTTP status, whether for good, a sentence for people."""

    reason: str
    status: int
    is_permanent: bool
    text: str


class PressFlow:
    """One press. `code` is what its button advertised; `follow_every_s` None: this phone has no positions."""

    def __init__(
        self, press: Press, code: bytes, heard_boottime_ms: int, follow_every_s: int | None = None
    ) -> None:
        self.press, self.code = press, code
        self.phase = Phase.KEEPING
        self.is_kept = False
        self.heard_boottime_ms = heard_boottime_ms
        self.waypoints: list[Waypoint] = []  # on their way to the centre
        self._batch: Sequence[Waypoint] = ()  # of these, in the post that is on its way
        self._fixes_max = FIXES_IN_POST_MAX  # in the next post
        self._pin_sent: str | None = None  # in the call-off that is on its way
        self._follow_every_s = follow_every_s
        self._track: Track | None = None
        self._left_since_ms = heard_boottime_ms  # from when on `follow_left_ms` counts
        self._heard_fields: dict[str, Any] = {}

    @property
    def key(self) -> Key:
        """Return the identity of the press."""
        return self.press.key

    @property
    def wants_receipts(self) -> bool:
        """Return whether later stages can still come."""
        return self.phase is Phase.OPEN

    def is_over_on_air(self, boottime_ms: int) -> bool:
        """Return whether its code, heard again, can only be a recording: the button has its receipt."""
        is_received = self.press.delivered >= receipts.RECEIVED
        return is_received and boottime_ms - self.heard_boottime_ms > REPLAY_MS

    # -- hearing and keeping ----------------------------------------------------------------------------

    def heard(self, rssi: int | None = None) -> list[Action]:
        """Begin: nothing is said to anybody before the row is on disk."""
        self._heard_fields = {} if rssi is None else {"rssi": rssi}
        return [Do.CONNECT, Keep((self.press,), first=True)]

    def resumed(self, now: Now, waypoints: Iterable[Waypoint] = ()) -> list[Action]:
        """Go on where the journal's row says that we were."""
        self.is_kept = True
        self._left_since_ms = now.boottime_ms
        self.waypoints = list(waypoints)
        press = self.press
        if press.incident is None:
            return self._begin_posting(now)
        self.phase = self._phase_after_answer()
        actions: list[Action] = []
        watch = self._watch(now)
        if watch or now.boottime_ms - self.heard_boottime_ms < FOLLOW_MS:
            actions += [*self._follow(), *watch]
        return actions + self._owed()

    def kept(self, now: Now) -> list[Action]:
        """Take note that the row is on disk: HEARD may be written."""
        is_news, self.is_kept = not self.is_kept, True
        if self.phase is Phase.KEEPING:
            return [*self._begin_posting(now), Do.BRING, self._heard_line()]
        return [Do.BRING] if is_news else []

    def disk_is_slow(self, now: Now) -> list[Action]:
        """Go on from memory: the alarm waits for no disk for longer than that."""
        if self.phase is not Phase.KEEPING:
            return []
        self._heard_fields["on_disk"] = False
        return [*self._begin_posting(now), Do.BRING, self._heard_line()]

    def _begin_posting(self, now: Now) -> list[Action]:
        self.phase = Phase.POSTING
        return [Post(press_kind(self.key)), *self._watch(now)]

    def _heard_line(self) -> Log:
        return Log("heard", self.key._asdict() | self._heard_fields)

    # -- the centre -------------------------------------------------------------------------------------

    def at_hand(self, fix: Fix | None) -> None:
        """Let `fix` go with the press, where it has none yet. It never waits for one."""
        if self.press.fix is None and fix is not None:
            self.press = replace(self.press, fix=fix.as_json())

    def answered(self, kind: Kind, incident: str, stage: int, proof: bytes, age_sent: bool) -> list[Action]:
        """Take the centre's 200 or 201; `age_sent`: the post carried the age, which is told by that."""
        assert self.phase is not Phase.KEEPING, "nothing is posted before it is on disk, or the disk is slow"
        self.press = replace(self.press, incident=incident, age_told=self.press.age_told or age_sent)
        actions = self._advance(stage, proof)
        self.phase = self._phase_after_answer()
        if kind is Kind.AGE:
            # That it was told is on disk before it is said: whoever is killed from here on tells it no more.
            line = Log("age", self.key._asdict() | {"age_s": self.press.age_s})
            return [*actions, *self._follow(), Keep((self.press,), first=True), line]
        line = Log("received", self.key._asdict() | {"incident": incident})
        return [*actions, Keep((self.press,)), *self._follow(), line, *self._owed()]

    def proven(self, stage: int, proof: bytes, event_id: str) -> list[Action]:
        """Take an event of the stream of receipts."""
        self.press = replace(self.press, last_event_id=event_id)
        return [*self._advance(stage, proof), Keep((self.press,))]

    def refused(self, kind: Kind, refusal: Refusal) -> list[Action] | None:
        """Return what a refusal of this kind of job leads to; None: the job is tried again."""
        if kind is Kind.CALL_OFF and refusal.reason in PIN_REFUSALS:
            return self._call_off_ended(PIN_REFUSALS[refusal.reason])
        if kind is Kind.AGE and refusal.is_permanent:
            # The centre has the press; from a bridge that it no longer knows it wants no more of it.
            return [self._given_up("press", "the age is not taken", refusal)]
        if kind is Kind.FIXES and refusal.reason == BAD_FIX and len(self._batch) > 1:
            # One of them is wrong, and the centre takes all or none: half of them, until it is alone.
            self._fixes_max = len(self._batch) // 2
            return [Post(Kind.FIXES)]
        if kind is Kind.FIXES and (refusal.reason in FIXES_OVER or refusal.status == UNPROCESSABLE):
            # Nobody wants them, or our own was wrong: there will be others.
            return [self._given_up("fixes", "positions not taken", refusal), *self._drop_batch()]
        return None

    def _given_up(self, where: str, what: str, refusal: Refusal) -> Log:
        text = f"{what}: {refusal.text}"
        return Log("trouble", {"where": where, "reason": refusal.reason, "text": text})

    def _phase_after_answer(self) -> Phase:
        is_over = self.press.is_test or self.press.stage == receipts.CLOSED
        return Phase.OVER if is_over else Phase.OPEN

    def _advance(self, stage: int, proof: bytes) -> list[Action]:
        """Take a proven stage; stages only rise."""
        if stage <= self.press.stage:
            return []
        self.press = replace(self.press, stage=stage, proof=proof)
        if self.phase is Phase.OPEN:
            self.phase = self._phase_after_answer()
        if stage == receipts.CLOSED and self._track is not None:
            self._track.close()
        return [Do.BRING]

    def _follow(self) -> list[Action]:
        return [Do.FOLLOW] if self.wants_receipts else []

    def _owed(self) -> list[Action]:
        """Return the jobs for what the centre has not been told, once it has the press."""
        press = self.press
        assert press.incident is not None, "what is owed follows the press itself"
        owes_age = press.age_s is not None and not press.age_told
        return [
            *([Post(Kind.FIXES)] if self.waypoints else []),
            *([Post(Kind.AGE)] if owes_age else []),
            *([Post(Kind.CALL_OFF)] if press.pin is not None else []),
        ]

    # -- the button -------------------------------------------------------------------------------------

    def taken(self, stage: int) -> list[Action]:
        """Take note that the button itself has taken `stage` (visit.py says when that is known)."""
        if stage <= self.press.delivered:
            return []
        self.press = replace(self.press, delivered=stage)
        return [Log("receipt", self.key._asdict() | {"stage": stage}), Keep((self.press,))]

    def contact_read(self, value: state.State, boottime_ms: int) -> list[Action]:
        """Take the state that was read at a CONTACT: the press is still open."""
        return [*self.state_read(value, boottime_ms), *self._follow()]

    def state_read(self, value: state.State, boottime_ms: int) -> list[Action]:
        """Learn from the button how old the press is, where that is still wanted."""
        age = press_age.when_heard(value, boottime_ms - self.heard_boottime_ms)
        if not self.press.lacks_age or age is None:
            return []
        self.press = with_age(self.press, age)
        owed: list[Action] = [] if self.press.incident is None else [Post(Kind.AGE)]
        return [Keep((self.press,), first=True), *owed]

    # -- call-offs --------------------------------------------------------------------------------------

    def call_off(self, pin: str) -> list[Action]:
        """Take a PIN that is to call the alarm off. While the alarm itself is on its way, it follows that."""
        if self.press.call_off is CallOff.DONE:
            return [Do.CALL_OFF_ANSWERED]
        self.press = replace(self.press, call_off=CallOff.KEPT, pin=pin)
        is_received = self.press.incident is not None
        return [Keep((self.press,), first=True), *([Post(Kind.CALL_OFF)] if is_received else [])]

    def pin_to_send(self) -> str | None:
        """Return the PIN that the next call-off carries; None where none is wanted any more."""
        self._pin_sent = self.press.pin
        return self._pin_sent

    def call_off_taken(self, now: Now) -> list[Action]:
        """Take note that the centre has called the alarm off."""
        left_ms = CALLED_OFF_MS
        if self._track is not None:
            self._track.call_off(now.boottime_ms)
            left_ms = self._track.left_ms(now.boottime_ms)
        self.press = replace(self.press, follow_left_ms=min(self.press.follow_left_ms, left_ms))
        return self._call_off_ended(CallOff.DONE)

    def _call_off_ended(self, outcome: CallOff) -> list[Action]:
        if self.press.pin == self._pin_sent:  # else another one has been given meanwhile
            self.press = replace(self.press, call_off=outcome, pin=None)
        fields = {"device_id": self.key.device_id, "counter": self.key.counter, "outcome": outcome.value}
        is_ended = self.press.pin is None
        then: Action = Do.CALL_OFF_ANSWERED if is_ended else Post(Kind.CALL_OFF)
        return [Log("call_off", fields), Keep((self.press,), first=True), then]

    # -- positions --------------------------------------------------------------------------------------

    def _watch(self, now: Now) -> list[Action]:
        """Follow an alarm until it is closed, or for as long as its row says."""
        press = self.press
        if self._follow_every_s is None or press.is_test or press.stage == receipts.CLOSED or self._track:
            return []
        end_ms = self._left_since_ms + press.follow_left_ms
        track = Track(_fix_sent_with(press), self.heard_boottime_ms, self._follow_every_s, end_ms)
        if track.ended(now.boottime_ms):
            return []
        self._track = track
        return [Do.WATCH]

    def wait_ms(self, now: Now) -> int | None:
        """Return how long until `tick` is due; None where no position is watched any more."""
        next_ms = None if self._track is None else self._track.next_ms(now.boottime_ms)
        if next_ms is None:
            self._track = None
            return None
        return next_ms - now.boottime_ms

    def tick(self, now: Now, best: Fix | None) -> list[Action]:
        """Take the best position at hand; it is kept and sent if it is due."""
        fix = None if self._track is None else self._track.due(now.boottime_ms, best)
        left = self._note_left(now, 0 if fix else LEFT_EVERY_MS)
        if fix is None:
            return [Keep(left)] if left else []
        new = Waypoint(self.key, fix.taken_at, fix.as_json())
        before = self.waypoints
        self.waypoints = thin([*before, new], FIXES_KEPT_MAX, now.arrival_ms)
        gone = [_sent(waypoint) for waypoint in before if waypoint not in self.waypoints]
        is_received = self.press.incident is not None
        return [Keep((*left, new, *gone), first=True), *([Post(Kind.FIXES)] if is_received else [])]

    def _note_left(self, now: Now, after_ms: int) -> tuple[Press, ...]:
        """Return the row, where it is to say anew for how long the position is followed."""
        if self._track is None or self.phase is Phase.OVER:
            return ()
        left_ms, said_ms = self._track.left_ms(now.boottime_ms), self.press.follow_left_ms
        if left_ms == said_ms or (left_ms and said_ms - left_ms < after_ms):
            return ()
        self.press = replace(self.press, follow_left_ms=min(said_ms, left_ms))
        return (self.press,)

    def batch(self) -> Sequence[Waypoint]:
        """Return the positions that the next post carries."""
        self._batch = self.waypoints[: self._fixes_max]
        return self._batch

    def fixes_taken(self) -> list[Action]:
        """Forget the positions of the last post: the centre has them on disk."""
        line = Log("fixes", {"incident": self.press.incident, "stored": len(self._batch)})
        return [line, *self._drop_batch()]

    def _drop_batch(self) -> list[Action]:
        batch, self._batch = self._batch, ()
        self._fixes_max = min(2 * self._fixes_max, FIXES_IN_POST_MAX)
        self.waypoints = [waypoint for waypoint in self.waypoints if waypoint not in batch]
        more: list[Action] = [Post(Kind.FIXES)] if self.waypoints else []
        return [Keep(tuple(_sent(waypoint) for waypoint in batch), first=True), *more]


def new_press(key: Key, heard_at_ms: int, fix: Fix | None, age: Age | None = None) -> Press:
    """Return the first row of a press that was heard now, or told of by a later CONTACT with its age."""
    press = Press(*key, heard_at_ms=heard_at_ms, fix=None if fix is None else fix.as_json())
    return press if age is None else with_age(press, age)


def with_age(press: Press, age: Age) -> Press:
    """Return `press` with the age that its button told."""
    return replace(press, age_s=age.s, age_is_lower_bound=age.is_lower_bound)


def open_press(device_id: str, value: state.State) -> Key | None:
    """Return the press that a button says is open, or None."""
    if not value.flags & state.OPEN:
        return None
    event = codes.TEST if value.flags & state.IS_TEST else codes.ALARM
    return Key(device_id, event, value.press_counter)


def _fix_sent_with(press: Press) -> Fix | None:
    """Return the position that went with the alarm; one that cannot be read costs nobody the alarm."""
    try:
        return None if press.fix is None else Fix.from_json(press.fix)
    except (TypeError, ValueError):
        return None


def _sent(waypoint: Waypoint) -> Waypoint:
    return Waypoint(waypoint.key, waypoint.taken_at, waypoint.fix, sent=True)
