"""One time zone for all that a centre tells times by."""

import time
from collections.abc import Iterator

import pytest

from centre.platform import time_zone
from centre.rules import times

NOON_MS = 1_784_116_800_000  # 12:00 UTC on 15 July 2026


@pytest.fixture(autouse=True)
def own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process's own zone comes back."""
    monkeypatch.setenv("TZ", "UTC")
    yield
    monkeypatch.undo()
    time.tzset()
    time_zone.own_name.cache_clear()


@pytest.mark.parametrize(
    ("name", "noon"),
    [
        ("Europe/Brussels", "2026-07-15 14:00"),
        ("America/St_Johns", "2026-07-15 09:30"),
        ("Pacific/Kiritimati", "2026-07-16 02:00"),
    ],
)
def test_times_are_told_by_the_zone_that_is_set(name: str, noon: str) -> None:
    """Minutes, seconds, days; and its name is what browsers know it by."""
    time_zone.use(name)
    assert times.minute(NOON_MS) == noon
    assert times.second(NOON_MS) == f"{noon}:00"
    assert times.day(NOON_MS) == noon[:10]
    assert time_zone.own_name() == name
    assert time_zone.label().startswith(f"{name} (UTC")


@pytest.mark.parametrize("rule", ["CET-1CEST,M3.5.0,M10.5.0/3", "<+0530>-5:30", ":Asia/Tokyo"])
def test_a_zone_without_a_name_is_told_by_one_that_is_like_it(
    rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rule, a file: browsers must tell the same times."""
    monkeypatch.setenv("TZ", rule)
    time.tzset()
    time_zone.own_name.cache_clear()
    before = times.second(NOON_MS)
    time_zone.use(time_zone.own_name())
    assert times.second(NOON_MS) == before
