"""Change signals: wake those in this process who show what has just changed."""

import asyncio
import weakref


class ChangeSignals:
    """Signals in memory that carry nothing: who is woken reads the database, so no change can be missed.

    Take the event *before* reading: `changed = signals.of_board()`, read, then wait for it.
    """

    def __init__(self) -> None:
        # Weak: an event that nobody holds any more need not be set.
        self._incidents: weakref.WeakValueDictionary[str, asyncio.Event] = weakref.WeakValueDictionary()
        self._board: asyncio.Event | None = None

    def of_board(self) -> asyncio.Event:
        """Return the event that is set at the next change of what the board shows."""
        if self._board is None:
            self._board = asyncio.Event()
        return self._board

    def of_incident(self, incident_id: str) -> asyncio.Event:
        """Return the event that is set at the next receipt of this incident."""
        changed = self._incidents.get(incident_id)
        if changed is None:
            changed = self._incidents[incident_id] = asyncio.Event()
        return changed

    def board_changed(self) -> None:
        """Wake who shows the board."""
        if self._board is not None:
            self._board.set()
            self._board = None

    def incident_changed(self, incident_id: str) -> None:
        """Wake who waits for a receipt of this incident, and who shows the board."""
        changed = self._incidents.pop(incident_id, None)
        if changed is not None:
            changed.set()
        self.board_changed()

    def wake_all(self) -> None:
        """Wake everybody: the centre stops."""
        for incident_id in list(self._incidents):
            self.incident_changed(incident_id)
        self.board_changed()


async def wait_for_change(changed: asyncio.Event, timeout_s: float) -> bool:
    """Wait until `changed` is set; return False when the time is over."""
    try:
        async with asyncio.timeout(timeout_s):
            await changed.wait()
    except TimeoutError:
        return False
    return True
