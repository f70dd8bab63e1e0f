"""The queues in front of the database: alarms first, and all of them bounded."""

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from centre.platform.sealing import Sealer, new_key
from centre.platform.worker import AFTER, ALARMS, LANES, SPARE, Worker
from centre.rules.refusals import Refused
from centre.store import Store
from centre.work import buttons, event_log
from centre.work.core import Core


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


class Gate:
    """Holds the worker's thread, so that what is asked meanwhile waits together."""

    def __init__(self, worker: Worker) -> None:
        self._worker, self._open = worker, threading.Event()

    async def together(self, *jobs: Callable[[Core], object]) -> list[object]:
        held = asyncio.create_task(self._worker(lambda _: self._open.wait(10), lane=AFTER))
        tasks = [asyncio.create_task(self._worker(job)) for job in jobs]
        await asyncio.sleep(0)
        self._open.set()
        await held
        return await asyncio.gather(*tasks, return_exceptions=True)


def on_disk(path: Path) -> Callable[[], Core]:
    return lambda: Core(Store(str(path)), Sealer(new_key()), lambda: 0.0)


def noting(number: int, *, fails: bool = False) -> Callable[[Core], int]:
    """Return a job that writes one entry of the log; or does, and then fails."""

    def job(core: Core) -> int:
        with core.store.transaction():
            event_log.note(core, f"job {number}", event_log.CENTRE)
            if fails:
                raise ZeroDivisionError
        return number

    return job


def noted(path: Path) -> list[str]:
    """As another process finds the file."""
    with contextlib.closing(sqlite3.connect(path)) as other:
        return [kind for (kind,) in other.execute("SELECT kind FROM log ORDER BY seq")]


async def test_one_that_fails_in_a_group_harms_none_of_the_others(tmp_path: Path) -> None:
    """Twenty together, one of which fails half way: nineteen are on disk, in their order, when answered."""
    worker = Worker(on_disk(tmp_path / "db"))
    jobs = [noting(number, fails=number == 7) for number in range(20)]
    answers = await Gate(worker).together(*jobs)
    stored = noted(tmp_path / "db")
    worker.close()
    assert isinstance(answers.pop(7), ZeroDivisionError)
    assert answers == [number for number in range(20) if number != 7]
    assert stored == [f"job {number}" for number in answers]


async def test_what_waits_together_is_committed_together(tmp_path: Path) -> None:
    """The disk is waited for once; nothing of a group is seen by others before all of it is there."""
    worker, seen = Worker(on_disk(tmp_path / "db")), []
    await Gate(worker).together(noting(1), lambda _: seen.append(noted(tmp_path / "db")), noting(2))
    worker.close()
    assert seen == [[]]
    assert noted(tmp_path / "db") == ["job 1", "job 2"]


async def test_a_commit_that_fails_harms_only_whose_it_is(tmp_path: Path) -> None:
    """A promise that is broken only at the commit: the others of the group are done again, and kept."""
    worker = Worker(on_disk(tmp_path / "db"))

    def break_at_commit(core: Core) -> None:
        with core.store.transaction():
            core.store.db.execute("PRAGMA defer_foreign_keys = ON")
            core.store.run("add_bridge_device", bridge_id="nobody", device_id="nothing")

    answers = await Gate(worker).together(noting(1), break_at_commit, noting(2))
    assert isinstance(answers.pop(1), sqlite3.IntegrityError)
    assert answers == [1, 2]
    worker.close()
    assert noted(tmp_path / "db") == ["job 1", "job 2"]


async def test_nobody_is_told_what_was_never_stored(tmp_path: Path) -> None:
    """Who reads beside one whose commit fails is not failed by it, and does not see what it had written."""
    worker = Worker(on_disk(tmp_path / "db"))

    def break_at_commit(core: Core) -> None:
        with core.store.transaction():
            event_log.note(core, "never", event_log.CENTRE)
            core.store.db.execute("PRAGMA defer_foreign_keys = ON")
            core.store.run("add_bridge_device", bridge_id="nobody", device_id="nothing")

    def read(core: Core) -> list[str]:
        return [row["kind"] for row in core.store.all("log_entries")]

    failed, seen = await Gate(worker).together(break_at_commit, read)
    worker.close()
    assert isinstance(failed, sqlite3.IntegrityError)
    assert seen == []


async def test_alarms_overtake_a_group_that_is_done_again() -> None:
    """Whoever makes groups fail, in a lower lane, delays an alarm by one of its jobs, not by all."""
    worker, done = Worker(made), []
    failed, alarm_waits = threading.Event(), threading.Event()

    def fails(core: Core) -> None:
        with core.store.transaction():
            event_log.note(core, "half", event_log.CENTRE)
            failed.set()
            alarm_waits.wait(10)
            raise ZeroDivisionError

    async def below(job: Callable[[Core], object]) -> None:
        with contextlib.suppress(ZeroDivisionError):
            await worker(job, lane=AFTER)

    gate = threading.Event()
    tasks = [asyncio.create_task(below(lambda _: gate.wait(10)))]
    tasks += [asyncio.create_task(below(lambda _: done.append("fix"))), asyncio.create_task(below(fails))]
    await asyncio.sleep(0)
    gate.set()
    await asyncio.to_thread(failed.wait, 10)
    alarm = asyncio.create_task(worker(lambda _: done.append("alarm")))
    await asyncio.sleep(0)
    alarm_waits.set()
    await asyncio.gather(alarm, *tasks)
    worker.close()
    assert done == ["fix", "alarm", "fix"]


async def test_a_full_disk_in_the_middle_of_a_group_is_told_to_all_who_wrote(tmp_path: Path) -> None:
    """SQLite rolls everything back: what was already done in the group is not there, and is not answered."""
    worker = Worker(on_disk(tmp_path / "db"))

    def fill(core: Core) -> None:
        db = core.store.db
        (pages,) = db.execute("PRAGMA page_count").fetchone()
        db.execute(f"PRAGMA max_page_count = {pages}")
        with core.store.transaction():
            for _ in range(1000):
                event_log.note(core, "much", event_log.CENTRE, text="x" * 1000)

    def make_room(core: Core) -> None:
        core.store.db.execute("PRAGMA max_page_count = 1000000")

    answers = await Gate(worker).together(noting(1), fill, noting(2))
    for answer, number in zip(answers, (1, None, 2), strict=True):
        assert isinstance(answer, sqlite3.Error) or f"job {number}" in noted(tmp_path / "db")
    assert isinstance(answers[1], sqlite3.Error)
    await worker(make_room)
    assert await worker(noting(3)) == 3
    worker.close()
    assert noted(tmp_path / "db")[-1] == "job 3"
    assert "much" not in noted(tmp_path / "db")


async def test_a_lower_lane_gives_way_in_the_middle_of_its_group() -> None:
    """An alarm that comes while signs of life are being written waits for one of them, not for all."""
    worker, done = Worker(made), []
    begun, alarm_waits = threading.Event(), threading.Event()

    def first(_: Core) -> None:
        begun.set()
        alarm_waits.wait(10)
        done.append("alive")

    signs = [asyncio.create_task(worker(first, lane=SPARE))]
    signs += [asyncio.create_task(worker(lambda _: done.append("alive"), lane=SPARE)) for _ in range(5)]
    await asyncio.to_thread(begun.wait, 10)
    alarm = asyncio.create_task(worker(lambda _: done.append("alarm")))
    await asyncio.sleep(0)
    alarm_waits.set()
    await asyncio.gather(alarm, *signs)
    worker.close()
    assert done[:2] == ["alive", "alarm"]


async def test_an_alarm_in_the_middle_of_lower_work_waits_for_no_other_commit(tmp_path: Path) -> None:
    """It is done next, and committed with what was done before it."""
    worker, seen = Worker(on_disk(tmp_path / "db")), []
    begun, alarm_waits = threading.Event(), threading.Event()

    def sign(core: Core) -> None:
        noting(1)(core)
        begun.set()
        alarm_waits.wait(10)

    def alarm(core: Core) -> None:
        seen.append(noted(tmp_path / "db"))
        noting(2)(core)

    tasks = [asyncio.create_task(worker(sign, lane=SPARE))]
    await asyncio.to_thread(begun.wait, 10)
    tasks.append(asyncio.create_task(worker(alarm)))
    await asyncio.sleep(0)
    alarm_waits.set()
    await asyncio.gather(*tasks)
    worker.close()
    assert seen == [[]]
    assert noted(tmp_path / "db") == ["job 1", "job 2"]


async def test_who_holds_the_database_is_waited_for_once_by_all(tmp_path: Path) -> None:
    """Another process has it: all who wait are told after one wait, and whoever only reads has its answer."""
    path = tmp_path / "store.sqlite"
    worker = Worker(on_disk(path), locked_s_max=1.0)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = [worker(noting(number)) for number in range(200)]
        async with asyncio.timeout(60):  # each by itself: 200 s
            outcomes = await asyncio.gather(*waiting, worker(buttons.all_buttons), return_exceptions=True)
        assert outcomes.pop() == []
        assert {type(outcome) for outcome in outcomes} == {sqlite3.OperationalError}
        other.execute("ROLLBACK")
    assert await worker(noting(7)) is not None
    worker.close()
    assert noted(path) == ["job 7"]
