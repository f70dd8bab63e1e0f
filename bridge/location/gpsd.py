"""gpsd, the daemon that speaks to satellite receivers: its JSON over TCP (gpsd_json(5), protocol 3)."""

import asyncio
import json
import math
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from bridge.location.satellites import is_status_of_satellites
from bridge.model import Fix, rfc3339
from bridge.ports import SourceOff
from bridge.rules.accuracy import CONFIDENCE, is_on_earth, radius_m
from bridge.rules.receiver_time import nearest_ms, of_day_ms, reference_ms

HOST, PORT = "127.0.0.1", 2947
# Longer lines are of many satellites (40 KiB for 230 of them), and are passed over; a position's is short.
LINE_BYTES_MAX = 16_384
LINE_BYTES_PASSED_MAX = 1 << 20
CONNECT_S_MAX = 5.0
GREETING_S_MAX = 5.0
# With a receiver, fix or no fix, there is a TPV each second or so; without one, never.
SILENCE_S_MAX = 30.0
NONSENSE_MAX = 20
PROTOCOL = 3
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# JSON nested without end and numbers beyond a float are no ValueError.
_UNREADABLE = (ValueError, RecursionError, OverflowError)


class Gpsd:
    """Follows gpsd by ?WATCH. `nonsense` counts the lines that could not be read."""

    name = "gpsd"

    def __init__(
        self,
        host: str = HOST,
        port: int = PORT,
        *,
        now_ms: Callable[[], int],
        silence_s_max: float = SILENCE_S_MAX,
    ) -> None:
        self._where = f"{host}:{port}"
        self._host, self._port = host, port
        self._now_ms = now_ms
        self._silence_s_max = silence_s_max
        self.nonsense = 0

    async def run(self, report: Callable[[Fix], None]) -> None:
        """Report each fix until gpsd fails; raises SourceOff."""
        reader, writer = await self._connect()
        try:
            await self._greet(reader)
            writer.write(b'?WATCH={"enable":true,"json":true};\n')
            await writer.drain()
            await self._follow(reader, report)
        except ConnectionError:
            raise self._gone() from None
        finally:
            writer.close()
            with suppress(OSError, TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), 1.0)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            connecting = asyncio.open_connection(self._host, self._port, limit=LINE_BYTES_MAX)
            return await asyncio.wait_for(connecting, CONNECT_S_MAX)
        except (OSError, TimeoutError):
            raise self._gone() from None

    async def _greet(self, reader: asyncio.StreamReader) -> None:
        """Let gpsd speak first. What does not, or says something else, is not asked. Raises SourceOff."""
        try:
            greeting = await asyncio.wait_for(self._line(reader), GREETING_S_MAX)
            version = json.loads(greeting)
            if version["class"] == "VERSION" and version["proto_major"] == PROTOCOL:
                return
        except (*_UNREADABLE, TypeError, KeyError, TimeoutError):
            pass
        raise SourceOff("not_gpsd", f"what answers at {self._where} is not gpsd (protocol {PROTOCOL})")

    async def _follow(self, reader: asyncio.StreamReader, report: Callable[[Fix], None]) -> None:
        """Report each fix until something goes wrong, which raises SourceOff."""
        in_a_row = 0
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._silence_s_max) as silence:
                while True:
                    line = await self._line(reader)
                    try:
                        has_receiver, fix = read(line, self._now_ms()) if line else (False, None)
                        in_a_row = 0
                    except _UNREADABLE:
                        in_a_row += 1
                        self.nonsense += 1
                        if in_a_row >= NONSENSE_MAX:
                            raise SourceOff(
                                "gpsd_nonsense", f"gpsd at {self._where} says nothing that can be read"
                            ) from None
                        continue
                    if has_receiver:
                        silence.reschedule(loop.time() + self._silence_s_max)
                    if fix is not None:
                        report(fix)
        except TimeoutError:
            raise SourceOff(
                "gpsd_silent",
                f"gpsd at {self._where} hears no receiver; is one plugged in, and known to it? (cgps)",
            ) from None

    async def _line(self, reader: asyncio.StreamReader) -> bytes:
        """Return the next line, or nothing in the place of one that is too long to be a position."""
        passed_bytes = 0
        while passed_bytes < LINE_BYTES_PASSED_MAX:
            try:
                line = await reader.readuntil(b"\n")
                return b"" if passed_bytes else line
            except asyncio.LimitOverrunError as error:
                passed_bytes += len(await reader.readexactly(max(1, error.consumed)))
            except asyncio.IncompleteReadError:
                raise self._gone() from None
        raise SourceOff("gpsd_nonsense", f"gpsd at {self._where} sends a line without end")

    def _gone(self) -> SourceOff:
        return SourceOff("gpsd_gone", f"no gpsd answers at {self._where}; start it (systemctl start gpsd)")


def read(line: bytes, now_ms: int) -> tuple[bool, Fix | None]:
    """Return whether a receiver was heard in a line of gpsd, and its fix. Raises one of _UNREADABLE."""
    report = json.loads(line)
    if not isinstance(report, dict) or not isinstance(report.get("class"), str):
        raise ValueError("not an object with a class")
    if report["class"] != "TPV":
        return False, None
    if report.get("mode") not in (2, 3) or not is_status_of_satellites(report.get("status")):
        return True, None  # gpsd is well; the receiver has no fix, or not from satellites
    if report.get("lat") is None or report.get("lon") is None:
        return True, None  # it does say so, of a fix that it is only putting together
    lat, lon = _number(report, "lat"), _number(report, "lon")
    if lat is None or lon is None or not is_on_earth(lat, lon):
        raise ValueError("a place that is not on Earth")
    taken_ms = _taken_ms(report.get("time"), now_ms)
    return True, Fix(lat, lon, _radius_m(report), CONFIDENCE, "GNSS", rfc3339(taken_ms), source=Gpsd.name)


def _taken_ms(text: object, now_ms: int) -> int:
    """Return when the receiver says that it was: its time of day, on the day that is likeliest."""
    try:
        moment = datetime.fromisoformat(str(text))
        if moment.tzinfo is None:
            return reference_ms(now_ms, None)
        receiver_ms = round((moment - EPOCH) / timedelta(milliseconds=1))
    except (ValueError, OverflowError):
        return reference_ms(now_ms, None)
    return nearest_ms(of_day_ms(moment), reference_ms(now_ms, receiver_ms))


def _radius_m(report: dict[str, Any]) -> float:
    """Return the circle of gpsd's error model, which is of 95 % throughout.

    `eph` is the circle; older ones have only the axes, whose hypotenuse is a little wider.
    """
    eph_m, epx_m, epy_m = (_number(report, name) or 0.0 for name in ("eph", "epx", "epy"))
    return radius_m(eph_m, math.hypot(epx_m, epy_m) if epx_m > 0 and epy_m > 0 else None)


def _number(report: dict[str, Any], name: str) -> float | None:
    """Return a finite number; None where there is none."""
    value = report.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
