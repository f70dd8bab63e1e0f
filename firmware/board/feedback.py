"""Vibration, the button's only voice: never a light, never a sound. Pure; times in ms.

The number of pulses is the stage, so they can be told apart inside a pocket.
"""

from firmware.board.press import NOT_CONFIRMED, TAKEN
from wire.receipts import ACKNOWLEDGED, CLOSED, DISPATCHED, RECEIVED

# On, off, on, ... in ms.
PATTERNS = {
    TAKEN: (60,),
    RECEIVED: (120, 160, 120),
    ACKNOWLEDGED: (120, 160, 120, 160, 120),
    DISPATCHED: (120, 160, 120, 160, 120, 160, 120),
    CLOSED: (700,),
    NOT_CONFIRMED: (450, 250, 450, 250, 450),
}
_PAUSE_MS = 400  # between two patterns
_WAITING_MAX = 4


class Feedback:
    """`play` queues a pattern; `tick` says whether the motor must run now."""

    def __init__(self, quiet: bool = False) -> None:
        """`quiet`: pulses of half the length, for a hand that lies on a table or next to somebody."""
        self._part = 2 if quiet else 1
        self._waiting: list[tuple[int, ...]] = []
        self._left: list[int] = []
        self._until_ms = 0
        self._on = False

    def play(self, name: object, now_ms: int) -> None:
        """Queue the pattern called `name`; a full queue loses its oldest, the newest counts.

        TAKEN is of a new press: what waits is of the last one, and would be believed of this.
        """
        if name == TAKEN:
            self._waiting.clear()
        if len(self._waiting) == _WAITING_MAX:
            self._waiting.pop(0)
        self._waiting.append(PATTERNS[name])
        self.tick(now_ms)

    def tick(self, now_ms: int) -> bool:
        """Whether the motor runs at `now_ms`."""
        if self.is_idle():
            self._until_ms = max(self._until_ms, now_ms)
        while now_ms >= self._until_ms:
            if self._left:
                self._on = not self._on
                self._until_ms += self._left.pop(0) // (self._part if self._on else 1)
            elif self._on:
                self._on = False
                self._until_ms += _PAUSE_MS
            elif self._waiting:
                self._left = list(self._waiting.pop(0))
                self._until_ms = now_ms
            else:
                break
        return self._on

    def due_ms(self) -> int | None:
        """When the motor changes next."""
        return None if self.is_idle() else self._until_ms

    def is_idle(self) -> bool:
        return not (self._on or self._left or self._waiting)
