"""What people type: which characters are taken, and what counts as the same when it is looked for. Pure.

Letters, marks and joiners of every script are taken. Refused are controls, which no page can show, and what
turns the direction of writing round for the text behind it, which would show it as another one.
"""

import re
import unicodedata

from centre.rules.refusals import Refused

ZONE_CHARS_MAX = 60
PHONE_DIGITS_MIN = 6
# What of a number is the same with and without the code of its country, and its leading nought.
PHONE_DIGITS_COMPARED = 8

_OVERRIDES = "\N{LEFT-TO-RIGHT OVERRIDE}\N{RIGHT-TO-LEFT OVERRIDE}"
_CLOSES = {  # an embedding is good where it ends: phones write numbers so
    "\N{LEFT-TO-RIGHT EMBEDDING}": "\N{POP DIRECTIONAL FORMATTING}",
    "\N{RIGHT-TO-LEFT EMBEDDING}": "\N{POP DIRECTIONAL FORMATTING}",
    "\N{LEFT-TO-RIGHT ISOLATE}": "\N{POP DIRECTIONAL ISOLATE}",
    "\N{RIGHT-TO-LEFT ISOLATE}": "\N{POP DIRECTIONAL ISOLATE}",
    "\N{FIRST STRONG ISOLATE}": "\N{POP DIRECTIONAL ISOLATE}",
}
_UNSEEN = ("Zs", "Cf")  # blanks and joiners
_ZONE_SIGNS = " -–'’.,/()&"
_LATIN_WITH = re.compile(r"LATIN (?:SMALL|CAPITAL) LETTER (?:DOTLESS )?([A-Z])(?: WITH .*)?")
_LETTERS = {"æ": "ae", "œ": "oe", "þ": "th", "ð": "d", "ŋ": "n", "ĸ": "k", "ي": "ی", "ى": "ی", "ك": "ک"}
_PHONE = re.compile(r"[+(]?[0-9][0-9 ()/.\-]*")


def clean(value: str) -> str:
    """Return the text as it is kept: composed, with plain line ends, without blanks around it.

    What has nothing in it that can be seen is empty.
    """
    value = re.sub("\r\n?|[\u2028\u2029]", "\n", value)
    value = unicodedata.normalize("NFC", value).strip()
    return value if any(unicodedata.category(c) not in _UNSEEN for c in value) else ""


def check(value: str, field: str, chars_max: int, *, is_long: bool = False) -> str:
    """Return the text, which is of one line if it is not `is_long`.

    Raises Refused("bad_text"), with a sentence that is true of it.
    """
    if len(value) > chars_max:
        detail = f"{field} may have at most {chars_max} characters; these are {len(value)}"
        raise Refused("bad_text", detail, field=field)
    if not is_long and "\n" in value:
        raise Refused("bad_text", f"{field} is one line, and has a line end in it", field=field)
    odd = next((c for c in value if _is_control(c)), None)
    if odd is not None:
        raise Refused("bad_text", f"{field} has a control character in it (U+{ord(odd):04X})", field=field)
    odd = next(filter(None, map(_turning, value.split("\n"))), None)
    if odd is not None:
        detail = f"{field} has a character that turns the direction of writing round (U+{ord(odd):04X})"
        raise Refused("bad_text", detail, field=field)
    return value


def _is_control(c: str) -> bool:
    """Return whether it is a control, half a character or none at all (Unicode 16.0, 23)."""
    is_none = ord(c) & 0xFFFE == 0xFFFE or 0xFDD0 <= ord(c) <= 0xFDEF
    return is_none or (unicodedata.category(c) in ("Cc", "Cs") and c not in "\t\n")


def _turning(line: str) -> str | None:
    """Return what turns the direction of the line round and does not turn it back, if anything does."""
    is_open: list[str] = []
    for c in line:
        if c in _OVERRIDES:
            return c
        if c in _CLOSES:
            is_open.append(c)
        elif is_open and c == _CLOSES[is_open[-1]]:
            is_open.pop()
    return is_open[-1] if is_open else None


def zone(value: str) -> str:
    """Return the name of a police zone: letters, digits and a few signs, and no sign first.

    Raises Refused("bad_text").
    """
    value = check(clean(value), "zone", ZONE_CHARS_MAX)
    good = all(unicodedata.category(c)[0] in "LMN" or c in _ZONE_SIGNS for c in value)
    if not (value[:1].isalnum() and good):
        detail = f"a zone's name begins with a letter or a digit, and has letters, digits and {_ZONE_SIGNS}"
        raise Refused("bad_text", detail, field="zone")
    return value


def fold(text: str) -> str:
    """Return the text without case, diacritics and joiners; a letter with a stroke is that letter."""
    plain = unicodedata.normalize("NFKD", text.casefold()).casefold()
    return "".join(_folded(c) for c in plain)


def _folded(c: str) -> str:
    if c.isascii():
        return c
    if unicodedata.combining(c) or unicodedata.category(c) == "Cf":
        return ""
    if c in _LETTERS:
        return _LETTERS[c]
    if c.isdecimal():
        return str(unicodedata.decimal(c))
    latin = _LATIN_WITH.fullmatch(unicodedata.name(c, ""))
    return latin[1].lower() if latin else c


def words(text: str) -> list[str]:
    """Split a text into words as they are looked for: folded, and without punctuation."""
    return "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in fold(text)).split()


def phone(text: str) -> str | None:
    """Return what is compared of a telephone number, or None: it is none."""
    number = fold(text).strip()
    digits = re.sub("[^0-9]", "", number)
    if len(digits) < PHONE_DIGITS_MIN or not _PHONE.fullmatch(number):
        return None
    return f"+{digits[-PHONE_DIGITS_COMPARED:]}"
