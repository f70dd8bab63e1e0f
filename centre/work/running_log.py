"""What operators add to an alarm's running log: remarks, patrols, who has it, steps of the standing order.

Each is one entry of the event log, under its author, and nowhere else: so it can be read, exported and
verified, and nothing overwrites it. The same act again is the same act.
"""

from dataclasses import dataclass, replace
from typing import Any

from centre.platform.sealing import Broken
from centre.rules import access, running_log
from centre.rules.access import Author
from centre.rules.refusals import Refused
from centre.rules.running_log import Happening, Kind, PatrolStep
from centre.store import Row
from centre.work import board, event_log
from centre.work.board import Advanced, Alarm
from centre.work.core import Core
from wire import receipts

COLLEAGUES_MAX = 200
DOUBLED_MS = 10_000  # the same words of the same author within that are one remark, sent twice


@dataclass(frozen=True, slots=True)
class Colleague:
    """An operator who can be handed an alarm."""

    user_id: str
    name: str

    @property
    def actor(self) -> str:
        return f"user:{self.user_id}"


def of_incident(core: Core, incident_id: str) -> list[Happening]:
    """Return all that people did and wrote, the oldest first; of a damaged entry, that there is one."""
    rows = core.store.all("running_log", incident_id=incident_id)
    names = event_log.people(core, {row["actor"] for row in rows})
    return [_happening(core, row, names.get(row["actor"], "")) for row in rows]


def _happening(core: Core, row: Row, name: str) -> Happening:
    try:
        facts = event_log.told(core, row).facts
    except Broken:
        facts = {}
    return running_log.happening(row["seq"], row["at_ms"], row["kind"], name, facts)


def remark(core: Core, author: Author, incident_id: str, text: str, *, once: str = "") -> Advanced:
    """Add a remark, at any time: also after the closing. `once`: the same words with it are the same remark.

    Raises Refused: unknown_incident, not_an_alarm, bad_text.
    """
    text = running_log.remark(text)
    with core.store.transaction():
        alarm = board.alarm_of(core, incident_id)
        is_new = not any(
            one.kind is Kind.REMARK
            and one.text == text
            and (one.once == once if once else core.now_ms() - one.at_ms < DOUBLED_MS)
            for one in _by(core, author, incident_id)
        )
        if is_new:
            once = once[: running_log.ONCE_CHARS_MAX]
            event_log.note(core, "remark", author.actor, incident_id=incident_id, text=text, once=once)
        return _done(core, alarm, author, is_new)


def _by(core: Core, author: Author, incident_id: str) -> list[Happening]:
    rows = core.store.all("running_log", incident_id=incident_id)
    return [_happening(core, row, author.name) for row in rows if row["actor"] == author.actor]


def send_patrol(
    core: Core, author: Author, incident_id: str, name: str = "", *, seen_duress: bool = False
) -> Advanced:
    """Note that a patrol was sent; the first is what the button feels as DISPATCHED.

    The same name again is the same patrol, until that one is safe.
    Raises Refused: unknown_incident, not_an_alarm, incident_closed, bad_text,
    too_many_patrols.
    """
    name = running_log.patrol_name(name)
    with core.store.transaction():
        alarm = open_alarm(core, incident_id)
        known = running_log.patrols(of_incident(core, incident_id))
        is_there = any(one.name.casefold() == name.casefold() and one.following for one in known)
        if not is_there and len(known) >= running_log.PATROLS_MAX:
            raise Refused("too_many_patrols")
        stage = receipts.DISPATCHED
        what: dict[str, Any] = {"note": name or None, "seen_duress": seen_duress}
        reached, is_new = board.reach(core, author, alarm, stage, **what)
        if not is_there:
            _note_patrol(core, author, incident_id, len(known) + 1, PatrolStep.SENT, name)
        return board.advanced(core, alarm, stage, is_new=is_new or not is_there, reached=reached)


def go_on(core: Core, author: Author, incident_id: str, number: int, step: PatrolStep) -> Advanced:
    """Note how far a patrol is.

    Raises Refused: unknown_incident, not_an_alarm, incident_closed, unknown_patrol, patrol_further.
    """
    with core.store.transaction():
        alarm = open_alarm(core, incident_id)
        patrols = running_log.patrols(of_incident(core, incident_id))
        patrol = next((one for one in patrols if one.number == number), None)
        if patrol is None:
            raise Refused("unknown_patrol")
        is_new = running_log.goes_on(patrol, step)
        if is_new:
            _note_patrol(core, author, incident_id, number, step, patrol.name)
        return _done(core, alarm, author, is_new)


def _note_patrol(
    core: Core, author: Author, incident_id: str, number: int, step: PatrolStep, name: str
) -> None:
    event_log.note(core, "patrol", author.actor, incident_id=incident_id, patrol=number, name=name, step=step)


def colleagues(core: Core) -> list[Colleague]:
    """Return the operators who can be handed an alarm."""
    rows = core.store.all("colleagues", role=access.OPERATOR, at_most=COLLEAGUES_MAX)
    return [Colleague(row["user_id"], row["name"]) for row in rows]


def hand_over(core: Core, author: Author, incident_id: str, user_id: str) -> Advanced:
    """Give an alarm that somebody has taken to a colleague, or take it over: it is theirs at once.

    Raises Refused: unknown_incident, not_an_alarm, incident_closed, not_taken, unknown_colleague.
    """
    with core.store.transaction():
        alarm = open_alarm(core, incident_id)
        if alarm.stage == receipts.RECEIVED:
            raise Refused("not_taken")
        is_new = _pass_on(core, author, incident_id, _colleague(core, user_id))
        return _done(core, alarm, author, is_new)


def hand_over_all(core: Core, author: Author, user_id: str) -> list[str]:
    """Give all open alarms that the author has to a colleague; return which.

    Raises Refused("unknown_colleague").
    """
    with core.store.transaction():
        colleague = _colleague(core, user_id)
        rows = core.store.all("open_alarms_of_owner", actor=author.actor)
        return [row["incident_id"] for row in rows if _pass_on(core, author, row["incident_id"], colleague)]


def _colleague(core: Core, user_id: str) -> Colleague:
    user = core.store.one("user", user_id=user_id)
    if user is None or user["role"] != access.OPERATOR or user["disabled_at_ms"] is not None:
        raise Refused("unknown_colleague", field="to")
    return Colleague(user["user_id"], user["name"])


def _pass_on(core: Core, author: Author, incident_id: str, to: Colleague) -> bool:
    owner = core.store.one("owner", incident_id=incident_id)
    if owner is not None and owner["actor"] == to.actor:
        return False
    board.own(core, to, incident_id, is_new=to.actor != author.actor)
    event_log.note(core, "passed_on", author.actor, incident_id=incident_id, to=to.name, user_id=to.user_id)
    return True


def give_back(core: Core, author: Author, incident_id: str) -> Advanced:
    """Let an alarm wait for anybody again, louder than before.

    Raises Refused: unknown_incident, not_an_alarm, incident_closed, not_taken, not_yours.
    """
    with core.store.transaction():
        alarm = open_alarm(core, incident_id)
        owner = core.store.one("owner", incident_id=incident_id)
        if owner is None:
            raise Refused("not_taken")
        if owner["actor"] is not None and owner["actor"] != author.actor:
            raise Refused("not_yours", f"{owner['name']} has this alarm")
        is_new = owner["actor"] is not None
        if is_new:
            board.own(core, None, incident_id)
            core.store.run("forget_escalation", incident_id=incident_id)  # it is told anew
            event_log.note(core, "given_back", author.actor, incident_id=incident_id)
        return _done(core, alarm, author, is_new)


def see_owned(core: Core, author: Author, incident_id: str) -> bool:
    """Note that whoever was handed the alarm looks at it; whether that was new. In a transaction."""
    return bool(core.store.run("see_owned", incident_id=incident_id, actor=author.actor))


def open_alarm(core: Core, incident_id: str) -> Alarm:
    """Return an alarm that is not closed. Raises Refused."""
    alarm = board.alarm_of(core, incident_id)
    if alarm.stage == receipts.CLOSED:
        raise Refused("incident_closed")
    return alarm


def _done(core: Core, alarm: Alarm, author: Author, is_new: bool) -> Advanced:
    """Say where the alarm stands; what is new is the author's."""
    done = board.advanced(core, alarm, alarm.stage, is_new=is_new)
    return replace(done, by=author.name) if is_new else done
