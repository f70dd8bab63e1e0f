"""The attribute protocol of the simulated board: how its requests leave, and in which order events come."""

import asyncio
from random import Random

import pytest

from sim.board.att import NOTIFICATION, WRITE_REQUEST, Bearer
from sim.virtual.time import Loop, Time

INTERVAL_S = 0.03
WRITTEN = bytes([WRITE_REQUEST + 1])
VALUE = bytes([NOTIFICATION, 3, 0]) + b"value"


def test_a_request_takes_two_connection_events() -> None:
    """However fast the peer answers: it goes out at one, its answer comes at the next."""
    time = Time(Random(1))
    mistakes: list[str] = []
    loop = Loop(time, lambda: 0.0, mistakes.append)  # type: ignore[abstract]  # asyncio has more than we use
    sent_s: list[float] = []

    async def ask_four_times() -> None:
        def answer(_pdu: bytes) -> None:
            sent_s.append(time.now_s)
            loop.call_soon(bearer.receive, WRITTEN)

        bearer = Bearer(answer, lambda _: None, INTERVAL_S)
        await asyncio.gather(*(bearer.request(bytes([WRITE_REQUEST])) for _ in range(4)))

    loop.create_task(ask_four_times())
    time.run(1)
    loop.kill()
    assert not mistakes
    assert sent_s == pytest.approx([INTERVAL_S * number for number in (1, 3, 5, 7)])


async def test_a_notification_behind_an_answer_is_told_after_it() -> None:
    """Both may come in one packet; the program that asked goes on only later."""
    order: list[str] = []
    bearer = Bearer(lambda _: None, lambda _: order.append("value"), INTERVAL_S)
    bearer.receive(VALUE)  # asked for by nobody: told at once
    request = asyncio.ensure_future(bearer.request(bytes([WRITE_REQUEST])))
    while not order or not bearer.is_asking():  # noqa: ASYNC110 -- one turn of the loop
        await asyncio.sleep(0)
    bearer.receive(WRITTEN)
    bearer.receive(VALUE)
    await request
    order.append("answer")
    bearer.settled()
    assert order == ["value", "answer", "value"]
