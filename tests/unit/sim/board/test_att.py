"""The attribute protocol of the simulated board: how its requests leave, and in which order events come."""

import asyncio
from itertools import pairwise

from sim.board.att import NOTIFICATION, WRITE_REQUEST, Bearer

INTERVAL_S = 0.03
WRITTEN = bytes([WRITE_REQUEST + 1])
VALUE = bytes([NOTIFICATION, 3, 0]) + b"value"


async def test_a_request_takes_two_connection_events() -> None:
    """However fast the peer answers: it goes out at one, its answer comes at the next."""
    loop = asyncio.get_running_loop()
    sent_s: list[float] = []

    def answer(_pdu: bytes) -> None:
        sent_s.append(loop.time())
        loop.call_soon(bearer.receive, WRITTEN)

    bearer = Bearer(answer, lambda _: None, INTERVAL_S)
    await asyncio.gather(*(bearer.request(bytes([WRITE_REQUEST])) for _ in range(4)))
    # A timer may be up to its clock's resolution early.
    assert all(later - before > INTERVAL_S * 1.9 for before, later in pairwise(sent_s))


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
