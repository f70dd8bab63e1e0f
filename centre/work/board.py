"""The operators' board: the cards of the alarms, and what an operator does to one."""

import contextlib
from dataclasses import dataclass, field

from centre.platform.sealing import Broken
from centre.rules import fair_share, incidents, places, webhook
from centre.rules.access import Caller
from centre.rules.cases import DANGERS, CaseFile, registered_places
from centre.rules.incidents import CallOffState, CloseReason
from centre.rules.newest_position import Newest
from centre.rules.places import Near
from centre.rules.refusals import Refused
from centre.store import Row
from centre.work import cases, event_log, positions, supervision
from centre.work import webhook as queue
from centre.work.core import Core
from centre.work.supervision import Loss
from wire import codes, receipts

UNTAKEN_SHOWN_MAX = 100
TAKEN_SHOWN_MAX = 20
CLOSED_SHOWN_MAX = 10
TESTS_SHOWN_MAX = 5
LOSSES_SHOWN_MAX = 20
OPEN_PAGE = 100  # alarms on one page of all that are open


@dataclass(frozen=True, slots=True)
class CallOffSeen:
    """That the protected person has called it off, and whether somebody forced them to."""

    called_off_at_ms: int
    duress_at_ms: int | None
    state: CallOffState

    @property
    def is_duress(self) -> bool:
        return self.state is not CallOffState.FREE


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
    newest: Newest | None = None
    taken_by: str = ""
    reason: CloseReason | None = None
    version: str = ""  # changes with whatever changes on its sheet
    more_presses: int = 0  # of the same button, that were counted and not kept each
    near: Near | None = None  # the registered place that its newest position is nearest to

    @property
    def is_duress(self) -> bool:
        return self.call_off is not None and self.call_off.is_duress

    @property
    def waits_since_ms(self) -> int:
        """For an operator: from its coming, or from the duress PIN where somebody had it before."""
        if self.stage > receipts.RECEIVED and self.call_off and self.call_off.duress_at_ms is not None:
            return self.call_off.duress_at_ms
        return self.opened_at_ms

    @property
    def urgency(self) -> tuple[int, int]:
        """Sort by this: the greatest danger first, then who has waited longest."""
        rank = DANGERS.index(self.danger) if self.danger else 0
        return -rank, self.waits_since_ms


@dataclass(frozen=True, slots=True)
class SilentTest:
    """A silent test that came through."""

    device_id: str
    received_at_ms: int


@dataclass(frozen=True, slots=True)
class Board:
    """`untaken` by nobody; `raised`: under duress, unseen, though somebody had taken or closed it."""

    untaken: list[Card]
    raised: list[Card]
    taken: list[Card]
    closed: list[Card]
    tests: list[SilentTest]
    losses: list[Loss] = field(default_factory=list)
    losses_hidden: int = 0  # bridges and buttons beyond those
    hidden: int = 0  # of the first two, beyond the bounds: shown as those are attended to
    taken_hidden: int = 0  # of those that somebody has taken, beyond the bound

    @property
    def waiting(self) -> list[Card]:
        return self.untaken + self.raised

    @property
    def open_count(self) -> int:
        """How many alarms are open or wait for somebody, shown here or not."""
        return len(self.waiting) + self.hidden + len(self.taken) + self.taken_hidden

    @property
    def duress_waits(self) -> bool:
        """Whether somebody is in danger, has said so, and nobody has seen it."""
        return any(card.is_duress for card in self.waiting)


@dataclass(frozen=True, slots=True)
class OpenAlarms:
    """One page of all open alarms. `next`: where the next page begins, or ""."""

    cards: list[Card]
    next: str


@dataclass(frozen=True, slots=True)
class Advanced:
    """An incident is at `stage` since `at_ms`; `now` if this very call brought it there."""

    incident_id: str
    device_id: str
    event: int
    counter: int
    stage: int
    at_ms: int
    now: bool
    by: str = ""  # the name of who has it: who acted on it first


def board(core: Core) -> Board:
    """Read the board as it is."""
    store = core.store
    limits = {"of_one_share": fair_share.SHOWN_MAX, "at_most": UNTAKEN_SHOWN_MAX}
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
        [SilentTest(row["device_id"], row["opened_at_ms"]) for row in tests],
        losses=lost,
        losses_hidden=supervision.count(core) - sum(loss.bridges for loss in lost),
        hidden=sum(_beyond(rows) for rows in (untaken, raised)),
        taken_hidden=_beyond(taken),
    )


def _beyond(rows: list[Row]) -> int:
    return rows[0]["in_all"] - len(rows) if rows else 0


def open_alarms(core: Core, after: str = "", page: int = OPEN_PAGE) -> OpenAlarms:
    """Return every alarm that is open, a page at a time, the oldest first. `after`: a page's `next`."""
    rows = core.store.all("open_alarms", alarm=codes.ALARM, after=after, at_most=page + 1)
    shown = [row["incident_id"] for row in rows[:page]]
    following = shown[-1] if len(rows) > page else ""
    return OpenAlarms([_card(core, incident_id) for incident_id in shown], following)


def _card(core: Core, incident_id: str) -> Card:
    row = core.store.one("card", incident_id=incident_id)
    assert row is not None
    is_open = row["stage"] < receipts.CLOSED or row["duress_at_ms"] is not None
    file = None
    if is_open and row["file_sealed"] is not None:
        with contextlib.suppress(Broken):  # one file that does not open hides no alarm, of nobody
            file = cases.opened(core, row["case_id"], row["file_sealed"])
    newest = positions.newest(core, incident_id) if row["fixes"] else None
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
        file.danger if file else "",
        call_off_seen(row),
        newest,
        row["taken_by"] or "",
        CloseReason(row["reason"]) if row["reason"] else None,
        "-".join(
            str(row[name] or 0)
            for name in (
                *("stage", "fixes", "arrivals", "ages", "called_off_at_ms", "duress_at_ms"),
                "more_presses",
            )
        ),
        row["more_presses"],
        _nearest(file, newest),
    )


def _nearest(file: CaseFile | None, newest: Newest | None) -> Near | None:
    """Return the registered place that the position is nearest to; None where phones say different ones."""
    if file is None or newest is None or newest.other is not None:
        return None
    return next(iter(places.near(newest.position.fix, registered_places(file))), None)


def call_off_seen(row: Row | None) -> CallOffSeen | None:
    """Read a row with the columns of `call_offs`; None where nothing was called off."""
    if row is None or row["called_off_at_ms"] is None:
        return None
    state = CallOffState.FREE if row["duress_at_ms"] is None else CallOffState.DURESS
    if row["duress_seen_at_ms"] is not None:
        state = CallOffState.DURESS_SEEN
    return CallOffSeen(row["called_off_at_ms"], row["duress_at_ms"], state)


def advance(
    core: Core,
    caller: Caller,
    incident_id: str,
    stage: int,
    *,
    reason: CloseReason | None = None,
    note: str | None = None,
    seen_duress: bool = False,
) -> Advanced:
    """Bring an incident to `stage`, once, whoever asks and however often.

    `reason` and `note` are kept with the first. `seen_duress`: who asks knows that the protected person is
    in danger; until an operator says so, it stands above all else, at whatever stage.
    Raises Refused: unknown_incident, not_an_alarm.
    """
    with core.store.transaction():
        incident = core.store.one("incident", incident_id=incident_id)
        if incident is None or incident["held"]:  # of a revoked button: none of an operator's
            raise Refused("unknown_incident")
        event, counter = incident["event"], incident["counter"]
        is_new = incidents.advances(event, incident["stage"], stage)
        if is_new:
            proof = incidents.proof(core.root(incident), incident["epoch"], stage, event, counter)
            core.store.run(
                "add_receipt", incident_id=incident_id, stage=stage, proof=proof, now_ms=core.now_ms()
            )
            core.store.run(
                "add_act",
                incident_id=incident_id,
                stage=stage,
                reason=reason,
                note=note,
                user_id=caller.user_id,
                now_ms=core.now_ms(),
            )
            queue.add(core, incident_id, webhook.OF_STAGE[stage])
        is_seen = bool(
            seen_duress and core.store.run("see_duress", incident_id=incident_id, now_ms=core.now_ms())
        )
        if is_new or is_seen:
            event_log.note(
                core,
                "advanced",
                caller.actor,
                incident_id=incident_id,
                device_id=incident["device_id"],
                stage=max(stage, incident["stage"]),
                reason=reason,
                note=note,
                seen_duress=int(is_seen),
            )
        last = core.store.one("last_receipt", incident_id=incident_id)
        acts = core.store.all("acts", incident_id=incident_id)
    assert last is not None
    deciding = [act for act in acts if act["stage"] >= stage] or acts
    return Advanced(
        incident_id,
        incident["device_id"],
        event,
        counter,
        last["stage"],
        last["at_ms"],
        is_new or is_seen,
        (deciding[0]["name"] or "") if deciding else "",
    )
