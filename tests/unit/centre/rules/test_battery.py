"""What a voltage means, in a word."""

import pytest

from centre.console import words
from centre.rules.access import LANGUAGES
from centre.rules.battery import CHANGE_MV, LOW_MV, Charge, charge, told


@pytest.mark.parametrize(
    ("battery_mv", "is_low", "expected"),
    [
        (4_200, False, Charge.GOOD),
        (LOW_MV, False, Charge.GOOD),
        (LOW_MV - 1, False, Charge.LOW),
        (3_900, True, Charge.LOW),
        (CHANGE_MV, True, Charge.LOW),
        (CHANGE_MV - 1, False, Charge.CHANGE),
        (2_950, True, Charge.CHANGE),
        (0, False, Charge.CHANGE),
    ],
)
def test_a_voltage_has_a_word(battery_mv: int, is_low: bool, expected: Charge) -> None:
    """By the button's own word, and by what its processor needs."""
    assert charge(battery_mv, is_low) is expected


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_word_stands_beside_the_volts(language: str) -> None:
    """In each language, and never better than it is."""
    said = {words.charge(language, battery_mv, False) for battery_mv in (3_999, 3_399, 2_999)}
    assert {one.partition(" (")[0] for one in said} == {"3.99 V", "3.39 V", "2.99 V"}
    assert len({one.partition(" (")[2] for one in said}) == 3
    assert told(2_950) == "2.95 V"
