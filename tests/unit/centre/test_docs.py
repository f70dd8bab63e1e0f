"""docs/ names everything that a person may meet."""

import argparse
import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from centre import settings
from centre.commands import CommandParser, main, parser
from centre.console import words
from centre.platform.log import EVENTS
from centre.rules import access
from centre.rules.refusals import REASONS
from tests.unit.centre.parts import OPENAPI

DOCS = Path(__file__).parents[3] / "docs"
TEXT = "\n".join((DOCS / name).read_text("utf-8") for name in ("centre.md", "administrator.md"))
ROUTES = (DOCS / "api.md").read_text("utf-8")


def commands(made: argparse.ArgumentParser, *words: str) -> Iterator[tuple[str, ...]]:
    """Yield every command there is, with the words before it."""
    if isinstance(made, CommandParser):
        made.fill()
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


def test_the_table_of_settings_is_as_they_are_declared() -> None:
    """Name, default, what is allowed, meaning: command line, file and guide say the same."""
    assert settings.table() in TEXT


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


NOTES = ("event_log.note", "note", "_note", "attempt_counters.add")


def entries_of_the_log() -> set[str]:
    """Every kind with which something is noted, as the code has it."""
    found: set[str] = set()
    for path in (DOCS.parent / "centre").rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        names = {
            target.id: node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in NOTES:
                kind = node.args[1]
                kind = names.get(kind.id, kind) if isinstance(kind, ast.Name) else kind
                found |= {str(one.value) for one in ast.walk(kind) if isinstance(one, ast.Constant)}
    return found


def test_every_entry_of_the_log_is_explained() -> None:
    """Who reads the log must not have to read the code."""
    section = TEXT.partition("## What the log tells")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.+?) \|", section, re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted(entries_of_the_log())


def test_every_entry_of_the_log_has_words() -> None:
    """In the administrator's language, on the log's page and in its filter."""
    known = words.of_page("nl", "log")
    assert [kind for kind in sorted(entries_of_the_log()) if kind not in known] == []


def test_every_refusal_is_explained_to_who_writes_a_bridge() -> None:
    """With its status, in the order of the table in the code."""
    rows = re.findall(r"^\| `(\w+)` \| (\d{3}) \|", ROUTES, re.MULTILINE)
    assert rows == [(reason, str(status)) for reason, (status, _) in REASONS.items()]


def test_each_role_has_a_guide_with_a_picture_of_its_page() -> None:
    """The picture is of what the role sees first, and the README leads to the guide."""
    readme = (DOCS.parent / "README.md").read_text("utf-8")
    for role in access.ROLES:
        name = role.replace("_", "-")
        guide = (DOCS / f"{name}.md").read_text("utf-8")
        assert f"({name}.png)" in guide
        assert (DOCS / f"{name}.png").stat().st_size > 10_000
        assert f"`https://CENTRE{access.home_of(role)}`" in guide
        assert f"docs/{name}.md" in readme


@pytest.mark.parametrize("guide", sorted(DOCS.glob("*.md")), ids=lambda path: path.stem)
def test_what_a_guide_points_to_is_there(guide: Path) -> None:
    """Pictures, other guides and their headings, and the files that the threat model names."""
    text = guide.read_text("utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("http"):
            continue
        name, _, heading = target.partition("#")
        file = guide.parent / name if name else guide
        assert file.exists(), target
        if heading:
            assert heading in {anchor(line) for line in file.read_text("utf-8").splitlines()}, target
    if guide.stem == "threat-model":
        for named in re.findall(r"`((?:wire|firmware|bridge|centre)/[^`]+)`", text):
            assert (DOCS.parent / named).exists(), named


def anchor(line: str) -> str:
    """Of a heading, as GitHub makes it."""
    plain = re.sub(r"[^\w -]", "", line.lstrip("#").strip().lower())
    return plain.replace(" ", "-") if line.startswith("#") else ""


def test_every_picture_is_in_a_guide() -> None:
    """None is left behind that shows what there was."""
    read = [*DOCS.glob("*.md"), DOCS.parent / "README.md"]
    shown = "\n".join(path.read_text("utf-8") for path in read)
    for picture in (*DOCS.glob("*.png"), *DOCS.glob("*.svg")):
        assert picture.name in shown, picture.name
