"""Vibration, the button's only voice: never a light, never a sound. Pure; times in ms.

The number of pulses is the stage, so they can be told apart inside a pocket. A pulse and a pause last at
least their length from when they truly began: a loop that is late makes a pattern longer, and never drops
a part of it, for with a part less it would be another word.
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
    """Queue patterns with `play`; `tick` says whether the motor must run now."""

    def __init__(self, quiet: bool = False) -> None:
        """Vibrate for half as long where `quiet`: for a hand on a table or next to somebody."""
        self._part = 2 if quiet else 1
        self._waiting: list[tuple[int, ...]] = []
        self._left: list[int] = []
        self._until_ms = 0
        self.is_on = False

    def play(self, name: object) -> None:
        """Queue the pattern called `name`; a full queue loses its oldest, the newest counts.

        TAKEN is of a new press: what waits is of the last one, and would be believed of this.
        """
        if name == TAKEN:
            self._waiting.clear()
        if len(self._waiting) == _WAITING_MAX:
            self._waiting.pop(0)
        self._waiting.append(PATTERNS[name])

    def tick(self, now_ms: int) -> bool:
        """Return whether the motor must run from `now_ms` on; switches at most once a call."""
        if now_ms < self._until_ms:
            return self.is_on
        if self._left:
            self.is_on = not self.is_on
            self._until_ms = now_ms + self._left.pop(0) // (self._part if self.is_on else 1)
        elif self.is_on:
            self.is_on = False
            self._until_ms = now_ms + _PAUSE_MS
        elif self._waiting:
            self._left = list(self._waiting.pop(0))
            return self.tick(now_ms)
        return self.is_on

    def due_ms(self) -> int | None:
        """Return when the motor changes next; None where nothing is to be felt any more."""
        return None if self.is_idle() else self._until_ms

    def is_idle(self) -> bool:
        """Return whether nothing runs and nothing waits."""
        return not (self.is_on or self._left or self._waiting)
