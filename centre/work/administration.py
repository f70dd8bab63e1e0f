"""What an administrator sees and rules on: alarms of revoked buttons, buttons, bridges, users."""

from dataclasses import dataclass

from centre.rules import webhook
from centre.rules.access import Caller
from centre.rules.refusals import Refused
from centre.work import accounts, event_log, exercises
from centre.work import webhook as queue
from centre.work.accounts import ListedUser
from centre.work.core import Core, typed
from centre.work.exercises import DeskCheck, Running
from wire import codes

HELD_SHOWN_MAX = 50
BUTTONS_SHOWN_MAX = 200
USERS_SHOWN_MAX = 500
OPERATORS, ASIDE = 0, 2  # incidents.held: the ruling; 1 = it waits


@dataclass(frozen=True, slots=True)
class HeldAlarm:
    """An alarm of a revoked button, which no operator sees before an administrator has ruled on it."""

    incident_id: str
    device_id: str
    opened_at_ms: int
    revoked_at_ms: int | None
    case_id: str | None
    zone: str | None


@dataclass(frozen=True, slots=True)
class ListedButton:
    """A button as the administrator sees it. `number`: its place in the order of import."""

    number: int
    device_id: str
    board: str
    revoked_at_ms: int | None
    case_id: str | None
    zone: str | None
    trackable: int
    heard_at_ms: int | None


@dataclass(frozen=True, slots=True)
class ListedBridge:
    """A phone as the administrator sees it. `device_ids`: of its buttons, with spaces between them."""

    bridge_id: str
    device_ids: str
    revoked_at_ms: int | None
    alive_at_ms: int | None


@dataclass(frozen=True, slots=True)
class Overview:
    """What the administrator's page shows.

    `held`: the newest of those that wait. `in_need`: buttons that are revoked, or trackable. `next`: where
    the next page of all buttons begins, or None.
    """

    held: list[HeldAlarm]
    waiting: int
    in_need: list[ListedButton]
    buttons: list[ListedButton]
    buttons_in_all: int
    next: int | None
    bridges: list[ListedBridge]  # the newest
    users: list[ListedUser]
    desk_checks: list[DeskCheck]  # the last of each zone and operator
    exercises: list[Running]  # buttons that are in exercise now


def overview(core: Core, after: int = 0) -> Overview:
    """Read one page. `after`: the number of the last button of the page before.

    A page of a large centre takes no longer.
    """
    held = core.store.all("held_alarms", alarm=codes.ALARM, at_most=HELD_SHOWN_MAX)
    rows = core.store.all("buttons_from", after=after, at_most=BUTTONS_SHOWN_MAX + 1)
    shown = rows[:BUTTONS_SHOWN_MAX]
    count = core.store.one("buttons_count")
    assert count is not None
    return Overview(
        [typed(HeldAlarm, row) for row in held],
        held[0]["waiting"] if held else 0,
        [typed(ListedButton, row) for row in core.store.all("buttons_in_need", at_most=BUTTONS_SHOWN_MAX)],
        [typed(ListedButton, row) for row in shown],
        count["count"],
        shown[-1]["number"] if len(rows) > len(shown) else None,
        [typed(ListedBridge, row) for row in core.store.all("newest_bridges", at_most=BUTTONS_SHOWN_MAX)],
        accounts.users(core)[:USERS_SHOWN_MAX],
        exercises.last_desk_checks(core),
        exercises.running(core),
    )


def waiting(core: Core) -> int:
    """Count the alarms of revoked buttons on which nobody has ruled."""
    row = core.store.one("held_count", alarm=codes.ALARM)
    assert row is not None
    return int(row["count"])


def rule(core: Core, caller: Caller, incident_id: str, ruling: int) -> None:
    """Rule on a held alarm. OPERATORS: it is like any other from now on; ASIDE: nobody need act.

    Raises Refused: unknown_incident, not_held.
    """
    with core.store.transaction():
        incident = core.store.one("incident", incident_id=incident_id)
        if incident is None:
            raise Refused("unknown_incident")
        if not core.store.run("rule_on_held", incident_id=incident_id, held=ruling, alarm=codes.ALARM):
            raise Refused("not_held")
        if ruling == OPERATORS:
            queue.add(core, incident_id, webhook.OPENED)
            core.store.run("erase_escalations", incident_id=incident_id)  # from now on it waits for others
        kind = "alarm_handed_over" if ruling == OPERATORS else "alarm_set_aside"
        which = {"incident_id": incident_id, "case_id": incident["case_id"]}
        event_log.note(core, kind, caller.actor, device_id=incident["device_id"], **which)
