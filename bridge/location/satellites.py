"""What a receiver's words say of where its place comes from: one table for gpsd and for NMEA.

    place comes from          GGA quality     mode (RMC, GLL, GNS)    gpsd's status
    nothing                   0               N                       -
    dead reckoning alone      6               E                       5
    what somebody typed in    7               M                       7
    a simulation              8               S                       8
    satellites                all others, also numbers and letters that are not in any book

Makers give new numbers to new kinds of satellite fixes (9 is NovAtel's for SBAS, and gpsd's for the military
signal), so what is unknown is taken for one. gpsd's 6 is satellites and dead reckoning together.
"""

_QUALITIES = frozenset({0, 6, 7, 8})
_MODES = frozenset("NEMS")
_STATUSES = frozenset({5, 7, 8})


def is_quality_of_satellites(quality: int) -> bool:
    """Return whether GGA's quality means satellites."""
    return quality not in _QUALITIES


def is_mode_of_satellites(modes: str) -> bool:
    """Return whether any letter means satellites; GNS has one for each constellation."""
    return any(mode not in _MODES for mode in modes)


def is_status_of_satellites(status: object) -> bool:
    """Return whether gpsd's status means satellites; one that is missing or no number says nothing."""
    return not (isinstance(status, int | float) and status in _STATUSES)
