"""The direct path: by which names a button is known, and what counts of that which it says. Pure.

Times are integers in ms, as arguments. A button speaks in sessions, counted by `n`, and in each with a `seq`
that rises (wire/SPEC.md, "Sessions"). Of the sessions the centre keeps the number that it expects next:

    a frame of session     is
    n, or some later       the first of a session: expected is what follows it
    n - 1, a higher seq    one more of the same session, for as long as that can last
    n - 1, another         what came before, or is played again
    spare                  from a button that the centre has lost, or played again

The first two are fresh: only they are signs of life, may be held, and bring a newer position. The others are
answered, for the button may have missed that; a press among them is taken if it was never here, as any press.
"""

from dataclasses import dataclass

from centre.rules.incidents import Fix, Press
from wire.codes import RESERVE
from wire.direct import LTE, SPARE_FIRST, SPARE_NAMES, Request
from wire.direct_centre import Facts
from wire.receipts import CLOSED
from wire.state import AGE_LOWER_BOUND, AGE_UNKNOWN

AHEAD, AHEAD_RESTORED = 3, 256
SPARE = tuple(range(SPARE_FIRST, SPARE_FIRST + SPARE_NAMES))
WAIT_S_MAX = 20  # mappings of NATs may die after 30 s (RFC 9308, 3.2)
# A button that was never answered says the same session for ever; whoever held its frames back could let them
# through one a day, long after it was crushed.
SESSION_MS = 3 * 3_600_000
POSITION_MS = 300_000  # a position is wanted where there is none so fresh
STALE_S = 300
LTE_PATH, WIFI_PATH = "lte", "wifi"
CARRIERS = (WIFI_PATH, LTE_PATH)


@dataclass(frozen=True, slots=True)
class Session:
    """How far a button is: the session that is expected next, and the one before it."""

    n: int = 0
    seq: int = -1  # of the one before: the highest that came
    began_at_ms: int = 0  # when the one before was first heard

    def after(self, n: int, seq: int, now_ms: int) -> "Session | None":
        """Return what a fresh frame makes of it; None where the frame is not fresh."""
        if n in SPARE or n < self.n - 1:
            return None
        if n >= self.n:
            return Session(n + 1, seq, now_ms)
        is_over = not 0 <= now_ms - self.began_at_ms < SESSION_MS
        return None if seq <= self.seq or is_over else Session(self.n, seq, self.began_at_ms)


def numbers(session: Session, *, ahead: int = AHEAD) -> tuple[int, ...]:
    """Return the sessions by whose names a button is known: ten, more where it may be far `ahead`.

    After a power loss it goes on at a multiple of 32.
    """
    first, last = max(0, session.n - 1), min(session.n + ahead, SPARE_FIRST - 1)
    reserve = (last // RESERVE + 1) * RESERVE
    return (*range(first, last + 1), *((reserve,) if reserve < SPARE_FIRST else ()), *SPARE)


@dataclass(frozen=True, slots=True)
class Said:
    """What a button has said under its seal. `session`: what that makes of it; None: it is not fresh."""

    device_id: str
    request: Request
    facts: Facts
    session: Session | None

    @property
    def path(self) -> str:
        """Return the way that it came."""
        return LTE_PATH if self.request.carrier == LTE else WIFI_PATH

    @property
    def errors(self) -> dict[str, int]:
        """Return why each carrier failed last; 0: it did not (wire/SPEC.md, "Errors")."""
        return {WIFI_PATH: self.request.errors & 0x0F, LTE_PATH: self.request.errors >> 4}

    @property
    def battery_mv(self) -> int | None:
        return self.request.battery_20mv * 20 or None


def press_of(said: Said, fix: Fix | None) -> Press:
    """Return the press as any other, with the position that came along."""
    request = said.request
    age_s = None if request.age_10s == AGE_UNKNOWN else request.age_10s * 10.0
    return Press(
        said.device_id,
        request.event,
        request.counter,
        "",
        path=said.path,
        age_s=age_s,
        age_is_lower_bound=age_s is not None and bool(request.flags & AGE_LOWER_BOUND),
        fix=fix,
    )


def fix_of(said: Said, now_ms: int) -> Fix | None:
    """Return the satellites' position in a frame, or None; without a radius it would be dishonest."""
    if said.facts.gnss is None:
        return None
    lat_e7, lon_e7, radius_m, age_s = said.facts.gnss
    if not radius_m:
        return None
    marks = ("stale",) if age_s > STALE_S else ()
    where = (lat_e7 / 1e7, lon_e7 / 1e7, float(radius_m), None)
    return Fix(*where, "GNSS", now_ms - age_s * 1000, "button", marks, float(age_s))


def may_wait(request: Request, stage: int, *, is_last: bool) -> int:
    """Return for how many s the answer may wait, where the highest receipt is `stage`; 0: it is news."""
    has_it = request.stage <= CLOSED and request.stage >= stage
    return min(request.wait_s, WAIT_S_MAX) if has_it and not is_last else 0
