"""docs/centre.md names everything that a person may meet."""

import re
from pathlib import Path

import pytest

from centre.app import main
from centre.log import EVENTS
from tests.unit.centre.parts import OPENAPI

TEXT = (Path(__file__).parents[3] / "docs/centre.md").read_text("utf-8")
COMMANDS = (
    *(["serve"], ["ca"], ["buttons", "import"], ["buttons", "list"], ["buttons", "enrol"]),
    *(["buttons", "revoke"], ["bridges", "list"], ["bridges", "revoke"]),
)


def test_every_route_is_named() -> None:
    """Code and OpenAPI document agree by another test."""
    for path, operations in OPENAPI["paths"].items():
        for method in operations:
            assert f"`{method.upper()} {path}`" in TEXT


def test_every_event_is_named() -> None:
    """And none that does not exist."""
    section = TEXT.partition("## Events")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)`", section, re.MULTILINE) == list(EVENTS)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_setting_is_named(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """As `--help` shows them."""
    with pytest.raises(SystemExit) as caught:
        main([*command, "--help"])
    assert caught.value.code == 0
    for option in re.findall(r"--[a-z-]+", capsys.readouterr().out):
        assert option == "--help" or f"`{option}`" in TEXT
