"""The Institute's figures: counted once a month is over, a little at a time, and kept as they are shown."""

from collections.abc import Callable

from centre.rules import figures
from centre.rules.figures import Facts, Figure
from centre.rules.incidents import CloseReason
from centre.store import Row
from centre.work.core import Core
from wire import codes

AT_ONCE_MAX = 500  # rows read in one turn, so that an alarm never waits for the Institute


class Counting:
    """One month, counted in turns: `for turn in counting.turns` is told to go on while it answers True."""

    def __init__(self, month: str, now_month: str) -> None:
        self.month, self.facts = month, Facts()
        self.since_ms, self.until_ms = figures.bounds_ms(month)
        # Of batteries only the last is known: it is that of the month that has just ended, of no other.
        self.is_last = figures.following(month) == now_month
        self.turns: tuple[Callable[[Core], bool], ...] = (
            self._incidents(codes.ALARM),
            self._incidents(codes.TEST),
            self._each("outcomes_to_count", self._outcome, month=month),
            self._each("grants_to_count", self._grant),
            self._each("buttons_to_count", self._button, until_ms=self.until_ms),
            self._each("losses_to_count", self._loss, since_ms=self.since_ms, until_ms=self.until_ms),
        )

    def _incidents(self, event: int) -> Callable[[Core], bool]:
        after = [self.since_ms, -1]

        def turn(core: Core) -> bool:
            where = {"event": event, "after_ms": after[0], "after": after[1], "until_ms": self.until_ms}
            rows = core.store.all("incidents_to_count", at_most=AT_ONCE_MAX, **where)
            for row in rows:
                self._incident(event, row)
                after[:] = row["opened_at_ms"], row["number"]
            return len(rows) == AT_ONCE_MAX

        return turn

    def _each(self, query: str, add: Callable[[Row], None], **values: object) -> Callable[[Core], bool]:
        after = [0]

        def turn(core: Core) -> bool:
            rows = core.store.all(query, after=after[0], at_most=AT_ONCE_MAX, **values)
            for row in rows:
                add(row)
                after[0] = row["number"]
            return len(rows) == AT_ONCE_MAX

        return turn

    def _incident(self, event: int, row: Row) -> None:
        if row["erased"]:
            return  # it is among the outcomes
        if event == codes.TEST:
            self.facts.count("tests", row["zone"])
            return
        opened_ms, pressed_ms = row["opened_at_ms"], row["pressed_at_ms"]
        outcome = figures.outcome(_reason(row), bool(row["called_off"]), bool(row["held"]))
        self.facts.count("alarms", row["zone"], outcome)
        self._times(
            row["zone"],
            None if pressed_ms is None else max(0, opened_ms - pressed_ms),
            *(
                None if row[name] is None else max(0, row[name] - opened_ms)
                for name in ("acknowledged_at_ms", "dispatched_at_ms")
            ),
        )

    def _outcome(self, row: Row) -> None:
        if row["event"] == codes.TEST:
            self.facts.count("tests", row["zone"])
            return
        outcome = figures.outcome(_reason(row), called_off=False, held=False)
        self.facts.count("alarms", row["zone"], outcome)
        self._times(row["zone"], row["received_ms"], row["acknowledged_ms"], row["dispatched_ms"])

    def _times(self, zone: str | None, *times_ms: int | None) -> None:
        for name, time_ms in zip(figures.TIMES, times_ms, strict=True):
            self.facts.sample(f"{name}_ms", zone, None if time_ms is None else round(time_ms, -2))

    def _grant(self, row: Row) -> None:
        if row["starts_on"][:7] == self.month:
            self.facts.count("grants_started", row["zone"])
        if row["last_on"][:7] == self.month:
            group = figures.held_class(row["starts_on"], row["last_on"])
            self.facts.count("grants_ended", row["zone"], group)
        if row["starts_on"][:7] <= self.month < row["last_on"][:7]:
            self.facts.count("grants_running", row["zone"])

    def _button(self, row: Row) -> None:
        if row["low"] is None or not self.is_last:
            self.facts.count("buttons", row["zone"], "unknown")
            return
        self.facts.count("buttons", row["zone"], "low" if row["low"] else "well")
        millivolts = row["battery_mv"]
        self.facts.sample("battery_mv", row["zone"], millivolts and round(millivolts, -1))

    def _loss(self, row: Row) -> None:
        if row["lost_ms"]:
            self.facts.count("out_of_reach", row["zone"])
            self.facts.sample("out_of_reach_min", row["zone"], round(row["lost_ms"] / 60_000))


def _reason(row: Row) -> CloseReason | None:
    return CloseReason(row["reason"]) if row["reason"] else None


def due(core: Core) -> Counting | None:
    """Return the first month that is over and not counted yet. What a clock ahead has made is dropped."""
    now_month = figures.month_of(core.now_ms())
    last = core.store.one("last_figure_month")
    assert last is not None
    if last["month"] is not None and last["month"] >= now_month:
        with core.store.transaction():
            core.store.run("forget_figures", from_month=now_month)
            core.store.run("forget_figure_months", from_month=now_month)
        last = core.store.one("last_figure_month")
        assert last is not None
    if last["month"] is not None:
        month = figures.following(last["month"])
    else:
        first = core.store.one("first_month", alarm=codes.ALARM, test=codes.TEST)
        assert first is not None
        month = max(first["month"] or now_month, figures.following(now_month, -figures.MONTHS_MAX))
    return Counting(month, now_month) if month < now_month else None


def keep(core: Core, counting: Counting) -> None:
    """Keep what may be shown of a month, for ever."""
    with core.store.transaction():
        core.store.run("add_figure_month", month=counting.month, now_ms=core.now_ms())
        for row in figures.told(counting.facts):
            core.store.run(
                "add_figure",
                month=counting.month,
                zone=row.zone,
                figure=row.figure,
                group=row.group,
                value=row.value,
            )


def make_all(core: Core) -> None:
    """All that is due, in one go: for tests and small centres that nobody waits for."""
    while (counting := due(core)) is not None:
        for turn in counting.turns:
            while turn(core):
                pass
        keep(core, counting)


def months(core: Core) -> list[str]:
    """Those that are there, the newest first."""
    rows = core.store.all("figure_months", before=figures.month_of(core.now_ms()))
    return [row["month"] for row in rows]


def shown(core: Core, first: str, last: str) -> dict[str, list[Figure]]:
    """By month."""
    figures_of: dict[str, list[Figure]] = {
        month: [] for month in reversed(months(core)) if first <= month <= last
    }
    for row in core.store.all("figures", first=first, last=last):
        if row["month"] in figures_of:
            figures_of[row["month"]].append(Figure(row["zone"], row["figure"], row["class"], row["value"]))
    return figures_of
