"""What a bridge has on disk at the moment in which it writes to a button, told as a line of its JSON log."""

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any


class WriteAudit:
    """Reads the journal of this process by a connection of its own, which sees only what is committed."""

    def __init__(self, journal: Path) -> None:
        self._uri = f"{journal.resolve().as_uri()}?mode=ro"

    def __call__(self, address: str, value: bytes) -> None:
        """Tell of one write, before it leaves."""
        line: dict[str, Any] = {"at_ms": time.time() * 1000, "what": "wrote", "address": address}
        print(json.dumps(line | {"stage": value[0] if value else -1} | self._on_disk()), flush=True)

    def _on_disk(self) -> dict[str, Any]:
        try:
            with closing(sqlite3.connect(self._uri, uri=True, timeout=1)) as db:
                presses = db.execute("SELECT device_id, event, counter FROM press").fetchall()
                heartbeats = db.execute("SELECT device_id, counter FROM alive").fetchall()
        except sqlite3.Error as error:
            return {"presses": [], "heartbeats": {}, "error": str(error)}
        return {"presses": presses, "heartbeats": dict(heartbeats)}
