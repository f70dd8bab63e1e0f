"""Verifies the whole event log once a day, in a process of its own that yields to everything else."""

import asyncio
import contextlib
import os
import re
import sys

from centre.platform.home import Home
from centre.platform.log import now_ms
from centre.platform.worker import SPARE, Worker
from centre.work import event_log
from centre.work.condition import note_check, stored

LOOK_S = 3600.0
EVERY_MS = 86_400_000
NICEST = 19


class LogCheck:
    def __init__(self, worker: Worker, looks: Worker, home: Home) -> None:
        self._worker, self._looks, self._home = worker, looks, home
        self._running: asyncio.Task[None] | None = None

    @property
    def is_running(self) -> bool:
        """Whether it is being verified now."""
        return self._running is not None and not self._running.done()

    async def look(self) -> None:
        """Verify it where the last time, or the centre's beginning, is a day ago."""
        known = await self._looks(stored, lane=SPARE)
        last_ms = known.checked.at_ms if known.checked else known.began_ms
        if now_ms() - last_ms >= EVERY_MS:
            self.begin(event_log.CENTRE)

    def begin(self, actor: str) -> None:
        """Begin to verify it, unless it is being done; what was found is an entry of the log."""
        if not self.is_running:
            self._running = asyncio.create_task(self._check(actor))

    async def _check(self, actor: str) -> None:
        program = (sys.executable, "-m", "centre", "verify-log", "--home", str(self._home.path))
        process = await asyncio.create_subprocess_exec(
            *program, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, process.pid, NICEST)
            _, told = await process.communicate()
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        await self._worker(note_check, actor, _findings(process.returncode, told), lane=SPARE)

    async def stop(self) -> None:
        """End a check that goes on."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)


def _findings(code: int | None, told: bytes) -> int | None:
    """Return how much was found; None where it was not verified to its end."""
    if code == 0:
        return 0
    counted = re.search(rb"(\d+) finding\(s\)", told)
    return int(counted.group(1)) if counted else None
