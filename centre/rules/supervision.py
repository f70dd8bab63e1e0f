"""What supervision finds lost, and which part it is. Pure: times are integers in ms, as arguments.

| kind | what is gone | found after |
|---|---|---|
| button_out_of_reach | a phone listens, and hears it no more | as it says: 2 to 24 periods; and 2 paces |
| phone_off | the phone said goodbye | 2 min: a restart is no news |
| phone_off | the phone fell silent, its battery at 5 % or less | 3 paces and 30 s |
| phone_silent | the phone fell silent: off, or its network | 3 paces and 30 s |
| network_gone | afterwards: the same bridge has run all along | when it is back |
| bridge_deaf | the phone lives, and cannot listen: Bluetooth | its next heartbeat |
| battery_low | the button's battery | the bridge's next heartbeat |
| phone_battery_low | the phone's, under 15 % | the bridge's next heartbeat |

How many signs a phone misses of a button beside it depends on how its system listens; so it says itself after
how long a silence means something, by what it has heard lately. One that does not say is taken to hear all.

A pace is how often bridges shall give a heartbeat (a setting). Silence is not counted from before
`watching_since_ms`: our own start, an hour in which we stood still, a clock that was set. Then

    (nothing) --lost--> open --a sign--> back --a sign, 2 min later or more--> ended, at the first of them
                          ^--------lost-----'
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, StrEnum


class LossKind(StrEnum):
    """Which part is lost."""

    BUTTON_OUT_OF_REACH = "button_out_of_reach"
    PHONE_OFF = "phone_off"
    PHONE_SILENT = "phone_silent"
    NETWORK_GONE = "network_gone"
    BRIDGE_DEAF = "bridge_deaf"
    BATTERY_LOW = "battery_low"
    PHONE_BATTERY_LOW = "phone_battery_low"


SILENCES = (
    LossKind.PHONE_OFF,
    LossKind.PHONE_SILENT,
)  # two guesses at one thing: a bridge has one of them at most

HEARTBEATS_MISSED, SILENCE_SLACK_MS = 3, 30_000
# Of a button's periods, each 20 % late and a minute: who hears all of them, and who hears fewest.
MISSED_MIN, MISSED_MAX, REACH_SLACK_MS = 2, 24, 60_000
PACES_LATE = 2
GOODBYE_MS = 120_000
STEADY_MS = 120_000  # one sign may be all that came through
PHONE_EMPTY_PERCENT, PHONE_LOW_PERCENT, PHONE_WELL_PERCENT = 5, 15, 20
# What the lists of case managers call out of supervision: nobody would hear the hand.
UNHEARD = (*SILENCES, LossKind.BUTTON_OUT_OF_REACH, LossKind.BRIDGE_DEAF)
MANY_AT_ONCE = 10  # so many phones do not fall silent by themselves
# Our own clock against the one that nobody sets; and how long we may not have looked.
JUMP_MS, STILL_MS = 30_000, 60_000
TEST_DAYS = 30  # a setting

# What a bridge says of itself when it cannot hear (docs/bridge.md, "Reasons of trouble").
_DEAF = {"adapter_gone", "bluetoothd_gone", "permission", "scan_ended"}


def is_deaf(troubles: Iterable[str]) -> bool:
    return any(word in _DEAF or word.startswith("bluetooth_") for word in troubles)


def silence_ms(alive_s: int) -> int:
    """After how long a silent bridge is lost, where it shall speak every `alive_s`."""
    return HEARTBEATS_MISSED * alive_s * 1000 + SILENCE_SLACK_MS


def reach_ms(period_s: int, alive_s: int, lost_after_s: int | None = None) -> int:
    """After how long a button is lost that speaks every `period_s`, +-20 %.

    `lost_after_s`: as the bridge says itself, within what a bridge may need.
    """
    least_ms, most_ms = (missed * period_s * 1200 + REACH_SLACK_MS for missed in (MISSED_MIN, MISSED_MAX))
    told_ms = least_ms if lost_after_s is None else lost_after_s * 1000
    return min(max(least_ms, told_ms), most_ms) + PACES_LATE * alive_s * 1000


@dataclass(frozen=True, slots=True)
class Bridge:
    """The last that it said of itself, by our clock."""

    alive_at_ms: int
    leaving: bool
    battery_percent: int | None
    listening_since_ms: int | None  # None: it is deaf

    def is_silent(self, watching_since_ms: int, now_ms: int, alive_s: int) -> bool:
        limit_ms = GOODBYE_MS if self.leaving else silence_ms(alive_s)
        return now_ms - max(self.alive_at_ms, watching_since_ms) > limit_ms


@dataclass(frozen=True, slots=True)
class Listener:
    """What one of its bridges says of a button. `news_at_ms`: when it last told that it had heard it."""

    bridge: Bridge
    in_reach: bool | None
    news_at_ms: int | None
    lost_after_s: int | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether it is lost; None: nobody can know now. `look_at_ms`: when silence alone will change that."""

    kind: LossKind
    lost: bool | None
    since_ms: int
    look_at_ms: int | None = None


def of_bridge(
    bridge: Bridge, open_kinds: Iterable[LossKind], watching_since_ms: int, now_ms: int, alive_s: int
) -> list[Finding]:
    """Judge one bridge; `open_kinds` are the losses that it has."""
    silent = bridge.is_silent(watching_since_ms, now_ms, alive_s)
    limit_ms = GOODBYE_MS if bridge.leaving else silence_ms(alive_s)
    due_ms = max(bridge.alive_at_ms, watching_since_ms) + limit_ms + 1
    percent = bridge.battery_percent
    empty = percent is not None and percent <= PHONE_EMPTY_PERCENT
    guess = LossKind.PHONE_OFF if bridge.leaving or empty else LossKind.PHONE_SILENT
    kind = next((kind for kind in open_kinds if kind in SILENCES), guess)
    # What a silent bridge said last is not what is: neither found lost by it, nor found again.
    low = None if percent is None or silent else percent < PHONE_LOW_PERCENT
    if low is False and LossKind.PHONE_BATTERY_LOW in open_kinds and percent is not None:
        low = percent < PHONE_WELL_PERCENT
    deaf = None if silent or bridge.leaving else bridge.listening_since_ms is None
    # A goodbye is no sign that it is back.
    here = None if bridge.leaving and not silent and kind in open_kinds else silent
    return [
        Finding(kind, here, bridge.alive_at_ms, None if silent else due_ms),
        Finding(LossKind.BRIDGE_DEAF, deaf, bridge.alive_at_ms),
        Finding(LossKind.PHONE_BATTERY_LOW, low, bridge.alive_at_ms),
    ]


def of_button(
    period_s: int,
    low: bool | None,
    listeners: Iterable[Listener],
    watching_since_ms: int,
    now_ms: int,
    alive_s: int,
) -> list[Finding]:
    """Judge one button: out of reach only where at least one bridge listens, and none of these hears it."""
    last_ms, lost_at_ms = 0, list[int]()  # of each that listens: from when on it counts as lost to it
    for listener in listeners:
        last_ms = max(last_ms, listener.news_at_ms or 0)
        since_ms = listener.bridge.listening_since_ms
        away = listener.bridge.leaving or listener.bridge.is_silent(watching_since_ms, now_ms, alive_s)
        if since_ms is not None and not away:
            counted_from_ms = max(listener.news_at_ms or 0, since_ms, watching_since_ms)
            silent_at_ms = counted_from_ms + reach_ms(period_s, alive_s, listener.lost_after_s) + 1
            lost_at_ms.append(now_ms if listener.in_reach is False else silent_at_ms)
    battery = Finding(LossKind.BATTERY_LOW, low, now_ms)
    if not lost_at_ms:
        return [Finding(LossKind.BUTTON_OUT_OF_REACH, None, last_ms), battery]
    due_ms = max(lost_at_ms)
    lost = now_ms >= due_ms
    return [Finding(LossKind.BUTTON_OUT_OF_REACH, lost, last_ms, None if lost else due_ms), battery]


class LossStep(Enum):
    """What becomes of a loss at a look."""

    OPEN = "open"
    BACK = "back"
    GONE_AGAIN = "gone_again"
    END = "end"


def step(is_open: bool, back_at_ms: int | None, lost: bool | None, sign_at_ms: int) -> LossStep | None:
    """Tell what becomes of a loss (see the drawing above); `sign_at_ms`: the last heartbeat."""
    if lost is None:
        return None
    if not is_open:
        return LossStep.OPEN if lost else None
    if lost:
        return None if back_at_ms is None else LossStep.GONE_AGAIN
    if back_at_ms is None:
        return LossStep.BACK
    return LossStep.END if sign_at_ms - back_at_ms >= STEADY_MS else None


def cause(kind: LossKind, said_goodbye: bool, running_since_ms: tuple[int | None, int | None]) -> LossKind:
    """Which it was, now that it is back: `running_since_ms` as told before, and after."""
    before_ms, after_ms = running_since_ms
    if kind not in SILENCES or said_goodbye or before_ms is None or after_ms is None:
        return kind
    return LossKind.NETWORK_GONE if before_ms == after_ms else LossKind.PHONE_OFF


@dataclass(slots=True)
class WatchWindow:
    """Since when we have been watching without a gap, by the clock that signs are stored with.

    `monotonic_ms` is of a clock that is never set, and stands still while the machine sleeps.
    """

    watching_since_ms: int
    _now_ms: int
    _monotonic_ms: int

    @classmethod
    def begin(cls, now_ms: int, monotonic_ms: int) -> "WatchWindow":
        return cls(now_ms, now_ms, monotonic_ms)

    def look(self, now_ms: int, monotonic_ms: int) -> bool:
        """Return whether all silence is counted anew from now. To be called at every look."""
        passed_ms = monotonic_ms - self._monotonic_ms
        jumped_ms = now_ms - self._now_ms - passed_ms
        self._now_ms, self._monotonic_ms = now_ms, monotonic_ms
        anew = abs(jumped_ms) > JUMP_MS or passed_ms > STILL_MS
        if anew or now_ms < self.watching_since_ms:
            self.watching_since_ms = now_ms
        return anew


def untested_days(last_test_ms: int | None, handed_out_ms: int, now_ms: int, at_most: int = TEST_DAYS) -> int:
    """For how many days a button has had no silent test that came through; 0: not worth a notice."""
    days = (now_ms - max(handed_out_ms, last_test_ms or 0)) // 86_400_000
    return days if days > at_most else 0
