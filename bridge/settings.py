"""What can be set about a running bridge: `config.toml` in the home, and `--set KEY=VALUE` for once.

Each setting is declared once, as a field of `Settings`: its default, its kind (which knows what is allowed
and reads it) and its meaning. The file, the options, the sentences about mistakes, `amr-bridge config` and
the table in docs/bridge.md are made of these declarations.
"""

import difflib
import json
import re
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import Field, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

SOURCES = ("gpsd", "nmea", "geoclue", "gpx", "fixed")
LANGUAGES = ("fr", "nl", "de", "en")
FILE_BYTES_MAX = 64 * 1024
ADDRESSES_MAX = 8
TEXT_CHARS_MAX = 1000


class SettingsError(Exception):
    """A key or value cannot be used; a sentence with its place, its name and what is allowed."""


class Kind(NamedTuple):
    """What values a setting may have."""

    allowed: str  # for people: "a number from 5 to 300"
    read: Callable[[Any], Any]  # returns the value as we keep it; raises ValueError


class Rule(NamedTuple):
    """What is declared of a setting beside its default."""

    kind: Kind
    meaning: str


def _setting(default: Any, kind: Kind, meaning: str) -> Any:
    return field(default=default, metadata={"rule": Rule(kind, meaning)})


# -- kinds ------------------------------------------------------------------------------------------------


def _demand(good: bool) -> None:
    if not good:
        raise ValueError("not what is allowed")


def _read_text(value: Any) -> str:
    _demand(isinstance(value, str) and value.isprintable() and len(value) <= TEXT_CHARS_MAX)
    return str(value)


def _read_flag(value: Any) -> bool:
    _demand(isinstance(value, bool))
    return bool(value)


def _number(low: int, high: int, zero: str = "") -> Kind:
    """Return whole numbers in these bounds, and 0 where it means something (`zero`)."""

    def read(value: Any) -> int:
        _demand(type(value) is int and (low <= value <= high or (bool(zero) and value == 0)))
        return int(value)

    return Kind(f"a number from {low} to {high}" + (f", or 0 for {zero}" if zero else ""), read)


def _word(*words: str, none: str = "") -> Kind:
    """Return these words, and the empty one where it means something (`none`)."""

    def read(value: Any) -> str:
        _demand(value in words or (bool(none) and value == ""))
        return str(value)

    return Kind(", ".join(words[:-1]) + f" or {words[-1]}" + (f'; "" for {none}' if none else ""), read)


def _matching(pattern: str, allowed: str) -> Kind:
    def read(value: Any) -> str:
        _demand(re.fullmatch(pattern, _read_text(value), re.ASCII) is not None)
        return str(value)

    return Kind(allowed, read)


def https_urls(value: Any) -> tuple[str, ...]:
    """Read a list of https addresses with a host, without a query and without anybody's name in it.

    Raises ValueError.
    """
    from yarl import URL  # late: few have such a list

    _demand(isinstance(value, list | tuple) and len(value) <= ADDRESSES_MAX)
    for item in value:
        url = URL(_read_text(item))
        _demand(re.fullmatch(r"https://[^\s#?]+", item, re.ASCII) is not None and bool(url.host))
        _demand(url.user is None and url.password is None)
        (url.host or "").encode("idna")  # a name that cannot be asked for is a UnicodeError, so a ValueError
    return tuple(item.rstrip("/") for item in value)


def _read_sources(value: Any) -> tuple[str, ...]:
    _demand(isinstance(value, list | tuple) and all(item in SOURCES for item in value))
    _demand(len(set(value)) == len(value))
    return tuple(value)


def _read_place(value: Any) -> str:
    from bridge.location import fixed  # late: it knows what a place is

    if value:
        fixed.parse(_read_text(value))
    return str(value)


def _read_host_port(value: Any) -> str:
    match = re.fullmatch(r"(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9.-]+):([0-9]{1,5})", _read_text(value), re.ASCII)
    _demand(match is not None and 0 < int(match[2]) < 65536)
    return str(value)


_ADDRESSES = Kind(
    f'a list of at most {ADDRESSES_MAX} https addresses, such as ["https://centre.example:8443"]', https_urls
)
_FLAG = Kind("true or false", _read_flag)
_PATH = Kind("a path, from the home if it is not absolute", _read_text)
_PLACE = Kind("LAT,LON,RADIUS_M, such as 50.85,4.35,25", _read_place)
_SOURCES = Kind(f"a list out of {', '.join(SOURCES)}, each at most once; [] for none", _read_sources)


# -- the settings -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Hold every setting; `centre_addresses` is `centre.addresses` in the file, and so on."""

    centre_addresses: tuple[str, ...] = _setting(
        (), _ADDRESSES, "further addresses of the same centre, tried in turn after the enrolled ones"
    )
    position_sources: tuple[str, ...] = _setting(
        ("gpsd", "geoclue"), _SOURCES, "where positions come from, the preferred one first"
    )
    position_gpsd: str = _setting("127.0.0.1:2947", Kind("HOST:PORT", _read_host_port), "where gpsd answers")
    position_nmea: str = _setting(
        "/dev/ttyUSB0@9600",
        _matching(r"[^@]+(@[1-9][0-9]{2,6})?", "DEVICE or DEVICE@BAUD"),
        "the serial port of a receiver that speaks NMEA 0183",
    )
    position_gpx: str = _setting("", _PATH, "a recorded track to walk, from the start on")
    position_fixed: str = _setting("", _PLACE, "a place that does not move")
    position_follow_every_s: int = _setting(10, _number(5, 300), "how often an alarm's position is sent on")
    radio_scan: str = _setting(
        "auto",
        _word("auto", "active", "passive"),
        "how to listen: passive spares power and is not on the air itself; auto takes it where it works",
    )
    radio_adapter: str = _setting(
        "",
        _matching(
            r"|hci[0-9]{1,2}|[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}", 'hci0 to hci99, or an address; "" for any'
        ),
        "which Bluetooth adapter to use, on Linux",
    )
    page_port: int = _setting(
        8437,
        _number(1024, 65535, zero="no page"),
        "where on 127.0.0.1 the protected person's page is",
    )
    page_name: str = _setting(
        "Tag",
        _matching(r"\S(.{0,18}\S)?", "1 to 20 printable characters"),
        "what the page and its notices call themselves; not what it is for",
    )
    page_language: str = _setting("", _word(*LANGUAGES, none="the browser's"), "the language of the page")
    supervision_notify: bool = _setting(True, _FLAG, "tell of troubles on the desktop, in neutral words")
    supervision_phone_battery_low_percent: int = _setting(
        15, _number(0, 99), "at or under it, this phone's battery is called low"
    )
    metrics_port: int = _setting(
        0,
        _number(1024, 65535, zero="none"),
        "where on 127.0.0.1 Prometheus may ask; any user of this machine can, then",
    )
    log_format: str = _setting(
        "text", _word("text", "json"), "English on stderr, or one JSON object per line on stdout"
    )


def name_of(it: Field[Any]) -> str:
    """Return the setting's name as people write it: `page_port` is `page.port`."""
    return it.name.replace("_", ".", 1)


def rule_of(it: Field[Any]) -> Rule:
    """Return what is declared of the setting."""
    rule = it.metadata["rule"]
    assert isinstance(rule, Rule)
    return rule


_FIELDS = {name_of(it): it for it in fields(Settings)}


# -- reading ----------------------------------------------------------------------------------------------


def load(path: Path) -> Settings:
    """Return what the file says over the defaults; the defaults where there is none. Raises SettingsError."""
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise SettingsError(f"{path} is larger than {FILE_BYTES_MAX >> 10} KiB")
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Settings()
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is not UTF-8 text") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingsError(f"{path} is not TOML: {error}") from None
    values: list[tuple[str, Any]] = []
    for table, content in tables.items():
        if isinstance(content, dict):
            values += [(f"{table}.{name}", value) for name, value in content.items()]
        else:
            values.append((table, content))
    return _changed(Settings(), values, str(path))


def override(settings: Settings, assignments: Iterable[str]) -> Settings:
    """Return `settings` with `KEY=VALUE` words over them; a value that is not TOML is the text it is.

    Raises SettingsError.
    """
    values: list[tuple[str, Any]] = []
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise SettingsError(f"--set wants KEY=VALUE, not {assignment!r}")
        values.append((name.strip(), _toml_value(text)))
    return _changed(settings, values, "--set")


def settle(settings: Settings, home: Path) -> Settings:
    """Check what no single key can know, and make paths absolute. Raises SettingsError."""
    for source, value in (("gpx", settings.position_gpx), ("fixed", settings.position_fixed)):
        if source in settings.position_sources and not value:
            raise SettingsError(f"position.sources names {source}, so position.{source} must be set, too")
    gpx = settings.position_gpx and str(home.absolute() / Path(settings.position_gpx).expanduser())
    return replace(settings, position_gpx=gpx)


def _toml_value(text: str) -> Any:
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    return parsed["value"] if len(parsed) == 1 else text


def _changed(settings: Settings, values: Iterable[tuple[str, Any]], place: str) -> Settings:
    changes: dict[str, Any] = {}
    for name, value in values:
        known = _FIELDS.get(name)
        if known is None:
            raise SettingsError(f"{place}: there is no {name}{_meant(name)}")
        kind = rule_of(known).kind
        try:
            changes[known.name] = kind.read(value)
        except ValueError:
            raise SettingsError(f"{place}: {name} must be {kind.allowed}; not {_shown(value)}") from None
    return replace(settings, **changes)


def _meant(name: str) -> str:
    """Name the nearest key, by the whole name or by the part behind the dot; else all of that table."""
    near = difflib.get_close_matches(name, _FIELDS, 1, 0.7)
    near = near or [key for key in _FIELDS if key.split(".", 1)[1] == name.rsplit(".", 1)[-1]]
    if near:
        return f"; {' or '.join(near)} was meant?"
    table = name.split(".")[0] + "."
    names = [key for key in _FIELDS if key.startswith(table)] or list(_FIELDS)
    return f"; there are {', '.join(names)}"


def _shown(value: Any) -> str:
    try:
        text = _as_toml(value)
    except (TypeError, ValueError):  # a date, a number that JSON has not
        text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."


# -- showing ----------------------------------------------------------------------------------------------


def _as_toml(value: Any) -> str:
    """Return a text, number, truth value or list of texts as TOML has it, which is as JSON has it."""
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)


def render(settings: Settings) -> str:
    """Return all settings as TOML that `load` reads back, each key with its meaning."""
    lines: list[str] = []
    table = ""
    for name, it in _FIELDS.items():
        rule = rule_of(it)
        head, key = name.split(".", 1)
        if head != table:
            lines += ["", f"[{head}]"] if lines else [f"[{head}]"]
            table = head
        lines.append(f"# {rule.meaning} ({rule.kind.allowed})")
        lines.append(f"{key} = {_as_toml(getattr(settings, it.name))}")
    return "\n".join(lines) + "\n"


def documentation() -> list[str]:
    """Return the rows of the table in docs/bridge.md: key, default, what is allowed, meaning."""
    return [
        f"| `{name}` | `{_as_toml(it.default)}` | {rule_of(it).kind.allowed} | {rule_of(it).meaning} |"
        for name, it in _FIELDS.items()
    ]
