"""What goes by at a router, as its owner sees it. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

DATAGRAM, STREAM, NAME, LEASE = "datagram", "stream", "name", "lease"


@dataclass(frozen=True, slots=True, order=True)
class Packet:
    """One packet at the router. `what`: a datagram, bytes of a stream, a name asked for, a name in DHCP."""

    at_ms: float
    station: str  # its MAC address, as in 02:00:5e:00:53:01
    is_outward: bool
    what: str
    data: bytes


OnPacket = Callable[[Packet], None]
