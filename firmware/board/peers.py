"""Who is linked to the button: strangers are let go, bridges may stay. Pure; times in ms.

Whoever connects has 5 s to write one valid *receipt* value (HEARD is enough) and is dropped
after that. At most 3 peers: for a fourth, the stranger that has stayed longest goes, else the
bridge that has only said HEARD for longest (HEARD travels in clear, so a stranger may repeat it):
nobody who merely holds a link can keep out one that brings a receipt.
"""

from wire.receipts import HEARD

PEERS_MAX = 3
_PROVE_MS = 5000


class Peers:
    """Keep who is linked, and decide who must go."""

    def __init__(self) -> None:
        self._strangers: list[tuple[int, int]] = []  # (connection, until_ms), oldest first
        self._hearers: list[int] = []  # have proven HEARD, oldest first
        self._carriers: list[int] = []  # have brought a receipt of the centre

    def connected(self, connection: int, now_ms: int) -> int | None:
        """Take a peer that came. Return the one that must go for it, or None."""
        leaves = None
        if self.count() >= PEERS_MAX:
            idle = [stranger[0] for stranger in self._strangers] + self._hearers
            leaves = idle[0] if idle else connection
        self._strangers.append((connection, now_ms + _PROVE_MS))
        return leaves

    def disconnected(self, connection: int) -> None:
        """Forget a peer that went."""
        self._strangers = [s for s in self._strangers if s[0] != connection]
        self._hearers = [c for c in self._hearers if c != connection]
        self._carriers = [c for c in self._carriers if c != connection]

    def proved(self, connection: int, stage: int) -> bool:
        """Take that it has written a valid value: a bridge. Return whether that is news."""
        known = self._carriers if stage > HEARD else self._hearers + self._carriers
        if connection in known:
            return False
        self.disconnected(connection)
        (self._carriers if stage > HEARD else self._hearers).append(connection)
        return True

    def expired(self, now_ms: int) -> list[int]:
        """Return the strangers whose time is over, each once."""
        gone = [s[0] for s in self._strangers if now_ms >= s[1]]
        for connection in gone:
            self.disconnected(connection)
        return gone

    def clear(self) -> None:
        """Forget everybody: the radio went off."""
        self._strangers = []
        self._hearers = []
        self._carriers = []

    def due_ms(self) -> int | None:
        """Return when `expired` will have somebody to let go; None: never."""
        return self._strangers[0][1] if self._strangers else None

    def count(self) -> int:
        """Return how many are linked."""
        return len(self._strangers) + len(self._hearers) + len(self._carriers)

    def carriers(self) -> int:
        """Return how many have brought a receipt of the centre."""
        return len(self._carriers)
