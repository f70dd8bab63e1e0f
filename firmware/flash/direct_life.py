"""What the direct path takes from the battery: the button's own direct.py in virtual time, at a carrier."""

import heapq
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
    _up_ms: int | None = None


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


@cache
def one_press(carrier: str, event: int, until_ms: int) -> Sessions:
    """Play a press that is RECEIVED by this carrier at once, and closed then."""
    life = Life()
    life.event, life.press_counter = event, 1
    kept = direct.Kept()
    machine = direct.Direct(life, kept, "always", (carrier,), lambda _: 10 * _DAY_MS)
    machine.boot(0, False)
    sessions = Sessions()
    coming: list[tuple[int, int, Action]] = []  # what the carrier will say, and when
    number = now_ms = 0

    def carry_out(actions: Iterable[Action]) -> None:
        nonlocal number
        for verb, *args in actions:
            number += 1
            if verb == direct.UP:
                sessions.count += 1
                heapq.heappush(coming, (now_ms + _UP_MS[carrier], number, (verb,)))
            elif verb == direct.SEND:
                late_ms = args[2] * 1000 + _ANSWER_MS  # a POLL is held for as long as it says
                heapq.heappush(coming, (now_ms + late_ms, number, (verb, args[1], args[4])))
            elif verb == direct.CLOSE and sessions._up_ms is not None:
                sessions.waited_s += (now_ms - sessions._up_ms) / 1000
                sessions._up_ms = None
                coming.clear()

    carry_out(machine.pressed(now_ms))
    while life.event and now_ms < until_ms:
        now_ms = max(now_ms, min([machine.due_ms(), until_ms, *(at_ms for at_ms, _, _ in coming[:1])]))
        if coming and coming[0][0] <= now_ms:
            what = heapq.heappop(coming)[2]
            if what[0] == direct.UP:
                sessions._up_ms = now_ms
                carry_out(machine.up(carrier, now_ms))
            else:
                life.stage, life.received_ms = RECEIVED, life.received_ms or now_ms
                if life.event == TEST:
                    life.event = 0
                asked = _Asked(LTE if carrier == "lte" else WIFI_UDP, what[2], what[1])
                carry_out(machine.answered(carrier, asked, _Answer(kept.n + 1), now_ms))
        carry_out(machine.tick(now_ms))
    if sessions._up_ms is not None:
        sessions.waited_s += (now_ms - sessions._up_ms) / 1000
    return sessions


def of_level(carrier: str, level: int) -> Sessions:
    """Return what a test takes; an alarm closed after half an hour; one that is never closed."""
    return one_press(carrier, ALARM if level else TEST, (60_000, 1_800_000, _OPEN_MS)[level])
