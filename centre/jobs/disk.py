"""Sees that a start on a full disk would succeed, and that no program that was killed has left a copy."""

import asyncio

from centre.platform import drafts
from centre.platform.home import Home
from centre.platform.log import Log

LOOK_S = 3600.0


class DiskWatch:
    def __init__(self, home: Home, log: Log) -> None:
        """Look at once, before the database is opened: on a full disk, room is made for that."""
        self._home, self._log = home, log
        self._found: list[tuple[str, str]] | None = []
        if home.keep_spare(gives_up=True):
            self._found.append(("disk_full", f"the disk of {home.path} is full: make room at once"))
        self._found += self._left()

    async def look(self) -> None:
        """Tell what was found at the start, and later what is there since."""
        found, self._found = self._found, None
        if found is None:
            await asyncio.to_thread(self._home.keep_spare)
            found = await asyncio.to_thread(self._left)
        for reason, text in found:
            self._log("trouble", reason=reason, text=text)

    def _left(self) -> list[tuple[str, str]]:
        return [("unfinished_copy", text) for text in drafts.remove_left(self._home)]
