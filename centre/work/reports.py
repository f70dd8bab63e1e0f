"""The daily report of a zone: what was pressed, and what lives; of the cases only their ids."""

from collections import Counter
from dataclasses import dataclass

from centre.rules import supervision, times
from centre.store import Row
from centre.work.core import Core, typed
from centre.work.supervision import Loss, unheard
from wire import codes, receipts

SILENT_MS = 86_400_000
ALARMS_SHOWN_MAX = 20  # on the page of a case


@dataclass(frozen=True, slots=True)
class Held:
    """A button in somebody's hand, as any bridge told of it last."""

    device_id: str
    case_id: str
    zone: str
    heard_at_ms: int | None
    battery_mv: int | None
    is_low: bool
    is_silent: bool  # for a day
    tested_at_ms: int | None
    untested_days: int  # 0: tested lately enough


@dataclass(frozen=True, slots=True)
class Pressed:
    """An alarm or a silent test. `reason`: why an operator closed it."""

    incident_id: str
    device_id: str
    case_id: str
    opened_at_ms: int
    stage: int
    reason: str | None


@dataclass(frozen=True, slots=True)
class DueCase:
    """A case whose grant is to be reviewed, or has ended, since `due_on`."""

    case_id: str
    zone: str
    due_on: str


@dataclass(frozen=True, slots=True)
class Report:
    """`alarms` and `tests` of the day; the other lists as of now."""

    day: str
    zone: str | None  # None: all of them
    now_ms: int
    alarms: list[Pressed]
    tests: list[Pressed]
    low: list[Held]
    silent: list[Held]
    unheard: list[Loss]
    untested: list[Held]
    due: list[DueCase]

    @property
    def outcomes(self) -> list[tuple[str, int]]:
        """Count how the alarms of the day ended; "open" where they have not."""
        counted = Counter(
            alarm.reason or ("closed" if alarm.stage == receipts.CLOSED else "open") for alarm in self.alarms
        )
        return counted.most_common()


def of_case(core: Core, case_id: str) -> list[Pressed]:
    """Return the alarms of a case, the newest first."""
    rows = core.store.all("alarms_of_case", case_id=case_id, alarm=codes.ALARM, at_most=ALARMS_SHOWN_MAX)
    return [typed(Pressed, row) for row in rows]


def of_day(core: Core, zone: str | None, day: str, test_every_days: int = supervision.TEST_DAYS) -> Report:
    """Return the report of one day and zone; None: of all zones."""
    begins_ms, ends_ms = times.day_ms(day)
    span, now_ms = {"begins_ms": begins_ms, "ends_ms": ends_ms, "zone": zone}, core.now_ms()
    held = [_held(core, row, now_ms, test_every_days) for row in core.store.all("handed_out", zone=zone)]
    return Report(
        day,
        zone,
        now_ms,
        [typed(Pressed, row) for row in core.store.all("alarms_of_day", event=codes.ALARM, **span)],
        [typed(Pressed, row) for row in core.store.all("alarms_of_day", event=codes.TEST, **span)],
        [button for button in held if button.is_low],
        [button for button in held if button.is_silent],
        unheard(core, zone),
        [button for button in held if button.untested_days],
        [typed(DueCase, row) for row in core.store.all("due_anywhere", zone=zone, today=times.day(now_ms))],
    )


def _held(core: Core, row: Row, now_ms: int, test_every_days: int) -> Held:
    state = core.store.one("button_state", device_id=row["device_id"])
    heard_at_ms, battery_mv, is_low = (
        (state["heard_at_ms"], state["battery_mv"], bool(state["low"])) if state else (None, None, False)
    )
    # Before it was handed out nobody expected to hear it.
    is_silent = now_ms - max(heard_at_ms or 0, row["given_at_ms"]) >= SILENT_MS
    which = {"device_id": row["device_id"], "case_id": row["case_id"]}
    last = core.store.one("last_of_button", event=codes.TEST, **which)
    tested_at_ms = last["at_ms"] if last else None
    return Held(
        row["device_id"],
        row["case_id"],
        row["zone"],
        heard_at_ms,
        battery_mv,
        is_low,
        is_silent,
        tested_at_ms,
        supervision.untested_days(tested_at_ms, row["given_at_ms"], now_ms, test_every_days),
    )
