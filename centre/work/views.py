"""What operators see: read from the store, shown by centre/console/board.py."""

import json
from dataclasses import dataclass, field

from centre.rules.incidents import Fix
from centre.store import Row, Store
from wire import codes

UNTAKEN_SHOWN_MAX = 100
OF_ONE_BUTTON_MAX = 5
TAKEN_SHOWN_MAX = 20
CLOSED_SHOWN_MAX = 10
TESTS_SHOWN_MAX = 5


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


@dataclass(frozen=True, slots=True)
class Position:
    fix: Fix
    bridge_id: str | None
    received_at_ms: int


@dataclass(frozen=True, slots=True)
class CallOffSeen:
    """That the wearer has called it off, and whether she was forced to."""

    called_off_at_ms: int
    duress_at_ms: int | None
    duress_seen: bool


@dataclass(frozen=True, slots=True)
class Act:
    """What an operator added to a stage."""

    stage: int
    reason: str  # a key of incidents.CLOSE_REASONS, or ""
    note: str


@dataclass(frozen=True, slots=True)
class Incident:
    """An alarm as the operator sees it."""

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
    positions: list[Position]  # the newest first, as many as are shown
    positions_in_all: int = 0
    call_off: CallOffSeen | None = None
    acts: list[Act] = field(default_factory=list)
    lacks: tuple[str, ...] = ()  # capabilities that its kind of board is known not to have


@dataclass(frozen=True, slots=True)
class Board:
    """What is on the operator's page.

    `untaken` is what nobody has attended to: alarms that nobody has taken, and a duress PIN that nobody has
    seen, at whatever stage.
    """

    untaken: list[Incident]
    taken: list[Incident]
    tests: list[tuple[str, int]]  # (device_id, received at ms)
    hidden: int = 0  # untaken ones beyond the bounds: shown as those are taken
    closed: list[Incident] = field(default_factory=list)


def board(store: Store) -> Board:
    limits = {"of_one_button": OF_ONE_BUTTON_MAX, "at_most": UNTAKEN_SHOWN_MAX}
    untaken = store.all("untaken_alarms", alarm=codes.ALARM, **limits)
    taken = store.all("taken_alarms", alarm=codes.ALARM, at_most=TAKEN_SHOWN_MAX)
    closed = store.all("closed_alarms", alarm=codes.ALARM, at_most=CLOSED_SHOWN_MAX)
    tests = store.all("last_tests", test=codes.TEST, at_most=TESTS_SHOWN_MAX)
    return Board(
        [_incident(store, row) for row in untaken],
        [_incident(store, row) for row in taken],
        [(row["device_id"], row["opened_at_ms"]) for row in tests],
        untaken[0]["untaken"] - len(untaken) if untaken else 0,
        [_incident(store, row) for row in closed],
    )


def _incident(store: Store, row: Row) -> Incident:
    which = {"incident_id": row["incident_id"]}
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
        [_position(fix) for fix in store.all("fixes", **which)],
        count["count"],
        _call_off(store.one("call_off", **which)),
        [Act(act["stage"], act["reason"] or "", act["note"] or "") for act in store.all("acts", **which)],
        lacks(row["capabilities"]),
    )


def _position(row: Row) -> Position:
    parts = {name: row[name] for name in Fix.__slots__} | {"marks": tuple(row["marks"].split())}
    return Position(Fix(**parts), row["bridge_id"], row["received_at_ms"])


def _call_off(row: Row | None) -> CallOffSeen | None:
    if row is None:
        return None
    return CallOffSeen(row["called_off_at_ms"], row["duress_at_ms"], row["duress_seen_at_ms"] is not None)


def lacks(capabilities: str | None) -> tuple[str, ...]:
    """Of the JSON in `devices.capabilities`: what is known to be missing; nothing where nothing is known."""
    known = json.loads(capabilities or "{}")
    return tuple(sorted(name for name, has in known.items() if not has))
