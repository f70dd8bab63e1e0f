"""When a silence means something, for phones that hear all of a button's signs and for such that hear few."""

import re
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from bridge.rules.reception import MISSED_MAX, MISSED_MIN, Reception

A_DAY = 96  # signs at 15 min
GUIDE = Path(__file__).resolve().parents[4] / "docs/bridge.md"
# The chance that a phone hears a sign, by the hour. Measured on the simulated air at 30 % loss.
PHONES: dict[str, Callable[[float, Random], float]] = {
    "desktop": lambda _hour, _chance: 0.999,
    "iPhone": lambda _hour, _chance: 0.84,
    "Android, always asleep": lambda _hour, _chance: 0.31,
    "Android": lambda hour, chance: 0.31 if hour < 8 or chance.random() > 0.25 else 0.85,
}
# In the hand by day, asleep at night: the most uneven that a phone can be.
UNEVEN = "Android, awake all day"
PHONES[UNEVEN] = lambda hour, _chance: 0.31 if hour < 8 else 0.85


def hearing(share: float, signs: int = 2000) -> Reception:
    """Return statistics that have heard this share of so many heartbeats, evenly."""
    made, missed = Reception(), 0
    for number in range(signs):
        if int((number + 1) * share) > int(number * share):
            made.heard(missed)
            missed = 0
        else:
            missed += 1
    return made


def test_whoever_hears_all_finds_a_loss_after_two_signs() -> None:
    """And within a day of listening has learnt that it does."""
    made = Reception()
    found_after = [made.missed_max]
    for _ in range(A_DAY + 16):
        made.heard(0)
        found_after.append(made.missed_max)
    assert found_after == sorted(found_after, reverse=True)
    assert found_after[-1] == MISSED_MIN
    assert found_after[8] <= 6, "two hours are enough for the better part of it"


def test_the_declared_table_is_what_the_rule_gives() -> None:
    """Each row of the guide: the share that is heard, how many missed signs, and the time at 15 min."""
    rows = re.findall(
        r"^\| (\d+) %[^|]*\| (\d+)[^|]*\| (\d+ h )?(\d+) min", GUIDE.read_text("utf-8"), re.MULTILINE
    )
    assert len(rows) >= 5
    for percent, missed, hours, minutes in rows:
        assert hearing(int(percent) / 100).missed_max == pytest.approx(int(missed), abs=1), percent
        told_min = int((hours or "0 h ")[:-3]) * 60 + int(minutes)
        assert told_min == int(missed) * 18 + 1


@pytest.mark.parametrize("phone", PHONES)
def test_a_button_beside_its_phone_is_called_gone_on_one_of_a_hundred_days_at_most(phone: str) -> None:
    """Waited for as supervision.py does, each period 20 % late. On six, by the phone that is most uneven."""
    chance, called, days = Random(f"hears {phone}"), 0, 2000
    ear, missed, silent, told = Reception(), 0, 0.0, False
    for number in range(days * A_DAY):
        silent += chance.uniform(0.8, 1.2)
        if silent > ear.missed_max * 1.2 and not told:
            told, called = True, called + 1
        if chance.random() < PHONES[phone](number % A_DAY / 4, chance):
            ear.heard(missed)
            missed, silent, told = 0, 0.0, False
        else:
            missed += 1
    assert called <= days / 100 * (6 if phone == UNEVEN else 1)


def test_what_is_away_is_not_missed() -> None:
    """Left at home for a month or just so long that it was called lost: the next loss is found as soon."""
    month, hour = hearing(1.0), hearing(1.0)
    month.heard(3000)
    hour.heard(hour.missed_max + 1)
    assert month.missed_max == hour.missed_max <= MISSED_MIN + 1


def test_a_phone_that_hears_worse_than_it_did_learns_it() -> None:
    """From all to one of three, as when it is laid away: a day later it waits longer, and back again."""
    made = hearing(1.0)
    for _ in range(A_DAY):
        made.heard(2)
    assert made.missed_max >= 18
    for _ in range(6 * A_DAY):
        made.heard(0)
    assert made.missed_max <= 3


@pytest.mark.parametrize("share", [0.01, 0.1, 0.3, 1.0])
def test_there_is_a_bound_however_little_is_heard(share: float) -> None:
    """A button that is gone is found, by whoever it is missed."""
    assert MISSED_MIN <= hearing(share, 20_000).missed_max <= MISSED_MAX
