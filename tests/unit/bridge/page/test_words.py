"""The page's words: the same in four languages, and none that tells what this is."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from bridge.model import Trouble
from bridge.page import words
from bridge.page.words import choose, notice, of_session
from tests.unit.bridge.page.parts import FORBIDDEN

PAGE = Path(words.__file__).parents[1]


def file(language: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((PAGE / f"words/{language}.json").read_text("utf-8"))
    return data


def sentences(language: str) -> dict[str, str]:
    data = file(language)
    page: dict[str, str] = data["page"]
    return page | {
        f"{key}/{n}": text for key, texts in data["notices"].items() for n, text in enumerate(texts)
    }


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_every_language_says_the_same_things(language: str) -> None:
    """The same keys and the same placeholders; nothing is empty, and nothing is left in English."""
    mine, english = sentences(language), sentences("en")
    assert list(mine) == list(english)
    for key, text in mine.items():
        assert text.strip() == text != ""
        # A name may be said once more or less, where grammar wants it; anything else may not.
        fields = [set(re.findall(r"\{(?!name)\w+\}", one)) for one in (text, english[key])]
        assert fields[0] == fields[1], key
        assert "{" not in re.sub(r"\{\w+\}", "", text), key
        if len(english[key]) > 25 and language != "en":
            assert text != english[key]


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_no_word_tells_what_it_is(language: str) -> None:
    """On the page and in the desktop's notices."""
    for key, text in sentences(language).items():
        assert not FORBIDDEN.search(text), f"{key}: {text}"


def test_no_file_that_a_browser_gets_tells_it_either() -> None:
    """Names in the source, too: somebody may open it."""
    for name in ("page.html", "page.js", "page.css", "icon.svg"):
        found = FORBIDDEN.search((PAGE / name).read_text("utf-8"))
        assert not found, f"{name}: {found}"


def test_the_page_asks_for_no_word_that_there_is_not() -> None:
    """And there is none that it does not use."""
    html, script = ((PAGE / name).read_text("utf-8") for name in ("page.html", "page.js"))
    used = set(re.findall(r'data-(?:word|label)="(\w+)"', html))
    used |= set(re.findall(r"\bwords\.(\w+)", script))
    literal = set(re.findall(r'"(\w+)"', script))
    known = set(file("en")["page"])
    made = {key for key in known if re.match(r"(stage|step|hint|undo)_", key)}
    assert used <= known
    assert known - used - made <= literal, known - used - made - literal


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_a_notice_says_what_is_wrong_and_what_to_do(language: str) -> None:
    """The nearest that there are words for: reason, place, or a sentence that always holds."""
    there = file(language)["notices"]

    def said(where: str, reason: str) -> tuple[str, str]:
        return notice(Trouble(where, reason, "the centre refused", 0), language, "Pebble")

    for where, reason, key in (
        ("radio", "bluetooth_off", "radio.bluetooth_off"),
        ("radio", "bluetooth_odd", "radio"),
        ("elsewhere", "odd", ""),
        ("button DEVICEA reach", "out_of_reach", "button.out_of_reach"),
        ("supervision", "revoked", "centre.revoked"),
    ):
        assert said(where, reason) == tuple(text.replace("{name}", "Pebble") for text in there[key])


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_every_notice_is_made_of_whole_sentences(language: str) -> None:
    """Each begins with a capital or the name, and ends; the title is one, without its full stop."""
    for key, (title, text) in file(language)["notices"].items():
        assert title[-1] not in ".:;,…", key
        for sentence in (title, *re.split(r"(?<=[.!?]) ", text)):
            assert re.match(r"[A-ZÀ-Ý]|\{name\}", sentence), f"{key}: {sentence}"
        assert text.endswith("."), key


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_whatever_is_wrong_with_the_radio_says_that_nothing_is_heard(language: str) -> None:
    """Also while it is restarting: nobody is to trust a click then."""
    notices = file(language)["notices"]
    deaf = notices["radio"][1].partition(". ")[0]
    for key in (key for key in notices if key.startswith("radio")):
        assert notices[key][1].startswith(f"{deaf}. "), key


def test_the_guide_of_the_page_explains_what_the_page_says() -> None:
    """Every stage, every outcome of a call-off, every step of a test; in the page's own words."""
    guide = (PAGE.parents[1] / "docs/page.md").read_text("utf-8")
    for key, text in file("en")["page"].items():
        if re.match(r"stage_|step_|undo_(?!title|say|failed)|check$|undo$", key):
            assert text.replace("{name}", "Tag").split(". Ask")[0] in guide, key
    for picture in re.findall(r'src="([^"]+)"', guide):
        assert (PAGE.parents[1] / "docs" / picture).exists()


@pytest.mark.parametrize(
    ("asked", "setting", "accepted", "language"),
    [
        (None, None, "", "en"),
        (None, "", "de-AT,de;q=0.9", "de"),
        (None, "nl", "de", "nl"),
        ("fr", "nl", "de", "fr"),
        ("xx", None, "es, fr;q=0.2, nl;q=0.3", "nl"),
        (None, None, "frr, *;q=0.1", "en"),
        (None, None, "nl;q=0, de;q=x", "en"),
        (None, None, "nl_BE.UTF-8", "nl"),
        (None, None, "," * 100_000, "en"),
    ],
)
def test_whose_language_it_is(asked: str | None, setting: str | None, accepted: str, language: str) -> None:
    """As asked on the page, as set, as the browser would have it, else English."""
    assert choose(asked, setting, accepted) == language


def test_a_notice_on_the_desktop_is_in_the_sessions_language() -> None:
    """Where none is set."""
    assert of_session({"LANG": "de_BE.UTF-8", "LC_ALL": ""}) == "de_BE.UTF-8"
    assert choose(None, None, of_session({"LC_MESSAGES": "fr_BE", "LANG": "C"})) == "fr"
    assert of_session({}) == ""
