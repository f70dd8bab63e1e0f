"""Who else advertises where people live, as a scanner hears them: seeded, made up, and pure.

Phones with addresses that change every quarter of an hour and maker's data; beacons; sensors with service
data; gadgets that list one random-looking UUID of version 4, in the very shape of ours; and some of all kinds
that advertise every 20 ms for a while, as a lid is opened or a screen goes on.
"""

import math
import uuid
from collections.abc import Iterator
from random import Random

from sim.physics.medium import ADV_DELAY_US_MAX, FADING_DB, LOSS_1M_DB, ROOM_EXPONENT, TX_DBM
from sim.radio.adverts import Heard

ROTATES_MS = 900_000
PHONES, BEACONS, SENSORS, GADGETS, OPENED = 8, 4, 3, 5, 6
_FLAGS = b"\x02\x01\x06"


def strength_dbm(distance_m: float, random: Random) -> int:
    """As sim/physics/medium.py has it."""
    mean = TX_DBM - LOSS_1M_DB - 10 * ROOM_EXPONENT * math.log10(max(0.1, distance_m))
    return round(mean + random.uniform(-FADING_DB, FADING_DB))


def crowd(seed: int, until_ms: float) -> list[Heard]:
    """All that they send from 0 to `until_ms`, heard without a loss."""
    random = Random(f"crowd {seed}")  # noqa: S311 -- to be the same again
    heard: list[Heard] = []
    for _ in range(PHONES):
        heard += _phone(random, until_ms)
    for _ in range(BEACONS):
        data = _FLAGS + b"\x1a\xff\x4c\x00\x02\x15" + random.randbytes(21)
        heard += _sending(random, 0, until_ms, 760, _static(random), "ADV_NONCONN_IND", data)
    for _ in range(SENSORS):
        data = _FLAGS + b"\x0b\x16\xd2\xfc" + random.randbytes(8)
        heard += _sending(random, 0, until_ms, 1022.5, _public(random), "ADV_IND", data)
    for _ in range(GADGETS):
        interval_ms = random.choice((152.5, 417.5, 1022.5))
        heard += _now_and_then(random, until_ms, interval_ms, _listed(random), 60_000)
    for number in range(OPENED):
        data = _listed(random) if number % 2 else _makers(random)
        heard += _now_and_then(random, until_ms, 20, data, 8_000)
    return sorted(heard)


def _phone(random: Random, until_ms: float) -> Iterator[Heard]:
    at_ms = -random.uniform(0, ROTATES_MS)
    while at_ms < until_ms:
        data = _makers(random)
        yield from _sending(
            random, at_ms, min(at_ms + ROTATES_MS, until_ms), 1022.5, _rpa(random), "ADV_IND", data
        )
        at_ms += ROTATES_MS


def _now_and_then(
    random: Random, until_ms: float, interval_ms: float, data: bytes, for_ms: float
) -> Iterator[Heard]:
    """Draw who is there: some always, with one address; others for a while, with a new one."""
    if interval_ms > 20 and random.random() < 0.4:
        yield from _sending(random, 0, until_ms, interval_ms, _static(random), "ADV_IND", data)
        return
    at_ms = random.uniform(0, min(until_ms, 300_000))
    while at_ms < until_ms:
        address = _static(random) if random.random() < 0.5 else _rpa(random)
        end_ms = min(until_ms, at_ms + for_ms * random.uniform(0.3, 1.7))
        yield from _sending(random, at_ms, end_ms, interval_ms, address, "ADV_IND", data)
        at_ms += random.uniform(120_000, 1_200_000)


def _sending(
    random: Random,
    from_ms: float,
    to_ms: float,
    interval_ms: float,
    address: tuple[str, str],
    kind: str,
    data: bytes,
) -> Iterator[Heard]:
    distance_m = random.uniform(1, 15)
    at_ms = from_ms + random.uniform(0, interval_ms)
    while at_ms < to_ms:
        if at_ms >= 0:
            yield Heard(at_ms, strength_dbm(distance_m, random), *address, kind, data)
        at_ms += interval_ms + random.uniform(0, ADV_DELAY_US_MAX / 1000)


def _makers(random: Random) -> bytes:
    return b"\x02\x01\x1a\x02\x0a\x0c\x0b\xff\x4c\x00\x10\x06" + random.randbytes(6)


def _listed(random: Random) -> bytes:
    drawn = uuid.UUID(bytes=random.randbytes(16), version=4)
    return _FLAGS + b"\x11\x07" + drawn.bytes[::-1]


def _address(random: Random, highest: int) -> str:
    raw = bytearray(random.randbytes(6))
    raw[0] = raw[0] & 0x3F | highest << 6
    return ":".join(f"{byte:02X}" for byte in raw)


def _static(random: Random) -> tuple[str, str]:
    return _address(random, 3), "random"


def _rpa(random: Random) -> tuple[str, str]:
    return _address(random, 1), "random"


def _public(random: Random) -> tuple[str, str]:
    return _address(random, random.randrange(4)), "public"
