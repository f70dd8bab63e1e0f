"""What the pages say, in four languages: one JSON file per page, each key with all four side by side.

A text may hold {names} in braces, filled in by whoever asks; filling and escaping is the template's work.
"""

import json
import re
from functools import cache
from pathlib import Path

from centre.rules import battery
from centre.rules.access import LANGUAGES
from centre.rules.cases import LISTS

_DEFAULT = "en"


@cache
def _words() -> dict[str, dict[str, str]]:
    """By "page.key", then by language."""
    return {
        f"{path.stem}.{key}": said | {"fr": _held_together(said["fr"])}
        for path in sorted(Path(__file__).parent.glob("*.json"))
        for key, said in json.loads(path.read_text("utf-8")).items()
    }


def _held_together(french: str) -> str:
    """With spaces that do not break where French has one beside a sign: no line begins with a colon."""
    return re.sub("« ", "«\N{NO-BREAK SPACE}", re.sub(" (?=[:;!?»])", "\N{NO-BREAK SPACE}", french))


def say(language: str, key: str) -> str:
    """Return the words of `key`, a page and a name as in "board.calm". Raises KeyError without any."""
    return _words()[key][language]


def find(language: str, key: str) -> str | None:
    """Return the words of `key`, or None without any: of what is a name in the code, and may be new."""
    said = _words().get(key)
    return said[language] if said else None


def charge(language: str, battery_mv: int, is_low: bool) -> str:
    """Return a button's voltage with a word for it: `2.95 V (change the battery)`."""
    word = say(language, f"common.battery_{battery.charge(battery_mv, is_low)}")
    return f"{battery.told(battery_mv)} ({word})"


def of_page(language: str, page: str) -> dict[str, str]:
    """All words of one page, for its script."""
    start = f"{page}."
    return {key[len(start) :]: said[language] for key, said in _words().items() if key.startswith(start)}


def of_field(name: str) -> list[str]:
    """Return the words by which people know a field of a case's file, as "addresses.0.what"."""
    parts = [part for part in name.split(".") if not part.isdigit()]
    if parts[0] in LISTS:
        return [f"cases.{parts[0]}", f"cases.{parts[0]}_{parts[1]}"]
    return [f"cases.{part}" for part in parts]


def choose(accepted: str) -> str:
    """One of LANGUAGES, as `Accept-Language` would have it (RFC 9110, 12.5.4); else English."""
    liked: list[tuple[float, str]] = []
    for item in accepted[:200].split(","):
        tag, _, weight = item.partition(";")
        language = tag.strip()[:2].lower()
        quality = re.fullmatch(r"\s*q=([01](?:\.[0-9]{0,3})?)\s*", weight)
        if language in LANGUAGES:
            liked.append((float(quality[1]) if quality else 1.0, language))
    best = max(liked, key=lambda item: item[0], default=(0.0, _DEFAULT))
    return best[1] if best[0] > 0 else _DEFAULT
