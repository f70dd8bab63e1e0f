"""What a restarted board's lines mean for the integrator who has it in hand."""

import re

import pytest

from firmware.flash.errors import CommandError
from firmware.flash.restart import GONE, restarted


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (
            ["rst:0x1", "boot B False", "advert 3 1 152500", "sleep 9"],
            "button B has restarted: it sleeps and answers",
        ),
        (["sleep 9"], "the board at P has restarted: it sleeps and answers"),
        (
            ["boot B False", "advert 1 7 20000"],
            "button B has restarted: an alarm is open, and it is on the air",
        ),
        (
            ["boot B False", "advert 2 7 20000"],
            "button B has restarted: a test is open, and it is on the air",
        ),
        (["fault not provisioned"], "the board at P has restarted: it is no button yet, so provision it"),
    ],
    ids=["sleeps", "sleeps, its port came back late", "alarm", "test", "no identity"],
)
def test_a_board_that_works(lines: list[str], sentence: str) -> None:
    """The first line that says enough decides."""
    assert restarted("P", [*lines, "boot C False"]) == sentence


def test_a_port_that_is_gone() -> None:
    """As with a chip whose USB port sleeps, too."""
    assert restarted("P", ["boot B False", GONE]).startswith("P is gone")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "last words: none"),
        (["boot B False", "advert 3 1 152500", ""], "button B did not go to sleep"),
        (["boot B False", "fault OSError(5,)"], "button B has restarted and failed: OSError(5,)"),
        ([">>> "], "the board at P did not go to sleep"),
    ],
    ids=["silent", "awake", "fault", "prompt"],
)
def test_a_board_that_does_not(lines: list[str], words: str) -> None:
    with pytest.raises(CommandError, match=re.escape(words)):
        restarted("P", lines)
