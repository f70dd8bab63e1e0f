"""What all tests share: what is opened for a test is closed when it ends."""

import sqlite3
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

at_end = ExitStack()  # emptied after each test


def some(quick: int, values: Iterable[Any]) -> list[Any]:
    """Return `values` for `parametrize`: the first few for every run, the others for the slow one."""
    return [
        pytest.param(value, marks=() if number < quick else pytest.mark.slow)
        for number, value in enumerate(values)
    ]


def seeds(quick: int, slow: int) -> list[Any]:
    """Return so many seeds for `parametrize`: the first few for every run, the others for the slow one."""
    return some(quick, range(slow))


def database_at(path: Path | str, **options: Any) -> sqlite3.Connection:
    """Open a database until the test ends."""
    database: sqlite3.Connection = sqlite3.connect(path, **options)
    at_end.callback(database.close)
    return database
