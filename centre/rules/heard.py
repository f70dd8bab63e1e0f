"""When something was heard. Pure.

A phone is heard with whatever it sends and the centre takes: a heartbeat, a press, positions, a PIN; by our
own clock. A button is heard with whatever a phone has heard of it, its heartbeat or a press; when, the phone
says, but never later than we are told of it.
"""


def at_ms(told_ms: int | None, now_ms: int) -> int:
    """Return when a button was heard, of which a phone tells now."""
    return now_ms if told_ms is None else min(told_ms, now_ms)
