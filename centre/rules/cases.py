"""What a case's file holds: read from a form, written, found again by its words. Pure."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from centre.rules import places, text, times
from centre.rules.places import Place
from centre.rules.refusals import Refused

DANGERS = ("high", "very_high", "extreme")
SHOWS = ("stalker", "person", "vehicle")  # what a photo can show

PHOTO_BYTES_MAX = 512 * 1024
ROWS_MAX = 12  # addresses, and children
LINE_CHARS_MAX = 160
TEXT_CHARS_MAX = 2000
WORDS_ASKED_MAX = 4
TEXTS = ("do_first", "standing_orders", "looks", "weapons", "note")  # of more than one line
_BORN = ("1900-01-01", "2199-12-31")
_MAGIC = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n\x1a\n": "image/png"}


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    born_on: str = ""  # YYYY-MM-DD
    phone: str = ""
    ringing: str = ""  # when the own phone may be rung; not said: never
    speaks: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class SafeContact:
    """Whom the centre may ring about the protected person: a sister, a neighbour, a shelter."""

    name: str = ""
    phone: str = ""
    when: str = ""  # it is safe to ring


@dataclass(frozen=True, slots=True)
class Stalker:
    name: str = ""
    born_on: str = ""
    relation: str = ""  # to the person: former partner, ...
    looks: str = ""
    vehicle: str = ""
    weapons: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Address:
    what: str  # home, work, ...
    where: str
    note: str = ""
    position: str = ""  # "latitude, longitude" in degrees: then alarms say how far from here they are


@dataclass(frozen=True, slots=True)
class Child:
    name: str
    born_on: str = ""
    where: str = ""  # school, nursery, ...


@dataclass(frozen=True, slots=True)
class CaseFile:
    """Why the protected person has a button, and what whoever goes there must know.

    These classes are the one list of the file's fields: form, case page, sheet, export and OpenAPI follow it,
    and a test names where one is missing.
    """

    number: str  # the police's own reference
    danger: str  # one of DANGERS
    person: Person
    stalker: Stalker
    do_first: str
    standing_orders: str = ""
    addresses: tuple[Address, ...] = ()
    children: tuple[Child, ...] = ()
    contact: SafeContact = SafeContact()


PARTS: dict[str, type] = {"person": Person, "contact": SafeContact, "stalker": Stalker}
LISTS: dict[str, type] = {"addresses": Address, "children": Child}
SINGLE = tuple(field.name for field in fields(CaseFile) if field.name not in PARTS | LISTS)
FIELD_NAMES = {part: [field.name for field in fields(kind)] for part, kind in (PARTS | LISTS).items()}


def write(file: CaseFile) -> bytes:
    """Write the whole file as JSON."""
    return json.dumps(asdict(file), ensure_ascii=False, separators=(",", ":")).encode()


def read(content: bytes) -> CaseFile:
    """Read what `write` has written."""
    whole = json.loads(content)
    return CaseFile(
        **whole
        | {
            "person": Person(**whole["person"]),
            "stalker": Stalker(**whole["stalker"]),
            "contact": SafeContact(**whole.get("contact", {})),
            "addresses": tuple(Address(**address) for address in whole["addresses"]),
            "children": tuple(Child(**child) for child in whole["children"]),
        }
    )


def from_form(form: Mapping[str, str]) -> CaseFile:
    """Read a form's fields, named as in "person.name" or "addresses.0.where"; empty rows are left out.

    Raises Refused: out_of_range, bad_text, with the field that is to blame.
    """
    values: dict[str, Any] = {name: _value(form, name) for name in SINGLE}
    values |= {part: kind(**_part(form, part, kind)) for part, kind in PARTS.items()}
    values |= {part: tuple(kind(**row) for row in _rows(form, part, kind)) for part, kind in LISTS.items()}
    file = CaseFile(**values)
    if file.danger not in DANGERS:
        raise Refused("out_of_range", f"danger must be one of {', '.join(DANGERS)}", field="danger")
    for name, value in (("number", file.number), ("person.name", file.person.name)):
        if not value:
            raise Refused("out_of_range", f"{name} must not be empty", field=name)
    for number, address in enumerate(file.addresses):
        if address.position and not address.what:  # the board names it; an address has no business there
            at = f"addresses.{number}.what"
            raise Refused("out_of_range", f"{at} must not be empty where there is a position", field=at)
    if not file.do_first:
        raise Refused("out_of_range", "do_first must not be empty", field="do_first")
    return file


def to_form(file: CaseFile) -> dict[str, str]:
    """Write the fields that `from_form` reads back."""
    form: dict[str, str] = {}
    for name, value in asdict(file).items():
        if name in LISTS:
            for number, row in enumerate(value):
                form |= {f"{name}.{number}.{part}": words for part, words in row.items()}
        elif name in PARTS:
            form |= {f"{name}.{part}": words for part, words in value.items()}
        else:
            form[name] = value
    return form


def _part(form: Mapping[str, str], at: str, kind: type) -> dict[str, str]:
    return {field.name: _value(form, f"{at}.{field.name}") for field in fields(kind)}


def _rows(form: Mapping[str, str], at: str, kind: type) -> Iterator[dict[str, str]]:
    for number in range(ROWS_MAX):
        row = _part(form, f"{at}.{number}", kind)
        if any(row.values()):
            yield row


def _value(form: Mapping[str, str], field: str) -> str:
    """Read one field. Raises Refused: out_of_range, bad_text."""
    name = field.rpartition(".")[2]
    value = text.clean(form.get(field, ""))
    if name == "born_on" and value:
        times.check_day(value, *_BORN, field=field)
    is_text = name in TEXTS
    value = text.check(value, field, TEXT_CHARS_MAX if is_text else LINE_CHARS_MAX, is_long=is_text)
    if name == "position" and value:
        _check_position(value, field)
    return value


def _check_position(value: str, field: str) -> None:
    try:
        places.read(value)
    except ValueError as error:
        detail = f"{field}: {error}; write it as in 50.8466, 4.3528"
        raise Refused("out_of_range", detail, field=field) from None


def registered_places(file: CaseFile) -> list[Place]:
    """Return the addresses of which it is known where on earth they are."""
    found = []
    for address in file.addresses:
        with contextlib.suppress(ValueError):
            found.append(Place(address.what, *places.read(address.position)))
    return found


def changed(before: CaseFile, after: CaseFile) -> list[str]:
    """Name the fields that differ; their contents are not for a log."""
    old, new = to_form(before), to_form(after)
    return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


def words_of(file: CaseFile) -> set[str]:
    """Return what a case is found by: the words of its number and names, and telephone numbers."""
    names = [file.number, file.person.name, file.stalker.name, *(child.name for child in file.children)]
    phones = (text.phone(number) for number in (file.person.phone, file.contact.phone))
    return {
        *(word for name in names for word in text.words(name)),
        "".join(text.words(file.number)),
        *filter(None, phones),
    }


def media_type(image: bytes) -> str:
    """Tell a photo's kind by its first bytes. Raises Refused("bad_photo")."""
    if len(image) > PHOTO_BYTES_MAX:
        raise Refused("bad_photo", f"a photo has at most {PHOTO_BYTES_MAX // 1024} KiB", field="photo")
    for magic, kind in _MAGIC.items():
        if image.startswith(magic):
            return kind
    raise Refused("bad_photo", "a photo is a JPEG or a PNG", field="photo")
