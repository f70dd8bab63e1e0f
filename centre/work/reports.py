"""The daily report of a zone: what was pressed, and what lives; of the cases only their ids."""

from collections import Counter
from dataclasses import dataclass

from centre.rules import supervision, times
from centre.store import Row
from centre.work.core import Core
from wire import codes, receipts

SILENT_MS = 86_400_000


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
class Report:
    """`alarms` and `tests` of the day; the other lists as of now."""

    day: str
    zone: str | None  # None: all of them
    now_ms: int
    alarms: list[Row]  # incidents, with `reason`
    tests: list[Row]
    low: list[Held]
    silent: list[Held]
    untested: list[Held]
    due: list[Row]  # cases

    @property
    def outcomes(self) -> list[tuple[str, int]]:
        """How many alarms of the day ended how; "open" where they have not."""
        counted = Counter(
            row["reason"] or ("closed" if row["stage"] == receipts.CLOSED else "open") for row in self.alarms
        )
        return counted.most_common()


def of_day(core: Core, zone: str | None, day: str, test_every_days: int = supervision.TEST_DAYS) -> Report:
    begins_ms, ends_ms = times.day_ms(day)
    span, now_ms = {"begins_ms": begins_ms, "ends_ms": ends_ms, "zone": zone}, core.now_ms()
    held = [_held(core, row, now_ms, test_every_days) for row in core.store.all("handed_out", zone=zone)]
    return Report(
        day,
        zone,
        now_ms,
        core.store.all("alarms_of_day", event=codes.ALARM, **span),
        core.store.all("alarms_of_day", event=codes.TEST, **span),
        [button for button in held if button.is_low],
        [button for button in held if button.is_silent],
        [button for button in held if button.untested_days],
        core.store.all("due_anywhere", zone=zone, today=times.day(now_ms)),
    )


def _held(core: Core, row: Row, now_ms: int, test_every_days: int) -> Held:
    state = core.store.one("button_state", device_id=row["device_id"])
    told = {name: state[name] for name in ("heard_at_ms", "battery_mv", "low")} if state else {}
    heard_at_ms = told.get("heard_at_ms")
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
        told.get("battery_mv"),
        bool(told.get("low")),
        is_silent,
        tested_at_ms,
        supervision.untested_days(tested_at_ms, row["given_at_ms"], now_ms, test_every_days),
    )
