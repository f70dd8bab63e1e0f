"""What is said to the wearer, in four languages: a file each, and no word in them that tells what this is.

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
_SAME = {"supervision": "centre", "stream": "centre"}  # to her they are one


@cache
def _file(language: str) -> dict[str, Any]:
    words: dict[str, Any] = json.loads((Path(__file__).parent / f"{language}.json").read_text("utf-8"))
    return words


def page(language: str, name: str = NAME) -> dict[str, str]:
    """The page's words; what else is in {} the page itself puts in."""
    return {key: text.replace("{name}", name) for key, text in _file(language)["page"].items()}


def notice(trouble: Trouble, language: str | None, name: str = NAME) -> tuple[str, str]:
    """`(summary, body)`: what is wrong and what to do. `language` empty: this session's."""
    notices = _file(choose(None, language, of_session(os.environ)))["notices"]
    place = trouble.where.partition(" ")[0]  # the rest says which of them
    place = _SAME.get(place, place)
    for key in (f"{place}.{trouble.reason}", place, ""):
        if key in notices:
            summary, body = (text.replace("{name}", name) for text in notices[key])
            return summary, body
    raise AssertionError("every language has the empty notice")


def choose(asked: str | None, setting: str | None, accepted: str) -> str:
    """One of LANGUAGES: as asked on the page, else as set, else as `Accept-Language` (RFC 9110, 12.5.4)
    would have it, else English."""
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
    """The session's language as POSIX has it ("nl_BE.UTF-8"), as `choose` takes it."""
    return next((value for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := environ.get(name))), "")
