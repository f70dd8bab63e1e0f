"""Gestures: what the hand meant, from the edges of the pin. Pure; times are integers in ms.

    state   down               up                                   time
    -----   ----               --                                   ----
    UP      -> DOWN            -                                    clicks older than clicks_ms: forgotten
    DOWN    -                  -> UP; within click_ms: a click,     hold_ms: HOLD, -> HELD
                                  three in clicks_ms: CLICKS
    HELD    -                  -> UP                                stuck_ms: STUCK, -> STUCK
    STUCK   -                  -> UP, FREE                          -

A level counts once it has lasted `SETTLE_MS` (contacts bounce when they close, and a worn one
opens for a moment under a holding finger); it is dated from when it began.
"""

UP = 0
DOWN = 1
HELD = 2
_STUCK = 3

NOTHING = 0
HOLD = 1  # an alarm
CLICKS = 2  # a silent test
STUCK = 3
FREE = 4

SETTLE_MS = 20
CLICKS_WANTED = 3


class Gesture:
    """Turn what the pin does (`edge`) and the time (`tick`) into what the hand meant."""

    def __init__(self, settings: dict[str, int], stuck: bool = False) -> None:
        """Begin `stuck` where it was so before deep sleep, until the pin is let go."""
        self.hold_ms = settings["hold_ms"]
        self.stuck_ms = settings["stuck_ms"]
        self.click_ms = settings["click_ms"]
        self.clicks_ms = settings["clicks_ms"]
        self.state = _STUCK if stuck else UP
        self._down_ms = 0
        self._raw_down = stuck
        self._raw_ms = 0
        self._clicks: list[int] = []

    def edge(self, down: bool, at_ms: int) -> int:
        """Take that the pin went down or up at `at_ms`. Return what the time until then has meant."""
        meant = self.tick(at_ms)
        if down != self._raw_down:
            self._raw_down = down
            self._raw_ms = at_ms
        return meant

    def tick(self, now_ms: int) -> int:
        """Return what is meant by now: HOLD, CLICKS, STUCK or FREE, each once; else NOTHING."""
        if self._raw_down != (self.state != UP) and now_ms - self._raw_ms >= SETTLE_MS:
            if not self._raw_down:
                return self._released(self._raw_ms)
            self.state = DOWN
            self._down_ms = self._raw_ms
        if self.state == DOWN and now_ms - self._down_ms >= self.hold_ms:
            self.state = HELD
            return HOLD
        if self.state == HELD and now_ms - self._down_ms >= self.stuck_ms:
            self.state = _STUCK
            return STUCK
        if self._clicks and self.state == UP and now_ms - self._clicks[0] > self.clicks_ms:
            self._clicks.clear()
        return NOTHING

    def due_ms(self) -> int | None:
        """Return when `tick` may have something new to say without another edge; None: never."""
        if self._raw_down != (self.state != UP):
            return self._raw_ms + SETTLE_MS
        if self.state == DOWN:
            return self._down_ms + self.hold_ms
        if self.state == HELD:
            return self._down_ms + self.stuck_ms
        if self.state == UP and self._clicks:
            return self._clicks[0] + self.clicks_ms + 1
        return None

    def is_stuck(self) -> bool:
        """Return whether the pin has been down for `stuck_ms` and still is."""
        return self.state == _STUCK

    def is_down(self) -> bool:
        """Return whether a finger may be on its way to a hold."""
        return self.state == DOWN

    def _released(self, at_ms: int) -> int:
        was = self.state
        self.state = UP
        if was == _STUCK:
            return FREE
        if was == HELD or at_ms - self._down_ms > self.click_ms:
            self._clicks.clear()
            return NOTHING
        self._clicks.append(self._down_ms)
        while at_ms - self._clicks[0] > self.clicks_ms:
            self._clicks.pop(0)
        if len(self._clicks) < CLICKS_WANTED:
            return NOTHING
        self._clicks.clear()
        return CLICKS
