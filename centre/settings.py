"""What can be set about a running centre.

One declaration for each: the command line, `--help`, the file `config.toml` and the table of docs/centre.md
all read it here.
"""

import difflib
import re
import tomllib
import zoneinfo
from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from centre.rules import escalation, heartbeats, retention, running_log
from centre.rules import supervision as losses

CONFIG = "config.toml"
FILE_BYTES_MAX = 64 * 1024
_NOTHING: Any = ("", None, (), False)


class SettingsError(Exception):
    """A setting that cannot be used; the text is a sentence for the person who set it."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How a setting is read and explained."""

    metavar: str  # "" of a switch
    allowed: str  # for people: "it is 10 to 900 seconds"
    meaning: str
    read: Callable[[Any], Any]  # the value as it is kept; raises ValueError
    is_repeated: bool = False  # more than one value may be given
    is_file: bool = False


def _setting(
    default: Any, metavar: str, allowed: str, meaning: str, read: Callable[[Any], Any], **more: bool
) -> Any:
    return field(default=default, metadata={"rule": Rule(metavar, allowed, meaning, read, **more)})


def _demand(is_good: bool) -> None:
    if not is_good:
        raise ValueError("not what is allowed")


def _number(least: int, most: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,6}", value, re.ASCII):  # of a command line
            value = int(value)
        _demand(type(value) is int and least <= value <= most)
        return int(value)

    return read


def _text(value: Any) -> str:
    _demand(isinstance(value, str) and value.isprintable())
    return str(value)


def _switch(value: Any) -> bool:
    _demand(isinstance(value, bool))
    return bool(value)


def _plain(value: Any) -> str:
    """Read what can stand in a header or a command line as it is."""
    text = _text(value)
    _demand(text.isascii() and " " not in text)
    return text


def https_address(value: Any) -> str:
    """Read a centre's address, as browsers and bridges reach it."""
    url = _plain(value).rstrip("/")
    parts = urlsplit(url)
    _demand(
        (parts.scheme, parts.path, parts.query, parts.fragment, parts.username) == ("https", "", "", "", None)
    )
    _demand(bool(parts.hostname) and parts.port != 0)  # reading it refuses what is no port
    return url


def _endpoint(value: Any) -> str:
    parts = urlsplit(_plain(value))
    _demand(parts.scheme == "https" and bool(parts.hostname) and parts.port != 0)
    _demand(parts.username is None and parts.password is None and not parts.fragment)
    return str(value)


def _issuer(value: Any) -> str:
    _demand("?" not in _endpoint(value))
    return str(value)


def is_archive(tiles: str) -> bool:
    """Return whether it names a file of tiles, not a server of them."""
    return tiles.endswith(".pmtiles") and not tiles.startswith("https://")


def _time_zone(value: Any) -> str:
    _demand(value == "" or _plain(value) in zoneinfo.available_timezones())
    return str(value)


def _tiles(value: Any) -> str:
    """Its origin goes into the pages' security policy: nothing that could end a word there."""
    if not is_archive(_text(value)):
        pattern = r"https://[A-Za-z0-9.-]+(:[0-9]{1,5})?/[A-Za-z0-9._~/{}?=&%-]*"
        _demand(re.fullmatch(pattern, value, re.ASCII) is not None)
        _demand(all(part in value for part in ("{z}", "{x}", "{y}")))
    return str(value)


_DAYS = f"it is 1 to {retention.DAYS_MAX} days"
_days = _number(1, retention.DAYS_MAX)
_ADDRESS = "it is https://HOST[:PORT]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`--alive-s` is `alive_s` here and `alive-s` in the file, and so on."""

    host: str = _setting(
        "127.0.0.1",
        "ADDRESS",
        "it is an address or a name of this machine",
        "address to listen on; with the hosts of `--public-url` and `--address` also a name in the "
        "development certificate",
        _plain,
    )
    port: int = _setting(
        8443, "PORT", "a port is 0 (any free one) to 65535", "0 = any free one", _number(0, 65535)
    )
    direct_port: int | None = _setting(
        None,
        "PORT",
        "a port is 0 (any free one) to 65535",
        "UDP port on which buttons are heard that speak without a phone; without it they are heard by "
        "`POST /v1/direct` alone. 443 passes most networks",
        _number(0, 65535),
    )
    time_zone: str = _setting(
        "",
        "ZONE",
        "it is a time zone's name, as in Europe/Brussels",
        "what all pages tell times by, and name; without it the system's. In the home's `config.toml` "
        "commands know it, too",
        _time_zone,
    )
    cert: str = _setting(
        "",
        "FILE",
        "it is a file",
        "PEM chain, leaf first, CA last: that one is pinned; without it a development CA is made",
        _text,
        is_file=True,
    )
    key: str = _setting(
        "", "FILE", "it is a file", "PEM private key of `--cert`, not encrypted", _text, is_file=True
    )
    address: tuple[str, ...] = _setting(
        (),
        "URL",
        _ADDRESS,
        "another address of this same centre, told to bridges as they enrol",
        https_address,
        is_repeated=True,
    )
    public_url: str = _setting(
        "",
        "URL",
        _ADDRESS,
        "this centre as phones reach it: what printed enrolment codes say, else the address of the "
        "case manager's page",
        https_address,
    )
    alive_s: int = _setting(
        heartbeats.ALIVE_S,
        "S",
        f"it is {heartbeats.ALIVE_S_MIN} to {heartbeats.ALIVE_S_MAX} seconds",
        "how often bridges shall send a heartbeat",
        _number(heartbeats.ALIVE_S_MIN, heartbeats.ALIVE_S_MAX),
    )
    signs_per_s: int = _setting(
        heartbeats.SIGNS_PER_S,
        "N",
        "it is 1 to 99999 in a second",
        "heartbeats that the whole centre takes in a second, a tenth of it at once: half as much again "
        "as 10,000 bridges send at 60 s",
        _number(1, 99_999),
    )
    connections: int = _setting(
        12_000,
        "N",
        "it is 1 to 999999",
        "maximum open connections, unfinished handshakes included; beyond it the oldest is closed. It "
        "takes as many open files: where the system allows fewer (`ulimit -Hn`), it is lowered, and "
        "`trouble`, reason `open_files`, says to how many",
        _number(1, 999_999),
    )
    test_every_days: int = _setting(
        losses.TEST_DAYS,
        "DAYS",
        _DAYS,
        "a button whose last silent test is longer ago is named on its case's page and in the daily report",
        _days,
    )
    escalate_s: int = _setting(
        escalation.AFTER_S,
        "S",
        f"it is {escalation.AFTER_S_MIN} to {escalation.AFTER_S_MAX} seconds",
        "an alarm that nobody takes gets louder every so often; after three times it is `escalated`: "
        "in the log, and to the webhook",
        _number(escalation.AFTER_S_MIN, escalation.AFTER_S_MAX),
    )
    undo_close_s: int = _setting(
        running_log.UNDO_MS // 1000,
        "S",
        "it is 0 to 60 seconds",
        "how long a closing can be undone before the button is told of it; 0: it cannot",
        _number(0, 60),
    )
    keep_positions_days: int = _setting(
        retention.POSITIONS_DAYS,
        "DAYS",
        _DAYS,
        "how long positions are kept after the alarm was closed",
        _days,
    )
    keep_incidents_days: int = _setting(
        retention.INCIDENTS_DAYS, "DAYS", _DAYS, "how long a closed alarm is kept", _days
    )
    keep_losses_days: int = _setting(
        retention.LOSSES_DAYS,
        "DAYS",
        _DAYS,
        "how long what supervision lost is kept after it was found again",
        _days,
    )
    keep_sessions_days: int = _setting(
        retention.SESSIONS_DAYS,
        "DAYS",
        _DAYS,
        "how long ended sessions and used or expired invitations are kept",
        _days,
    )
    webhook: str = _setting(
        "",
        "URL",
        "it is https://HOST[:PORT]/PATH, without a name or password in it",
        "a dispatch system that is told of each incident, signed by `webhook secret`",
        _endpoint,
    )
    webhook_ca: str = _setting(
        "",
        "FILE",
        "it is a file",
        "PEM of the CA of `--webhook`, where the system does not know it",
        _text,
        is_file=True,
    )
    oidc_issuer: str = _setting(
        "",
        "URL",
        "it is https://HOST[:PORT]/PATH, without a name or password or a query in it",
        "a provider (OpenID Connect) through which people may sign in, beside their password",
        _issuer,
    )
    oidc_client_id: str = _setting(
        "", "ID", "it is text", "who we are to the provider; its secret is in `oidc.secret`", _text
    )
    oidc_claim: str = _setting(
        "sub", "NAME", "it is text", "what of the provider's ID token is somebody's login here", _text
    )
    oidc_acr: tuple[str, ...] = _setting(
        (),
        "VALUE",
        "it is text",
        "a kind of sign-in that is asked for, and must have been there",
        _text,
        is_repeated=True,
    )
    oidc_amr: tuple[str, ...] = _setting(
        (),
        "VALUE",
        "it is text",
        "a means of sign-in, as `mfa`, that must have been there",
        _text,
        is_repeated=True,
    )
    oidc_ca: str = _setting(
        "",
        "FILE",
        "it is a file",
        "PEM of the provider's CA, where the system does not know it",
        _text,
        is_file=True,
    )
    tiles: str = _setting(
        "",
        "URL|FILE",
        "it is https://HOST/{z}/{x}/{y}.png or FILE.pmtiles",
        "where operators' pages load the map's tiles from; or a file of pictures (PMTiles 3; PNG, JPEG "
        "or WebP) that the centre itself serves to operators, so that the map needs no connection and "
        "no server elsewhere learns where an alarm is. To change the file, start anew. Without it the "
        "map is plain",
        _tiles,
        is_file=True,
    )
    tiles_by: str = _setting("", "TEXT", "it is text", "whose tiles they are, written on the map", _text)
    json_log: bool = _setting(
        False,
        "",
        "it is true or false",
        "one JSON object per event on stdout, instead of English on stderr",
        _switch,
    )

    # What nobody sets; some are shorter in tests.
    heartbeat_s: float = 15.0  # of streams to bridges
    idle_s: float = 75.0  # how long a connection may ask for nothing, or take for a request's head
    handshake_s: float = 10.0
    webhook_s: float = 10.0  # how long it may take to answer
    oidc_s: float = 10.0
    tiles_zoom: int = 19  # the closest that there are

    @property
    def hosts(self) -> tuple[str, ...]:
        """Return the hosts at which others reach this centre: names of the development certificate."""
        urls = (self.public_url, *self.address)
        return tuple(host for url in urls if (host := urlsplit(url).hostname))

    @property
    def tiles_origin(self) -> str:
        """Return the only place elsewhere from which the pages may load anything; "" where there is none."""
        if self.tiles.startswith("/"):
            return ""
        return "/".join(self.tiles.split("/")[:3])


def declared() -> Iterator[tuple[str, Rule, Field[Any]]]:
    """Yield each setting that can be set: its name with dashes, its rule, its field."""
    for it in fields(Settings):
        if "rule" in it.metadata:
            yield it.name.replace("_", "-"), it.metadata["rule"], it


def default_text(it: Field[Any]) -> str:
    """Return a default as it is told to people; "" where there is none."""
    return "" if it.default in _NOTHING else str(it.default)


def load(path: Path) -> dict[str, Any]:
    """Read a TOML file of settings, by the names of the fields. Raises SettingsError, FileNotFoundError."""
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise SettingsError(f"{path} is larger than {FILE_BYTES_MAX >> 10} KiB")
        content = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is not UTF-8 text") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingsError(f"{path} is not TOML: {error}") from None
    rules = {name: (rule, it.name) for name, rule, it in declared()}
    values: dict[str, Any] = {}
    for name, value in content.items():
        if name not in rules:
            near = difflib.get_close_matches(name, rules, 1)
            hint = f"; is {near[0]} meant?" if near else ""
            raise SettingsError(f"{path}: there is no setting {name}{hint}")
        rule, field_name = rules[name]
        values[field_name] = _from_file(path, name, rule, value)
    return values


def _from_file(path: Path, name: str, rule: Rule, value: Any) -> Any:
    try:
        _demand(not isinstance(value, str) or rule.metavar not in ("N", "S", "DAYS", "PORT"))
        if rule.is_repeated:
            _demand(isinstance(value, list))
            return tuple(rule.read(item) for item in value)
        text = rule.read(value)
    except ValueError:
        raise SettingsError(f"{path}: {name}: {rule.allowed}") from None
    if rule.is_file and text and not text.startswith("https://"):
        return str(path.parent / text)
    return text


def settle(values: Mapping[str, Any]) -> Settings:
    """Return the settings, the defaults for what is not among `values`. Raises SettingsError.

    What no single setting can know is looked at here.
    """
    settings = Settings(**values)
    for one, other in (("cert", "key"), ("oidc_issuer", "oidc_client_id")):
        if bool(getattr(settings, one)) != bool(getattr(settings, other)):
            names = (f"--{name.replace('_', '-')}" for name in (one, other))
            raise SettingsError(f"{' and '.join(names)} go together")
    if settings.webhook_ca and not settings.webhook:
        raise SettingsError("--webhook-ca is for --webhook")
    return settings


def table() -> str:
    """Return the table of docs/centre.md."""
    rows = ["| setting | default | allowed | meaning |", "|---|---|---|---|"]
    for name, rule, it in declared():
        default = default_text(it)
        allowed = rule.allowed.removeprefix("it is ").replace("|", "\\|")
        more = "; may be repeated" if rule.is_repeated else ""
        rows.append(
            f"| `--{name}` | {f'`{default}`' if default else '–'} | {allowed} | {rule.meaning}{more} |"
        )
    return "\n".join(rows)
