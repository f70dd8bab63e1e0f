"""Rows of a journal that may be damaged, each read on its own: what is odd costs that, and nothing beside it.

A bad sector or a flipped bit is in one row, or in one field of it. A field that cannot be has its default;
a row that does not even say which press or button it is of is left out, and counted.
"""

import contextlib
import itertools
import json
import math
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from bridge.model import FOLLOWED_MS, Alive, CallOff, Health, JournalContents, Key, Press, Waypoint
from bridge.rules.accuracy import read_time
from bridge.rules.reception import Reception
from wire import codes, receipts

# 9999-12-31, the last day that can be written as a date.
WALL_MS_MAX = 253_402_300_799_000
COUNTER_MAX = 0xFFFF_FFFF
AGE_S_MAX = 0xFFFF_FFFF
_FIX_NUMBERS = ("lat", "lon", "radius_m", "confidence")
_FIX_TEXTS = ("method", "taken_at", "source")
_COLUMNS = {"press": 16, "alive": 5, "health": 5, "waypoint": 5}
_T = TypeVar("_T")
_Fields = Sequence[Any]


def read(db: sqlite3.Connection, now_ms: int) -> JournalContents:
    """Return all that can be read, in the order in which it was written. Raises nothing of SQLite's."""
    text_factory, row_factory = db.text_factory, db.row_factory
    db.text_factory = lambda data: data.decode("utf-8", "replace")
    db.row_factory = None
    unreadable = 0

    def table(name: str, made_of: Callable[[_Fields], _T]) -> list[_T]:
        nonlocal unreadable
        rows, is_whole = _rows(db, name)
        records, refused = _records(rows, made_of)
        unreadable += refused + (not is_whole)
        return records

    try:
        presses = table("press", lambda fields: _press(fields, now_ms))
        if unreadable:
            lost = _lost_presses(db, {press.key for press in presses}, now_ms)
            unreadable = max(unreadable, len(lost))
            presses += lost
        return JournalContents(
            presses,
            table("alive", _alive),
            table("health", _health),
            table("waypoint", _waypoint),
            unreadable=unreadable,
        )
    finally:
        db.text_factory, db.row_factory = text_factory, row_factory


def _rows(db: sqlite3.Connection, table: str) -> tuple[list[_Fields], bool]:
    """Return the rows, and whether those are all.

    SQLite ends at the first part that it cannot read; then the rest is read from the other end. Columns go by
    their place, and are given names of our own: theirs, in the schema, can be damaged, too.
    """
    names = ", ".join(f"c{number}" for number in range(_COLUMNS[table]))
    named = f"WITH named(at, {names}) AS (SELECT rowid, * FROM {table}) SELECT * FROM named ORDER BY at"  # noqa: S608
    plain = f"SELECT rowid, * FROM {table} ORDER BY rowid"  # noqa: S608 -- of a later version it has more
    rows: dict[tuple[Any, ...], None] = {}  # whole, for a damaged rowid can be another's
    is_whole = False
    for statement in (plain, named, f"{named} DESC"):
        try:
            for row in db.execute(statement):
                rows.setdefault(row)
            is_whole = not statement.endswith("DESC")
            break
        except (sqlite3.Error, UnicodeDecodeError):  # the latter by Python, of a column's name
            continue
    return [fields for _, *fields in sorted(rows, key=lambda row: row[0])], is_whole


def _lost_presses(db: sqlite3.Connection, known: set[Key], now_ms: int) -> list[Press]:
    """Return the presses of which no more can be read than who pressed what, by their index or their rows.

    The centre, asked once more under the same identity, knows what it has of each.
    """
    keys: dict[Key, None] = {}
    for where, order in itertools.product(("INDEXED BY press_once", "NOT INDEXED"), ("ASC", "DESC")):
        by = "rowid" if where == "NOT INDEXED" else "device_id"
        query = f"SELECT device_id, event, counter FROM press {where} ORDER BY {by} {order}"  # noqa: S608
        try:
            for row in db.execute(query):
                with contextlib.suppress(ValueError, TypeError):
                    keys.setdefault(_key(*row))
        except (sqlite3.Error, UnicodeDecodeError):
            continue
    return [Press(*key, heard_at_ms=now_ms) for key in keys if key not in known]


def _records(rows: list[_Fields], made_of: Callable[[_Fields], _T]) -> tuple[list[_T], int]:
    """Return what the rows are, and of how many nobody can say."""
    records: list[_T] = []
    for fields in rows:
        try:
            records.append(made_of(fields))
        except (ValueError, TypeError):
            continue
    return records, len(rows) - len(records)


# -- fields -----------------------------------------------------------------------------------------------


def _demand(is_good: bool) -> None:
    if not is_good:
        raise ValueError("a row that nobody can use")


def _is_whole(value: object, high: int) -> bool:
    return type(value) is int and 0 <= value <= high


def _name(value: object) -> str:
    _demand(isinstance(value, str) and value.isascii() and value.isprintable() and value != "")
    return str(value)


def _number(value: Any, high: int) -> int:
    _demand(_is_whole(value, high))
    return int(value)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value.isascii() and value.isprintable() else None


def _fix(text: object) -> dict[str, Any] | None:
    try:
        fix = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(fix, dict):
        return None
    are_numbers = all(_is_finite(fix[name]) for name in _FIX_NUMBERS if name in fix)
    are_texts = all(_text(fix[name]) is not None for name in _FIX_TEXTS if name in fix)
    return fix if are_numbers and are_texts and isinstance(fix.get("marks", []), list) else None


def _is_finite(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]


def _key(device_id: object, event: object, counter: object) -> Key:
    _demand(event in codes.PRESSES)
    return Key(_name(device_id), int(event), _number(counter, COUNTER_MAX))  # type: ignore[call-overload]


# -- rows -------------------------------------------------------------------------------------------------


def _press(fields: _Fields, now_ms: int) -> Press:
    """Return a press whose identity can be read; it is sent, whatever else of it cannot."""
    device_id, event, counter, heard_at_ms, age_s, fix, incident, stage, proof, delivered, *more = fields
    last_event_id, call_off, follow_left_ms, pin, age_is_lower_bound, age_told = more[:6]
    incident = _text(incident) or None
    has_stage = _is_whole(stage, receipts.CLOSED) and stage >= receipts.RECEIVED
    is_proven = incident is not None and has_stage and isinstance(proof, bytes)
    is_given = call_off != CallOff.KEPT or (_text(pin) or "").isdecimal()
    return Press(
        *_key(device_id, event, counter),
        heard_at_ms=heard_at_ms if _is_whole(heard_at_ms, WALL_MS_MAX) else now_ms,
        age_s=age_s if _is_whole(age_s, AGE_S_MAX) else None,
        fix=_fix(fix),
        incident=incident if is_proven else None,
        stage=stage if is_proven else 0,
        proof=proof if is_proven else b"",
        delivered=delivered if _is_whole(delivered, receipts.CLOSED) else 0,
        last_event_id=_text(last_event_id),
        # A call-off without its PIN can only be given once more.
        call_off=CallOff(call_off) if call_off in set(CallOff) and is_given else CallOff.NONE,
        follow_left_ms=follow_left_ms if _is_whole(follow_left_ms, FOLLOWED_MS) else FOLLOWED_MS,
        pin=pin if call_off == CallOff.KEPT and is_given else None,
        age_is_lower_bound=age_is_lower_bound == 1,
        age_told=age_told == 1,
    )


def _alive(fields: _Fields) -> Alive:
    device_id, counter, heard_at_ms, on_time_counter, on_time_at_ms = fields[:5]
    return Alive(
        _name(device_id),
        _number(counter, COUNTER_MAX),
        _number(heard_at_ms, WALL_MS_MAX),
        _number(on_time_counter, COUNTER_MAX),
        _number(on_time_at_ms, WALL_MS_MAX),
    )


def _health(fields: _Fields) -> Health:
    device_id, low, battery_mv, faults, hearing = fields[:5]
    return Health(
        _name(device_id),
        low == 1,
        battery_mv if _is_whole(battery_mv, 0xFFFF) else None,
        tuple((_text(faults) or "").split()),
        _hearing(_text(hearing) or ""),
    )


def _hearing(text: str) -> tuple[float, ...]:
    """Return what was learnt of how well a button is heard; nothing, where it cannot have been learnt."""
    try:
        numbers = tuple(map(float, text.split()))
        if not all(math.isfinite(number) and number >= 0 for number in numbers):
            return ()
        Reception(*numbers)
    except (ValueError, TypeError, ArithmeticError):
        return ()
    return numbers


def _waypoint(fields: _Fields) -> Waypoint:
    device_id, event, counter, taken_at, fix = fields[:5]
    position = _fix(fix)
    _demand(position is not None)
    read_time(_name(taken_at))
    return Waypoint(_key(device_id, event, counter), _name(taken_at), position or {})


def records(contents: JournalContents) -> Iterator[Press | Alive | Health | Waypoint]:
    """Yield every record."""
    yield from contents.presses
    yield from contents.alives
    yield from contents.healths
    yield from contents.waypoints
