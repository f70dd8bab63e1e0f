"""What a satellite receiver says of one moment, in NMEA 0183, whatever day it takes it to be. Pure."""

from datetime import UTC, datetime, timedelta

ROLLOVER = timedelta(weeks=1024)


def sentences(lat: float, lon: float, at_ms: int, date: str = "") -> bytes:
    """Return RMC and GGA of a place at `at_ms`; `date` is one of faults.DATES, or empty: the right one."""
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    clock = f"{moment:%H%M%S}.{at_ms % 1000 // 10:02d}"
    place = f"{_degrees(lat, 2)},{'N' if lat >= 0 else 'S'},{_degrees(lon, 3)},{'E' if lon >= 0 else 'W'}"
    return _sentence(f"GPRMC,{clock},A,{place},0.0,0.0,{_day(moment, date)},,,A") + _sentence(
        f"GPGGA,{clock},{place},1,09,0.8,30.0,M,47.0,M,,"
    )


def _day(moment: datetime, date: str) -> str:
    if date == "none":
        return ""
    if date == "rollover":
        return f"{moment - ROLLOVER:%d%m%y}"
    return f"0601{date[2:]}" if date else f"{moment:%d%m%y}"


def _degrees(value: float, digits: int) -> str:
    whole, minutes = divmod(round(abs(value) * 600_000), 600_000)
    return f"{whole:0{digits}d}{minutes / 10_000:07.4f}"


def _sentence(body: str) -> bytes:
    checksum = 0
    for byte in body.encode():
        checksum ^= byte
    return f"${body}*{checksum:02X}\r\n".encode()
