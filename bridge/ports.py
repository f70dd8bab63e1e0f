"""What the bridge needs of the world, as Protocols. Only `app.py` constructs what stands behind them."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, runtime_checkable

from bridge.centre.errors import CentreError
from bridge.model import CallOff, Fix, JournalContents, JournalReason, Key, Record, Status


class Peer(Protocol):
    """Whoever sent an advert; the radio knows what else is in it."""

    @property
    def address(self) -> str: ...


# `on_advert(peer, service_uuids, rssi)`, called for each advert in the loop's thread.
OnAdvert = Callable[[Peer, Sequence[str], int], None]


class RadioOff(Exception):
    """There is no radio to listen with; `reason` is a word for programs, the text a sentence."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class SourceOff(Exception):
    """A source of positions gives none; `reason` is a word for programs, the text a sentence."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class LinkLost(Exception):
    """The button is not (or no longer) at the other end. Ordinary: it is tried again."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Clock(Protocol):
    """What time it is; nothing of the bridge asks anybody else."""

    def now_ms(self) -> int:
        """Return the time since 1970, which anybody may set: for people, and for the journal."""

    def monotonic_s(self) -> float:
        """Return monotonic time, which on Linux stands still while the machine sleeps."""

    def monotonic_ms(self) -> int:
        """Return the same in ms."""

    def boottime_ms(self) -> int:
        """Return the time that nobody sets, and that goes on while the machine sleeps: the buttons do."""


class Log(Protocol):
    """What the bridge says; the events and their fields are in log.py."""

    def __call__(self, what: str, **fields: Any) -> None: ...


class Store(Protocol):
    """The journal. Called in one thread; `write` returns None or the reason why it must wait."""

    def load(self, now_ms: int) -> JournalContents: ...

    def write(self, *rows: Record) -> JournalReason | None: ...

    def close(self) -> None: ...


class Answer(Protocol):
    """The centre has the press on disk."""

    @property
    def incident(self) -> str: ...
    @property
    def stage(self) -> int: ...
    @property
    def proof(self) -> bytes: ...
    @property
    def known(self) -> bool: ...
    @property
    def dropped(self) -> Sequence[str]: ...


class Receipt(Protocol):
    """A later stage, from the centre's stream."""

    @property
    def event_id(self) -> str: ...
    @property
    def stage(self) -> int: ...
    @property
    def proof(self) -> bytes: ...


class AliveAnswer(Protocol):
    """How soon the centre wants to hear again; the highest (press, alive) counters it knows, per button."""

    @property
    def next_in_s(self) -> int: ...
    @property
    def counters(self) -> Mapping[str, tuple[int, int]]: ...


class Centre(Protocol):
    """The emergency communication centre. Everything raises `errors.CentreError`."""

    @property
    def skew_s(self) -> float | None:
        """Return how far its clock is ahead of ours; None while they agree, or nothing is known."""

    def prepare_alarm(self, token: str) -> None:
        """Connect for an alarm that is about to be posted; it may not come."""

    async def post_alarm(self, token: str, alarm: dict[str, Any]) -> Answer: ...

    async def post_call_off(self, token: str, call_off: dict[str, Any]) -> None: ...

    async def post_fixes(self, token: str, incident: str, fixes: Sequence[dict[str, Any]]) -> None: ...

    async def post_alive(self, token: str, alive: dict[str, Any]) -> AliveAnswer: ...

    def receipts(self, token: str, incident: str, last_event_id: str | None) -> AsyncGenerator[Receipt]: ...

    async def explain(self, error: CentreError) -> CentreError:
        """Return what else may be behind a failure; it takes seconds."""


class Link(Protocol):
    """A connection to a button. Everything raises LinkLost; every wait is bounded."""

    async def write_receipt(self, value: bytes) -> None: ...

    async def read_state(self) -> bytes: ...

    @property
    def is_up(self) -> bool: ...


class Radio(Protocol):
    """Hears adverts (the callback goes into the constructor) and connects to whom it heard."""

    filtered: bool  # scans by a list of codes, which must be renewed
    mode: str  # passive, active or filtered: how it listens now

    async def scan(self, codes: Sequence[str]) -> None:
        """Start, or start again where the system filters by these codes. Raises RadioOff."""

    async def lost(self) -> RadioOff:
        """Returns when the radio is known to listen no more, with why; else waits for ever."""

    async def stop(self) -> None: ...

    async def power_cycle(self) -> bool:
        """Switch an adapter off and on that hears nothing; return whether that was possible."""

    def link(
        self, peer: Peer, code: bytes, on_lost: Callable[[], None]
    ) -> AbstractAsyncContextManager[Link]: ...


class Network(Protocol):
    """What the system says of its networks."""

    async def run(self, on_arrival: Callable[[], None]) -> None:
        """Call `on_arrival` whenever a network is there again, until cancelled."""


class Location(Protocol):
    """A source of positions. Never waits: the alarm does not."""

    def latest(self, boottime_ms: int) -> Fix | None:
        """Return the best fix at hand by now, with the time it was taken; None without any."""


class Source(Protocol):
    """One origin of positions. `run` reports each one that it gives, until cancelled; raises SourceOff."""

    @property
    def name(self) -> str: ...

    async def run(self, report: Callable[[Fix], None]) -> None: ...


@runtime_checkable
class SaysWhatItHears(Protocol):
    """A source that can say what it hears, to whoever misses a position."""

    def heard(self) -> str:
        """Return a clause for people, without a full stop."""


class Desktop(Protocol):
    """The desktop that the bridge runs on. Bounded, and silent where there is none."""

    async def notify(self, summary: str, body: str) -> bool:
        """Show it; return whether somebody took it."""

    async def battery_percent(self) -> int | None:
        """Return this phone's battery; None: unknown, or it has none."""


class PageBridge(Protocol):
    """What the protected person's page may ask of the running bridge."""

    def status(self) -> Status: ...

    async def changed(self, seen: int) -> None:
        """Returns when `status().generation` is not `seen`."""

    async def call_off(self, key: Key, pin: str) -> CallOff:
        """Return what became of it; waits a few seconds for the centre, then it is KEPT."""

    async def check(self) -> bool:
        """Ask the centre now: did it answer?"""
