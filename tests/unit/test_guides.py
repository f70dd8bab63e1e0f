"""The protected person's guide and card: short, plain, alike in four languages; the card tells nothing."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from bridge.page.words import LANGUAGES
from firmware.board.feedback import PATTERNS
from firmware.board.press import NOT_CONFIRMED, TAKEN
from tests.unit.bridge.page.parts import FORBIDDEN
from wire.receipts import ACKNOWLEDGED, CLOSED, DISPATCHED, RECEIVED

DOCS = Path(__file__).resolve().parents[2] / "docs"
WORDS_MAX = 400
LIX_MAX = 40.0  # "easy", as newspapers for young readers
LONG_MS = 300  # a pulse of at least this length is drawn as a bar
ORDER = (TAKEN, RECEIVED, ACKNOWLEDGED, DISPATCHED, CLOSED, NOT_CONFIRMED)
SVG = "{http://www.w3.org/2000/svg}"


def guide(language: str) -> str:
    suffix = "" if language == "en" else f".{language}"
    return (DOCS / f"protected-person{suffix}.md").read_text("utf-8")


def sentences(text: str) -> list[list[str]]:
    """Return the words of each sentence; a table's cell, a heading and an entry of a list end one, too."""
    text = re.sub(r"^\*\[.*\n", "", text, flags=re.MULTILINE)  # the way to the other languages
    text = re.sub(r"\]\([^)]*\)", "]", text)
    blocks = re.sub(r"^\|[-|]+\|$", "", text, flags=re.MULTILINE)
    blocks = re.sub(r"^(#+ .*|\|.*|\* .*)$", r"\n\1\n", blocks, flags=re.MULTILINE)
    parts = [part for block in blocks.split("\n\n") for part in re.split(r"[.!?:|]", block)]
    return [words for part in parts if (words := re.findall(r"[\w’'-]*\w", part))]


def patterns(text: str) -> list[str]:
    return re.findall(r"^\| ([●━]+) \|", text, flags=re.MULTILINE)


def drawn(name: object) -> str:
    return "".join("━" if ms >= LONG_MS else "●" for ms in PATTERNS[name][::2])


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_guide_is_short_and_plain(language: str) -> None:
    """At most 400 words; reading ease (LIX, Björnsson 1968) at most 40."""
    found = sentences(guide(language))
    words = [word for sentence in found for word in sentence]
    long = [word for word in words if len(word) > 6]
    assert len(words) <= WORDS_MAX
    assert len(words) / len(found) + 100 * len(long) / len(words) <= LIX_MAX


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_guide_says_first_where_to_read_it(language: str) -> None:
    """Before anything that a person who looks over a shoulder could understand."""
    assert guide(language).split("\n\n")[1].startswith("**")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_guide_draws_what_the_hand_feels(language: str) -> None:
    """Every pattern of the button, in the order of a press."""
    assert patterns(guide(language)) == [drawn(name) for name in ORDER]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_guides_have_the_same_parts(language: str) -> None:
    """Nothing is told in one language alone."""
    assert guide(language).count("\n## ") == guide("en").count("\n## ")
    assert guide(language).count("\n* ") == guide("en").count("\n* ")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_card_does_not_say_what_it_is(language: str) -> None:
    """It lies in a purse that somebody else may open."""
    text = (DOCS / "card" / f"{language}.svg").read_text("utf-8")
    assert not FORBIDDEN.search(" ".join(ElementTree.fromstring(text).itertext()))  # noqa: S314 -- our own file
    assert not FORBIDDEN.search(text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_card_draws_what_the_hand_feels(language: str) -> None:
    """A dot for a short pulse, a bar for a long one; one line each, from the first to the last."""
    lines: dict[float, list[tuple[float, str]]] = {}
    for shape in ElementTree.fromstring((DOCS / "card" / f"{language}.svg").read_text("utf-8")):  # noqa: S314
        if shape.tag == f"{SVG}circle":
            lines.setdefault(float(shape.attrib["cy"]), []).append((float(shape.attrib["cx"]), "●"))
        elif shape.tag == f"{SVG}rect" and float(shape.attrib["height"]) < 100:
            middle = float(shape.attrib["y"]) + float(shape.attrib["height"]) / 2
            lines.setdefault(middle, []).append((float(shape.attrib["x"]), "━"))
    assert ["".join(sign for _, sign in sorted(lines[y])) for y in sorted(lines)] == [
        drawn(name) for name in ORDER
    ]
