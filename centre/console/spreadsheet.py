"""Rows as a file for spreadsheets, in which no text is run."""

import csv
import io
from collections.abc import Iterable

# What a spreadsheet takes for the beginning of a formula, in the width of Asian scripts, too.
_BEGINS_FORMULA = tuple("=+-@\t\r\n＝＋－＠")


def as_csv(rows: Iterable[Iterable[object]]) -> str:
    """Write the rows as RFC 4180 has it; no text in them is run when the file is opened."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([_harmless(cell) for cell in row] for row in rows)
    return text.getvalue()


def _harmless(cell: object) -> object:
    """Put an apostrophe before what would be a formula: behind it, it is text."""
    is_run = isinstance(cell, str) and cell.lstrip(" \N{NO-BREAK SPACE}").startswith(_BEGINS_FORMULA)
    return f"'{cell}" if is_run else cell
