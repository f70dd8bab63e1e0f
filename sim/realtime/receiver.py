"""A satellite receiver at a serial port of the phone, which may say another day than it is."""

import asyncio
import contextlib
import os
import time
import tty

from sim.physics.receiver import sentences

EVERY_S = 1.0


class Receiver:
    """Says where it is once a second, from `begin` to `close`. `date` is one of faults.DATES, or empty."""

    def __init__(self, lat: float, lon: float) -> None:
        self._lat, self._lon, self.date = lat, lon, ""
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.port = os.ttyname(self._slave)
        self._speaking: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Speak from now on."""
        self._speaking = asyncio.create_task(self._speak())

    async def _speak(self) -> None:
        while True:
            with contextlib.suppress(BlockingIOError):  # nobody reads
                os.write(self._master, sentences(self._lat, self._lon, int(time.time() * 1000), self.date))
            await asyncio.sleep(EVERY_S)

    def close(self) -> None:
        """Unplug it."""
        if self._speaking is not None:
            self._speaking.cancel()
        os.close(self._master)
        os.close(self._slave)
