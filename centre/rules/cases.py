"""What a case's file holds. Pure."""

import json
from dataclasses import asdict, dataclass

DANGERS = ("high", "very_high", "extreme")
SHOWS = ("stalker", "person", "vehicle")  # what a photo can show


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    born_on: str = ""  # YYYY-MM-DD
    phone: str = ""
    speaks: str = ""
    note: str = ""


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


@dataclass(frozen=True, slots=True)
class Child:
    name: str
    born_on: str = ""
    where: str = ""  # school, nursery, ...


@dataclass(frozen=True, slots=True)
class CaseFile:
    """Why she has a button, and what whoever goes to her must know."""

    number: str  # the police's own reference
    danger: str  # one of DANGERS
    person: Person
    stalker: Stalker
    do_first: str
    standing_orders: str = ""
    addresses: tuple[Address, ...] = ()
    children: tuple[Child, ...] = ()


def write(file: CaseFile) -> bytes:
    return json.dumps(asdict(file), ensure_ascii=False, separators=(",", ":")).encode()


def read(content: bytes) -> CaseFile:
    """What `write` has written."""
    whole = json.loads(content)
    return CaseFile(
        **whole
        | {
            "person": Person(**whole["person"]),
            "stalker": Stalker(**whole["stalker"]),
            "addresses": tuple(Address(**address) for address in whole["addresses"]),
            "children": tuple(Child(**child) for child in whole["children"]),
        }
    )
