"""What phones and buttons say of themselves is in words for people, on every page for case managers."""

import re
from pathlib import Path

import pytest

from centre.console import told
from centre.rules.access import LANGUAGES

GUIDE = Path(__file__).parents[4] / "docs" / "bridge.md"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_of_trouble_has_words_and_each_is_said_once(language: str) -> None:
    """Two words of one kind are one sentence; what is new is said with its word."""
    both = told.say(language, "bluetooth_off bluetooth_blocked disk_full")
    assert both.count(", ") == 1 + both.split(", ")[0].count(", ")
    assert "bluetooth_" not in both
    assert "quantum_leap" in told.say(language, "quantum_leap")
    assert told.say(language, "") == ""


def test_what_the_bridges_guide_lists_is_known_here() -> None:
    """The words for radio, disk, network, positions and the button itself."""
    listed = set(
        re.findall(
            r"`((?:bluetooth|adapter|journal|disk|centre|nmea|gpsd|geoclue)_[a-z_]+)`",
            GUIDE.read_text("utf-8"),
        )
    )
    assert len(listed) > 20
    other = told.say("en", "something_new").replace("something_new", "")
    assert [word for word in sorted(listed) if told.say("en", word).replace(word, "") == other] == []
