"""The Institute's figures: right, the same for ever, and nobody can be singled out in them."""

import csv
import io
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from centre.rules import access, figures
from centre.rules.figures import ALL, FIVE, OTHER, Facts, Figure
from centre.rules.refusals import Refused
from centre.work import figures as work
from tests.unit.centre.parts import centre, core_at
from tests.unit.centre.work.parts import HAND, World, month_of_alarms

ZONES = ("5340", "5341", "5342", None)
people = st.lists(st.tuples(st.sampled_from(ZONES), st.sampled_from(figures.Outcome)), max_size=60)


@pytest.mark.parametrize(
    ("counts", "merged"),
    [
        ({}, {}),
        ({"a": 0, "b": 0}, {"a": 0, "b": 0}),
        ({"a": 2, "b": 2}, None),
        ({"a": 5, "b": 0}, {"a": 5, "b": 0}),
        ({"a": 3, "b": 2, "c": 9}, {"c": 9, OTHER: 5}),
        ({"a": 3, "b": 9, "c": 6}, {"b": 9, OTHER: 9}),  # alone, a would be c's total less than told
        ({"a": 3, "b": 9, "c": 0}, {OTHER: 12}),
    ],
)
def test_groups_smaller_than_five_are_merged(counts: dict[str, int], merged: dict[str, int] | None) -> None:
    """With the next smallest where they stay small; a group of others is of two at least."""
    assert figures.merge(counts) == merged


def rest(basis: list[list[Fraction]], row: list[int]) -> list[Fraction]:
    """What is left of `row` when multiples of `basis` are taken away; all zero: it is a sum of these."""
    left = [Fraction(x) for x in row]
    for other in basis:
        at = next(i for i, x in enumerate(other) if x)
        if left[at]:
            left = [x - left[at] / other[at] * y for x, y in zip(left, other, strict=True)]
    return left


def basis_of(rows: list[list[int]]) -> list[list[Fraction]]:
    """Gauss, exactly."""
    basis: list[list[Fraction]] = []
    for row in rows:
        left = rest(basis, row)
        if any(left):
            basis.append(left)
    return basis


@given(people)
@settings(deadline=None)  # a busy machine
def test_no_group_of_one_to_four_can_be_reckoned_out(alarms: list[tuple[str | None, str]]) -> None:
    """By adding and subtracting whatever is told, totals too: a zone, an outcome, or both crossed."""
    facts = Facts()
    for zone, outcome in alarms:
        facts.count("alarms", zone, outcome)
    told = [row for row in figures.told(facts) if row.figure == "alarms" and row.value is not None]
    assert all(not 0 < (row.value or 0) < FIVE for row in told)
    # Which of these nobody was in is not told, but for whole zones and whole outcomes.
    cells = [(zone or figures.NO_ZONE, outcome) for zone in ZONES for outcome in figures.Outcome]
    zones = {row.zone for row in told} - {ALL, OTHER}
    groups = {row.group for row in told} - {ALL, OTHER}

    def covers(row: Figure, zone: str, group: str) -> bool:
        in_zone = row.zone in (ALL, zone) or (row.zone == OTHER and zone not in zones)
        return in_zone and (row.group in (ALL, group) or (row.group == OTHER and group not in groups))

    shown = [[int(covers(row, *cell)) for cell in cells] for row in told]
    sizes = Counter((zone or figures.NO_ZONE, outcome) for zone, outcome in alarms)
    for row, covered in zip(told, shown, strict=True):
        assert row.value == sum(sizes[c] for c, in_it in zip(cells, covered, strict=True) if in_it)
    wanted = [
        *([int(cell == which) for cell in cells] for which in cells),
        *([int(zone == which) for zone, _ in cells] for which in {zone for zone, _ in cells}),
        *([int(group == which) for _, group in cells] for which in {group for _, group in cells}),
    ]
    basis = basis_of(shown)
    for target in wanted:
        size = sum(sizes[c] for c, in_it in zip(cells, target, strict=True) if in_it)
        assert not 0 < size < FIVE or any(rest(basis, target))
    # Nor by what two totals must have in common at least, and can have at most (Fréchet).
    total = next((row.value or 0 for row in told if (row.zone, row.group) == (ALL, ALL)), 0)
    for in_zone in (row.value or 0 for row in told if row.zone != ALL):
        for in_group in (row.value or 0 for row in told if row.group != ALL):
            at_least, at_most = max(0, in_zone + in_group - total), min(in_zone, in_group)
            assert at_least < at_most or at_least == 0 or at_least >= FIVE


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=60))
@settings(deadline=None)
def test_times_of_fewer_than_five_are_not_told(values: list[int]) -> None:
    """And the slowest one is nobody's alone."""
    facts = Facts()
    for value in values:
        facts.count("alarms", "5340", "real")
        facts.sample("received_ms", "5340", value)
    told = {row.group: row.value for row in figures.told(facts) if row.figure == "received_ms"}
    assert ("median" in told) == (len(values) >= FIVE)
    assert ("p95" in told) == (len(values) >= figures.P95_FROM)
    if "p95" in told:
        assert sum(value >= (told["p95"] or 0) for value in values) >= 2


def test_a_zone_cannot_be_called_what_all_of_them_are() -> None:
    """It is told among the others, and takes nobody's place."""
    facts = Facts()
    for zone in ("all", "other", "5340"):
        for _ in range(6):
            facts.count("tests", zone)
    told = [row for row in figures.told(facts) if row.figure == "tests"]
    assert len({(row.zone, row.group) for row in told}) == len(told)
    assert told[0] == Figure(ALL, "tests", ALL, 18)


@pytest.mark.parametrize(
    "text", ["9999-99", "2026-13", "-2026-01", "2026-1", "", "٢٠٢٦-01", "2026-01\n", "0"]
)
def test_what_is_no_month_is_refused(text: str) -> None:
    """With the name of the field."""
    with pytest.raises(Refused) as caught:
        figures.read_month(text, "from")
    assert (caught.value.reason, caught.value.field) == ("out_of_range", "from")


def test_months_and_years_follow() -> None:
    """A year ends with December; a grant's months are whole ones."""
    assert figures.following("2026-12") == "2027-01"
    assert figures.following("2026-01", -1) == "2025-12"
    begins, ends = figures.bounds_ms("2024-02")
    assert ends - begins == 29 * 86_400_000
    assert [figures.month_of(at) for at in (begins - 1, begins, ends)] == ["2024-01", "2024-02", "2024-03"]
    days = ("2026-04-30", "2026-05-01", "2026-08-01", "2027-02-01", "2028-02-01")
    assert [figures.held_class("2026-02-01", day) for day in days] == list(figures.HELD)


def test_a_month_is_told_when_it_is_over() -> None:
    """Not before: today's page less yesterday's would be the few of today. Afterwards it does not change."""
    world = World()
    month = month_of_alarms(world)
    work.make_all(world.core)
    assert month not in work.months(world.core)
    world.clock.ms += 32 * 86_400_000
    work.make_all(world.core)
    told = {(r.zone, r.figure, r.group): r.value for r in work.shown(world.core, month, month)[month]}
    assert told[ALL, "alarms", ALL] == told["5340", "alarms", ALL] == told[ALL, "tests", ALL] == 6
    assert told[ALL, "alarms", OTHER] == 6, "one was real, and is not told apart"
    assert told[ALL, "received_ms", "median"] == 1_000
    assert told[ALL, "acknowledged_ms", "median"] == 2_000
    assert (ALL, "dispatched_ms", "median") not in told
    before = work.shown(world.core, month, month)
    with world.core.store.transaction():
        world.core.store.db.execute("UPDATE incidents SET erased_at_ms = 1")
    work.make_all(world.core)
    assert work.shown(world.core, month, month) == before


def test_what_a_clock_that_was_ahead_has_told_is_told_anew() -> None:
    """Else the month in which it was set right would lack most of its alarms for ever."""
    world = World()
    now_ms = world.clock.ms
    world.clock.ms += 400 * 86_400_000
    work.make_all(world.core)
    world.clock.ms = now_ms
    month = month_of_alarms(world)
    assert month not in work.months(world.core)
    work.make_all(world.core)
    world.clock.ms += 32 * 86_400_000
    work.make_all(world.core)
    shown = work.shown(world.core, month, month)[month]
    assert Figure(ALL, "tests", ALL, 6) in shown


async def test_only_the_institute_sees_figures(tmp_path: Path) -> None:
    """And it sees nothing else."""
    async with centre(tmp_path, HAND) as (serving, phone):
        for role in access.ROLES:
            phone.session.cookie_jar.clear()
            assert (await phone.ask("GET", "/console/figures"))[0] == 401
            await phone.session.get(serving.entrance(role), allow_redirects=False)
            for path in ("/console/figures", "/console/figures.csv"):
                assert (await phone.ask("GET", path))[0] == (200 if role == access.INSTITUTE else 403)
            if role == access.INSTITUTE:
                assert (await phone.ask("GET", "/console"))[0] == 403


async def test_the_page_and_the_file_say_the_same(tmp_path: Path) -> None:
    """Also of an empty centre, of a month to come, and where the question makes no sense."""
    async with centre(tmp_path, HAND) as (serving, phone):
        await phone.session.get(serving.entrance(access.INSTITUTE), allow_redirects=False)
        status, empty = await phone.ask("GET", "/console/figures.csv")
        assert (status, empty) == (200, "month,zone,figure,class,value\r\n")
        core = core_at(tmp_path)
        facts = Facts()
        for number in range(14):
            facts.count("alarms", "=5340" if number < 6 else "5341", "real" if number < 7 else "duress")
            facts.sample("received_ms", "5341", 1_500)
        facts.count("tests", "5340")
        counting = work.Counting("2026-01", "2026-02")
        counting.facts = facts
        work.keep(core, counting)
        core.store.close()
        status, page = await phone.ask("GET", "/console/figures")
        assert status == 200
        assert all(words in page for words in ("fewer than 5", "5341"))
        status, text = await phone.ask("GET", "/console/figures.csv?from=2026-01&to=2026-03")
        rows = list(csv.DictReader(io.StringIO(text)))
        told = {(r["month"], r["zone"], r["figure"], r["class"]): r["value"] for r in rows}
        assert told["2026-01", "all", "alarms", "all"] == "14"
        assert told["2026-01", "all", "tests", "all"] == "<5"
        zones = {row["zone"] for row in rows}
        assert "'=5340" in zones, "a spreadsheet takes no zone for a formula"
        assert not any(zone.startswith("=") for zone in zones)
        for asked in ("from=2090-01&to=2090-02", "from=2025-01&to=2026-03"):
            assert (await phone.ask("GET", f"/console/figures?{asked}"))[0] == 200
        for asked in ("from=9999-99", "from=2000-01&to=2099-12", "from=-1", "from=2026-02&to=2026-01", "to="):
            for path in ("/console/figures", "/console/figures.csv"):
                assert (await phone.ask("GET", f"{path}?{asked}"))[0] == 400
