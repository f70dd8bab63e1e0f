"""The promises, each checked on a list of events and on nothing else. Pure.

Whoever made the events, the world in virtual time, real processes or a city: the hand presses (`hand`), the
button says what it does on its serial line and by its motor, the air shows codes and addresses, the centre
and the bridges log, an auditor reads the database at the end. How any of it works is not known here.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sim.judge.events import WorldEvent
from sim.judge.vibrations import CLOSED, NOT_CONFIRMED, RECEIVED, TAKEN, Vibration, vibrations

ALARM, TEST = 1, 2
_ON_AIR_MS = 200  # a radio whose peers are let go first is on the air so late
_BOUNCE_MS = 50  # a contact that opens for less under a finger is no release

LOST = "no press is lost"
INVENTED = "no press is invented"
ONCE = "one incident per press"
FORGED = "no receipt is felt that the centre did not give"
ORDER = "stages come in order"
REUSED = "no counter is used twice"
LATE = "delivered within the bound once faults end"
LINKED = "nothing on the air links two events"
HEARD = "HEARD means that the bridge has it on disk"
KEPT = "what the centre gave is on its disk, and stays"
FELT = "a press that was held for long enough is felt as taken"
TOLD = "who presses is told within a minute"
SOUND = "no part fails by itself"
PROMISES = (LOST, INVENTED, ONCE, FORGED, ORDER, REUSED, LATE, LINKED, HEARD, KEPT, FELT, TOLD, SOUND)


class Press(NamedTuple):
    """Which press of which button."""

    device_id: str
    event: int
    counter: int


@dataclass(frozen=True)
class Bounds:
    """How long things may take in the world that is judged."""

    # From the last fault's end until every open press must be delivered, and every stage felt. It is the
    # sum of what the protocol allows: the next CONTACT (60 s), a connection (10 s), the retry queue's pause
    # (57 s) or a dead stream's silence and pause (50 + 57 s), and one more CONTACT for the way back (60 s).
    delivery_ms: float = 240_000
    told_ms: float = 75_000  # not confirmed after 60 s, and the patterns before it
    hold_ms_min: float = 1800  # the firmware's hold is 2 s; a clock may be some percent off
    hold_ms_sure: float = 2290  # no clock is so slow, and no wake so late, that this is not long enough
    taken_ms: float = 4000  # from there to the pulse: the pattern before it may have to end first
    clicks_ms_max: float = 2600
    cut_ms: float = 50  # from a receipt's proof to flash
    pulses_may_stretch: bool = False  # a busy machine holds the motor on: one pulse is CLOSED only if proven


@dataclass(frozen=True)
class Broken:
    """A promise that was not kept, when, and how that shows."""

    promise: str
    at_ms: float
    text: str

    def __str__(self) -> str:
        return f"{self.promise}: {self.text}"


@dataclass(frozen=True)
class Unseen:
    """A promise of which this world has not shown whether it was kept, and why not."""

    promise: str
    why: str


_Finding = Broken | Unseen


@dataclass(frozen=True)
class Judgement:
    """Every promise that was broken, the first one first, and those that could not be seen."""

    broken: list[Broken] = field(default_factory=list)
    unseen: list[Unseen] = field(default_factory=list)

    def kept(self) -> list[str]:
        """Return the promises that were seen to be kept."""
        others = {one.promise for one in self.broken} | {one.promise for one in self.unseen}
        return [promise for promise in PROMISES if promise not in others]


@dataclass(frozen=True)
class Session:
    """One code under one address."""

    at_ms: float
    address: str
    code: str
    event: int
    counter: int


def judge(
    events: Sequence[WorldEvent],
    calm_from_ms: float,
    bounds: Bounds | None = None,
    blind: Mapping[str, str] | None = None,
) -> Judgement:
    """Judge a world that has ended. From `calm_from_ms` on nothing was wrong.

    `blind`: promises that this world cannot show at all, and why; what its events say of them is not read.
    """
    assert events, "nothing has happened"
    blind = blind or {}
    story = _Story(events, calm_from_ms, bounds or Bounds())
    broken: list[Broken] = []
    reasons = dict(blind)
    for finding in _all(story):
        if finding.promise in blind:
            continue
        if isinstance(finding, Broken):
            broken.append(finding)
        else:
            reasons[finding.promise] = finding.why
    broken.sort(key=lambda one: one.at_ms)
    for one in broken:
        reasons.pop(one.promise, None)
    return Judgement(
        broken, [Unseen(promise, reasons[promise]) for promise in PROMISES if promise in reasons]
    )


def _all(story: "_Story") -> Iterator[_Finding]:
    yield from story.failures
    yield from story.heard
    yield from _kept(story)
    yield from _once(story)
    yield from _linked(story)
    for button in story.buttons.values():
        yield from _lost(button, story)
        yield from _invented(button, story)
        yield from _receipts(button, story)
        yield from _reused(button, story.bounds)
        yield from _late(button, story)
        yield from _felt(button, story)
        yield from _told(button, story)


# -- who did what -------------------------------------------------------------------------------------


class _Button:
    """All that happened to one button and its hand, in order."""

    def __init__(self, name: str, bounds: Bounds) -> None:
        self.name, self.device_id = name, ""
        self.own: list[WorldEvent] = []
        self.felt: list[Vibration] = []
        self.receipts: list[tuple[float, int]] = []
        self.ends: list[float] = []  # the program ended: power, reset, wake
        self.power_off: list[float] = []
        self.unsaved_at: list[tuple[float, bool]] = []  # flash failed, or has it all again
        self.destroyed_ms: float | None = None
        self.sessions: list[Session] = []
        self.restarts: list[float] = []  # but for a wake from deep sleep: power, reset
        self.presses: list[tuple[float, float]] = []  # when the finger went down, and up
        self.holds: list[float] = []  # when each hold was long enough
        self.clicks: list[float] = []  # when each three clicks were complete
        self.heard: dict[tuple[int, int], float] = {}  # when a bridge first wrote HEARD of an event
        self._clicks_ms_max, self._hold_ms_min = bounds.clicks_ms_max, bounds.hold_ms_min
        self._pulses_may_stretch = bounds.pulses_may_stretch
        self._ups: list[float] = []
        self._down_ms: float | None = None  # since when this start of the button sees the finger
        self._touched_ms = 0.0
        self._on_air: WorldEvent | None = None

    def add_own(self, e: WorldEvent) -> None:
        """Add what the button itself says or does."""
        self.own.append(e)
        if e.what == "advert":
            self._add_session(e)
        elif e.what == "boot":
            self.device_id = e.data["args"][0]
            self.ends.append(e.at_ms)
            if e.data["args"][1:] != ["True"]:
                self.restarts.append(e.at_ms)
                self._begin_again(e.at_ms)
        elif e.what == "reset":
            self.restarts.append(e.at_ms)
        elif e.what == "receipt":
            self.receipts.append((e.at_ms, int(e.data["args"][0])))
        elif e.what == "power" and not e.data["on"]:
            self.power_off.append(e.at_ms)
            self.ends.append(e.at_ms)
            self.restarts.append(e.at_ms)
        elif e.what in ("flash", "saved"):
            self.unsaved_at.append((e.at_ms, e.what == "flash"))
        elif e.what == "destroyed":
            self.destroyed_ms = e.at_ms
        elif e.what == "provisioned":
            self.device_id, self._hold_ms_min = e.data["device_id"], 0.9 * e.data["hold_ms"]

    def add_on_air(self, e: WorldEvent) -> None:
        """Add a code that the air shows under a new address; the serial line then says what it means."""
        self._on_air = e

    def _add_session(self, e: WorldEvent) -> None:
        """Add a session; an advert that is told again as it slows down is the same one."""
        shown, self._on_air = self._on_air, None
        if shown is not None:
            event, counter = (int(word) for word in e.data["args"][:2])
            session = Session(shown.at_ms, shown.data["address"], shown.data["code"], event, counter)
            self.sessions.append(session)

    def add_hand(self, e: WorldEvent) -> None:
        """Add a finger that goes down or up."""
        if e.what == "pressed":
            self._down_ms = e.at_ms
            if not self.presses or e.at_ms - self.presses[-1][1] > _BOUNCE_MS:
                self._touched_ms = e.at_ms
        elif e.what == "released" and self._down_ms is not None:
            self.presses.append((self._touched_ms, e.at_ms))
            if not self._add_hold(e.at_ms):
                self._ups.append(e.at_ms)
                if len(self._ups) >= 3 and e.at_ms - self._ups[-3] <= self._clicks_ms_max:
                    self.clicks.append(e.at_ms)
            self._down_ms = None

    def _begin_again(self, at_ms: float) -> None:
        """Take a finger that is down at a start for a press of its own: the button cannot know better."""
        if self._down_ms is not None:
            self._add_hold(at_ms)
            self._down_ms = at_ms

    def _add_hold(self, until_ms: float) -> bool:
        is_hold = self._down_ms is not None and until_ms - self._down_ms >= self._hold_ms_min
        if is_hold and self._down_ms is not None:
            self.holds.append(self._down_ms + self._hold_ms_min)
        return is_hold

    def end(self, at_ms: float) -> None:
        """Close the story."""
        self._add_hold(at_ms)
        self.felt = [self._understood(one) for one in vibrations(self.own)]

    def _understood(self, one: Vibration) -> Vibration:
        if one.pattern != CLOSED or not self._pulses_may_stretch:
            return one
        is_proven = any(at_ms <= one.from_ms and stage == CLOSED for at_ms, stage in self.receipts)
        return one if is_proven else one._replace(pattern=TAKEN)

    def stage_of(self, one: Vibration, last: int) -> int:
        """Return the stage that is felt after stage `last` of the same press."""
        assert isinstance(one.pattern, int)
        if one.pattern > last or not self._pulses_may_stretch:
            return one.pattern
        # A pause that a busy machine stretched cuts a pattern in two: its first part reads as a lower stage.
        return max((stage for at_ms, stage in self.receipts if at_ms <= one.from_ms), default=one.pattern)

    def is_alarm(self, taken: Vibration) -> bool:
        """Return whether the hand's last gesture before it felt this was a hold."""
        hold = max((at for at in self.holds if at <= taken.from_ms), default=0.0)
        return hold > max((at for at in self.clicks if at <= taken.from_ms), default=-1.0)

    def pressed_ms(self, taken: Vibration) -> float:
        """Return when the press that this pulse tells of was first on the air: a pulse may have to wait."""
        press = self.press_of(taken)
        sessions = (one.at_ms for one in self.sessions if (one.event, one.counter) == press)
        return min(sessions, default=taken.from_ms)

    def was_on(self, from_ms: float, until_ms: float) -> bool:
        """Return whether it was started before, and neither was off nor began anew in between."""
        before = [at_ms for at_ms in self.ends if at_ms < from_ms]
        is_on = bool(before) and before[-1] not in self.power_off
        return is_on and not any(from_ms < at_ms < until_ms for at_ms in self.restarts)

    def forgot(self, at_ms: float) -> bool:
        """Return whether power was lost before, while flash had not everything: then nothing is promised."""
        return any(self._unsaved(off_ms) for off_ms in self.power_off if off_ms <= at_ms)

    def _unsaved(self, at_ms: float) -> bool:
        before = [unsaved for when_ms, unsaved in self.unsaved_at if when_ms <= at_ms]
        return bool(before) and before[-1]

    def press_of(self, taken: Vibration) -> tuple[int, int]:
        """Return event and counter of the press that this pulse tells of: it is on the air just after it."""
        return self.press_at(taken.at_ms + _ON_AIR_MS)

    def press_at(self, at_ms: float) -> tuple[int, int]:
        """Return event and counter of the last press that it had on the air."""
        for session in reversed(self.sessions):
            if session.at_ms <= at_ms and session.event in (ALARM, TEST):
                return (session.event, session.counter)
        return (0, 0)


class _Story:
    """The events, sorted by whom they concern."""

    def __init__(self, events: Sequence[WorldEvent], calm_from_ms: float, bounds: Bounds) -> None:
        self.calm_from_ms, self.bounds = calm_from_ms, bounds
        self.end_ms = max(e.at_ms for e in events)
        self.failures: list[_Finding] = []
        self.heard: list[_Finding] = []
        names = dict.fromkeys(
            e.data["button"] for e in events if e.by in ("hand", "air") and "button" in e.data
        )
        self.buttons = {name: _Button(name, bounds) for name in names}
        self.press_of: dict[str, Press] = {}
        self.incidents_of: dict[Press, dict[str, float]] = {}
        self.gave: list[tuple[float, str, int, bool]] = []  # at, incident, stage, on disk
        self.audit: dict[str, list[int]] = {}
        self.two_presses: list[tuple[float, str]] = []
        for e in events:
            self._add(e)
        for button in self.buttons.values():
            button.end(self.end_ms)
        self._index()

    def _add(self, e: WorldEvent) -> None:
        if e.by in self.buttons:
            self.buttons[e.by].add_own(e)
        elif e.by == "hand" and "button" in e.data:
            self.buttons[e.data["button"]].add_hand(e)
        elif e.by == "air" and e.what == "session":
            self.buttons[e.data["button"]].add_on_air(e)
        elif e.by in ("centre", "auditor") and "incident" in e.data:
            self._add_incident(e)
        elif e.what == "wrote" and e.data["stage"] == 0:
            self._add_heard(e)
        if e.what in ("mistake", "fault", "crashed"):
            self.failures.append(
                Broken(SOUND, e.at_ms, f"{e.by} says: {e.data.get('text') or e.data.get('args') or e.what}")
            )

    def _add_heard(self, e: WorldEvent) -> None:
        event, counter = e.data["event"], e.data["counter"]
        if e.data["button"] in self.buttons:
            self.buttons[e.data["button"]].heard.setdefault((event, counter), e.at_ms)
        if not e.data["on_disk"]:
            text = f"{e.by} says HEARD of event {event} number {counter}, not on its disk"
            self.heard.append(Broken(HEARD, e.at_ms, text))

    def _add_incident(self, e: WorldEvent) -> None:
        incident = e.data["incident"]
        if "counter" in e.data and "event" in e.data:
            press = Press(e.data["device_id"], e.data["event"], e.data["counter"])
            if self.press_of.setdefault(incident, press) != press:
                self.two_presses.append((e.at_ms, incident))
            self.incidents_of.setdefault(press, {}).setdefault(incident, e.at_ms)
        if e.what == "gave":
            self.gave.append((e.at_ms, incident, e.data["stage"], e.data["on_disk"]))
        elif e.by == "auditor":
            self.audit[incident] = e.data["stages"]

    def _index(self) -> None:
        self._gave_of: dict[Press, list[tuple[float, int]]] = {}
        for at_ms, incident, stage, _ in self.gave:
            if incident in self.press_of:
                self._gave_of.setdefault(self.press_of[incident], []).append((at_ms, stage))
        self._presses_of: dict[tuple[str, int], list[tuple[float, Press]]] = {}
        for press, incidents in self.incidents_of.items():
            if any(one in self.audit for one in incidents):
                told = (min(incidents.values()), press)
                self._presses_of.setdefault((press.device_id, press.event), []).append(told)

    def presses(self, device_id: str, event: int) -> list[tuple[float, Press]]:
        """Return those of one button that have an incident in the end, by when that was first told."""
        return sorted(self._presses_of.get((device_id, event), ()))

    def has(self, press: Press) -> bool:
        """Return whether the auditor has found an incident of this press."""
        return any(one in self.audit for one in self.incidents_of.get(press, ()))

    def gave_button(self, device_id: str) -> list[tuple[float, int]]:
        """Return when the centre gave which stage to any press of one button."""
        return [one for press, gave in self._gave_of.items() if press.device_id == device_id for one in gave]

    def gave_press(self, press: Press) -> list[tuple[float, int]]:
        """Return when the centre gave which stage to this press."""
        return self._gave_of.get(press, [])

    def waits_ms(self, since_ms: float) -> float:
        """Return for how long nothing was wrong since then."""
        return self.end_ms - max(since_ms, self.calm_from_ms)

    def too_short(self, since_ms: float) -> str:
        """Return why the bound has not passed."""
        waits_s, bound_s = max(0, self.waits_ms(since_ms)) / 1000, self.bounds.delivery_ms / 1000
        return f"the play ends {waits_s:.0f} s after it and the last fault, the bound is {bound_s:.0f} s"


# -- the promises -------------------------------------------------------------------------------------


def _kept(story: _Story) -> Iterator[Broken]:
    for at_ms, incident, stage, on_disk in story.gave:
        if not on_disk:
            yield Broken(KEPT, at_ms, f"stage {stage} of {incident} was given and is not on disk")
        elif stage not in story.audit.get(incident, ()):
            text = f"stage {stage} of {incident} was given and is not there in the end"
            yield Broken(KEPT, story.end_ms, text)
    for incident, stages in story.audit.items():
        if stages != sorted(set(stages)):
            yield Broken(ORDER, story.end_ms, f"the centre wrote stages {stages} of {incident}")


def _once(story: _Story) -> Iterator[Broken]:
    for press, incidents in story.incidents_of.items():
        if len(incidents) > 1:
            text = f"press {press.counter} (event {press.event}) has {', '.join(sorted(incidents))}"
            yield Broken(ONCE, sorted(incidents.values())[1], text)
    for at_ms, incident in story.two_presses:
        yield Broken(ONCE, at_ms, f"{incident} stands for two presses")


def _lost(button: _Button, story: _Story) -> Iterator[_Finding]:
    """Find alarms that were taken and not received, though their button still lives."""
    # Proven is enough: the power may fail while the motor still tells it.
    received = [at_ms for at_ms, stage in button.receipts if stage >= RECEIVED]
    for taken in button.felt:
        if taken.pattern != TAKEN or not button.is_alarm(taken):
            continue
        press = Press(button.device_id, *button.press_of(taken))
        if bisect_left(received, button.pressed_ms(taken)) < len(received):
            # The pulse may begin just before the code is on the air: then which press it tells of is open.
            if press.event == ALARM and not story.has(press) and not button.forgot(story.end_ms):
                yield Broken(LOST, taken.at_ms, f"{button.name} has a receipt, and the centre has no alarm")
            continue
        if button.destroyed_ms is not None:
            yield from _lost_with_its_button(button, story, taken)
        elif button.forgot(story.end_ms):
            continue
        elif story.waits_ms(taken.at_ms) >= story.bounds.delivery_ms:
            yield Broken(LOST, taken.at_ms, f"{button.name} took an alarm, and felt no receipt to the end")
        elif not story.has(press):
            yield Unseen(LOST, f"an alarm still waits: {story.too_short(taken.at_ms)}")
    received_at = {button.press_at(one.from_ms): one.at_ms for one in button.felt if one.pattern == RECEIVED}
    alarms = [at_ms for (event, _), at_ms in received_at.items() if event == ALARM]
    count = len(story.presses(button.device_id, ALARM))
    if len(alarms) > count and not button.forgot(story.end_ms):
        text = f"{button.name} felt {len(alarms)} alarms received, the centre has {count}"
        yield Broken(LOST, max(alarms), text)


def _lost_with_its_button(button: _Button, story: _Story, taken: Vibration) -> Iterator[_Finding]:
    """Find an alarm of a broken button: a bridge that had said HEARD must bring it alone."""
    press = button.press_of(taken)
    heard_ms = button.heard.get(press)
    if heard_ms is None or story.has(Press(button.device_id, *press)):
        return
    if story.waits_ms(heard_ms) >= story.bounds.delivery_ms:
        text = f"{button.name} was told HEARD and then broken; the centre never had it"
        yield Broken(LOST, heard_ms, text)
    else:
        yield Unseen(LOST, f"a broken button's alarm still waits: {story.too_short(heard_ms)}")


def _invented(button: _Button, story: _Story) -> Iterator[Broken]:
    for event, gestures in ((ALARM, button.holds), (TEST, button.clicks)):
        for number, (at_ms, press) in enumerate(story.presses(button.device_id, event), 1):
            if sum(gesture <= at_ms for gesture in gestures) < number:
                text = f"the centre has press {press.counter} (event {event}) of {button.name}"
                yield Broken(INVENTED, at_ms, f"{text}, which no hand made")


def _receipts(button: _Button, story: _Story) -> Iterator[Broken]:
    """Every stage that is felt was given for that press before, and each once, upwards."""
    last: tuple[tuple[int, int], int] = ((0, 0), 0)
    for one in button.felt:
        if one.pattern is None:
            yield Broken(FORGED, one.at_ms, f"{button.name} vibrates in a pattern that nobody knows")
        if not isinstance(one.pattern, int):
            continue
        current = button.press_at(one.from_ms)
        gave = story.gave_press(Press(button.device_id, *current))
        if button.forgot(one.from_ms):  # and with it, which press is open: an earlier one may be again
            gave = story.gave_button(button.device_id)
        if not any(stage >= one.pattern and at <= one.from_ms for at, stage in gave):
            text = f"{button.name} feels stage {one.pattern} of event {current[0]} number {current[1]}"
            yield Broken(FORGED, one.at_ms, text)
        stage = button.stage_of(one, last[1] if last[0] == current else 0)
        if last[0] == current and stage <= last[1] and not button.forgot(one.at_ms):
            yield Broken(ORDER, one.at_ms, f"{button.name} feels stage {stage} after stage {last[1]}")
        last = (current, stage)


def _reused(button: _Button, bounds: Bounds) -> Iterator[Broken]:
    """Counters only go up; but for the spare range, which is drawn from at random."""
    highest: dict[bool, int] = {}
    codes: dict[str, Session] = {}
    for session in button.sessions:
        if button.forgot(session.at_ms):
            return
        is_press = session.event in (ALARM, TEST)
        before = codes.setdefault(session.code, session)
        what = f"{button.name}: event {session.event} number {session.counter}"
        if before is not session:
            if not is_press or _is_received(button, before, session, bounds):
                yield Broken(REUSED, session.at_ms, f"{what} is on the air again")
        elif session.counter <= highest.get(is_press, -1) < 1 << 31:
            yield Broken(REUSED, session.at_ms, f"{what} comes after {highest[is_press]}")
        highest[is_press] = max(highest.get(is_press, -1), session.counter)


def _is_received(button: _Button, before: Session, again: Session, bounds: Bounds) -> bool:
    """Return whether a press had its receipt, for good, before it was on the air again."""
    for at_ms, stage in button.receipts:
        if stage >= RECEIVED and before.at_ms < at_ms < again.at_ms:
            cut = any(at_ms <= off <= at_ms + bounds.cut_ms for off in button.ends)  # before it could be kept
            if not cut:
                return True
    return False


def _linked(story: _Story) -> Iterator[Broken]:
    addresses: dict[str, Session] = {}
    codes: dict[str, str] = {}
    for button in story.buttons.values():
        for session in button.sessions:
            if addresses.setdefault(session.address, session) is not session:
                yield Broken(LINKED, session.at_ms, f"{button.name} has the address {session.address} again")
            if codes.setdefault(session.code, button.name) != button.name:
                yield Broken(LINKED, session.at_ms, f"{button.name} has another's code on the air")


def _late(button: _Button, story: _Story) -> Iterator[_Finding]:
    """Every later stage of the press that is open reaches the button."""
    if button.destroyed_ms is not None or button.forgot(story.end_ms):
        return
    press = Press(button.device_id, *button.press_at(story.end_ms))
    if press.event != ALARM:
        return
    sessions = [one.at_ms for one in button.sessions if (one.event, one.counter) == press[1:]]
    reached = max((stage for at, stage in button.receipts if at >= sessions[0]), default=0)
    stages: dict[int, float] = {}
    for incident in story.incidents_of.get(press, ()):
        stages |= dict.fromkeys(story.audit.get(incident, ()), 0.0)
    for at_ms, stage in story.gave_press(press):
        stages[stage] = stages.get(stage) or at_ms
    for stage, at_ms in stages.items():
        if stage <= reached:
            continue
        if story.waits_ms(at_ms) >= story.bounds.delivery_ms:
            text = f"{button.name} has not felt stage {stage} within the bound"
            yield Broken(LATE, at_ms or story.end_ms, text)
        else:
            yield Unseen(LATE, f"stage {stage} is not felt yet: {story.too_short(at_ms)}")


def _felt(button: _Button, story: _Story) -> Iterator[_Finding]:
    """Find holds that were not taken by a button that was on, and stayed on."""
    for down_ms, up_ms in button.presses:
        until_ms = down_ms + story.bounds.hold_ms_sure + story.bounds.taken_ms
        if up_ms - down_ms < story.bounds.hold_ms_sure or not button.was_on(down_ms, until_ms):
            continue
        if any(one.pattern == TAKEN and down_ms <= one.from_ms <= until_ms for one in button.felt):
            continue
        if until_ms > story.end_ms:
            yield Unseen(FELT, "the play ends while a finger is on the button")
        else:
            yield Broken(
                FELT, up_ms, f"{button.name} was held for {(up_ms - down_ms) / 1000:.1f} s, and not taken"
            )


def _told(button: _Button, story: _Story) -> Iterator[_Finding]:
    taken = [one for one in button.felt if one.pattern == TAKEN]
    for number, one in enumerate(taken):
        until_ms = one.at_ms + story.bounds.told_ms
        interrupted = any(one.from_ms < at < until_ms for at in button.ends)
        again = number + 1 < len(taken) and taken[number + 1].from_ms < until_ms
        if interrupted or again or _has_been_told(button, one.at_ms, until_ms):
            continue
        if until_ms > story.end_ms:
            yield Unseen(
                TOLD, f"the play ends {(story.end_ms - one.at_ms) / 1000:.0f} s after the hand felt taken"
            )
        else:
            text = f"{button.name} took a press, and its hand felt nothing for a minute"
            yield Broken(TOLD, one.at_ms, text)


def _has_been_told(button: _Button, from_ms: float, until_ms: float) -> bool:
    """Return whether the hand felt a receipt or *not confirmed*."""
    for one in button.felt:
        is_answer = isinstance(one.pattern, int) or one.pattern == NOT_CONFIRMED
        if is_answer and from_ms < one.at_ms <= until_ms:
            return True
    return False
