"""When a network has come: a way to somebody else, or the end of a sleep; whatever bytes say so or not."""

import struct

import pytest

from bridge.rules.network_changes import SLEPT_MS_MIN, SleepDetector, has_new_route
from tests.unit.bridge.parts import dice

NEW_ROUTE, GONE_ROUTE, NEW_ADDRESS = 24, 25, 20
UNICAST, LOCAL, BROADCAST = 1, 2, 3


def message(kind: int, route_type: int = UNICAST, attributes: bytes = b"") -> bytes:
    """Return a message as rtnetlink(7) has it."""
    body = struct.pack("=BBBBBBBBI", 2, 0, 0, 0, 254, 3, 0, route_type, 0) + attributes
    padding = -len(body) % 4
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body + bytes(padding)


def test_a_way_to_somebody_else_counts() -> None:
    """Not one that has gone, not this machine's own addresses."""
    assert has_new_route(message(NEW_ROUTE))
    for kind, route_type in (
        (GONE_ROUTE, UNICAST),
        (NEW_ROUTE, LOCAL),
        (NEW_ROUTE, BROADCAST),
        (NEW_ADDRESS, 1),
    ):
        assert not has_new_route(message(kind, route_type))


@pytest.mark.parametrize("seed", range(50))
def test_it_is_found_among_others_wherever_it_stands(seed: int) -> None:
    """Messages have attributes of any length."""
    chance = dice(seed)
    others = [
        message(chance.choice((GONE_ROUTE, NEW_ADDRESS)), UNICAST, chance.randbytes(chance.randint(0, 40)))
        for _ in range(chance.randint(0, 6))
    ]
    assert not has_new_route(b"".join(others))
    others.insert(
        chance.randint(0, len(others)), message(NEW_ROUTE, UNICAST, chance.randbytes(chance.randint(0, 40)))
    )
    assert has_new_route(b"".join(others))


@pytest.mark.parametrize("seed", range(200))
def test_what_is_damaged_is_read_to_its_end(seed: int) -> None:
    """Cut short, with wrong lengths, or no message at all: it neither fails nor goes on for ever."""
    chance = dice(seed)
    datagram = bytearray(message(GONE_ROUTE) * 3 if chance.random() < 0.5 else chance.randbytes(100))
    for _ in range(chance.randint(0, 8)):
        datagram[chance.randrange(len(datagram))] = chance.choice((0, 1, 255, chance.randrange(256)))
    for length in range(len(datagram)):
        has_new_route(bytes(datagram[:length]))


@pytest.mark.parametrize("seed", range(50))
def test_every_sleep_is_seen_once_and_nothing_else_is_one(seed: int) -> None:
    """The clocks are read one after the other, so they differ a little each time, without any sleep."""
    chance = dice(seed)
    monotonic_ms, slept_ms = chance.randrange(10**9), chance.randrange(10**9)
    detector = SleepDetector(monotonic_ms, monotonic_ms + slept_ms + chance.randint(0, 200))
    for _ in range(100):
        monotonic_ms += chance.randint(1, 5000)
        sleeps = chance.random() < 0.3
        slept_ms += chance.randint(SLEPT_MS_MIN + 400, 10**8) if sleeps else 0
        read_late_ms = chance.randint(0, 200)
        assert detector.has_slept(monotonic_ms, monotonic_ms + slept_ms + read_late_ms) == sleeps
