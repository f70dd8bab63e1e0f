"""PINs: kept slowly, checked equally, guessed at hardly."""

import asyncio
import threading

import pytest

from centre.pins import (
    AT_ONCE_MAX,
    WAITING_MAX,
    WAITING_PER_BUTTON_MAX,
    Checks,
    Verdict,
    check_pin,
    hash_pin,
    lock_ms,
)
from centre.rules.refusals import Refused

PIN, DURESS = hash_pin("271828"), hash_pin("3141")


@pytest.mark.parametrize(
    ("pin", "duress_hash", "verdict"),
    [
        ("271828", DURESS, Verdict.RIGHT),
        ("3141", DURESS, Verdict.DURESS),
        ("3142", DURESS, Verdict.WRONG),
        ("", DURESS, Verdict.WRONG),
        ("\ud800", DURESS, Verdict.WRONG),
        ("271828", None, Verdict.RIGHT),
        ("3141", None, Verdict.WRONG),
    ],
)
def test_a_pin_is_right_duress_or_wrong(pin: str, duress_hash: str | None, verdict: Verdict) -> None:
    """Without a duress PIN nothing is one."""
    assert check_pin(pin, PIN, duress_hash) is verdict


def test_a_lock_grows_from_a_minute_to_an_hour() -> None:
    """Four mistakes are free; from the fifth on a minute, doubling."""
    minutes = [lock_ms(tries) // 60_000 for tries in (0, 1, 4, 5, 6, 7, 8, 9, 10, 11, 12, 10_000)]
    assert minutes == [0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]


async def test_at_most_two_pins_are_checked_at_once() -> None:
    """However many wait: the rest of the machine is for alarms."""
    checks, running, most = Checks(), 0, 0
    lock, both = threading.Lock(), threading.Barrier(AT_ONCE_MAX)

    def slow() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        both.wait(10)
        with lock:
            running -= 1

    await asyncio.gather(*(checks.run(slow) for _ in range(6)))
    checks.close()
    assert most == AT_ONCE_MAX


async def test_one_button_cannot_fill_the_queue() -> None:
    """A thief's flood with one phone leaves room for another wearer; and all together are bounded."""
    checks, let_go = Checks(), asyncio.Event()
    refused: list[str] = []

    async def wait(device_id: str) -> None:
        try:
            async with checks.turn(device_id):
                await let_go.wait()
        except Refused as no:
            refused.append(f"{device_id} {no.reason}")

    async def all_of(device_id: str, count: int) -> list["asyncio.Task[None]"]:
        tasks = [asyncio.create_task(wait(device_id)) for _ in range(count)]
        await asyncio.sleep(0)
        return tasks

    tasks = await all_of("thief", 20)
    assert refused == ["thief busy"] * (20 - 1 - WAITING_PER_BUTTON_MAX)
    refused.clear()
    tasks += await all_of("hers", 1)
    assert refused == []
    for n in range(WAITING_MAX + AT_ONCE_MAX - 1 - WAITING_PER_BUTTON_MAX - 1):
        tasks += await all_of(f"other {n}", 1)
    assert refused == []
    tasks += await all_of("one more", 1)
    assert refused == ["one more busy"]
    let_go.set()
    await asyncio.gather(*tasks)
    async with checks.turn("one more"):
        pass
    checks.close()
