"""The event log of a centre that runs as a process: checked, copied and killed while alarms come in."""

import asyncio
import json
import random
import resource
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from centre.platform.home import Home
from centre.rules.incidents import read_fixes
from centre.work import presses
from tests.integration.parts import ROOT, amr_centre, imported, run
from tests.unit.centre.parts import FIX, Hand, Phone, core_at, phone_of
from tests.unit.centre.work.parts import Night

HAND = Hand()
AT_ONCE = 4


class Load:
    """Alarms, one after the other in each of some tasks, as long as somebody answers."""

    def __init__(self) -> None:
        self.counter, self.answers, self.answered = 0, 0, set[str]()
        self.headers: dict[str, str] = {}
        self.more = asyncio.Event()

    async def press_on(self, phone: Phone) -> None:
        while True:
            self.counter += 1
            try:
                status, answer = await phone.post(HAND.alarm(self.counter))
            except aiohttp.ClientError:
                return
            assert status in (200, 201)
            self.answers += 1
            self.answered.add(answer["incident"])
            self.more.set()

    @asynccontextmanager
    async def on(self, phone: Phone) -> AsyncIterator[None]:
        if not self.headers:
            await phone.enrol(HAND)
            self.headers = phone.headers
        phone.headers = self.headers
        tasks = [asyncio.create_task(self.press_on(phone)) for _ in range(AT_ONCE)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def until(self, count: int) -> None:
        """So many more have been answered."""
        goal = self.answers + count
        while self.answers < goal:
            self.more.clear()
            async with asyncio.timeout(60):
                await self.more.wait()


@asynccontextmanager
async def serving(home: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, Phone]]:
    process = await asyncio.create_subprocess_exec(
        *amr_centre("serve", "--home", home, "--port", 0, "--json-log"), cwd=ROOT, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    drain: asyncio.Task[bytes] | None = None
    try:
        line = json.loads(await process.stdout.readline())
        drain = asyncio.create_task(process.stdout.read())
        async with phone_of(line["url"], Path(line["ca"]).read_text()) as phone:
            yield process, phone
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        if drain is not None:
            await drain


async def test_the_log_is_checked_and_copied_while_alarms_come_in(tmp_path: Path) -> None:
    """Neither waits for the other."""
    home, load = tmp_path / "home", Load()
    imported(home, HAND)
    async with serving(home) as (_, phone), load.on(phone):
        await load.until(20)
        code, out, error = await run("verify-log", "--home", home)
        assert (code, error) == (0, ""), out
        code, _, error = await run("backup", tmp_path / "b.sqlite", "--home", home)
        assert (code, error) == (0, "")
        await load.until(20)


def small_files(*arguments: object) -> tuple[int, str]:
    """Exit code and stderr of a command that may write no file of more than 100 kB, as on a full disk."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    done = subprocess.run(amr_centre(*arguments), cwd=ROOT, capture_output=True, text=True, preexec_fn=limit)
    return done.returncode, done.stderr


def test_a_full_disk_leaves_no_half_of_a_backup_or_export(tmp_path: Path) -> None:
    """One sentence, and nothing where the whole was to be."""
    night = Night(Home(tmp_path / "home").database)
    Home(tmp_path / "home").write("sealing.key", night.sealing_key)
    incident_id = night.press()
    for minute in range(8):
        fixes = [FIX | {"taken_at": f"2026-11-23T10:{minute:02d}:{second:02d}Z"} for second in range(60)]
        presses.add_fixes(night.core, night.bridge, incident_id, read_fixes({"fixes": fixes}))
    night.core.store.close()
    at = ("--home", tmp_path / "home")
    code, error = small_files("backup", tmp_path / "b.sqlite", *at)
    assert (code, error.count("\n")) == (1, 1), error
    assert "cannot write" in error
    code, error = small_files("export", "--incident", incident_id, "--to", tmp_path / "out", *at)
    assert (code, error.count("\n")) == (1, 1), error
    assert "cannot write" in error
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


@pytest.mark.slow
@pytest.mark.timeout(600)  # thirty starts
async def test_killed_thirty_times_the_chain_is_one_and_whole(tmp_path: Path) -> None:
    """SIGKILL under load, at moments nobody chose: no answered alarm is lost, and the chain never forks."""
    home, load, dice = tmp_path / "home", Load(), random.Random(5)
    imported(home, HAND)
    for _ in range(30):
        async with serving(home) as (process, phone), load.on(phone):
            await load.until(dice.randint(1, 40))
            process.kill()
            await process.wait()
    code, out, error = await run("verify-log", "--home", home)
    assert (code, error) == (0, ""), out
    core = core_at(home)
    kept = {row["incident_id"] for row in core.store.db.execute("SELECT incident_id FROM incidents")}
    core.store.close()
    assert load.answered <= kept
