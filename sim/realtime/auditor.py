"""Who stands beside a world in real time and reads what is on disk, at the moment in which something is said.

The programs' logs say what they did; the promises ask what was on disk by then. The databases are read by
connections of their own, which see only what is committed.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from sim.judge import audit
from sim.judge.events import WorldEvent
from wire import codes, receipts

CENTRE = "centre"
# What the centre logs, and the stage of the receipt that it then gives.
_GIVES = {
    "received": receipts.RECEIVED,
    "acknowledged": receipts.ACKNOWLEDGED,
    "dispatched": receipts.DISPATCHED,
    "closed": receipts.CLOSED,
}


class Auditor:
    """`database` is the centre's. It remembers which button shows what on the air."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._button_at: dict[str, str] = {}
        self._device_of: dict[str, str] = {}
        self._on_air: dict[str, tuple[int, int]] = {}
        self._waiting: dict[tuple[Any, ...], set[str]] = {}  # who has heard a press, and no answer yet

    def seen(self, event: WorldEvent) -> WorldEvent:
        """Return the event as the promises read it."""
        data = event.data
        if event.what == "session":
            self._button_at[data["address"]] = data["button"]
        elif event.what == "provisioned":
            self._device_of[event.by] = data["device_id"]
        elif event.what == "advert" and event.by in self._device_of:
            self._on_air[event.by] = (int(data["args"][0]), int(data["args"][1]))
        elif event.what == "wrote":
            return self._written(event)
        elif event.what in ("heard", "received") and "counter" in data:
            return self._answered(event)
        return event

    def _answered(self, event: WorldEvent) -> WorldEvent:
        """Say of a press that the centre knows already whether it comes again only to bring its age."""
        press = tuple(event.data[name] for name in ("device_id", "event", "counter"))
        waiting = self._waiting.setdefault(press, set())
        if event.what == "heard":
            waiting.add(event.by)
        elif event.by != CENTRE:
            waiting.discard(event.by)
        elif event.data.get("known"):
            return replace(event, data=event.data | {"is_age": not waiting})
        return event

    def _written(self, event: WorldEvent) -> WorldEvent:
        """Say to which button a phone writes, about which event, and whether that is on the phone's disk."""
        data = event.data
        button = self._button_at.get(data["address"].upper(), "")
        if not button:  # a stranger who shows a code that was heard
            return replace(event, what="wrote_elsewhere")
        number, counter = self._on_air.get(button, (0, 0))
        device_id = self._device_of.get(button, "")
        if number in codes.PRESSES:
            on_disk = [device_id, number, counter] in data["presses"]
        else:
            on_disk = data["heartbeats"].get(device_id, -1) >= counter
        which = {"button": button, "event": number, "counter": counter}
        return replace(event, data=which | {"stage": data["stage"], "on_disk": on_disk})

    def beside(self, event: WorldEvent) -> Iterator[WorldEvent]:
        """Yield what goes without saying: a receipt that was given with it, a mistake that it tells of."""
        data = event.data
        if event.what in _GIVES and "incident" in data and (event.by == CENTRE or event.what == "received"):
            stage = _GIVES[event.what]
            fields = {"incident": data["incident"], "stage": stage}
            press = {name: data[name] for name in ("device_id", "event", "counter") if name in data}
            on_disk = self._has(data["incident"], stage)
            yield WorldEvent(event.at_ms, CENTRE, "gave", press | fields | {"on_disk": on_disk})
        elif event.what == "trouble" and data.get("reason") == "internal":
            yield WorldEvent(event.at_ms, event.by, "mistake", {"text": data.get("text")})

    def _has(self, incident: str, stage: int) -> bool:
        try:
            return audit.centre_has(self._query, incident, stage)
        except sqlite3.Error:
            return False

    def incidents(self, at_ms: float) -> list[WorldEvent]:
        """Read all incidents, as somebody does who knows nothing of the program."""
        if not self._database.exists():
            return []
        return [WorldEvent(at_ms, "auditor", "incident", one) for one in audit.incidents(self._query)]

    def _query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(f"{self._database.as_uri()}?mode=ro", uri=True, timeout=5)) as db:
            return db.execute(sql, values).fetchall()
