"""PINs: kept slowly, checked equally, guessed at hardly."""

import asyncio
import threading

import pytest

from centre.platform.password_hashing import AT_ONCE_MAX, WAITING_EACH_MAX, WAITING_MAX, Checks, hash_of
from centre.platform.pin_hashing import Verdict, check_pin
from centre.rules.access import lock_ms
from centre.rules.refusals import Refused

PIN, DURESS = hash_of("271828"), hash_of("3141")


@pytest.mark.parametrize(
    ("pin", "has_duress", "verdict"),
    [
        ("271828", True, Verdict.RIGHT),
        ("3141", True, Verdict.DURESS),
        ("3142", True, Verdict.WRONG),
        ("", True, Verdict.WRONG),
        ("\ud800", True, Verdict.WRONG),
        ("271828", False, Verdict.RIGHT),
        ("3141", False, Verdict.WRONG),
    ],
)
def test_a_pin_is_right_duress_or_wrong(pin: str, has_duress: bool, verdict: Verdict) -> None:
    """Without a duress PIN nothing is one."""
    assert check_pin(pin, PIN, DURESS if has_duress else None) is verdict


def test_a_lock_grows_from_a_minute_to_an_hour() -> None:
    """Four mistakes are free; from the fifth on a minute, doubling."""
    minutes = [lock_ms(tries) // 60_000 for tries in (0, 1, 4, 5, 6, 7, 8, 9, 10, 11, 12, 10_000)]
    assert minutes == [0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]


async def test_at_most_two_pins_are_checked_at_once() -> None:
    """However many wait: the rest of the machine is for alarms."""
    checks, running, most = Checks("test"), 0, 0
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
    """A thief's flood with one phone leaves room for a protected person's; all together are bounded."""
    checks, let_go = Checks("test"), asyncio.Event()
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
    assert refused == ["thief busy"] * (20 - 1 - WAITING_EACH_MAX)
    refused.clear()
    tasks += await all_of("protected person", 1)
    assert refused == []
    for n in range(WAITING_MAX + AT_ONCE_MAX - 1 - WAITING_EACH_MAX - 1):
        tasks += await all_of(f"other {n}", 1)
    assert refused == []
    tasks += await all_of("one more", 1)
    assert refused == ["one more busy"]
    let_go.set()
    await asyncio.gather(*tasks)
    async with checks.turn("one more"):
        pass
    checks.close()
