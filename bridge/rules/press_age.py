"""How old a press was when it was heard, by what its button says of it later. Pure.

        pressed                heard                     the button is asked
    -------|---------------------|-------------------------------|------------> time
           |<-- what is wanted ->|<-------- since heard --------->|
           |<---- what the button says, in whole steps of 10 s --->|

So it is the latest that the press can have been, to 10 s. Each clock measures a stretch of its own, and need
not be right; ours is one that nobody sets. Over a restart it is the wall's: where that was set back,
the press is no older than the button says.
"""

from typing import NamedTuple

from wire.state import AGE_LOWER_BOUND, AGE_UNKNOWN, State

STEP_MS = 10_000


class Age(NamedTuple):
    """An age in seconds. `is_lower_bound`: the button's power was lost since, so it may be more."""

    s: int
    is_lower_bound: bool


def when_heard(value: State, since_heard_ms: int = 0) -> Age | None:
    """Return the age when it was heard; None where the button lost its power after that, and knows less."""
    is_unknown = value.age_10s == AGE_UNKNOWN
    is_lower_bound = is_unknown or bool(value.flags & AGE_LOWER_BOUND)
    said_ms = 0 if is_unknown else value.age_10s * STEP_MS
    age_ms = said_ms - since_heard_ms
    if is_lower_bound and age_ms < -STEP_MS:
        return None
    return Age(max(age_ms, 0) // 1000, is_lower_bound)
