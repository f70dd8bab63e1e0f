"""People who do not exist, for the demo, the pictures in docs/ and the tests."""

import struct
import zlib

from centre.rules.cases import Address, CaseFile, Child, Person, SafeContact, Stalker

EXAMPLE = CaseFile(
    number="EX-2026/0042",
    danger="very_high",
    person=Person(
        name="Ann Example",
        born_on="1991-04-12",
        phone="+32 400 00 00 42",
        ringing="never: he may hold it",
        speaks="French, Dutch",
        note="Her sister Eve Example has a key.",
    ),
    stalker=Stalker(
        name="Max Sample",
        born_on="1986-09-30",
        relation="former partner, restraining order since March",
        looks="1.85 m, thin, grey beard, a scar over the left eyebrow",
        vehicle="grey estate car, 1-EXA-001",
        weapons="hunting knife; threatened with it in May",
        note="Follows her to work; knows the back entrance.",
    ),
    do_first="Two patrols. One to her, one to the car park behind the house: he waits there.",
    standing_orders="Arrest on sight within 500 m of her home. Tell the duty magistrate.",
    contact=SafeContact("Eve Example, her sister", "+32 400 00 00 43", "at any hour; she lives elsewhere"),
    addresses=(
        Address(
            "home",
            "Rue de l'Exemple 1, 1000 Bruxelles",
            "second floor, back entrance by the car park",
            "50.8466, 4.3528",
        ),
        Address("work", "Sample Bakery, Voorbeeldstraat 2, 1000 Brussel", position="50.8553, 4.3690"),
    ),
    children=(Child("Lou Example", "2019-06-01", "Example school, until 15:30"),),
)


def placeholder(shade: int = 120, side: int = 96) -> bytes:
    """A PNG that plainly is no photo: a drawn head and shoulders, grey on grey."""
    rows = bytearray()
    for y in range(side):
        rows.append(0)  # no filter
        for x in range(side):
            head = (x - side / 2) ** 2 + (y - side * 0.36) ** 2 < (side * 0.2) ** 2
            shoulders = ((x - side / 2) / 0.38) ** 2 + ((y - side) / 0.36) ** 2 < side**2
            rows.append(shade if head or shoulders else 225)
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(rows), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )
