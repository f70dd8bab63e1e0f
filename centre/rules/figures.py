"""The Institute's monthly figures: what is counted, and what is kept back to single nobody out. Pure.

Whoever is counted in a figure stands in exactly one group of it, and each group has 0 or at least FIVE
members: smaller ones are merged. All that is told are these groups and their sums, so no smaller one can be
reckoned out of them. Zones and classes (outcomes, months held, batteries) are told side by side, never
crossed. What only changes slowly (grants that run, buttons in use) is rounded, since the next month minus
this one would tell the few that came or went. A month is told once, when it is over, and does not change.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from centre.rules.incidents import CloseReason
from centre.rules.refusals import Refused

FIVE = 5
P95_FROM = 20  # of fewer it would be the slowest one alone
MONTHS_MAX = 120  # of one page or file
ALL, OTHER, NO_ZONE = "all", "other", "none"


class Outcome(StrEnum):
    """What has become of an alarm: why it was closed, or why it is not."""

    REAL = "real"
    MIS_PRESS = "mis-press"
    CALLED_OFF = "called-off"
    DURESS = "duress"
    TECHNICAL = "technical"
    OPEN = "open"
    OPEN_CALLED_OFF = "open-called-off"
    REVOKED = "revoked"


HELD = ("0-2", "3-5", "6-11", "12-23", "24+")  # months
BATTERIES = ("low", "well", "unknown")
TIMES = ("received", "acknowledged", "dispatched")
# Counts: figure, its classes. Those of STOCKS are rounded to FIVE.
COUNTS: dict[str, tuple[str, ...]] = {
    "alarms": tuple(Outcome),
    "tests": (),
    "grants_started": (),
    "grants_ended": HELD,
    "grants_running": (),
    "buttons": BATTERIES,
    "out_of_reach": (),
}
STOCKS = ("grants_running", "buttons")

_MONTH = re.compile(r"20\d\d-(0[1-9]|1[0-2])", re.ASCII)


@dataclass(frozen=True, slots=True)
class Figure:
    """One row. `value` None: there are some, and fewer than FIVE."""

    zone: str
    figure: str
    group: str
    value: int | None


@dataclass(slots=True)
class Facts:
    """All of one month, as it is counted; kept nowhere."""

    zones: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in COUNTS})
    groups: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in COUNTS})
    samples: dict[str, list[tuple[str, int]]] = field(default_factory=dict)  # zone and value

    def count(self, figure: str, zone: str | None, group: str | None = None) -> None:
        self.zones[figure][_zone(zone)] += 1
        if group is not None:
            known = group in COUNTS[figure]
            self.groups[figure][group if known else OTHER] += 1

    def sample(self, what: str, zone: str | None, value: int | None) -> None:
        if value is not None:
            self.samples.setdefault(what, []).append((_zone(zone), value))


def _zone(name: str | None) -> str:
    """No zone can be called what we call them together."""
    return OTHER if name in (ALL, OTHER) else name or NO_ZONE


def outcome(reason: CloseReason | None, called_off: bool, held: bool) -> Outcome:
    """Tell what became of an alarm by the time its month is counted."""
    if held:
        return Outcome.REVOKED
    if reason is not None:
        return Outcome(reason)
    return Outcome.OPEN_CALLED_OFF if called_off else Outcome.OPEN


def merge(counts: Mapping[str, int]) -> dict[str, int] | None:
    """Merge into groups of 0 or at least FIVE; None where all together are fewer, and some.

    OTHER stands for two at least, and then nobody is said to have none: OTHER may be anyone's.
    """
    total = sum(counts.values())
    if 0 < total < FIVE:
        return None
    rising = sorted((name for name in counts if counts[name] and name != OTHER), key=lambda n: (counts[n], n))
    other, members = counts.get(OTHER, 0), 1 if counts.get(OTHER, 0) else 0
    while rising and (counts[rising[0]] < FIVE or 0 < other < FIVE or members == 1):
        other, members = other + counts[rising.pop(0)], members + 1
    if other == 0:
        return dict(counts)
    return {name: counts[name] for name in counts if name in rising} | {OTHER: other}


def told(facts: Facts) -> list[Figure]:
    """Return what may be shown of a month; nothing else is kept of it."""
    rows: list[Figure] = []
    for figure, classes in COUNTS.items():
        step = FIVE if figure in STOCKS else 1
        zones = merge(facts.zones[figure])
        groups = merge({name: 0 for name in classes} | facts.groups[figure])
        if zones is None or groups is None:
            rows.append(Figure(ALL, figure, ALL, None))
            continue
        zones = {zone: _rounded(count, step) for zone, count in zones.items() if count}
        rows.append(Figure(ALL, figure, ALL, sum(zones.values())))
        rows += [Figure(ALL, figure, group, _rounded(count, step)) for group, count in groups.items()]
        rows += [Figure(zone, figure, ALL, count) for zone, count in sorted(zones.items())]
    for what, samples in sorted(facts.samples.items()):
        rows += _spread(what, samples, facts)
    return rows


def _spread(what: str, samples: Sequence[tuple[str, int]], facts: Facts) -> list[Figure]:
    """Median and p95, in all and by the zones that are told for what is measured."""
    base = {"battery_mv": "buttons", "out_of_reach_min": "out_of_reach"}.get(what, "alarms")
    zones = merge(facts.zones[base]) or {}
    by_zone: dict[str, list[int]] = {}
    for zone, value in samples:
        by_zone.setdefault(zone if zone in zones and zone != OTHER else OTHER, []).append(value)
    rows = _of(ALL, what, [value for _, value in samples])
    if len(zones) > 1:
        for zone in sorted(by_zone):
            rows += _of(zone, what, by_zone[zone])
    return rows


def _of(zone: str, what: str, values: list[int]) -> list[Figure]:
    if len(values) < FIVE:
        return []
    # How many there were, to five below: with all alarms beside it, the rest would be the few without.
    rows = [Figure(zone, what, "n_at_least", len(values) // FIVE * FIVE)]
    rows.append(Figure(zone, what, "median", quantile(values, 50)))
    if len(values) >= P95_FROM:
        rows.append(Figure(zone, what, "p95", quantile(values, 95)))
    return rows


def quantile(values: Iterable[int], percent: int) -> int:
    """Return the nearest rank: a value that at least `percent` of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def _rounded(count: int, step: int) -> int:
    return (count + step // 2) // step * step


def held_class(starts_on: str, ended_on: str) -> str:
    """How many whole months a grant was held, as one of HELD."""
    (y1, m1, d1), (y2, m2, d2) = (tuple(map(int, day.split("-"))) for day in (starts_on, ended_on))
    months = (y2 - y1) * 12 + m2 - m1 - (d2 < d1)
    return HELD[sum(months >= limit for limit in (3, 6, 12, 24))]


def month_of(at_ms: int) -> str:
    """YYYY-MM, in UTC: no month is an hour shorter, and none begins twice."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m")


def following(month: str, by: int = 1) -> str:
    number = int(month[:4]) * 12 + int(month[5:]) - 1 + by
    return f"{number // 12:04d}-{number % 12 + 1:02d}"


def bounds_ms(month: str) -> tuple[int, int]:
    """When it begins, and when the next one does."""
    first, last = (
        datetime(int(name[:4]), int(name[5:]), 1, tzinfo=UTC) for name in (month, following(month))
    )
    return round(first.timestamp() * 1000), round(last.timestamp() * 1000)


def read_month(text: str, name: str) -> str:
    """Check what was asked for. Raises Refused("out_of_range")."""
    if not _MONTH.fullmatch(text):
        raise Refused("out_of_range", f"{name} must be a month from 2000-01 to 2099-12", field=name)
    return text


def check_range(first: str, last: str) -> None:
    """Check what was asked for. Raises Refused("out_of_range")."""
    if not first <= last < following(first, MONTHS_MAX):
        raise Refused("out_of_range", f"from and to are 1 to {MONTHS_MAX} months, in order", field="to")
