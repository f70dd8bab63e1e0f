"""What the bridge's parts hand to each other: a device's keys, a press and how far it has come, a fix."""

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

from wire import codes, receipts


class Key(NamedTuple):
    """The identity of a press, the same on every retry and on every path."""

    device_id: str
    event: int
    counter: int


@dataclass(frozen=True, slots=True)
class Device:
    """A button as its bridge knows it; `token` is the credential under which it was enrolled."""

    device_id: str
    epoch: int
    k_code: bytes
    k_heard: bytes
    k_state: bytes
    alive_period_s: int
    press_counter: int  # the highest that the centre had accepted when we enrolled; 0 = none
    alive_counter: int
    token: str
    has_pin: bool = True  # the centre knows a PIN that calls an alarm of this button off

    def __repr__(self) -> str:
        # Keys must not reach a log or a test's output through a representation.
        return f"Device({self.device_id})"


@dataclass(frozen=True, slots=True)
class Fix:
    """A position: circle of RFC 5491, fields of AML (ETSI TS 103 625)."""

    lat: float
    lon: float
    radius_m: float
    confidence: float
    method: str  # GNSS WIFI CELL NETWORK MANUAL
    taken_at: str  # RFC 3339, UTC
    source: str = ""  # which of our sources: gpsd nmea geoclue gpx fixed
    marks: tuple[str, ...] = ()  # why it must not be taken for a fresh one: MARKS
    # When it came, by the clock that nobody sets, and which begins anew with the machine. It is as old as
    # that: `taken_at` is by somebody's clock. None: it has just come, or came before the bridge started.
    arrived_ms: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as it is kept while the bridge runs; what is not there is left out."""
        optional = {"source": self.source, "marks": list(self.marks), "arrived_ms": self.arrived_ms}
        required = {name: value for name, value in asdict(self).items() if name not in optional}
        return required | {name: value for name, value in optional.items() if value not in ("", [], None)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Fix":
        """Return what `as_json` was made of. Raises TypeError, ValueError."""
        return cls(**(data | {"marks": tuple(data.get("marks", ()))}))


# The oldest that the centre believes; of what is older `taken_at` tells.
FIX_AGE_S_MAX = 7 * 86_400


def fix_to_send(fix: dict[str, Any], boottime_ms: int) -> dict[str, Any]:
    """Return a kept fix as the centre gets it: with `age_s` by now, which no clock that is set can change."""
    fields = fix_to_keep(fix)
    if (arrived_ms := fix.get("arrived_ms")) is None:
        return fields
    age_s = max(0, boottime_ms - arrived_ms) // 1000
    return fields | {"age_s": age_s} if age_s <= FIX_AGE_S_MAX else fields


def fix_to_keep(fix: dict[str, Any]) -> dict[str, Any]:
    """Return a fix as the journal has it: without the clock that begins anew when the machine does."""
    return {name: value for name, value in fix.items() if name != "arrived_ms"}


# stale: came long before it was asked for. jump: further from the last one than anybody travels.
# implausible: what receivers say when they do not know.
MARKS = ("stale", "jump", "implausible")


# The position of an alarm is followed for so long.
FOLLOWED_MS = 2 * 3_600_000


class CallOff(StrEnum):
    """What has become of a call-off."""

    NONE = ""  # nobody has called this press off
    KEPT = "kept"  # given, and not yet at the centre
    DONE = "done"  # the centre has taken it
    WRONG_PIN = "wrong_pin"
    LOCKED = "locked"  # the centre takes no PIN any more, for a while
    NO_PIN = "no_pin"  # the centre knows no PIN of this button


class JournalReason(StrEnum):
    """Why the journal could not be read or written."""

    DISK_FULL = "disk_full"
    READ_ONLY = "read_only"
    CORRUPT = "journal_corrupt"
    UNWRITABLE = "journal_unwritable"
    SLOW = "journal_slow"


@dataclass(frozen=True, slots=True)
class Press:
    """A press and how far it has come: the journal's row. rules/press_flow.py alone makes new ones."""

    device_id: str
    event: int
    counter: int
    heard_at_ms: int  # since 1970
    age_s: int | None = None
    fix: dict[str, Any] | None = None
    incident: str | None = None
    stage: int = 0  # highest that the centre has proven
    proof: bytes = b""
    delivered: int = 0  # highest that the button has taken
    last_event_id: str | None = None
    call_off: CallOff = CallOff.NONE
    follow_left_ms: int = FOLLOWED_MS  # its position is followed for so long yet: time that the bridge ran
    pin: str | None = field(default=None, repr=False)  # while the call-off is on its way, no longer
    age_is_lower_bound: bool = False
    age_told: bool = False  # the centre has taken `age_s`

    @property
    def key(self) -> Key:
        return Key(self.device_id, self.event, self.counter)

    @property
    def is_test(self) -> bool:
        return self.event == codes.TEST

    @property
    def lacks_age(self) -> bool:
        """Return whether its age is still to be asked; nobody asks how old a silent test is."""
        return self.age_s is None and not self.is_test

    def status(self, has_pin: bool) -> "PressStatus":
        """Return it as its protected person may see it."""
        open_alarm = not self.is_test and self.stage < receipts.CLOSED
        may = open_alarm and has_pin and self.call_off not in (CallOff.DONE, CallOff.KEPT)
        return PressStatus(*self.key, self.heard_at_ms, self.stage, self.delivered, self.call_off, may)


@dataclass(frozen=True, slots=True)
class Alive:
    """The highest alive counter heard of a button; `on_time_*` is the last one that was not STALE."""

    device_id: str
    counter: int
    heard_at_ms: int
    on_time_counter: int
    on_time_at_ms: int


@dataclass(frozen=True, slots=True)
class Health:
    """What a button has said of itself in heartbeats and in its last *state*, and how well it is heard."""

    device_id: str
    low: bool = False
    battery_mv: int | None = None
    faults: tuple[str, ...] = ()  # stuck counters_lost configuration
    hearing: tuple[float, ...] = ()  # rules/reception.py: Reception.learnt


@dataclass(frozen=True, slots=True)
class Waypoint:
    """A fix of an alarm on its way to the centre; `sent`: it is there, and needs no keeping."""

    key: Key
    taken_at: str
    fix: dict[str, Any]
    sent: bool = False


@dataclass(frozen=True, slots=True)
class JournalContents:
    """What the journal holds; `reason` is what was wrong with it."""

    presses: list[Press] = field(default_factory=list)
    alives: list[Alive] = field(default_factory=list)
    healths: list[Health] = field(default_factory=list)
    waypoints: list[Waypoint] = field(default_factory=list)
    reason: JournalReason | None = None
    unreadable: int = 0  # rows of which nobody can say what they were, at least


Record = Press | Alive | Health | Waypoint


@dataclass(frozen=True, slots=True)
class PressStatus:
    """A press as its protected person may see it."""

    device_id: str
    event: int
    counter: int
    heard_at_ms: int
    stage: int  # 0: not at the centre yet; else wire.receipts' RECEIVED to CLOSED
    delivered: int  # the highest that the button has felt
    call_off: CallOff
    can_call_off: bool


@dataclass(frozen=True, slots=True)
class ButtonStatus:
    """A button as its protected person may see it."""

    device_id: str
    heard_at_ms: int | None
    in_reach: bool | None  # None: not known yet
    battery_low: bool
    battery_mv: int | None
    faults: tuple[str, ...]  # stuck counters_lost configuration stale
    last_press: PressStatus | None
    last_test: PressStatus | None


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is not as it must be; `text` says what to do."""

    where: str
    reason: str
    text: str
    since_ms: int


@dataclass(frozen=True, slots=True)
class Status:
    """How everything is now; `generation` changes whenever any of it but the time does."""

    generation: int
    now_ms: int
    buttons: tuple[ButtonStatus, ...]
    centre_ok: bool | None
    centre_at_ms: int | None  # the centre's last answer
    listening: bool
    battery_percent: int | None  # of this phone
    fix: Fix | None
    troubles: tuple[Trouble, ...]


def rfc3339(at_ms: int) -> str:
    """Return `at_ms` since 1970 as `2026-11-23T10:00:00.123Z`."""
    moment = datetime.fromtimestamp(at_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"
