"""What the pages say, in four languages: a JSON file each, one object per page, the same keys in all.

A value may hold {names} in braces, filled in by whoever asks; filling and escaping is the template's work.
"""

import json
import re
from functools import cache
from pathlib import Path

from centre.rules.access import LANGUAGES

_DEFAULT = "en"


@cache
def _file(language: str) -> dict[str, dict[str, str]]:
    text = (Path(__file__).parent / f"{language}.json").read_text("utf-8")
    words: dict[str, dict[str, str]] = json.loads(text)
    return words


def say(language: str, key: str, **values: object) -> str:
    """The words of `key`, a page and a name as in "board.calm". Raises KeyError where there are none."""
    page, _, name = key.partition(".")
    text = _file(language)[page][name]
    return text.format(**values) if values else text


def of_page(language: str, page: str) -> dict[str, str]:
    """All words of one page, for its script."""
    return dict(_file(language)[page])


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
