"""A satellite receiver at a serial port, by NMEA 0183: GGA, GNS, RMC, GLL, GST of any constellation.

A receiver says the same moment in several sentences, in an order of its own. So they are gathered by
their time of day, and the fix is made when the next moment begins or the line falls silent.
"""

import asyncio
import errno
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge.location.nmea_sentences import PLACES, TIMES, Moment, SentenceFinder, dated, kind, time_ms
from bridge.model import Fix, rfc3339
from bridge.ports import SourceOff
from bridge.rules.accuracy import CONFIDENCE
from bridge.rules.receiver_time import nearest_ms, reference_ms

if TYPE_CHECKING:
    from serial import Serial

BAUD = 9600
READ_BYTES, READ_S = 1024, 0.3
# A receiver speaks every second, fix or no fix. So long without a whole sentence, it is silent, or what
# comes is no NMEA, or not at this speed.
SILENCE_S_MAX = 15.0
KINDS_MAX = 32


class Nmea:
    """Reads a port for as long as it is good for anything."""

    name = "nmea"

    def __init__(
        self,
        port: Path,
        baud: int = BAUD,
        *,
        now_ms: Callable[[], int],
        silence_s_max: float = SILENCE_S_MAX,
    ) -> None:
        self._port, self._baud = port, baud
        self._now_ms = now_ms
        self._silence_s_max = silence_s_max
        self._reader = Reader()
        self._bytes = 0

    @property
    def bad(self) -> int:
        """Return how many sentences had a wrong checksum."""
        return self._reader.bad

    def heard(self) -> str:
        """Say what has come from the port, to whoever misses a position."""
        kinds = self._reader.kinds
        if not self._bytes:
            return f"nothing comes from {self._port}"
        if not kinds:
            return self._nonsense()
        names = ", ".join(sorted(kinds))
        if not kinds & PLACES.keys():
            return f"{self._port} says {names}, but no position; have it send {' or '.join(reversed(PLACES))}"
        return f"{self._port} says {names}, without a position from satellites; is it under open sky?"

    def _nonsense(self) -> str:
        return f"{self._port} sends no NMEA; does it speak at {self._baud} baud?"

    async def run(self, report: Callable[[Fix], None]) -> None:
        """Report each fix until the port fails; raises SourceOff."""
        # One thread for this port alone, so that it is closed only when nobody reads from it.
        with_port = ThreadPoolExecutor(1, thread_name_prefix="nmea")
        loop = asyncio.get_running_loop()
        line: Any = None
        try:
            line = await loop.run_in_executor(with_port, self._open)
            await self._follow(partial(loop.run_in_executor, with_port, line.read, READ_BYTES), report)
        except OSError as error:  # serial.SerialException is one
            raise self._why(error, line is not None) from None
        finally:
            try:
                if line is not None:  # whoever has ended has let go of the port: the next one finds it free
                    await loop.run_in_executor(with_port, line.close)
            finally:
                with_port.shutdown(wait=False)

    def _open(self) -> "Serial":
        import serial  # late: on Linux it wants fcntl

        return serial.Serial(str(self._port), self._baud, timeout=READ_S, exclusive=True)

    async def _follow(self, read: Callable[[], Awaitable[bytes]], report: Callable[[Fix], None]) -> None:
        """Read until the port fails or says nothing that is whole; raises SourceOff, OSError."""
        reader = self._reader = Reader()
        self._bytes = 0
        loop = asyncio.get_running_loop()
        good_at = heard_at = loop.time()
        while True:
            chunk = await read()
            sentences = reader.sentences
            for fix in reader.feed(chunk, self._now_ms()) if chunk else reader.pause():
                report(fix)
            if chunk:
                self._bytes += len(chunk)
                heard_at = loop.time()
            if reader.sentences > sentences:
                good_at = loop.time()
            elif loop.time() - good_at > self._silence_s_max:
                if heard_at > good_at:
                    raise SourceOff("nmea_nonsense", self._nonsense())
                raise SourceOff(
                    "nmea_silent", f"{self._port} is silent; is it the receiver, and switched on?"
                )

    def _why(self, error: OSError, was_open: bool) -> SourceOff:
        port = self._port
        if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
            return SourceOff("nmea_no_port", f"there is no {port}; is the receiver plugged in?")
        if error.errno in (errno.EACCES, errno.EPERM):
            return SourceOff(
                "nmea_no_permission", f"{port} may not be read; add yourself to its group (often dialout)"
            )
        if error.errno in (errno.EBUSY, errno.EAGAIN):
            return SourceOff(
                "nmea_in_use", f"another program has {port}; is gpsd using it? Then set gpsd instead"
            )
        if not was_open:
            return SourceOff(
                "nmea_not_serial", f"{port} cannot be used as a serial port at {self._baud} baud"
            )
        return SourceOff("nmea_gone", f"{port} has gone; is the receiver still plugged in?")


class Reader:
    """Takes bytes and gives fixes; it has no port and no clock, so that any recording can be read with it."""

    def __init__(self) -> None:
        self.sentences = 0  # whole ones, of whatever kind
        self.kinds: set[str] = set()
        self._finder = SentenceFinder()
        self._moment = Moment()
        self._phone_ms = 0
        self._receiver_ms: int | None = None  # the last moment by the receiver's own date

    @property
    def bad(self) -> int:
        """Return how many sentences had a wrong checksum."""
        return self._finder.bad

    def feed(self, chunk: bytes, now_ms: int) -> list[Fix]:
        """Return the fixes of the moments that are over; `now_ms` is the phone's clock."""
        self._phone_ms = now_ms
        fixes = [self._take(sentence) for sentence in self._finder.feed(chunk)]
        return [fix for fix in fixes if fix is not None]

    def pause(self) -> list[Fix]:
        """Return the fix of this moment: the line is silent, so the receiver has said all of it."""
        fix = self._finish()
        return [] if fix is None else [fix]

    def _take(self, sentence: list[str]) -> Fix | None:
        what = kind(sentence)
        self.sentences += 1
        if len(self.kinds) < KINDS_MAX:
            self.kinds.add(what)
        if (day_and_time := dated(sentence)) is not None:
            day, of_day_ms = day_and_time
            midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
            self._receiver_ms = int(midnight.timestamp()) * 1000 + of_day_ms
        if what not in TIMES:
            return None
        time_of_day_ms = time_ms(sentence)
        # One that names no time belongs to the moment that is being told, unless that has its kind already.
        is_other = what in self._moment.kinds if time_of_day_ms is None else self._is_later(time_of_day_ms)
        fix = self._finish() if is_other else None
        if time_of_day_ms is not None:
            self._moment.time_ms = time_of_day_ms
        self._moment.add(sentence)
        return fix

    def _is_later(self, time_of_day_ms: int) -> bool:
        return self._moment.time_ms not in (None, time_of_day_ms)

    def _finish(self) -> Fix | None:
        moment, self._moment = self._moment, Moment()
        place = moment.place()
        if place is None:
            return None
        near_ms = reference_ms(self._phone_ms, self._receiver_ms)
        taken_ms = near_ms if moment.time_ms is None else nearest_ms(moment.time_ms, near_ms)
        return Fix(*place, moment.radius_m(), CONFIDENCE, "GNSS", rfc3339(taken_ms), source=Nmea.name)
