"""What the protected person reads, in four languages: a file each, and no word in it tells what this is.

`page` is what the page shows, `notices` what is wrong and what to do: the longest match of a trouble's
place and reason, then its place, then the empty one. A place is the first word of `Trouble.where`.
"""

import json
import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from bridge.model import Trouble

LANGUAGES = ("fr", "nl", "de", "en")
NAME = "Tag"
_DEFAULT = "en"
_SAME = {"supervision": "centre", "stream": "centre"}  # to the protected person they are one


@cache
def _file(language: str) -> dict[str, Any]:
    words: dict[str, Any] = json.loads((Path(__file__).parent / f"{language}.json").read_text("utf-8"))
    return words


def page(language: str, name: str = NAME) -> dict[str, str]:
    """Return the page's words; what else is in {} the page itself puts in."""
    return {key: text.replace("{name}", name) for key, text in _file(language)["page"].items()}


def notice(trouble: Trouble, language: str | None, name: str = NAME) -> tuple[str, str]:
    """Return `(summary, body)`: what is wrong and what to do. `language` empty: this session's."""
    notices = _file(choose(None, language, of_session(os.environ)))["notices"]
    place = place_of(trouble)
    for key in (f"{place}.{trouble.reason}", place, ""):
        if key in notices:
            summary, body = (text.replace("{name}", name) for text in notices[key])
            return summary, body
    raise AssertionError("every language has the empty notice")


def place_of(trouble: Trouble) -> str:
    """Return what the trouble is about: the first word of its `where`; the rest says which of them."""
    place = trouble.where.partition(" ")[0]
    return _SAME.get(place, place)


def choose(asked: str | None, setting: str | None, accepted: str) -> str:
    """Return one of LANGUAGES: as asked on the page, else as set, else as the browser has it, else English.

    `accepted` is a value of `Accept-Language` (RFC 9110, 12.5.4).
    """
    for wanted in (asked, setting):
        if wanted in LANGUAGES:
            return wanted
    liked: list[tuple[float, str]] = []
    for item in accepted[:200].split(","):
        tag, _, weight = item.partition(";")
        language = re.split("[-_.@]", tag.strip())[0].lower()
        try:
            quality = float(weight.strip().removeprefix("q=") or 1)
        except ValueError:
            quality = 0.0
        if language in LANGUAGES and quality > 0:
            liked.append((quality, language))
    return max(liked, key=lambda item: item[0])[1] if liked else _DEFAULT


def of_session(environ: Mapping[str, str]) -> str:
    """Return the session's language as POSIX has it ("nl_BE.UTF-8"); `choose` takes it."""
    return next((value for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := environ.get(name))), "")
