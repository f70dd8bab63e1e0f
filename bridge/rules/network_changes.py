"""Whether a network has come: what Linux says of its routes, and whether this machine has slept. Pure.

netlink(7), rtnetlink(7): a datagram is a row of messages, each with a header and padded to four bytes.
"""

import struct

_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_ROUTE = struct.Struct("=BBBBBBBBI")  # rtmsg: ..., type, flags
_ROUTE_TYPE = 7
_RTM_NEWROUTE = 24
_RTN_UNICAST = 1  # a way to somebody else; not this machine's own addresses, nor a broadcast
# Between the readings of two clocks the program may be held up.
SLEPT_MS_MIN = 1000


def has_new_route(datagram: bytes) -> bool:
    """Return whether a way to somebody else has appeared. What is no datagram of netlink's has none."""
    at = 0
    while at + _HEADER.size <= len(datagram):
        length, kind, *_ = _HEADER.unpack_from(datagram, at)
        if length < _HEADER.size:
            return False
        body = datagram[at + _HEADER.size : at + length]
        is_new = kind == _RTM_NEWROUTE and len(body) >= _ROUTE.size
        if is_new and _ROUTE.unpack_from(body)[_ROUTE_TYPE] == _RTN_UNICAST:
            return True
        at += (length + 3) & ~3
    return False


class SleepDetector:
    """Compares the clock that stands still while the machine sleeps with the one that goes on."""

    def __init__(self, monotonic_ms: int, boottime_ms: int) -> None:
        self._apart_ms = boottime_ms - monotonic_ms

    def has_slept(self, monotonic_ms: int, boottime_ms: int) -> bool:
        """Return whether the machine has slept since this was asked last."""
        apart_ms = boottime_ms - monotonic_ms
        slept = apart_ms - self._apart_ms >= SLEPT_MS_MIN
        self._apart_ms = apart_ms if slept else min(self._apart_ms, apart_ms)
        return slept
