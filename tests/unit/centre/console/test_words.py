"""The pages speak four languages, and each says all that the others say."""

import json
import re
from pathlib import Path

import pytest

from centre.console import words
from centre.rules.access import LANGUAGES

FILES = sorted(Path(words.__file__).parent.glob("*.json"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_language_says_everything(path: Path) -> None:
    """Each key in all four, none empty, with the same {names} in them."""
    for key, said in json.loads(path.read_text("utf-8")).items():
        assert tuple(said) == LANGUAGES, key
        assert all(text.strip() for text in said.values()), key
        assert len({tuple(sorted(re.findall(r"\{\w*\}", text))) for text in said.values()}) == 1, key


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_key_is_there_twice(path: Path) -> None:
    """The second would be said in the place of the first, without a word."""

    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        keys = [key for key, _ in pairs]
        assert sorted(keys) == sorted(set(keys))
        return dict(pairs)

    json.loads(path.read_text("utf-8"), object_pairs_hook=once)


def test_no_line_of_french_begins_with_a_colon() -> None:
    """French has a space before it, which does not break; and no page writes one of its own behind a word."""
    assert words.say("fr", "board.duress").startswith("CONTRAINTE\N{NO-BREAK SPACE}:")
    for path in FILES:
        for key in json.loads(path.read_text("utf-8")):
            assert not re.search(r"« | [:;!?»]", words.say("fr", f"{path.stem}.{key}")), key
    for path in FILES[0].parents[2].glob("templates/*.html"):
        assert not re.search(r"\{\{ t\([^}]*\) \}\}:", path.read_text("utf-8")), path.name


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("nl-BE,nl;q=0.9,en;q=0.8", "nl"),
        ("en;q=0.4, de-AT;q=0.7, it", "de"),
        ("", "en"),
        ("it, *", "en"),
        ("fr;q=0, nl;q=0", "en"),
        ("fr;q=x", "fr"),
    ],
)
def test_the_language_is_the_one_that_the_browser_would_have(accepted: str, language: str) -> None:
    """RFC 9110, 12.5.4; English where it wants none of ours."""
    assert words.choose(accepted) == language
