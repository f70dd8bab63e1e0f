"""What an auditor asks of the two databases, in SQL of its own, past all functions of the product. Pure.

`query(sql, *values)` answers with all rows.
"""

from collections.abc import Callable, Iterator
from typing import Any

from wire import codes

Query = Callable[..., list[tuple[Any, ...]]]


def journal_has(query: Query, device_id: str, event: int, counter: int) -> bool:
    """Return whether a bridge's journal holds this event; of a heartbeat, its counter or a later one."""
    sql = "SELECT count(*) FROM press WHERE device_id = ? AND event = ? AND counter = ?"
    if event not in codes.PRESSES:
        sql = "SELECT count(*) FROM alive WHERE device_id = ? AND ? > 0 AND counter >= ?"
    return bool(query(sql, device_id, event, counter)[0][0])


def journal_presses(query: Query) -> list[tuple[str, int, int]]:
    """Return all presses that a bridge's journal holds: in its table, for an index may be damaged."""
    sql = "SELECT device_id, event, counter FROM press NOT INDEXED"
    return [(row[0], row[1], row[2]) for row in query(sql)]


def centre_has(query: Query, incident: str, stage: int) -> bool:
    """Return whether the centre's database holds this receipt."""
    sql = "SELECT count(*) FROM receipts WHERE incident_id = ? AND stage = ?"
    return bool(query(sql, incident, stage)[0][0])


def incidents(query: Query) -> Iterator[dict[str, Any]]:
    """Yield each incident as the data of an auditor's event: which press it stands for, and its stages.

    One that an operator opened after another is of the same press.
    """
    columns, order = "incident_id, device_id, event, counter", "WHERE follows IS NULL ORDER BY rowid"
    for row in query(f"SELECT {columns} FROM incidents {order}"):  # noqa: S608
        stages = query("SELECT stage FROM receipts WHERE incident_id = ? ORDER BY seq", row[0])
        press = dict(zip(("incident", "device_id", "event", "counter"), row, strict=True))
        yield press | {"stages": [stage for (stage,) in stages]}


def incidents_of(query: Query, device_id: str, event: int, counter: int) -> list[str]:
    """Return the incident of a press, of which there is one at most."""
    where = "device_id = ? AND event = ? AND counter = ? AND follows IS NULL"
    sql = f"SELECT incident_id FROM incidents WHERE {where}"  # noqa: S608
    return [row[0] for row in query(sql, device_id, event, counter)]
