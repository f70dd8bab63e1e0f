"""Tables of a TOML file, each key read by a function of its own; mistakes are told with their line. Pure."""

import difflib
import re
from collections.abc import Callable, Mapping
from typing import Any

REQUIRED = object()  # in the place of a default

Read = Callable[[Any], Any]  # a value as it is used; raises Wrong with what is allowed
Keys = Mapping[str, tuple[Read, Any]]  # how each is read, and what it is where it is not given


class Wrong(ValueError):
    """The file cannot be used; the text says where, why, and what is allowed."""


# -- values ------------------------------------------------------------------------------------------


def is_a(kind: type, what: str) -> Read:
    def read(value: Any) -> Any:
        if kind is str and type(value) in (int, float):
            raise Wrong(f'a text is allowed: write it in quotes, "{value}"')
        if type(value) is not kind:
            raise Wrong(f"{what} is allowed")
        return value

    return read


def whole_number(least: int, most: int, unit: str = "") -> Read:
    def read(value: Any) -> int:
        if type(value) is not int or not least <= value <= most:
            raise Wrong(f"a whole number from {least} to {most}{unit and ' ' + unit} is allowed")
        return value

    return read


def one_of(words: tuple[str, ...]) -> Read:
    def read(value: Any) -> str:
        if value not in words:
            near = difflib.get_close_matches(str(value), words, 1)
            meant = f'did you mean "{near[0]}"? ' if near else ""
            raise Wrong(f"{meant}allowed are {', '.join(filter(None, words))}")
        return str(value)

    return read


def number_within(least: float, most: float) -> Read:
    """Return what reads a number within bounds."""

    def read(value: Any) -> float:
        if type(value) not in (int, float) or not least <= value <= most:
            raise Wrong(f"a number from {least:g} to {most:g} is allowed")
        return float(value)

    return read


def share(value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value <= 1:
        raise Wrong("a share from 0 to 1 is allowed")
    return float(value)


def shares(count: int, what: str) -> Read:
    def read(value: Any) -> tuple[float, ...]:
        if not isinstance(value, list) or len(value) != count:
            raise Wrong(f"a list of {count} shares from 0 to 1, {what}, is allowed")
        return tuple(share(one) for one in value)

    return read


def numbers(counts: tuple[int, ...], what: str) -> Read:
    def read(value: Any) -> tuple[float, ...]:
        good = isinstance(value, list) and len(value) in counts
        if not good or not all(type(one) in (int, float) and abs(one) < 1e6 for one in value):
            raise Wrong(f"{what} is allowed")
        return tuple(float(one) for one in value)

    return read


def texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise Wrong('a list of texts, as in ["a", "b"], is allowed')
    return tuple(value)


# -- tables ------------------------------------------------------------------------------------------


class Lines:
    """On which line a table begins and a key stands; the TOML reader itself does not tell."""

    def __init__(self, text: str) -> None:
        self._at: dict[tuple[str, int, str], int] = {}
        table, counts, in_text = "", {"": 0}, False
        for number, line in enumerate(text.splitlines(), 1):
            was_in_text, in_text = in_text, in_text ^ (line.count('"""') % 2 == 1)
            if was_in_text:
                continue
            if header := re.match(r"\s*\[{1,2}\s*([\w-]+)\s*\]{1,2}", line):
                table = header[1]
                counts[table] = counts.get(table, -1) + 1
                self._at[table, counts[table], ""] = number
            elif key := re.match(r"\s*([\w-]+)\s*=", line):
                self._at.setdefault((table, counts[table], key[1]), number)

    def of(self, table: str, number: int, key: str = "") -> int:
        return self._at.get((table, number, key)) or self._at.get((table, number, ""), 1)


def tables(whole: Mapping[str, Any], name: str, keys: Keys, lines: Lines) -> list[dict[str, Any]]:
    """Return the values of every `[[name]]`, in their order. Raises Wrong."""
    given = given_tables(whole, name, lines)
    return [values(one, keys, name, number, lines) for number, one in enumerate(given)]


def given_tables(whole: Mapping[str, Any], name: str, lines: Lines) -> list[Mapping[str, Any]]:
    """As they stand in the file. Raises Wrong where `name` is no list of tables."""
    given = whole.get(name, [])
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        where = lines.of(name, 0) if lines.of(name, 0) > 1 else lines.of("", 0, name)
        raise Wrong(f"line {where}: {name} is a list of tables: [[{name}]]")
    return given


def values(given: Mapping[str, Any], keys: Keys, name: str, number: int, lines: Lines) -> dict[str, Any]:
    """Read what is given; the rest has its defaults. Raises Wrong."""
    check_keys(given, tuple(keys), name, number, lines)
    found = {}
    for key, (read_value, default) in keys.items():
        if key not in given:
            if default is REQUIRED:
                raise Wrong(f"line {lines.of(name, number)}: {_called(name)}`{key}` is missing")
            found[key] = default
            continue
        try:
            found[key] = read_value(given[key])
        except Wrong as wrong:
            where = f"line {lines.of(name, number, key)}: {_called(name)}`{key}` is {given[key]!r}"
            raise Wrong(f"{where}; {wrong}") from None
    return found


def known(name: str, names: tuple[str, ...], line: int, what: str) -> None:
    """Check a name. Raises Wrong where `name` is none of `names`."""
    if name in names:
        return
    near = difflib.get_close_matches(name, names, 1)
    meant = f" (did you mean {near[0]}?)" if near else ""
    raise Wrong(
        f"line {line}: {what}: {name!r} is nobody here{meant}; allowed are {', '.join(filter(None, names))}"
    )


def check_keys(given: Mapping[str, Any], allowed: tuple[str, ...], name: str, n: int, lines: Lines) -> None:
    for key in given:
        if key not in allowed:
            meant = _meant(key, allowed)
            raise Wrong(
                f"line {lines.of(name, n, key)}: {_called(name)}there is no `{key}`{meant}; "
                f"allowed are {', '.join(allowed)}"
            )


def _meant(key: str, allowed: tuple[str, ...]) -> str:
    stem = re.sub(r"_(s|sec|seconds|min|minutes|us)$", "", key)
    if stem != key and f"{stem}_ms" in allowed:
        return f" (did you mean {stem}_ms? every time here is in milliseconds)"
    near = difflib.get_close_matches(key, allowed, 1)
    return f" (did you mean {near[0]}?)" if near else ""


def _called(name: str) -> str:
    return f"[[{name}]] " if name else ""
