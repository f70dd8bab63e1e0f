"""An alarm that nobody takes gets louder. Pure.

0 waits --after_s--> 1 louder --after_s--> 2 other operators too --after_s--> 3 a dispatch system is told
"""

AFTER_S = 30  # a setting
AFTER_S_MIN, AFTER_S_MAX = 5, 600
WAITS, LOUDER, OTHERS, TOLD = range(4)
UNSENT_MS = 120_000  # somebody has taken it; so long after that help should be on its way


def level(opened_at_ms: int, now_ms: int, after_s: int, *, given_back: bool = False) -> int:
    """How far an alarm that nobody has had since `opened_at_ms` has escalated.

    One that was given back starts a step further: the protected person has been told that somebody has it.
    """
    step_ms = max(1, after_s * 1000)
    if given_back:
        opened_at_ms -= step_ms
    if opened_at_ms - now_ms > step_ms:
        return TOLD  # the clock was set back: nobody knows how long it has waited
    return min(max(0, now_ms - opened_at_ms) // step_ms, TOLD)


def is_unsent(taken_at_ms: int, now_ms: int) -> bool:
    """Whether an alarm that somebody has taken, and for which nothing was sent, has got old."""
    return now_ms - taken_at_ms >= UNSENT_MS
