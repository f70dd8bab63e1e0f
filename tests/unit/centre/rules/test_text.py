"""Which characters are taken of what people type, and what is found by which words."""

import csv
import io
from collections.abc import Callable

import pytest

from centre.console.spreadsheet import as_csv
from centre.rules import text
from centre.rules.refusals import Refused

TAKEN = {
    "no-break space": "Anne\u00a0Dupont",
    "zero-width non-joiner": "می‌خواهم",
    "joined emoji": "👨\u200d👩\u200d👧",
    "tab": "floor 2\tleft",
    "soft hyphen": "Donau\u00addampfschiff",
    "flag of tags": "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "marks of a direction": "\u200fעברית\u200e",
    "an embedding that ends, as phones write numbers": "\u202a+32 470 12 34 56\u202c",
    "an isolate that ends": "\u2068Zoë\u2069",
    "byte order mark": "\ufeffAnn",
    "virama and vowel signs": "हिन्दी",
    "newer than this Python": "Ann \U0001fae9",
    "somebody's own": "Ann \ue000",
}
REFUSED = {
    "nul": "a\x00b",
    "escape": "a\x1b[2Jb",
    "bell": "a\x07",
    "delete": "a\x7fb",
    "C1 control": "a\x9bb",
    "vertical tab": "a\x0bb",
    "half a character": "half \ud83d",
    "no character": "a\uffffb",
    "right to left": "exe.\u202egpj",
    "left to right": "a\u202db",
    "embedding without end": "a\u202bb",
    "isolate without end": "a\u2067b",
    "isolate that ends in another way": "a\u2066b\u202c",
}


@pytest.mark.parametrize("typed", TAKEN.values(), ids=TAKEN)
def test_letters_and_joiners_of_every_script_are_taken(typed: str) -> None:
    """As they were typed, in a line and in a text."""
    assert text.clean(typed) == typed
    for is_long in (False, True):
        assert text.check(typed, "note", 100, is_long=is_long) == typed


@pytest.mark.parametrize("typed", REFUSED.values(), ids=REFUSED)
def test_controls_and_turned_directions_are_refused_by_their_number(typed: str) -> None:
    """Nothing is cut out behind anybody's back; the sentence names what is in it."""
    with pytest.raises(Refused, match="bad_text") as refused:
        text.check(text.clean(typed), "note", 100, is_long=True)
    assert refused.value.field == "note"
    number = refused.value.detail.rpartition("U+")[2][:4]
    assert chr(int(number, 16)) in typed


@pytest.mark.parametrize("ends", ["\r\n", "\r", "\n", "\u2028", "\u2029"])
def test_a_line_end_is_one_whatever_wrote_it(ends: str) -> None:
    """A text has them, a line has none."""
    value = text.clean(f"one{ends}two")
    assert text.check(value, "note", 100, is_long=True) == "one\ntwo"
    with pytest.raises(Refused, match="bad_text"):
        text.check(value, "note", 100)


@pytest.mark.parametrize("typed", ["", " \t ", "\u200b", "\u200d\u00ad\ufeff", "\u00a0\u2003", "\u2060"])
def test_what_cannot_be_seen_is_empty(typed: str) -> None:
    """However many characters it has."""
    assert text.clean(typed) == ""


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("Đặng Thị", "dang thi"),
        ("Łukasz Wałęsa", "lukasz walesa"),
        ("Bjørn Åse", "bjorn ase"),
        ("Groß", "gross"),
        ("GROẞ", "groß"),
        ("Işık İpek", "isik ipek"),
        ("Ægir Œuvre", "aegir oeuvre"),
        ("Þór Guðrún", "thor gudrun"),
        ("Ħal Ŧest", "hal test"),
        ("ŠĐEPAN", "sdepan"),
        ("Ιησούς", "ΙΗΣΟΥΣ"),
        ("Ёлкин", "елкин"),
        ("ﬁ Ｗｉｄｅ", "fi wide"),
        ("على كريم", "علی کریم"),
        ("می‌خواهم", "میخواهم"),
        ("soft\u00adhyphen", "softhyphen"),
        ("O’Brien-Smith", "o'brien smith"),
    ],
)
def test_words_are_the_same_without_case_diacritics_and_strokes(written: str, asked: str) -> None:
    """Whichever of both is in the file, and whichever is typed."""
    assert text.words(written) == text.words(asked) != []


@pytest.mark.parametrize(
    "written",
    ["+32 470 12 34 56", "0470/12.34.56", "0032470123456", "\u202a(0470) 12-34-56\u202c", "٠٤٧٠١٢٣٤٥٦"],
)
def test_a_telephone_number_is_the_same_however_it_is_written(written: str) -> None:
    """With the code of the country or without it."""
    assert text.phone(written) == text.phone("0470 12 34 56") is not None


@pytest.mark.parametrize("written", ["", "112", "Ann 0470123456", "BX-2026/0042", "1.2.3", "+"])
def test_what_is_no_telephone_number_is_none(written: str) -> None:
    """A name, a case's number, a short one."""
    assert text.phone(written) is None


@pytest.mark.parametrize(
    "name", ["5340", "Liège", "Gent, Zuid", "Montgomery (5343)", "St-Josse & co", "हिन्दी"]
)
def test_a_zone_has_a_name(name: str) -> None:
    """Of any script, with a few signs."""
    assert text.zone(f" {name} ") == name


@pytest.mark.parametrize(
    "name", ["", "=1+1", "+1", "-1", "@A1", "1=2", "a;b", "<b>", "\u200b", "x" * 61, "a\nb"]
)
def test_what_is_no_zones_name_is_refused(name: str) -> None:
    """A formula, a sign first, markup, nothing."""
    with pytest.raises(Refused, match="bad_text"):
        text.zone(name)


@pytest.mark.parametrize(
    "sign", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", " =", "\u00a0@"]
)
@pytest.mark.parametrize(
    "place", [lambda cell: [[cell, 1]], lambda cell: [[1, cell]], lambda cell: [["a"], [cell]]]
)
def test_no_cell_is_run_by_a_spreadsheet(sign: str, place: Callable[[str], list[list[object]]]) -> None:
    """In whichever column and row; numbers stay numbers."""
    cell = f"{sign}HYPERLINK(1)"
    rows = list(csv.reader(io.StringIO(as_csv([*place(cell), [-1]]), newline="")))
    assert f"'{cell}" in [one for row in rows for one in row]
    assert rows[-1] == ["-1"]
