"""What all tests share: what is opened for a test is closed when it ends."""

import sqlite3
from contextlib import ExitStack
from pathlib import Path
from typing import Any

at_end = ExitStack()  # emptied after each test


def database_at(path: Path | str, **options: Any) -> sqlite3.Connection:
    """Open a database until the test ends."""
    database: sqlite3.Connection = sqlite3.connect(path, **options)
    at_end.callback(database.close)
    return database
