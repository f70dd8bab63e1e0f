"""What the bridge's parts hand to each other: a device's keys, a press and how far it has come, a fix."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from wire import codes


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

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(slots=True)
class Press:
    """A press and how far it has come. The journal's row; everything but the first four only grows."""

    device_id: str
    event: int
    counter: int
    heard_at_ms: int
    age_s: int | None = None
    fix: dict[str, Any] | None = None
    incident: str | None = None
    stage: int = 0  # highest that the centre has proven
    proof: bytes = b""
    delivered: int = 0  # highest that the button has taken
    last_event_id: str | None = None

    @property
    def key(self) -> Key:
        return Key(self.device_id, self.event, self.counter)

    @property
    def is_test(self) -> bool:
        return self.event == codes.TEST


@dataclass(frozen=True, slots=True)
class Alive:
    """The highest alive counter heard of a button; `on_time_*` is the last one that was not STALE."""

    device_id: str
    counter: int
    heard_at_ms: int
    on_time_counter: int
    on_time_at_ms: int


def rfc3339(at_ms: int) -> str:
    """`at_ms` since 1970 as `2026-11-23T10:00:00.123Z`."""
    moment = datetime.fromtimestamp(at_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"
