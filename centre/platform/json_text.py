"""JSON by orjson; and by Python's own what only Python takes: a NaN, half a character of a command line."""

import json

import orjson

_DIGITS_MAX = 100


def read(body: bytes) -> object:
    """Return what it says. Raises ValueError: not UTF-8, not JSON, too deep."""
    try:
        return orjson.loads(body)
    except ValueError:  # a NaN is to cost a press its position, and nothing else
        pass
    try:
        return json.loads(body.decode("utf-8"), parse_int=_integer)
    except RecursionError:
        raise ValueError("too deep") from None


def write(content: object, *, sort: bool = False) -> bytes:
    try:
        return orjson.dumps(content, option=orjson.OPT_SORT_KEYS if sort else None)
    except TypeError:
        return json.dumps(content, sort_keys=sort).encode()


def _integer(text: str) -> int | float:
    """Python refuses to read very long integers; as an infinity they are refused where they stand."""
    return int(text) if len(text) < _DIGITS_MAX else float(text)
