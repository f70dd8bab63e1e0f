"""What the work of the centre asks of its database. SQLite gives it today; PostgreSQL can.

What another one needs besides these methods: queries and schema of its own dialect, under the same names.
Ours keep to what both know, but for: integers as booleans, `iif`, `max(a, b)` of two values (`greatest`),
`group_concat` (`string_agg`), `ON CONFLICT DO UPDATE` without a target, `rowid` as the order of arrival,
STRICT and WITHOUT ROWID, and the PRAGMA of `checkpoint`. Triggers guard the log and the stage; invariants
are unique indexes. `raise(ABORT)` becomes an exception of a trigger function, `BEGIN IMMEDIATE` an advisory
lock of the transaction: the log is a chain, so its writers must be one after the other. Migrations are
counted in a table, not in `user_version`.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol


class Storage(Protocol):
    """Synchronous, and used from one thread."""

    def transaction(self) -> AbstractContextManager[None]:
        """Store what is done in it: on disk when it ends, or, where it raises, nothing of it.

        Writers wait for each other.
        """

    def reading(self) -> AbstractContextManager[None]:
        """Show one state to all that is read in it, whatever others write meanwhile."""

    def run(self, query: str, **values: Any) -> int:
        """Execute a named query that writes; return the number of rows it changed."""
        ...

    def one(self, query: str, **values: Any) -> Any:
        """Return the first row, or None."""

    def all(self, query: str, **values: Any) -> list[Any]:
        """Return all rows; each is read by column name, row["incident_id"]."""
        ...

    def each(self, query: str, **values: Any) -> Iterator[Any]:
        """Yield rows one by one, without keeping them."""
        ...

    def close(self) -> None:
        """Close it; nothing is lost by not calling it."""
