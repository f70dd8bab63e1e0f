"""What its owner may set: `config.toml` in the home, and `run --set KEY=VALUE` for once.

One table, the fields of `Config`: each has its default, what is allowed and what it means. The file,
the flags, the sentences about mistakes, `amr-bridge config` and the documentation all read it there.
"""

import difflib
import json
import re
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import Field, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

from yarl import URL

SOURCES = ("gpsd", "nmea", "geoclue", "gpx", "fixed")
LANGUAGES = ("", "fr", "nl", "de", "en")
FILE_BYTES_MAX = 64 * 1024
ADDRESSES_MAX = 8
TEXT_CHARS_MAX = 1000


class ConfigError(Exception):
    """A key or value that cannot be used; a sentence with its place, its name and what is allowed."""


class _Rule(NamedTuple):
    allowed: str  # for people: "a number from 5 to 300"
    meaning: str
    read: Callable[[Any], Any]  # the value as we keep it; raises ValueError


def _key(default: Any, allowed: str, meaning: str, read: Callable[[Any], Any]) -> Any:
    return field(default=default, metadata={"rule": _Rule(allowed, meaning, read)})


def _demand(good: bool) -> None:
    if not good:
        raise ValueError("not what is allowed")


def _text(value: Any) -> str:
    _demand(isinstance(value, str) and value.isprintable() and len(value) <= TEXT_CHARS_MAX)
    return str(value)


def _flag(value: Any) -> bool:
    _demand(isinstance(value, bool))
    return bool(value)


def _number(low: int, high: int, zero: bool = False) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        _demand(type(value) is int and (low <= value <= high or (zero and value == 0)))
        return int(value)

    return read


def _word(words: tuple[str, ...]) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        _demand(value in words)
        return str(value)

    return read


def _matching(pattern: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        _demand(re.fullmatch(pattern, _text(value), re.ASCII) is not None)
        return str(value)

    return read


def https_urls(value: Any) -> tuple[str, ...]:
    """A list of addresses as they are asked: https, a host, no query, nobody's name in it."""
    _demand(isinstance(value, list | tuple) and len(value) <= ADDRESSES_MAX)
    for item in value:
        url = URL(_text(item))
        _demand(re.fullmatch(r"https://[^\s#?]+", item, re.ASCII) is not None and bool(url.host))
        _demand(url.user is None and url.password is None)
    return tuple(item.rstrip("/") for item in value)


def _sources(value: Any) -> tuple[str, ...]:
    _demand(isinstance(value, list | tuple) and all(item in SOURCES for item in value))
    _demand(len(set(value)) == len(value))
    return tuple(value)


def _place(value: Any) -> str:
    from bridge.location import fixed  # the one who knows what a place is

    if value:
        fixed.parse(_text(value))
    return str(value)


def _host_port(value: Any) -> str:
    match = re.fullmatch(r"(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9.-]+):([0-9]{1,5})", _text(value), re.ASCII)
    _demand(match is not None and 0 < int(match[2]) < 65536)
    return str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """`centre_addresses` is `centre.addresses` in the file, and so on."""

    centre_addresses: tuple[str, ...] = _key(
        (),
        f'a list of at most {ADDRESSES_MAX} https addresses, such as ["https://centre.example:8443"]',
        "further addresses of the same centre, tried in turn after the enrolled ones",
        https_urls,
    )
    position_sources: tuple[str, ...] = _key(
        ("gpsd", "geoclue"),
        f"a list out of {', '.join(SOURCES)}, each at most once; [] for none",
        "where positions come from, the preferred one first",
        _sources,
    )
    position_gpsd: str = _key("127.0.0.1:2947", "HOST:PORT", "where gpsd answers", _host_port)
    position_nmea: str = _key(
        "/dev/ttyUSB0@9600",
        "DEVICE or DEVICE@BAUD",
        "the serial port of a receiver that speaks NMEA 0183",
        _matching(r"[^@]+(@[1-9][0-9]{2,6})?"),
    )
    position_gpx: str = _key(
        "",
        "a path, from the home if it is not absolute",
        "a recorded track to walk, from the start on",
        _text,
    )
    position_fixed: str = _key(
        "", "LAT,LON,RADIUS_M, such as 50.85,4.35,25", "a place that does not move", _place
    )
    position_follow_every_s: int = _key(
        10, "a number from 5 to 300", "how often an alarm's position is sent on", _number(5, 300)
    )
    radio_scan: str = _key(
        "auto",
        "auto, active or passive",
        "how to listen: passive spares power and is not on the air itself; auto takes it where it works",
        _word(("auto", "active", "passive")),
    )
    page_port: int = _key(
        8437,
        "a number from 1024 to 65535, or 0 for no page",
        "where on 127.0.0.1 the wearer's page is",
        _number(1024, 65535, zero=True),
    )
    page_name: str = _key(
        "Tag",
        "1 to 20 printable characters",
        "what the page and its notices call themselves; not what it is for",
        _matching(r"\S(.{0,18}\S)?"),
    )
    page_language: str = _key(
        "", 'fr, nl, de or en; "" for the browser\'s', "the language of the page", _word(LANGUAGES)
    )
    supervision_notify: bool = _key(
        True, "true or false", "tell of troubles on the desktop, in neutral words", _flag
    )
    supervision_phone_battery_low_percent: int = _key(
        15, "a number from 0 to 99", "at or under it, this phone's battery is called low", _number(0, 99)
    )
    metrics_port: int = _key(
        0,
        "a number from 1024 to 65535, or 0 for none",
        "where on 127.0.0.1 Prometheus may ask; any user of this machine can, then",
        _number(1024, 65535, zero=True),
    )
    log_format: str = _key(
        "text",
        "text or json",
        "English on stderr, or one JSON object per line on stdout",
        _word(("text", "json")),
    )


def name_of(it: Field[Any]) -> str:
    """`page_port` -> `page.port`."""
    return it.name.replace("_", ".", 1)


def rule_of(it: Field[Any]) -> _Rule:
    rule = it.metadata["rule"]
    assert isinstance(rule, _Rule)
    return rule


_FIELDS = {name_of(it): it for it in fields(Config)}


def load(path: Path) -> Config:
    """What the file says over the defaults; the defaults where there is none. Raises ConfigError."""
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise ConfigError(f"{path} is larger than {FILE_BYTES_MAX >> 10} KiB")
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Config()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None
    given: list[tuple[str, Any]] = []
    for table, content in tables.items():
        if isinstance(content, dict):
            given += [(f"{table}.{name}", value) for name, value in content.items()]
        else:
            given.append((table, content))
    return _changed(Config(), given, str(path))


def override(config: Config, settings: Iterable[str]) -> Config:
    """`KEY=VALUE` words over `config`; a value that is not TOML is taken as the text it is."""
    given: list[tuple[str, Any]] = []
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise ConfigError(f"--set wants KEY=VALUE, not {setting!r}")
        given.append((name.strip(), _toml_value(text)))
    return _changed(config, given, "--set")


def settle(config: Config, home: Path) -> Config:
    """What no single key can know: a source that is named needs its place. Raises ConfigError."""
    for source, value in (("gpx", config.position_gpx), ("fixed", config.position_fixed)):
        if source in config.position_sources and not value:
            raise ConfigError(f"position.sources names {source}, so position.{source} must be set, too")
    gpx = config.position_gpx and str(home.absolute() / Path(config.position_gpx).expanduser())
    return replace(config, position_gpx=gpx)


def _toml_value(text: str) -> Any:
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    return parsed["value"] if len(parsed) == 1 else text


def _changed(config: Config, given: Iterable[tuple[str, Any]], place: str) -> Config:
    changes: dict[str, Any] = {}
    for name, value in given:
        known = _FIELDS.get(name)
        if known is None:
            raise ConfigError(f"{place}: there is no {name}{_meant(name)}")
        rule = rule_of(known)
        try:
            changes[known.name] = rule.read(value)
        except ValueError:
            raise ConfigError(f"{place}: {name} must be {rule.allowed}; not {_shown(value)}") from None
    return replace(config, **changes)


def _meant(name: str) -> str:
    """The nearest key, by the whole name or by the part behind the dot; else all of that table."""
    near = difflib.get_close_matches(name, _FIELDS, 1, 0.7)
    near = near or [key for key in _FIELDS if key.split(".", 1)[1] == name.rsplit(".", 1)[-1]]
    if near:
        return f"; {' or '.join(near)} was meant?"
    table = name.split(".")[0] + "."
    names = [key for key in _FIELDS if key.startswith(table)] or list(_FIELDS)
    return f"; there are {', '.join(names)}"


def _shown(value: Any) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):  # a date, a number that JSON has not
        text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def render(config: Config) -> str:
    """The whole configuration as TOML that `load` reads back, each key with its meaning."""
    lines: list[str] = []
    table = ""
    for name, it in _FIELDS.items():
        rule = rule_of(it)
        head, key = name.split(".", 1)
        if head != table:
            lines += ["", f"[{head}]"] if lines else [f"[{head}]"]
            table = head
        value = getattr(config, it.name)
        shown = list(value) if isinstance(value, tuple) else value
        lines += [f"# {rule.meaning} ({rule.allowed})", f"{key} = {json.dumps(shown, ensure_ascii=False)}"]
    return "\n".join(lines) + "\n"
