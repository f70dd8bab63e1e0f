"""A satellite receiver at a serial port, by NMEA 0183: GGA, RMC and GST of any constellation.

A receiver says the same moment in several sentences, in an order of its own. So they are gathered by
their time of day, and the fix is made when the next moment begins or the line falls silent.
"""

import asyncio
import errno
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pynmeagps  # type: ignore[import-untyped]
import serial

from bridge.model import Fix, rfc3339
from bridge.ports import SourceOff
from bridge.rules.measure import CONFIDENCE, METRES_PER_HDOP, RADIUS_M_UNKNOWN, SIGMAS, is_on_earth

BAUD = 9600
SENTENCE_BYTES_MAX = 82  # NMEA 0183, with its line end
READ_BYTES, READ_S = 1024, 0.3
# A receiver speaks every second, fix or no fix.
SILENCE_S_MAX = 15.0
# Bad sentences on end: it is not NMEA, or not at this speed.
BAD_MAX = 50
# GGA's quality and RMC's mode where they mean satellites: not dead reckoning, typed in or simulated.
QUALITIES = {1, 2, 3, 4, 5}
MODES = {"", "A", "D", "F", "P", "R"}


class Nmea:
    """`bad` counts the sentences that were skipped: a checksum that is wrong, half lines, noise."""

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
        self.bad = 0

    async def run(self, report: Callable[[Fix], None]) -> None:
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

    def _open(self) -> serial.Serial:
        return serial.Serial(str(self._port), self._baud, timeout=READ_S, exclusive=True)

    async def _follow(self, read: Callable[[], Awaitable[bytes]], report: Callable[[Fix], None]) -> None:
        """Until it goes wrong, which raises."""
        reader = Reader()
        loop = asyncio.get_running_loop()
        heard_at = loop.time()
        while True:
            chunk = await read()
            fixes = reader.feed(chunk, self._now_ms()) if chunk else reader.pause()
            self.bad += reader.take_bad()
            for fix in fixes:
                report(fix)
            if reader.bad_in_a_row >= BAD_MAX:
                raise SourceOff(
                    "nmea_nonsense", f"{self._port} sends no NMEA; does it speak at {self._baud} baud?"
                )
            if chunk:
                heard_at = loop.time()
            elif loop.time() - heard_at > self._silence_s_max:
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
    """Bytes in, fixes out; no port and no clock, so that any recording can be read with it."""

    def __init__(self) -> None:
        self.bad_in_a_row = 0
        self._bad = 0
        self._rest = b""
        self._moment = _Moment()
        self._now_ms = 0
        self._dated: datetime | None = None  # the last moment whose date the receiver has said

    def feed(self, chunk: bytes, now_ms: int) -> list[Fix]:
        self._now_ms = now_ms
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > SENTENCE_BYTES_MAX:
            self._rest = b""
            self._skip()
        fixes = [self._line(line) for line in lines]
        return [fix for fix in fixes if fix is not None]

    def pause(self) -> list[Fix]:
        """The line is silent: whatever the receiver had to say of this moment, it has said."""
        fix = self._finish()
        return [] if fix is None else [fix]

    def take_bad(self) -> int:
        bad, self._bad = self._bad, 0
        return bad

    def _skip(self) -> None:
        self._bad += 1
        self.bad_in_a_row += 1

    def _line(self, line: bytes) -> Fix | None:
        line = line.strip()
        if not line:
            return None
        # pynmeagps takes a sentence without a checksum for one that it does not know; here it is half a line.
        if not line.startswith(b"$") or line[-3:-2] != b"*" or len(line) > SENTENCE_BYTES_MAX:
            self._skip()
            return None
        try:
            said = pynmeagps.NMEAReader.parse(line)
        except Exception:  # beside its own, pynmeagps lets through whatever its conversions raise
            self._skip()
            return None
        self.bad_in_a_row = 0
        if said is None or said.msgID not in ("GGA", "RMC", "GST") or not isinstance(said.time, time):
            return None
        fix = None
        if said.time != self._moment.time:
            fix = self._finish()
            self._moment.time = said.time
        self._moment.add(said)
        return fix

    def _finish(self) -> Fix | None:
        moment, self._moment = self._moment, _Moment()
        if moment.time is None:
            return None
        at = self._date(moment.time, moment.date)
        place = moment.place
        if moment.is_void or place is None or not is_on_earth(*place):
            return None
        taken_at = rfc3339(round(at.timestamp() * 1000))
        return Fix(*place, moment.radius_m(), CONFIDENCE, "GNSS", taken_at, source=Nmea.name)

    def _date(self, at: time, day: date | None) -> datetime:
        """Only RMC has the date. Without one, it is the day that brings it nearest to the last that had one,
        or else to the phone's clock."""
        if day is not None:
            self._dated = datetime.combine(day, at, UTC)
            return self._dated
        near = self._dated or datetime.fromtimestamp(self._now_ms / 1000, UTC)
        days = (near.date() + timedelta(days) for days in (-1, 0, 1))
        dated = min((datetime.combine(day, at, UTC) for day in days), key=lambda when: abs(when - near))
        if self._dated is not None:
            self._dated = dated
        return dated


class _Moment:
    """What the receiver has said of one time of day."""

    def __init__(self) -> None:
        self.time: time | None = None
        self.date: date | None = None
        self.place: tuple[float, float] | None = None
        self.is_void = False
        self._hdop: float | None = None
        self._sigma_m: float | None = None

    def add(self, said: Any) -> None:
        if said.msgID == "GST":
            # The greater axis; some say only north and east.
            self._sigma_m = _number(said.stdMajor) or max(_number(said.stdLat), _number(said.stdLong)) or None
            return
        if said.msgID == "GGA":
            self.is_void |= said.quality not in QUALITIES
            self._hdop = _number(said.HDOP) or None
        else:
            self.is_void |= said.status != "A" or getattr(said, "posMode", "") not in MODES
            self.date = said.date if isinstance(said.date, date) else None
        if isinstance(said.lat, float) and isinstance(said.lon, float):
            self.place = self.place if said.msgID == "RMC" and self.place else (said.lat, said.lon)

    def radius_m(self) -> float:
        if self._sigma_m is not None:
            return self._sigma_m * SIGMAS
        return RADIUS_M_UNKNOWN if self._hdop is None else self._hdop * METRES_PER_HDOP


def _number(value: Any) -> float:
    """0 where the receiver leaves it out."""
    return float(value) if isinstance(value, int | float) else 0.0
