"""The operators' board: the cards of the alarms, and what an operator does to one."""

import contextlib
from dataclasses import dataclass, field
from typing import Any

from centre.platform.sealing import Broken
from centre.rules import fair_share, incidents, places, webhook
from centre.rules.access import Author
from centre.rules.cases import DANGERS, CaseFile, registered_places
from centre.rules.incidents import CallOffState, CloseReason
from centre.rules.newest_position import Newest
from centre.rules.places import Near
from centre.rules.refusals import Refused
from centre.store import Row
from centre.work import cases, event_log, positions, supervision
from centre.work import webhook as queue
from centre.work.core import Core, typed
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
class Closing:
    """An operator has closed it, and can undo that until the button is told of it."""

    reason: CloseReason
    by: str
    due_at_ms: int


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
    owner: str = ""  # who has it, as the log names them; "" where nobody has
    is_new_to_owner: bool = False  # it was handed over, and not looked at since
    given_back_at_ms: int | None = None  # since then nobody has it
    closing: Closing | None = None
    exercise: str | None = None  # the zone that exercises; None: a true alarm
    is_check: bool = False  # of a check button: the desk says what it saw and heard
    is_armed: bool = False  # its file names weapons
    ways: tuple[str, ...] = ()  # on which it came: incidents.PATHS

    @property
    def is_duress(self) -> bool:
        return self.call_off is not None and self.call_off.is_duress

    @property
    def waits_since_ms(self) -> int:
        """For an operator: from its coming, from being given back, or from a duress PIN that came after."""
        if self.given_back_at_ms is not None:
            return self.given_back_at_ms
        if self.stage > receipts.RECEIVED and self.call_off and self.call_off.duress_at_ms is not None:
            return self.call_off.duress_at_ms
        return self.opened_at_ms

    @property
    def urgency(self) -> tuple[bool, bool, int, int]:
        """Sort by this: the greatest danger first (duress, weapons, the file's word), then the oldest."""
        rank = DANGERS.index(self.danger) if self.danger else 0
        return not self.is_duress, not self.is_armed, -rank, self.waits_since_ms


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
    owned: dict[str, int] = field(default_factory=dict)  # how many each has, shown here or not

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
class Alarm:
    """An alarm that operators act on, and what its receipts are made of."""

    incident_id: str
    device_id: str
    event: int
    counter: int
    stage: int
    case_id: str | None
    epoch: int
    root_sealed: bytes = field(repr=False)


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
    reached: tuple[int, ...] = ()  # the stages that this very call has brought about
    reason: CloseReason | None = None  # of a closing


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
        owned={row["actor"]: row["count"] for row in store.all("owned_alarms", alarm=codes.ALARM)},
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
        row["owner_name"] or "",
        CloseReason(row["reason"]) if row["reason"] else None,
        "-".join(
            str(row[name] or 0)
            for name in (
                *("stage", "fixes", "arrivals", "ages", "called_off_at_ms", "duress_at_ms"),
                *("more_presses", "last_seq"),
            )
        ),
        row["more_presses"],
        _nearest(file, newest),
        row["owner"] or "",
        bool(row["is_new_to_owner"]),
        row["owner_since_ms"] if row["owner"] is None else None,
        closing_seen(row),
        exercise=row["exercise"],
        is_check=bool(row["is_check"]),
        is_armed=bool(file and file.stalker.weapons),
        ways=tuple(sorted((row["ways"] or "").split(","))) if row["ways"] else (),
    )


def _nearest(file: CaseFile | None, newest: Newest | None) -> Near | None:
    """Return the registered place that the position is nearest to; None where phones say different ones."""
    if file is None or newest is None or newest.other is not None:
        return None
    return next(iter(places.near(newest.position.fix, registered_places(file))), None)


def closing_seen(row: Row) -> Closing | None:
    """Read a row with the columns of a closing that can still be undone; None where there is none."""
    if row["closing_at_ms"] is None:
        return None
    return Closing(CloseReason(row["closing_reason"]), row["closing_by"], row["closing_at_ms"])


def call_off_seen(row: Row | None) -> CallOffSeen | None:
    """Read a row with the columns of `call_offs`; None where nothing was called off."""
    if row is None or row["called_off_at_ms"] is None:
        return None
    state = CallOffState.FREE if row["duress_at_ms"] is None else CallOffState.DURESS
    if row["duress_seen_at_ms"] is not None:
        state = CallOffState.DURESS_SEEN
    return CallOffSeen(row["called_off_at_ms"], row["duress_at_ms"], state)


def alarm_of(core: Core, incident_id: str) -> Alarm:
    """Return an alarm that operators act on; of a revoked button, only once an administrator has ruled.

    Raises Refused: unknown_incident, not_an_alarm.
    """
    incident = core.store.one("incident", incident_id=incident_id)
    if incident is None or incident["held"] or incident["erased_at_ms"] is not None:
        raise Refused("unknown_incident")
    if incident["event"] != codes.ALARM:
        raise Refused("not_an_alarm")
    return typed(Alarm, incident)


def advance(
    core: Core,
    author: Author,
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
        alarm = alarm_of(core, incident_id)
        what: dict[str, Any] = {"reason": reason, "note": note, "seen_duress": seen_duress}
        reached, is_new = reach(core, author, alarm, stage, **what)
        if stage < receipts.CLOSED:
            is_new |= _take_over(core, author, incident_id)
        return advanced(core, alarm, stage, is_new=is_new, reached=reached, reason=reason)


def reach(
    core: Core,
    author: Author,
    alarm: Alarm,
    stage: int,
    *,
    reason: CloseReason | None = None,
    note: str | None = None,
    seen_duress: bool = False,
) -> tuple[tuple[int, ...], bool]:
    """Write the receipt of `stage`, and of the taking that it implies.

    Return which of them were new, and whether anything was. In a transaction.
    """
    which = {"incident_id": alarm.incident_id, "device_id": alarm.device_id}
    new = incidents.to_reach(alarm.stage, stage)
    for reached in new:
        _write_stage(core, author, alarm, reached, *((reason, note) if reached == stage else (None, None)))
    is_seen = seen_duress and bool(
        core.store.run("see_duress", incident_id=which["incident_id"], now_ms=core.now_ms())
    )
    told = [(reached, reason, note) if reached == stage else (reached, None, None) for reached in new]
    if is_seen and not told:
        told = [(max(stage, alarm.stage), None, None)]
    for reached, why, what in told:
        seen = int(is_seen and reached == told[-1][0])
        content: dict[str, Any] = {"stage": reached, "reason": why, "note": what, "seen_duress": seen}
        event_log.note(core, "advanced", author.actor, **which, **content)
    if new and core.store.one("owner", incident_id=which["incident_id"]) is None:
        own(core, author, which["incident_id"])
    return new, bool(told)


def _write_stage(
    core: Core, author: Author, alarm: Alarm, stage: int, reason: CloseReason | None, note: str | None
) -> None:
    write_receipt(core, alarm, stage)
    who = {"actor": author.actor, "name": author.name, "now_ms": core.now_ms()}
    what = {"stage": stage, "reason": reason, "note": note}
    core.store.run("add_act", incident_id=alarm.incident_id, **what, **who)
    queue.add(core, alarm.incident_id, webhook.OF_STAGE[stage])


def write_receipt(core: Core, alarm: Alarm, stage: int) -> None:
    """Write down that the alarm is at `stage`, with the proof for its button. In a transaction."""
    root = core.sealer.unseal(alarm.device_id, alarm.root_sealed)
    proof = incidents.proof(root, alarm.epoch, stage, alarm.event, alarm.counter)
    which = {"incident_id": alarm.incident_id, "stage": stage}
    core.store.run("add_receipt", proof=proof, now_ms=core.now_ms(), **which)


def own(core: Core, owner: Author | None, incident_id: str, *, is_new: bool = False) -> None:
    """Write down who has an alarm: somebody, or nobody. In a transaction."""
    who = {"actor": owner and owner.actor, "name": owner.name if owner else "", "is_new": is_new}
    core.store.run("set_owner", incident_id=incident_id, now_ms=core.now_ms(), **who)


def _take_over(core: Core, author: Author, incident_id: str) -> bool:
    """Take what was given back; whether it was."""
    owner = core.store.one("owner", incident_id=incident_id)
    if owner is None or owner["actor"] is not None:
        return False
    own(core, author, incident_id)
    event_log.note(core, "taken_over", author.actor, incident_id=incident_id)
    return True


def advanced(
    core: Core,
    alarm: Alarm,
    stage: int,
    *,
    is_new: bool,
    reached: tuple[int, ...] = (),
    reason: CloseReason | None = None,
) -> Advanced:
    """Return where an incident stands now, and who brought it to `stage`, or has it."""
    incident_id = alarm.incident_id
    last = core.store.one("last_receipt", incident_id=incident_id)
    owner = core.store.one("owner", incident_id=incident_id)
    acts = core.store.all("acts", incident_id=incident_id)
    assert last is not None
    names = [act["name"] for act in acts if act["stage"] >= stage]
    if owner is not None and owner["actor"] is not None and (stage == receipts.ACKNOWLEDGED or not names):
        names.insert(0, owner["name"])
    return Advanced(
        incident_id,
        alarm.device_id,
        alarm.event,
        alarm.counter,
        last["stage"],
        last["at_ms"],
        is_new,
        names[0] if names else "",
        reached,
        reason,
    )
