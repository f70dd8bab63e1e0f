"""docs/centre.md and docs/administrator.md name everything that a person may meet."""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from centre.commands import main, parser
from centre.log import EVENTS
from tests.unit.centre.parts import OPENAPI

DOCS = Path(__file__).parents[3] / "docs"
TEXT = "\n".join((DOCS / name).read_text("utf-8") for name in ("centre.md", "administrator.md"))
ROUTES = (DOCS / "api.md").read_text("utf-8")


def commands(made: argparse.ArgumentParser, *words: str) -> Iterator[tuple[str, ...]]:
    """Every command there is, with the words before it."""
    groups = [action for action in made._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield words
    for group in groups:
        for name, inner in group.choices.items():
            yield from commands(inner, *words, name)


def test_every_route_is_named() -> None:
    """Code and OpenAPI document agree by another test."""
    for path, operations in OPENAPI["paths"].items():
        for method in operations:
            assert f"`{method.upper()} {path}`" in ROUTES


def test_every_event_is_named() -> None:
    """And none that does not exist."""
    section = TEXT.partition("## Events")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)`", section, re.MULTILINE) == list(EVENTS)


@pytest.mark.parametrize("command", list(commands(parser())), ids=" ".join)
def test_every_command_and_setting_is_named(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """As `--help` shows them."""
    with pytest.raises(SystemExit) as caught:
        main([*command, "--help"])
    assert caught.value.code == 0
    assert all(re.search(rf"\b{word}\b", TEXT) for word in command)
    for option in re.findall(r"--[a-z-]+", capsys.readouterr().out):
        assert option == "--help" or f"`{option}`" in TEXT
