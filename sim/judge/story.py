"""A world's events, sorted by whom they concern: what the promises are read off. Pure.

Whoever made the events, the hand presses (`hand`), the button says what it does on its serial line and by its
motor, the air shows codes and addresses and when it falls silent, the centre and the bridges log, an auditor
reads the database at the end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sim.judge.events import WorldEvent
from sim.judge.vibrations import CLOSED, TAKEN, Vibration, vibrations

ALARM, TEST = 1, 2
_ON_AIR_MS = 200  # a radio whose peers are let go first is on the air so late
_BOUNCE_MS = 50  # a contact that opens for less under a finger is no release


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
    hold_ms_sure: float = 2490  # no clock is so slow, and no wake so late, that this is not long enough
    taken_ms: float = 4000  # from there to the pulse: the pattern before it may have to end first
    clicks_ms_max: float = 2600
    # From a press on until a way of the button's own, open all the time, has brought RECEIVED: up to 15 s for
    # Bluetooth alone, then a scan or a modem's start, and a few datagrams.
    own_way_ms: Mapping[str, float] = field(default_factory=lambda: {"wifi": 60_000, "lte": 120_000})
    cut_ms: float = 50  # from a receipt's proof to flash
    pulses_may_stretch: bool = False  # a busy machine holds the motor on: one pulse is CLOSED only if proven


@dataclass(frozen=True)
class Session:
    """One code under one address."""

    at_ms: float
    address: str
    code: str
    event: int
    counter: int


class ToldAge(NamedTuple):
    """How old a button says that its press is: at least, or as exactly as it knows."""

    at_ms: float
    which: tuple[int, int]
    age_ms: float
    is_lower_bound: bool


class ButtonStory:
    """All that happened to one button and its hand, in order."""

    def __init__(self, name: str, bounds: Bounds) -> None:
        self.name, self.device_id = name, ""
        self.own: list[WorldEvent] = []
        self.felt: list[Vibration] = []
        self.receipts: list[tuple[float, int]] = []
        self.by_bluetooth: list[tuple[float, int]] = []  # those of them that no way of its own has brought
        self.ends: list[float] = []  # the program ended: power, reset, wake
        self.power_off: list[float] = []
        self.unsaved_at: list[tuple[float, bool]] = []  # flash failed, or has it all again
        self.destroyed_ms: float | None = None
        self.sessions: list[Session] = []
        self.restarts: list[float] = []  # but for a wake from deep sleep: power, reset
        self.starts_after_loss: list[float] = []  # of those the first after power was off
        self.broken_off: list[float] = []  # when the motor started that was on as the program ended
        self.silences: list[tuple[float, float]] = []  # from when to when nothing was on the air
        self.ages: list[ToldAge] = []
        self.passed_on: list[float] = []  # when somebody who passes for it showed its own state
        # Of each way of its own to the centre, when it opened and shut; none where the world does not say.
        self.ways: dict[str, list[tuple[float, bool]]] = {}
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
        self._silent_ms: float | None = None
        self._motor_ms: float | None = None

    def add_own(self, e: WorldEvent) -> None:
        """Add what the button itself says or does."""
        self.own.append(e)
        self._add_motor(e)
        if e.what == "advert":
            self._add_session(e)
        elif e.what == "boot":
            self._add_start(e)
        elif e.what == "reset":
            self.restarts.append(e.at_ms)
        elif e.what == "receipt":
            self._add_receipt(e)
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

    def _add_receipt(self, e: WorldEvent) -> None:
        """Add a stage that was proven; with the name of a carrier where no bridge has brought it."""
        stage, *carrier = e.data["args"]
        self.receipts.append((e.at_ms, int(stage)))
        if not carrier:
            self.by_bluetooth.append((e.at_ms, int(stage)))

    def _add_motor(self, e: WorldEvent) -> None:
        if e.what == "motor":
            self._motor_ms = e.at_ms if e.data["on"] else None
        elif e.what in ("power", "reset", "boot") and self._motor_ms is not None:
            self.broken_off.append(self._motor_ms)
            self._motor_ms = None

    def _add_start(self, e: WorldEvent) -> None:
        self.device_id = e.data["args"][0]
        if self.power_off and self.ends[-1] == self.power_off[-1]:
            self.starts_after_loss.append(e.at_ms)
        self.ends.append(e.at_ms)
        if e.data["args"][1:] != ["True"]:
            self.restarts.append(e.at_ms)
            self._begin_again(e.at_ms)

    def add_on_air(self, e: WorldEvent) -> None:
        """Add a code that the air shows under a new address; the serial line then says what it means.

        And when the air falls silent, and what a button says of its press to whoever reads it.
        """
        if e.what == "session":
            self._on_air = e
        elif e.what == "silent":
            self._silent_ms = e.at_ms
        elif e.what == "sends" and self._silent_ms is not None:
            self.silences.append((self._silent_ms, e.at_ms))
            self._silent_ms = None
        elif e.what == "way":
            self.ways.setdefault(e.data["carrier"], []).append((e.at_ms, e.data["is_open"]))
        elif e.what == "passed_on":
            self.passed_on.append(e.at_ms)
        elif e.what == "age":
            which = (e.data["event"], e.data["counter"])
            self.ages.append(ToldAge(e.at_ms, which, 1000 * e.data["age_s"], e.data["is_lower_bound"]))

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
        if self._silent_ms is not None:
            self.silences.append((self._silent_ms, at_ms))
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
        return is_on and not any(from_ms <= at_ms <= until_ms for at_ms in self.restarts)

    def way_is_open(self, carrier: str, from_ms: float, until_ms: float) -> bool:
        """Return whether a way of its own was open all the time."""
        told = self.ways[carrier]
        before = [is_open for at_ms, is_open in told if at_ms <= from_ms]
        shut = any(from_ms < at_ms <= until_ms and not is_open for at_ms, is_open in told)
        return bool(before) and before[-1] and not shut

    def forgot(self, at_ms: float) -> bool:
        """Return whether power was lost before, while flash had not everything: then nothing is promised."""
        return any(self._unsaved(off_ms) for off_ms in self.power_off if off_ms <= at_ms)

    def _unsaved(self, at_ms: float) -> bool:
        before = [unsaved for when_ms, unsaved in self.unsaved_at if when_ms <= at_ms]
        return bool(before) and before[-1]

    def first_on_air_ms(self, which: tuple[int, int]) -> float | None:
        """Return when a press, by event and counter, was first on the air."""
        return next((one.at_ms for one in self.sessions if (one.event, one.counter) == which), None)

    def ended_about(self, at_ms: float, for_ms: float) -> bool:
        """Return whether its program ended, or began anew, so near to a moment."""
        return any(abs(end_ms - at_ms) <= for_ms for end_ms in (*self.ends, *self.restarts))

    def press_of(self, taken: Vibration) -> tuple[int, int]:
        """Return event and counter of the press that this pulse tells of: it is on the air just after it."""
        return self.press_at(taken.at_ms + _ON_AIR_MS)

    def press_at(self, at_ms: float) -> tuple[int, int]:
        """Return event and counter of the last press that it had on the air."""
        for session in reversed(self.sessions):
            if session.at_ms <= at_ms and session.event in (ALARM, TEST):
                return (session.event, session.counter)
        return (0, 0)


class Story:
    """The events, sorted by whom they concern."""

    def __init__(self, events: Sequence[WorldEvent], calm_from_ms: float, bounds: Bounds) -> None:
        self.calm_from_ms, self.bounds = calm_from_ms, bounds
        self.end_ms = max(e.at_ms for e in events)
        self.failures: list[WorldEvent] = []
        self.heard: list[WorldEvent] = []  # each HEARD that a bridge said
        self.journals: list[WorldEvent] = []  # what a bridge's journal holds after it has been read
        names = dict.fromkeys(
            e.data["button"] for e in events if e.by in ("hand", "air") and "button" in e.data
        )
        self.buttons = {name: ButtonStory(name, bounds) for name in names}
        self.press_of: dict[str, Press] = {}
        self.incidents_of: dict[Press, dict[str, float]] = {}
        self.gave: list[tuple[float, str, int, bool]] = []  # at, incident, stage, on disk
        self.audit: dict[str, list[int]] = {}
        self.brought: list[tuple[float, str, Press, int]] = []  # at, bridge, press, stage: so the bridge says
        self.places: list[tuple[float, float, float]] = []  # at, latitude, longitude of the phones
        self.position_of: dict[str, tuple[float, float]] = {}  # of an incident, the newest in the end
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
        elif e.by == "air" and e.data.get("button") in self.buttons:
            self.buttons[e.data["button"]].add_on_air(e)
        elif e.by in ("centre", "auditor") and "incident" in e.data:
            self._add_incident(e)
        else:
            self._add_of_phone(e)
        if e.what in ("mistake", "fault", "crashed"):
            self.failures.append(e)

    def _add_of_phone(self, e: WorldEvent) -> None:
        if e.what == "wrote" and e.data["stage"] == 0:
            self._add_heard(e)
        elif e.what == "receipt":
            press = Press(e.data["device_id"], e.data["event"], e.data["counter"])
            self.brought.append((e.at_ms, e.by, press, e.data["stage"]))
        elif e.what == "journal":
            self.journals.append(e)
        elif e.what == "is_at":
            self.places.append((e.at_ms, e.data["lat"], e.data["lon"]))

    def _add_heard(self, e: WorldEvent) -> None:
        if e.data["button"] in self.buttons:
            self.buttons[e.data["button"]].heard.setdefault(_which(e), e.at_ms)
        self.heard.append(e)

    def _add_incident(self, e: WorldEvent) -> None:
        incident = e.data["incident"]
        if e.what == "position":
            self.position_of[incident] = e.data["lat"], e.data["lon"]
            return
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

    def pressed_ms(self, press: Press) -> float:
        """Return when a press was first on the air; where that is not known, when its incident was told."""
        buttons = (one for one in self.buttons.values() if one.device_id == press.device_id)
        on_air = [one.first_on_air_ms((press.event, press.counter)) for one in buttons]
        told = min(self.incidents_of.get(press, {}).values(), default=self.end_ms)
        return min([at_ms for at_ms in on_air if at_ms is not None], default=told)

    def gave_button(self, device_id: str) -> list[tuple[float, int]]:
        """Return when the centre gave which stage to any press of one button."""
        return [one for press, gave in self._gave_of.items() if press.device_id == device_id for one in gave]

    def gave_press(self, press: Press) -> list[tuple[float, int]]:
        """Return when the centre gave which stage to this press."""
        return self._gave_of.get(press, [])

    def bridge_has(self, press: Press) -> bool:
        """Return whether a bridge has said HEARD of it, or has brought its receipt, and still knows of it.

        What a full disk did not take is gone with the process.
        """
        names = [name for name, one in self.buttons.items() if one.device_id == press.device_id]
        had = [(e.by, e.at_ms) for e in self.heard if e.data["button"] in names and _which(e) == press[1:]]
        had += [(by, at_ms) for at_ms, by, brought, _ in self.brought if brought == press]
        return any(self._keeps(by, press, at_ms) for by, at_ms in had)

    def _keeps(self, bridge: str, press: Press, since_ms: float) -> bool:
        """Return whether a bridge that had a press then read it from its journal at its last start since."""
        starts = [e for e in self.journals if e.by == bridge and e.at_ms > since_ms]
        return not starts or press in (Press(*one) for one in starts[-1].data["presses"])

    @property
    def has_bridges(self) -> bool:
        """Whether there is anybody to hear a button's adverts."""
        return bool(self.journals or self.heard or self.brought)

    def waits_ms(self, since_ms: float) -> float:
        """Return for how long nothing was wrong since then."""
        return self.end_ms - max(since_ms, self.calm_from_ms)

    def too_short(self, since_ms: float) -> str:
        """Return why the bound has not passed."""
        waits_s, bound_s = max(0, self.waits_ms(since_ms)) / 1000, self.bounds.delivery_ms / 1000
        return f"the play ends {waits_s:.0f} s after it and the last fault, the bound is {bound_s:.0f} s"


def _which(e: WorldEvent) -> tuple[int, int]:
    return e.data["event"], e.data["counter"]
