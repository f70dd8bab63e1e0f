"""The queues in front of the database: alarms first, and all of them bounded."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from centre.core import Core
from centre.rules.refusals import Refused
from centre.sealing import Sealer, new_key
from centre.store import Store
from centre.work import buttons
from centre.worker import AFTER, ALARMS, LANES, SPARE, Worker


def made() -> Core:
    return Core(Store(":memory:"), Sealer(new_key()), lambda: 0.0)


async def test_alarms_overtake_everything_and_signs_of_life_nothing() -> None:
    """Whatever came before, while the database was busy; and each lane in its own order."""
    worker, go, done = Worker(made), threading.Event(), []

    def work(name: str) -> Callable[[Core], None]:
        return lambda _: done.append(name)

    held = asyncio.create_task(worker(lambda _: go.wait(10)))
    tasks = [
        asyncio.create_task(worker(work(f"{name} {n}"), lane=lane))
        for lane, name in ((SPARE, "alive"), (AFTER, "fix"), (ALARMS, "alarm"))
        for n in range(3)
    ]
    await asyncio.sleep(0)
    go.set()
    await asyncio.gather(held, *tasks)
    worker.close()
    assert done == [f"{name} {n}" for name in ("alarm", "fix", "alive") for n in range(3)]


async def test_signs_of_life_are_shed_while_alarms_still_fit() -> None:
    """One more than may wait is refused at once."""
    worker, go = Worker(made), threading.Event()
    held = asyncio.create_task(worker(lambda _: go.wait(10)))
    at_most, reason = LANES[SPARE]
    waiting = [asyncio.create_task(worker(buttons.all_buttons, lane=SPARE)) for _ in range(at_most)]
    await asyncio.sleep(0)
    with pytest.raises(Refused, match=reason):
        await worker(buttons.all_buttons, lane=SPARE)
    alarm = asyncio.create_task(worker(buttons.all_buttons))
    await asyncio.sleep(0)
    assert not alarm.done()
    go.set()
    await asyncio.gather(held, alarm, *waiting)
    assert await worker(buttons.all_buttons, lane=SPARE) == []
    worker.close()


async def test_a_failure_reaches_who_asked_and_nobody_else() -> None:
    """The thread goes on; closing waits for what was asked before."""
    worker = Worker(made)

    def fail(_: Core) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await worker(fail)
    assert await worker(buttons.all_buttons) == []
    worker.close()


def test_a_service_that_cannot_be_made_leaves_no_thread() -> None:
    """The reason comes out, and the program can end."""

    def fail() -> Core:
        raise OSError("no disk")

    with pytest.raises(OSError, match="no disk"):
        Worker(fail)
    assert "store" not in [thread.name for thread in threading.enumerate()]
