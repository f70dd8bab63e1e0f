"""Closings whose time to be undone is over: the button is told that it is over."""

from centre.platform.change_signals import ChangeSignals
from centre.platform.log import Log
from centre.platform.worker import AFTER, Worker
from centre.work import closings

LOOK_S = 1.0


class Closings:
    """What is due lies in the database: whatever ended the centre meanwhile, the first look finds it."""

    def __init__(self, worker: Worker, signals: ChangeSignals, log: Log) -> None:
        self._worker, self._signals, self._log = worker, signals, log

    async def look(self) -> None:
        """Close all that is due."""
        while closed := await self._worker(closings.close_due, lane=AFTER):
            for one in closed:
                self._log(
                    "closed",
                    incident=one.incident_id,
                    device_id=one.device_id,
                    event=one.event,
                    counter=one.counter,
                    reason=one.reason,
                )
                self._signals.incident_changed(one.incident_id)
