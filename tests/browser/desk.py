"""What the tests of the operator's page have in hand: an invented case, a photo, a walk."""

import struct
import zlib
from pathlib import Path

from centre.core import open_core
from centre.home import Home
from centre.rules import access, times
from centre.rules.cases import Address, CaseFile, Child, Person, Stalker
from centre.rules.grants import FIRST, LAST
from centre.work import cases, grants, handouts
from tests.unit.centre.parts import FIX, signed_in

# Nobody; numbers that Belgium keeps unused.
FILE = CaseFile(
    number="XX.00.123456/26",
    danger="very_high",
    person=Person(
        name="Example Lies Voorbeeld",
        born_on="1991-04-17",
        phone="+32 470 00 00 00",
        speaks="Nederlands, français",
        note="Asthma. Speaks softly on purpose when he is near.",
    ),
    stalker=Stalker(
        name="Invented Jan Verzonnen",
        born_on="1986-09-02",
        relation="former partner, restraining order since 2026-06-01",
        looks="1.85 m, short fair hair, limps on the left",
        vehicle="grey VW Golf, 1-XXX-000",
        weapons="hunting rifle, not handed in",
        note="Was soldier; calm until he is spoken to.",
    ),
    do_first="Two patrols, no siren in the street. Do NOT ring her phone. "
    "Ring the school: keep the child inside.",
    standing_orders="Take him in on sight: order 2026/441. Neighbour at 14 has a key.",
    addresses=(
        Address("home", "Voorbeeldstraat 12, 1000 Brussel", "2nd floor, code 0000#"),
        Address("work", "Bakkerij Fictie, Nergensplein 3, 1000 Brussel"),
    ),
    children=(Child("Noor", "2018-02-11", "school De Verzinsels, Nergenslaan 8, until 15:30"),),
)


def hand_out(home: Path, device_id: str, file: CaseFile = FILE, photo: bytes = b"") -> str:
    """The button serves a new case; its case_id."""
    core = open_core(Home(home))
    try:
        known = core.store.one("user_of_login", login="case-manager")
        manager = (
            access.Caller(known["user_id"], known["name"], access.CASE_MANAGER, "5340", "en", "")
            if known
            else signed_in(core, access.CASE_MANAGER, zone="5340")
        )
        case_id = cases.open_case(core, manager, file)
        grants.record(core, manager, case_id, "PR 1", FIRST, LAST, LAST)
        handouts.hand_out(core, manager, case_id, device_id)
        if photo:
            core.store.db.execute(
                "INSERT INTO photos VALUES (?, 'stalker', 'image/png', ?)",
                (case_id, core.sealer.seal(f"photo:{case_id}:stalker", photo)),
            )
        return case_id
    finally:
        core.store.close()


def hostile(text: str) -> CaseFile:
    """The invented case with `text` in every field that takes any."""
    return CaseFile(
        text,
        "extreme",
        Person(text, text, text, text, text),
        Stalker(text, text, text, text, text, text, text),
        text,
        text,
        (Address(text, text, text),),
        (Child(text, text, text),),
    )


def face(width: int = 90, height: int = 120) -> bytes:
    """A PNG of nobody: a head and shoulders in grey."""

    def pixel(x: int, y: int) -> int:
        head = ((x - width / 2) / 22) ** 2 + ((y - 42) / 28) ** 2 < 1
        body = ((x - width / 2) / 42) ** 2 + ((y - 122) / 46) ** 2 < 1
        return 90 if head else 70 if body else 185

    rows = b"".join(b"\0" + bytes(pixel(x, y) for x in range(width)) for y in range(height))

    def chunk(kind: bytes, content: bytes) -> bytes:
        summed = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + summed

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def walk(now_ms: int, count: int = 24, every_ms: int = 10_000) -> list[dict[str, object]]:
    """Positions of somebody who walks, the last one taken now; two of them doubtful."""
    fixes: list[dict[str, object]] = []
    for n in range(count):
        at_ms = now_ms - (count - 1 - n) * every_ms
        lat, lon = 50.8466 + n * 0.00022, 4.3528 + (n % 9) * 0.00012 + n * 0.00012
        more: dict[str, object] = {}
        if n == count // 2:
            lat, lon, more = lat + 0.004, lon + 0.005, {"marks": ["jump"]}
        if n == count // 3:
            more = {"marks": ["stale"], "method": "CELL", "radius_m": 400}
            lat -= 0.001
        at = {"taken_at": times.write(at_ms), "source": "gpsd"}
        fixes.append(FIX | {"lat": lat, "lon": lon, "radius_m": 12 + n % 5} | at | more)
    return fixes
