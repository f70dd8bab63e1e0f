"""No row of the database leaves `work/`: what pages, routes and jobs read has types."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

CENTRE = Path(__file__).parents[3] / "centre"
READERS = [path for room in ("console", "api", "jobs") for path in sorted((CENTRE / room).rglob("*.py"))]


def annotated_with_row(node: ast.AST | None) -> bool:
    return node is not None and any(
        isinstance(part, ast.Name) and part.id == "Row" for part in ast.walk(node)
    )


@pytest.mark.parametrize("path", READERS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_who_shows_or_answers_knows_no_row(path: Path) -> None:
    """Neither the class by any name, nor a query of the store."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = {alias.name for alias in node.names}
            assert "Row" not in names, f"line {node.lineno}"
        if isinstance(node, ast.Attribute):
            assert node.attr != "Row", f"line {node.lineno}"
            is_query = node.attr in ("one", "all", "each", "run") and isinstance(node.value, ast.Attribute)
            assert not (is_query and node.value.attr == "store"), f"line {node.lineno} asks the store"  # type: ignore[attr-defined]


def public_types(path: Path) -> Iterator[tuple[str, ast.AST | None]]:
    """What the functions of a module give away, and what its dataclasses hold."""
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node.name, node.returns
        if isinstance(node, ast.ClassDef):
            for part in node.body:
                if isinstance(part, ast.AnnAssign):
                    yield f"{node.name}.{ast.unparse(part.target)}", part.annotation


@pytest.mark.parametrize("path", sorted((CENTRE / "work").glob("*.py")), ids=lambda path: path.stem)
def test_what_work_gives_away_holds_no_row(path: Path) -> None:
    """Dataclasses alone, but for a token's row that sign-in reads here."""
    for name, annotation in public_types(path):
        if name not in ("invitation", "Seen.signed"):
            assert not annotated_with_row(annotation), name
