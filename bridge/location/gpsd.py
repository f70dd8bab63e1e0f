"""gpsd, the daemon that speaks to satellite receivers: its JSON over TCP (gpsd_json(5), protocol 3)."""

import asyncio
import json
import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from bridge.model import Fix, rfc3339
from bridge.ports import SourceOff
from bridge.rules.accuracy import CONFIDENCE, RADIUS_M_UNKNOWN, is_on_earth, read_time

HOST, PORT = "127.0.0.1", 2947
# gpsd's own longest is 10,240 (GPS_JSON_RESPONSE_MAX).
LINE_BYTES_MAX = 16_384
CONNECT_S_MAX = 5.0
GREETING_S_MAX = 5.0
# With a receiver, fix or no fix, there is a TPV each second or so; without one, never.
SILENCE_S_MAX = 30.0
NONSENSE_MAX = 20
PROTOCOL = 3
SIMULATED = 8  # TPV "status"
# JSON nested without end and numbers beyond a float are no ValueError.
_UNREADABLE = (ValueError, RecursionError, OverflowError)


class Gpsd:
    """Followed by ?WATCH. `nonsense` counts the lines that could not be read."""

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
        """It is gpsd that speaks first. What does not, or says something else, is not asked."""
        try:
            greeting = await asyncio.wait_for(self._line(reader), GREETING_S_MAX)
            said = json.loads(greeting)
            if said["class"] == "VERSION" and said["proto_major"] == PROTOCOL:
                return
        except (*_UNREADABLE, TypeError, KeyError, TimeoutError):
            pass
        raise SourceOff("not_gpsd", f"what answers at {self._where} is not gpsd (protocol {PROTOCOL})")

    async def _follow(self, reader: asyncio.StreamReader, report: Callable[[Fix], None]) -> None:
        """Until it goes wrong, which raises."""
        in_a_row = 0
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._silence_s_max) as silence:
                while True:
                    line = await self._line(reader)
                    try:
                        heard, fix = read(line, self._now_ms())
                        in_a_row = 0
                    except _UNREADABLE:
                        in_a_row += 1
                        self.nonsense += 1
                        if in_a_row >= NONSENSE_MAX:
                            raise SourceOff(
                                "gpsd_nonsense", f"gpsd at {self._where} says nothing that can be read"
                            ) from None
                        continue
                    if heard:
                        silence.reschedule(loop.time() + self._silence_s_max)
                    if fix is not None:
                        report(fix)
        except TimeoutError:
            raise SourceOff(
                "gpsd_silent",
                f"gpsd at {self._where} hears no receiver; is one plugged in, and known to it? (cgps)",
            ) from None

    async def _line(self, reader: asyncio.StreamReader) -> bytes:
        try:
            line = await reader.readline()
        except ValueError:  # asyncio's word for a line over the limit
            raise SourceOff(
                "gpsd_nonsense", f"gpsd at {self._where} sends a line of more than {LINE_BYTES_MAX} bytes"
            ) from None
        if not line.endswith(b"\n"):
            raise self._gone()
        return line

    def _gone(self) -> SourceOff:
        return SourceOff("gpsd_gone", f"no gpsd answers at {self._where}; start it (systemctl start gpsd)")


def read(line: bytes, now_ms: int) -> tuple[bool, Fix | None]:
    """A line of gpsd: whether a receiver was heard, and its fix. Raises one of _UNREADABLE."""
    said = json.loads(line)
    if not isinstance(said, dict) or not isinstance(said.get("class"), str):
        raise ValueError("not an object with a class")
    if said["class"] != "TPV":
        return False, None
    if said.get("mode") not in (2, 3) or said.get("status") == SIMULATED:
        return True, None  # gpsd is well; the receiver has no fix
    lat, lon = _number(said, "lat"), _number(said, "lon")
    if lat is None or lon is None:
        return True, None  # it does say so, of a fix that it is only putting together
    if not is_on_earth(lat, lon):
        raise ValueError("a place that is not on Earth")
    taken = said.get("time")
    taken_ms = now_ms if taken is None else read_time(str(taken))
    return True, Fix(lat, lon, _radius_m(said), CONFIDENCE, "GNSS", rfc3339(taken_ms), source=Gpsd.name)


def _radius_m(said: dict[str, Any]) -> float:
    """gpsd's error model is of 95 % throughout. `eph` is the circle; older ones have only the axes, whose
    hypotenuse is a little wider than the circle."""
    eph, epx, epy = (_number(said, name) for name in ("eph", "epx", "epy"))
    if eph is not None:
        return eph
    if epx is not None and epy is not None:
        return math.hypot(epx, epy)
    return RADIUS_M_UNKNOWN


def _number(said: dict[str, Any], name: str) -> float | None:
    value = said.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} is no number")
    return float(value)
