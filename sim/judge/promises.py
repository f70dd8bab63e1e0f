"""The promises, each checked on a list of events and on nothing else.

Whoever made them, the world in virtual time or real processes: the hand presses (`hand`), the button says
what it does on its serial line and by its motor, the air shows codes and addresses, the centre and the
bridges log, an auditor reads the database at the end. How any of it works is not known here.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sim.judge.events import WorldEvent
from sim.judge.vibrations import NOT_CONFIRMED, RECEIVED, TAKEN, Vibration, vibrations

ALARM, TEST = 1, 2
HOLD_MS_MIN = 1800.0  # the firmware's hold is 2 s; a clock may be some percent off
CLICKS_MS_MAX = 2600.0
TOLD_WITHIN_MS = 75_000.0  # protocol: not confirmed after 60 s; and the patterns before it
CUT_MS = 50.0

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
TOLD = "who presses is told within a minute"
SOUND = "no part fails by itself"
PROMISES = (LOST, INVENTED, ONCE, FORGED, ORDER, REUSED, LATE, LINKED, HEARD, KEPT, TOLD, SOUND)

Press = tuple[str, int, int]  # device_id, event, counter


@dataclass(frozen=True)
class Broken:
    """A promise that was not kept, where, and how that shows."""

    promise: str
    at_ms: float
    text: str

    def __str__(self) -> str:
        return f"{self.promise}: {self.text}"


@dataclass(frozen=True)
class Session:
    """One code under one address."""

    at_ms: float
    address: str
    code: str
    event: int
    counter: int


class _Button:
    """All that happened to one button and its hand, in order."""

    def __init__(self, name: str, events: Sequence[WorldEvent]) -> None:
        self.name = name
        self.device_id = ""
        own = [e for e in events if e.by == name]
        self.felt: list[Vibration] = vibrations(own)
        self.receipts: list[tuple[float, int]] = []
        self.ends: list[float] = []  # the program ended: power, reset, wake
        self.power_off: list[float] = []
        self.unsaved_at: list[tuple[float, bool]] = []  # flash failed, or has it all again
        self.destroyed_ms: float | None = None
        for e in own:
            if e.what == "boot":
                self.device_id = e.data["args"][0]
                self.ends.append(e.at_ms)
            elif e.what == "receipt":
                self.receipts.append((e.at_ms, int(e.data["args"][0])))
            elif e.what == "power" and not e.data["on"]:
                self.power_off.append(e.at_ms)
                self.ends.append(e.at_ms)
            elif e.what in ("flash", "saved"):
                self.unsaved_at.append((e.at_ms, e.what == "flash"))
            elif e.what == "destroyed":
                self.destroyed_ms = e.at_ms
        self.holds, self.clicks = _gestures([e for e in events if e.data.get("button") == name])
        self.sessions = list(_sessions(events, name))

    def is_alarm(self, taken: Vibration) -> bool:
        """By what the hand did last before it felt this."""
        hold = max((at for at in self.holds if at <= taken.from_ms), default=0.0)
        return hold > max((at for at in self.clicks if at <= taken.from_ms), default=-1.0)

    def pressed_ms(self, taken: Vibration) -> float:
        """When the press that this pulse tells of was first on the air: a pulse may have to wait."""
        press = self.press_at(taken.from_ms)
        sessions = (one.at_ms for one in self.sessions if (one.event, one.counter) == press)
        return min(sessions, default=taken.from_ms)

    def forgot(self, at_ms: float) -> bool:
        """Power was lost while flash did not have everything, before `at_ms`: nothing can be promised."""
        return any(self._unsaved(off_ms) for off_ms in self.power_off if off_ms <= at_ms)

    def _unsaved(self, at_ms: float) -> bool:
        before = [unsaved for when_ms, unsaved in self.unsaved_at if when_ms <= at_ms]
        return bool(before) and before[-1]

    def press_at(self, at_ms: float) -> tuple[int, int]:
        """`(event, counter)` of the last press that it had on the air."""
        presses = [s for s in self.sessions if s.event in (ALARM, TEST) and s.at_ms <= at_ms]
        return (presses[-1].event, presses[-1].counter) if presses else (0, 0)


def check(events: Sequence[WorldEvent], calm_from_ms: float, bound_ms: float) -> list[Broken]:
    """Every promise that was broken, the first one first. From `calm_from_ms` on nothing was wrong."""
    assert events, "nothing has happened"
    names = dict.fromkeys(e.data["button"] for e in events if e.by in ("hand", "air"))
    buttons = [_Button(name, events) for name in names]
    centre = _Centre(events)
    end_ms = events[-1].at_ms
    found = [*_sound(events), *_heard(events), *_kept(centre), *_once(centre), *_linked(buttons)]
    for button in buttons:
        found += _lost(button, centre, events, calm_from_ms, bound_ms, end_ms)
        found += _invented(button, centre)
        found += _receipts(button, centre)
        found += _reused(button)
        found += _late(button, centre, calm_from_ms, bound_ms, end_ms)
        found += _told(button, end_ms)
    return sorted(found, key=lambda broken: broken.at_ms)


# -- who did what -------------------------------------------------------------------------------------


def _gestures(events: Sequence[WorldEvent]) -> tuple[list[float], list[float]]:
    """When each hold was long enough, and when each three clicks were complete."""
    holds, clicks, ups = [], [], []
    down_ms: float | None = None
    last_ms = events[-1].at_ms if events else 0.0
    for e in events:
        if e.by != "hand":
            continue
        if e.what == "pressed":
            down_ms = e.at_ms
        elif down_ms is not None:
            if e.at_ms - down_ms >= HOLD_MS_MIN:
                holds.append(down_ms + HOLD_MS_MIN)
            else:
                ups.append(e.at_ms)
            down_ms = None
    if down_ms is not None and last_ms - down_ms >= HOLD_MS_MIN:
        holds.append(down_ms + HOLD_MS_MIN)
    for first, _, third in zip(ups, ups[1:], ups[2:], strict=False):
        if third - first <= CLICKS_MS_MAX:
            clicks.append(third)
    return holds, clicks


def _sessions(events: Sequence[WorldEvent], name: str) -> Iterator[Session]:
    """What the air showed of a button, with what its serial line said that it was."""
    shown: WorldEvent | None = None
    for e in events:
        if e.by == "air" and e.what == "advert" and e.data["button"] == name:
            shown = e
        elif e.by == name and e.what == "advert" and shown is not None:
            event, counter = (int(word) for word in e.data["args"][:2])
            yield Session(shown.at_ms, shown.data["address"], shown.data["code"], event, counter)
            shown = None


class _Centre:
    """What the centre gave, to which press, and what the auditor found."""

    def __init__(self, events: Sequence[WorldEvent]) -> None:
        self.press_of: dict[str, Press] = {}
        self.incidents_of: dict[Press, dict[str, float]] = {}
        self.gave: list[tuple[float, str, int, bool]] = []  # at, incident, stage, on disk
        self.audit: dict[str, list[int]] = {}
        self.two_presses: list[tuple[float, str]] = []
        for e in events:
            if e.by not in ("centre", "auditor") or "incident" not in e.data:
                continue
            if "counter" in e.data and "event" in e.data:
                press = (e.data["device_id"], e.data["event"], e.data["counter"])
                known = self.press_of.setdefault(e.data["incident"], press)
                if known != press:
                    self.two_presses.append((e.at_ms, e.data["incident"]))
                self.incidents_of.setdefault(press, {}).setdefault(e.data["incident"], e.at_ms)
            if e.what == "gave":
                self.gave.append((e.at_ms, e.data["incident"], e.data["stage"], e.data["on_disk"]))
            elif e.by == "auditor":
                self.audit[e.data["incident"]] = e.data["stages"]
        self.at_ms = events[-1].at_ms

    def presses(self, device_id: str, event: int) -> list[tuple[float, Press]]:
        """Those of one button that have an incident in the end, by when that was first told."""
        found = [
            (min(incidents.values()), press)
            for press, incidents in self.incidents_of.items()
            if press[:2] == (device_id, event) and any(one in self.audit for one in incidents)
        ]
        return sorted(found)

    def gave_button(self, device_id: str) -> list[tuple[float, int]]:
        return [
            gave for press in self.incidents_of if press[0] == device_id for gave in self.gave_press(press)
        ]

    def gave_press(self, press: Press) -> list[tuple[float, int]]:
        return [(at, stage) for at, incident, stage, _ in self.gave if self.press_of.get(incident) == press]


# -- the promises -------------------------------------------------------------------------------------


def _sound(events: Sequence[WorldEvent]) -> Iterator[Broken]:
    for e in events:
        if e.what in ("mistake", "fault"):
            yield Broken(SOUND, e.at_ms, f"{e.by} says: {e.data.get('text') or e.data.get('args')}")


def _heard(events: Sequence[WorldEvent]) -> Iterator[Broken]:
    for e in events:
        if e.what == "wrote" and e.data["stage"] == 0 and not e.data["on_disk"]:
            text = f"{e.by} says HEARD of event {e.data['event']} number {e.data['counter']}, not on its disk"
            yield Broken(HEARD, e.at_ms, text)


def _kept(centre: _Centre) -> Iterator[Broken]:
    for at_ms, incident, stage, on_disk in centre.gave:
        if not on_disk:
            yield Broken(KEPT, at_ms, f"stage {stage} of {incident} was given and is not on disk")
        elif stage not in centre.audit.get(incident, ()):
            yield Broken(
                KEPT, centre.at_ms, f"stage {stage} of {incident} was given and is not there in the end"
            )
    for incident, stages in centre.audit.items():
        if stages != sorted(set(stages)):
            yield Broken(ORDER, centre.at_ms, f"the centre wrote stages {stages} of {incident}")


def _once(centre: _Centre) -> Iterator[Broken]:
    for press, incidents in centre.incidents_of.items():
        if len(incidents) > 1:
            text = f"press {press[2]} (event {press[1]}) has {', '.join(sorted(incidents))}"
            yield Broken(ONCE, sorted(incidents.values())[1], text)
    for at_ms, incident in centre.two_presses:
        yield Broken(ONCE, at_ms, f"{incident} stands for two presses")


def _lost(
    button: _Button,
    centre: _Centre,
    events: Sequence[WorldEvent],
    calm_from_ms: float,
    bound_ms: float,
    end_ms: float,
) -> Iterator[Broken]:
    """An alarm that was taken is received, whatever happens; by a button that still lives."""
    # Proven is enough: the power may fail while the motor still tells it.
    received = [at_ms for at_ms, stage in button.receipts if stage >= RECEIVED]
    for taken in button.felt:
        if taken.pattern != TAKEN or not button.is_alarm(taken):
            continue
        if bisect_left(received, button.pressed_ms(taken)) < len(received):
            continue
        if button.destroyed_ms is not None:
            until_ms = end_ms - bound_ms
            yield from _lost_with_its_button(button, centre, events, taken, calm_from_ms, until_ms)
        elif end_ms - max(taken.at_ms, calm_from_ms) >= bound_ms and not button.forgot(end_ms):
            yield Broken(LOST, taken.at_ms, f"{button.name} took an alarm, and felt no receipt to the end")
    felt_received = {
        button.press_at(one.from_ms): one.at_ms for one in button.felt if one.pattern == RECEIVED
    }
    alarms = [at_ms for (event, _), at_ms in felt_received.items() if event == ALARM]
    count = len(centre.presses(button.device_id, ALARM))
    if len(alarms) > count and not button.forgot(end_ms):
        text = f"{button.name} felt {len(alarms)} alarms received, the centre has {count}"
        yield Broken(LOST, max(alarms), text)


def _lost_with_its_button(
    button: _Button,
    centre: _Centre,
    events: Sequence[WorldEvent],
    taken: Vibration,
    calm_from_ms: float,
    until_ms: float,
) -> Iterator[Broken]:
    """The button was broken after a bridge had said HEARD: that bridge alone must bring it."""
    press = (button.device_id, *button.press_at(taken.at_ms))
    heard = [
        e.at_ms
        for e in events
        if e.what == "wrote" and e.data["button"] == button.name and e.data["stage"] == 0
        if (e.data["event"], e.data["counter"]) == press[1:]
    ]
    delivered = any(one in centre.audit for one in centre.incidents_of.get(press, ()))
    if heard and not delivered and max(heard[0], calm_from_ms) <= until_ms:
        yield Broken(LOST, heard[0], f"{button.name} was told HEARD and then broken; the centre never had it")


def _invented(button: _Button, centre: _Centre) -> Iterator[Broken]:
    for event, gestures in ((ALARM, button.holds), (TEST, button.clicks)):
        for number, (at_ms, press) in enumerate(centre.presses(button.device_id, event), 1):
            if sum(gesture <= at_ms for gesture in gestures) < number:
                text = f"the centre has press {press[2]} (event {event}) of {button.name}, which no hand made"
                yield Broken(INVENTED, at_ms, text)


def _receipts(button: _Button, centre: _Centre) -> Iterator[Broken]:
    """Every stage that is felt was given for that press before, and each once, upwards."""
    last: tuple[tuple[int, int], int] = ((0, 0), 0)
    for one in button.felt:
        if one.pattern is None:
            yield Broken(FORGED, one.at_ms, f"{button.name} vibrates in a pattern that nobody knows")
        if not isinstance(one.pattern, int):
            continue
        current = button.press_at(one.from_ms)
        given = centre.gave_press((button.device_id, *current))
        if button.forgot(one.from_ms):  # and with it, which press is open: an earlier one may be again
            given = centre.gave_button(button.device_id)
        if not any(stage >= one.pattern and at <= one.from_ms for at, stage in given):
            text = f"{button.name} feels stage {one.pattern} of event {current[0]} number {current[1]}"
            yield Broken(FORGED, one.at_ms, text)
        if last[0] == current and one.pattern <= last[1] and not button.forgot(one.at_ms):
            yield Broken(ORDER, one.at_ms, f"{button.name} feels stage {one.pattern} after stage {last[1]}")
        last = (current, one.pattern)


def _reused(button: _Button) -> Iterator[Broken]:
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
            if not is_press or _is_received(button, before, session):
                yield Broken(REUSED, session.at_ms, f"{what} is on the air again")
        elif session.counter <= highest.get(is_press, -1) < 1 << 31:
            yield Broken(REUSED, session.at_ms, f"{what} comes after {highest[is_press]}")
        highest[is_press] = max(highest.get(is_press, -1), session.counter)


def _is_received(button: _Button, before: Session, again: Session) -> bool:
    """Whether a press had its receipt, for good, before it was on the air again."""
    for at_ms, stage in button.receipts:
        if stage >= RECEIVED and before.at_ms < at_ms < again.at_ms:
            cut = any(at_ms <= off <= at_ms + CUT_MS for off in button.ends)  # before it could be kept
            if not cut:
                return True
    return False


def _linked(buttons: Sequence[_Button]) -> Iterator[Broken]:
    addresses: dict[str, Session] = {}
    codes: dict[str, str] = {}
    for button in buttons:
        for session in button.sessions:
            if addresses.setdefault(session.address, session) is not session:
                yield Broken(LINKED, session.at_ms, f"{button.name} has the address {session.address} again")
            if codes.setdefault(session.code, button.name) != button.name:
                yield Broken(LINKED, session.at_ms, f"{button.name} has another's code on the air")


def _late(
    button: _Button, centre: _Centre, calm_from_ms: float, bound_ms: float, end_ms: float
) -> Iterator[Broken]:
    """Every later stage of the press that is open reaches the button."""
    if button.destroyed_ms is not None or button.forgot(end_ms):
        return
    press = (button.device_id, *button.press_at(end_ms))
    if press[1] != ALARM:
        return
    sessions = [session.at_ms for session in button.sessions if (session.event, session.counter) == press[1:]]
    reached = max((stage for at, stage in button.receipts if at >= sessions[0]), default=0)
    stages: dict[int, float] = {}
    for incident, found in centre.audit.items():
        if centre.press_of[incident] == press:
            stages = dict.fromkeys(found, 0.0)
    for at_ms, stage in centre.gave_press(press):
        stages[stage] = stages.get(stage) or at_ms
    for stage, at_ms in stages.items():
        if stage > reached and end_ms - max(at_ms, calm_from_ms) >= bound_ms:
            yield Broken(LATE, at_ms or end_ms, f"{button.name} has not felt stage {stage} within the bound")


def _told(button: _Button, end_ms: float) -> Iterator[Broken]:
    taken = [one for one in button.felt if one.pattern == TAKEN]
    for number, one in enumerate(taken):
        until_ms = one.at_ms + TOLD_WITHIN_MS
        interrupted = any(one.from_ms < at < until_ms for at in button.ends)
        again = number + 1 < len(taken) and taken[number + 1].from_ms < until_ms
        if interrupted or again or until_ms > end_ms:
            continue
        if not any(
            one.at_ms < later.at_ms <= until_ms
            and (isinstance(later.pattern, int) or later.pattern == NOT_CONFIRMED)
            for later in button.felt
        ):
            yield Broken(
                TOLD, one.at_ms, f"{button.name} took a press, and its hand felt nothing for a minute"
            )
