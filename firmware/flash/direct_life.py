"""What the direct path takes from the battery: the button's own direct.py in virtual time, at a carrier."""

import heapq
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from firmware.board import direct
from firmware.board.press import Life
from wire.codes import ALARM, TEST
from wire.direct import LTE, WIFI_UDP
from wire.receipts import RECEIVED

WIFI = "wifi"
MODEMS = ("sim7080g", "gm02s")
WAYS = (WIFI, *MODEMS)
_UP_MS = {"wifi": 2_000, "lte": 4_000}
_ANSWER_MS = 500
_DAY_MS = 86_400_000
_OPEN_MS = 7_200_000
Action = tuple[Any, ...]


@dataclass
class Sessions:
    """How often a carrier came up for a press, and for how many seconds it only waited then."""

    count: int = 0
    waited_s: float = 0.0


@dataclass
class _Asked:
    carrier: int
    n: int
    kind: int


@dataclass
class _Answer:
    n: int
    next_s: int = 0
    flags: int = 0


class _Player:
    """A carrier that comes up and is answered, and the press's own machine at it."""

    def __init__(self, carrier: str, event: int) -> None:
        self.life = Life()
        self.life.event, self.life.press_counter = event, 1
        self.now_ms = 0
        self.sessions = Sessions()
        self._carrier = carrier
        self._kept = direct.Kept()
        self._machine = direct.Direct(self.life, self._kept, "always", (carrier,), lambda _: 10 * _DAY_MS)
        self._machine.boot(0, False)
        self._numbers = itertools.count()
        self._coming: list[tuple[int, int, Action]] = []  # what the carrier will say, and when
        self._up_ms: int | None = None
        self._carry_out(self._machine.pressed(0))

    def step(self, until_ms: int) -> None:
        """Go on to what happens next."""
        says_ms = [at_ms for at_ms, _, _ in self._coming[:1]]
        self.now_ms = max(self.now_ms, min([self._machine.due_ms(), until_ms, *says_ms]))
        if self._coming and self._coming[0][0] <= self.now_ms:
            self._carry_out(self._says(*heapq.heappop(self._coming)[2]))
        self._carry_out(self._machine.tick(self.now_ms))

    def _says(self, verb: str, kind: int = 0, n: int = 0) -> list[Action]:
        if verb == direct.UP:
            self._up_ms = self.now_ms
            return self._machine.up(self._carrier, self.now_ms)
        life = self.life
        life.stage, life.received_ms = RECEIVED, life.received_ms or self.now_ms
        if life.event == TEST:
            life.event = 0
        asked = _Asked(LTE if self._carrier == "lte" else WIFI_UDP, n, kind)
        return self._machine.answered(self._carrier, asked, _Answer(self._kept.n + 1), self.now_ms)

    def _carry_out(self, actions: Iterable[Action]) -> None:
        for verb, *args in actions:
            if verb == direct.UP:
                self.sessions.count += 1
                self._later(_UP_MS[self._carrier], (verb,))
            elif verb == direct.SEND:  # a POLL is held for as long as it says
                self._later(args[2] * 1000 + _ANSWER_MS, (verb, args[1], args[4]))
            elif verb == direct.CLOSE:
                self.down()

    def _later(self, ms: int, what: Action) -> None:
        heapq.heappush(self._coming, (self.now_ms + ms, next(self._numbers), what))

    def down(self) -> None:
        """Switch the carrier off."""
        self._coming.clear()
        if self._up_ms is not None:
            self.sessions.waited_s += (self.now_ms - self._up_ms) / 1000
            self._up_ms = None


@cache
def one_press(carrier: str, event: int, until_ms: int) -> Sessions:
    """Play a press that is RECEIVED by this carrier at once, and closed then."""
    player = _Player(carrier, event)
    while player.life.event and player.now_ms < until_ms:
        player.step(until_ms)
    player.down()
    return player.sessions


def of_level(carrier: str, level: int) -> Sessions:
    """Return what a test takes; an alarm closed after half an hour; one that is never closed."""
    return one_press(carrier, ALARM if level else TEST, (60_000, 1_800_000, _OPEN_MS)[level])
