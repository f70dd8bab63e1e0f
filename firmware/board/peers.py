"""Who is linked to the button: strangers are let go, bridges may stay. Pure; times in ms.

Whoever connects has 5 s to write one valid *receipt* value (HEARD is enough) and is dropped
after that. At most 3 peers: for a fourth, the one that has stayed longest without proof goes,
so nobody who merely holds a link can keep a bridge out.
"""

PEERS_MAX = 3
_PROVE_MS = 5000


class Peers:
    def __init__(self) -> None:
        self._strangers: list[tuple[int, int]] = []  # (connection, until_ms), oldest first
        self._bridges: list[int] = []

    def connected(self, connection: int, now_ms: int) -> int | None:
        """A peer came; returns the one that must go for it, if any."""
        leaves = None
        if self.count() >= PEERS_MAX:
            leaves = self._strangers[0][0] if self._strangers else connection
        self._strangers.append((connection, now_ms + _PROVE_MS))
        return leaves

    def disconnected(self, connection: int) -> None:
        self._strangers = [s for s in self._strangers if s[0] != connection]
        self._bridges = [b for b in self._bridges if b != connection]

    def proved(self, connection: int) -> None:
        """It has written a valid value: a bridge."""
        if connection not in self._bridges:
            self.disconnected(connection)
            self._bridges.append(connection)

    def expired(self, now_ms: int) -> list[int]:
        """The strangers whose time is over, each said once."""
        gone = [s[0] for s in self._strangers if now_ms >= s[1]]
        for connection in gone:
            self.disconnected(connection)
        return gone

    def clear(self) -> None:
        """The radio went off: nobody is linked."""
        self._strangers = []
        self._bridges = []

    def due_ms(self) -> int | None:
        """When `expired` will have someone to let go."""
        return self._strangers[0][1] if self._strangers else None

    def count(self) -> int:
        return len(self._strangers) + len(self._bridges)

    def bridges(self) -> int:
        return len(self._bridges)
