"""docs/bridge.md: what is missing there does not exist for its readers."""

import re
from pathlib import Path

from bridge.commands import parser
from bridge.reporting.log import EVENTS
from bridge.settings import documentation

ROOT = Path(__file__).resolve().parents[3]


def test_the_reference_names_every_setting() -> None:
    """Find each setting's default, what is allowed and its meaning, as they are declared."""
    text = (ROOT / "docs" / "bridge.md").read_text(encoding="utf-8")
    for row in documentation():
        assert row in text


def test_the_reference_names_every_event_and_option() -> None:
    """docs/bridge.md: what is missing there does not exist for its readers."""
    text = (ROOT / "docs" / "bridge.md").read_text(encoding="utf-8")
    for event in EVENTS:
        assert f"`{event}`" in text
    for command, sub in parser()._subparsers._group_actions[0].choices.items():  # type: ignore[union-attr]
        assert f"`amr-bridge {command}" in text
        for action in sub._actions:
            for option in action.option_strings:
                assert option in ("-h", "--help") or f"`{option}" in text, (command, option)


def test_the_reference_explains_every_trouble() -> None:
    """Each reason that the sources can tell of is a line there."""
    text = (ROOT / "docs" / "bridge.md").read_text(encoding="utf-8")
    said = {"internal", "unknown_code", "unknown_device", "revoked", "bad_code"}  # three are the centre's
    said |= {"disk_full", "read_only", "journal_corrupt", "journal_slow", "journal_unwritable"}
    told = re.compile(
        r"(?:(?:RadioOff|SourceOff|CentreDown|TlsWrong|NotACentre|PageError)\(|\.tell\([^,()]+,|refused\()"
        r"\s*\"([a-z_]+)\""
    )
    for path in (ROOT / "bridge").rglob("*.py"):
        said |= set(told.findall(path.read_text(encoding="utf-8")))
    assert len(said) > 30
    for reason in sorted(said):
        assert f"`{reason}`" in text, reason
