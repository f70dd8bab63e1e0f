"""A centre with life in it, for training and for pictures: ten invented cases, and an alarm in each state.

What happened is done by the centre's own work, at its own times: a clock is led from one act to the next, so
that the log, the board, the report and the figures say the same. Everybody in it is invented, and plainly so.
"""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from centre.platform.home import Home
from centre.platform.password_hashing import hash_of
from centre.platform.pin_hashing import Verdict
from centre.rules import access, heartbeats, incidents, times
from centre.rules.access import Caller
from centre.rules.cases import Address, CaseFile, Child, Person, SafeContact, Stalker
from centre.rules.incidents import CallOff, CloseReason
from centre.rules.registry import Button
from centre.work import (
    accounts,
    assignments,
    board,
    buttons,
    cases,
    closings,
    grants,
    lost,
    presses,
    running_log,
    supervision,
)
from centre.work.core import Core, open_core
from centre.work.heartbeats import take_heartbeat
from sim.realtime.demo_data import NAMES, ZONE
from sim.realtime.people import placeholder
from wire import codes, receipts
from wire.keys import Mac, derive

PIN, DURESS_PIN = "2718", "3141"
HOME = (50.8466, 4.3528)
DAY_MIN, HOUR_MIN = 1440.0, 60.0
PEOPLE = (
    ("Ann Example", "Max Sample", "very_high"),
    ("Bea Specimen", "Tom Template", "extreme"),
    ("Cleo Muster", "Uwe Attrappe", "high"),
    ("Dina Voorbeeld", "Jan Verzonnen", "high"),
    ("Eva Exemple", "Luc Fictif", "extreme"),
    ("Fay Placeholder", "Bob Dummy", "very_high"),
    ("Gaia Invented", "Ned Nobody", "high"),
    ("Hana Maquette", "Paul Modele", "high"),
    ("Ida Demo", "Rolf Probe", "very_high"),
    ("Joy Pretend", "Sam Standin", "high"),
)
SILENT, LOW, STOLEN = 7, 8, 9  # whose phone is silent, whose button is low, whose phone was stolen
LAST = 61  # the counter of the press that is open now


class NotEmpty(Exception):
    """The home holds a centre already: nothing is put beside what may be real."""


@dataclass(slots=True)
class Holder:
    """One of the ten: the case, the button and the phone, and how to press."""

    number: int
    case_id: str = ""
    bridge_id: str = ""
    token: str = ""
    root: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    @property
    def device_id(self) -> str:
        return f"DEMOBUTTONAAAAA{'ABCDEFGHIJK'[self.number]}"

    @property
    def home(self) -> tuple[float, float]:
        """Where this person lives: each somewhere else."""
        return HOME[0] + 0.011 * self.number, HOME[1] + 0.013 * (self.number % 4)

    def press(self, counter: int, event: int, now_ms: int, **more: object) -> incidents.Press:
        code = codes.code(Mac(derive(self.root, "code")), event, counter).hex()
        heard = {"heard_at": times.write(now_ms), "path": "ble", "age_s": 2, "fix": None}
        phone = {"battery_percent": 71, "model": "Example Phone 3"}
        which = {"device_id": self.device_id, "event": event, "counter": counter, "code": code}
        return incidents.read(which | heard | {"phone": phone} | more)


@dataclass(frozen=True, slots=True)
class Staff:
    """Who works there."""

    operator: Caller
    colleague: Caller
    manager: Caller


class Story:
    """What happened, as acts at times before now; told in their order."""

    def __init__(self, home: Path, now_ms: float) -> None:
        self.end_ms, self.now_ms = int(now_ms), int(now_ms)
        self.core: Core = open_core(Home(home), lambda: self.now_ms)
        self._acts: list[tuple[float, int, Callable[[], object]]] = []

    def at(self, minutes_ago: float, act: Callable[[], object]) -> None:
        """Note an act that took place so long ago."""
        self._acts.append((-minutes_ago, len(self._acts), act))

    def tell(self) -> None:
        """Do all that was noted until now, each at its time; what an act adds comes in its turn."""
        while self._acts:
            self._acts.sort(key=lambda act: act[:2])
            before_min, _, act = self._acts.pop(0)
            self.now_ms = self.end_ms + round(before_min * 60_000)
            act()
        self.now_ms = self.end_ms


def seed(home: Path, now_ms: float) -> list[Holder]:
    """Fill an empty home. Raises NotEmpty, CannotServe."""
    if Home(home).database.exists():
        raise NotEmpty(f"{home} holds a centre already: a demo is never put beside what may be real")
    story = Story(home, now_ms)
    story.core.store.db.execute("PRAGMA synchronous = OFF")  # nothing real can be lost
    try:
        holders = [Holder(number) for number in range(len(PEOPLE))]
        story.at(40 * DAY_MIN, partial(_begin, story, holders))
        story.tell()
        return holders
    finally:
        story.core.store.close()


def _begin(story: Story, holders: list[Holder]) -> None:
    """Users come, cases are opened, buttons handed out; then what is due in the days and minutes after."""
    core = story.core
    for role, name in NAMES.items():
        accounts.add_user(core, role, name, role, ZONE if role == access.CASE_MANAGER else None, "en")
    accounts.add_user(core, "colleague", "Another operator", access.OPERATOR, None, "en")
    staff = Staff(*(_signed_in(core, login) for login in (access.OPERATOR, "colleague", access.CASE_MANAGER)))
    pins = hash_of(PIN), hash_of(DURESS_PIN)
    today = date.fromtimestamp(story.now_ms / 1000)
    for holder in holders:
        _hand_out(core, staff.manager, holder, today, pins)
        for days in range(1, 39, 7):
            story.at(days * DAY_MIN + 7 * holder.number, partial(_test, story, holder, 40 - days))
    for chapter in (_waiting, _taken, _under_duress, _closed, _supervised, _revoked):
        chapter(story, staff, holders)


def _signed_in(core: Core, login: str) -> Caller:
    token = accounts.invite(core, login, "enter", access.ENTER_MS)
    assert token is not None
    return accounts.enter(core, token, "192.0.2.10 · Firefox · Linux")[1]


def _hand_out(core: Core, manager: Caller, holder: Holder, today: date, pins: tuple[str, str]) -> None:
    _import(core, holder)
    holder.case_id = cases.open_case(core, manager, file_of(holder))
    cases.set_photo(core, manager, holder.case_id, "stalker", placeholder(90 + 10 * holder.number))
    review_days, end_days = (36 if holder.number == 3 else 130), (38 if holder.number == 6 else 180)
    days = [today + timedelta(n) for n in (0, min(review_days, end_days), end_days)]
    reference = f"EX-PR 2026/{100 + holder.number}"
    grants.record(core, manager, holder.case_id, reference, *(day.isoformat() for day in days))
    assignments.hand_out(core, manager, holder.case_id, holder.device_id)
    holder.token = str(buttons.enrol(core, _code(holder), *pins)["token"])
    holder.bridge_id = buttons.bridge_of(core, holder.token)


def _import(core: Core, holder: Holder) -> None:
    sha256 = hashlib.sha256(_code(holder).encode()).hexdigest()
    buttons.import_buttons(core, [Button(holder.device_id, holder.root, sha256, "button", "esp32")])


def _code(holder: Holder) -> str:
    """Return the enrolment code on the label, which is used up at once."""
    return f"DEMO{holder.number}"


def file_of(holder: Holder) -> CaseFile:
    """Return an invented case."""
    (person, stalker, danger), number = PEOPLE[holder.number], holder.number
    lat, lon = holder.home
    return CaseFile(
        f"EX-2026/{number + 1:04}",
        danger,
        Person(person, f"19{80 + number}-04-12", f"+32 400 00 01 {number:02}", "", "French, Dutch"),
        Stalker(
            stalker,
            f"19{75 + number}-09-30",
            "former partner",
            "1.85 m, grey beard",
            "grey estate car, 1-EXA-001",
        ),
        "Two patrols. One to the door, one to the car park behind the house.",
        "Arrest on sight within 500 m of the home.\nTell the duty magistrate.",
        (
            Address(
                "home", f"Example Street {number + 1}, 1000 Brussels", "second floor", f"{lat:.4f}, {lon:.4f}"
            ),
            Address(
                "work",
                f"Sample Bakery, Sample Square {number + 1}",
                "",
                f"{lat + 0.009:.4f}, {lon + 0.016:.4f}",
            ),
        ),
        (Child("Lou Example", "2019-06-01", "Example school, until 15:30"),) if number % 2 else (),
        SafeContact("Eve Example, a sister", f"+32 400 00 02 {number:02}", "at any hour"),
    )


def _test(story: Story, holder: Holder, counter: int) -> None:
    presses.take_alarm(story.core, holder.bridge_id, holder.press(counter, codes.TEST, story.now_ms))


def _fix(
    story: Story, at: tuple[float, float], radius_m: float, old_min: float = 0, **more: object
) -> dict[str, Any]:
    taken_at = times.write(story.now_ms - round(old_min * 60_000))
    return {
        "lat": at[0],
        "lon": at[1],
        "radius_m": radius_m,
        "confidence": 68,
        "method": "GNSS",
        "taken_at": taken_at,
    } | more


def _alarm(story: Story, holder: Holder, counter: int, fix: dict[str, Any] | None) -> str:
    press = holder.press(counter, codes.ALARM, story.now_ms, fix=fix)
    return presses.take_alarm(story.core, holder.bridge_id, press).incident_id


def _walk(story: Story, holder: Holder, incident_id: str, steps: int) -> None:
    """Positions that follow an alarm, one each 15 s, along a street that nobody has."""
    for step in range(1, steps + 1):
        minutes_ago = (story.end_ms - story.now_ms) / 60_000 - step / 4
        if minutes_ago <= 0:
            return
        at = holder.home[0] + 0.0003 * step, holder.home[1] + 0.0002 * step
        story.at(minutes_ago, partial(_follow, story, holder, incident_id, at))


def _follow(story: Story, holder: Holder, incident_id: str, at: tuple[float, float]) -> None:
    fixes = incidents.read_fixes({"fixes": [_fix(story, at, 14.0)]})
    presses.add_fixes(story.core, holder.bridge_id, incident_id, fixes)


def _waiting(story: Story, _staff: Staff, holders: list[Holder]) -> None:
    """One that has just come, at home; one that waits without a position; one with an old position."""
    new, long, stale = holders[0], holders[1], holders[2]
    story.at(0.4, lambda: _alarm(story, new, LAST, _fix(story, new.home, 18.0)))
    story.at(3, lambda: _alarm(story, long, LAST, None))

    def with_an_old_position() -> None:
        fix = _fix(story, (stale.home[0] + 0.004, stale.home[1]), 350.0, 38, method="CELL", marks=["stale"])
        _alarm(story, stale, LAST, fix)

    story.at(1.2, with_an_old_position)


def _taken(story: Story, staff: Staff, holders: list[Holder]) -> None:
    """One that somebody has taken, with nothing sent yet; one to which patrols were sent."""
    taken, sent = holders[3], holders[4]

    def press(holder: Holder, then: Callable[[str], object]) -> Callable[[], None]:
        def act() -> None:
            incident_id = _alarm(story, holder, LAST, _fix(story, holder.home, 22.0))
            _walk(story, holder, incident_id, 30)
            then(incident_id)

        return act

    def take(incident_id: str) -> None:
        story.at(5.5, partial(board.advance, story.core, staff.operator, incident_id, receipts.ACKNOWLEDGED))

    def send(incident_id: str) -> None:
        story.at(
            10.6, partial(board.advance, story.core, staff.colleague, incident_id, receipts.ACKNOWLEDGED)
        )
        story.at(
            10.1, partial(running_log.send_patrol, story.core, staff.colleague, incident_id, "Patrol 12")
        )
        story.at(
            9,
            partial(
                running_log.remark, story.core, staff.colleague, incident_id, "Door camera shows a grey car."
            ),
        )

    story.at(6, press(taken, take))
    story.at(11, press(sent, send))


def _under_duress(story: Story, staff: Staff, holders: list[Holder]) -> None:
    """Called off with the duress PIN after somebody had taken it; and one that was called off freely."""
    forced, free = holders[5], holders[6]

    def press(holder: Holder, verdict: Verdict, off_min: float) -> None:
        incident_id = _alarm(story, holder, LAST, _fix(story, holder.home, 30.0))
        story.at(
            off_min + 1,
            partial(board.advance, story.core, staff.operator, incident_id, receipts.ACKNOWLEDGED),
        )
        story.at(off_min, partial(_call_off, story, holder, incident_id, verdict))

    story.at(8, partial(press, forced, Verdict.DURESS, 2.5))
    story.at(7, partial(press, free, Verdict.RIGHT, 4))


def _call_off(story: Story, holder: Holder, incident_id: str, verdict: Verdict) -> None:
    presses.try_pin(story.core, holder.bridge_id, CallOff(holder.device_id, LAST, ""))
    presses.call_off(story.core, holder.bridge_id, incident_id, verdict)


def _closed(story: Story, staff: Staff, holders: list[Holder]) -> None:
    """One for each reason, on the days before; each with a patrol, and a case that somebody has looked at."""
    for number, reason in enumerate(CloseReason):
        holder = holders[(number + 7) % len(holders)]
        days = 1.3 + 4 * number

        def past(holder: Holder = holder, reason: CloseReason = reason, ago: float = days * DAY_MIN) -> None:
            incident_id = _alarm(story, holder, 50 + number_of(reason), _fix(story, holder.home, 25.0))
            taking = partial(board.advance, story.core, staff.operator, incident_id, receipts.ACKNOWLEDGED)
            story.at(ago - 0.3, taking)
            if reason in (CloseReason.REAL, CloseReason.DURESS):
                story.at(
                    ago - 1,
                    partial(running_log.send_patrol, story.core, staff.operator, incident_id, "Patrol 7"),
                )
            story.at(ago - 9, partial(closings.close, story.core, staff.operator, incident_id, reason))
            story.at(ago - 9.5, partial(closings.close_due, story.core))

        story.at(days * DAY_MIN, past)


def number_of(reason: CloseReason) -> int:
    """Return a number for each reason: a press counter of its own."""
    return list(CloseReason).index(reason)


def _supervised(story: Story, staff: Staff, holders: list[Holder]) -> None:
    """Phones that live; one that has been silent for hours; a low battery; a phone that was stolen."""
    stolen = holders[STOLEN]
    for holder in holders:
        ago = 5 * HOUR_MIN if holder.number == SILENT else 0.2
        story.at(ago, partial(heartbeat, story.core, holder, low=holder.number == LOW))
    story.at(26 * HOUR_MIN, partial(_another_phone, story, stolen))
    look = partial(supervision.look, story.core, 0, heartbeats.ALIVE_S)
    story.at(4.9 * HOUR_MIN, look)
    story.at(0.1, look)
    which = (stolen.case_id, stolen.device_id)
    story.at(
        2 * HOUR_MIN, lambda: lost.lose_phone(story.core, staff.manager, *which, _first_phone(story, stolen))
    )


def _revoked(story: Story, _staff: Staff, holders: list[Holder]) -> None:
    """A spare button that was revoked, and is pressed: an administrator rules on it."""
    spare = Holder(len(holders))
    _import(story.core, spare)
    spare.token = str(buttons.enrol(story.core, _code(spare), None, None)["token"])
    spare.bridge_id = buttons.bridge_of(story.core, spare.token)
    story.at(3 * DAY_MIN, lambda: buttons.revoke_button(story.core, spare.device_id))
    story.at(14, lambda: _alarm(story, spare, 1, None))


def _another_phone(story: Story, holder: Holder) -> None:
    code = buttons.issue_enrolment(story.core, holder.device_id)
    assert code is not None
    holder.token = str(buttons.enrol(story.core, code, None, None)["token"])
    holder.bridge_id = buttons.bridge_of(story.core, holder.token)


def _first_phone(story: Story, holder: Holder) -> str:
    phones = buttons.all_bridges(story.core)
    return next(one.bridge_id for one in phones if holder.device_id in one.device_ids.split())


def body_of_heartbeat(holder: Holder, now_ms: int, *, low: bool = False) -> dict[str, Any]:
    """Return what the phone of one of them says of itself and of the button."""
    heard = {"device_id": holder.device_id, "heard_at": times.write(now_ms), "in_reach": True, "low": low}
    return {
        "buttons": [heard | {"battery_mv": 3310 if low else 3950}],
        "phone": {"battery_percent": 12 if low else 78},
    }


def heartbeat(core: Core, holder: Holder, *, low: bool = False) -> None:
    """Take a heartbeat of one of them, as if it had come."""
    take_heartbeat(core, holder.bridge_id, heartbeats.read(body_of_heartbeat(holder, core.now_ms(), low=low)))
