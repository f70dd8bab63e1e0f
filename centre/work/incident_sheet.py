"""What operators see, as it is read from the store: the board's cards, and the sheet of one incident."""

import contextlib
import json
from dataclasses import dataclass, field

from centre.platform.sealing import Broken
from centre.rules.cases import CaseFile
from centre.rules.incidents import Fix
from centre.store import Row, Store
from centre.work import cases, supervision
from centre.work.core import Core
from centre.work.supervision import Loss
from wire import codes, receipts

UNTAKEN_SHOWN_MAX = 100
OF_ONE_BUTTON_MAX = 5
TAKEN_SHOWN_MAX = 20
CLOSED_SHOWN_MAX = 10
TESTS_SHOWN_MAX = 5
LOSSES_SHOWN_MAX = 20


@dataclass(frozen=True, slots=True)
class Arrival:
    """One bridge's word of a press."""

    bridge_id: str
    path: str
    heard_at_ms: int | None
    age_s: float | None
    pressed_at_ms: int
    received_at_ms: int
    battery_percent: int | None
    model: str | None
    age_is_lower_bound: bool = False
    weight_ms: int = 0


@dataclass(frozen=True, slots=True)
class Position:
    fix: Fix
    bridge_id: str | None
    received_at_ms: int
    number: int = 0  # rises as they come


@dataclass(frozen=True, slots=True)
class CallOffSeen:
    """That the wearer has called it off, and whether she was forced to."""

    called_off_at_ms: int
    duress_at_ms: int | None
    duress_seen: bool


@dataclass(frozen=True, slots=True)
class Act:
    """What an operator did: brought it to `stage`."""

    stage: int
    reason: str  # a key of incidents.CLOSE_REASONS, or ""
    note: str
    by: str = ""  # her name
    at_ms: int = 0


@dataclass(frozen=True, slots=True)
class Card:
    """An alarm on the board: what is needed to choose it, and not more."""

    incident_id: str
    device_id: str
    device_revoked: bool
    opened_at_ms: int
    pressed_at_ms: int
    age_s: float | None
    stage: int
    stage_at_ms: int
    age_is_lower_bound: bool = False
    danger: str = ""  # one of cases.DANGERS, "" where there is no case, or where its file does not open
    call_off: CallOffSeen | None = None
    newest: Position | None = None
    taken_by: str = ""
    reason: str = ""
    version: str = ""  # changes with whatever changes on its sheet

    @property
    def is_duress(self) -> bool:
        return self.call_off is not None and self.call_off.duress_at_ms is not None

    @property
    def waits_since_ms(self) -> int:
        """For an operator: from its coming, or from the duress PIN where somebody had it before."""
        if self.stage > receipts.RECEIVED and self.call_off and self.call_off.duress_at_ms is not None:
            return self.call_off.duress_at_ms
        return self.opened_at_ms


@dataclass(frozen=True, slots=True)
class Board:
    """`untaken` by nobody; `raised`: under duress, unseen, though somebody had taken or closed it."""

    untaken: list[Card]
    raised: list[Card]
    taken: list[Card]
    closed: list[Card]
    tests: list[tuple[str, int]]  # (device_id, received at ms)
    losses: list[Loss] = field(default_factory=list)
    losses_hidden: int = 0  # bridges and buttons beyond those
    hidden: int = 0  # of the first two, beyond the bounds: shown as those are attended to

    @property
    def waiting(self) -> list[Card]:
        return self.untaken + self.raised

    @property
    def duress_waits(self) -> bool:
        """Whether somebody is in danger, has said so, and nobody has seen it."""
        return any(card.is_duress for card in self.waiting)


@dataclass(frozen=True, slots=True)
class Incident:
    """An alarm as its sheet shows it."""

    incident_id: str
    device_id: str
    kind: str
    board: str
    counter: int
    opened_at_ms: int
    device_revoked: bool
    stage: int
    stages: list[tuple[int, int]]  # (stage, at_ms), in order
    arrivals: list[Arrival]  # the first one first
    positions: list[Position]  # the newest first, as many as are listed
    positions_in_all: int = 0
    call_off: CallOffSeen | None = None
    acts: list[Act] = field(default_factory=list)
    lacks: tuple[str, ...] = ()  # capabilities that its kind of board is known not to have

    @property
    def is_duress(self) -> bool:
        return self.call_off is not None and self.call_off.duress_at_ms is not None

    @property
    def told(self) -> Arrival | None:
        """The bridge's word that stands (store/schema-8-ages.sql)."""
        return max(self.arrivals, key=lambda arrival: arrival.weight_ms, default=None)


@dataclass(frozen=True, slots=True)
class ButtonHealth:
    heard_at_ms: int | None
    battery_mv: int | None
    low: bool


@dataclass(frozen=True, slots=True)
class Sheet:
    """All that is known of one incident. `case` is None without one, once it is over, once it is erased."""

    incident: Incident
    case: CaseFile | None = None
    case_id: str | None = None
    photos: tuple[str, ...] = ()  # what they show
    last_known: Position | None = None  # of an earlier alarm, where this one has no position
    button: ButtonHealth | None = None
    is_broken: bool = False  # the case's file does not open


def board(core: Core) -> Board:
    store = core.store
    limits = {"of_one_button": OF_ONE_BUTTON_MAX, "at_most": UNTAKEN_SHOWN_MAX}
    untaken = store.all("untaken_alarms", alarm=codes.ALARM, **limits)
    raised = store.all("unseen_duress", alarm=codes.ALARM, at_most=UNTAKEN_SHOWN_MAX)
    taken = store.all("taken_alarms", alarm=codes.ALARM, at_most=TAKEN_SHOWN_MAX)
    closed = store.all("closed_alarms", alarm=codes.ALARM, at_most=CLOSED_SHOWN_MAX)
    tests = store.all("last_tests", test=codes.TEST, at_most=TESTS_SHOWN_MAX)
    lost = supervision.open_losses(core)[:LOSSES_SHOWN_MAX]
    return Board(
        [_card(core, row["incident_id"]) for row in untaken],
        [_card(core, row["incident_id"]) for row in raised],
        [_card(core, row["incident_id"]) for row in taken],
        [_card(core, row["incident_id"]) for row in closed],
        [(row["device_id"], row["opened_at_ms"]) for row in tests],
        losses=lost,
        losses_hidden=supervision.count(core) - sum(loss.bridges for loss in lost),
        hidden=sum(rows[0]["in_all"] - len(rows) for rows in (untaken, raised) if rows),
    )


def _card(core: Core, incident_id: str) -> Card:
    row = core.store.one("card", incident_id=incident_id)
    assert row is not None
    is_open = row["stage"] < receipts.CLOSED or row["duress_at_ms"] is not None
    danger = ""
    if is_open and row["file_sealed"] is not None:
        with contextlib.suppress(Broken):  # one file that does not open hides no alarm, of nobody
            danger = cases.opened(core, row["case_id"], row["file_sealed"]).danger
    newest = None
    if row["taken_at_ms"] is not None:
        fix = Fix(0, 0, row["radius_m"], None, "", row["taken_at_ms"], marks=tuple(row["marks"].split()))
        newest = Position(fix, None, row["received_at_ms"])
    pressed_at_ms = row["pressed_at_ms"]
    return Card(
        row["incident_id"],
        row["device_id"],
        bool(row["device_revoked"]),
        row["opened_at_ms"],
        row["opened_at_ms"] if pressed_at_ms is None else pressed_at_ms,
        row["age_s"],
        row["stage"],
        row["stage_at_ms"] or row["opened_at_ms"],
        bool(row["age_is_lower_bound"]),
        danger,
        _call_off(row),
        newest,
        row["taken_by"] or "",
        row["reason"] or "",
        "-".join(
            str(row[name] or 0)
            for name in ("stage", "fixes", "arrivals", "ages", "called_off_at_ms", "duress_at_ms")
        ),
    )


def incident(store: Store, incident_id: str) -> Incident | None:
    """None where there is no such alarm; a silent test is none."""
    which = {"incident_id": incident_id}
    row = store.one("incident_on_sheet", alarm=codes.ALARM, **which)
    if row is None:
        return None
    count = store.one("fixes_count", **which)
    assert count is not None
    return Incident(
        row["incident_id"],
        row["device_id"],
        row["kind"],
        row["board"],
        row["counter"],
        row["opened_at_ms"],
        bool(row["device_revoked"]),
        row["stage"],
        [(receipt["stage"], receipt["at_ms"]) for receipt in store.all("receipts", **which)],
        [
            Arrival(**{name: alarm[name] for name in Arrival.__slots__})
            for alarm in store.all("alarms", **which)
        ],
        [position(fix) for fix in store.all("fixes", **which)],
        count["count"],
        _call_off(store.one("call_off", **which)),
        [
            Act(act["stage"], act["reason"] or "", act["note"] or "", act["name"] or "", act["at_ms"])
            for act in store.all("acts", **which)
        ],
        lacks(row["capabilities"]),
    )


def last_known(store: Store, incident: Incident, case_id: str | None) -> Position | None:
    """Where she was at an earlier alarm of the same case."""
    row = store.one(
        "last_known_fix",
        device_id=incident.device_id,
        counter=incident.counter,
        case_id=case_id,
        alarm=codes.ALARM,
    )
    return None if row is None else position(row)


def button(store: Store, device_id: str) -> ButtonHealth | None:
    row = store.one("button_state", device_id=device_id)
    return None if row is None else ButtonHealth(row["heard_at_ms"], row["battery_mv"], bool(row["low"]))


def position(row: Row) -> Position:
    parts = {name: row[name] for name in Fix._fields} | {"marks": tuple(row["marks"].split())}
    return Position(Fix(**parts), row["bridge_id"], row["received_at_ms"], row["fix_id"])


def _call_off(row: Row | None) -> CallOffSeen | None:
    if row is None or row["called_off_at_ms"] is None:
        return None
    return CallOffSeen(row["called_off_at_ms"], row["duress_at_ms"], row["duress_seen_at_ms"] is not None)


def lacks(capabilities: str | None) -> tuple[str, ...]:
    """Of the JSON in `devices.capabilities`: what is known to be missing; nothing where nothing is known."""
    known = json.loads(capabilities or "{}")
    return tuple(sorted(name for name, has in known.items() if not has))
